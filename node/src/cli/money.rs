//! The commands that spend: they say what it costs, and ask first.

use super::acts::Wallet;
use super::args::{Command, Global};
use super::ask;
use super::commands::{absolute, recall, said};
use super::show::{self, coins, foreign, short, size};
use crate::api::client::Client;
use crate::app::view::{
    BrokerView, ChainView, DownloadState, DownloadView, ErrorView, GetRequest, HistoryLine, Quote, WalletView,
};
use crate::config;
use crate::errors;
use crate::home::Home;
use crate::store::files::{PRIVATE, atomic_write};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::io::IsTerminal as _;

/// How often a bar is drawn, per second.
const BAR_RATE: u8 = 10;
/// The largest backup read, in bytes.
const MAX_BACKUP: u64 = 1 << 20;

/// Buys a file.
pub async fn get(global: &Global, home: &Home, client: &Client, command: Command) -> Result<(), ErrorView> {
    let Command::Get { what, output, max_price, from, dry_run, detach, keep_open, fair } = command else {
        return Ok(());
    };
    let (what, from) = match what.parse::<usize>() {
        Ok(row) => {
            let found = recall(home, row)?;
            (found.id, from.or(Some(found.vendor)))
        }
        Err(_) => (what, from),
    };
    let output = output.map(|path| absolute(&path)).transpose()?;
    let output = output.map(|path| path.to_string_lossy().into_owned());
    let mut request = GetRequest { what, output, max_price, from, dry_run, keep_open, fair };
    let quote: Quote = client.post("/quote", &request).await?;
    if dry_run {
        let text = format!(
            "{}: {} for {}, from {}; {}",
            foreign(&quote.name),
            coins(quote.price),
            size(quote.size),
            vendors(&quote),
            quote.terms()
        );
        said(global, &quote, &text);
        return Ok(());
    }
    if quote.price > 0 {
        if quote.spendable < quote.price {
            // Nobody is asked about what cannot be. A wallet that is locked says so itself.
            client.get::<WalletView>("/wallet").await?;
            return Err(errors::not_enough_coins(&quote.name, quote.price, quote.spendable, 0, None));
        }
        let question = format!(
            "buy {} for {} from {}, {} (you have {} → {} after)?",
            foreign(&quote.name),
            coins(quote.price),
            vendors(&quote),
            quote.terms(),
            quote.spendable,
            quote.spendable.saturating_sub(quote.price)
        );
        ask::confirm(global, &question)?;
        // What was confirmed is the most that is paid.
        request.max_price = Some(max_price.unwrap_or(quote.price));
    }
    let view: DownloadView = client.post("/downloads", &request).await?;
    if detach {
        said(global, &view, &format!("download {} has begun", view.id));
        return Ok(());
    }
    let view = follow(global, client, view).await?;
    if view.state == DownloadState::Done {
        let text = format!("{} → {}, {} paid", foreign(&view.name), view.path, coins(view.paid));
        said(global, &view, &text);
        return Ok(());
    }
    let paused = || errors::wrong_state(view.id, format!("{:?}", view.state).to_lowercase(), "done");
    Err(view.error.clone().unwrap_or_else(paused))
}

/// Whom a purchase pays: the cheapest vendor first, others if it fails.
fn vendors(quote: &Quote) -> String {
    let Some(first) = quote.vendors.first() else { return "any vendor".to_owned() };
    let name = first.vendor_name.as_deref().map_or_else(|| short(&first.vendor).to_owned(), foreign);
    match quote.vendors.len() {
        1 => name,
        many => format!("{name}, or one of {} others", many - 1),
    }
}

async fn follow(global: &Global, client: &Client, view: DownloadView) -> Result<DownloadView, ErrorView> {
    let on_terminal = std::io::stderr().is_terminal() && !global.no_progress && !global.quiet && !global.json;
    let target =
        if on_terminal { ProgressDrawTarget::stderr_with_hz(BAR_RATE) } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(view.size), target);
    if let Ok(style) =
        ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
    {
        bar.set_style(style);
    }
    bar.set_message(foreign(&view.name));
    let mut told = 0;
    let ended = client
        .follow(view.id, |view| {
            bar.set_position(view.have);
            let tenth = (view.have * 10).checked_div(view.size).unwrap_or(10);
            if !on_terminal && !global.quiet && !global.json && tenth > told {
                told = tenth;
                show::note(&format!("{} %, {} paid", tenth * 10, coins(view.paid)));
            }
        })
        .await;
    bar.finish_and_clear();
    ended
}

