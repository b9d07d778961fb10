//! Sales in fair mode among peers on real sockets.

use super::Town;
use crate::app::view::{DownloadState, GetRequest};
use crate::app::{Node, Trouble};
use crate::clock;
use netpay_core::amount::Coins;
use netpay_core::fair::policy::{Fair, Mode};

impl Node {
    async fn finds(&self, name: &str) {
        while self.names_found(name).await.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    fn earned(&self) -> u64 {
        self.till(|till| till.all().map(|held| u64::from(held.paid().0)).sum())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_bought_from_under_seal_and_a_known_vendor_in_the_open() {
    let town = Town::trading(5, Fair::Auto).await;
    let (vendor, buyer) = (&town.peers[1], &town.peers[2]);
    let path = town.file("lecture.bin", 3_000_000);
    let first = vendor.share_add(vec![path.clone()], 40, vec![], false).await.expect("shared").remove(0);
    town.mint(2, 200).await;
    buyer.finds("lecture").await;
    let request = |what: &str| GetRequest { what: what.to_owned(), ..GetRequest::default() };
    let quote = buyer.quote(&request(&first.id)).await.expect("offered");
    assert_eq!((quote.mode, quote.at_risk, quote.price), (Mode::Fair, 0, 40));

    let view = buyer.buy_and_wait(&first.id, false).await;
    assert_eq!(view.paid, 40);
    assert_eq!(std::fs::read(&view.path).expect("there"), std::fs::read(&path).expect("there"));
    assert_eq!(vendor.earned(), 40);
    let fair = vendor.till(|till| till.all().filter(|held| held.open().fair.is_some()).count());
    assert!(fair > 1, "the lease is no longer than what was earned: {fair} deals");
    assert!(vendor.till(|till| till.all().all(|held| held.close().is_some())), "each has its receipt");
    let spendable = buyer.wallet(|wallet| wallet.spendable(clock::time())).expect("open");
    assert_eq!(spendable, Coins(160), "no lease keeps more than was paid");

    while !buyer.is_known(&vendor.me()).expect("readable") {
        tokio::task::yield_now().await;
    }
    let path = town.file("second lecture.bin", 3_000_001);
    let second = vendor.share_add(vec![path], 40, vec![], false).await.expect("shared").remove(0);
    buyer.finds("second").await;
    let quote = buyer.quote(&request(&second.id)).await.expect("offered");
    assert_eq!(quote.mode, Mode::Plain);
    assert!(quote.at_risk > 0 && quote.at_risk <= 10, "{quote:?}");
    assert_eq!(buyer.buy_and_wait(&second.id, false).await.paid, 40);
    let fair_now = vendor.till(|till| till.all().filter(|held| held.open().fair.is_some()).count());
    assert_eq!((vendor.earned(), fair_now), (80, fair));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dear_file_of_one_piece_is_sold_under_seal_only() {
    let town = Town::trading(4, Fair::Auto).await;
    let (vendor, buyer) = (&town.peers[1], &town.peers[2]);
    let path = town.file("rare.bin", 27_800);
    let shared = vendor.share_add(vec![path.clone()], 500, vec![], false).await.expect("shared").remove(0);
    town.mint(2, 600).await;
    buyer.finds("rare").await;
    let plain = GetRequest { what: shared.id.clone(), fair: Some(Fair::Never), ..GetRequest::default() };
    assert!(matches!(buyer.get(plain).await, Err(Trouble::TooDear(_))));
    let view = buyer.buy_and_wait(&shared.id, false).await;
    assert_eq!((view.paid, vendor.earned()), (500, 500));
    assert_eq!(std::fs::read(&view.path).expect("there"), std::fs::read(&path).expect("there"));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sells_in_one_mode_only_says_so_and_is_paid_nothing() {
    for (wish, offer) in [(Fair::Always, Fair::Never), (Fair::Never, Fair::Always)] {
        let town = Town::trading(3, offer).await;
        let path = town.file("one.bin", 40_000);
        let shared = town.peers[1].share_add(vec![path], 4, vec![], false).await.expect("shared").remove(0);
        town.mint(2, 20).await;
        let buyer = &town.peers[2];
        buyer.finds("one").await;
        let request = GetRequest { what: shared.id, fair: Some(wish), ..GetRequest::default() };
        let id = buyer.get(request).await.expect("offered").id;
        let mut watch = buyer.watch_download(id).expect("it is there");
        let refused = |view: &crate::app::view::DownloadView| {
            view.timeline.iter().any(|entry| entry.what == "refused" && entry.detail.contains("fair mode"))
        };
        watch.wait_for(refused).await.expect("it is told");
        buyer.cancel_download(id).await.expect("it can be");
        assert_eq!(buyer.download(id).expect("there").state, DownloadState::Cancelled);
        assert_eq!(town.peers[1].earned(), 0);
        town.stop().await;
    }
}
