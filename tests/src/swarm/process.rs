//! The processes of a swarm: this binary, started again as a peer or a broker.
//!
//! A process is only ever signalled when its number and the time it began are those that were noted when it was started:
//! numbers are given out again.

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The hidden word that makes this binary a peer.
pub const PEER: &str = "__peer";
/// The hidden word that makes it a broker.
pub const BROKER: &str = "__broker";
/// Set to the number of the process that started it, a process ends with that one.
const ATTACHED: &str = "NETPAY_SWARM_PARENT";
/// How long a process that was told to stop may take.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// How processes are started: which binary, and whether they outlive the one that starts them.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    attached: bool,
    tough: bool,
}

/// A process that was started, as it can be found again from another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its number.
    pub pid: u32,
    /// When it began, as the system tells it.
    began: String,
}

impl Program {
    /// The binary at that path. What it starts ends with the process, and the thread, that started it.
    #[must_use]
    pub fn attached(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), attached: true, tough: false }
    }

    /// This binary. What it starts goes on until it is stopped.
    ///
    /// # Errors
    /// If the system does not tell where this binary is.
    pub fn detached() -> Result<Self> {
        Ok(Self { path: this_binary()?, attached: false, tough: false })
    }

    /// This binary; what it starts ends with it.
    ///
    /// # Errors
    /// If the system does not tell where this binary is.
    pub fn this() -> Result<Self> {
        Ok(Self::attached(this_binary()?))
    }

    /// The same, but what it starts takes a file that may not grow any more for an error, as on a full disk, and does
    /// not end for it ([`Running::cramp`]).
    #[must_use]
    pub fn tough(self) -> Self {
        Self { tough: true, ..self }
    }

    /// A command of the peer or broker (`role`) of that home. The user's own settings are left out of it.
    #[must_use]
    pub fn command(&self, role: &str, home: &Path) -> Command {
        let mut command = if self.tough {
            // What a shell ignores stays ignored in what it becomes.
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(&self.path);
            shell
        } else {
            Command::new(&self.path)
        };
        command.arg(role).arg("--home").arg(home).stdin(Stdio::null());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NETPAY_"))
        {
            command.env_remove(name);
        }
        if self.attached {
            command.env(ATTACHED, std::process::id().to_string());
        }
        command
    }

    /// Runs a command to its end and gives back what it printed.
    ///
    /// # Errors
    /// If it cannot be started, or ends with another code than 0.
    pub fn output(&self, role: &str, home: &Path, args: &[&str]) -> Result<String> {
        let mut command = self.command(role, home);
        let said = args.join(" ");
        let output = command.args(args).output().with_context(|| format!("running {said}"))?;
        if !output.status.success() {
            bail!("`{said}` in {} ended with {}: {}", home.display(), output.status, text(&output.stderr));
        }
        Ok(text(&output.stdout))
    }

    /// Starts the daemon of a home. Everything it says goes to `log`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn daemon(&self, role: &str, home: &Path, args: &[OsString], log: &Path) -> Result<(Child, Running)> {
        let mut command = self.command(role, home);
        let out = append(log)?;
        let errors = out.try_clone().context("the log")?;
        command.arg("up").args(args).stdout(out).stderr(errors).env("TOKIO_WORKER_THREADS", "2");
        if !self.attached {
            use std::os::unix::process::CommandExt as _;
            // ^C in the terminal that started the swarm is not meant for it.
            command.process_group(0);
        }
        let child = command.spawn().with_context(|| format!("starting {}", self.path.display()))?;
        let pid = child.id();
        let began =
            began(pid).with_context(|| format!("process {pid} ended at once; see {}", log.display()))?;
        Ok((child, Running { pid, began }))
    }
}

impl Running {
    /// Whether it still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        began(self.pid).is_some_and(|began| began == self.began)
    }

    /// Ends it as a power cut would.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Has it do nothing any more, and not say so: whoever asks it something waits.
    pub fn hang(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on where it hung.
    pub fn wake(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to stop.
    pub fn ask_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits until it is gone.
    ///
    /// # Errors
    /// If it takes too long.
    pub async fn gone(&self) -> Result<()> {
        let what = format!("process {} to end", self.pid);
        super::until(&what, STOP_WITHIN, async || Ok((!self.is_alive()).then_some(()))).await
    }

    /// Lets no file of it grow beyond `largest` bytes from now on, as if the disk were full; `None` makes room again.
    ///
    /// # Errors
    /// If the system does not allow it.
    #[cfg(target_os = "linux")]
    pub fn cramp(&self, largest: Option<u64>) -> Result<()> {
        use rustix::process::{Resource, Rlimit, prlimit};
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).filter(|_| self.is_alive());
        let pid = pid.with_context(|| format!("process {} is gone", self.pid))?;
        let limit = Rlimit { current: largest, maximum: None };
        prlimit(Some(pid), Resource::Fsize, limit).map(drop).context("limiting a process")
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| self.is_alive()) {
            // It may have ended by itself between the look and the signal: then there is nothing to do.
            let _ = kill_process(pid, signal);
        }
    }
}

/// To be called first in a process of a swarm: it ends with the one that started it, if that one wants so.
pub fn end_with_parent() {
    let parent = std::env::var(ATTACHED).ok().and_then(|pid| pid.parse::<i32>().ok()).and_then(Pid::from_raw);
    if let Some(parent) = parent {
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
            tracing::warn!(%error, "this process may outlive the swarm");
        }
        // It may have ended before the line above.
        if rustix::process::getppid() != Some(parent) {
            std::process::exit(1);
        }
    }
}

fn this_binary() -> Result<PathBuf> {
    std::env::current_exe().context("where this program is")
}

fn append(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("opening {}", path.display()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// When a process began; `None` if it is gone, or dead and not yet collected.
#[cfg(target_os = "linux")]
fn began(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything: fields are counted from behind it.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    let began = fields.nth(18)?;
    (!matches!(state, "Z" | "X")).then(|| began.to_owned())
}

#[cfg(not(target_os = "linux"))]
fn began(pid: u32) -> Option<String> {
    let output = Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).output().ok()?;
    let line = text(&output.stdout);
    let (state, began) = line.split_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| began.trim().to_owned())
}
