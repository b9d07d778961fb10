//! Each command, in a few lines: ask the broker that runs, or, where it is stopped and that is enough, its home.

use super::args::{Accounts, Args, Chains, Command, Disputes, Init, Redemptions, Voucher};
use super::client::Client;
use super::out::Out;
use super::{about, books, money_out, service, show, up};
use crate::admin::view::{AccountView, ChainView, DisputeView, RedemptionView, StatusView, VouchersView};
use crate::backup;
use crate::errors::{self, ErrorView};
use crate::home::{BrokerHome, Settings};
use data_encoding::HEXLOWER;
use netpay_node::api::LoginLink;
use netpay_node::clock;
use netpay_node::logs::{self, Wanted};
use netpay_node::store::files::{PRIVATE, atomic_write};
use serde_json::json;

/// Does what the arguments say.
pub async fn run(args: Args) -> Result<(), ErrorView> {
    let home = BrokerHome::resolve(args.home.as_deref())?;
    log(&args, &home)?;
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
        Command::Disputes(disputes) => found_out(&Client::of(&home)?, &disputes, &out).await,
        Command::Payouts(payouts) => money_out::run(&home, payouts, &out).await,
        Command::Ledger(ledger) => books::run(&home, &ledger, &out).await,
        Command::Backup { file } => {
            books::save(&home, &file).await?;
            out.print(&json!({ "file": file }), |_| format!("backup written to {}", file.display()))
        }
        Command::Restore { file } => {
            let records = backup::restore(&file, &home)?;
            out.print(&json!({ "records": records }), |_| format!("{records} records restored"))
        }
        Command::Invite { qr } => service::invite(&home, qr, &out).await,
        Command::Logs(wanted) => service::logs(&home, &wanted, &out).await,
        Command::SupportBundle { file } => service::bundle(&home, file.as_deref(), &out).await,
        Command::Completions { shell } => {
            about::completions(shell);
            Ok(())
        }
        Command::Man { dir } => about::man(&dir),
        Command::Explain { code } => about::explain(&code, &out),
        Command::Version => about::version(&out),
    }
}

async fn found_out(client: &Client, disputes: &Disputes, out: &Out) -> Result<(), ErrorView> {
    let all: Vec<DisputeView> = client.list("/disputes").await?;
    let one = async |id: &str| {
        let id = only("dispute", id, all.iter().map(|view| &view.id))?;
        client.get::<DisputeView>(&format!("/disputes/{id}")).await
    };
    match disputes {
        Disputes::Ls => out.list(&all, show::disputes),
        Disputes::Show { id } => out.print(&one(id).await?, show::dispute),
        Disputes::Save { id, file, verdict } => {
            let view = one(id).await?;
            let (what, kept) = match verdict {
                true => ("verdict about dispute", view.junk.and_then(|junk| junk.verdict)),
                false => ("evidence of dispute", view.evidence),
            };
            let kept = kept.ok_or_else(|| errors::not_found(what, &view.id))?;
            let bytes = HEXLOWER.decode(kept.as_bytes()).map_err(errors::odd_answer)?;
            atomic_write(file, &bytes, PRIVATE).map_err(|error| errors::io("writing", file, error))?;
            out.print(&json!({ "file": file }), |_| format!("written to {}", file.display()))
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

/// The code of "no broker is running", upon which some commands read the home themselves.
pub(super) const NOT_RUNNING: &str = "NP-BROKER-022";

fn make(home: &BrokerHome, init: &Init, out: &Out) -> Result<(), ErrorView> {
    let mut settings = Settings::new(&init.network, &init.name, &init.contact);
    settings.denomination.clone_from(&init.denomination);
    settings.voucher_needed = init.voucher_needed;
    settings.bond = init.bond;
    let made = home.init(&settings)?;
    let broker = made.signing.public().to_string();
    let view = json!({ "home": home.path(), "broker": broker, "network": settings.network });
    out.print(&view, |_| {
        format!("made broker {broker}\nin   {0}\nnext netpay-broker --home {0} up", home.path().display())
    })
}

/// The one name that begins so.
pub(super) fn only<'a>(
    what: &str,
    start: &str,
    names: impl Iterator<Item = &'a String>,
) -> Result<String, ErrorView> {
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

/// What makes a request the same as another.
pub(super) fn request_text(given: Option<String>) -> String {
    given.unwrap_or_else(|| data_encoding::HEXLOWER.encode(&clock::random::<16>()))
}

fn log(args: &Args, home: &BrokerHome) -> Result<(), ErrorView> {
    // That a first node knows nobody yet is no news: its overlay warns of it at every start.
    let usual = "warn,libp2p_kad::behaviour=error,netpay_broker=info";
    let level = match (args.quiet, args.verbose) {
        (true, _) => "error",
        (false, 0) => usual,
        (false, 1) => "info,netpay_broker=debug,netpay_node=debug",
        (false, _) => "debug",
    };
    let given = std::env::var("NETPAY_LOG").ok().filter(|directives| !directives.is_empty());
    let screen = given.as_deref().unwrap_or(level);
    // Who wants to see little now may want to look something up later.
    let in_files = if args.quiet { given.as_deref().unwrap_or(usual) } else { screen };
    let colored = args.color.of_screen();
    let directory = home.home().logs();
    let files = match args.command {
        Command::Up { .. } => {
            // Before there is anything in the home that no broker made.
            home.open()?;
            Some((directory.as_path(), in_files))
        }
        _ => None,
    };
    logs::begin(&Wanted { screen, colored, files })
}
