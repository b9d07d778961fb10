//! Wallet: how many coins there are, where they are, and what can be done with them.

use super::Context;
use crate::app::view::{BrokerView, ChainView, ErrorView, HeldView, HistoryLine, WalletView};
use crate::shown;
use crate::ui::pages::error::problem;
use crate::ui::parts::{
    self, Column, Confirm, Field, Pages, Tone, badge, button, chain_bar, confirm, field, figure, icon, money,
    pager, quoted, table, title,
};
use maud::{Markup, html};

/// The most coins that can be bought at once.
pub const MOST: u64 = 1_048_576;

/// What the page shows.
#[derive(Debug, Default)]
pub struct Wallet<'a> {
    /// The wallet; `None` while it is locked.
    pub wallet: Option<WalletView>,
    /// Whether it has a passphrase, so that it can be locked and unlocked.
    pub lockable: bool,
    /// The chains on this page of the list.
    pub chains: &'a [ChainView],
    /// Where the list stands.
    pub pages: Pages,
    /// The broker.
    pub broker: BrokerView,
    /// What was typed as a number of coins.
    pub coins: &'a str,
    /// What was typed as a voucher and not taken.
    pub voucher: &'a str,
    /// Why the last act was refused.
    pub error: Option<&'a ErrorView>,
    /// The time, in Unix seconds.
    pub now: u64,
    /// A key for the form that pays a voucher in.
    pub key: String,
}

/// The page.
#[must_use]
pub fn page(context: &Context, shown: &Wallet<'_>) -> Markup {
    let lock = html! {
        @if shown.lockable && shown.wallet.is_some() {
            (button("/wallet/lock", context.seal(), "lock", "Lock", "the wallet"))
        }
    };
    let body = html! {
        (title("Wallet", &lock))
        @if let Some(error) = shown.error { (problem(error)) }
        @match &shown.wallet {
            None => (unlock(context)),
            Some(wallet) => { (balance(wallet)) (chains(shown)) }
        }
        @if !shown.broker.registered { (register(context, shown)) }
        @else {
            div.pair { (buy(shown)) (voucher(context, shown)) }
        }
        div.pair {
            (account(shown))
            @if shown.wallet.is_some() { (backup(context)) }
        }
    };
    context.page("/wallet", "Wallet", &body)
}

fn balance(wallet: &WalletView) -> Markup {
    let at_broker = html! {
        @match wallet.at_broker { Some(coins) => (money(coins)), None => span.quiet { "not known" } }
    };
    let held = wallet.leased.saturating_add(wallet.unconfirmed);
    let account = match wallet.pending {
        0 => "your account".to_owned(),
        pending => format!("and {} waiting for settlement", parts::coins(pending)),
    };
    html! {
        dl.figures {
            (figure("To spend", &money(wallet.spendable), "free in your chains"))
            (figure("Held", &money(held), "by sales that run or wait for a receipt"))
            (figure("Locked", &money(wallet.locked), "come back at settlement"))
            (figure("At the broker", &at_broker, &account))
        }
    }
}

fn chains(shown: &Wallet<'_>) -> Markup {
    if shown.chains.is_empty() {
        let act = html! { @if shown.broker.registered { a.button.primary href="#buy" { "Buy coins" } } };
        return parts::empty(
            "coins",
            "No coins yet",
            "Coins come as chains that the broker sells. What you do not spend comes back to your account.",
            &act,
        );
    }
    let columns = [
        Column::text("Chain"),
        Column::bar("Coins"),
        Column::amount("Spent"),
        Column::amount("Leased"),
        Column::amount("Free"),
        Column::text("State"),
        Column::acts("Actions"),
    ];
    let rows: Vec<Vec<Markup>> = shown.chains.iter().map(|chain| chain_row(chain, shown.now)).collect();
    html! {
        section.stack aria-labelledby="chains" {
            div.title { h2 #chains { "Chains" } (parts::legend()) }
            (table("Your chains of coins", &columns, &rows))
            (pager(&shown.pages))
            @if shown.chains.iter().any(|chain| !chain.retired) && shown.chains.len() > 1 {
                p { a.button.small href="/wallet/retire" data-ask { "Give all of them up…" } }
            }
            (parts::command("netpay wallet chains"))
        }
    }
}

fn chain_row(chain: &ChainView, now: u64) -> Vec<Markup> {
    let left = chain.spend_by.saturating_sub(now);
    let state = if chain.retired {
        badge(Tone::Warn, "given up")
    } else if left == 0 {
        badge(Tone::Warn, "expired")
    } else {
        badge(Tone::Good, "good")
    };
    vec![
        parts::id(&chain.id),
        html! { (chain_bar(chain)) span.sub { (parts::coins(chain.total)) } },
        html! { (shown::grouped(chain.spent)) },
        html! { (shown::grouped(chain.leased)) },
        html! { (shown::grouped(chain.free)) },
        html! {
            (state)
            @if !chain.retired && left > 0 { span.sub.tight { (shown::span(left)) " left" } }
        },
        html! {
            @if !chain.retired {
                a.button href=(format!("/wallet/retire?id={}", chain.id)) data-ask {
                    "Give up" span.hidden { " chain " (shown::short(&chain.id)) }
                }
            }
        },
    ]
}

fn unlock(context: &Context) -> Markup {
    html! {
        section.card #unlock aria-labelledby="unlock-title" {
            h2 #unlock-title { (icon("lock")) " The wallet is locked" }
            p.hint {
                "This peer can sell and search, but not spend. Its passphrase opens the wallet until it is \
                 locked or the peer stops."
            }
            form.row method="post" action="/wallet/unlock" {
                (context.seal().fields())
                (field(&Field {
                    name: "passphrase",
                    label: "Passphrase",
                    kind: "password",
                    required: true,
                    ..Field::default()
                }))
                button.primary type="submit" { "Unlock" }
            }
            (parts::command("netpay wallet unlock"))
        }
    }
}

