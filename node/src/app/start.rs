//! Starting and stopping a peer.

use super::certify::{self, Certifier};
use super::vault::{self, Purse};
use super::{
    DEALS, Inner, LINES, Node, SEGMENTS, Settings, TABS, Trouble, buy, discover, fund, handoff, lock,
    members, publish, sell, settle, shelf,
};
use crate::clock::{self, random};
use crate::home::Home;
use crate::overlay::{self, Overlay, Protocol, Services, handler};
use crate::store::{Batch, Db, files};
use crate::witness::Witness;
use netpay_core::codec;
use netpay_core::id::ChainId;
use netpay_core::keys::{PublicKey, SecretKey};
use netpay_core::record::chain::ChainRecord;
use netpay_core::till::{DealRow, SegmentRow, Tab, Till};
use netpay_core::wire::handoff::HandoffRequest;
use netpay_core::wire::hello::Hello;
use netpay_core::wire::record::{RecordReply, RecordRequest};
use netpay_core::wire::trade::TabId;
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Trade streams waiting to be taken up.
const STREAMS: usize = 64;
/// How long a graceful stop may take.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// Tabs not used for so long are forgotten, in seconds.
const TAB_LIFE: u64 = 30 * netpay_core::time::DAY;
/// How often old tabs and settled records are forgotten.
const SWEEP: Duration = Duration::from_secs(3600);

/// Makes a home: the node's identity, and a wallet.
///
/// # Errors
/// If there is one already, or it cannot be written.
pub fn init(home: &Home, passphrase: Option<&str>) -> Result<(), Trouble> {
    home.create()?;
    if home.identity().exists() {
        return Err(Trouble::file(home.identity(), "this home was set up before"));
    }
    if !home.wallet().exists() {
        vault::create(&home.wallet(), passphrase)?;
    }
    home.write_identity(&random::<32>())?;
    let token = data_encoding::HEXLOWER.encode(&random::<32>());
    files::atomic_write(&home.api_token(), token.as_bytes(), files::PRIVATE)
        .map_err(|e| Trouble::file(home.api_token(), e))
}

/// Starts the peer of this home. With a passphrase (or a wallet that needs none) the wallet is opened.
///
/// # Errors
/// If the home is in use or not a home, the address is taken, or anything stored does not hold.
pub async fn run(home: Home, settings: Settings, passphrase: Option<String>) -> Result<Node, Trouble> {
    let held = home.lock()?;
    let identity = read_identity(&home)?;
    let copied = home.is_copy();
    let opened = home.clone();
    let db = tokio::task::spawn_blocking(move || Db::open(&opened.db()))
        .await
        .map_err(|_| Trouble::Stopping)??;
    let tally = load_tally(&home, &db).await?;
    let network = settings.invite.network_id();
    let broker = settings.invite.broker;
    let purse = open_purse(&home, &db, &settings, passphrase.as_deref()).await?;
    let account = match &purse {
        Some(purse) => purse.account.public(),
        None => fund::stored_account(&db)?.ok_or(Trouble::Locked)?,
    };
    fund::store_account(&db, account).await?;
    let till = load_till(&db, network, broker, &identity, account)?;
    let (streams, queue) = mpsc::channel(STREAMS);
    let door: Arc<OnceLock<Weak<Inner>>> = Arc::default();
    let blocked = discover::Blocked::open(&db)?;
    let mut config = overlay_config(&settings, &identity, &db)?;
    config.blocked = blocked.all();
    let overlay = Overlay::start(config, services(&door, streams)).await?;
    let (certifier, wishes) = Certifier::new();
    if copied {
        // What the original acked since is not known here: the copy begins as a witness anew.
        Witness::be_born_again(&db).await?;
    }
    let node = Node(Arc::new(Inner {
        witness: Witness::open(db.clone(), network, broker, identity.clone())?,
        shelf: Arc::new(
            shelf::Shelf::open(home.path(), publish::Rows::new(db.clone()))
                .map_err(|e| Trouble::file(home.path(), e))?,
        ),
        index: publish::Replicas::open(db.clone(), network)?,
        membership: Mutex::new(fund::stored_membership(&db)?),
        till: Mutex::new(till),
        purse: Mutex::new(purse),
        passphrase: passphrase.map(zeroize::Zeroizing::new),
        contacts: discover::Contacts::default(),
        downloads: buy::Downloads::default(),
        deals: buy::kept::Deals::open(&db, &home.partial())?,
        disputes: super::disputes::Disputes::default(),
        sales: sell::Sales::default(),
        tally,
        handoffs: handoff::Handoffs::default(),
        bank: fund::Books::default(),
        owed: Arc::default(),
        cheats: super::cheats::Cheats::default(),
        expelled: members::Expelled::open(&db, &network, &broker)?,
        blocked,
        believed: discover::Believed::default(),
        acts: super::once::Acts::open(&db)?,
        news: super::news::News::since(clock::micros()),
        receipts: super::receipts::Receipts::open(&db)?,
        began: Instant::now(),
        stopping: watch::channel(false).0,
        _lock: held,
        home,
        settings,
        network,
        identity,
        db,
        overlay,
        certifier,
    }));
    let _ = door.set(Arc::downgrade(&node.0));
    if copied {
        // A wallet that is locked is looked at when it is opened: until then the home is known as a copy.
        let purse = lock(&node.0.purse).take();
        if let Some(purse) = purse {
            *lock(&node.0.purse) = Some(node.retire_all_of_a_copy(purse).await?);
        }
    } else {
        node.0.home.adopt()?;
    }
    for id in node.load_downloads()? {
        node.resume_at_start(id);
    }
    tokio::spawn(sell::run(node.clone(), queue));
    tokio::spawn(certify::run(node.clone(), wishes));
    tokio::spawn(fund::run(node.clone()));
    tokio::spawn(publish::run(node.clone()));
    tokio::spawn(discover::run(node.clone()));
    tokio::spawn(settle::run(node.clone()));
    tokio::spawn(buy::pay_debts(node.clone()));
    tokio::spawn(super::disputes::run(node.clone()));
    tokio::spawn(super::news::run(node.clone()));
    tokio::spawn(sweep(node.clone()));
    Ok(node)
}

