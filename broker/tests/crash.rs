//! The bank is killed at any moment, and whatever it had acknowledged is there when it comes back.

mod town;

use netpay_core::codec;
use netpay_core::wire::bank::BankRequest;
use netpay_node::store::Db;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use town::{Person, Town, terms};

/// Names the directory of the bank to the process that is going to be killed.
const DIRECTORY: &str = "NETPAY_TEST_BANK";
/// Names the round to it.
const ROUND: &str = "NETPAY_TEST_ROUND";
/// How often the bank is killed, each time after another number of acknowledgements.
const ROUNDS: u64 = 5;
/// Purchases that the bank could acknowledge in one round before it would run out of money to be killed over.
const PURCHASES: u64 = 100_000;
/// Customers who ask at once.
const CUSTOMERS: u64 = 8;

/// What a customer asks, by number: buys a chain, or (as vendor) redeems what it was paid of one.
fn purchase(customer: &Person, number: u64) -> Vec<u8> {
    codec::encode(&customer.buy(number, 20))
}

async fn redemption(town: &Town, customer: &Person, number: u64) -> Vec<u8> {
    let chain = town.chain(customer, number, 20).await;
    let request: BankRequest = customer.redeem(vec![customer.claim(&chain, 1, (0, 10, 16))]);
    codec::encode(&request)
}

/// Not a test of its own: the bank that is killed. It tells every acknowledgement, and what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bank_that_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let round: u64 = std::env::var(ROUND).expect("a round").parse().expect("a number");
    let town = Arc::new(Town::with(Db::open(Path::new(&directory)).expect("a database"), terms()));
    let mut customers = tokio::task::JoinSet::new();
    for customer in 0..CUSTOMERS {
        let town = town.clone();
        customers.spawn(async move {
            let ann = town.person(customer, 20 * PURCHASES).await;
            for number in round * PURCHASES..(round + 1) * PURCHASES {
                let reply = town.bank.handle(ann.node.public(), purchase(&ann, number)).await;
                tell("bought", customer, number, &reply);
                let reply = town.bank.handle(ann.node.public(), redemption(&town, &ann, number).await).await;
                tell("redeemed", customer, number, &reply);
            }
        });
    }
    customers.join_all().await;
}

fn tell(what: &str, customer: u64, number: u64, reply: &[u8]) {
    let line = format!("\nack {what} {customer} {number} {}\n", blake3::hash(reply));
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("the parent listens");
}

/// Runs the bank and kills it after so many acknowledgements, of which it returns all.
fn run_and_kill(directory: &Path, round: u64, after: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "the_bank_that_is_killed", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this test runs again");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let is_ack = |line: &String| line.starts_with("ack ");
    // The last line may have been cut by the kill.
    let is_whole = |line: &String| line.rsplit(' ').next().is_some_and(|hash| hash.len() == 64);
    let mut acks: Vec<_> = lines.by_ref().filter(is_ack).take(after).collect();
    assert_eq!(acks.len(), after, "the bank ended by itself");
    child.kill().expect("it runs");
    acks.extend(lines.filter(|line| is_ack(line) && is_whole(line)));
    child.wait().expect("it was killed");
    acks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_minus_nine() {
    if std::env::var_os(DIRECTORY).is_some() {
        return;
    }
    let home = tempfile::tempdir().expect("a directory");
    let directory: PathBuf = home.path().join("db");
    let mut acks = Vec::new();
    for round in 0..ROUNDS {
        acks.extend(run_and_kill(&directory, round, 7 + 61 * usize::try_from(round).expect("small")));
        let db = Db::open(&directory).expect("it opens again");
        let town = Town::with(db.clone(), terms());
        for ack in &acks {
            check(&town, ack).await;
        }
        let found = town.audit();
        assert_eq!(found.books.sum(), 0);
        town.bank.close().await.expect("closed");
    }
    assert!(acks.len() > 500);
}

/// The same request gets the reply that was acknowledged, and nothing new is written for it.
async fn check(town: &Town, ack: &str) {
    let words: Vec<&str> = ack.split(' ').collect();
    let [_, what, customer, number, hash] = words[..] else { panic!("{ack}") };
    let (customer, number): (u64, u64) =
        (customer.parse().expect("a number"), number.parse().expect("a number"));
    let ann = Person::new(customer);
    let before = town.bank.look(netpay_broker::ledger::Ledger::seq).await.expect("open");
    let frame = match what {
        "bought" => purchase(&ann, number),
        _ => redemption(town, &ann, number).await,
    };
    let reply = town.bank.handle(ann.node.public(), frame).await;
    assert_eq!(blake3::hash(&reply).to_string(), hash, "{ack}");
    assert_eq!(town.bank.look(netpay_broker::ledger::Ledger::seq).await.expect("open"), before, "{ack}");
}