fn register(context: &Context, shown: &Wallet<'_>) -> Markup {
    html! {
        section.card #register aria-labelledby="register-title" {
            h2 #register-title { "Open an account at the broker" }
            p.hint {
                "Coins are bought and earnings redeemed through it. A voucher, if the operator gave you one, \
                 also brings the first money in."
            }
            form.row method="post" action="/wallet/register" {
                (context.sealed(&shown.key).fields())
                (voucher_field("Voucher, if you have one", shown.voucher, false))
                button.primary type="submit" { "Open account" }
            }
            (parts::command("netpay broker register --voucher"))
        }
    }
}

fn voucher_field(label: &str, value: &str, required: bool) -> Markup {
    field(&Field {
        name: "voucher",
        label,
        value,
        hint: "32 letters and digits, in groups",
        required,
        ..Field::default()
    })
}

fn buy(shown: &Wallet<'_>) -> Markup {
    let coins = if shown.coins.is_empty() { "N".to_owned() } else { quoted(shown.coins) };
    html! {
        section.card #buy aria-labelledby="buy-title" {
            h2 #buy-title { "Buy coins" }
            p.hint {
                "From your account at the broker"
                @if let Some(coins) = shown.wallet.as_ref().and_then(|wallet| wallet.at_broker) {
                    ", which holds " (parts::coins(coins))
                }
                "."
            }
            form.row method="get" action="/wallet/buy" {
                (field(&Field {
                    name: "coins",
                    label: "Coins",
                    kind: "number",
                    value: shown.coins,
                    required: true,
                    range: Some((1, MOST)),
                    ..Field::default()
                }))
                button.primary type="submit" { "Continue" }
            }
            (parts::command(&format!("netpay wallet buy {coins}")))
        }
    }
}

fn voucher(context: &Context, shown: &Wallet<'_>) -> Markup {
    html! {
        section.card aria-labelledby="voucher-title" {
            h2 #voucher-title { "Pay a voucher in" }
            p.hint { "It brings money into your account, once." }
            form.row method="post" action="/wallet/voucher" {
                (context.sealed(&shown.key).fields())
                (voucher_field("Voucher", shown.voucher, true))
                button type="submit" { "Pay in" }
            }
            (parts::command("netpay wallet redeem-voucher"))
        }
    }
}

fn account(shown: &Wallet<'_>) -> Markup {
    let broker = &shown.broker;
    html! {
        section.card aria-labelledby="account-title" {
            h2 #account-title { "The account" }
            (parts::facts(&[
                ("Broker", html! { (parts::foreign(broker.name.as_deref().unwrap_or("not heard of yet"))) }),
                (
                    "State",
                    if broker.connected { badge(Tone::Good, "connected") } else { badge(Tone::Warn, "away") },
                ),
                ("Account", account_state(broker)),
                (
                    "A coin is",
                    html! { (parts::foreign(broker.denomination.as_deref().unwrap_or("not told"))) },
                ),
                ("Operator", html! { (parts::foreign(broker.contact.as_deref().unwrap_or("not told"))) }),
                ("Disputes", disputes(broker)),
            ]))
            @if let Some(wallet) = shown.wallet.as_ref().filter(|wallet| !wallet.held.is_empty()) {
                (held(wallet))
            }
            @if broker.registered && shown.wallet.is_some() {
                p { a href="/wallet/history" { "Statement" } }
                p { a href="/wallet/account" { "My account at the broker" } }
                (parts::command("netpay broker open"))
            }
        }
    }
}

fn account_state(broker: &BrokerView) -> Markup {
    html! {
        @match (&broker.frozen_because, broker.registered) {
            (Some(why), _) => { (badge(Tone::Bad, "frozen")) " " (parts::foreign(why)) }
            (None, true) => (badge(Tone::Good, "open")),
            (None, false) => (badge(Tone::Warn, "none yet")),
        }
    }
}

/// What the bank says of junk, once it was asked.
fn disputes(broker: &BrokerView) -> Markup {
    html! {
        @match (broker.held_for, broker.false_accusation) {
            (Some(held_for), Some(fee)) => {
                "Sales in fair mode are paid " (shown::span(held_for)) " after they were claimed; until then junk can be \
                 disputed. A false accusation costs " (parts::coins(fee)) "."
            }
            _ => { "not told" }
        }
    }
}

