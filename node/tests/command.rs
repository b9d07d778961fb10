//! The command as a process: what goes where, what the environment says, and how it ends when it is interrupted.

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long something is waited for that comes at once.
const SOON: Duration = Duration::from_secs(60);

fn netpay(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netpay"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NETPAY_")) {
        command.env_remove(name);
    }
    command.env("NETPAY_HOME", home).stdin(Stdio::null());
    command
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, signal).expect("it runs");
}

#[test]
fn with_json_results_go_to_stdout_and_an_error_is_one_object_on_stderr() {
    let home = tempfile::tempdir().expect("a directory");
    let good = netpay(home.path()).args(["version", "--json"]).output().expect("it runs");
    let (out, err) = said(&good);
    assert!(good.status.success() && err.is_empty(), "{err}");
    let version: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(version["protocol"], 1);
    assert!(version["target"].as_str().is_some_and(|target| target.contains('-')), "{version}");

    let bad = netpay(home.path()).args(["status", "--json"]).output().expect("it runs");
    let (out, err) = said(&bad);
    assert_eq!((bad.status.code(), out.as_str()), (Some(3), ""));
    let error: serde_json::Value = serde_json::from_str(&err).expect("one object");
    assert_eq!(error["error"]["code"], "NP-DAEMON-001");
    assert_eq!(error["error"]["exit"], 3);
}

#[test]
fn a_variable_says_what_its_flag_says() {
    let home = tempfile::tempdir().expect("a directory");
    let version = |value: &str| {
        let output = netpay(home.path()).arg("version").env("NETPAY_JSON", value).output().expect("it runs");
        assert!(output.status.success(), "NETPAY_JSON={value}: {:?}", said(&output));
        said(&output).0.starts_with('{')
    };
    for yes in ["1", "true", "yes", "on"] {
        assert!(version(yes), "{yes}");
    }
    for no in ["0", "false", "no", ""] {
        assert!(!version(no), "{no}");
    }
    let key = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
    let invite = format!(
        "netpay://{key}@town/ip4/127.0.0.1/tcp/9/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
    );
    let made = netpay(home.path())
        .arg("init")
        .env("NETPAY_BROKER", &invite)
        .env("NETPAY_NAME", "ann")
        .env("NETPAY_INSECURE_NO_PASSPHRASE", "1")
        .output()
        .expect("it runs");
    assert!(made.status.success(), "{:?}", said(&made));
    let written = std::fs::read_to_string(home.path().join("config.toml")).expect("readable");
    assert!(written.contains(&invite) && written.contains("name = \"ann\""), "{written}");
    let other = invite.replace("@town/", "@village/");
    let refused = netpay(home.path()).arg("up").env("NETPAY_JOIN", other).output().expect("it runs");
    assert_eq!(refused.status.code(), Some(9), "{:?}", said(&refused));
}

#[test]
fn every_command_has_its_man_page() {
    let home = tempfile::tempdir().expect("a directory");
    let pages = home.path().join("man");
    let written = netpay(home.path()).arg("man").arg(&pages).output().expect("it runs");
    assert!(written.status.success(), "{:?}", said(&written));
    for page in
        ["netpay.1", "netpay-up.1", "netpay-receipt-check.1", "netpay-wallet-payout.1", "netpay-version.1"]
    {
        assert!(pages.join(page).exists(), "{page}");
    }
}

/// A peer that takes the question and never answers; the command waits.
fn waits(home: &Path) -> (Child, TcpListener, std::net::TcpStream) {
    let hung = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = hung.local_addr().expect("bound").to_string();
    std::fs::write(home.join("api-address"), address).expect("written");
    std::fs::write(home.join("api-token"), "token").expect("written");
    let command = netpay(home).arg("status").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let command = command.expect("it runs");
    let (mut asked, _) = hung.accept().expect("it asks");
    let mut begun = [0; 4];
    asked.read_exact(&mut begun).expect("it asks");
    assert_eq!(&begun, b"GET ");
    (command, hung, asked)
}

