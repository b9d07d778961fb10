//! Swarms of real processes on loopback: a broker and peers, each with a home of its own in one directory.
//!
//! Nothing waits for a time to pass: whoever waits asks again and again for what it waits for, until it is there or a
//! generous limit is over ([`until`]).

pub mod api;
pub mod broker;
pub mod goods;
pub mod peer;
pub mod process;
pub mod state;

use anyhow::{Context as _, Result, bail};
use broker::Broker;
use peer::Peer;
use process::{Program, Running};
use state::{Member, State};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

/// What the broker of a swarm is called.
pub const BROKER: &str = "broker";
/// The directory, unless another one is given.
pub const DIRECTORY: &str = "netpay-swarm";
/// The most peers that a swarm can have.
pub const MAX_PEERS: usize = 500;
/// How often is asked for what is waited for.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// How long a process may take to start.
const START_WITHIN: Duration = Duration::from_secs(60);
/// How long peers may take to find each other.
const MEET_WITHIN: Duration = Duration::from_secs(60);

/// A swarm.
#[derive(Debug)]
pub struct Swarm {
    directory: PathBuf,
    program: Program,
    state: State,
    children: BTreeMap<String, Child>,
    /// Whether its processes end with this value.
    ends: bool,
    _temporary: Option<tempfile::TempDir>,
}

impl Swarm {
    /// A new swarm in an empty or new directory, with a broker that runs and no peers yet. Its processes end with it.
    ///
    /// # Errors
    /// If there is a swarm already, or the broker does not start.
    pub async fn new(directory: &Path, program: Program, seed: u64) -> Result<Self> {
        Self::with_broker(directory, program, seed, &[]).await
    }

    /// As [`Swarm::new`], with more options for the broker's `init`.
    ///
    /// # Errors
    /// As there.
    pub async fn with_broker(
        directory: &Path,
        program: Program,
        seed: u64,
        options: &[&str],
    ) -> Result<Self> {
        if State::load(directory)?.is_some() {
            bail!(
                "there is a swarm in {} already: end it first with `netpay-swarm down`",
                directory.display()
            );
        }
        std::fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
        let directory = directory.canonicalize()?;
        let state = State { seed, ..State::default() };
        let mut swarm =
            Self { directory, program, state, children: BTreeMap::new(), ends: true, _temporary: None };
        let home = swarm.directory.join(BROKER);
        broker::init(&swarm.program, &home, options)?;
        swarm.state.members.insert(BROKER.to_owned(), Member { home, process: None });
        swarm.start(BROKER).await?;
        Ok(swarm)
    }

    /// A new swarm in a directory of its own that is removed with it.
    ///
    /// # Errors
    /// If the broker does not start.
    pub async fn temporary(program: Program, seed: u64) -> Result<Self> {
        let temporary = tempfile::Builder::new().prefix("netpay-swarm-").tempdir()?;
        let mut swarm = Self::new(temporary.path(), program, seed).await?;
        swarm._temporary = Some(temporary);
        Ok(swarm)
    }

    /// The swarm that another invocation left in that directory.
    ///
    /// # Errors
    /// If there is none.
    pub fn open(directory: &Path, program: Program) -> Result<Self> {
        let found = State::load(directory)?;
        let state = found.with_context(|| {
            format!(
                "there is no swarm in {}: start one with `netpay-swarm up --peers 8`",
                directory.display()
            )
        })?;
        let directory = directory.canonicalize()?;
        Ok(Self { directory, program, state, children: BTreeMap::new(), ends: false, _temporary: None })
    }

