//! A broker that runs, and peers that reach it over the overlay.

mod town;

use netpay_broker::home::{BrokerHome, Settings};
use netpay_broker::ledger::Command;
use netpay_broker::run::{Config, Running, run};
use netpay_core::amount::{Cap, Coins};
use netpay_core::codec::{self, List, Text};
use netpay_core::id::NetworkId;
use netpay_core::keys::SecretKey;
use netpay_core::record::chain::Line;
use netpay_core::wire::bank::{BankReply, BankRequest, Buy, Register};
use netpay_core::wire::hello::{Hello, Welcome};
use netpay_core::wire::record::{RecordReply, RecordRequest};
use netpay_node::overlay::{self, NodeKey, Overlay, Protocol, Services, node_key};
use std::time::Duration;
use tempfile::TempDir;
use town::Person;

const PATIENCE: Duration = Duration::from_secs(20);

async fn broker(directory: &TempDir) -> Running {
    let home = BrokerHome::at(directory.path().join("bank"));
    if home.open().is_err() {
        home.init(&Settings::new("town", "Town bank", "clerk@example.org")).expect("a new broker");
    }
    let mut config = Config::new(home.path());
    config.listen = Some(vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")]);
    run(config).await.expect("it starts")
}

/// A peer's overlay, which knows the broker from its invite.
async fn peer(person: &Person, broker: &Running) -> (Overlay, NodeKey) {
    let invite: netpay_node::invite::Invite = broker.invite.to_string().parse().expect("an invite");
    assert_eq!(invite, broker.invite);
    let node = match invite.address.iter().last() {
        Some(libp2p::multiaddr::Protocol::P2p(peer)) => node_key(&peer).expect("an Ed25519 key"),
        other => panic!("{other:?}"),
    };
    let mut config = overlay::Config::new(person.node.seed(), invite.network.clone());
    config.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")];
    config.local = true;
    config.known = vec![(node, vec![invite.address])];
    (Overlay::start(config, Services::new()).await.expect("it starts"), node)
}

async fn ask(peer: &Overlay, broker: NodeKey, request: &BankRequest) -> BankReply {
    let reply =
        peer.request(broker, Protocol::Bank, codec::encode(request), PATIENCE).await.expect("an answer");
    codec::decode(&reply).expect("a reply")
}

fn signed_buy(ann: &Person, network: &NetworkId, n: u32) -> BankRequest {
    let key = ann.chain_key(1);
    let buy = Buy {
        account: ann.id(),
        chain_key: key.public(),
        n: Cap(n),
        sealing_key: ann.sealing_key(1).public(),
    };
    BankRequest::Buy {
        by_chain: key.sign(network, buy.clone()).signature(),
        buy: ann.account.sign(network, buy).wire(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_joins_by_the_invite_buys_coins_and_has_its_chain_witnessed() {
    let directory = tempfile::tempdir().expect("a directory");
    let broker = broker(&directory).await;
    let network = broker.invite.network_id();
    let ann = Person::new(1);
    let (peer, node) = peer(&ann, &broker).await;
    let register =
        Register { account: ann.id(), node: ann.node.public(), name: Text::cut("Ann"), voucher: None };
    let register = BankRequest::Register(ann.account.sign(&network, register).wire());
    assert!(matches!(ask(&peer, node, &register).await, BankReply::Account(_)));
    let credit =
        Command::Credit { id: [1; 16], account: ann.id(), coins: Coins(50), note: Text::cut("cash") };
    broker.bank().run(credit).await.expect("a credit");
    let reply = ask(&peer, node, &signed_buy(&ann, &network, 40)).await;
    let BankReply::Sold { touchstone, .. } = &reply else { panic!("{reply:?}") };
    let touchstone =
        netpay_core::coin::touchstone::verify(touchstone.clone(), &network, &broker.bank().key());
    let touchstone = touchstone.expect("a genuine touchstone");
    assert_eq!(touchstone.committee.clone().into_vec(), [node], "too few members: the broker alone");

    let record = Line::fresh(touchstone).record().expect("a short line");
    let put = RecordRequest::PutChain { record, closes: List::new(), want: List::new() };
    let reply = peer.request(node, Protocol::Record, codec::encode(&put), PATIENCE).await.expect("an answer");
    assert!(
        matches!(codec::decode(&reply), Ok(RecordReply::Accepted { .. })),
        "{:?}",
        codec::decode::<RecordReply>(&reply)
    );

    let hello = Hello { network, name: Text::cut("Ann"), membership: None, tags: List::new(), revoked: 0 };
    let reply =
        peer.request(node, Protocol::Hello, codec::encode(&hello), PATIENCE).await.expect("an answer");
    let welcome: Welcome = codec::decode(&reply).expect("a welcome");
    let membership = welcome.membership.expect("the broker's own").verify_own(&network).expect("signed");
    assert_eq!((welcome.network, membership.node, membership.broker), (network, node, broker.bank().key()));
    peer.shutdown().await;
    broker.shutdown().await.expect("it stops in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_was_stopped_comes_back_with_its_books_and_its_invite_key() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = broker(&directory).await;
    let (key, ann) = (first.invite.broker, Person::new(1));
    let network = first.invite.network_id();
    let register =
        Register { account: ann.id(), node: ann.node.public(), name: Text::cut("Ann"), voucher: None };
    let register = BankRequest::Register(ann.account.sign(&network, register).wire());
    first.bank().answer(ann.node.public(), register).await;
    let credit =
        Command::Credit { id: [1; 16], account: ann.id(), coins: Coins(50), note: Text::cut("cash") };
    first.bank().run(credit).await.expect("a credit");
    let sold = first.bank().answer(ann.node.public(), signed_buy(&ann, &network, 40)).await;
    let other = run(Config::new(directory.path().join("bank"))).await.err().expect("the home is held");
    assert_eq!(other.code, "NP-DAEMON-002");
    first.shutdown().await.expect("it stops in order");
    let second = broker(&directory).await;
    assert_eq!(second.invite.broker, key);
    assert_eq!(second.bank().answer(ann.node.public(), signed_buy(&ann, &network, 40)).await, sold);
    second.shutdown().await.expect("it stops in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_home_runs_only_when_it_is_adopted() {
    let directory = tempfile::tempdir().expect("a directory");
    broker(&directory).await.shutdown().await.expect("it stops in order");
    let home = BrokerHome::at(directory.path().join("bank"));
    let identity = home.home().identity();
    let key = std::fs::read(&identity).expect("a key");
    // Written anew elsewhere and moved here, it is another file, as after a copy of the whole home.
    let copy = identity.with_extension("copy");
    std::fs::write(&copy, key).expect("written");
    std::fs::rename(&copy, &identity).expect("moved");
    let mut config = Config::new(home.path());
    config.listen = Some(vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")]);
    assert_eq!(run(config).await.err().map(|error| error.code), Some("NP-BROKER-028".to_owned()));
    let mut config = Config::new(home.path());
    config.listen = Some(vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")]);
    config.adopt = true;
    run(config).await.expect("adopted").shutdown().await.expect("it stops in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_are_connected_become_the_committee() {
    let directory = tempfile::tempdir().expect("a directory");
    let broker = broker(&directory).await;
    let network = broker.invite.network_id();
    let mut peers = Vec::new();
    for number in 1..=5 {
        let person = Person::new(number);
        let (peer, node) = peer(&person, &broker).await;
        let register = Register {
            account: person.id(),
            node: person.node.public(),
            name: Text::cut("N"),
            voucher: None,
        };
        let register = BankRequest::Register(person.account.sign(&network, register).wire());
        assert!(matches!(ask(&peer, node, &register).await, BankReply::Account(_)));
        peers.push((person, peer, node));
    }
    let (ann, peer, node) = &peers[0];
    let credit =
        Command::Credit { id: [1; 16], account: ann.id(), coins: Coins(50), note: Text::cut("cash") };
    broker.bank().run(credit).await.expect("a credit");
    let BankReply::Sold { touchstone, .. } = ask(peer, *node, &signed_buy(ann, &network, 40)).await else {
        panic!("not sold");
    };
    let committee = touchstone.claim().expect("a touchstone").committee;
    let others: Vec<_> = peers[1..].iter().map(|(person, _, _)| SecretKey::public(&person.node)).collect();
    assert!(committee.len() == 4 && committee.iter().all(|seat| others.contains(seat)));
    for (_, peer, _) in peers {
        peer.shutdown().await;
    }
    broker.shutdown().await.expect("it stops in order");
}
