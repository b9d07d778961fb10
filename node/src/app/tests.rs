//! Peers in one process, on real sockets and real files, with chains minted by hand in place of a broker.

mod bank;
mod disputes;
mod fair;

pub(crate) use bank::VOUCHER;

use super::view::{DownloadState, DownloadView, GetRequest, Part, SearchOptions};
use super::{Node, Settings, lock, start};
use crate::clock;
use crate::home::Home;
use crate::invite::Invite;
use crate::overlay::{Protocol, handler};
use netpay_core::amount::{Cap, Coins, Index};
use netpay_core::codec::{self, List};
use netpay_core::coin::chain::{Chain, Seed};
use netpay_core::coin::segment::{Open, Release, SegmentNo};
use netpay_core::coin::touchstone::Touchstone;
use netpay_core::content::listing::Listing;
use netpay_core::fair::policy::Fair;
use netpay_core::id::{ChainId, ContentRoot};
use netpay_core::keys::{SecretKey, Signed};
use netpay_core::record::chain::Evidence;
use netpay_core::session::vendor::Policy;
use netpay_core::wire::browse::BrowseReply;
use netpay_core::wire::hello::Membership;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tempfile::TempDir;

/// Peers that know each other, for tests of other rooms too.
pub(crate) struct Town {
    pub(crate) dir: TempDir,
    broker: SecretKey,
    pub(crate) peers: Vec<Node>,
    /// When they trade in fair mode.
    fair: Fair,
}

impl Town {
    /// Peers that trade in plain mode.
    pub(crate) async fn of(peers: usize) -> Self {
        Self::trading(peers, Fair::Never).await
    }

    /// Peers that trade in that mode.
    pub(crate) async fn trading(peers: usize, fair: Fair) -> Self {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let dir = tempfile::tempdir().expect("a directory");
        let mut town = Self { dir, broker: SecretKey::from_seed(&[1; 32]), peers: Vec::new(), fair };
        let nowhere = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
        for n in 0..peers {
            let address = town.peers.first().map_or_else(
                || nowhere.parse().expect("an address"),
                |first| {
                    let id = crate::overlay::peer_id(&first.me());
                    let address = first.overlay().addresses().first().cloned().expect("it listens");
                    address.with(libp2p::multiaddr::Protocol::P2p(id))
                },
            );
            let invite = Invite { broker: town.broker.public(), network: "town".to_owned(), address };
            let peer = town.start(n, invite).await;
            town.peers.push(peer);
        }
        for peer in &town.peers {
            peer.until_connected(peers - 1).await;
        }
        town
    }

    async fn start(&self, n: usize, invite: Invite) -> Node {
        let home = Home::at(self.dir.path().join(format!("peer-{n}")));
        start::init(&home, None).expect("a fresh home");
        let settings = self.settings(n, invite);
        let node = start::run(home, settings, None).await.expect("it starts");
        self.enrol(&node);
        node
    }

    fn enrol(&self, node: &Node) {
        let member = Membership {
            broker: self.broker.public(),
            node: node.me(),
            witness: true,
            expires: clock::time().plus(3600),
        };
        *lock(&node.0.membership) = Some(self.broker.sign(&node.network(), member).wire());
        node.publish_soon();
    }

    fn settings(&self, n: usize, invite: Invite) -> Settings {
        Settings {
            name: format!("peer-{n}"),
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
            local: true,
            mdns: false,
            quic: false,
            downloads: self.dir.path().join(format!("downloads-{n}")),
            invite,
            policy: Policy::default(),
            unit_price: Coins(10),
            fair: self.fair,
            redeem_daily: false,
        }
    }

