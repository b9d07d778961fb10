//! Each command: what is asked of the peer that runs, and how the answer is shown.

use super::acts::{Broker, Config, Dispute, Downloads, Sales, Share};
use super::args::{self, Args, Command, Global};
use super::interrupt::Watch;
use super::show::{self, coins, foreign, short, size};
use super::{ask, daemon, doctor, join, money, papers, service};
use crate::api::LoginLink;
use crate::api::client::{Client, escaped};
use crate::app::view::{
    BrokerView, DownloadView, ErrorView, Found, Page, PeerView, RedeemView, SaleView, SharedFile, Status,
    TillView,
};
use crate::config;
use crate::errors;
use crate::home::Home;
use crate::overlay;
use clap::CommandFactory as _;
use serde::Serialize;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The rows of the last search, so that one can be bought by its number.
const LAST_SEARCH: &str = "last-search.json";

/// Does what was asked.
pub async fn run(args: Args, watch: Watch) -> Result<(), ErrorView> {
    let global = args.global;
    let home = Home::resolve(global.home.as_deref()).map_err(crate::app::Trouble::from)?;
    match args.command {
        Command::Init { broker, new } => join::init(&global, &home, broker, &new),
        Command::Up(up) => daemon::up(&global, home, up, watch).await,
        Command::Password { passphrase, remove } => daemon::password(&global, &home, &passphrase, remove),
        Command::Config { act } => settings(&global, &home, act.unwrap_or(Config::Show { origin: false })),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "netpay", &mut std::io::stdout());
            Ok(())
        }
        Command::Man { dir } => {
            std::fs::create_dir_all(&dir).map_err(|e| errors::io("creating", &dir, &e))?;
            clap_mangen::generate_to(args::for_man(), &dir).map_err(|e| errors::io("writing", &dir, &e))
        }
        Command::Explain { code } => explain(&code),
        Command::Version => {
            let version = Version::this();
            said(&global, &version, &version.to_string());
            Ok(())
        }
        Command::Receipt(act) => papers::receipt(&global, &home, act).await,
        Command::Evidence(act) => papers::evidence(&global, &home, act).await,
        Command::Dispute { act } => papers::dispute(&global, &home, act.unwrap_or(Dispute::Ls)).await,
        Command::Broker { act: Some(Broker::Use { invite }) } => {
            config::set(home.path(), &home.config(), "broker", &invite)?;
            show::note("the new broker is used from the next start on");
            Ok(())
        }
        Command::Doctor => doctor::run(&global, &home).await,
        Command::Logs(wanted) => service::logs(&global, &home, &wanted).await,
        Command::SupportBundle { file } => service::bundle(&global, &home, file.as_deref()).await,
        other => asked(&global, &home, other).await,
    }
}

/// Commands that the running peer answers.
async fn asked(global: &Global, home: &Home, command: Command) -> Result<(), ErrorView> {
    let client = Client::at(home)?;
    match command {
        Command::Stop => client.post("/stop", &json!({})).await,
        Command::Status => status(global, &client).await,
        Command::Share(share) => shares(global, &client, share).await,
        Command::Search { words, max_price, extension, sort } => {
            let mut query = format!("?words={}", escaped(&words.join(" ")));
            let sorted = sort.is_some();
            query.extend(max_price.map(|price| format!("&max_price={price}")));
            query.extend(extension.map(|extension| format!("&extension={}", escaped(&extension))));
            query.extend(sort.map(|sort| format!("&sort={sort}")));
            search(global, home, &client, &query, sorted).await
        }
        Command::Peers => peers(global, &client).await,
        Command::Open => {
            let link: LoginLink = client.post("/login-links", &json!({})).await?;
            said(global, &link, &link.url);
            Ok(())
        }
        Command::Browse { peer } => {
            let found: Vec<Found> = client.list(&format!("/peers/{}/files", escaped(&peer))).await?;
            remember(home, &found)?;
            files(global, &found, "this peer offers nothing");
            Ok(())
        }
        Command::Connect { address } => {
            let peer: PeerView = client.post("/peers", &json!({ "address": address })).await?;
            said(global, &peer, &format!("connected to {}", peer.node));
            Ok(())
        }
        Command::Block { peer } => {
            let path = format!("/peers/{}/block", escaped(&peer));
            let peer: PeerView = client.post(&path, &json!({})).await?;
            said(global, &peer, &format!("blocked {}", peer.node));
            Ok(())
        }
        Command::Unblock { peer } => {
            let peer: PeerView = client.delete(&format!("/peers/{}/block", escaped(&peer))).await?;
            said(global, &peer, &format!("unblocked {}", peer.node));
            Ok(())
        }
        Command::Get { .. } => money::get(global, home, &client, command).await,
        Command::Downloads { act } => downloads(global, &client, act.unwrap_or(Downloads::Ls)).await,
        Command::Wallet { act } => money::wallet(global, home, &client, act).await,
        Command::Sales { act } => sales(global, &client, act.unwrap_or(Sales::Ls { csv: false })).await,
        Command::Redeem { .. } => redeem(global, &client).await,
        Command::Broker { act } => broker(global, &client, act.unwrap_or(Broker::Show)).await,
        Command::Init { .. }
        | Command::Up(_)
        | Command::Password { .. }
        | Command::Config { .. }
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Explain { .. }
        | Command::Receipt(_)
        | Command::Evidence(_)
        | Command::Dispute { .. }
        | Command::Version
        | Command::Logs(_)
        | Command::SupportBundle { .. }
        | Command::Doctor => Ok(()),
    }
}

