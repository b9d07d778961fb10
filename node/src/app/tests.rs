//! Peers in one process, on real sockets and real files, with chains minted by hand in place of a broker.

use super::view::{DownloadState, DownloadView, GetRequest, SearchOptions};
use super::{Node, Settings, lock, start};
use crate::clock;
use crate::home::Home;
use crate::invite::Invite;
use netpay_core::amount::{Cap, Coins};
use netpay_core::codec::List;
use netpay_core::coin::chain::{Chain, Seed};
use netpay_core::coin::touchstone::Touchstone;
use netpay_core::keys::SecretKey;
use netpay_core::session::vendor::Policy;
use netpay_core::wire::hello::Membership;
use std::path::PathBuf;
use tempfile::TempDir;

struct Town {
    dir: TempDir,
    broker: SecretKey,
    peers: Vec<Node>,
}

impl Town {
    async fn of(peers: usize) -> Self {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let dir = tempfile::tempdir().expect("a directory");
        let mut town = Self { dir, broker: SecretKey::from_seed(&[1; 32]), peers: Vec::new() };
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
        let settings = Settings {
            name: format!("peer-{n}"),
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
            local: true,
            mdns: false,
            quic: false,
            downloads: self.dir.path().join(format!("downloads-{n}")),
            invite,
            policy: Policy::default(),
            unit_price: Coins(10),
            redeem_daily: false,
        };
        let node = start::run(home, settings, None).await.expect("it starts");
        let member = Membership {
            broker: self.broker.public(),
            node: node.me(),
            witness: true,
            expires: clock::time().plus(3600),
        };
        *lock(&node.0.membership) = Some(self.broker.sign(&node.network(), member).wire());
        node
    }

    async fn mint(&self, peer: usize, n: u32) {
        let node = &self.peers[peer];
        let seed = Seed(clock::random());
        let key = SecretKey::from_seed(&clock::random());
        let now = clock::time();
        let witnesses = self.peers.iter().enumerate().filter(|(other, _)| *other != peer);
        let touchstone = Touchstone {
            network: node.network(),
            broker: self.broker.public(),
            chain_key: key.public(),
            n: Cap(n),
            root: Chain::root_of(&seed, Cap(n)),
            nonce: clock::random(),
            committee: List::first_of(witnesses.map(|(_, node)| node.me())),
            issued: now,
            spend_by: now.plus(86_400),
            redeem_by: now.plus(2 * 86_400),
        };
        let touchstone = self.broker.sign(&node.network(), touchstone).wire();
        let added = node.change_wallet(|wallet| {
            let (id, change) = wallet.add(touchstone, seed, key).expect("a good chain");
            (id, vec![change])
        });
        added.await.expect("the wallet is open");
    }

    fn file(&self, name: &str, size: usize) -> PathBuf {
        let path = self.dir.path().join(name);
        let bytes: Vec<u8> = (0..size).map(|i| u8::try_from((i * 7 + i / 251) % 256).expect("a byte")).collect();
        std::fs::write(&path, bytes).expect("written");
        path
    }

    async fn stop(self) {
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

    async fn buy_and_wait(&self, what: &str, keep_open: bool) -> DownloadView {
        let request = GetRequest { what: what.to_owned(), keep_open, ..GetRequest::default() };
        let view = self.get(request).await.expect("somebody offers it");
        let mut watch = self.watch_download(view.id).expect("it is there");
        let ended = |view: &DownloadView| matches!(view.state, DownloadState::Done | DownloadState::Failed);
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
