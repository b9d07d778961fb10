//! Wallet and sales.

use super::trade::{At, slice};
use super::{Asked, Sent, Ui, Visit, fresh_key, once, onward, refused_with, view};
use crate::app::door::parse_voucher;
use crate::app::view::{ChainView, ErrorView, Page, Part, RedeemView, WalletView};
use crate::errors;
use crate::shown;
use crate::ui::pages::PAGE;
use crate::ui::pages::sales::{self, FileSum, Sales};
use crate::ui::pages::wallet::{self as page, MOST, Wallet};
use crate::ui::parts::{Day, Pages, coins};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use netpay_core::amount::Coins;
use netpay_core::time::DAY;
use serde::Deserialize;
use std::sync::Arc;

/// Days that the chart shows.
const DAYS: u64 = 30;
/// Files that are summed up on the page.
const FILES: usize = 20;
/// The shortest passphrase of a backup, in bytes.
const MIN_PASSPHRASE: usize = 8;

/// `GET /wallet`
pub async fn wallet(State(ui): State<Ui>, visit: Visit, Asked(at): Asked<At>) -> Response {
    // The account's balance as it is now, if the broker is there to ask.
    if ui.node.broker_view().connected {
        ui.node.look_at_account().await;
    }
    shown_wallet(&ui, &visit, at.row(), Typed::default(), None)
}

/// What was typed on the wallet's page, but for secrets.
#[derive(Clone, Copy, Default)]
struct Typed<'a> {
    coins: &'a str,
    voucher: &'a str,
}

impl<'a> Typed<'a> {
    fn in_form(sent: &'a Sent) -> Self {
        Self { coins: sent.text("coins"), voucher: sent.text("voucher") }
    }
}

fn shown_wallet(ui: &Ui, visit: &Visit, at: usize, typed: Typed<'_>, error: Option<&ErrorView>) -> Response {
    let mut chains = ui.node.chain_views().unwrap_or_default();
    // Those that can be spent first, then the newest.
    chains.sort_by_key(|chain| (chain.retired, std::cmp::Reverse(chain.spend_by)));
    let (chains, pages) = slice(chains, at, |at| format!("/wallet?at={at}"));
    let shown = Wallet {
        wallet: ui.node.wallet_view().ok(),
        lockable: ui.node.wallet_is_lockable(),
        chains: &chains,
        pages,
        broker: ui.node.broker_view(),
        coins: typed.coins,
        voucher: typed.voucher,
        error,
        now: crate::clock::time().0,
        key: fresh_key(),
    };
    let page = page::page(&ui.context(visit), &shown);
    match error {
        Some(error) => refused_with(error, page),
        None => page.into_response(),
    }
}

/// A number of coins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Amount {
    coins: String,
}

fn amount(text: &str) -> Result<u64, ErrorView> {
    let coins = super::sent::number(text, "a number of coins")?;
    if (1..=MOST).contains(&coins) { Ok(coins) } else { Err(errors::bad_amount(coins, MOST)) }
}

/// `GET /wallet/buy`: the question.
pub async fn ask_buy(State(ui): State<Ui>, visit: Visit, Asked(asked): Asked<Amount>) -> Response {
    let coins = amount(&asked.coins).and_then(|coins| {
        let wallet = ui.node.wallet_view().map_err(view)?;
        Ok((coins, wallet))
    });
    match coins {
        Ok((coins, wallet)) => {
            let broker = ui.node.broker_view();
            page::ask_buy(&ui.context(&visit), coins, &wallet, &broker, &fresh_key()).into_response()
        }
        Err(error) => shown_wallet(&ui, &visit, 0, Typed { coins: &asked.coins, voucher: "" }, Some(&error)),
    }
}

/// `POST /wallet/buy`
pub async fn buy(State(ui): State<Ui>, sent: Sent) -> Response {
    let sent = Arc::new(sent);
    let bought = once(&ui, &sent, |node, sent, act| async move {
        let bought = amount(sent.text("coins"))?;
        node.buy_coins(Coins(bought), Some(&act.name)).await.map_err(view)?;
        Ok(("/wallet".to_owned(), format!("You bought {}.", coins(bought))))
    });
    match bought.await {
        Ok((address, said)) => onward(&ui, &address, &said),
        Err(error) => shown_wallet(&ui, &sent.visit, 0, Typed::in_form(&sent), Some(&error)),
    }
}