/// What waits for the time to dispute it to pass.
fn held(wallet: &WalletView) -> Markup {
    let columns = [Column::name("Held of chain"), Column::amount("Coins"), Column::text("Paid from")];
    let row = |held: &HeldView| vec![parts::id(&held.chain), money(held.coins), parts::moment(held.until)];
    parts::table("Claims in fair mode that wait", &columns, &wallet.held.iter().map(row).collect::<Vec<_>>())
}

fn backup(context: &Context) -> Markup {
    html! {
        section.card aria-labelledby="backup-title" {
            h2 #backup-title { "Back it up" }
            p.hint {
                "Account and chains in one file, encrypted under a passphrase of its own. What was earned \
                 and not redeemed is not in it: redeem first."
            }
            form method="post" action="/wallet/backup" data-again {
                (context.seal().fields())
                div.row {
                    (new_passphrase("backup_passphrase", "New passphrase"))
                    (new_passphrase("backup_again", "The same again"))
                }
                div.buttons { button type="submit" { (icon("down")) "Download the backup" } }
            }
            (parts::command("netpay wallet backup FILE"))
        }
    }
}

pub(super) fn new_passphrase(name: &str, label: &str) -> Markup {
    let id = format!("f-{name}");
    html! {
        div.field {
            label for=(id) { (label) }
            input id=(id) name=(name) type="password" required minlength="8" autocomplete="new-password";
        }
    }
}

/// The question before coins are bought.
#[must_use]
pub fn ask_buy(context: &Context, coins: u64, wallet: &WalletView, broker: &BrokerView, key: &str) -> Markup {
    let name = shown::foreign(broker.name.as_deref().unwrap_or("the broker"));
    let command = format!("netpay wallet buy {coins}");
    let body = confirm(&Confirm {
        title: &format!("Buy {} from {name}?", parts::coins(coins)),
        body: html! {
            dl.sum {
                div { dt { "Coins" } dd { (money(coins)) } }
                @if let Some(has) = wallet.at_broker {
                    div { dt { "Your account has" } dd { (money(has)) } }
                    div.total {
                        dt { "After it" }
                        dd { @if has >= coins { (money(has - coins)) } @else { "not enough" } }
                    }
                }
                div { dt { "To spend after it" } dd { (money(wallet.spendable.saturating_add(coins))) } }
            }
            p.quiet {
                "Nothing is lost if the connection breaks: the purchase is finished as soon as the broker \
                 can be reached. Coins that are not spent come back to the account."
            }
        },
        action: "/wallet/buy",
        fields: &[("coins", &coins.to_string())],
        seal: context.sealed(key),
        yes: &format!("Buy {}", parts::coins(coins)),
        destroys: false,
        back: "/wallet",
        command: &command,
    });
    context.page("/wallet", "Buy coins", &body)
}

/// The question before a chain, or all of them, is given up. `free` are the coins that come back later.
#[must_use]
pub fn ask_retire(context: &Context, chain: Option<&ChainView>, free: u64) -> Markup {
    let (title, command) = match chain {
        Some(chain) => (
            format!("Give chain {} up?", shown::short(&chain.id)),
            format!("netpay wallet retire {}", chain.id),
        ),
        None => ("Give all chains up?".to_owned(), "netpay wallet retire".to_owned()),
    };
    let fields: Vec<(&str, &str)> = chain.map(|chain| ("id", chain.id.as_str())).into_iter().collect();
    let body = confirm(&Confirm {
        title: &title,
        body: html! {
            p {
                "Its " (money(free))
                " can no longer be spent. They come back to your account when the broker settles the chain, \
                 not before."
            }
            p.quiet {
                "Do this if the coins may be in other hands: after a copy of this wallet got lost, for \
                 example."
            }
        },
        action: "/wallet/retire",
        fields: &fields,
        seal: context.seal(),
        yes: "Give up",
        destroys: true,
        back: "/wallet",
        command: &command,
    });
    context.page("/wallet", "Give coins up", &body)
}

/// The statement, newest first.
#[must_use]
pub fn history(context: &Context, lines: Result<&[HistoryLine], &ErrorView>, pages: &Pages) -> Markup {
    let columns =
        [Column::name("What"), Column::text("When"), Column::amount("Change"), Column::amount("Balance")];
    let row = |line: &HistoryLine| {
        vec![
            parts::foreign(&line.what),
            parts::moment(line.at),
            parts::change(line.change),
            money(line.balance),
        ]
    };
    let body = html! {
        (title("Statement", &parts::nothing()))
        @match lines {
            Err(error) => (problem(error)),
            Ok([]) => (parts::empty(
                "wallet",
                "Nothing was booked yet",
                "What comes into and goes out of your account is listed here.",
                &parts::nothing(),
            )),
            Ok(lines) => {
                (table(
                    "Your account at the broker, newest first",
                    &columns,
                    &lines.iter().map(row).collect::<Vec<_>>(),
                ))
                (pager(pages))
                (parts::command("netpay wallet history --csv"))
            }
        }
        p { a href="/wallet" { "Back to the wallet" } }
    };
    context.page("/wallet", "Statement – Wallet", &body)
}
