//! What pages are made of: amounts, states, bars, tables, forms, questions, errors. Plain functions from plain data to
//! HTML, used by a peer's pages and a broker's alike.

mod charts;
mod forms;
mod tables;

pub use charts::{Day, chain_bar, chart, coins_bar, legend, legend_of, qr};
pub use forms::{Confirm, Field, Seal, button, command, confirm, field, quoted, select, select_asked};
pub use tables::{Column, Pages, facts, pager, table};

use super::assets;
use crate::app::view::ErrorView;
use crate::shown;
use maud::{Markup, PreEscaped, Render, html};

/// How a state is meant. It is never told by colour alone: a word and an icon stand with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Something goes on.
    Busy,
    /// Somebody should look at it.
    Warn,
    /// It went wrong.
    Bad,
    /// Nothing happens.
    Idle,
}

impl Tone {
    /// Its class in the style sheet.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Idle => "idle",
        }
    }

    /// Its icon.
    #[must_use]
    pub const fn icon(self) -> &'static str {
        match self {
            Self::Good => "check",
            Self::Busy => "arrows",
            Self::Warn => "warning",
            Self::Bad => "cross",
            Self::Idle => "dash",
        }
    }
}

/// An icon, which says nothing that the words beside it do not.
#[must_use]
pub fn icon(name: &str) -> Markup {
    let href = format!("{}#{name}", assets::url("icons.svg"));
    html! { svg.icon aria-hidden="true" { use href=(href) {} } }
}

/// A state: icon, word and colour.
#[must_use]
pub fn badge(tone: Tone, word: &str) -> Markup {
    html! { span.badge.(tone.class()) { (icon(tone.icon())) (shown::foreign(word)) } }
}

/// Whole coins with their unit.
#[must_use]
pub fn money(coins: u64) -> Markup {
    html! { span.money { b { (shown::grouped(coins)) } " " span.unit { (unit(coins)) } } }
}

/// Coins that came or went, with their sign.
#[must_use]
pub fn change(coins: i64) -> Markup {
    let sign = if coins < 0 { "−" } else { "+" };
    let amount = coins.unsigned_abs();
    html! { span.money { b { (sign) (shown::grouped(amount)) } " " span.unit { (unit(amount)) } } }
}

/// The unit that goes with a number of coins.
#[must_use]
pub const fn unit(coins: u64) -> &'static str {
    if coins == 1 { "coin" } else { "coins" }
}

/// Coins in a sentence.
#[must_use]
pub fn coins(coins: u64) -> String {
    format!("{} {}", shown::grouped(coins), unit(coins))
}

/// A text from another peer: kept apart from the direction of what stands around it, with characters that could deceive
/// written out.
#[must_use]
pub fn foreign(text: &str) -> Markup {
    let mut parts: Vec<(bool, String)> = Vec::new();
    for c in text.chars() {
        let odd = shown::deceives(c);
        match parts.last_mut() {
            Some((last, part)) if *last == odd => part.push(c),
            _ => parts.push((odd, c.to_string())),
        }
    }
    html! {
        bdi {
            @for (odd, part) in &parts {
                @if *odd {
                    span.odd title="A character that is not visible by itself" { (shown::foreign(part)) }
                } @else { (part) }
            }
        }
    }
}

/// A long id: its beginning, and the whole of it for whoever wants to copy it.
#[must_use]
pub fn id(id: &str) -> Markup {
    html! { code.id title=(id) { (shown::short(id)) } }
}

/// A moment. Without scripts it is in UTC; with them in the reader's time.
#[must_use]
pub fn moment(seconds: u64) -> Markup {
    let text = shown::moment(seconds);
    let machine = text.replacen(' ', "T", 1);
    html! { time datetime=(machine) { (text) } }
}

/// How far something has come, with its figure. `what` names it for those who do not see the bar.
#[must_use]
pub fn bar(what: &str, done: u64, total: u64) -> Markup {
    let percent = percent(done, total);
    html! {
        span.bar {
            progress max="100" value=(percent) aria-label=(what) { (percent) " %" }
            span.figure { (percent) " %" }
        }
    }
}

/// Per cent, rounded down: what is not complete is never 100.
#[must_use]
pub fn percent(done: u64, total: u64) -> u64 {
    let percent = (u128::from(done) * 100).checked_div(u128::from(total)).unwrap_or(100);
    u64::try_from(percent.min(100)).unwrap_or(100)
}

/// What stands where nothing is yet: what it would be, and what to do.
#[must_use]
pub fn empty(picture: &str, title: &str, text: &str, act: &Markup) -> Markup {
    html! {
        div.empty { (icon(picture)) p.title { (title) } p { (text) } (act) }
    }
}

/// A figure with its name, for the top of a page.
#[must_use]
pub fn figure(name: &str, value: &impl Render, note: &str) -> Markup {
    html! {
        div.card { dt { (name) } dd { (value) } @if !note.is_empty() { dd.note { (note) } } }
    }
}

/// An error: what, why, what to do, and its code.
#[must_use]
pub fn error_box(error: &ErrorView) -> Markup {
    html! {
        section.error role="alert" aria-label="Problem" {
            (icon("warning"))
            div {
                p.what { (sentence(&error.what)) }
                p { span.label { "Why" } " " (sentence(&error.why)) }
                p { span.label { "What to do" } " " (sentence(&error.fix)) }
                p.code { code { (error.code) } }
            }
        }
    }
}

/// A text of an error, which may quote other peers, as a sentence.
#[must_use]
pub fn sentence(text: &str) -> Markup {
    let mut letters = text.trim().chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let command = text.starts_with("netpay ");
    foreign(&if command { text.trim().to_owned() } else { format!("{first}{}", letters.as_str()) })
}

/// A heading of a page, with what can be done there beside it.
#[must_use]
pub fn title(title: &str, acts: &Markup) -> Markup {
    html! { div.title { h1 { (title) } div.acts { (acts) } } }
}

/// Nothing.
#[must_use]
pub fn nothing() -> Markup {
    PreEscaped(String::new())
}
