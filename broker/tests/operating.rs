//! Operating a broker: its log files, bundles, invite, exports and the service manager, with real processes.

mod operator;
mod town;

use netpay_broker::home::{BrokerHome, Settings};
use netpay_broker::run::{Config, Running, run};
use netpay_core::amount::Coins;
use netpay_core::codec::{self, Text};
use netpay_core::fair::judge::{self, Junk, NotProven, Verdict};
use netpay_core::keys::Unverified;
use netpay_core::record::chain::{Culprit, Evidence};
use netpay_core::wire::bank::{BankReply, BankRequest};
use operator::Operator;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use town::Person;
use town::fair::{Sale, accuses};

/// Longest wait for what should come at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// What nobody but the operator may read: keys, token, and the codes just printed.
fn secrets(operator: &Operator, codes: &str) -> Vec<String> {
    let files = ["broker.key", "identity.key", "api-token"].map(|name| operator.home().join(name));
    let kept = files.map(|path| fs::read_to_string(path).expect("a file").trim().to_owned());
    kept.into_iter().chain(codes.lines().map(str::to_owned)).collect()
}

fn assert_free_of(bytes: &[u8], secrets: &[String], what: &str) {
    for secret in secrets {
        assert!(secret.len() >= 16, "a secret that can be told from other text");
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{what} tells {secret}");
    }
}

#[test]
fn the_log_is_kept_without_secrets_and_a_bundle_holds_it_and_no_keys() {
    let operator = Operator::new();
    operator.init();
    let mut broker = operator.up_with(&operator.home(), |command| {
        command.args(["-vv"]);
    });
    let codes = operator.run(&["voucher", "new", "5", "--count", "3"]);
    operator.run(&["status"]);
    let running = operator.path().join("running.tar");
    operator.run(&[OsStr::new("support-bundle"), running.as_os_str()]);
    operator.run(&["stop"]);
    assert!(broker.child.wait().expect("it ends").success());

    let log = operator.run(&["logs", "-n", "1000000"]);
    assert!(
        log.contains("starting") && log.lines().last().is_some_and(|line| line.contains("stopped")),
        "{log}"
    );
    assert_eq!(operator.run(&["logs", "-n", "1"]).lines().count(), 1);
    let secrets = secrets(&operator, &codes);
    for file in fs::read_dir(operator.home().join("logs")).expect("logs") {
        let path = file.expect("a file").path();
        assert_free_of(&fs::read(&path).expect("a log"), &secrets, &path.display().to_string());
    }

    let stopped = operator.path().join("stopped.tar");
    operator.run(&[OsStr::new("support-bundle"), stopped.as_os_str()]);
    for bundle in [running, stopped] {
        assert_free_of(&fs::read(&bundle).expect("a bundle"), &secrets, &bundle.display().to_string());
        let mut parts = tar::Archive::new(fs::File::open(&bundle).expect("a bundle"));
        let mut names = Vec::new();
        for part in parts.entries().expect("a tar file") {
            let part = part.expect("a part");
            names.push(part.path().expect("a name").display().to_string());
        }
        for name in ["version.json", "settings.json", "status.json", "sizes.json"] {
            assert!(names.iter().any(|other| other == name), "{name} is not among {names:?}");
        }
        assert!(names.iter().all(|name| name.ends_with(".json") || name.starts_with("logs/")), "{names:?}");
        assert!(names.iter().any(|name| name.starts_with("logs/")), "{names:?}");
    }
    let again = operator.path().join("stopped.tar");
    assert_eq!(operator.fails(&["support-bundle", &again.display().to_string()]).0, Some(1), "it is there");
}

