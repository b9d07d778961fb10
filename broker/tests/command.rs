//! The operator at the command line, with real processes.

mod operator;

use operator::Operator;
use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

#[test]
fn the_operator_makes_a_broker_runs_it_sells_vouchers_and_stops_it() {
    let operator = Operator::new();
    assert_eq!(operator.fails(&["up"]), (Some(9), "NP-BROKER-020".to_owned()));
    operator.init();
    let again = operator.fails(&["init", "--name", "n", "--contact", "c"]);
    assert_eq!(again, (Some(9), "NP-BROKER-021".to_owned()));
    assert_eq!(operator.fails(&["status"]), (Some(3), "NP-BROKER-022".to_owned()));

    let mut broker = operator.up(&operator.home());
    assert!(
        broker.invite.starts_with("netpay://") && broker.invite.contains("@town/ip4/127.0.0.1/tcp/"),
        "{}",
        broker.invite
    );
    assert_eq!(operator.fails(&["up"]), (Some(3), "NP-DAEMON-002".to_owned()));
    let vouchers = operator.run(&["voucher", "new", "25", "--count", "3", "--request", "first batch"]);
    assert_eq!(vouchers.lines().count(), 3);
    assert_eq!(operator.run(&["voucher", "new", "25", "--count", "3", "--request", "first batch"]), vouchers);
    let status = operator.json(&["status"]);
    assert_eq!(status["invite"], broker.invite);
    assert_eq!(
        (status["books"]["vouchers"].as_i64(), status["books"]["balance"].as_bool()),
        (Some(75), Some(true))
    );
    assert!(operator.run(&["status"]).contains("✓ the books balance"));
    assert_eq!(operator.fails(&["accounts", "show", "ab"]), (Some(4), "NP-BROKER-026".to_owned()));
    assert_eq!(operator.fails(&["voucher", "new", "0"]), (Some(6), "NP-BROKER-025".to_owned()));
    assert_eq!(operator.try_run(&["voucher", "new", "x"]).status.code(), Some(2));
    assert_eq!(operator.json(&["ledger", "check"])["books"]["vouchers"], 75);
    for list in [["accounts", "ls"], ["chains", "ls"], ["redemptions", "ls"]] {
        operator.run(&list);
    }
    assert_eq!(operator.run(&["payouts", "export"]).trim(), "number,account,coins,to,asked,paid,reference");

    let backup = operator.path().join("saved");
    operator.run(&[OsStr::new("backup"), backup.as_os_str()]);
    let before = operator.run(&["ledger", "export"]);
    operator.run(&["stop"]);
    assert!(broker.child.wait().expect("it ends").success());
    // The same from the home alone.
    assert_eq!(operator.run(&["ledger", "export"]), before);
    assert_eq!(operator.json(&["ledger", "check"])["books"]["vouchers"], 75);
    assert_eq!(operator.fails(&["status"]), (Some(3), "NP-BROKER-022".to_owned()));
    restored(&operator, &backup, &before);
}

fn restored(operator: &Operator, backup: &Path, journal: &str) {
    let home = operator.path().join("restored");
    let run = |args: &[&OsStr]| operator.command(&home).args(args).output().expect("it runs");
    assert!(run(&[OsStr::new("restore"), backup.as_os_str()]).status.success());
    assert_eq!(String::from_utf8_lossy(&run(&["ledger".as_ref(), "export".as_ref()]).stdout), journal);
    assert_eq!(
        run(&[OsStr::new("restore"), backup.as_os_str()]).status.code(),
        Some(9),
        "there is one already"
    );
    let mut bytes = std::fs::read(backup).expect("a backup");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let bent = operator.path().join("bent");
    std::fs::write(&bent, bytes).expect("written");
    let other = operator.path().join("other");
    let output = operator.command(&other).arg("restore").arg(bent).output().expect("it runs");
    assert_eq!((output.status.code(), other.exists()), (Some(7), false));
}

#[cfg(unix)]
#[test]
fn the_system_ends_it_in_order() {
    let operator = Operator::new();
    operator.init();
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let mut broker = operator.up(&operator.home());
        let pid = rustix::process::Pid::from_child(&broker.child);
        rustix::process::kill_process(pid, signal).expect("it runs");
        assert!(broker.child.wait().expect("it ends").success());
        assert!(!operator.home().join("api-address").exists());
    }
}

#[test]
fn a_second_broker_is_told_who_holds_the_home_and_changes_nothing_in_it() {
    let operator = Operator::new();
    operator.init();
    let broker = operator.up(&operator.home());
    let address = || std::fs::read_to_string(operator.home().join("api-address")).expect("an address");
    let before = address();
    let second = operator.try_run(&["up", "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(3), "{said}");
    for part in ["NP-DAEMON-002", "netpay-broker stop", &format!("process {}", broker.child.id())] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert_eq!(address(), before);
    operator.run(&["status"]);
}

#[test]
fn the_api_answers_only_to_the_token_and_only_under_a_loopback_name() {
    let operator = Operator::new();
    operator.init();
    let _broker = operator.up(&operator.home());
    let address = std::fs::read_to_string(operator.home().join("api-address")).expect("an address");
    let token = std::fs::read_to_string(operator.home().join("api-token")).expect("a token");
    let ask = |host: &str, token: &str| {
        let mut stream = TcpStream::connect(address.trim()).expect("it answers");
        let request = format!(
            "GET /api/v1/status HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("a reply");
        let status = reply.split(' ').nth(1).map(str::to_owned);
        (status.unwrap_or_default(), reply.contains("application/problem+json"))
    };
    assert_eq!(ask(address.trim(), token.trim()), ("200".to_owned(), false));
    assert_eq!(ask("localhost", token.trim()), ("200".to_owned(), false));
    assert_eq!(ask("evil.example", token.trim()), ("403".to_owned(), true));
    assert_eq!(ask(address.trim(), "guess"), ("401".to_owned(), true));
    assert_eq!(ask(address.trim(), ""), ("401".to_owned(), true));
    let other = Operator::new();
    other.init();
    let refused = other.fails(&["up", "--listen", "127.0.0.1:0", "--api", "0.0.0.0:0"]);
    assert_eq!(refused, (Some(1), "NP-BROKER-027".to_owned()));
}
