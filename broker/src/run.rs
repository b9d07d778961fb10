//! A broker that runs: the home is held, the books are open, the node is in the overlay, settlements are looked for, and
//! the operator's API answers.

use crate::admin::Desk;
use crate::errors::{self, ErrorView};
use crate::freezer::Freezer;
use crate::home::{self, BrokerHome, Settings, host_of};
use crate::peer;
use crate::roster::Roster;
use crate::service::{Bank, Clock, system_clock};
use crate::store::JournalError;
use crate::web::{self, Front};
use libp2p::multiaddr::Protocol;
use netpay_node::home::HomeLock;
use netpay_node::invite::Invite;
use netpay_node::overlay::{self, Event, Multiaddr, Overlay, StartError, peer_id};
use netpay_node::store::Db;
use netpay_node::witness::Witness;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

/// How long answers that are being given may take once the broker stops. What the bank acknowledged is on the disk by then.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// How a broker is run; what is `None` is as its configuration says.
pub struct Config {
    /// Its home, made by [`BrokerHome::init`].
    pub home: PathBuf,
    /// Where the node listens.
    pub listen: Option<Vec<Multiaddr>>,
    /// Where the operator's API listens.
    pub api: Option<SocketAddr>,
    /// Where the public pages listen.
    pub web: Option<SocketAddr>,
    /// Whether a home that was copied is taken for the original from now on.
    pub adopt: bool,
    /// What tells the time.
    pub clock: Clock,
}

impl Config {
    /// The broker of that home, as it is configured.
    #[must_use]
    pub fn new(home: impl Into<PathBuf>) -> Self {
        Self { home: home.into(), listen: None, api: None, web: None, adopt: false, clock: system_clock() }
    }
}

/// A broker that runs, until it is told to stop.
pub struct Running {
    /// What peers need to join.
    pub invite: Invite,
    /// Where the operator's API and pages listen.
    pub api_addr: SocketAddr,
    /// Where the public pages listen.
    pub web_addr: SocketAddr,
    bank: Bank,
    desk: Desk,
    overlay: Overlay,
    home: BrokerHome,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    _lock: HomeLock,
}

