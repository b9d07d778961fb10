//! Settings: name, folders, limits, addresses, the way in, and the end.

use super::Context;
use super::wallet::new_passphrase;
use crate::app::view::ErrorView;
use crate::config::Setting;
use crate::ui::pages::error::problem;
use crate::ui::parts::{self, Confirm, Field, Tone, badge, confirm, field, icon, qr, select, title};
use maud::{Markup, html};

/// Keys that are changed here: what each is called, a line about it, and how it is asked for. The others are in `config.toml`.
pub const EDITED: &[(&str, &str, &str, Ask)] = &[
    ("name", "Name", "Others see it beside your files.", Ask::Text),
    ("download_dir", "Folder for downloads", "Relative to the home.", Ask::Text),
    (
        "p0",
        "Risk as a buyer, in coins",
        "The most that one piece may cost in plain mode: it is paid before it is seen.",
        Ask::Number(1, 1 << 40),
    ),
    (
        "fair",
        "Fair mode",
        "Pieces come under seal, and nobody can lose a coin; sales are paid a day later. Automatic takes it for files of \
         one piece, dear ones, and vendors that never delivered before.",
        Ask::Choice(&[("auto", "Automatic"), ("always", "Always: in no other mode"), ("never", "Never")]),
    ),
    (
        "policy.x0",
        "Risk as a vendor, in coins of one chain",
        "A sale goes on so far before witnesses have certified the coins.",
        Ask::Number(0, 1 << 40),
    ),
    (
        "policy.x_total",
        "Risk as a vendor, in coins of all chains",
        "The same, of all buyers together.",
        Ask::Number(0, 1 << 40),
    ),
    ("redeem.daily", "Redeem earnings daily", "By itself, at the broker.", Ask::YesNo),
    ("redeem.hour", "Redeem at hour", "0 to 23, UTC.", Ask::Number(0, 23)),
    ("listen", "Listen for peers at", "Addresses with commas between. Port 0 takes a free one.", Ask::Text),
    (
        "external",
        "Reached from outside at",
        "Where the peer cannot find its addresses out itself.",
        Ask::Text,
    ),
    ("mdns", "Find peers on the same LAN", "By mDNS.", Ask::YesNo),
    ("quic", "Offer QUIC", "Beside TCP.", Ask::YesNo),
];

/// How a setting is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Ask {
    /// As a text.
    Text,
    /// As a number within a range.
    Number(u64, u64),
    /// As yes or no.
    YesNo,
    /// As one of these.
    Choice(&'static [(&'static str, &'static str)]),
}

/// What the page shows.
#[derive(Debug, Default)]
pub struct Settings<'a> {
    /// The settings as the next start will have them, or as they were typed and refused.
    pub settings: &'a [Setting],
    /// Why they were refused.
    pub error: Option<&'a ErrorView>,
    /// Addresses that others can dial.
    pub addresses: &'a [String],
    /// The invite to the network.
    pub invite: String,
    /// This peer's key and peer id.
    pub node: String,
    /// The peer id.
    pub peer_id: String,
    /// The home.
    pub home: String,
    /// The software's version.
    pub version: String,
    /// Whether a password lets people in from other machines.
    pub has_password: bool,
}

/// The page.
#[must_use]
pub fn page(context: &Context, shown: &Settings<'_>) -> Markup {
    let body = html! {
        (title("Settings", &parts::nothing()))
        @if let Some(error) = shown.error { (problem(error)) }
        (form(context, shown))
        (password(context, shown.has_password))
        (reach(shown))
        div.pair { (about(shown)) (leave(context)) }
    };
    context.page("/settings", "Settings", &body)
}

fn form(context: &Context, shown: &Settings<'_>) -> Markup {
    html! {
        form.card method="post" action="/settings" aria-labelledby="set" {
            h2 #set { "This peer" }
            p.hint { "Kept in config.toml, and used from the next start on." }
            (context.seal().fields())
            div.pair {
                @for (key, label, hint, ask) in EDITED {
                    @if let Some(setting) = shown.settings.iter().find(|setting| setting.key == *key) {
                        (one(setting, label, hint, *ask))
                    }
                }
            }
            div.buttons { button.primary type="submit" { "Save" } }
            (parts::command("netpay config set KEY VALUE"))
        }
    }
}

fn one(setting: &Setting, label: &str, hint: &str, ask: Ask) -> Markup {
    // What a flag or a variable says wins over the file.
    let over = setting.origin.starts_with("env") || setting.origin == "flag";
    let hint =
        if over { format!("{hint} Now set by {}, which wins.", setting.origin) } else { hint.to_owned() };
    let field = |kind: &str, range| {
        field(&Field {
            name: &setting.key,
            label,
            kind,
            value: &setting.value,
            hint: &hint,
            range,
            ..Field::default()
        })
    };
    match ask {
        Ask::Text => field("text", None),
        Ask::Number(least, most) => field("number", Some((least, most))),
        Ask::Choice(choices) => select(&setting.key, label, choices, &setting.value, &hint),
        Ask::YesNo => select(&setting.key, label, &[("true", "Yes"), ("false", "No")], &setting.value, &hint),
    }
}

