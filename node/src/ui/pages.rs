//! A peer's pages: plain functions from views to HTML.

pub mod downloads;
pub mod error;
pub mod files;
pub mod login;
pub mod peers;
pub mod purchase;
pub mod sales;
pub mod search;
pub mod settings;
pub mod wallet;
pub mod welcome;

use super::layout::{self, Notice, Section, Shell};
use super::parts::{self, Seal, Tone, badge, icon, money};
use crate::shown;
use maud::{Markup, html};

/// Rows on one page of a list.
pub const PAGE: usize = 50;
/// Where the header's figures are had.
pub const STATUS_URL: &str = "/live/status";

/// The places of a peer's pages.
pub const SECTIONS: [Section; 8] = [
    Section { href: "/", label: "Home", icon: "home" },
    Section { href: "/search", label: "Search", icon: "search" },
    Section { href: "/downloads", label: "Downloads", icon: "down" },
    Section { href: "/files", label: "Files", icon: "file" },
    Section { href: "/sales", label: "Sales", icon: "sales" },
    Section { href: "/wallet", label: "Wallet", icon: "wallet" },
    Section { href: "/peers", label: "Peers", icon: "peers" },
    Section { href: "/settings", label: "Settings", icon: "settings" },
];

/// What the header says.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// Coins to spend; `None` while the wallet is locked.
    pub spendable: Option<u64>,
    /// Whether the broker is connected.
    pub broker: bool,
    /// Whether this peer has an account there.
    pub registered: bool,
    /// Peers connected.
    pub peers: usize,
    /// Bytes per second that come.
    pub down: u64,
    /// Bytes per second that go.
    pub up: u64,
}

/// What every page of a request has in common.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// What the peer calls itself.
    pub owner: String,
    /// The secret of the session.
    pub csrf: String,
    /// The header.
    pub header: Header,
    /// What to say first.
    pub notice: Option<Notice>,
}

impl Context {
    /// A page of a section.
    #[must_use]
    pub fn page(&self, section: &str, title: &str, body: &Markup) -> Markup {
        let shell = Shell {
            product: "NetPay",
            owner: &self.owner,
            sections: &SECTIONS,
            current: section,
            status: header(&self.header),
            status_url: Some(STATUS_URL),
            notice: self.notice.clone(),
        };
        layout::page(&shell, title, body)
    }

    /// The seal of a form that does the same when it is sent twice.
    #[must_use]
    pub fn seal(&self) -> Seal<'_> {
        Seal { csrf: &self.csrf, key: None }
    }

    /// The seal of a form that moves money, with a key for once.
    #[must_use]
    pub fn sealed<'a>(&'a self, key: &'a str) -> Seal<'a> {
        Seal { csrf: &self.csrf, key: Some(key) }
    }
}

/// The figures of the header.
#[must_use]
pub fn header(header: &Header) -> Markup {
    let broker = match (header.broker, header.registered) {
        (true, true) => (Tone::Good, "broker"),
        (true, false) => (Tone::Warn, "not registered"),
        (false, _) => (Tone::Warn, "broker away"),
    };
    html! {
        a href="/wallet" {
            @match header.spendable {
                Some(coins) => { (icon("coins")) (money(coins)) }
                None => { (icon("lock")) b { "locked" } }
            }
        }
        span { (badge(broker.0, broker.1)) }
        a href="/peers" {
            (icon("peers")) b { (header.peers) } (if header.peers == 1 { "peer" } else { "peers" })
        }
        span {
            span.hidden { "Receiving " }
            "↓"
            b { (rate(header.down)) }
            span.hidden { ", sending " }
            "↑"
            b { (rate(header.up)) }
        }
    }
}

/// Bytes per second.
#[must_use]
pub fn rate(bytes: u64) -> String {
    format!("{}/s", shown::size(bytes))
}

/// A peer by the name it gives itself, or its key.
#[must_use]
pub fn peer_name(name: Option<&str>, node: &str) -> Markup {
    html! {
        @match name.filter(|name| !name.is_empty()) {
            Some(name) => (parts::foreign(name)),
            None => (parts::id(node)),
        }
    }
}
