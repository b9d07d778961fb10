//! ^C and SIGTERM while a command works, waits or asks: it ends at once, with the terminal as it was found.
//!
//! Prompts and disk work hold up the thread that the command runs on, so signals are waited for on another.

use super::args::Global;
use super::show;
use crate::errors::{self, exit};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::io::IsTerminal as _;
use std::thread;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// The exit code after SIGTERM, as a shell would tell it.
const TERMINATED: u8 = 143;

/// Waits for signals until they are handed over.
pub struct Watch(Option<(oneshot::Sender<()>, thread::JoinHandle<()>)>);

impl Watch {
    /// Begins to wait; when this returns no signal is missed any more. Where that is not possible a signal ends the
    /// process as it ends any other.
    pub fn begin(global: &Global) -> Self {
        let global = global.clone();
        let terminal = Terminal::now();
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let wait = async move {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return None;
            };
            let _ = ready.send(());
            tokio::select! {
                _ = interrupt.recv() => Some(exit::INTERRUPTED),
                _ = terminate.recv() => Some(TERMINATED),
                Ok(()) = stopped => None,
            }
        };
        let watch = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Some(code) = runtime.ok().and_then(|runtime| runtime.block_on(wait)) {
                end(terminal.as_ref(), &global, code);
            }
        };
        let thread = thread::Builder::new().name("signals".to_owned()).spawn(watch);
        // If the other side is gone without a word there is nothing to wait for.
        let _ = is_ready.recv();
        Self(thread.ok().map(|thread| (stop, thread)))
    }

    /// Waits for nothing.
    #[cfg(test)]
    pub const fn none() -> Self {
        Self(None)
    }

    /// Leaves signals to somebody else, who waits for them already.
    pub fn hand_over(self) {
        if let Some((stop, thread)) = self.0 {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

/// Ends the process. What is written is written whole or not at all, so it may end anywhere.
fn end(terminal: Option<&Terminal>, global: &Global, code: u8) -> ! {
    if let Some(terminal) = terminal {
        terminal.restore();
    }
    if std::io::stderr().is_terminal() {
        // Behind a question or a bar.
        show::note("");
    }
    show::error(&errors::interrupted(), global);
    std::process::exit(code.into())
}

/// The terminal of this process, and how it was when the command began.
struct Terminal {
    file: File,
    found: Termios,
}

impl Terminal {
    fn now() -> Option<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
        let found = tcgetattr(&file).ok()?;
        Some(Self { file, found })
    }

    /// Shows again what is typed, if a prompt hid it.
    fn restore(&self) {
        let shown = |modes: LocalModes| modes & (LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        let differs = |now: Termios| shown(now.local_modes) != shown(self.found.local_modes);
        // Setting it needlessly would stop a process in the background.
        if tcgetattr(&self.file).is_ok_and(differs) {
            let _ = tcsetattr(&self.file, OptionalActions::Now, &self.found);
        }
    }
}