/// `POST /wallet/voucher`
pub async fn voucher(State(ui): State<Ui>, sent: Sent) -> Response {
    let sent = Arc::new(sent);
    let paid = once(&ui, &sent, |node, sent, _| async move {
        let code = parse_voucher(sent.text("voucher")).map_err(view)?;
        let account = node.pay_in(code).await.map_err(view)?;
        Ok(("/wallet".to_owned(), format!("Paid in: your account has {} now.", coins(account.balance.0))))
    });
    match paid.await {
        Ok((address, said)) => onward(&ui, &address, &said),
        Err(error) => shown_wallet(&ui, &sent.visit, 0, Typed::in_form(&sent), Some(&error)),
    }
}

/// `POST /wallet/register`
pub async fn register(State(ui): State<Ui>, sent: Sent) -> Response {
    let sent = Arc::new(sent);
    let opened = once(&ui, &sent, |node, sent, _| async move {
        let code = sent.given("voucher").map(parse_voucher).transpose().map_err(view)?;
        let account = node.register(code).await.map_err(view)?;
        Ok(("/wallet".to_owned(), format!("The account is open, with {}.", coins(account.balance.0))))
    });
    match opened.await {
        Ok((address, said)) => onward(&ui, &address, &said),
        Err(error) => shown_wallet(&ui, &sent.visit, 0, Typed::in_form(&sent), Some(&error)),
    }
}

/// Which chain.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Which {
    id: String,
}

/// `GET /wallet/retire`: the question.
pub async fn ask_retire(State(ui): State<Ui>, visit: Visit, Asked(which): Asked<Which>) -> Response {
    let chains = match ui.node.chain_views() {
        Ok(chains) => chains,
        Err(trouble) => return ui.refused(&visit, trouble),
    };
    let context = ui.context(&visit);
    let left = |chain: &ChainView| if chain.retired { 0 } else { chain.free.saturating_add(chain.leased) };
    if which.id.is_empty() {
        let left = chains.iter().map(left).fold(0, u64::saturating_add);
        return page::ask_retire(&context, None, left).into_response();
    }
    match chains.iter().find(|chain| chain.id == which.id) {
        Some(chain) => page::ask_retire(&context, Some(chain), left(chain)).into_response(),
        None => ui.refused(&visit, errors::no_chain(which.id)),
    }
}

/// `POST /wallet/retire`
pub async fn retire(State(ui): State<Ui>, sent: Sent) -> Response {
    match ui.node.retire(sent.given("id")).await {
        Ok(_) => onward(&ui, "/wallet", "Given up. The coins come back at settlement."),
        Err(trouble) => shown_wallet(&ui, &sent.visit, 0, Typed::in_form(&sent), Some(&view(trouble))),
    }
}

/// `GET /wallet/account`: to the account's page at the broker.
pub async fn account(State(ui): State<Ui>, visit: Visit) -> Response {
    match ui.node.account_link().await {
        Ok(link) => super::see_other(&link),
        Err(error) => shown_wallet(&ui, &visit, 0, Typed::default(), Some(&error)),
    }
}

/// `GET /wallet/history`
pub async fn history(State(ui): State<Ui>, visit: Visit, Asked(at): Asked<Behind>) -> Response {
    let part = at.part();
    match ui.node.newest_history(&part).await {
        Ok(Page { items, next }) => {
            let pages = Pages {
                before: part.after.map(|_| "/wallet/history".to_owned()),
                behind: next.map(|next| format!("/wallet/history?behind={next}")),
                shown: String::new(),
            };
            page::history(&ui.context(&visit), Ok(&items), &pages).into_response()
        }
        Err(trouble) => {
            let error = view(trouble);
            let page = page::history(&ui.context(&visit), Err(&error), &Pages::default());
            refused_with(&error, page)
        }
    }
}

/// `POST /wallet/backup`: the file itself.
pub async fn backup(State(ui): State<Ui>, sent: Sent) -> Response {
    let made = async {
        let passphrase = sent.secret("backup_passphrase");
        if passphrase.len() < MIN_PASSPHRASE {
            return Err(errors::bad_passphrase("it is shorter than 8 bytes"));
        }
        if passphrase != sent.secret("backup_again") {
            return Err(errors::bad_passphrase("it was not the same both times"));
        }
        ui.node.backup(passphrase.to_owned()).await.map_err(view)
    };
    match made.await {
        Ok(bytes) => {
            let name = format!(
                "attachment; filename=\"netpay-wallet-{}.backup\"",
                shown::day(crate::clock::time().0)
            );
            let described = [
                (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
                (header::CONTENT_DISPOSITION, name),
            ];
            (described, bytes).into_response()
        }
        Err(error) => shown_wallet(&ui, &sent.visit, 0, Typed::in_form(&sent), Some(&error)),
    }
}

/// `POST /wallet/lock`
pub async fn lock(State(ui): State<Ui>, _: Sent) -> Response {
    ui.node.lock_wallet();
    onward(&ui, "/wallet", "The wallet is locked.")
}

/// `POST /wallet/unlock`
pub async fn unlock(State(ui): State<Ui>, sent: Sent) -> Response {
    match ui.node.unlock(Some(sent.secret("passphrase").to_owned())).await {
        Ok(()) => onward(&ui, "/wallet", "The wallet is open."),
        Err(trouble) => shown_wallet(&ui, &sent.visit, 0, Typed::in_form(&sent), Some(&view(trouble))),
    }
}

/// What a page of a list follows on.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Behind {
    behind: String,
}