fn reach(shown: &Settings<'_>) -> Markup {
    html! {
        div.pair {
            section.card aria-labelledby="addresses" {
                h2 #addresses { "Addresses" }
                p.hint { "Somebody who knows one of these can connect to this peer." }
                @for address in shown.addresses { p { code { (parts::foreign(address)) } } }
                @match shown.addresses.first() {
                    Some(first) => (qr("The first address as a QR code", first)),
                    None => p { "None that others could reach are known yet." },
                }
            }
            section.card aria-labelledby="invite" {
                h2 #invite { "Invite to the network" }
                p.hint {
                    "Whoever sets up a peer with this line joins the same broker's network. It is no secret, \
                     and gives nobody your coins."
                }
                p { code { (parts::foreign(&shown.invite)) } }
                (qr("The invite as a QR code", &shown.invite))
                (parts::command("netpay init --broker INVITE"))
            }
        }
    }
}

/// How people come in from other machines.
fn password(context: &Context, is_set: bool) -> Markup {
    html! {
        section.card aria-labelledby="password" {
            div.title {
                h2 #password { (icon("key")) " Password for other machines" }
                @if is_set { (badge(Tone::Good, "set")) } @else { (badge(Tone::Idle, "none")) }
            }
            p.hint {
                "With it people sign in from other machines, once api.listen names an address that these \
                 reach. It is not the wallet's passphrase. Whoever else is signed in is signed out."
            }
            form method="post" action="/settings/password" data-again {
                (context.seal().fields())
                div.row {
                    (new_passphrase("new_password", if is_set { "Another password" } else { "Password" }))
                    (new_passphrase("new_again", "The same again"))
                }
                div.buttons {
                    button type="submit" { "Set the password" }
                    @if is_set {
                        a.button.danger href="/settings/password/remove" data-ask { "Remove it…" }
                    }
                }
            }
            (parts::command("netpay password"))
        }
    }
}

/// The question before the password is taken away.
#[must_use]
pub fn ask_remove_password(context: &Context) -> Markup {
    let body = confirm(&Confirm {
        title: "Remove the password?",
        body: html! {
            p { "Nobody can sign in from another machine any more, and whoever else is signed in is signed out." }
            p.quiet { "On this machine a link lets in as before: netpay open" }
        },
        action: "/settings/password/remove",
        fields: &[],
        seal: context.seal(),
        yes: "Remove the password",
        destroys: true,
        back: "/settings",
        command: "netpay password --remove",
    });
    context.page("/settings", "Remove the password", &body)
}

fn about(shown: &Settings<'_>) -> Markup {
    html! {
        section.card aria-labelledby="about" {
            h2 #about { "About" }
            (parts::facts(&[
                ("Version", html! { (shown.version) }),
                ("Home", html! { code { (parts::foreign(&shown.home)) } }),
                ("Node key", html! { code { (shown.node) } }),
                ("Peer id", html! { code { (shown.peer_id) } }),
            ]))
        }
    }
}

fn leave(context: &Context) -> Markup {
    html! {
        section.card aria-labelledby="stop" {
            h2 #stop { "Stop the peer" }
            p.hint {
                "Sales end and downloads wait until it is started again. Coins and files stay as they are."
            }
            div.buttons { a.button.danger href="/settings/stop" data-ask { (icon("power")) "Stop…" } }
            (parts::command("netpay stop"))
            h2 { "Sign out" }
            p.hint { "Of this browser. The peer goes on; a new link lets in again: netpay open" }
            form method="post" action="/logout" {
                (context.seal().fields())
                div.buttons { button type="submit" { "Sign out" } }
            }
        }
    }
}

/// The question before the peer is stopped.
#[must_use]
pub fn ask_stop(context: &Context, downloads: usize) -> Markup {
    let body = confirm(&Confirm {
        title: "Stop this peer?",
        body: html! {
            p {
                @match downloads {
                    0 => "No download is running.",
                    1 => "One download is running; it goes on after the next start.",
                    _ => { (downloads) " downloads are running; they go on after the next start." },
                }
            }
            p.quiet { "These pages go away with it. It is started again on its machine, with: netpay up" }
        },
        action: "/settings/stop",
        fields: &[],
        seal: context.seal(),
        yes: "Stop the peer",
        destroys: true,
        back: "/settings",
        command: "netpay stop",
    });
    context.page("/settings", "Stop the peer", &body)
}

/// What is left to say once it stops.
#[must_use]
pub fn stopped() -> Markup {
    let body = html! {
        h1 { "The peer is stopping" }
        p { "It finishes what must be finished and leaves the network. Start it again on its machine:" }
        p { code { "netpay up" } }
    };
    crate::ui::layout::bare("NetPay", "Stopping", &body)
}
