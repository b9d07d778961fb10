//! The settings of a peer: from flags, then the environment, then `config.toml`, then the defaults; unknown keys and
//! values out of range are refused.
//!
//! Every key is described once, in [`KEYS`], and is everywhere a text there: on the command line, in the environment and
//! in the answer to `netpay config get`.

mod edit;
mod keys;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use netpay_core::fair::policy::Fair;
use serde::{Deserialize, Serialize};

use crate::errors::{self, ErrorView};
use crate::home::Home;

pub use crate::invite::Invite;
pub use edit::{document, set, unset};
pub use keys::{KEYS, Key, Kind, key};

/// What every variable of the environment begins with.
pub const ENV_PREFIX: &str = "NETPAY_";

/// The settings in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What the peer calls itself to others.
    pub name: String,
    /// Where it listens for peers, as multiaddrs.
    pub listen: Vec<String>,
    /// Addresses that others can reach it at, where it cannot find that out itself.
    pub external: Vec<String>,
    /// Where it listens for commands and pages: loopback only.
    pub api: SocketAddr,
    /// Names that the interface answers to beside addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Whether this is a network on one machine or LAN.
    pub local: bool,
    /// Whether peers on the same LAN are found by mDNS.
    pub mdns: bool,
    /// Whether QUIC is offered beside TCP.
    pub quic: bool,
    /// Where downloads go; absolute.
    pub downloads: PathBuf,
    /// The broker's invite.
    pub broker: Option<Invite>,
    /// Where money is paid out to, as the operator's bank understands it; empty if it is to be said each time.
    pub payout_to: String,
    /// What it risks as a vendor.
    pub policy: Policy,
    /// Coins a piece may cost that is paid before it is seen.
    pub p0: u64,
    /// When it trades in fair mode.
    pub fair: Fair,
    /// When earnings are redeemed by themselves.
    pub redeem: Redeem,
    /// What is logged: a level, or directives as in `info,netpay_node=debug`.
    pub log: String,
}

/// What a peer risks as a vendor on coins that no witnesses have certified yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// x0: of one chain.
    pub x0: u64,
    /// X: of all chains.
    pub x_total: u64,
}

/// When earnings are redeemed by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redeem {
    /// Whether once a day.
    pub daily: bool,
    /// At this hour, 0 to 23, UTC.
    pub hour: u8,
}

/// One setting in effect, and what set it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The key.
    pub key: String,
    /// The value, as `netpay config set` takes it.
    pub value: String,
    /// `flag`, `env NETPAY_…`, `file` or `default`.
    pub origin: String,
}

/// The settings in effect, and where each came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The same, key by key.
    pub settings: Vec<Setting>,
}

/// A key and the text it is set to.
pub type Assignment = (String, String);

impl Config {
    /// The defaults of a peer in that home.
    #[must_use]
    pub fn defaults(home: &Path) -> Self {
        Self {
            name: "peer".to_owned(),
            listen: vec!["/ip4/0.0.0.0/tcp/4780".to_owned()],
            external: Vec::new(),
            api: SocketAddr::from(([127, 0, 0, 1], 5780)),
            hosts: Vec::new(),
            local: false,
            mdns: true,
            quic: true,
            downloads: home.join("downloads"),
            broker: None,
            payout_to: String::new(),
            policy: Policy { x0: 10, x_total: 200 },
            p0: 10,
            fair: Fair::Auto,
            redeem: Redeem { daily: true, hour: 4 },
            log: "info".to_owned(),
        }
    }
}

/// The settings of the peer in a home, with `flags` over all others.
pub fn load(home: &Home, flags: &[Assignment]) -> Result<Loaded, ErrorView> {
    let path = home.config();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(errors::bad_config(path.display(), error)),
    };
    let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    load_from(home.path(), &path, &text, &environment, flags)
}

/// As [`load`], with the file's text and the environment given.
pub fn load_from(
    home: &Path,
    path: &Path,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    flags: &[Assignment],
) -> Result<Loaded, ErrorView> {
    let file = read(path, text)?;
    for (name, _) in flags {
        key(name).ok_or_else(|| unknown(name, "a flag"))?;
    }
    let mut config = Config::defaults(home);
    let mut settings = Vec::with_capacity(KEYS.len());
    for key in KEYS {
        let of = |from: &[Assignment]| {
            from.iter().rev().find(|(name, _)| name == key.name).map(|(_, v)| v.clone())
        };
        let variable = key.variable();
        let found = of(flags)
            .map(|value| (value, "flag".to_owned()))
            .or_else(|| environment(&variable).map(|value| (value, format!("env {variable}"))))
            .or_else(|| of(&file).map(|value| (value, "file".to_owned())));
        let origin = match found {
            None => "default".to_owned(),
            Some((value, origin)) => {
                let place = if origin == "file" { path.display().to_string() } else { origin.clone() };
                key.apply(&mut config, home, &value, &place)?;
                origin
            }
        };
        settings.push(Setting { key: key.name.to_owned(), value: (key.show)(&config), origin });
    }
    Ok(Loaded { config, settings })
}

/// What a file sets, in its order. Unknown keys are refused.
fn read(path: &Path, text: &str) -> Result<Vec<Assignment>, ErrorView> {
    let table: toml::Table = text.parse().map_err(|e| errors::bad_config(path.display(), e))?;
    let mut found = Vec::new();
    for (name, value) in &table {
        match value {
            toml::Value::Table(group) if key(name).is_none() => {
                for (inner, value) in group {
                    found.push((format!("{name}.{inner}"), flat(value)));
                }
            }
            _ => found.push((name.clone(), flat(value))),
        }
    }
    let place = path.display().to_string();
    for (name, value) in &found {
        let key = key(name).ok_or_else(|| unknown(name, &place))?;
        if value.is_none() {
            return Err(errors::bad_value(name, "a value of this kind", &place, key.expected));
        }
    }
    Ok(found.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

/// The value as one text; `None` if no key takes such a value.
fn flat(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(yes) => Some(yes.to_string()),
        toml::Value::Array(list) => {
            let texts: Option<Vec<_>> = list.iter().map(toml::Value::as_str).collect();
            texts.map(|texts| texts.join(","))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

/// The error for a key that does not exist, with the one that was probably meant.
fn unknown(name: &str, place: &str) -> ErrorView {
    errors::unknown_key(name, place, closest(name))
}

/// The key most like this name, unless none is.
fn closest(name: &str) -> Option<&'static str> {
    const MOST: usize = 3;
    let last = name.rsplit('.').next().unwrap_or(name);
    let tail = |key: &'static str| key.rsplit('.').next().unwrap_or(key);
    let scored = KEYS.iter().map(|key| {
        let whole = distance(name, key.name);
        // A name that is right but for its group is nearer than any misspelling.
        let leaf = distance(last, tail(key.name));
        let leaf = if leaf == 0 { 0 } else { leaf + 1 };
        (whole.min(leaf), key.name)
    });
    scored.min().filter(|(score, _)| *score <= MOST.min(name.len() / 2 + 1)).map(|(_, key)| key)
}

/// How many letters must be added, dropped or changed to make one text of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