/// Which software this is.
#[derive(Serialize)]
struct Version {
    version: &'static str,
    /// The version of the protocol: peers of another one are not talked to.
    protocol: u32,
    /// What it was built from, if whoever built it said so.
    commit: Option<&'static str>,
    target: String,
}

impl Version {
    fn this() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            protocol: overlay::VERSION,
            commit: option_env!("NETPAY_COMMIT").filter(|commit| !commit.is_empty()),
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { version, protocol, target, .. } = self;
        write!(f, "netpay {version}, protocol {protocol}, {target}")?;
        self.commit.map_or(Ok(()), |commit| write!(f, ", commit {commit}"))
    }
}

/// A short result: the object for programs, a line for people.
pub(super) fn said(global: &Global, value: &impl Serialize, text: &str) {
    if global.json {
        show::json(value);
    } else if !global.quiet {
        show::line(text);
    }
}

async fn status(global: &Global, client: &Client) -> Result<(), ErrorView> {
    let status: Status = client.get("/status").await?;
    if global.json {
        show::json(&status);
        return Ok(());
    }
    let broker = status.broker.unwrap_or_default();
    let state = match (broker.connected, broker.registered) {
        (true, true) if broker.frozen => "connected; the account is frozen",
        (true, true) => "connected",
        (true, false) => "connected; not registered: netpay broker register",
        (false, _) => "not connected",
    };
    show::line(&format!("{} in {}", foreign(&status.name), status.network.unwrap_or_default()));
    show::line(&format!("  node     {}", status.node));
    status.addresses.iter().for_each(|address| show::line(&format!("  address  {address}")));
    show::line(&format!("  broker   {state}"));
    show::line(&format!("  peers    {}", status.peers));
    match status.wallet {
        Some(wallet) => show::line(&format!(
            "  wallet   {} to spend, {} earned",
            coins(wallet.spendable),
            coins(wallet.earned)
        )),
        None => show::line("  wallet   locked: netpay wallet unlock"),
    }
    show::line(&format!("  files    {} shared, {} downloads running", status.shared, status.downloads));
    Ok(())
}

async fn shares(global: &Global, client: &Client, share: Share) -> Result<(), ErrorView> {
    let list: Vec<SharedFile> = match share {
        Share::Ls => shared(client).await?,
        Share::Add { paths, price, tags, recursive } => {
            let paths: Vec<PathBuf> = paths.iter().map(|path| absolute(path)).collect::<Result<_, _>>()?;
            let asked = json!({ "paths": paths, "price": price, "tags": tags, "recursive": recursive });
            client.post("/shares", &asked).await?
        }
        Share::Set { id, price, tags } => {
            vec![
                client
                    .patch(&format!("/shares/{}", escaped(&id)), &json!({ "price": price, "tags": tags }))
                    .await?,
            ]
        }
        Share::Rm { id } => {
            ask::confirm(global, &taking_back(&id, &shared(client).await?))?;
            client.delete::<()>(&format!("/shares/{}", escaped(&id))).await?;
            said(global, &json!({ "removed": id }), "no longer offered; the file stays where it is");
            return Ok(());
        }
    };
    if global.json {
        show::json(&list);
        return Ok(());
    }
    let rows = list.iter().map(|file| {
        let state = if file.present { "" } else { "changed or gone: add it again" };
        vec![
            short(&file.id).to_owned(),
            foreign(&file.name),
            size(file.size),
            coins(file.price),
            coins(file.earned),
            state.to_owned(),
        ]
    });
    let columns =
        [("id", false), ("name", false), ("size", true), ("price", true), ("earned", true), ("", false)];
    show::table(&columns, rows.collect(), "nothing is shared yet: netpay share add FILE --price N");
    Ok(())
}

