//! Commands and peers that run, over real sockets; the town's broker never answers.

use super::super::args::Args;
use super::super::commands;
use super::super::interrupt::Watch;
use crate::api::ADDRESS_FILE;
use crate::api::server::{Interface, serve};
use crate::app::tests::Town;
use crate::app::view::Part;
use crate::app::view::{DisputeState, DownloadState, ErrorView};
use crate::errors::exit;
use clap::Parser as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::task::JoinHandle;

/// A town whose peers answer commands.
struct Answering {
    town: Town,
    served: Vec<JoinHandle<Result<(), ErrorView>>>,
}

impl Answering {
    async fn of(peers: usize) -> Self {
        let town = Town::of(peers).await;
        let mut served = Vec::new();
        for peer in &town.peers {
            let interface = Interface { at: SocketAddr::from(([127, 0, 0, 1], 0)), hosts: Vec::new() };
            let (ready, is_ready) = tokio::sync::oneshot::channel();
            let ready = move |_, _| ready.send(()).expect("somebody waits");
            served.push(tokio::spawn(serve(peer.clone(), interface, ready)));
            is_ready.await.expect("it answers");
            let invite = peer.settings().invite.to_string();
            let settings = [("broker".to_owned(), invite), ("local".to_owned(), "true".to_owned())];
            let text = crate::config::document(peer.home().path(), &settings);
            std::fs::write(peer.home().config(), text).expect("written");
        }
        Self { town, served }
    }

    fn home(&self, peer: usize) -> PathBuf {
        self.town.peers[peer].home().path().to_owned()
    }

    /// Runs a command without a terminal; the exit code it ends with.
    async fn runs(&self, peer: usize, args: &[&str]) -> u8 {
        let home = self.home(peer);
        let line = ["netpay", "--home", &home.to_string_lossy(), "--quiet", "--no-input"];
        let args = Args::try_parse_from(line.iter().chain(args)).expect("understood");
        commands::run(args, Watch::none()).await.map_or_else(|error| error.exit, |()| exit::OK)
    }

    /// Without a yes it ends with 11; with one as it should.
    async fn asks(&self, peer: usize, args: &[&str], then: u8, untouched: impl Fn(&Town) -> bool) {
        assert_eq!(self.runs(peer, args).await, exit::LIMIT, "{args:?}");
        assert!(untouched(&self.town), "{args:?} did it without a yes");
        assert_eq!(self.runs(peer, &[args, &["--yes"]].concat()).await, then, "{args:?} --yes");
    }

    async fn stop(self) {
        for peer in &self.town.peers {
            peer.ask_to_stop();
        }
        for served in self.served {
            served.await.expect("no panic").expect("served to the end");
        }
        self.town.stop().await;
    }
}