/// The wallet's commands.
pub async fn wallet(
    global: &Global,
    home: &Home,
    client: &Client,
    act: Option<Wallet>,
) -> Result<(), ErrorView> {
    match act.unwrap_or(Wallet::Balance) {
        Wallet::Balance => balance(global, &client.get("/wallet").await?),
        Wallet::Payout { coins, to } => payout(global, home, client, coins, to).await?,
        Wallet::Buy { n } => {
            let question = format!("buy {} at {}?", coins(n), broker_name(client).await?);
            ask::confirm(global, &question)?;
            let view = client.post("/wallet/buy", &json!({ "coins": n })).await?;
            if !global.json && !global.quiet {
                show::note(&format!("{} bought", coins(n)));
            }
            balance(global, &view);
        }
        Wallet::RedeemVoucher => {
            let code = ask::voucher(global)?;
            balance(global, &client.post("/wallet/vouchers", &json!({ "voucher": code })).await?);
        }
        Wallet::Chains => chains(global, &client.list::<ChainView>("/wallet/chains").await?),
        Wallet::Retire { id } => {
            ask::confirm(global, &retiring(id.as_deref(), client).await?)?;
            chains(global, &client.post::<Vec<ChainView>>("/wallet/retire", &json!({ "id": id })).await?);
        }
        Wallet::History { csv } => {
            history(global, csv, &client.list::<HistoryLine>("/wallet/history").await?)
        }
        Wallet::Backup { file, passphrase } => {
            let secret = ask::passphrase(global, &passphrase, "A passphrase for the backup: ")?;
            let secret = secret.ok_or_else(errors::passphrase_needed)?;
            let answer: Value =
                client.post("/wallet/backup", &json!({ "passphrase": secret.as_str() })).await?;
            let text = answer.get("backup").and_then(Value::as_str).unwrap_or_default();
            let bytes = data_encoding::BASE64.decode(text.as_bytes()).map_err(errors::internal)?;
            atomic_write(&file, &bytes, PRIVATE).map_err(|e| errors::io("writing", &file, &e))?;
            said(global, &json!({ "file": file }), &format!("backup written to {}", file.display()));
        }
        Wallet::Restore { file, passphrase } => {
            let bytes = read_backup(&file)?;
            let secret = ask::passphrase(global, &passphrase, "The backup's passphrase: ")?;
            let secret = secret.ok_or_else(errors::passphrase_needed)?;
            ask::confirm(
                global,
                "put this backup in the place of the wallet? Its chains are retired and refunded.",
            )?;
            let asked =
                json!({ "backup": data_encoding::BASE64.encode(&bytes), "passphrase": secret.as_str() });
            chains(global, &client.post::<Vec<ChainView>>("/wallet/restore", &asked).await?);
        }
        Wallet::Lock => client.post("/wallet/lock", &json!({})).await?,
        Wallet::Unlock { passphrase } => {
            let secret = ask::passphrase(global, &passphrase, "The wallet's passphrase: ")?;
            let secret = secret.ok_or_else(errors::passphrase_needed)?;
            client.post::<()>("/wallet/unlock", &json!({ "passphrase": secret.as_str() })).await?;
        }
    }
    Ok(())
}