/// Sums up what was sold, and tidies up behind uploads that a crash broke off.
async fn load_tally(home: &Home, db: &Db) -> Result<super::tally::Tally, Trouble> {
    let (partial, db) = (home.partial(), db.clone());
    let load = move || {
        super::upload::sweep(&partial);
        super::tally::load(&db)
    };
    tokio::task::spawn_blocking(load).await.map_err(|_| Trouble::Stopping)?
}

fn read_identity(home: &Home) -> Result<SecretKey, Trouble> {
    let path = home.identity();
    let bytes = std::fs::read(&path).map_err(|e| Trouble::file(&path, e))?;
    let seed: [u8; 32] = bytes.try_into().map_err(|_| Trouble::file(&path, "it is not 32 bytes"))?;
    Ok(SecretKey::from_seed(&seed))
}

/// The wallet, opened; `None` if it needs a passphrase that was not given.
async fn open_purse(
    home: &Home,
    db: &Db,
    settings: &Settings,
    passphrase: Option<&str>,
) -> Result<Option<Purse>, Trouble> {
    let path = home.wallet();
    if vault::needs_passphrase(&path)? && passphrase.is_none() {
        return Ok(None);
    }
    let (db, passphrase) = (db.clone(), passphrase.map(str::to_owned));
    let (network, broker) = (settings.invite.network_id(), settings.invite.broker);
    let opened =
        tokio::task::spawn_blocking(move || vault::open(&path, passphrase.as_deref(), &db, network, broker));
    Ok(Some(opened.await.map_err(|_| Trouble::Stopping)??))
}