impl Behind {
    fn part(&self) -> Part {
        part(&self.behind)
    }
}

/// The page behind this one, or the first.
fn part(behind: &str) -> Part {
    Part { after: Some(behind.to_owned()).filter(|cursor| !cursor.is_empty()), limit: Some(PAGE) }
}

/// `GET /sales`
pub async fn sales(State(ui): State<Ui>, visit: Visit, Asked(at): Asked<Behind>) -> Response {
    shown_sales(&ui, &visit, &at.behind, None)
}

fn shown_sales(ui: &Ui, visit: &Visit, behind: &str, error: Option<&ErrorView>) -> Response {
    let part = part(behind);
    let read = ui.node.sales_part(&part).and_then(|page| Ok((page, ui.node.till_part(&Part::first(PAGE))?)));
    let (Page { items: list, next }, till) = match read {
        Ok(read) => read,
        Err(trouble) => return ui.refused(visit, trouble),
    };
    let summary = ui.node.sales_summary(DAYS, FILES);
    let days: Vec<Day> = summary
        .days
        .iter()
        .map(|(day, sum)| Day {
            day: shown::day(day.saturating_mul(DAY)),
            count: sum.count,
            coins: sum.coins,
        })
        .collect();
    let files: Vec<FileSum> = summary
        .files
        .into_iter()
        .map(|(root, name, sum)| FileSum { root, name, count: sum.count, coins: sum.coins })
        .collect();
    let pages = Pages {
        before: part.after.map(|_| "/sales#list".to_owned()),
        behind: next.map(|next| format!("/sales?behind={next}#list")),
        shown: String::new(),
    };
    let wallet = ui.node.wallet_view().unwrap_or_else(|_| WalletView::default());
    let waiting = match ui.node.claims_that_wait() {
        Ok(waiting) => waiting,
        Err(trouble) => return ui.refused(visit, trouble),
    };
    let shown = Sales {
        waiting,
        count: summary.all.count,
        coins: summary.all.coins,
        days: &days,
        files: &files,
        sales: &list,
        names: list
            .iter()
            .filter_map(|sale| Some((sale.buyer.clone(), ui.node.name_of(&sale.buyer)?)))
            .collect(),
        pages,
        wallet,
        till: &till.items,
        certifications: &newest(ui.node.certifications()),
        handoffs: &newest(ui.node.handoffs()),
        error,
        key: fresh_key(),
    };
    let page = sales::page(&ui.context(visit), &shown);
    match error {
        Some(error) => refused_with(error, page),
        None => page.into_response(),
    }
}

fn newest<T>(mut list: Vec<T>) -> Vec<T> {
    list.reverse();
    list.truncate(PAGE);
    list
}

/// `POST /sales/redeem`
pub async fn redeem(State(ui): State<Ui>, sent: Sent) -> Response {
    let sent = Arc::new(sent);
    let redeemed = once(&ui, &sent, |node, _, _| async move {
        let view = node.redeem().await.map_err(view)?;
        Ok(("/sales".to_owned(), redeemed(&view)))
    });
    match redeemed.await {
        Ok((address, said)) => onward(&ui, &address, &said),
        Err(error) => shown_sales(&ui, &sent.visit, "", Some(&error)),
    }
}

/// What a redemption came to, in words.
fn redeemed(view: &RedeemView) -> String {
    let mut said = format!("{} paid into your account.", coins(view.paid));
    if let Some(until) = view.held_until {
        let (held, verb) = (coins(view.held), if view.held == 1 { "is" } else { "are" });
        let until = shown::moment(until);
        said.push_str(&format!(" {held} {verb} held until {until}: fair sales can be disputed for a day."));
    }
    let for_settlement = view.pending.saturating_sub(view.held);
    if for_settlement > 0 {
        said.push_str(&format!(" {} wait for settlement.", coins(for_settlement)));
    }
    if view.uncertified > 0 {
        said.push_str(&format!(" {} segments wait for their witnesses: try again later.", view.uncertified));
    }
    if !view.refused.is_empty() {
        said.push_str(&format!(" Refused: {}.", view.refused.join("; ")));
    }
    said
}
