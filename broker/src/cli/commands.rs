//! Each command, in a few lines: ask the broker that runs, or, where it is stopped and that is enough, its home.

use super::args::{Accounts, Args, Chains, Command, Init, Ledger, Payouts, Redemptions, Voucher};
use super::client::Client;
use super::{show, up};
use crate::admin::routes::{audit, write_journal};
use crate::admin::view::{
    AccountView, AuditView, ChainView, PageView, PayoutView, RedemptionView, StatusView, VouchersView,
};
use crate::backup;
use crate::errors::{self, ErrorView};
use crate::home::{self, BrokerHome, Settings};
use crate::store::Journal;
use netpay_core::id::NetworkId;
use netpay_node::api::LoginLink;
use netpay_node::clock;
use netpay_node::home::HomeLock;
use netpay_node::store::Db;
use serde::Serialize;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use tracing_subscriber::EnvFilter;

/// Does what the arguments say.
pub async fn run(args: Args) -> Result<(), ErrorView> {
    log(&args);
    let home = BrokerHome::resolve(args.home.as_deref())?;
    let out = Out { json: args.json };
    match args.command {
        Command::Init(init) => make(&home, &init, &out),
        Command::Up { listen, api, web, adopt } => up::up(&home, &listen, (api, web), adopt, args.json).await,
        Command::Open => {
            let link: LoginLink =
                Client::of(&home)?.post("/login-links", &request_text(None), &json!({})).await?;
            out.print(&link, |link| link.url.clone())
        }
        Command::Stop => Client::of(&home)?.stop().await,
        Command::Status => {
            let view: StatusView = Client::of(&home)?.get("/status").await?;
            out.print(&view, show::status)
        }
        Command::Voucher(Voucher::New { value, count, request }) => {
            let body = json!({ "value": value, "count": count });
            let view: VouchersView =
                Client::of(&home)?.post("/vouchers", &request_text(request), &body).await?;
            out.print(&view, |view| view.codes.join("\n"))
        }
        Command::Accounts(accounts) => customers(&Client::of(&home)?, accounts, &out).await,
        Command::Chains(Chains::Ls) => {
            let views: Vec<ChainView> = Client::of(&home)?.list("/chains").await?;
            out.list(&views, show::chains)
        }
        Command::Chains(Chains::Show { chain }) => {
            let client = Client::of(&home)?;
            let all = client.list::<ChainView>("/chains").await?;
            let chain = only("chain", &chain, all.iter().map(|view| &view.chain))?;
            out.print(&client.get::<ChainView>(&format!("/chains/{chain}")).await?, show::chain)
        }
        Command::Redemptions(Redemptions::Ls) => {
            let views: Vec<RedemptionView> = Client::of(&home)?.list("/redemptions").await?;
            out.list(&views, show::redemptions)
        }
        Command::Payouts(payouts) => money_out(&Client::of(&home)?, payouts, &out).await,
        Command::Ledger(ledger) => books(&home, &ledger, &out).await,
        Command::Backup { file } => save(&home, &file).await,
        Command::Restore { file } => {
            let records = backup::restore(&file, &home)?;
            out.print(&json!({ "records": records }), |_| format!("{records} records restored"))
        }
    }
}

async fn customers(client: &Client, accounts: Accounts, out: &Out) -> Result<(), ErrorView> {
    let find = async |name: &str| {
        let all = client.list::<AccountView>("/accounts").await?;
        only("account", name, all.iter().map(|view| &view.account))
    };
    let view: AccountView = match accounts {
        Accounts::Ls => return out.list(&client.list::<AccountView>("/accounts").await?, show::accounts),
        Accounts::Show { account } => client.get(&format!("/accounts/{}", find(&account).await?)).await?,
        Accounts::Credit { account, coins, note, request } => {
            let path = format!("/accounts/{}/credit", find(&account).await?);
            client.post(&path, &request_text(request), &json!({ "coins": coins, "note": note })).await?
        }
        Accounts::Freeze { account, why, undo: false } => {
            let path = format!("/accounts/{}/freeze", find(&account).await?);
            client.post(&path, &request_text(None), &json!({ "why": why })).await?
        }
        Accounts::Freeze { account, undo: true, .. } => {
            let path = format!("/accounts/{}/unfreeze", find(&account).await?);
            client.post(&path, &request_text(None), &json!({})).await?
        }
        Accounts::Close { account } => {
            let path = format!("/accounts/{}/close", find(&account).await?);
            client.post(&path, &request_text(None), &json!({})).await?
        }
    };
    out.print(&view, show::account)
}