fn written(directory: &Path, name: &str, bytes: &[u8]) -> String {
    let path = directory.join(name);
    std::fs::write(&path, bytes).expect("written");
    path.to_string_lossy().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_spent_or_destroyed_without_a_yes() {
    let them = Answering::of(3).await;
    let file = them.town.file("lecture.bin", 50_000).to_string_lossy().into_owned();
    assert_eq!(them.runs(1, &["share", "add", &file, "--price", "6"]).await, exit::OK);
    let shared = them.town.peers[1].share_list().await.expect("readable").remove(0).id;
    them.town.mint(0, 100).await;
    let spendable = |town: &Town| town.peers[0].wallet_view().expect("open").spendable;

    assert_eq!(them.runs(0, &["get", &shared, "--dry-run"]).await, exit::OK);
    assert_eq!(them.runs(0, &["get", &shared, "-y", "--max-price", "5"]).await, exit::LIMIT);
    them.asks(0, &["get", &shared], exit::OK, |town| town.peers[0].downloads().is_empty()).await;
    let view = them.town.peers[0].settled(1).await;
    assert_eq!((view.state, view.paid, spendable(&them.town)), (DownloadState::Done, 6, 94));

    let still_there =
        |town: &Town| town.peers[0].download(1).is_ok_and(|view| view.state == DownloadState::Done);
    assert_eq!(them.runs(0, &["downloads", "cancel", "1"]).await, exit::LIMIT);
    assert!(still_there(&them.town));
    assert_eq!(them.runs(0, &["downloads", "cancel", "7", "-y"]).await, exit::NOT_FOUND);
    them.asks(1, &["share", "rm", &shared], exit::OK, |town| town.peers[1].shared() == 1).await;
    assert_eq!(them.town.peers[1].shared(), 0);

    // Its broker does not answer: what was meant got as far as that.
    them.asks(0, &["wallet", "buy", "5"], exit::UNREACHABLE, |_| true).await;
    assert_eq!(them.runs(0, &["wallet", "payout", "5", "--to", "DE00", "-y"]).await, exit::UNREACHABLE);
    assert_eq!(them.runs(0, &["wallet", "payout", "5", "-y"]).await, exit::USAGE);
    let unspent = |town: &Town| spendable(town) == 94;
    let passphrase = written(them.town.dir.path(), "secret", b"correct horse battery\n");
    let backup = them.town.dir.path().join("backup").to_string_lossy().into_owned();
    let with_secret = ["--passphrase-file", &passphrase];
    let args = [&["wallet", "backup", &backup], &with_secret[..]].concat();
    assert_eq!(them.runs(0, &args).await, exit::OK);
    let args = [&["wallet", "restore", &backup], &with_secret[..]].concat();
    assert_eq!(them.runs(0, &args).await, exit::LIMIT);
    them.asks(0, &["wallet", "retire"], exit::OK, unspent).await;
    assert_eq!(spendable(&them.town), 0);
    them.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_listed_saved_and_checked_and_a_changed_one_is_refused() {
    let them = Answering::of(3).await;
    let file = them.town.file("lecture.bin", 50_000).to_string_lossy().into_owned();
    assert_eq!(them.runs(1, &["share", "add", &file, "--price", "6"]).await, exit::OK);
    let shared = them.town.peers[1].share_list().await.expect("readable").remove(0).id;
    them.town.mint(0, 100).await;
    assert_eq!(them.runs(0, &["get", &shared, "-y"]).await, exit::OK);
    them.town.peers[0].settled(1).await;
    // What is committed now is durable after the receipt.
    them.town.mint(0, 10).await;

    assert_eq!(them.runs(0, &["receipt", "ls"]).await, exit::OK);
    assert_eq!(them.runs(0, &["receipt", "show", "1"]).await, exit::OK);
    assert_eq!(them.runs(0, &["receipt", "show", "2"]).await, exit::NOT_FOUND);
    let saved = them.town.dir.path().join("paid.receipt");
    let paper = saved.to_string_lossy().into_owned();
    assert_eq!(them.runs(0, &["receipt", "save", "1", &paper]).await, exit::OK);
    // The vendor, or anybody of the network, can check it.
    assert_eq!(them.runs(2, &["receipt", "check", &paper]).await, exit::OK);
    let mut bytes = std::fs::read(&saved).expect("readable");
    let digits = written(them.town.dir.path(), "digits", data_encoding::HEXLOWER.encode(&bytes).as_bytes());
    assert_eq!(them.runs(2, &["receipt", "check", &digits]).await, exit::OK);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let changed = written(them.town.dir.path(), "changed", &bytes);
    assert_eq!(them.runs(2, &["receipt", "check", &changed]).await, exit::VERIFICATION);
    assert_eq!(them.runs(2, &["evidence", "check", &paper]).await, exit::VERIFICATION);
    assert_eq!(them.runs(0, &["evidence", "ls"]).await, exit::OK);
    assert_eq!(them.runs(0, &["evidence", "save", "ab", &paper]).await, exit::NOT_FOUND);
    them.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_against_a_cheat_is_listed_saved_and_checked() {
    let them = Answering::of(2).await;
    them.town.is_cheated(0).await;
    let id = them.town.peers[0].evidence_list(&Part::default()).expect("readable").items.remove(0).id;
    assert_eq!(them.runs(0, &["evidence", "ls"]).await, exit::OK);
    let saved = them.town.dir.path().join("proof");
    let paper = saved.to_string_lossy().into_owned();
    assert_eq!(them.runs(0, &["evidence", "save", &id[..8], &paper]).await, exit::OK);
    assert_eq!(them.runs(1, &["evidence", "check", &paper]).await, exit::OK);
    let mut bytes = std::fs::read(&saved).expect("readable");
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    let changed = written(them.town.dir.path(), "changed", &bytes);
    assert_eq!(them.runs(1, &["evidence", "check", &changed]).await, exit::VERIFICATION);
    assert_eq!(them.runs(1, &["receipt", "check", &paper]).await, exit::VERIFICATION);
    them.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_is_listed_saved_checked_and_taken_to_the_broker() {
    let them = Answering::of(3).await;
    let download = them.town.sells_one(2, 1).await.to_string();
    assert_eq!(them.runs(1, &["dispute"]).await, exit::OK);
    let id = them.town.is_sold_junk(1, 2, 1).await;
    assert_eq!(them.runs(1, &["dispute", "ls"]).await, exit::OK);
    assert_eq!(them.runs(1, &["dispute", "show", &id[..8].to_uppercase()]).await, exit::OK);
    assert_eq!(them.runs(1, &["dispute", "show", "xyz"]).await, exit::NOT_FOUND);
    let saved = them.town.dir.path().join("junk.proof");
    let paper = saved.to_string_lossy().into_owned();
    assert_eq!(them.runs(1, &["dispute", "show", &id[..8], "--save", &paper]).await, exit::OK);
    // Anybody of the network can judge it.
    assert_eq!(them.runs(0, &["evidence", "check", &paper]).await, exit::OK);
    let mut bytes = std::fs::read(&saved).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let changed = written(them.town.dir.path(), "changed", &bytes);
    assert_eq!(them.runs(0, &["evidence", "check", &changed]).await, exit::VERIFICATION);

    assert_eq!(them.runs(1, &["dispute", "open", "7"]).await, exit::NOT_FOUND);
    assert_eq!(them.runs(1, &["dispute", "open", &download]).await, exit::UNREACHABLE);
    them.town.bank(0);
    assert_eq!(them.runs(1, &["dispute", "open", &download]).await, exit::OK);
    let view = them.town.peers[1].dispute(&id).expect("it is there");
    assert_eq!(view.state, DisputeState::Convicted);
    them.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_must_do_has_its_own_code() {
    let them = Answering::of(1).await;
    assert_eq!(them.runs(0, &["browse", "nobody"]).await, exit::NOT_FOUND);
    assert_eq!(them.runs(0, &["get", "3", "-y"]).await, exit::NOT_FOUND);
    assert_eq!(them.runs(0, &["share", "set", "abcd", "--price", "1"]).await, exit::NOT_FOUND);
    let nowhere = format!("/ip4/127.0.0.1/tcp/1/p2p/{}", super::PEER);
    assert_eq!(them.runs(0, &["connect", &nowhere]).await, exit::UNREACHABLE);
    assert_eq!(them.runs(0, &["redeem"]).await, exit::OK, "there is nothing to redeem");
    assert_eq!(them.runs(0, &["wallet", "history"]).await, exit::UNREACHABLE);
    them.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_looks_at_a_peer_that_runs_and_at_one_that_does_not() {
    use super::super::doctor::{State, look};
    let them = Answering::of(2).await;
    let home = them.town.peers[0].home().clone();
    let seen = |rows: &[super::super::doctor::Row], check: &str| {
        rows.iter().find(|row| row.check == check).unwrap_or_else(|| panic!("{check}: {rows:?}")).state
    };
    let rows = look(&home).await;
    for check in
        ["home", "rights", "identity", "settings", "peer", "ports", "reachable", "peers", "account", "wallet"]
    {
        assert_eq!(seen(&rows, check), State::Ok, "{check}: {rows:?}");
    }
    assert_eq!(seen(&rows, "broker"), State::Warn, "it is away, and sales go on");
    assert_eq!(seen(&rows, "clock"), State::Warn, "there is nobody to compare it with");
    assert!(rows.iter().all(|row| !row.why.is_empty() && (row.state == State::Ok || !row.fix.is_empty())));
    assert_eq!(them.runs(0, &["doctor"]).await, exit::OK);

    // What holds the home and does not answer is bad.
    let address = home.path().join(ADDRESS_FILE);
    std::fs::remove_file(&address).expect("it was there");
    assert_eq!(seen(&look(&home).await, "peer"), State::Bad);
    assert_eq!(them.runs(0, &["doctor"]).await, exit::OTHER);
    let stopped = them.town.dir.path().join("stopped");
    them.stop().await;

    let home = crate::home::Home::at(stopped);
    crate::app::start::init(&home, None).expect("a home");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound");
    let key = netpay_core::keys::SecretKey::from_seed(&[1; 32]).public();
    let settings = |api: &str| {
        let invite = format!("netpay://{key}@town/ip4/127.0.0.1/tcp/{}/p2p/{}", port.port(), super::PEER);
        let set = [("broker", &*invite), ("listen", "/ip4/127.0.0.1/tcp/0"), ("api.listen", api)];
        let set = set.map(|(key, value)| (key.to_owned(), value.to_owned()));
        std::fs::write(home.config(), crate::config::document(home.path(), &set)).expect("written");
    };
    settings("127.0.0.1:0");
    let rows = look(&home).await;
    for check in ["home", "rights", "identity", "settings", "wallet", "ports", "broker"] {
        assert_eq!(seen(&rows, check), State::Ok, "{check}: {rows:?}");
    }
    assert_eq!(seen(&rows, "peer"), State::Warn);
    settings(&port.to_string());
    assert_eq!(seen(&look(&home).await, "ports"), State::Bad);
    drop(taken);
    let rows = look(&home).await;
    assert_eq!((seen(&rows, "ports"), seen(&rows, "broker")), (State::Ok, State::Warn));

    use std::os::unix::fs::PermissionsExt as _;
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(home.identity(), open).expect("it is ours");
    assert_eq!(seen(&look(&home).await, "rights"), State::Bad);
    std::fs::write(home.identity(), "short").expect("written");
    assert_eq!(seen(&look(&home).await, "identity"), State::Bad);
    std::fs::write(home.config(), "nonsense = 1\n").expect("written");
    assert_eq!(seen(&look(&home).await, "settings"), State::Bad);
}