async fn shared(client: &Client) -> Result<Vec<SharedFile>, ErrorView> {
    let mut list: Vec<SharedFile> = client.list("/shares").await?;
    list.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    Ok(list)
}

/// What is asked before an offer is taken back.
fn taking_back(id: &str, list: &[SharedFile]) -> String {
    match list.iter().find(|file| file.id.starts_with(id)) {
        Some(file) => format!(
            "no longer offer {} for {} (sold {} times)? The file stays.",
            foreign(&file.name),
            coins(file.price),
            file.sold
        ),
        None => format!("no longer offer {id}?"),
    }
}

/// What is asked before a download is called off.
async fn calling_off(id: u64, client: &Client) -> Result<String, ErrorView> {
    let view: DownloadView = client.get(&format!("/downloads/{id}")).await?;
    Ok(format!(
        "cancel {}? {} that are here are deleted, and {} paid for it do not come back.",
        foreign(&view.name),
        size(view.have),
        coins(view.paid)
    ))
}

/// The path as the peer, which runs elsewhere, can use it.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, ErrorView> {
    std::path::absolute(path).map_err(|error| errors::cannot_share(path.display(), error))
}

/// Shows what is found: people all of it, ranked; programs one object a line, as it comes, or sorted if they ask
/// for an order.
async fn search(
    global: &Global,
    home: &Home,
    client: &Client,
    query: &str,
    sorted: bool,
) -> Result<(), ErrorView> {
    if global.json && !sorted {
        let mut rows: Vec<Found> = Vec::new();
        let show = |found: Found| {
            show::json(&found);
            match rows.iter_mut().find(|row| (&row.id, &row.vendor) == (&found.id, &found.vendor)) {
                Some(row) => *row = found,
                None => rows.push(found),
            }
        };
        client.lines(&format!("/search/stream{query}"), show).await?;
        return remember(home, &rows);
    }
    let found: Page<Found> = client.get(&format!("/search{query}")).await?;
    let found = found.items;
    remember(home, &found)?;
    if global.json {
        found.iter().for_each(show::json);
    } else {
        files(global, &found, "nothing found; try fewer words");
    }
    Ok(())
}

fn files(global: &Global, found: &[Found], empty: &str) {
    if global.json {
        show::json(&found);
        return;
    }
    let rows = found.iter().enumerate().map(|(row, file)| {
        let vendor = file.vendor_name.as_deref().map_or_else(|| short(&file.vendor).to_owned(), foreign);
        let online = if file.online { "online" } else { "" };
        vec![
            (row + 1).to_string(),
            foreign(&file.name),
            size(file.size),
            coins(file.price),
            vendor,
            online.to_owned(),
        ]
    });
    let columns =
        [("row", true), ("name", false), ("size", true), ("price", true), ("vendor", false), ("", false)];
    show::table(&columns, rows.collect(), empty);
}

fn remember(home: &Home, found: &[Found]) -> Result<(), ErrorView> {
    let path = home.path().join(LAST_SEARCH);
    let text = serde_json::to_vec(found).map_err(errors::internal)?;
    std::fs::write(&path, text).map_err(|e| errors::io("writing", &path, &e))
}

/// What a row of the last search named.
pub(super) fn recall(home: &Home, row: usize) -> Result<Found, ErrorView> {
    let text = std::fs::read(home.path().join(LAST_SEARCH)).unwrap_or_default();
    let found: Vec<Found> = serde_json::from_slice(&text).unwrap_or_default();
    let at = row.checked_sub(1).ok_or_else(|| errors::no_row(row))?;
    found.into_iter().nth(at).ok_or_else(|| errors::no_row(row))
}