async fn money_out(client: &Client, payouts: Payouts, out: &Out) -> Result<(), ErrorView> {
    match payouts {
        Payouts::Export { all, .. } => {
            let mut views: Vec<PayoutView> = client.list("/payouts").await?;
            views.retain(|view| all || view.paid.is_none());
            out.list(&views, show::payouts)
        }
        Payouts::Paid { account, number, reference } => {
            let views: Vec<PayoutView> = client.list("/payouts").await?;
            let account = only("payout", &account, views.iter().map(|view| &view.account))?;
            let path = format!("/payouts/{account}/{number}/paid");
            let page: PageView<PayoutView> =
                client.post(&path, &request_text(None), &json!({ "reference": reference })).await?;
            let paid =
                |view: &PayoutView| view.account == account && view.number.eq_ignore_ascii_case(&number);
            let views: Vec<_> = page.items.into_iter().filter(paid).collect();
            out.list(&views, show::payouts)
        }
    }
}

async fn books(home: &BrokerHome, ledger: &Ledger, out: &Out) -> Result<(), ErrorView> {
    match (ledger, Client::of(home)) {
        (Ledger::Check, Ok(client)) => match client.get::<AuditView>("/ledger/check").await {
            Err(error) if error.code == NOT_RUNNING => check_stopped(home, out),
            view => out.print(&view?, show::audit),
        },
        (Ledger::Export, Ok(client)) => match client.copy("/ledger/export", io::stdout().lock()).await {
            Err(error) if error.code == NOT_RUNNING => export_stopped(home),
            done => done,
        },
        (Ledger::Check, Err(error)) if error.code == NOT_RUNNING => check_stopped(home, out),
        (Ledger::Export, Err(error)) if error.code == NOT_RUNNING => export_stopped(home),
        (_, Err(error)) => Err(error),
    }
}

/// The code of "no broker is running", upon which some commands read the home themselves.
const NOT_RUNNING: &str = "NP-BROKER-022";

fn check_stopped(home: &BrokerHome, out: &Out) -> Result<(), ErrorView> {
    let stopped = Stopped::open(home)?;
    let view = audit(&stopped.journal, stopped.network).map_err(errors::books)?;
    out.print(&view, show::audit)
}

fn export_stopped(home: &BrokerHome) -> Result<(), ErrorView> {
    let stopped = Stopped::open(home)?;
    let mut stdout = BufWriter::new(io::stdout().lock());
    let written = write_journal(&mut stdout, &stopped.journal, stopped.network).and_then(|()| stdout.flush());
    written.map_err(|error| errors::io("writing", "the output".as_ref(), error))
}

async fn save(home: &BrokerHome, file: &Path) -> Result<(), ErrorView> {
    let failed = |error| errors::io("writing", file, error);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, netpay_node::store::files::PRIVATE);
    let backup = options.open(file).map_err(failed)?;
    let saved = match Client::of(home) {
        Ok(client) => client.copy("/backup", &backup).await,
        Err(error) => Err(error),
    };
    let saved = match saved {
        Err(error) if error.code == NOT_RUNNING => save_stopped(home, &backup, file),
        done => done,
    };
    if saved.is_err() {
        // Half a backup is none; the error that matters is the first one.
        let _ = std::fs::remove_file(file);
        return saved;
    }
    backup.sync_all().map_err(failed)
}