#[test]
fn whoever_follows_the_log_sees_the_next_file_and_ends_with_130() {
    let operator = Operator::new();
    operator.init();
    let mut broker = operator.up(&operator.home());
    operator.run(&["stop"]);
    assert!(broker.child.wait().expect("it ends").success());
    let mut command = operator.command(&operator.home());
    let mut child = command.args(["logs", "-f", "-n", "1"]).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert!(next().contains("stopped"));
    let later = operator.home().join("logs/9999-01-01.000000.log");
    fs::write(&later, "a later \u{1b}[2J line\n").expect("written");
    assert_eq!(next(), "a later \\u{1b}[2J line");
    fs::OpenOptions::new().append(true).open(&later).expect("open").write_all(b"more\n").expect("written");
    assert_eq!(next(), "more");
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
}

#[test]
fn the_service_manager_hears_when_it_is_ready_and_when_it_stops() {
    let operator = Operator::new();
    operator.init();
    let path = operator.path().join("manager");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let hear = || {
        let mut said = [0; 256];
        let length = manager.recv(&mut said).expect("the broker says something");
        String::from_utf8_lossy(&said[..length]).trim().to_owned()
    };
    let mut broker = operator.up_with(&operator.home(), |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    assert_eq!(hear(), "READY=1");
    assert_eq!(operator.json(&["status"])["invite"], broker.invite, "it answers");
    kill_process(Pid::from_child(&broker.child), Signal::TERM).expect("it runs");
    assert_eq!(hear(), "STOPPING=1");
    assert!(broker.child.wait().expect("it ends").success());
}

#[test]
fn the_invite_is_shown_while_it_runs_and_remembered_when_it_does_not() {
    let operator = Operator::new();
    assert_eq!(operator.fails(&["invite"]), (Some(9), "NP-BROKER-020".to_owned()));
    operator.init();
    assert_eq!(operator.fails(&["invite"]), (Some(3), "NP-BROKER-053".to_owned()));
    let mut broker = operator.up(&operator.home());
    assert_eq!(operator.run(&["invite"]).trim(), broker.invite);
    let drawn = operator.run(&["invite", "--qr"]);
    assert!(drawn.lines().count() > 20 && drawn.trim_end().ends_with(&broker.invite), "{drawn}");
    operator.run(&["stop"]);
    assert!(broker.child.wait().expect("it ends").success());
    let view = operator.json(&["invite"]);
    assert_eq!(
        (view["invite"].as_str(), view["running"].as_bool()),
        (Some(broker.invite.as_str()), Some(false))
    );
}

#[test]
fn the_program_tells_about_itself_without_a_home() {
    let operator = Operator::new();
    assert!(operator.run(&["completions", "bash"]).contains("netpay-broker"));
    let man = operator.path().join("man");
    operator.run(&[OsStr::new("man"), man.as_os_str()]);
    assert!(man.join("netpay-broker-ledger-import.1").exists());
    assert!(operator.run(&["explain", "np-broker-024"]).contains("The journal is the truth"));
    assert!(operator.run(&["explain", "NP-DAEMON-002"]).contains("One home serves one peer"));
    assert_eq!(operator.fails(&["explain", "NP-NOTHING-001"]), (Some(2), "NP-BROKER-033".to_owned()));
    assert_eq!(operator.json(&["version"])["program"], "netpay-broker");
    let yes =
        operator.command(&operator.home()).env("NETPAY_JSON", "1").arg("version").output().expect("it runs");
    assert!(yes.stdout.starts_with(b"{"), "a variable says yes as people do");
}

/// A home with the same keys and nothing else.
fn keys_of(operator: &Operator, name: &str) -> std::path::PathBuf {
    let home = operator.path().join(name);
    fs::create_dir(&home).expect("a directory");
    for file in ["config.toml", "broker.key", "identity.key"] {
        fs::copy(operator.home().join(file), home.join(file)).expect("copied");
    }
    home
}

fn import(operator: &Operator, home: &Path, file: &Path) -> (Option<i32>, String) {
    let output =
        operator.command(home).args(["--json", "ledger", "import"]).arg(file).output().expect("it runs");
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap_or_default();
    (output.status.code(), error["error"]["code"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn exported_books_are_imported_whole_or_not_at_all() {
    let operator = Operator::new();
    operator.init();
    let mut broker = operator.up(&operator.home());
    for request in ["a", "b", "c"] {
        operator.run(&["voucher", "new", "25", "--count", "3", "--request", request]);
    }
    let books = operator.run(&["ledger", "export"]);
    operator.run(&["stop"]);
    assert!(broker.child.wait().expect("it ends").success());
    let file = operator.path().join("books");
    let write = |text: &str| fs::write(&file, text).expect("written");
    let home = keys_of(&operator, "again");
    let bad = (Some(7), "NP-BROKER-050".to_owned());

    let lines: Vec<&str> = books.lines().collect();
    assert_eq!(lines.len(), 4);
    let without = |left_out: usize| {
        let kept = lines.iter().enumerate().filter(|(at, _)| *at != left_out);
        kept.map(|(_, line)| format!("{line}\n")).collect::<String>()
    };
    let changed = books.replacen("\"change\":25", "\"change\":26", 1);
    assert_ne!(changed, books);
    for text in [without(3), without(2), without(0), changed, "nonsense\n".to_owned(), String::new()] {
        write(&text);
        assert_eq!(import(&operator, &home, &file), bad, "{text}");
        assert!(!home.join("db").exists() && !home.join("db.import").exists());
    }

    write(&books);
    let other = Operator::new();
    other.init();
    assert_eq!(import(&other, &other.home(), &file), bad, "another broker's");
    // What a break left there is in nobody's way.
    fs::create_dir(home.join("db.import")).expect("a directory");
    fs::write(home.join("db.import/journal"), "half a jour").expect("written");
    assert_eq!(import(&operator, &home, &file), (Some(0), String::new()));
    assert_eq!(import(&operator, &home, &file), (Some(9), "NP-BROKER-051".to_owned()));
    let exported = operator.command(&home).args(["ledger", "export"]).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&exported.stdout), books);
    let mut broker = operator.up_with(&home, |command| {
        command.env("NETPAY_ADOPT", "true");
    });
    assert!(broker.invite.starts_with("netpay://"), "{}", broker.invite);
    broker.child.kill().expect("it runs");
}

/// The town's broker in this process, in a home that commands find.
async fn town_bank(operator: &Operator) -> Running {
    let home = BrokerHome::at(operator.home());
    let mut settings = Settings::new("town", "Town bank", "clerk@example.org");
    settings.denomination = "0.01 EUR".to_owned();
    home.init_with(&settings, &town::broker_key().seed(), &[5; 32]).expect("a new broker");
    let mut config = Config::new(home.path());
    config.listen = Some(vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")]);
    run(config).await.expect("it starts")
}

async fn person(broker: &Running, number: u64, coins: u64) -> Person {
    let person = Person::new(number);
    let reply = broker.bank().answer(person.node.public(), person.register()).await;
    assert!(matches!(reply, BankReply::Account(_)), "{reply:?}");
    if coins > 0 {
        let id = [u8::try_from(number).expect("a small number"); 16];
        let note = Text::cut("cash");
        let credit =
            netpay_broker::ledger::Command::Credit { id, account: person.id(), coins: Coins(coins), note };
        broker.bank().run(credit).await.expect("a credit");
    }
    person
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn disputes_show_both_sides_as_they_were_signed() {
    let operator = Operator::new();
    let broker = town_bank(&operator).await;
    let (ann, vic, una) =
        (person(&broker, 1, 200).await, person(&broker, 2, 0).await, person(&broker, 3, 0).await);
    let mut chains = Vec::new();
    for number in 1..=2 {
        let reply = broker.bank().answer(ann.node.public(), ann.buy(number, 40)).await;
        chains.push(ann.unpack(number, &reply));
    }
    // Of one chain the evidence is brought, of the other two claims show it.
    let (one, other) =
        (vic.claim(&chains[0], 1, (0, 10, 16)).open, una.claim(&chains[0], 1, (0, 10, 16)).open);
    let evidence = Evidence::TwoOpens { touchstone: chains[0].touchstone.wire(), one, other };
    let noted = broker.bank().answer(vic.node.public(), BankRequest::Evidence(evidence.clone())).await;
    assert_eq!(noted, BankReply::Noted);
    for vendor in [&vic, &una] {
        let claim = vendor.claim(&chains[1], 1, (0, 10, 16));
        broker.bank().answer(vendor.node.public(), vendor.redeem(vec![claim])).await;
    }
    let listed = operator.run(&["--json", "disputes", "ls"]);
    let listed: Vec<serde_json::Value> =
        listed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(listed.len(), 2, "{listed:?}");
    for (chain, is_noted) in [(&chains[0], true), (&chains[1], false)] {
        let id = chain.id().to_string();
        let found = listed.iter().find(|view| view["chain"] == id).expect("it is listed");
        assert_eq!(
            (found["accused"].as_str(), found["account"].as_str()),
            (Some("buyer"), Some(&*ann.id().to_string()))
        );
        let shown = operator.json(&["disputes", "show", found["id"].as_str().expect("an id")]);
        let sides = shown["sides"].as_array().expect("a list").iter();
        let holders: Vec<_> = sides.map(|side| side["holder"].as_str().expect("a key").to_owned()).collect();
        assert_eq!(holders, [vic.holder(chain).public().to_string(), una.holder(chain).public().to_string()]);
        let proof = data_encoding::HEXLOWER.decode(shown["evidence"].as_str().expect("there").as_bytes());
        let proof: Evidence = codec::decode(&proof.expect("digits")).expect("evidence");
        let convicted = proof.convicts(&town::network(), &town::broker_key().public());
        assert_eq!(convicted, Some(Culprit::Buyer(chain.id())));
        assert!(!is_noted || proof == evidence);
    }
    let begun = listed[0]["id"].as_str().expect("an id")[..20].to_owned();
    assert!(operator.run(&["disputes", "show", &begun]).contains("for netpay evidence check"));
    assert_eq!(operator.fails(&["disputes", "show", "999"]), (Some(4), "NP-BROKER-026".to_owned()));
    broker.shutdown().await.expect("it stops in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn junk_and_false_accusations_are_told_and_saved_so_that_anybody_can_judge() {
    let operator = Operator::new();
    let broker = town_bank(&operator).await;
    let (ann, vic) = (person(&broker, 1, 200).await, person(&broker, 2, 0).await);
    let bought = ann.unpack(1, &broker.bank().answer(ann.node.public(), ann.buy(1, 40)).await);
    let sale = Sale::of(&vic, &bought, 1, 0);
    let redeem = vic.redeem(vec![sale.claim(&vic, &bought, 12)]);
    broker.bank().answer(vic.node.public(), redeem).await;
    let held = operator.run(&["accounts", "show", &vic.id().to_string()]);
    assert!(held.contains("held") && held.contains("12 of chain"), "{held}");
    assert!(operator.run(&["redemptions", "ls"]).contains("disputable until"));
    for is_right in [true, false] {
        let junk = sale.leaf(&vic, &bought, is_right);
        broker.bank().answer(ann.node.public(), accuses(&ann, junk)).await;
    }
    let listed = operator.run(&["--json", "disputes", "ls"]);
    let listed: Vec<serde_json::Value> =
        listed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let accused: Vec<_> = listed.iter().map(|view| view["accused"].as_str().expect("a word")).collect();
    assert_eq!(accused, ["vendor", "accuser"]);
    let table = operator.run(&["disputes", "ls"]);
    assert!(table.contains("12 void, 0 paid before") && table.contains("10 fee"), "{table}");

    let shown = operator.run(&["disputes", "show", "vendor"]);
    let content = listed[0]["junk"]["content"].as_str().expect("a root").to_owned();
    for word in [&content, &ann.id().to_string(), "it is junk", "coin 5, leads to", "the signed verdict"] {
        assert!(shown.contains(word), "{word} is not told: {shown}");
    }
    let falsely = operator.run(&["disputes", "show", "accuser"]);
    assert!(
        falsely.contains("fee      10") && falsely.contains("the leaf is what the deal says"),
        "{falsely}"
    );

    let save = |args: &[&str]| {
        let file = operator.path().join("saved");
        let path = file.display().to_string();
        operator.run(&[&["disputes", "save", args[0], &path], &args[1..]].concat());
        fs::read(file).expect("a file")
    };
    let judged = |bytes: &[u8]| {
        let junk: Junk = codec::decode(bytes).expect("a proof");
        judge::judge(&town::network(), &bought.touchstone.chain_key, &junk)
    };
    assert_eq!(judged(&save(&["vendor"])).map(|deal| deal.holder), Ok(vic.holder(&bought).public()));
    assert_eq!(judged(&save(&["accuser"])), Err(NotProven::Right));
    let verdict: Unverified<Verdict> = codec::decode(&save(&["vendor", "--verdict"])).expect("a verdict");
    let verdict = verdict.verify(&town::network(), &town::broker_key().public()).expect("the broker's word");
    assert_eq!((verdict.chain, verdict.open), (bought.id(), sale.open.hash()));
    let nothing = operator.path().join("nothing").display().to_string();
    let refused = operator.fails(&["disputes", "save", "accuser", &nothing, "--verdict"]);
    assert_eq!(refused, (Some(4), "NP-BROKER-026".to_owned()));
    broker.shutdown().await.expect("it stops in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn payouts_to_an_iban_become_one_transfer_order() {
    let operator = Operator::new();
    let broker = town_bank(&operator).await;
    let ann = person(&broker, 1, 2000).await;
    let from = ["payouts", "export", "--format", "pain.001", "--from", "DE89370400440532013000"];
    assert_eq!(operator.fails(&from), (Some(6), "NP-BROKER-052".to_owned()), "there is nothing to pay");
    for (number, coins, to) in [(1, 1234, "GB82 WEST 1234 5698 7654 32"), (2, 5, "under the mat")] {
        let to = Text::cut(to);
        let ask = netpay_broker::ledger::Command::AskPayout {
            id: (ann.id(), [number; 16]),
            coins: Coins(coins),
            to,
        };
        broker.bank().run(ask).await.expect("she has as much");
    }
    let order = operator.json(&from);
    assert_eq!((order["transfers"].as_u64(), order["sum"].as_str()), (Some(1), Some("12.34")));
    assert_eq!(order["left_out"].as_array().map(Vec::len), Some(1));
    let xml = operator.run(&from);
    let message = order["message"].as_str().expect("an id");
    assert!(
        xml.contains("pain.001.001.09") && xml.contains(message) && xml.contains("<Nm>Ann</Nm>"),
        "{xml}"
    );
    operator.run(&["payouts", "paid", &ann.id().to_string(), &"01".repeat(16), "--reference", "R1"]);
    assert_eq!(
        operator.fails(&from),
        (Some(6), "NP-BROKER-052".to_owned()),
        "only what goes to no IBAN is left"
    );
    broker.shutdown().await.expect("it stops in order");
}

#[test]
fn the_units_are_such_as_the_system_takes() {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operate");
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["netpay.service", "netpay-broker.service"] {
        let unit = fs::read_to_string(units.join(name)).expect("a unit");
        let copy = directory.path().join(name);
        // The programs are not installed here.
        fs::write(&copy, unit.replace("ExecStart=/usr/local/bin/", "ExecStart=/bin/true ")).expect("written");
        let Ok(checked) = Command::new("systemd-analyze").arg("verify").arg(&copy).output() else {
            return println!("no systemd-analyze on this machine");
        };
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(checked.status.success() && !said.contains(name), "{said}");
    }
}