async fn peers(global: &Global, client: &Client) -> Result<(), ErrorView> {
    let mut peers: Vec<PeerView> = client.list("/peers").await?;
    peers.sort_by(|a, b| (!a.connected, &a.name, &a.node).cmp(&(!b.connected, &b.name, &b.node)));
    if global.json {
        show::json(&peers);
        return Ok(());
    }
    let rows = peers.iter().map(|peer| {
        let files = peer.files.map_or_else(String::new, |files| files.to_string());
        let state = match (peer.blocked, peer.connected) {
            (true, _) => "blocked",
            (false, true) => "connected",
            (false, false) => "",
        };
        vec![
            foreign(peer.name.as_deref().unwrap_or("")),
            short(&peer.node).to_owned(),
            files,
            state.to_owned(),
        ]
    });
    let columns = [("name", false), ("node", false), ("files", true), ("", false)];
    show::table(&columns, rows.collect(), "nobody else is online");
    Ok(())
}

async fn downloads(global: &Global, client: &Client, act: Downloads) -> Result<(), ErrorView> {
    let (id, act) = match act {
        Downloads::Ls => {
            let list: Vec<DownloadView> = client.list("/downloads").await?;
            if global.json {
                show::json(&list);
                return Ok(());
            }
            let row = |view: &DownloadView| {
                let percent = (view.have * 100).checked_div(view.size).unwrap_or(100);
                let state = format!("{:?}", view.state).to_lowercase();
                vec![
                    view.id.to_string(),
                    foreign(&view.name),
                    size(view.size),
                    format!("{percent} %"),
                    coins(view.paid),
                    state,
                ]
            };
            let columns =
                [("id", true), ("name", false), ("size", true), ("done", true), ("paid", true), ("", false)];
            show::table(&columns, list.iter().map(row).collect(), "no downloads yet: netpay search WORDS…");
            return Ok(());
        }
        Downloads::Show { id } => {
            let view: DownloadView = client.get(&format!("/downloads/{id}")).await?;
            if global.json {
                show::json(&view);
                return Ok(());
            }
            show::line(&format!("{} → {}", foreign(&view.name), view.path));
            show::line(&format!("  {} of {}, {} paid", size(view.have), size(view.size), coins(view.paid)));
            for entry in &view.timeline {
                show::line(&format!(
                    "  {}  {:<10} {}",
                    show::moment(entry.at / 1000),
                    entry.what,
                    foreign(&entry.detail)
                ));
            }
            if let Some(error) = &view.error {
                show::error(error, global);
            }
            return Ok(());
        }
        Downloads::Pause { id } => (id, "pause"),
        Downloads::Resume { id } => (id, "resume"),
        Downloads::Cancel { id } => {
            ask::confirm(global, &calling_off(id, client).await?)?;
            (id, "cancel")
        }
        Downloads::Retry { id } => (id, "retry"),
    };
    let view: DownloadView = client.post(&format!("/downloads/{id}/{act}"), &json!({})).await?;
    said(global, &view, &format!("{id} is {}", format!("{:?}", view.state).to_lowercase()));
    Ok(())
}

async fn sales(global: &Global, client: &Client, act: Sales) -> Result<(), ErrorView> {
    let list: Vec<SaleView> = client.list("/sales").await?;
    let (rows, columns, csv): (Vec<Vec<String>>, Vec<show::Column>, bool) = match act {
        Sales::Ls { csv } => {
            let row = |sale: &SaleView| {
                vec![
                    show::moment(sale.at),
                    foreign(&sale.name),
                    short(&sale.buyer).to_owned(),
                    sale.coins.to_string(),
                ]
            };
            let columns = vec![("when", false), ("name", false), ("buyer", false), ("coins", true)];
            (list.iter().map(row).collect(), columns, csv)
        }
        Sales::Summary { csv } => {
            let mut files = std::collections::BTreeMap::<&str, (&str, u64, u64)>::new();
            for sale in &list {
                let entry = files.entry(&sale.root).or_insert((&sale.name, 0, 0));
                entry.1 += 1;
                entry.2 += sale.coins;
            }
            let rows = files
                .values()
                .map(|(name, sold, earned)| vec![foreign(name), sold.to_string(), earned.to_string()]);
            (rows.collect(), vec![("name", false), ("sold", true), ("coins", true)], csv)
        }
    };
    if global.json {
        show::json(&list);
    } else if csv {
        show::csv(&columns.iter().map(|(title, _)| *title).collect::<Vec<_>>(), &rows);
    } else {
        show::table(&columns, rows, "nothing sold yet");
        held(client, global).await?;
    }
    Ok(())
}