/// The vendor's secret follows from the node's identity, so that it can sell while the wallet is locked.
fn load_till(
    db: &Db,
    network: netpay_core::id::NetworkId,
    broker: PublicKey,
    identity: &SecretKey,
    account: PublicKey,
) -> Result<Till, Trouble> {
    let secret = blake3::derive_key("netpay 2026 vendor secret", &identity.seed());
    let mut till = Till::new(network, secret, account);
    load_deals(db, &mut till)?;
    let mut after = None::<Vec<u8>>;
    loop {
        let page = db.scan(SEGMENTS, &[], after.as_deref(), 1024)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for (_, row) in &page {
            let row = codec::decode::<SegmentRow>(row).map_err(|e| damaged(&e))?;
            till.load(row).map_err(|e| damaged(&e))?;
        }
    }
    let mut after = None::<Vec<u8>>;
    loop {
        let page = db.scan(LINES, &[], after.as_deref(), 256)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for (_, row) in &page {
            let row = codec::decode::<ChainRecord>(row).map_err(|e| damaged(&e))?;
            till.load_line(row, &broker).map_err(|e| damaged(&e))?;
        }
    }
    let mut after = None::<Vec<u8>>;
    loop {
        let page = db.scan(TABS, &[], after.as_deref(), 1024)?;
        let Some((last, _)) = page.last() else { return Ok(till) };
        after = Some(last.clone());
        for (key, row) in &page {
            let id: [u8; 16] = key.as_slice().try_into().map_err(|_| damaged(&"a tab's key"))?;
            till.load_tab(TabId(id), codec::decode::<Tab>(row).map_err(|e| damaged(&e))?);
        }
    }
}

fn load_deals(db: &Db, till: &mut Till) -> Result<(), Trouble> {
    let mut after = None::<Vec<u8>>;
    loop {
        let page = db.scan(DEALS, &[], after.as_deref(), 1024)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        for (_, row) in &page {
            let row = codec::decode::<DealRow>(row).map_err(|e| damaged(&e))?;
            till.load_deal(row).map_err(|e| damaged(&e))?;
        }
    }
}

fn damaged(what: &dyn std::fmt::Display) -> Trouble {
    crate::store::StoreError::Corrupt(format!("till: {what}")).into()
}

fn overlay_config(settings: &Settings, identity: &SecretKey, db: &Db) -> Result<overlay::Config, Trouble> {
    let mut config = overlay::Config::new(identity.seed(), settings.invite.network.clone());
    config.listen.clone_from(&settings.listen);
    config.local = settings.local;
    config.mdns = settings.mdns;
    config.quic = settings.quic;
    config.agent = format!("netpay/{}", env!("CARGO_PKG_VERSION"));
    config.known = discover::known_peers(db)?;
    let broker = settings.invite.address.iter().find_map(|part| match part {
        libp2p::multiaddr::Protocol::P2p(peer) => overlay::node_key(&peer),
        _ => None,
    });
    if let Some(broker) = broker {
        config.known.push((broker, vec![settings.invite.address.clone()]));
    }
    Ok(config)
}

/// Answers what comes in from the overlay. The node exists only after the overlay does, so the handlers
/// look it up; until then, and after it is gone, streams are dropped.
fn services(
    door: &Arc<OnceLock<Weak<Inner>>>,
    streams: mpsc::Sender<(overlay::NodeKey, overlay::Stream)>,
) -> Services {
    Services::new()
        .on(
            Protocol::Hello,
            serve(door, |node, from, hello: Hello| async move { node.hello_service(from, hello) }),
        )
        .on(
            Protocol::Record,
            serve(door, |node, from, request| async move { node.record_service(from, request).await }),
        )
        .on(
            Protocol::Handoff,
            serve(
                door,
                |node, _, request: HandoffRequest| async move { node.handoff_service(request).await },
            ),
        )
        .on(Protocol::Browse, serve(door, |node, _, request| async move { node.browse_service(request) }))
        .streams(Protocol::Trade, streams)
}

fn serve<Q, A, R>(
    door: &Arc<OnceLock<Weak<Inner>>>,
    answer: impl Fn(Node, PublicKey, Q) -> R + Clone + Send + Sync + 'static,
) -> overlay::Handler
where
    Q: codec::Wire + Send,
    A: codec::Wire,
    R: Future<Output = A> + Send + 'static,
{
    let door = Arc::clone(door);
    handler(move |from, frame: Vec<u8>| {
        let node = door.get().and_then(Weak::upgrade).map(Node);
        let answer = answer.clone();
        async move {
            let request = codec::decode::<Q>(&frame).ok()?;
            Some(codec::encode(&answer(node?, from, request).await))
        }
    })
}