#[test]
fn a_command_that_waits_ends_with_130_after_an_interrupt_and_with_143_when_told_to_end() {
    for (with, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let home = tempfile::tempdir().expect("a directory");
        let (command, _hung, _asked) = waits(home.path());
        signal(&command, with);
        let ended = command.wait_with_output().expect("it ends");
        let (out, err) = said(&ended);
        assert_eq!((ended.status.code(), out.as_str()), (Some(code), ""), "{err}");
        assert!(err.contains("error: interrupted") && err.contains("NP-INTERNAL-002"), "{err}");
    }
}

/// A terminal of one's own.
struct Terminal {
    keyboard: File,
    screen: File,
}

impl Terminal {
    fn new() -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&keyboard).expect("granted");
        unlockpt(&keyboard).expect("unlocked");
        let name = ptsname(&keyboard, Vec::new()).expect("a name");
        let name = name.to_str().expect("a path");
        // Opened without becoming this process's own: a test runner has none of its own, perhaps.
        let flags = i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).expect("small");
        use std::os::unix::fs::OpenOptionsExt as _;
        let screen = OpenOptions::new().read(true).write(true).custom_flags(flags).open(name);
        Self { keyboard: File::from(keyboard), screen: screen.expect("opened") }
    }

    fn shows_what_is_typed(&self) -> bool {
        tcgetattr(&self.screen).expect("a terminal").local_modes.contains(LocalModes::ECHO)
    }

    /// Runs the command in a session of its own, with this as its terminal.
    fn runs(&self, home: &Path, args: &[&str]) -> Child {
        let stdio = || Stdio::from(self.screen.try_clone().expect("cloned"));
        let whole = netpay(home);
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(whole.get_program()).args(args);
        for (name, value) in whole.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        session.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().expect("util-linux has setsid")
    }

    /// Reads until that was printed.
    fn prints(&mut self, what: &str) {
        let mut seen = String::new();
        while !seen.contains(what) {
            let mut some = [0; 256];
            let many = self.keyboard.read(&mut some).unwrap_or_else(|e| panic!("{e} after {seen:?}"));
            seen.push_str(&String::from_utf8_lossy(&some[..many]));
        }
    }

    /// Waits until a prompt hides what is typed, which no event tells.
    fn hides_what_is_typed(&self) {
        let begun = Instant::now();
        while self.shows_what_is_typed() {
            assert!(begun.elapsed() < SOON, "the prompt shows what is typed");
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_prompt_that_is_interrupted_leaves_the_terminal_as_it_found_it() {
    type Interrupt = fn(&mut Terminal, &Child);
    let ways: [(Interrupt, i32); 3] = [
        (|terminal, _| terminal.keyboard.write_all(b"abc\x03").expect("typed"), 130),
        (|_, command| signal(command, Signal::INT), 130),
        (|_, command| signal(command, Signal::TERM), 143),
    ];
    for (interrupt, code) in ways {
        let home = tempfile::tempdir().expect("a directory");
        let mut terminal = Terminal::new();
        assert!(terminal.shows_what_is_typed());
        let mut command = terminal.runs(&home.path().join("new"), &["init"]);
        terminal.prints("passphrase for the wallet");
        terminal.hides_what_is_typed();
        interrupt(&mut terminal, &command);
        assert_eq!(command.wait().expect("it ends").code(), Some(code));
        assert!(terminal.shows_what_is_typed(), "what is typed stays hidden");
        assert!(!home.path().join("new").exists(), "a home was made without an answer");
    }
}

#[test]
fn a_new_passphrase_is_asked_for_twice() {
    let home = tempfile::tempdir().expect("a directory");
    let new = home.path().join("new");
    let mut terminal = Terminal::new();
    for (first, second, code) in
        [("correct horse", "correct house", 2), ("correct horse", "correct horse", 0)]
    {
        let mut command = terminal.runs(&new, &["init"]);
        terminal.prints("passphrase for the wallet");
        terminal.hides_what_is_typed();
        terminal.keyboard.write_all(format!("{first}\n").as_bytes()).expect("typed");
        terminal.prints("The same again");
        terminal.hides_what_is_typed();
        terminal.keyboard.write_all(format!("{second}\n").as_bytes()).expect("typed");
        assert_eq!(command.wait().expect("it ends").code(), Some(code));
        assert_eq!(new.join("identity.key").exists(), code == 0);
    }
}