/// Has money of the account paid out.
async fn payout(
    global: &Global,
    home: &Home,
    client: &Client,
    amount: Option<u64>,
    to: Option<String>,
) -> Result<(), ErrorView> {
    let to = to
        .filter(|to| !to.is_empty())
        .map_or_else(|| config::load(home, &[]).map(|loaded| loaded.config.payout_to), Ok)?;
    if to.is_empty() {
        return Err(errors::bad_request("it is not said where the money is to be paid to")
            .fixed_by("netpay wallet payout --to WHERE      or once: netpay config set payout_to WHERE"));
    }
    let there = client.get::<WalletView>("/broker/account").await?.at_broker.unwrap_or_default();
    let amount = amount.unwrap_or(there);
    let question = format!(
        "have {} pay out {} to {} (the account holds {there} → {} after)?",
        broker_name(client).await?,
        coins(amount),
        foreign(&to),
        there.saturating_sub(amount)
    );
    ask::confirm(global, &question)?;
    let asked = json!({ "coins": amount, "to": to });
    let view: WalletView = client.post("/wallet/payouts", &asked).await?;
    let text = format!(
        "{} will be paid out to {}; {} left at the broker",
        coins(amount),
        foreign(&to),
        coins(view.at_broker.unwrap_or_default())
    );
    said(global, &view, &text);
    Ok(())
}

async fn broker_name(client: &Client) -> Result<String, ErrorView> {
    let broker: BrokerView = client.get("/broker").await?;
    Ok(broker.name.as_deref().map_or_else(|| format!("the broker {}", short(&broker.key)), foreign))
}

/// What is asked before chains are given up.
async fn retiring(id: Option<&str>, client: &Client) -> Result<String, ErrorView> {
    let chains: Vec<ChainView> = client.list("/wallet/chains").await?;
    let meant = chains.iter().filter(|chain| !chain.retired && id.is_none_or(|id| chain.id == id));
    let rest: u64 = meant.map(|chain| chain.free + chain.leased).sum();
    let which = id.map_or_else(|| "all chains".to_owned(), |id| format!("the chain {}", short(id)));
    Ok(format!(
        "retire {which}? {} cannot be spent any more, and come back to the account at settlement.",
        coins(rest)
    ))
}

fn read_backup(file: &std::path::Path) -> Result<Vec<u8>, ErrorView> {
    let size = std::fs::metadata(file).map_err(|e| errors::io("reading", file, &e))?.len();
    if size > MAX_BACKUP {
        return Err(errors::bad_backup("it is too large to be one"));
    }
    std::fs::read(file).map_err(|e| errors::io("reading", file, &e))
}

fn balance(global: &Global, view: &WalletView) {
    if global.json {
        show::json(view);
        return;
    }
    let at_broker = view.at_broker.map_or_else(|| "not known".to_owned(), coins);
    show::line(&format!("spendable  {}", coins(view.spendable)));
    show::line(&format!("leased     {}", coins(view.leased)));
    if view.unconfirmed > 0 {
        show::line(&format!("on its way {}, without a receipt yet", coins(view.unconfirmed)));
    }
    show::line(&format!("locked     {}", coins(view.locked)));
    show::line(&format!("earned     {}, not yet redeemed", coins(view.earned)));
    show::line(&format!("at broker  {at_broker}"));
    for held in &view.held {
        let until = show::moment(held.until);
        show::line(&format!("held       {}, paid from {until} on if nobody disputes it", coins(held.coins)));
    }
    if view.bond > 0 {
        show::line(&format!("bond       {}, set aside at the broker", coins(view.bond)));
    }
}

fn chains(global: &Global, list: &[ChainView]) {
    if global.json {
        show::json(&list);
        return;
    }
    let rows = list.iter().map(|chain| {
        let state = if chain.retired {
            "retired".to_owned()
        } else {
            format!("until {}", show::moment(chain.spend_by))
        };
        let numbers = [chain.total, chain.spent, chain.leased, chain.free].map(|n| n.to_string());
        [vec![show::short(&chain.id).to_owned()], numbers.to_vec(), vec![state]].concat()
    });
    let columns =
        [("chain", false), ("coins", true), ("spent", true), ("leased", true), ("free", true), ("", false)];
    show::table(&columns, rows.collect(), "no coins yet: netpay wallet buy N");
}

fn history(global: &Global, csv: bool, lines: &[HistoryLine]) {
    if global.json {
        lines.iter().for_each(show::json);
        return;
    }
    let rows = lines.iter().map(|line| {
        vec![show::moment(line.at), foreign(&line.what), line.change.to_string(), line.balance.to_string()]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    if csv {
        show::csv(&["when", "what", "change", "balance"], &rows);
    } else {
        let columns = [("when", false), ("what", false), ("change", true), ("balance", true)];
        show::table(&columns, rows, "nothing yet");
    }
}
