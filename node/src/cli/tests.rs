//! The command as it is typed: every flag has its variable, every code its way to come about.

mod with_a_peer;

use super::args::Args;
use super::interrupt::Watch;
use super::{run, show};
use crate::app::start;
use crate::errors::{self, exit};
use crate::home::Home;
use clap::{CommandFactory as _, Parser as _};
use netpay_core::keys::SecretKey;
use std::collections::BTreeMap;
use std::path::Path;

const PEER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

fn every_command(command: &clap::Command, path: &str, all: &mut Vec<(String, clap::Command)>) {
    let path = format!("{path} {}", command.get_name());
    all.push((path.trim().to_owned(), command.clone()));
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        every_command(inner, &path, all);
    }
}

fn commands() -> Vec<(String, clap::Command)> {
    let mut whole = Args::command();
    whole.build();
    let mut all = Vec::new();
    every_command(&whole, "", &mut all);
    all
}

#[test]
fn the_arguments_make_sense() {
    Args::command().debug_assert();
}

#[test]
fn every_flag_has_a_variable_and_no_variable_two_meanings() {
    let mut meanings = BTreeMap::<String, String>::new();
    for (path, command) in commands() {
        for flag in command.get_arguments().filter(|arg| !arg.is_positional()) {
            let long =
                flag.get_long().unwrap_or_else(|| panic!("{path}: {} has no long form", flag.get_id()));
            if matches!(long, "help" | "version") {
                continue;
            }
            let variable = flag.get_env().unwrap_or_else(|| panic!("{path} --{long} has no variable"));
            let variable = variable.to_string_lossy().into_owned();
            let name = variable.strip_prefix("NETPAY_").unwrap_or_else(|| panic!("{path}: {variable}"));
            assert!(name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{path}: {variable}");
            let before = meanings.insert(variable.clone(), long.to_owned());
            assert!(before.is_none_or(|before| before == long), "{variable} is --{long}, too");
        }
    }
    assert!(meanings.len() > 25, "only {} flags were seen", meanings.len());
}

#[test]
fn a_secret_is_no_argument() {
    for (path, command) in commands() {
        for arg in command.get_arguments() {
            let id = arg.get_id().as_str();
            let secret =
                ["passphrase", "password", "token", "secret", "voucher"].iter().any(|it| id.contains(it));
            let harmless = id.ends_with("_file") || !arg.get_action().takes_values();
            assert!(!secret || harmless, "{path}: {id} takes a secret");
        }
    }
}

#[test]
fn every_command_says_what_it_is_for() {
    for (path, command) in commands() {
        assert!(command.get_about().is_some(), "{path} has no help");
        for arg in command.get_arguments().filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"))
        {
            assert!(arg.get_help().is_some(), "{path}: {} has no help", arg.get_id());
        }
    }
}

/// The exit code of a command, as the process would end with it.
fn ends(home: &Path, args: &[&str]) -> u8 {
    let line = ["netpay", "--home", &home.to_string_lossy(), "--quiet", "--no-input"];
    match Args::try_parse_from(line.iter().chain(args)) {
        Err(error) => {
            if error.use_stderr() {
                exit::USAGE
            } else {
                exit::OK
            }
        }
        Ok(args) => run(args, Watch::none()).map_or_else(|error| error.exit, |()| exit::OK),
    }
}

#[test]
fn every_exit_code_that_needs_nobody_else_comes_about() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let key = SecretKey::from_seed(&[1; 32]).public();
    let invite = format!("netpay://{key}@town/ip4/127.0.0.1/tcp/9/p2p/{PEER}");
    let home = path("home");
    let made = ["init", "--broker", &invite, "--insecure-no-passphrase"];
    assert_eq!(ends(&home, &made), exit::OK);
    let nonsense = path("nonsense");
    std::fs::write(&nonsense, "nonsense").expect("written");
    let paper = nonsense.to_string_lossy().into_owned();
    let other = invite.replace("@town/", "@village/");
    let bad = path("bad");
    start::init(&Home::at(&bad), None).expect("a home");
    std::fs::write(bad.join("config.toml"), "lisen = 1\n").expect("written");
    let missing = path("missing").to_string_lossy().into_owned();

    let cases: &[(&Path, &[&str], u8)] = &[
        (&home, &["version"], exit::OK),
        (&home, &["--help"], exit::OK),
        (&home, &["nonsense"], exit::USAGE),
        (&home, &["share", "add", "x"], exit::USAGE),
        (&home, &made, exit::USAGE),
        (&home, &["up", "--join", "nonsense"], exit::USAGE),
        (&path("new"), &["init"], exit::USAGE),
        (&home, &["status"], exit::DAEMON),
        (&home, &["wallet", "payout", "5", "-y"], exit::DAEMON),
        (&home, &["receipt", "ls"], exit::DAEMON),
        (&home, &["get", "1", "-y"], exit::DAEMON),
        (&home, &["receipt", "check", &missing], exit::NOT_FOUND),
        (&home, &["evidence", "check", &missing], exit::NOT_FOUND),
        (&home, &["receipt", "check", &paper], exit::VERIFICATION),
        (&home, &["evidence", "check", &paper], exit::VERIFICATION),
        (&home, &["config", "get", "lisen"], exit::CONFIG),
        (&home, &["config", "set", "p0", "0"], exit::CONFIG),
        (&home, &["up", "--join", &other], exit::CONFIG),
        (&bad, &["up"], exit::CONFIG),
        (&path("new"), &["up"], exit::CONFIG),
        (&path("new"), &["doctor"], exit::OTHER),
    ];
    for (home, args, code) in cases {
        assert_eq!(ends(home, args), *code, "{args:?}");
    }
    assert!(!path("new").exists(), "what failed made a home");
}

#[test]
fn an_error_is_one_object_for_programs_and_lines_for_people() {
    let error = errors::declined();
    let object: serde_json::Value =
        serde_json::from_str(&show::error_text(&error, true, true)).expect("JSON");
    assert_eq!(object["error"]["code"], "NP-LIMIT-002");
    assert_eq!(object["error"]["exit"], exit::LIMIT);
    let text = show::error_text(&error, false, false);
    assert!(text.starts_with("error: declined\n") && text.contains("\n  fix: "), "{text}");
    assert!(show::error_text(&error, false, true).starts_with("\u{1b}[1;31merror:\u{1b}[0m declined\n"));
}

#[test]
fn colours_are_as_they_are_asked_for() {
    let screen = |value: &str| {
        let args = Args::try_parse_from(["netpay", "status", "--color", value]).expect("arguments");
        args.global.color.of_screen()
    };
    assert!(screen("always") && !screen("never"));
}

#[test]
fn man_pages_of_a_peer_and_of_a_broker_lie_side_by_side() {
    let directory = tempfile::tempdir().expect("a directory");
    assert_eq!(ends(directory.path(), &["man", &directory.path().join("man").to_string_lossy()]), exit::OK);
    let pages = std::fs::read_dir(directory.path().join("man")).expect("pages");
    let names = pages.map(|page| page.expect("a page").file_name().to_string_lossy().into_owned());
    let names: Vec<String> = names.collect();
    assert!(names.iter().any(|name| name == "netpay-peer-broker-register.1"), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("netpay-broker")), "{names:?}");
}
