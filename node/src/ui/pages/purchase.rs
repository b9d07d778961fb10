//! The question before a file is bought: the price, what is left, from whom, and how much can be lost.

use super::{Context, peer_name};
use crate::app::view::{Found, Quote};
use crate::shown;
use crate::ui::parts::{self, Confirm, confirm, error_box, money, quoted, select_asked};
use maud::{Markup, html};
use netpay_core::fair::policy::{Fair, Mode};

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Purchase {
    /// What it costs and who has it.
    pub quote: Quote,
    /// The vendor, if only that one is wanted.
    pub from: Option<String>,
    /// What may be wanted of fair mode, in which mode it would be bought then, and how many coins could be lost.
    pub ways: Vec<(Fair, Mode, u64)>,
    /// What is wanted of it where nothing else is chosen.
    pub fair: Fair,
    /// Whether the wallet is locked.
    pub locked: bool,
    /// The key under which it is bought once.
    pub key: String,
    /// Where a no leads.
    pub back: String,
}

/// The question, as a page.
#[must_use]
pub fn page(context: &Context, asked: &Purchase) -> Markup {
    let quote = &asked.quote;
    let name = shown::foreign(&quote.name);
    let title = if quote.price == 0 {
        format!("Get “{name}” for free?")
    } else {
        format!("Buy “{name}” for {}?", parts::coins(quote.price))
    };
    let short = quote.price > quote.spendable;
    if short {
        let error = if asked.locked && quote.price > 0 {
            crate::errors::wallet_locked()
        } else {
            crate::errors::not_enough_coins(&quote.name, quote.price, quote.spendable, 0, None)
        };
        let (href, word) =
            if asked.locked { ("/wallet#unlock", "Unlock the wallet") } else { ("/wallet#buy", "Buy coins") };
        let body = html! {
            section.confirm #confirm {
                h1 { "“" (name) "” costs " (parts::coins(quote.price)) }
                (error_box(&error))
                div.buttons {
                    a.button.primary href=(href) { (word) } a.button href=(asked.back) data-close { "Back" }
                }
            }
        };
        return context.page("/search", "Not enough coins", &body);
    }
    let price = quote.price.to_string();
    let mut fields = vec![("what", quote.id.as_str()), ("max_price", price.as_str())];
    fields.extend(asked.from.as_deref().map(|from| ("from", from)));
    let body = confirm(&Confirm {
        title: &title,
        body: sum(asked),
        action: "/buy",
        fields: &fields,
        seal: context.sealed(&asked.key),
        yes: &if quote.price == 0 {
            "Download".to_owned()
        } else {
            format!("Buy for {}", parts::coins(quote.price))
        },
        destroys: false,
        back: &asked.back,
        command: &command(asked),
    });
    context.page("/search", "Buy a file", &body)
}

fn sum(asked: &Purchase) -> Markup {
    let quote = &asked.quote;
    html! {
        dl.sum {
            div { dt { "Price" } dd { (money(quote.price)) } }
            @if quote.price > 0 {
                div { dt { "You have" } dd { (money(quote.spendable)) } }
                div.total { dt { "After it" } dd { (money(quote.spendable - quote.price)) } }
            }
            div { dt { "From" } dd { (vendors(&quote.vendors)) } }
            div { dt { "Size" } dd { (shown::size(quote.size)) } }
        }
        @if quote.price == 0 {
            p.quiet { "Every piece is verified as it arrives." }
        } @else {
            (how(asked))
        }
    }
}

/// In which mode it is bought, and what could be lost in each that may be chosen.
fn how(asked: &Purchase) -> Markup {
    let word = |(fair, mode, _): &(Fair, Mode, u64)| {
        let word = match (fair, mode) {
            (Fair::Auto, Mode::Fair) => "Automatic: in fair mode",
            (Fair::Auto, Mode::Plain) => "Automatic: in plain mode",
            (Fair::Always, _) => "Always in fair mode",
            (Fair::Never, _) => "Never in fair mode",
        };
        (fair.word(), word)
    };
    let choices: Vec<(&str, &str)> = asked.ways.iter().map(word).collect();
    let in_mode = |mode| {
        let (_, mode, at_risk) = *asked.ways.iter().find(|(_, one, _)| *one == mode)?;
        Some(Quote { mode, at_risk, ..asked.quote.clone() }.terms())
    };
    html! {
        (select_asked("fair", "How it is bought", &choices, asked.fair.word(), ""))
        @for terms in [in_mode(Mode::Fair), in_mode(Mode::Plain)].into_iter().flatten() {
            p.quiet { (parts::sentence(&terms)) "." }
        }
    }
}

fn vendors(vendors: &[Found]) -> Markup {
    html! {
        @match vendors {
            [] => "nobody",
            [one] => {
                (peer_name(one.vendor_name.as_deref(), &one.vendor))
                @if !one.online { " (not connected now)" }
            }
            [first, rest @ ..] => {
                (peer_name(first.vendor_name.as_deref(), &first.vendor))
                " and, if need be, " (rest.len()) (if rest.len() == 1 { " other" } else { " others" })
            }
        }
    }
}

fn command(asked: &Purchase) -> String {
    let from = asked.from.as_ref().map_or_else(String::new, |from| format!(" --from {}", quoted(from)));
    format!("netpay get {} --max-price {}{from}", asked.quote.id, asked.quote.price)
}
