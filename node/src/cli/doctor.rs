//! Looks for what is wrong, whether or not the peer runs, and says what to do.

use super::args::Global;
use super::show::{self, foreign};
use crate::api::client::Client;
use crate::app::vault;
use crate::app::view::{BrokerView, ErrorView, Status, WalletView};
use crate::config::{self, Config, Invite};
use crate::errors;
use crate::home::{Home, HomeError};
use crate::overlay::{self, Multiaddr, Socket};
use libp2p::multiaddr::Protocol;
use serde::Serialize;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the broker is given to take a connection.
const DIAL_WITHIN: Duration = Duration::from_secs(5);
/// With less room than this on the disk there is a warning, in bytes …
const LITTLE_ROOM: u64 = 1 << 30;
/// … and with less than this it is bad: the journal is written into room made ahead.
const NO_ROOM: u64 = 128 << 20;
/// Files that a peer with many connections has open …
const MANY_FILES: u64 = 4096;
/// … and without so many it hardly works.
const FEW_FILES: u64 = 256;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is well.
    Ok,
    /// It may be as the person wants it.
    Warn,
    /// It keeps the peer from working, or its secrets from being secret.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub check: &'static str,
    pub state: State,
    /// What was seen.
    pub why: String,
    /// What to do; empty if it is well.
    pub fix: String,
}

impl Row {
    fn ok(check: &'static str, why: impl ToString) -> Self {
        Self { check, state: State::Ok, why: why.to_string(), fix: String::new() }
    }

    fn warn(check: &'static str, why: impl ToString, fix: impl ToString) -> Self {
        Self { check, state: State::Warn, why: why.to_string(), fix: fix.to_string() }
    }

    fn bad(check: &'static str, why: impl ToString, fix: impl ToString) -> Self {
        Self { check, state: State::Bad, why: why.to_string(), fix: fix.to_string() }
    }

    fn of(check: &'static str, error: ErrorView) -> Self {
        Self::bad(check, format!("{}: {}", error.what, error.why), error.fix)
    }
}

/// Looks at everything.
///
/// # Errors
/// If something is bad.
pub async fn run(global: &Global, home: &Home) -> Result<(), ErrorView> {
    let rows = look(home).await;
    if global.json {
        show::json(&rows);
    } else {
        for row in rows.iter().filter(|row| !global.quiet || row.state != State::Ok) {
            let state = match row.state {
                State::Ok => "ok  ",
                State::Warn => "warn",
                State::Bad => "BAD ",
            };
            show::line(&format!("{state}  {:<9} {}", row.check, show::foreign(&row.why)));
            if !row.fix.is_empty() {
                show::line(&format!("      {:<9} fix: {}", "", show::foreign(&row.fix)));
            }
        }
    }
    let bad: Vec<&str> = rows.iter().filter(|row| row.state == State::Bad).map(|row| row.check).collect();
    if bad.is_empty() { Ok(()) } else { Err(errors::unwell(bad.join(", "))) }
}

/// What is to be said of a home.
pub async fn look(home: &Home) -> Vec<Row> {
    let mut rows = vec![home_row(home)];
    if !home.path().is_dir() {
        return rows;
    }
    rows.extend([rights(home), identity(home), disk(home.path()), files()]);
    let config = match config::load(home, &[]) {
        Ok(loaded) => loaded.config,
        Err(error) => {
            rows.push(Row::of("settings", error));
            return rows;
        }
    };
    rows.push(match &config.broker {
        Some(invite) => Row::ok("settings", format!("network {}", invite.network)),
        None => Row::bad("settings", "no broker is known", "netpay up --join INVITE"),
    });
    match answers(home).await {
        Ok((client, status)) => rows.extend(running(&client, &config, &status).await),
        Err(error) => rows.extend(stopped(home, &config, error).await),
    }
    rows
}

fn home_row(home: &Home) -> Row {
    let path = home.path().display();
    if home.identity().exists() {
        return Row::ok("home", path);
    }
    let error = errors::not_a_home(path);
    Row::of("home", error.fixed_by("netpay up --join INVITE      or name another with --home"))
}

/// Secrets are their owner's alone, and this user's.
fn rights(home: &Home) -> Row {
    let secrets =
        [home.identity(), home.wallet(), home.api_token(), home.read_token(), home.interface_password()];
    let me = rustix::process::geteuid().as_raw();
    let present = |path: &PathBuf| std::fs::metadata(path).ok().map(|found| (path.clone(), found));
    for (path, found) in secrets.iter().filter_map(present) {
        if found.uid() != me {
            let why = format!("{} belongs to another user", path.display());
            return Row::bad("rights", why, "run it as that user, or chown the home");
        }
        if found.mode() & 0o077 != 0 {
            let why = format!("others may read {} (mode {:o})", path.display(), found.mode() & 0o777);
            return Row::bad("rights", why, format!("chmod 600 {}", path.display()));
        }
    }
    match std::fs::metadata(home.path()) {
        Ok(found) if found.mode() & 0o077 != 0 => Row::warn(
            "rights",
            format!("others may look into the home (mode {:o})", found.mode() & 0o777),
            format!("chmod 700 {}", home.path().display()),
        ),
        Ok(_) => Row::ok("rights", "the home and its secrets are their owner's alone"),
        Err(error) => Row::of("rights", errors::io("looking at", home.path(), &error)),
    }
}

