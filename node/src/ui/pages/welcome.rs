//! Home: what is to be done until everything works, then the peer at a glance.

use super::{Context, downloads};
use crate::app::view::{BrokerView, DownloadView, WalletView};
use crate::ui::parts::{self, Field, field, figure, foreign, icon, title};
use maud::{Markup, html};

/// What Home shows.
#[derive(Clone, Debug, Default)]
pub struct Home {
    /// What the peer calls itself.
    pub name: String,
    /// Whether somebody chose that name.
    pub named: bool,
    /// The network.
    pub network: String,
    /// The broker.
    pub broker: BrokerView,
    /// The wallet; `None` while it is locked.
    pub wallet: Option<WalletView>,
    /// Chains in the wallet.
    pub chains: usize,
    /// Files shared.
    pub shared: usize,
    /// Files sold, ever.
    pub sold: u64,
    /// Downloads, ever.
    pub downloads: usize,
    /// The newest of them.
    pub newest: Vec<DownloadView>,
    /// The key under which an account is opened once.
    pub key: String,
}

impl Home {
    fn steps(&self) -> [bool; 5] {
        [
            self.named,
            self.broker.connected || self.broker.registered,
            self.broker.registered,
            self.chains > 0,
            self.shared > 0 || self.downloads > 0,
        ]
    }

    /// Whether nothing of the list is left to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.steps().iter().all(|done| *done)
    }
}

/// The page.
#[must_use]
pub fn page(context: &Context, home: &Home) -> Markup {
    if !home.is_done() {
        let body = html! {
            (title("Welcome to NetPay", &parts::nothing()))
            p.lead {
                "People sell each other files here for small coins, piece by piece, as the bytes \
                 arrive and are verified. A few steps, and this peer takes part."
            }
            (checklist(context, home))
        };
        return context.page("/", "Welcome", &body);
    }
    context.page("/", "Home", &overview(home))
}

fn overview(home: &Home) -> Markup {
    let wallet = home.wallet.clone().unwrap_or_default();
    let shared = html! { (home.shared) " " (if home.shared == 1 { "file" } else { "files" }) };
    let acts = html! {
        a.button.primary href="/search" { (icon("search")) "Find files" }
        a.button href="/files#add" { (icon("plus")) "Share files" }
    };
    html! {
        (title("Home", &acts))
        dl.figures {
            (figure(
                "To spend",
                &parts::money(wallet.spendable),
                if home.wallet.is_none() { "the wallet is locked" } else { "" },
            ))
            (figure("Earned", &parts::money(wallet.earned), "not yet redeemed"))
            (figure("Shared", &shared, ""))
            (figure("Sold", &html! { (crate::shown::grouped(home.sold)) }, "times, in all"))
        }
        section.stack aria-labelledby="latest" {
            h2 #latest { "Latest downloads" }
            @if home.newest.is_empty() {
                (parts::empty("down", "Nothing downloaded yet", "Search for a file by its name or a link.",
                    &html! { a.button href="/search" { "Search" } }))
            } @else {
                (downloads::list(None, &home.newest))
                p { a href="/downloads" { "All downloads" } }
                (downloads::poll(&home.newest))
            }
        }
    }
}

fn checklist(context: &Context, home: &Home) -> Markup {
    let steps = home.steps();
    let next = steps.iter().position(|done| !done);
    let step = |at: usize, title: &str, body: Markup| {
        let done = steps[at];
        html! {
            li.done[done].next[next == Some(at)] {
                span.mark aria-hidden="true" { @if done { (icon("check")) } @else { (at + 1) } }
                h2 { (title) span.hidden { (if done { " (done)" } else { " (to do)" }) } }
                @if !done || at == 1 { div.body { (body) } }
            }
        }
    };
    html! {
        ol.steps.card {
            (step(0, "Give this peer a name", html! {
                p { "Others see it beside your files. Now it is " b { (foreign(&home.name)) } "." }
                form.row method="post" action="/settings/name" {
                    (context.seal().fields())
                    (field(&Field {
                        name: "name",
                        label: "Name",
                        value: &home.name,
                        required: true,
                        ..Field::default()
                    }))
                    button type="submit" { "Save" }
                }
            }))
            (step(1, "Join a broker's network", broker(home)))
            (step(2, "Open an account at the broker", html! {
                p {
                    "Coins are bought and earnings redeemed through it. A voucher, if the operator gave you \
                     one, also brings the first money in."
                }
                form.row method="post" action="/wallet/register" {
                    (context.sealed(&home.key).fields())
                    (field(&Field {
                        name: "voucher",
                        label: "Voucher, if you have one",
                        hint: "32 letters and digits",
                        ..Field::default()
                    }))
                    button.primary[home.broker.connected] type="submit" { "Open account" }
                }
                (parts::command("netpay broker register --voucher"))
            }))
            (step(3, "Buy coins", html! {
                p { "Coins lie in your wallet on this machine. Whatever is not spent comes back." }
                form.row method="get" action="/wallet/buy" {
                    (field(&Field {
                        name: "coins",
                        label: "Coins",
                        kind: "number",
                        value: "100",
                        required: true,
                        range: Some((1, 1_048_576)),
                        ..Field::default()
                    }))
                    button.primary[home.broker.registered] type="submit" { "Continue" }
                }
            }))
            (step(4, "Share a file, or get one", html! {
                div.buttons {
                    a.button href="/search" { (icon("search")) "Find files" }
                    a.button href="/files#add" { (icon("plus")) "Share files" }
                }
            }))
        }
    }
}

fn broker(home: &Home) -> Markup {
    let name = home.broker.name.as_deref().unwrap_or("The broker");
    html! {
        p {
            "Network " b { (foreign(&home.network)) } ". "
            (foreign(name))
            @if home.broker.connected { " is connected." }
            @else { " is not connected: is its address right, and is it running?" }
        }
        @if let Some(contact) = &home.broker.contact { p { "Operator: " (foreign(contact)) } }
    }
}
