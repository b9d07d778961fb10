//! Every key of the configuration: its name, what it is for, what it may be, and how it is read and shown.

use std::net::SocketAddr;
use std::path::Path;

use super::{Config, ENV_PREFIX, Invite};
use crate::errors::{self, ErrorView};
use crate::overlay::Multiaddr;

/// Longest name of a peer, in bytes: what fits into a hello.
const MAX_NAME: usize = 64;
/// Longest text that says where money is paid out to, in bytes: what fits into a request to the broker.
const MAX_PAYOUT_TO: usize = 80;
/// The most coins that a limit can be set to.
const MAX_COINS: u64 = 1 << 40;

/// How a value is written in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In quotes.
    Text,
    /// A number, `true` or `false`.
    Plain,
    /// A list of texts; with commas between them where it is one text.
    List,
}

/// One key.
pub struct Key {
    /// Its name; a dot stands between group and key.
    pub name: &'static str,
    /// How it is written.
    pub kind: Kind,
    /// What it is for, in a line.
    pub help: &'static str,
    /// What it may be, in words that go after "… is expected".
    pub expected: &'static str,
    /// The value in effect, as a text.
    pub show: fn(&Config) -> String,
    /// Takes the text, or says that it is not allowed with `None`.
    read: fn(&mut Config, &Path, &str) -> Option<()>,
}

/// The key of this name.
#[must_use]
pub fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

impl Key {
    /// The variable of the environment that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{ENV_PREFIX}{}", self.name.to_uppercase().replace('.', "_"))
    }

    /// Takes a value that `place` gives, or says why not.
    pub fn apply(&self, config: &mut Config, home: &Path, value: &str, place: &str) -> Result<(), ErrorView> {
        let value = value.trim();
        if (self.read)(config, home, value).is_none() {
            return Err(errors::bad_value(self.name, value, place, self.expected));
        }
        Ok(())
    }
}