    /// The broker's word about a chain of that peer.
    fn touchstone(&self, peer: usize, n: u32, seed: &Seed, key: &SecretKey) -> Signed<Touchstone> {
        let node = &self.peers[peer];
        let now = clock::time();
        let witnesses = self.peers.iter().enumerate().filter(|(other, _)| *other != peer);
        let touchstone = Touchstone {
            network: node.network(),
            broker: self.broker.public(),
            chain_key: key.public(),
            n: Cap(n),
            root: Chain::root_of(seed, Cap(n)),
            nonce: clock::random(),
            committee: List::first_of(witnesses.map(|(_, node)| node.me())),
            issued: now,
            spend_by: now.plus(86_400),
            redeem_by: now.plus(2 * 86_400),
        };
        self.broker.sign(&node.network(), touchstone)
    }

    pub(crate) async fn mint(&self, peer: usize, n: u32) {
        let node = &self.peers[peer];
        let seed = Seed(clock::random());
        let key = SecretKey::from_seed(&clock::random());
        let touchstone = self.touchstone(peer, n, &seed, &key).wire();
        let added = node.change_wallet(|wallet| {
            let (id, change) = wallet.add(touchstone, seed, key).expect("a good chain");
            (id, vec![change])
        });
        added.await.expect("the wallet is open");
    }

    /// That peer is shown two Opens of one segment, and keeps them.
    pub(crate) async fn is_cheated(&self, peer: usize) {
        let node = &self.peers[peer];
        let key = SecretKey::from_seed(&clock::random());
        let touchstone = self.touchstone(peer, 100, &Seed(clock::random()), &key);
        let open = |cap| {
            let open = Open {
                chain: ChainId::of(touchstone.hash()),
                j: SegmentNo::FIRST,
                prev: touchstone.hash(),
                holder: node.me(),
                start: Index::ZERO,
                cap: Cap(cap),
                release_root: Release([7; 32]),
                fair: None,
            };
            key.sign(&node.network(), open).wire()
        };
        let touchstone = touchstone.wire();
        node.report(&Evidence::TwoOpens { touchstone, one: open(8), other: open(9) });
        while node.evidence_list(&Part::default()).expect("readable").items.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn file(&self, name: &str, size: usize) -> PathBuf {
        let path = self.dir.path().join(name);
        let bytes: Vec<u8> =
            (0..size).map(|i| u8::try_from((i * 7 + i / 251) % 256).expect("a byte")).collect();
        std::fs::write(&path, bytes).expect("written");
        path
    }

    pub(crate) async fn stop(self) {
        for peer in &self.peers {
            peer.stop().await;
        }
    }
}

impl Node {
    async fn until_connected(&self, peers: usize) {
        let mut events = self.overlay().events();
        while self.overlay().connected().len() < peers {
            let _ = tokio::time::timeout(std::time::Duration::from_millis(200), events.recv()).await;
        }
    }

    /// Waits until a download is there and everything about it is settled.
    pub async fn settled(&self, id: u64) -> DownloadView {
        let mut watch = self.watch_download(id).expect("it is there");
        let ended = |view: &DownloadView| view.state == DownloadState::Done && view.sales == 0;
        watch.wait_for(ended).await.expect("it ends").clone()
    }