/// Starts the broker of a home: when this returns, peers and the operator are answered.
///
/// # Errors
/// What keeps it from starting.
pub async fn run(config: Config) -> Result<Running, ErrorView> {
    let home = BrokerHome::at(&config.home);
    let opened = home.open()?;
    let lock = home.home().lock().map_err(|error| home::of_home(&error))?;
    let copied = home.home().is_copy();
    if copied && !config.adopt {
        return Err(errors::copied(home.path()));
    }
    let settings = opened.settings;
    let listen = match config.listen {
        Some(listen) => listen,
        None => addresses("listen", &settings.listen)?,
    };
    let api = socket("api", config.api, &settings.api)?;
    if !api.ip().is_loopback() {
        return Err(errors::cannot_listen(format!("{api} is no loopback address, and this API moves money")));
    }
    let web = socket("web", config.web, &settings.web)?;
    let db = home.home().db();
    let node = opened.node.public();
    let roster = Arc::new(Roster::new(node));
    let (signing, terms, clock) = (opened.signing.clone(), settings.terms(), config.clock);
    // Reading the journal takes as long as it is: not on a thread that others wait for.
    let opening = tokio::task::spawn_blocking(move || {
        let db = Db::open(&db).map_err(JournalError::from)?;
        Bank::open(db.clone(), signing, terms, roster, clock).map(|bank| (bank, db))
    });
    let (bank, db) = opening.await.map_err(errors::books)?.map_err(errors::books)?;
    if copied {
        // What the original's node acked since the copy was made is not known here: it begins as a witness anew.
        Witness::be_born_again(&db).await.map_err(errors::books)?;
        home.home().adopt().map_err(|error| home::of_home(&error))?;
    }
    bank.resume().await.map_err(|reject| errors::refused(&reject))?;
    let witness =
        Witness::open(db, bank.network(), bank.key(), opened.node.clone()).map_err(errors::books)?;
    let witness = Arc::new(witness);
    let services = peer::services(&bank, witness.clone(), node, opened.signing.clone());
    let overlay = start_overlay(&settings, listen, opened.node.seed(), services).await?;
    let (stop, stopping) = watch::channel(false);
    let invite = invite(&bank, &overlay, &settings)?;
    let desk = Desk::new(&bank, &overlay, &home, invite.clone(), stop.clone())?;
    let (api, web) = (web::open(api, web::OPERATORS).await?, web::open(web, web::STRANGERS).await?);
    let (api_addr, web_addr) = (api.address, web.address);
    bank.serves_pages_at(pages_address(&settings, web_addr));
    let front = Front::new(&bank, invite.clone(), host_of(&settings.web_url)).map_err(errors::books)?;
    let serving = [
        api.serve(web::desk_router(desk.clone()), stopping.clone()),
        web.serve(web::front_router(front), stopping.clone()),
    ];
    home::write(&home.last_invite(), &invite.to_string())?;
    home::write(&home.api_address(), &api_addr.to_string())?;
    let every = Duration::from_secs(settings.settle_every);
    let freezer = Freezer { bank: bank.clone(), overlay: overlay.clone(), witness, signing: opened.signing };
    let mut tasks = vec![
        tokio::spawn(freezer.run(every, stopping.clone())),
        tokio::spawn(watch_members(bank.clone(), overlay.clone(), stopping.clone())),
        tokio::spawn(keep_house(bank.clone(), overlay.clone(), every, stopping)),
    ];
    tasks.extend(serving);
    Ok(Running { invite, api_addr, web_addr, bank, desk, overlay, home, stop, tasks, _lock: lock })
}

impl Running {
    /// The bank.
    #[must_use]
    pub const fn bank(&self) -> &Bank {
        &self.bank
    }

    /// A link that lets the operator in to the pages, once and within a minute.
    #[must_use]
    pub fn link(&self) -> String {
        self.desk.link(&self.api_addr.to_string())
    }

    /// The node.
    #[must_use]
    pub const fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// Resolves when somebody tells the broker to stop, as its API can.
    pub async fn stopped(&self) {
        let mut stopping = self.stop.subscribe();
        // The sender lives as long as this, so waiting cannot fail before it says so.
        let _ = stopping.wait_for(|stop| *stop).await;
    }

    /// Stops: answers what was asked, asks nobody any more, closes the books and lets go of the home.
    ///
    /// # Errors
    /// If the journal could not be closed in order; nothing acknowledged is lost.
    pub async fn shutdown(self) -> Result<(), ErrorView> {
        self.stop.send_replace(true);
        self.overlay.shutdown().await;
        let mut tasks = futures::future::join_all(self.tasks);
        // A task that failed has nothing left to stop; one that waits for whoever does not read ends with the process.
        if tokio::time::timeout(ANSWERED_WITHIN, &mut tasks).await.is_err() {
            tracing::warn!("an answer that took too long is broken off by the stop");
        }
        // So that the next start does not take it for an outage.
        if let Err(error) = self.bank.heartbeat().await {
            tracing::warn!(%error, "the last sign of life was not noted");
        }
        let closed = self.bank.close().await.map_err(errors::books);
        if let Err(error) = std::fs::remove_file(self.home.api_address()) {
            tracing::debug!(%error, "removing the API's address");
        }
        closed
    }
}

/// A multiaddr, or `IP:PORT`.
///
/// # Errors
/// If it is neither.
pub fn address(name: &str, text: &str) -> Result<Multiaddr, ErrorView> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port())));
    }
    text.parse().map_err(|_| errors::bad_value(name, format!("{text:?} is neither /ip4/…/tcp/… nor IP:PORT")))
}

fn addresses(name: &str, texts: &[String]) -> Result<Vec<Multiaddr>, ErrorView> {
    texts.iter().map(|text| address(name, text)).collect()
}