/// Says what was claimed and cannot be paid yet, since it was sold in fair mode.
async fn held(client: &Client, global: &Global) -> Result<(), ErrorView> {
    let till: Vec<TillView> = client.list("/till").await?;
    let now = crate::clock::time().0;
    let waits = |line: &&TillView| line.held && line.until.is_some_and(|until| until > now);
    let (coins, until) = till
        .iter()
        .filter(waits)
        .fold((0, None), |(coins, until), line| (coins + line.coins, line.until.max(until)));
    if let Some(until) = until.filter(|_| !global.quiet) {
        show::line(&held_until(coins, until));
    }
    Ok(())
}

fn held_until(amount: u64, until: u64) -> String {
    let verb = if amount == 1 { "is" } else { "are" };
    let until = show::moment(until);
    format!("{} {verb} held until {until}: fair sales can be disputed for a day", coins(amount))
}

async fn redeem(global: &Global, client: &Client) -> Result<(), ErrorView> {
    let view: RedeemView = client.post("/redeem", &json!({})).await?;
    if global.json {
        show::json(&view);
        return Ok(());
    }
    let nothing = view.paid == 0 && view.pending == 0 && view.uncertified == 0 && view.refused.is_empty();
    if nothing {
        show::note("nothing earned that is not redeemed yet");
    } else {
        show::line(&format!("{} paid into your account", coins(view.paid)));
    }
    if let Some(until) = view.held_until {
        show::line(&held_until(view.held, until));
    }
    let for_settlement = view.pending.saturating_sub(view.held);
    if for_settlement > 0 {
        show::line(&format!("{} wait for settlement", coins(for_settlement)));
    }
    if view.uncertified > 0 {
        show::line(&format!("{} segments wait for their witnesses; try again later", view.uncertified));
    }
    view.refused.iter().for_each(|why| show::note(&format!("refused: {}", foreign(why))));
    Ok(())
}

async fn broker(global: &Global, client: &Client, act: Broker) -> Result<(), ErrorView> {
    match act {
        Broker::Show => {
            let view: BrokerView = client.get("/broker").await?;
            let state = match (view.registered, &view.frozen_because) {
                (true, Some(why)) => format!("frozen, {}: ask the operator", foreign(why)),
                (true, None) => "registered".to_owned(),
                (false, _) => "not registered: netpay broker register".to_owned(),
            };
            let name = foreign(view.name.as_deref().unwrap_or("unknown"));
            let mut text = format!("{name}\n  key      {}\n  account  {state}", view.key);
            if let (Some(held_for), Some(fee)) = (view.held_for, view.false_accusation) {
                let (span, fee) = (crate::shown::span(held_for), coins(fee));
                text +=
                    &format!("\n  disputes within {span} of a claim in fair mode; a false one costs {fee}");
            }
            said(global, &view, &text);
            Ok(())
        }
        Broker::Register { voucher } => {
            let code = if voucher { Some(ask::voucher(global)?) } else { None };
            let wallet: crate::app::view::WalletView =
                client.post("/broker/register", &json!({ "voucher": code })).await?;
            let balance = wallet.at_broker.unwrap_or_default();
            said(global, &wallet, &format!("registered; {} at the broker", coins(balance)));
            Ok(())
        }
        Broker::Open => {
            let link: LoginLink = client.post("/broker/account-links", &json!({})).await?;
            said(global, &link, &link.url);
            Ok(())
        }
        Broker::Use { .. } => Ok(()),
    }
}

fn settings(global: &Global, home: &Home, act: Config) -> Result<(), ErrorView> {
    match act {
        Config::Set { key, value } => config::set(home.path(), &home.config(), &key, &value),
        Config::Unset { key } => config::unset(&home.config(), &key),
        Config::Get { key } => {
            let loaded = config::load(home, &[])?;
            let setting = loaded.settings.iter().find(|setting| setting.key == key);
            let setting = setting.ok_or_else(|| errors::unknown_key(&key, "the command", None))?;
            said(global, setting, &setting.value);
            Ok(())
        }
        Config::Show { origin } => {
            let loaded = config::load(home, &[])?;
            if global.json {
                show::json(&loaded.settings);
                return Ok(());
            }
            for setting in &loaded.settings {
                let from = if origin { format!("    # {}", setting.origin) } else { String::new() };
                show::line(&format!("{} = {}{from}", setting.key, setting.value));
            }
            Ok(())
        }
    }
}

fn explain(code: &str) -> Result<(), ErrorView> {
    let entry =
        errors::entry(code).ok_or_else(|| errors::bad_request(format!("there is no error {code}")))?;
    show::line(&entry.explained());
    Ok(())
}