    /// Adds a peer and starts it. It knows the broker and has no account yet.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn add(&mut self, name: &str) -> Result<Peer> {
        if self.state.members.contains_key(name) {
            bail!("there is a {name} already");
        }
        let home = self.directory.join(name);
        peer::init(&self.program, &home, name, &self.state.invite)?;
        self.state.members.insert(name.to_owned(), Member { home, process: None });
        self.start(name).await?;
        self.peer(name)
    }

    /// Adds `count` peers, `peer-01` and so on, and waits until they know each other.
    ///
    /// # Errors
    /// If one does not start.
    pub async fn add_many(&mut self, count: usize) -> Result<Vec<Peer>> {
        let names: Vec<String> = (1..=count).map(peer_name).collect();
        for name in &names {
            self.add(name).await?;
        }
        let peers = names.iter().map(|name| self.peer(name)).collect::<Result<Vec<_>>>()?;
        // With the broker there are as many others as there are peers. Large swarms need not be complete.
        for peer in &peers {
            peer.meet(count.min(8)).await?;
        }
        Ok(peers)
    }

    /// Starts a process that was added and does not run, and waits until it answers.
    ///
    /// # Errors
    /// If it runs already or does not start.
    pub async fn start(&mut self, name: &str) -> Result<()> {
        let member = self.member(name)?;
        let home = member.home.clone();
        if member.process.as_ref().is_some_and(Running::is_alive) {
            bail!("{name} runs already");
        }
        let (role, args) = match (name, &self.state.broker_listen) {
            (BROKER, Some(listen)) => (process::BROKER, vec!["--listen".into(), listen.into()]),
            (BROKER, None) => (process::BROKER, vec!["--listen".into(), "127.0.0.1:0".into()]),
            _ => (process::PEER, Vec::new()),
        };
        forget_address(&home)?;
        let log = self.log(name);
        let (child, running) = self.program.daemon(role, &home, &args, &log)?;
        self.children.insert(name.to_owned(), child);
        if let Some(member) = self.state.members.get_mut(name) {
            member.process = Some(running.clone());
        }
        self.state.save(&self.directory)?;
        self.answers(name, &running).await?;
        if name == BROKER && self.state.broker_listen.is_none() {
            let status = self.broker()?.status().await?;
            self.state.broker_listen = Some(listen_of(&status.invite)?);
            self.state.invite = status.invite;
            self.state.save(&self.directory)?;
        }
        Ok(())
    }

    /// Ends a process at once, as a power cut would.
    ///
    /// # Errors
    /// If there is no such process.
    pub async fn kill(&mut self, name: &str) -> Result<()> {
        let Some(running) = self.member(name)?.process.clone() else { return Ok(()) };
        running.kill();
        self.ended(name, &running).await
    }

    /// Stops a process as its user would.
    ///
    /// # Errors
    /// If there is no such process, or it does not end.
    pub async fn stop(&mut self, name: &str) -> Result<()> {
        let Some(running) = self.member(name)?.process.clone() else { return Ok(()) };
        running.ask_to_stop();
        self.ended(name, &running).await
    }

    /// Has a process hang: its connections stay, and nothing comes over them.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn hang(&self, name: &str) -> Result<()> {
        self.member(name)?.process.iter().for_each(Running::hang);
        Ok(())
    }

    /// Lets a process go on that hung.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn wake(&self, name: &str) -> Result<()> {
        self.member(name)?.process.iter().for_each(Running::wake);
        Ok(())
    }

    /// Stops everything, peers first.
    ///
    /// # Errors
    /// If something does not end.
    pub async fn down(&mut self) -> Result<()> {
        let mut names = self.names();
        names.reverse();
        for name in &names {
            if let Some(running) = &self.member(name)?.process {
                running.ask_to_stop();
            }
        }
        for name in &names {
            if let Some(running) = self.member(name)?.process.clone()
                && self.ended(name, &running).await.is_err()
            {
                running.kill();
                self.ended(name, &running).await?;
            }
        }
        Ok(())
    }

    /// Lets the processes go on when this value is gone.
    pub fn leave(&mut self) {
        self.ends = false;
        if let Some(temporary) = self._temporary.take() {
            self.directory = temporary.keep();
        }
    }

    /// Forgets the swarm: it can be made anew in the same directory.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn remove(self) -> Result<()> {
        let homes: Vec<PathBuf> = self.state.members.values().map(|member| member.home.clone()).collect();
        for home in homes.iter().filter(|home| home.starts_with(&self.directory)) {
            std::fs::remove_dir_all(home).with_context(|| format!("removing {}", home.display()))?;
        }
        for name in self.state.members.keys() {
            // A log that is gone is as good as a log that was removed.
            let _ = std::fs::remove_file(self.log(name));
        }
        let _ = std::fs::remove_dir_all(self.goods());
        let _ = std::fs::remove_dir_all(self.directory.join("bought"));
        std::fs::remove_file(self.directory.join("swarm.json")).context("removing the state")?;
        // Whatever else the user keeps there stays.
        let _ = std::fs::remove_dir(&self.directory);
        Ok(())
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the files to sell are made.
    #[must_use]
    pub fn goods(&self) -> PathBuf {
        self.directory.join("goods")
    }

    /// What is remembered of it.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The broker first, then the peers.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.state.members.keys().cloned().collect();
        names.sort_by_key(|name| (name != BROKER, name.clone()));
        names
    }

    /// A peer.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn peer(&self, name: &str) -> Result<Peer> {
        if name == BROKER {
            bail!("the broker is no peer");
        }
        Ok(Peer::new(&self.program, name, &self.member(name)?.home))
    }

    /// The broker.
    ///
    /// # Errors
    /// If it was not made.
    pub fn broker(&self) -> Result<Broker> {
        Ok(Broker::new(&self.program, &self.member(BROKER)?.home))
    }

    /// The process of that name, if it runs.
    #[must_use]
    pub fn running(&self, name: &str) -> Option<&Running> {
        self.state.members.get(name)?.process.as_ref().filter(|process| process.is_alive())
    }

    /// Where everything that a process says goes.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.log"))
    }

    fn member(&self, name: &str) -> Result<&Member> {
        self.state.members.get(name).with_context(|| {
            format!("there is no {name:?} in this swarm; there are: {}", self.names().join(", "))
        })
    }

    /// Waits until the daemon answers.
    async fn answers(&self, name: &str, running: &Running) -> Result<()> {
        let what = format!("{name} to answer");
        let up = async || {
            if !running.is_alive() {
                bail!("{name} ended at its start: {}", last_lines(&self.log(name)));
            }
            let up =
                if name == BROKER { self.broker()?.is_up().await } else { self.peer(name)?.is_up().await };
            Ok(up.then_some(()))
        };
        until(&what, START_WITHIN, up).await
    }

    async fn ended(&mut self, name: &str, running: &Running) -> Result<()> {
        if let Some(child) = self.children.get_mut(name) {
            let limit = Instant::now() + START_WITHIN;
            while child.try_wait()?.is_none() {
                if Instant::now() > limit {
                    bail!("{name} does not end");
                }
                tokio::time::sleep(ASK_EVERY).await;
            }
        }
        running.gone().await?;
        self.children.remove(name);
        if let Some(member) = self.state.members.get_mut(name) {
            member.process = None;
        }
        self.state.save(&self.directory)
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        if !self.ends {
            return;
        }
        for member in self.state.members.values() {
            member.process.iter().for_each(Running::kill);
        }
        for child in self.children.values_mut() {
            // Only collects what was killed above.
            let _ = child.wait();
        }
    }
}

/// The name of the n-th peer.
#[must_use]
pub fn peer_name(n: usize) -> String {
    format!("peer-{n:02}")
}

/// Asks again and again until there is an answer.
///
/// # Errors
/// If asking fails, or `within` is over; the error names `what` was waited for.
pub async fn until<T>(
    what: &str,
    within: Duration,
    mut ask: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let limit = Instant::now() + within;
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if Instant::now() > limit {
            bail!("waited {} s for {what}", within.as_secs());
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// An address of the last run is none of this one.
fn forget_address(home: &Path) -> Result<()> {
    match std::fs::remove_file(home.join("api-address")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context("removing an old address")
        }
        _ => Ok(()),
    }
}

/// Where the broker of an invite listens.
fn listen_of(invite: &str) -> Result<String> {
    let invite: netpay_node::invite::Invite = invite.parse()?;
    let parts = invite.address.iter().filter(|part| !part.to_string().starts_with("/p2p/"));
    Ok(parts.map(|part| part.to_string()).collect())
}

fn last_lines(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut lines: Vec<&str> = text.lines().rev().take(8).collect();
    lines.reverse();
    lines.join("\n")
}