    async fn buy_and_wait(&self, what: &str, keep_open: bool) -> DownloadView {
        let request = GetRequest { what: what.to_owned(), keep_open, ..GetRequest::default() };
        let view = self.get(request).await.expect("somebody offers it");
        let mut watch = self.watch_download(view.id).expect("it is there");
        // The receipts are waited for too.
        let over = |state| matches!(state, DownloadState::Done | DownloadState::Failed);
        let ended = |view: &DownloadView| over(view.state) && view.sales == 0;
        let view = watch.wait_for(ended).await.expect("it ends").clone();
        assert_eq!(view.state, DownloadState::Done, "{view:?}");
        view
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_finds_pays_and_gets_a_file() {
    let town = Town::of(5).await;
    let path = town.file("lecture on hashing.bin", 3_000_000);
    let shared = town.peers[1].share_add(vec![path.clone()], 40, vec![], false).await.expect("shared");
    town.mint(2, 100).await;
    let options = SearchOptions { words: "hashing lecture".to_owned(), ..SearchOptions::default() };
    let found = town.peers[2].search(options).await.expect("it searches");
    assert_eq!(found.len(), 1);
    let view = town.peers[2].buy_and_wait(&shared[0].id, false).await;
    assert_eq!(view.paid, 40);
    assert_eq!(std::fs::read(&view.path).expect("there"), std::fs::read(&path).expect("there"));
    let earned: u64 = town.peers[1].till(|till| till.all().map(|held| u64::from(held.paid().0)).sum());
    assert_eq!(earned, 40);
    town.peers[1].certify_all().await.expect("witnesses answer");
    assert!(town.peers[1].till(|till| till.all().all(|held| held.close_certificate().is_some())));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_chain_moves_from_vendor_to_vendor() {
    let town = Town::of(6).await;
    let one = town.file("one.bin", 27_800);
    let two = town.file("two.bin", 27_801);
    let three = town.file("three.bin", 27_802);
    let one = town.peers[1].share_add(vec![one], 5, vec![], false).await.expect("shared");
    let two = town.peers[2].share_add(vec![two], 5, vec![], false).await.expect("shared");
    let three = town.peers[3].share_add(vec![three], 5, vec![], false).await.expect("shared");
    town.mint(4, 100).await;
    town.peers[4].buy_and_wait(&one[0].id, true).await;
    let second = town.peers[4].buy_and_wait(&two[0].id, true).await;
    assert!(second.timeline.iter().any(|entry| entry.what == "handoff"), "{:?}", second.timeline);
    town.peers[2].stop().await;
    let third = town.peers[4].buy_and_wait(&three[0].id, false).await;
    let handoff = third.timeline.iter().find(|entry| entry.what == "handoff").expect("it moved");
    assert!(handoff.detail.contains("closed"), "its close was read from the record: {handoff:?}");
    let spent = town.peers[4].wallet(|wallet| wallet.spendable(clock::time())).expect("open");
    assert_eq!(spent, Coins(85));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_that_stops_has_its_open_chain_closed_and_the_next_vendor_asks_nobody() {
    let mut town = Town::of(6).await;
    let one = town.file("one.bin", 27_800);
    let two = town.file("two.bin", 27_801);
    let one = town.peers[1].share_add(vec![one], 5, vec![], false).await.expect("shared");
    let two = town.peers[2].share_add(vec![two], 5, vec![], false).await.expect("shared");
    town.mint(4, 100).await;
    town.peers[4].buy_and_wait(&one[0].id, true).await;
    let open = |node: &Node| node.till(|till| till.all().filter(|held| held.close().is_none()).count());
    assert_eq!(open(&town.peers[1]), 1, "the chain was left open");
    town.restart(4).await;
    assert_eq!(open(&town.peers[1]), 0, "the vendor closed it");
    town.peers[4].until_connected(4).await;
    town.peers[4].buy_and_wait(&two[0].id, false).await;
    assert!(town.peers[2].handoffs().is_empty(), "the Close was at hand: {:?}", town.peers[2].handoffs());
    assert_eq!(town.peers[4].wallet(|wallet| wallet.spendable(clock::time())).expect("open"), Coins(90));
    town.stop().await;
}

impl Town {
    /// Starts a peer that was stopped, where it was.
    pub async fn restart(&mut self, n: usize) {
        self.peers[n].stop().await;
        let invite = self.peers[n].settings().invite.clone();
        let gone = self.peers.remove(n);
        drop(gone);
        let started = std::time::Instant::now();
        loop {
            // Tasks of the old one let go of its home within moments.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            let home = Home::at(self.dir.path().join(format!("peer-{n}")));
            if home.lock().is_ok() {
                break;
            }
            assert!(started.elapsed().as_secs() < 20, "the home stays locked");
        }
        let peer = self.start_again(n, invite).await;
        self.peers.insert(n, peer);
    }

    async fn start_again(&self, n: usize, invite: Invite) -> Node {
        let home = Home::at(self.dir.path().join(format!("peer-{n}")));
        let settings = self.settings(n, invite);
        let node = start::run(home, settings, None).await.expect("it starts");
        self.enrol(&node);
        node
    }
}

impl Node {
    pub(crate) async fn names_found(&self, words: &str) -> Vec<String> {
        let options = SearchOptions { words: words.to_owned(), ..SearchOptions::default() };
        self.search(options).await.expect("it searches").into_iter().map(|found| found.name).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_home_whose_wallet_is_locked_gives_its_chains_up_when_it_is_opened() {
    let mut town = Town::of(2).await;
    let (home, copy) = (town.dir.path().join("locked"), town.dir.path().join("copy"));
    let invite = town.peers[0].settings().invite.clone();
    start::init(&Home::at(&home), Some("open sesame")).expect("a fresh home");
    let settings = town.settings(2, invite.clone());
    let original =
        start::run(Home::at(&home), settings, Some("open sesame".to_owned())).await.expect("it starts");
    town.peers.push(original);
    town.mint(2, 50).await;
    let original = town.peers.remove(2);
    assert_eq!(original.chain_views().expect("open").iter().map(|chain| chain.free).sum::<u64>(), 50);
    original.stop().await;
    drop(original);
    copy_all(&home, &copy);

    let settings = town.settings(2, invite);
    let node = start::run(Home::at(&copy), settings, None).await.expect("it starts without the passphrase");
    assert!(node.chain_views().is_err(), "the wallet is locked");
    assert!(node.home().is_copy(), "nothing was given up yet");
    node.unlock(Some("open sesame".to_owned())).await.expect("the passphrase");
    let chains = node.chain_views().expect("open");
    assert!(chains.len() == 1 && chains[0].retired, "{chains:?}");
    assert_eq!(node.wallet_view().expect("open").spendable, 0);
    assert!(!node.home().is_copy());
    town.peers.push(node);
    town.stop().await;
}

fn copy_all(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_in_its_place_is_not_fetched_again() {
    let mut town = Town::of(5).await;
    let path = town.file("placed.bin", 300_000);
    let shared = town.peers[1].share_add(vec![path.clone()], 9, vec![], false).await.expect("shared");
    town.mint(2, 100).await;
    let view = town.peers[2].buy_and_wait(&shared[0].id, false).await;
    // As if the peer had died between putting it there and noting that it is done.
    town.peers[2].set_state(view.id, DownloadState::Running, None).await.expect("stored");
    town.restart(2).await;
    let mut watch = town.peers[2].watch_download(view.id).expect("it is there");
    let again = watch.wait_for(|view| view.state == DownloadState::Done).await.expect("it ends").clone();
    assert_eq!((&again.path, again.paid), (&view.path, 9));
    assert_eq!(std::fs::read(&view.path).expect("there"), std::fs::read(&path).expect("there"));
    let beside = std::path::Path::new(&view.path).parent().expect("a directory");
    assert_eq!(std::fs::read_dir(beside).expect("readable").count(), 1, "no second copy");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shared_is_found_changed_and_taken_back() {
    let town = Town::of(5).await;
    let (song, text) = (town.file("rite of spring.flac", 300_000), town.file("notes.txt", 10));
    let shared =
        town.peers[1].share_add(vec![song, text], 3, vec!["ballet".to_owned()], false).await.expect("shared");
    let began = std::time::Instant::now();
    for (n, peer) in town.peers.iter().enumerate().filter(|(n, _)| *n != 1) {
        assert_eq!(peer.names_found("ballet rite").await, ["rite of spring.flac"], "peer {n}");
        assert_eq!(peer.names_found("ballet").await.len(), 2, "peer {n}");
    }
    assert!(town.peers[1].names_found("ballet").await.is_empty(), "not one's own");
    println!("8 searches took {:?}", began.elapsed());

    let rite = shared.iter().find(|file| file.name.starts_with("rite")).expect("it").id.clone();
    let set = town.peers[1]
        .share_set(rite.clone(), Some(4), Some(vec!["stravinsky".to_owned()]))
        .await
        .expect("set");
    assert_eq!((set.price, set.tags), (4, vec!["stravinsky".to_owned()]));
    assert_eq!(town.peers[2].names_found("stravinsky").await.len(), 1);
    assert_eq!(town.peers[2].names_found("ballet").await, ["notes.txt"]);
    let root = rite.parse().expect("a root");
    assert_eq!(town.peers[3].find_vendors(&root, None).await[0].price, Coins(4));

    town.peers[1].share_remove(rite.clone()).await.expect("removed");
    assert!(town.peers[2].names_found("stravinsky").await.is_empty());
    assert!(town.peers[3].find_vendors(&root, None).await.is_empty());
    let again = vec![town.dir.path().join("rite of spring.flac")];
    town.peers[1].share_add(again, 5, vec![], false).await.expect("shared again");
    assert_eq!(town.peers[3].find_vendors(&root, None).await[0].price, Coins(5));
    assert!(town.peers[1].share_list().await.expect("a list").iter().all(|file| file.present));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_is_named_is_asked_itself_for_what_the_index_does_not_know() {
    let town = Town::of(3).await;
    town.mint(1, 10).await;
    let [other, buyer, vendor] = &town.peers[..] else { panic!("three peers") };
    // Of a vendor without a membership nobody keeps a listing.
    *lock(&vendor.0.membership) = None;
    let files = [100, 200, 300].map(|size| town.file(&format!("song of {size} bytes.flac"), size));
    let shared = vendor.share_add(files.into(), 3, vec![], false).await.expect("shared");
    for file in &shared {
        let root = file.id.parse().expect("a root");
        assert!(buyer.find_vendors(&root, None).await.is_empty());
        assert!(buyer.find_vendors(&root, Some(other.me())).await.is_empty());
        let found = buyer.find_vendors(&root, Some(vendor.me())).await;
        assert_eq!(found.iter().map(|listing| listing.root).collect::<Vec<_>>(), [root]);
    }
    let (what, from) = (shared[0].id.clone(), Some(vendor.me().to_string()));
    let request = GetRequest { what, from, ..GetRequest::default() };
    let begun = buyer.get(request).await.expect("it sells it");
    assert_eq!(buyer.settled(begun.id).await.paid, 3);
    vendor.block(buyer.me().to_string()).await.expect("blocked");
    let root = shared[1].id.parse().expect("a root");
    assert!(buyer.find_vendors(&root, Some(vendor.me())).await.is_empty(), "it does not answer");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_without_end_and_with_nothing_for_sale_is_read_no_further() {
    let town = Town::of(2).await;
    let [buyer, vendor] = &town.peers[..] else { panic!("two peers") };
    let file = town.file("song.flac", 100);
    let shared = vendor.share_add(vec![file], 3, vec![], false).await.expect("shared");
    let own = vendor.own_listings(None, 1).pop().expect("shared");
    vendor.share_remove(shared[0].id.clone()).await.expect("removed");
    let (asked, key, network) = (Arc::new(AtomicU8::new(0)), vendor.0.identity.clone(), vendor.network());
    let pages = Arc::clone(&asked);
    let withdrawn = handler(move |_, _| {
        let n = pages.fetch_add(1, Ordering::Relaxed);
        let listing = Listing { root: ContentRoot([n; 32]), withdrawn: true, ..own.value().clone() };
        let listings = List::first_of([key.sign(&network, listing).wire()]);
        async move { Some(codec::encode(&BrowseReply { listings, more: n < u8::MAX })) }
    });
    vendor.overlay().serve(Protocol::Browse, withdrawn);
    let root = shared[0].id.parse().expect("a root");
    assert!(buyer.find_vendors(&root, Some(vendor.me())).await.is_empty());
    assert!(buyer.browse(vendor.me().to_string()).await.expect("it answers").is_empty());
    assert_eq!(asked.load(Ordering::Relaxed), 2, "once each");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_know_each_other_and_show_what_they_have() {
    let town = Town::of(4).await;
    let files: Vec<_> = (0..60).map(|n| town.file(&format!("track number {n}.flac"), 100 + n)).collect();
    town.peers[1].share_add(files, 1, vec![], false).await.expect("shared");
    let began = std::time::Instant::now();
    let views = loop {
        let views = town.peers[3].peers().await.expect("peers");
        let told = |name: &str| views.iter().any(|view| view.name.as_deref() == Some(name) && view.member);
        let files = views.iter().any(|view| view.files == Some(60));
        if files && ["peer-0", "peer-1", "peer-2"].into_iter().all(told) {
            break views;
        }
        assert!(began.elapsed().as_secs() < 60, "{views:?}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    println!("everybody is known after {:?}", began.elapsed());
    assert_eq!(views.len(), 3);
    let by_name = town.peers[3].browse("peer-1".to_owned()).await.expect("a catalogue");
    assert_eq!(by_name.len(), 60);
    assert!(by_name[0].online && by_name[0].vendor_name.as_deref() == Some("peer-1"));
    let by_key = town.peers[3].browse(town.peers[1].me().to_string()).await.expect("a catalogue");
    let id = crate::overlay::peer_id(&town.peers[1].me()).to_string();
    assert_eq!((by_key.len(), town.peers[3].browse(id).await.expect("a catalogue").len()), (60, 60));
    assert!(town.peers[3].browse("nobody".to_owned()).await.is_err());
    let sellers = town.peers[3].sellers(town.peers[1].me(), 8).await.expect("tags");
    let more = town.peers[3].sellers(town.peers[1].me(), 8).await.expect("tags");
    let tags: std::collections::BTreeSet<_> = sellers.iter().chain(&more).map(|seller| seller.tag).collect();
    assert_eq!(tags.len(), 16);
    assert!(sellers.iter().all(|s| town.peers[1].till(|till| till.holder(&s.tag)) == s.holder));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_peer_finds_and_is_found_again() {
    let mut town = Town::of(3).await;
    let song = town.file("rite of spring.flac", 300_000);
    town.peers[1].share_add(vec![song], 3, vec![], false).await.expect("shared");
    for n in [0, 1, 2] {
        town.restart(n).await;
    }
    let began = std::time::Instant::now();
    while town.peers[2].names_found("spring").await.is_empty()
        || town.peers[0].names_found("spring").await.is_empty()
    {
        assert!(began.elapsed().as_secs() < 30, "not found again");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    println!("found again after {:?}", began.elapsed());
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_come_as_replicas_answer_and_hung_ones_hold_nobody_up() {
    let town = Town::of(5).await;
    for n in [3, 4] {
        let never = handler(|_, _| std::future::pending());
        town.peers[n].overlay().serve(Protocol::Record, never);
    }
    let song = town.file("rite of spring.flac", 300_000);
    let began = std::time::Instant::now();
    town.peers[1].share_add(vec![song], 3, vec![], false).await.expect("shared");
    println!("shared after {:?}", began.elapsed());
    assert!(began.elapsed().as_millis() < 2_800);
    let began = std::time::Instant::now();
    let options = SearchOptions { words: "spring".to_owned(), ..SearchOptions::default() };
    let mut results = town.peers[2].search_stream(&options).expect("a search");
    let first = results.recv().await.expect("a result");
    println!("first result after {:?}", began.elapsed());
    assert!(first.name.starts_with("rite") && began.elapsed().as_millis() < 1_000);
    while results.recv().await.is_some() {}
    println!("search ended after {:?}", began.elapsed());
    assert!(began.elapsed().as_millis() < 3_500);
    town.stop().await;
}