async fn sweep(node: Node) {
    let mut tick = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = node.stopped() => return,
        }
        let now = clock::time();
        let (_, commit) = node.change_till(Batch::new(), |till| ((), till.forget_over(now)));
        if let Err(error) = commit.await {
            tracing::warn!(%error, "segments that are over stay");
        }
        let mut batch = Batch::new();
        let before = netpay_core::time::Time(now.0.saturating_sub(TAB_LIFE));
        for tab in node.till(|till| till.forget_tabs(before)) {
            batch.delete(TABS, tab.0);
        }
        if !batch.is_empty()
            && let Err(error) = node.db().commit(batch).await
        {
            tracing::warn!(%error, "old tabs stay");
        }
        if let Err(error) = node.0.witness.sweep(now).await {
            tracing::warn!(%error, "settled records stay");
        }
    }
}

impl Node {
    async fn record_service(&self, from: PublicKey, request: RecordRequest) -> RecordReply {
        let stored = match request {
            RecordRequest::PutChain { record, closes, want } => {
                self.0.witness.put(record, &closes, &want).await
            }
            RecordRequest::GetChain(chain) => self.0.witness.show(&chain),
            RecordRequest::Freeze { touchstone, freeze } => self.0.witness.freeze(touchstone, freeze).await,
            RecordRequest::Revoked(list) => self.take_revocations(list).await,
            RecordRequest::Index(request) => Ok(RecordReply::Index(self.index_service(from, request).await)),
        };
        stored.unwrap_or_else(|error| {
            tracing::error!(%error, "a witness that cannot store acks nothing");
            RecordReply::Refused(netpay_core::record::witness::WhyRefused::RateLimited)
        })
    }

    /// A copy of a home must not spend what the original may have spent: its chains are retired before anybody gets at
    /// its wallet.
    async fn retire_all_of_a_copy(&self, mut purse: Purse) -> Result<Purse, Trouble> {
        let chains: Vec<ChainId> = purse.wallet.chains().map(|(id, _)| *id).collect();
        tracing::warn!(
            chains = chains.len(),
            "this home is a copy: its chains are retired and will be refunded"
        );
        let changes = chains.iter().filter_map(|chain| purse.wallet.retire(chain)).collect();
        self.commit_wallet(&purse, changes, Batch::new(), None).await?;
        self.home().adopt()?;
        Ok(purse)
    }

    /// Opens the wallet.
    ///
    /// # Errors
    /// If the passphrase is wrong or the wallet does not hold.
    pub async fn unlock(&self, passphrase: Option<String>) -> Result<(), Trouble> {
        let purse = open_purse(self.home(), self.db(), self.settings(), passphrase.as_deref()).await?;
        let mut purse = purse.ok_or(Trouble::Locked)?;
        if self.home().is_copy() {
            purse = self.retire_all_of_a_copy(purse).await?;
        }
        *lock(&self.0.purse) = Some(purse);
        self.0.downloads.debts.notify_one();
        Ok(())
    }

    /// Forgets the wallet's secrets until it is unlocked again. Downloads that need coins stop.
    pub fn lock_wallet(&self) {
        *lock(&self.0.purse) = None;
    }

    /// Stops: no more sales, open segments are closed and shown to their committees, so that buyers can go on
    /// elsewhere, and vendors are asked to close what this buyer left open at them; then the store is closed.
    pub async fn stop(&self) {
        self.0.stopping.send_replace(true);
        let as_vendor = async {
            let open = self.till(|till| {
                let open = till.all().filter(|held| held.close().is_none());
                open.map(|held| (held.open().chain, held.open().j)).collect()
            });
            if let Err(trouble) = self.close_segments(open).await {
                tracing::error!(%trouble, "open segments were not closed");
            }
            if let Err(trouble) = self.certify_all().await {
                tracing::warn!(%trouble, "closes were not certified before the stop");
            }
        };
        let tidy = futures::future::join(as_vendor, self.give_leases_back());
        if tokio::time::timeout(STOP_WITHIN, tidy).await.is_err() {
            tracing::warn!(
                "others were too slow for a graceful stop; what is left is done after the next start"
            );
        }
        self.0.overlay.clone().shutdown().await;
        let db = self.0.db.clone();
        let closed = tokio::task::spawn_blocking(move || db.close()).await;
        if let Ok(Err(error)) = closed {
            tracing::error!(%error, "the database was not closed cleanly");
        }
    }
}