fn identity(home: &Home) -> Row {
    let path = home.identity();
    match std::fs::metadata(&path) {
        Ok(found) if found.len() != 32 => {
            let why = format!("{} has {} bytes, not 32", path.display(), found.len());
            Row::bad("identity", why, "put the file back from where it was copied; do not delete it")
        }
        Ok(_) if home.is_copy() => Row::warn(
            "identity",
            "this home was copied or moved: its chains are given up when the wallet is opened",
            "nothing: their coins come back at settlement; never run both copies",
        ),
        Ok(_) => Row::ok("identity", "in the file in which it was made"),
        Err(error) => Row::of("identity", errors::io("reading", &path, &error)),
    }
}

fn disk(path: &Path) -> Row {
    let found = match rustix::fs::statvfs(path) {
        Ok(found) => found,
        Err(error) => return Row::of("disk", errors::io("looking at", path, &error.into())),
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let why = format!("{} free", show::size(free));
    let fix = "free some space; downloads go on where they stopped";
    match free {
        ..NO_ROOM => Row::bad("disk", why, fix),
        NO_ROOM..LITTLE_ROOM => Row::warn("disk", why, fix),
        LITTLE_ROOM.. => Row::ok("disk", why),
    }
}

/// A peer raises its own limit as far as it may.
fn files() -> Row {
    let (now, most) = match rlimit::getrlimit(rlimit::Resource::NOFILE) {
        Ok(limits) => limits,
        Err(error) => return Row::warn("files", format!("the limit is not known: {error}"), "ulimit -n"),
    };
    let why = format!("{now} files may be open at once, {most} at most");
    let fix = "raise the limit: ulimit -Hn, or LimitNOFILE= of the service";
    match most {
        ..FEW_FILES => Row::bad("files", why, fix),
        FEW_FILES..MANY_FILES => Row::warn("files", why, fix),
        MANY_FILES.. => Row::ok("files", why),
    }
}

async fn answers(home: &Home) -> Result<(Client, Status), ErrorView> {
    let client = Client::at(home)?;
    let status = client.get("/status").await?;
    Ok((client, status))
}

/// What the peer that runs says.
async fn running(client: &Client, config: &Config, status: &Status) -> Vec<Row> {
    let broker = status.broker.clone().unwrap_or_default();
    let mut rows = vec![
        Row::ok("peer", format!("runs as {}, version {}", status.name, status.version)),
        listening(&status.addresses),
        reachable(config, &status.addresses),
        match status.peers {
            0 => Row::warn("peers", "connected to nobody", "is the address in the invite right?"),
            peers => Row::ok("peers", format!("connected to {peers}")),
        },
        broker_row(&broker),
        membership(&broker),
    ];
    if broker.connected && broker.registered && status.wallet.is_some() {
        rows.push(match client.get::<WalletView>("/broker/account").await {
            Ok(_) => Row::ok("clock", "within five minutes of the broker's"),
            Err(error) if error.is(&errors::clock_apart("").code) => Row::of("clock", error),
            Err(error) => Row::warn("clock", format!("not compared: {}", error.why), error.fix),
        });
    } else {
        let why =
            "not compared with the broker's: that takes an account there, an open wallet, and a connection";
        rows.push(Row::warn("clock", why, "see the rows above and below"));
    }
    rows.push(match &status.wallet {
        Some(wallet) => Row::ok("wallet", format!("open, {} to spend", show::coins(wallet.spendable))),
        None => Row::warn("wallet", "locked: it neither pays nor redeems", "netpay wallet unlock"),
    });
    rows
}

fn listening(addresses: &[String]) -> Row {
    if addresses.is_empty() {
        return Row::bad(
            "ports",
            "the peer listens nowhere",
            "netpay config set listen /ip4/0.0.0.0/tcp/4780",
        );
    }
    Row::ok("ports", format!("listens on {}", addresses.join(", ")))
}

/// Whether somebody outside has an address to come to.
fn reachable(config: &Config, addresses: &[String]) -> Row {
    if config.local {
        return Row::ok("reachable", "this is a network on one machine or LAN (local = true)");
    }
    let known = addresses.iter().filter_map(|address| address.parse::<Multiaddr>().ok());
    match known.into_iter().find(overlay::is_public) {
        Some(address) => Row::ok("reachable", format!("{address} is an address of the internet")),
        None => Row::warn(
            "reachable",
            "no address is known at which others could reach this peer: it can buy, and sell to nobody outside",
            "forward the port, and: netpay config set external /dns/NAME/tcp/4780",
        ),
    }
}

fn broker_row(broker: &BrokerView) -> Row {
    let name = broker.name.as_deref().unwrap_or("the broker");
    let fix = format!("check the connection, and the invite: {}", broker.addresses.join(", "));
    match (broker.connected, broker.registered) {
        (true, _) => Row::ok("broker", format!("connected to {name}")),
        (false, true) => Row::warn("broker", format!("{name} is away; sales go on without it"), fix),
        (false, false) => Row::bad("broker", format!("{name} cannot be reached"), fix),
    }
}

fn membership(broker: &BrokerView) -> Row {
    match (broker.registered, broker.frozen) {
        (_, true) => Row::bad(
            "account",
            format!(
                "frozen, {}: it neither buys nor is paid out",
                foreign(broker.frozen_because.as_deref().unwrap_or("the broker does not say why"))
            ),
            format!("ask the operator: {}", broker.contact.as_deref().unwrap_or("netpay broker show")),
        ),
        (true, false) => Row::ok("account", "registered"),
        (false, false) => {
            Row::warn("account", "not registered: no coins can be bought", "netpay broker register")
        }
    }
}

/// What can be seen while no peer answers.
async fn stopped(home: &Home, config: &Config, error: ErrorView) -> Vec<Row> {
    let mut rows = vec![match home.lock() {
        Ok(lock) => {
            drop(lock);
            let why = "does not run: clock, membership and connections were not looked at";
            Row::warn("peer", why, "netpay up")
        }
        Err(HomeError::Locked { pid, .. }) => {
            let holder = pid.map_or_else(|| "a process".to_owned(), |pid| format!("process {pid}"));
            let why = format!("{holder} holds the home, and does not answer: {}", error.why);
            Row::bad("peer", why, "wait if it has only just begun; else end that process, and: netpay up")
        }
        Err(other) => Row::of("peer", crate::app::Trouble::from(other).into()),
    }];
    rows.push(wallet_file(home));
    if rows.first().is_some_and(|peer| peer.state != State::Bad) {
        rows.push(ports(config));
    }
    if let Some(invite) = &config.broker {
        rows.push(dial(invite).await);
    }
    rows
}

fn wallet_file(home: &Home) -> Row {
    match vault::needs_passphrase(&home.wallet()) {
        Ok(true) => Row::ok("wallet", "closed with a passphrase, which `netpay up` asks for"),
        Ok(false) => Row::ok("wallet", "has no passphrase"),
        Err(error) => Row::of("wallet", crate::app::Trouble::from(error).into()),
    }
}

/// Whether the ports of the settings are free.
fn ports(config: &Config) -> Row {
    let sockets = config.listen.iter().filter_map(|address| address.parse::<Multiaddr>().ok());
    let sockets = sockets.filter_map(|address| overlay::socket(&address));
    for socket in sockets.chain([Socket::Tcp(config.api)]) {
        let (at, bound): (SocketAddr, _) = match socket {
            Socket::Tcp(at) => (at, TcpListener::bind(at).map(drop)),
            Socket::Udp(at) => (at, UdpSocket::bind(at).map(drop)),
        };
        match bound {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                return Row::of("ports", errors::port_in_use(at));
            }
            Err(error) => return Row::of("ports", errors::cannot_listen(at, error)),
        }
    }
    let api = config.api;
    Row::ok("ports", format!("{} and {api} are free", config.listen.join(", ")))
}

/// Whether somebody takes a connection where the broker should be.
async fn dial(invite: &Invite) -> Row {
    let (mut host, mut port) = (None, None);
    for part in &invite.address {
        match part {
            Protocol::Ip4(ip) => host = Some(ip.to_string()),
            Protocol::Ip6(ip) => host = Some(ip.to_string()),
            Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => {
                host = Some(name.into_owned());
            }
            Protocol::Tcp(number) => port = Some(number),
            _ => {}
        }
    }
    let Some((host, port)) = host.zip(port) else {
        return Row::warn("broker", "its address is none that is dialled from here", "netpay up");
    };
    let fix = "check the connection, and the invite; sales go on without the broker";
    match tokio::time::timeout(DIAL_WITHIN, tokio::net::TcpStream::connect((&*host, port))).await {
        Ok(Ok(_)) => Row::ok("broker", format!("{host} takes connections at port {port}")),
        Ok(Err(error)) => Row::warn("broker", format!("{host}, port {port}: {error}"), fix),
        Err(_) => Row::warn("broker", format!("{host}, port {port}: no answer"), fix),
    }
}