/// Every key, in the order in which they are shown.
pub const KEYS: &[Key] = &[
    Key {
        name: "name",
        kind: Kind::Text,
        help: "What the peer calls itself to others.",
        expected: "a text of 1 to 64 bytes",
        show: |config| config.name.clone(),
        read: |config, _, text| {
            let fits = !text.is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control);
            store(&mut config.name, fits.then(|| text.to_owned()))
        },
    },
    Key {
        name: "listen",
        kind: Kind::List,
        help: "Where it listens for peers. Port 0 takes a free one.",
        expected: "a list of addresses such as /ip4/0.0.0.0/tcp/4780",
        show: |config| config.listen.join(","),
        read: |config, _, text| store(&mut config.listen, addresses(text)),
    },
    Key {
        name: "external",
        kind: Kind::List,
        help: "Addresses that others can reach it at, where it cannot find them out itself.",
        expected: "a list of addresses such as /dns/peer.example.org/tcp/4780",
        show: |config| config.external.join(","),
        read: |config, _, text| store(&mut config.external, addresses(text)),
    },
    Key {
        name: "broker",
        kind: Kind::Text,
        help: "The broker's invite: one line from its operator.",
        expected: "an invite that begins with netpay://",
        show: |config| config.broker.as_ref().map(ToString::to_string).unwrap_or_default(),
        read: |config, _, text| {
            let parsed = if text.is_empty() { Some(None) } else { text.parse::<Invite>().ok().map(Some) };
            store(&mut config.broker, parsed)
        },
    },
    Key {
        name: "payout_to",
        kind: Kind::Text,
        help: "Where money is paid out to, as the operator's bank understands it: an IBAN, say.",
        expected: "a text of up to 80 bytes that can be read",
        show: |config| config.payout_to.clone(),
        read: |config, _, text| {
            let fits = text.len() <= MAX_PAYOUT_TO && !text.chars().any(crate::shown::deceives);
            store(&mut config.payout_to, fits.then(|| text.to_owned()))
        },
    },
    Key {
        name: "download_dir",
        kind: Kind::Text,
        help: "Where downloads go. Relative to the home.",
        expected: "a directory",
        show: |config| config.downloads.display().to_string(),
        read: |config, home, text| store(&mut config.downloads, (!text.is_empty()).then(|| home.join(text))),
    },
    Key {
        name: "local",
        kind: Kind::Plain,
        help: "Whether this is a network on one machine or LAN: private addresses are then told to others.",
        expected: "true or false",
        show: |config| config.local.to_string(),
        read: |config, _, text| store(&mut config.local, yes_or_no(text)),
    },
    Key {
        name: "mdns",
        kind: Kind::Plain,
        help: "Whether peers on the same LAN are found by mDNS.",
        expected: "true or false",
        show: |config| config.mdns.to_string(),
        read: |config, _, text| store(&mut config.mdns, yes_or_no(text)),
    },
    Key {
        name: "quic",
        kind: Kind::Plain,
        help: "Whether QUIC is offered beside TCP.",
        expected: "true or false",
        show: |config| config.quic.to_string(),
        read: |config, _, text| store(&mut config.quic, yes_or_no(text)),
    },
    Key {
        name: "p0",
        kind: Kind::Plain,
        help: "Coins that a piece may cost which is paid before it is seen.",
        expected: "a number of coins from 1 on",
        show: |config| config.p0.to_string(),
        read: |config, _, text| store(&mut config.p0, number(text, 1, MAX_COINS)),
    },
    Key {
        name: "fair",
        kind: Kind::Text,
        help: "When it trades in fair mode, where bytes come under seal and nobody can lose a coin: auto (files of \
               one piece, dear ones, and vendors that never delivered before), always, or never.",
        expected: "auto, always or never",
        show: |config| config.fair.to_string(),
        read: |config, _, text| store(&mut config.fair, text.to_ascii_lowercase().parse().ok()),
    },
    Key {
        name: "log",
        kind: Kind::Text,
        help: "What is logged: error, warn, info, debug or trace; or directives such as info,netpay_node=debug.",
        expected: "a level such as info, or directives",
        show: |config| config.log.clone(),
        read: |config, _, text| store(&mut config.log, directives(text)),
    },
    Key {
        name: "api.listen",
        kind: Kind::Text,
        help: "Where it listens for commands and pages. Port 0 takes a free one; other machines need a password.",
        expected: "an address and port such as 127.0.0.1:5780",
        show: |config| config.api.to_string(),
        read: |config, _, text| store(&mut config.api, text.parse::<SocketAddr>().ok()),
    },
    Key {
        name: "api.hosts",
        kind: Kind::List,
        help: "Names that it answers to beside addresses and localhost.",
        expected: "a list of host names such as peer.example.org",
        show: |config| config.hosts.join(","),
        read: |config, _, text| store(&mut config.hosts, host_names(text)),
    },
    Key {
        name: "policy.x0",
        kind: Kind::Plain,
        help: "Coins of one chain that a sale goes on with before witnesses certified them (x0).",
        expected: "a number of coins",
        show: |config| config.policy.x0.to_string(),
        read: |config, _, text| store(&mut config.policy.x0, number(text, 0, MAX_COINS)),
    },
    Key {
        name: "policy.x_total",
        kind: Kind::Plain,
        help: "Uncertified coins of all chains together (X).",
        expected: "a number of coins",
        show: |config| config.policy.x_total.to_string(),
        read: |config, _, text| store(&mut config.policy.x_total, number(text, 0, MAX_COINS)),
    },
    Key {
        name: "redeem.daily",
        kind: Kind::Plain,
        help: "Whether earnings are redeemed once a day by themselves.",
        expected: "true or false",
        show: |config| config.redeem.daily.to_string(),
        read: |config, _, text| store(&mut config.redeem.daily, yes_or_no(text)),
    },
    Key {
        name: "redeem.hour",
        kind: Kind::Plain,
        help: "At which hour (UTC).",
        expected: "an hour from 0 to 23",
        show: |config| config.redeem.hour.to_string(),
        read: |config, _, text| {
            let hour = number(text, 0, 23).and_then(|hour| u8::try_from(hour).ok());
            store(&mut config.redeem.hour, hour)
        },
    },
];

fn store<T>(place: &mut T, value: Option<T>) -> Option<()> {
    *place = value?;
    Some(())
}

fn number(text: &str, least: u64, most: u64) -> Option<u64> {
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Comma-separated multiaddrs; an empty text is none.
fn addresses(text: &str) -> Option<Vec<String>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.parse::<Multiaddr>().ok().map(|_| part.to_owned())).collect()
}

/// Comma-separated host names, in lower case; an empty text is none.
fn host_names(text: &str) -> Option<Vec<String>> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.chars().all(allowed).then(|| part.to_owned())).collect()
}

fn directives(text: &str) -> Option<String> {
    let known = !text.is_empty() && text.parse::<tracing_subscriber::filter::EnvFilter>().is_ok();
    known.then(|| text.to_owned())
}