fn socket(name: &str, given: Option<SocketAddr>, setting: &str) -> Result<SocketAddr, ErrorView> {
    given.map_or_else(|| setting.parse().map_err(|error| errors::bad_value(name, error)), Ok)
}

/// Where people find the public pages: under the address that the operator gave them, else where they listen, unless that
/// is everywhere, which nobody can open. Whoever is told none asks the operator.
fn pages_address(settings: &Settings, web: SocketAddr) -> String {
    match settings.web_url.as_str() {
        "" if web.ip().is_unspecified() => String::new(),
        "" => format!("http://{web}"),
        url => url.trim_end_matches('/').to_owned(),
    }
}

async fn start_overlay(
    settings: &Settings,
    listen: Vec<Multiaddr>,
    secret: [u8; 32],
    services: overlay::Services,
) -> Result<Overlay, ErrorView> {
    let mut config = overlay::Config::new(secret, settings.network.clone());
    // Where only this machine or LAN can reach the broker, private addresses are what the network lives on.
    config.local = listen.iter().filter_map(ip_of).all(is_near);
    config.external = addresses("external", &settings.external)?;
    config.listen = listen;
    config.agent = concat!("netpay-broker/", env!("CARGO_PKG_VERSION")).to_owned();
    Overlay::start(config, services).await.map_err(|error| match error {
        StartError::Network(_) => errors::bad_value("network", error),
        other => errors::cannot_listen(other),
    })
}

fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

fn is_near(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn invite(bank: &Bank, overlay: &Overlay, settings: &Settings) -> Result<Invite, ErrorView> {
    let external = addresses("external", &settings.external)?;
    let here = overlay
        .addresses()
        .into_iter()
        .filter(|address| ip_of(address).is_none_or(|ip| !ip.is_unspecified()));
    let mut here: Vec<_> = external.into_iter().chain(here).collect();
    // The farthest that an address can be reached from comes first; the sort keeps the operator's order otherwise.
    here.sort_by_key(|address| match ip_of(address) {
        Some(ip) if ip.is_loopback() => 2,
        Some(ip) if is_near(ip) => 1,
        _ => 0,
    });
    let address = here.into_iter().next().ok_or_else(|| errors::cannot_listen("it listens nowhere"))?;
    let address: Multiaddr = address.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect();
    let address = address.with(Protocol::P2p(peer_id(&overlay.me())));
    Ok(Invite { broker: bank.key(), network: bank.terms().network.clone(), address })
}

/// Keeps the roster as the overlay sees it.
async fn watch_members(bank: Bank, overlay: Overlay, mut stopping: watch::Receiver<bool>) {
    let mut events = overlay.events();
    resync(&bank, &overlay);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(Event::Connected(node)) => bank.roster().connected(&node, true, bank.now()),
                Ok(Event::Disconnected(node)) => bank.roster().connected(&node, false, bank.now()),
                Ok(Event::Learned { .. }) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => resync(&bank, &overlay),
                Err(broadcast::error::RecvError::Closed) => return,
            },
            _ = stopping.changed() => return,
        }
    }
}

fn resync(bank: &Bank, overlay: &Overlay) {
    for peer in overlay.connected() {
        bank.roster().connected(&peer.node, true, bank.now());
    }
}

/// Settles what is due, and leaves signs of life.
async fn keep_house(bank: Bank, overlay: Overlay, every: Duration, mut stopping: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopping.changed() => return,
        }
        // Members that registered while they were connected are known as connected from here on.
        resync(&bank, &overlay);
        match bank.settle_due().await {
            Ok(0) => {}
            Ok(chains) => tracing::info!(chains, "settled"),
            Err(error) => tracing::warn!(%error, "settling"),
        }
        if let Err(error) = bank.heartbeat().await {
            tracing::warn!(%error, "the sign of life was not noted");
        }
    }
}