fn save_stopped(home: &BrokerHome, out: &std::fs::File, file: &Path) -> Result<(), ErrorView> {
    let stopped = Stopped::open(home)?;
    let opened = home.open()?;
    let saved = backup::save(
        BufWriter::new(out),
        &opened.settings,
        (&opened.signing, &opened.node),
        &stopped.journal,
    );
    saved.map_err(|error| errors::io("writing", file, error))
}

fn make(home: &BrokerHome, init: &Init, out: &Out) -> Result<(), ErrorView> {
    let mut settings = Settings::new(&init.network, &init.name, &init.contact);
    settings.denomination.clone_from(&init.denomination);
    settings.voucher_needed = init.voucher_needed;
    settings.bond = init.bond;
    let made = home.init(&settings)?;
    let broker = made.signing.public().to_string();
    let view = json!({ "home": home.path(), "broker": broker, "network": settings.network });
    out.print(&view, |_| {
        format!("made broker {broker}\nin   {}\nnext netpay-broker up", home.path().display())
    })
}

/// The books of a broker that is stopped.
struct Stopped {
    journal: Journal,
    network: NetworkId,
    _lock: HomeLock,
}

impl Stopped {
    fn open(home: &BrokerHome) -> Result<Self, ErrorView> {
        let opened = home.open()?;
        let lock = home.home().lock().map_err(|error| home::of_home(&error))?;
        let network = NetworkId::of(&opened.settings.network, &opened.signing.public());
        let db = Db::open(&home.home().db()).map_err(errors::books)?;
        let journal = Journal::open(db, &network).map_err(errors::books)?;
        Ok(Self { journal, network, _lock: lock })
    }
}

/// Where results go.
struct Out {
    json: bool,
}

impl Out {
    fn print<T: Serialize>(&self, view: &T, words: impl FnOnce(&T) -> String) -> Result<(), ErrorView> {
        let text = if self.json { serde_json::to_string(view).unwrap_or_default() } else { words(view) };
        line(&text)
    }

    fn list<T: Serialize>(&self, views: &[T], words: impl FnOnce(&[T]) -> String) -> Result<(), ErrorView> {
        if !self.json {
            return line(&words(views));
        }
        views.iter().try_for_each(|view| line(&serde_json::to_string(view).unwrap_or_default()))
    }
}

fn line(text: &str) -> Result<(), ErrorView> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        // Whoever reads has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| errors::io("writing", "the output".as_ref(), error)),
    }
}

/// The one name that begins so.
fn only<'a>(what: &str, start: &str, names: impl Iterator<Item = &'a String>) -> Result<String, ErrorView> {
    let mut found: Vec<&String> = names.filter(|name| !start.is_empty() && name.starts_with(start)).collect();
    found.sort_unstable();
    found.dedup();
    match found[..] {
        [name] => Ok(name.clone()),
        [] => Err(errors::not_found(what, start)),
        _ => Err(errors::bad_request(format!(
            "{} {what}s begin with {start:?}: give more digits",
            found.len()
        ))),
    }
}

fn request_text(given: Option<String>) -> String {
    given.unwrap_or_else(|| data_encoding::HEXLOWER.encode(&clock::random::<16>()))
}

fn log(args: &Args) {
    let level = match (args.quiet, args.verbose) {
        (true, _) => "error",
        (false, 0) => "warn,netpay_broker=info",
        (false, 1) => "info,netpay_broker=debug,netpay_node=debug",
        (false, _) => "debug",
    };
    let filter = EnvFilter::try_from_env("NETPAY_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let colored = match args.color {
        super::args::Color::Always => true,
        super::args::Color::Never => false,
        super::args::Color::Auto => {
            io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none()
        }
    };
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colored).with_writer(io::stderr);
    // A log that takes nothing more, as on a full disk, must not end whatever wanted to say something.
    let subscriber = subscriber.log_internal_errors(false);
    // One that is set already, as by a program that runs the command inside itself, stays.
    let _ = subscriber.try_init();
}
