//! Overlays talking to each other in one process, over TCP on the loopback address.

use super::*;
use futures::future::join_all;
use std::collections::HashSet;
use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// Far more than anything here takes: it only keeps a broken test from hanging.
const LONG: Duration = Duration::from_secs(180);
/// How long between two looks at something that no event tells of.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

fn config(seed: u8) -> Config {
    let mut config = Config::new([seed; 32], "test");
    config.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    config.local = true;
    config.tuning.retry = Duration::from_millis(100);
    config
}

fn echo() -> Handler {
    handler(|_, frame| async move { Some(frame) })
}

fn never() -> Handler {
    handler(|_, _| std::future::pending())
}

async fn start(config: Config) -> Overlay {
    Overlay::start(config, Services::new().on(Protocol::Hello, echo())).await.unwrap()
}

async fn start_knowing(seed: u8, known: &[&Overlay]) -> Overlay {
    let mut config = config(seed);
    config.known = known.iter().map(|peer| (peer.me(), peer.addresses())).collect();
    start(config).await
}

/// Waits until something holds, looking at every event of a node and every now and then.
async fn until<F: Future<Output = bool>>(node: &Overlay, what: &str, mut holds: impl FnMut() -> F) {
    let mut events = node.events();
    let waiting = async {
        while !holds().await {
            let _ = timeout(LOOK_AGAIN, events.recv()).await;
        }
    };
    timeout(LONG, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn until_connected(node: &Overlay, to: &NodeKey) {
    until(node, "connected", || async { node.is_connected(to) }).await;
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn at(port: u16) -> Multiaddr {
    format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
}

async fn hello(from: &Overlay, to: NodeKey) -> Result<Vec<u8>, RequestError> {
    from.request(to, Protocol::Hello, b"hello".to_vec(), LONG).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered() {
    let bob = start(config(1)).await;
    let alice = start_knowing(2, &[&bob]).await;
    assert_eq!(hello(&alice, bob.me()).await.unwrap(), b"hello");
    // And back, over the same connection.
    assert_eq!(hello(&bob, alice.me()).await.unwrap(), b"hello");
    assert!(alice.is_connected(&bob.me()));
    until(&alice, "identified", || async {
        alice.connected().iter().any(|p| p.agent.starts_with("netpay/"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_over_quic_is_answered() {
    let quic = |seed| {
        let mut config = config(seed);
        config.quic = true;
        config.listen = vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()];
        config
    };
    let (alice, bob) = (start(quic(1)).await, start(quic(2)).await);
    alice.connect(bob.me(), bob.addresses()).await.unwrap();
    assert_eq!(hello(&alice, bob.me()).await.unwrap(), b"hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_oneself_is_answered_without_a_network() {
    let (streams, mut arriving) = mpsc::channel(1);
    let services = Services::new().on(Protocol::Hello, echo()).streams(Protocol::Trade, streams);
    let me = Overlay::start(config(1), services).await.unwrap();
    assert_eq!(hello(&me, me.me()).await.unwrap(), b"hello");
    let unknown = me.request(me.me(), Protocol::Bank, vec![], LONG).await;
    assert_eq!(unknown, Err(RequestError::Unsupported));

    let mut ours = me.open(me.me(), Protocol::Trade, LONG).await.unwrap();
    let (who, mut theirs) = arriving.recv().await.unwrap();
    assert_eq!(who, me.me());
    ours.write_frame(b"order", 5).await.unwrap();
    assert_eq!(theirs.read_frame(5).await.unwrap(), b"order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_the_other_side_never_agreed_to_takes_nothing_more() {
    let (alice, bob) = (start(config(1)).await, start(config(2)).await);
    alice.connect(bob.me(), bob.addresses()).await.unwrap();
    let mut stream = alice.open(bob.me(), Protocol::Trade, LONG).await.unwrap();
    stream.write_frame(b"order", 5).await.unwrap();
    assert!(matches!(stream.read_frame(5).await, Err(FrameError::Unsupported)));
    assert!(matches!(stream.read_frame(5).await, Err(FrameError::Closed(_))));
    assert!(matches!(stream.write_frame(b"order", 5).await, Err(FrameError::Closed(_))));
    stream.flush().await.unwrap_err();
    stream.shutdown().await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_has_its_own_name() {
    let services = Services::new()
        .on(Protocol::Hello, handler(|_, _| async { None }))
        .on(Protocol::Browse, never())
        .on(Protocol::Handoff, handler(|_, _| async { Some(vec![0; 100_000]) }));
    let bob = Overlay::start(config(1), services).await.unwrap();
    let alice = start_knowing(2, &[&bob]).await;
    assert_eq!(hello(&alice, bob.me()).await, Err(RequestError::Closed));
    let unsupported = alice.request(bob.me(), Protocol::Bank, vec![1; 10_000], LONG).await;
    assert_eq!(unsupported, Err(RequestError::Unsupported));
    let too_large = alice.request(bob.me(), Protocol::Hello, vec![0; 16 * 1024 + 1], LONG).await;
    assert_eq!(too_large, Err(RequestError::TooLarge));
    let late = alice.request(bob.me(), Protocol::Browse, vec![], Duration::from_millis(200)).await;
    assert_eq!(late, Err(RequestError::TimedOut));
    let reply_too_large = alice.request(bob.me(), Protocol::Handoff, vec![], LONG).await;
    assert_eq!(reply_too_large, Err(RequestError::Closed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_refuses_or_that_nobody_knows_fails_without_a_time_out() {
    let bob = start(config(1)).await;
    let alice = start_knowing(2, &[&bob]).await;
    until_connected(&alice, &bob.me()).await;
    let refused = alice.connect(NodeKey([9; 32]), vec![at(free_port())]).await;
    assert!(matches!(refused, Err(ConnectError::Unreachable(_))), "{refused:?}");
    let refused = hello(&alice, NodeKey([9; 32])).await;
    assert!(matches!(refused, Err(RequestError::Unreachable(_))), "{refused:?}");
    let unknown = hello(&alice, NodeKey([8; 32])).await;
    assert!(matches!(unknown, Err(RequestError::Unreachable(_))), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_at_a_known_address_is_not_taken_for_the_peer() {
    let (alice, bob, stranger) = (start(config(1)).await, start(config(2)).await, start(config(3)).await);
    let wrong = alice.connect(bob.me(), stranger.addresses()).await;
    assert!(matches!(wrong, Err(ConnectError::Unreachable(_))), "{wrong:?}");
    let both = [stranger.addresses(), bob.addresses()].concat();
    alice.connect(bob.me(), both).await.unwrap();
    assert_eq!(hello(&alice, bob.me()).await.unwrap(), b"hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_dial_each_other_at_once_both_connect() {
    let (alice, bob) = (start(config(1)).await, start(config(2)).await);
    let (there, back) =
        tokio::join!(alice.connect(bob.me(), bob.addresses()), bob.connect(alice.me(), alice.addresses()));
    there.unwrap();
    back.unwrap();
    let (there, back) = tokio::join!(hello(&alice, bob.me()), hello(&bob, alice.me()));
    assert!(there.is_ok() && back.is_ok(), "{there:?} {back:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_requests_loses_none() {
    let bob = start(config(1)).await;
    let known = [&bob];
    let others = join_all((2..6).map(|seed| start_knowing(seed, &known))).await;
    let requests = others.iter().flat_map(|node| (0..300).map(|_| hello(node, bob.me())));
    for reply in join_all(requests).await {
        assert_eq!(reply.unwrap(), b"hello");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_beyond_its_bound_is_reset_and_the_others_are_served() {
    let (open, running) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = {
        let (open, running) = (open.clone(), running.clone());
        handler(move |_, frame| {
            let (open, running) = (open.clone(), running.clone());
            async move {
                running.fetch_add(1, Ordering::SeqCst);
                open.acquire().await.ok()?.forget();
                Some(frame)
            }
        })
    };
    let services = Services::new().on(Protocol::Bank, gate).on(Protocol::Hello, echo());
    let bob = Overlay::start(config(1), services).await.unwrap();
    let greedy = start_knowing(2, &[&bob]).await;
    let modest = start_knowing(3, &[&bob]).await;

    // Streams opened by hand, past the greedy node's own bound on its requests.
    let ask = async || {
        let mut stream = greedy.open(bob.me(), Protocol::Bank, LONG).await.unwrap();
        stream.write_frame(b"more", 4).await.unwrap();
        stream
    };
    let mut taken = Vec::new();
    for _ in 0..MAX_PER_PEER {
        taken.push(ask().await);
    }
    until(&bob, "all handled", || async { running.load(Ordering::SeqCst) == MAX_PER_PEER }).await;
    let beyond = ask().await.read_frame(4).await;
    assert!(matches!(beyond, Err(FrameError::Closed(_))), "{beyond:?}");
    assert_eq!(hello(&modest, bob.me()).await.unwrap(), b"hello");

    open.add_permits(MAX_PER_PEER);
    for mut stream in taken {
        assert_eq!(stream.read_frame(4).await.unwrap(), b"more");
    }
    assert_eq!(hello(&greedy, bob.me()).await.unwrap(), b"hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_hangs_stalls_nobody_else() {
    let hung = Overlay::start(config(1), Services::new().on(Protocol::Hello, never())).await.unwrap();
    let good = start(config(2)).await;
    let alice = start_knowing(3, &[&hung, &good]).await;
    until_connected(&alice, &hung.me()).await;
    // One peer that takes requests and never answers, and one that takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let waiting: Vec<_> = (0..MAX_PER_PEER + 10)
        .map(|i| {
            let (alice, hung) = (alice.clone(), hung.me());
            let silent = at(silent.local_addr().unwrap().port());
            tokio::spawn(async move {
                if i == 0 {
                    let _ = alice.connect(NodeKey([7; 32]), vec![silent]).await;
                }
                hello(&alice, hung).await
            })
        })
        .collect();
    for _ in 0..100 {
        assert_eq!(hello(&alice, good.me()).await.unwrap(), b"hello");
    }
    assert!(waiting.iter().skip(1).all(|request| !request.is_finished()));
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_stream_carries_bytes_both_ways() {
    let (streams, mut arriving) = mpsc::channel(1);
    let vendor = Overlay::start(config(1), Services::new().streams(Protocol::Trade, streams)).await.unwrap();
    let buyer = start_knowing(2, &[&vendor]).await;
    let serving = tokio::spawn(async move {
        let (_, mut stream) = arriving.recv().await.unwrap();
        let order = stream.read_frame(100).await.unwrap();
        stream.write_all(&order.repeat(1_000_000)).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let mut stream = buyer.open(vendor.me(), Protocol::Trade, LONG).await.unwrap();
    stream.write_frame(b"file", 100).await.unwrap();
    let mut file = Vec::new();
    stream.read_to_end(&mut file).await.unwrap();
    assert!(file == b"file".repeat(1_000_000));
    serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_nodes_join_through_one_and_agree_who_is_closest() {
    let first = start(config(0)).await;
    let known = [&first];
    let mut nodes = join_all((1..20).map(|seed| start_knowing(seed, &known))).await;
    nodes.push(first);
    let all: Vec<_> = nodes.iter().map(Overlay::me).collect();
    for (i, node) in nodes.iter().enumerate() {
        let key = [i as u8; 32];
        let right = closest_of(&key, all.iter().copied(), 8);
        assert!(right.windows(2).all(|pair| distance(&key, &pair[0]) < distance(&key, &pair[1])));
        until(node, "closest agrees", || async { node.closest(key, 8).await == right }).await;
        assert_eq!(node.lookup(key, 8).await, right);
    }
    // A node that nobody told of is found by a lookup of its key.
    let found = hello(&nodes[3], nodes[17].me()).await;
    assert_eq!(found.unwrap(), b"hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_left_is_left_out_once_it_was_missed() {
    let nodes = [start(config(1)).await, start(config(2)).await];
    let alice = start_knowing(3, &[&nodes[0], &nodes[1]]).await;
    let key = [5; 32];
    until(&alice, "all three known", || async { alice.closest(key, 3).await.len() == 3 }).await;
    let [bob, carol] = nodes;
    let gone = bob.me();
    bob.shutdown().await;
    until(&alice, "disconnected", || async { !alice.is_connected(&gone) }).await;
    assert!(matches!(hello(&alice, gone).await, Err(RequestError::Unreachable(_))));
    let left: HashSet<_> = alice.closest(key, 3).await.into_iter().collect();
    assert_eq!(left, HashSet::from([alice.me(), carol.me()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_restart_without_the_first_node() {
    let first = start(config(0)).await;
    let bob = start_knowing(1, &[&first]).await;
    let mut carol_config = config(2);
    carol_config.known = vec![(first.me(), first.addresses())];
    let carol = start(carol_config.clone()).await;
    let mut events = carol.events();
    // What carol's application keeps on disk: bob, whom the first node introduced.
    let learned = timeout(LONG, async {
        loop {
            if let Event::Learned { node, addresses } = events.recv().await.unwrap()
                && node == bob.me()
            {
                return (node, addresses);
            }
        }
    });
    let learned = learned.await.unwrap();
    first.shutdown().await;
    carol.shutdown().await;

    carol_config.known.push(learned);
    let carol = start(carol_config).await;
    until_connected(&carol, &bob.me()).await;
    assert_eq!(hello(&carol, bob.me()).await.unwrap(), b"hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_everyone_tries_again_until_somebody_is_there() {
    let mut bob_config = config(1);
    bob_config.listen = vec![at(free_port())];
    let bob = start(bob_config.clone()).await;
    let alice = start_knowing(2, &[&bob]).await;
    until_connected(&alice, &bob.me()).await;
    let me = bob.me();
    bob.shutdown().await;
    until(&alice, "disconnected", || async { !alice.is_connected(&me) }).await;
    // Bob knows nobody: it is alice who comes back.
    let bob = start(bob_config).await;
    until_connected(&bob, &alice.me()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_said_to_be_in_use() {
    let first = start(config(1)).await;
    for address in first.addresses() {
        let mut second = config(2);
        second.listen = vec![address.clone()];
        let error = Overlay::start(second, Services::new()).await.unwrap_err();
        assert!(matches!(&error, StartError::PortInUse { address: taken } if *taken == address), "{error}");
    }
    let mut other = config(2);
    other.quic = true;
    other.listen = vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()];
    let quic = start(other.clone()).await;
    other.listen = quic.addresses();
    let error = Overlay::start(other, Services::new()).await.unwrap_err();
    assert!(matches!(error, StartError::PortInUse { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_free_after_shutdown() {
    let mut config = config(1);
    config.listen = vec![at(free_port())];
    for _ in 0..3 {
        start(config.clone()).await.shutdown().await;
    }
    let stopped = start(config).await;
    let other = stopped.clone();
    stopped.shutdown().await;
    assert_eq!(hello(&other, NodeKey([1; 32])).await, Err(RequestError::Closed));
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_keep_apart() {
    let mut other = config(1);
    other.network = "other".to_owned();
    let other = start(other).await;
    let alice = start(config(2)).await;
    alice.connect(other.me(), other.addresses()).await.unwrap();
    until(&alice, "disconnected", || async { !alice.is_connected(&other.me()) }).await;
    assert_eq!(alice.closest([1; 32], 8).await, [alice.me()]);
    for bad in ["", "a/b", "a b", &"x".repeat(65)] {
        let mut config = config(3);
        bad.clone_into(&mut config.network);
        assert!(matches!(Overlay::start(config, Services::new()).await, Err(StartError::Network(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_can_change() {
    let bob = Overlay::start(config(1), Services::new()).await.unwrap();
    let alice = start_knowing(2, &[&bob]).await;
    assert_eq!(hello(&alice, bob.me()).await, Err(RequestError::Unsupported));
    bob.serve(Protocol::Hello, echo());
    assert_eq!(hello(&alice, bob.me()).await.unwrap(), b"hello");
}
