//! The operator of a broker, with real processes.
#![allow(dead_code, reason = "each test does its own part of the work")]

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_netpay-broker");

/// An operator and the home of the broker.
pub struct Operator {
    directory: tempfile::TempDir,
}

/// A broker that runs; killed if the test forgets it.
pub struct Broker {
    pub child: Child,
    _stdout: BufReader<ChildStdout>,
    pub invite: String,
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended in order before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Operator {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn home(&self) -> PathBuf {
        self.directory.path().join("bank")
    }

    pub fn command(&self, home: &Path) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("--home").arg(home).env_remove("NETPAY_HOME");
        command
    }

    pub fn try_run<S: AsRef<OsStr>>(&self, args: &[S]) -> Output {
        self.command(&self.home()).args(args).output().expect("it runs")
    }

    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> String {
        let output = self.try_run(args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.run(&[&["--json"], args].concat())).expect("JSON")
    }

    /// The exit code and the error's code.
    pub fn fails(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = self.try_run(&[&["--json"], args].concat());
        assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
        let error = String::from_utf8_lossy(&output.stderr);
        let error = error.lines().rev().find_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let code = error.and_then(|error| error["error"]["code"].as_str().map(str::to_owned));
        (output.status.code(), code.unwrap_or_default())
    }

    pub fn init(&self) {
        self.run(&["init", "--name", "Town bank", "--contact", "clerk@example.org", "--network", "town"]);
    }

    pub fn up(&self, home: &Path) -> Broker {
        self.up_with(home, |_| {})
    }

    /// As [`Operator::up`], after `more` was said.
    pub fn up_with(&self, home: &Path, more: impl FnOnce(&mut Command)) -> Broker {
        let mut command = self.command(home);
        more(&mut command);
        command.args(["up", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it runs");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut invite = String::new();
        stdout.read_line(&mut invite).expect("the invite");
        Broker { child, _stdout: stdout, invite: invite.trim().to_owned() }
    }
}
