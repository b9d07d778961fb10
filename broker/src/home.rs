//! The broker's home: its configuration, and its keys in a file each. The signing key and the node key are never the
//! same: whoever breaks into the node's key can pretend to be a peer, not print money.

use crate::errors::{self, ErrorView};
use crate::ledger::MAX_MONEY;
use crate::service::{SETTLE_AFTER, Terms};
use netpay_core::amount::Coins;
use netpay_core::coin::touchstone::{REDEEM_FOR, SPEND_FOR};
use netpay_core::keys::SecretKey;
use netpay_core::wire::bank::MAX_ADDRESS;
use netpay_node::clock;
use netpay_node::errors::home_locked;
use netpay_node::home::{Home, HomeError};
use netpay_node::invite::is_network_name;
use netpay_node::store::files::{self, PRIVATE};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Longest key file that is looked at, in bytes.
const KEY_FILE_MAX: usize = 65;

/// `config.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The network's name.
    pub network: String,
    /// The operator's name for the broker.
    pub name: String,
    /// How to reach the operator.
    pub contact: String,
    /// What one coin is worth, for a person.
    pub denomination: String,
    /// Whether registering needs a voucher.
    pub voucher_needed: bool,
    /// Coins that a new account sets aside as its bond, for what its nodes might sign twice.
    #[serde(default)]
    pub bond: u64,
    /// Where the node listens: multiaddrs.
    #[serde(default = "default_listen")]
    pub listen: Vec<String>,
    /// Addresses at which others reach it, if they are not those it listens on; the first is in the invite.
    #[serde(default)]
    pub external: Vec<String>,
    /// Where the operator's API listens: a loopback address.
    #[serde(default = "default_api")]
    pub api: String,
    /// Where the public pages listen.
    #[serde(default = "default_web")]
    pub web: String,
    /// The address under which people reach the public pages, if it is not the one they listen on:
    /// `https://bank.example.org`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub web_url: String,
    /// How long chains can be spent, in seconds.
    #[serde(default = "default_spend_for")]
    pub spend_for: u64,
    /// How long they can be redeemed after that, in seconds.
    #[serde(default = "default_redeem_for")]
    pub redeem_for: u64,
    /// How long settlements wait after an outage, in seconds.
    #[serde(default = "default_settle_after")]
    pub settle_after: u64,
    /// How often the broker looks for chains to settle, in seconds.
    #[serde(default = "default_settle_every")]
    pub settle_every: u64,
}

fn default_listen() -> Vec<String> {
    vec!["/ip4/0.0.0.0/tcp/4711".to_owned()]
}
fn default_api() -> String {
    "127.0.0.1:0".to_owned()
}
fn default_web() -> String {
    "127.0.0.1:0".to_owned()
}
const fn default_spend_for() -> u64 {
    SPEND_FOR
}
const fn default_redeem_for() -> u64 {
    REDEEM_FOR
}
const fn default_settle_after() -> u64 {
    SETTLE_AFTER
}
const fn default_settle_every() -> u64 {
    60
}

impl Settings {
    /// The usual settings under these names.
    #[must_use]
    pub fn new(network: &str, name: &str, contact: &str) -> Self {
        Self {
            network: network.to_owned(),
            name: name.to_owned(),
            contact: contact.to_owned(),
            denomination: "1 coin".to_owned(),
            voucher_needed: false,
            bond: 0,
            listen: default_listen(),
            external: Vec::new(),
            api: default_api(),
            web: default_web(),
            web_url: String::new(),
            spend_for: SPEND_FOR,
            redeem_for: REDEEM_FOR,
            settle_after: SETTLE_AFTER,
            settle_every: default_settle_every(),
        }
    }

    /// The terms that the bank works under.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms {
            denomination: self.denomination.clone(),
            voucher_needed: self.voucher_needed,
            bond: Coins(self.bond),
            spend_for: self.spend_for,
            redeem_for: self.redeem_for,
            settle_after: self.settle_after,
            ..Terms::new(&self.network, &self.name, &self.contact)
        }
    }

    fn check(&self) -> Result<(), ErrorView> {
        if !is_network_name(&self.network) {
            return Err(errors::bad_value(
                "network",
                "a network's name is 1 to 64 letters, digits, '-', '_' or '.'",
            ));
        }
        for (name, value, max) in [
            ("name", &self.name, 64),
            ("contact", &self.contact, 128),
            ("denomination", &self.denomination, 64),
        ] {
            if value.is_empty() || value.len() > max {
                return Err(errors::bad_value(name, format!("it takes 1 to {max} bytes")));
            }
        }
        if self.bond > MAX_MONEY {
            return Err(errors::bad_value("bond", format!("it is at most {MAX_MONEY} coins")));
        }
        let host = host_of(&self.web_url);
        if !self.web_url.is_empty() && (self.web_url.len() > MAX_ADDRESS || host.is_none()) {
            let why =
                format!("it is an address such as https://bank.example.org, of {MAX_ADDRESS} bytes at most");
            return Err(errors::bad_value("web_url", why));
        }
        if self.settle_every == 0 {
            return Err(errors::bad_value("settle_every", "it is at least one second"));
        }
        Ok(())
    }
}

/// A broker's home.
#[derive(Clone, Debug)]
pub struct BrokerHome {
    home: Home,
}

/// What a broker is made of.
pub struct Opened {
    /// Its settings.
    pub settings: Settings,
    /// Its signing key.
    pub signing: SecretKey,
    /// Its node key.
    pub node: SecretKey,
}

impl BrokerHome {
    /// The home at that path, or where brokers have theirs.
    ///
    /// # Errors
    /// If the user has no home directory.
    pub fn resolve(given: Option<&Path>) -> Result<Self, ErrorView> {
        if let Some(path) = given {
            return Ok(Self::at(path));
        }
        // Beside the home of a peer, never the same.
        let peer = Home::resolve(None).map_err(|error| of_home(&error))?;
        Ok(Self::at(peer.path().with_file_name("netpay-broker")))
    }

    /// The home at that path. Creates nothing.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { home: Home::at(path) }
    }

    /// The home as every peer has one.
    #[must_use]
    pub const fn home(&self) -> &Home {
        &self.home
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.home.path()
    }

    /// `broker.key`: the signing key.
    #[must_use]
    pub fn signing_key(&self) -> PathBuf {
        self.path().join("broker.key")
    }

    /// `api-address`: where the running broker's API listens.
    #[must_use]
    pub fn api_address(&self) -> PathBuf {
        self.path().join("api-address")
    }

    /// `invite`: what peers needed to join when the broker ran last.
    #[must_use]
    pub fn last_invite(&self) -> PathBuf {
        self.path().join("invite")
    }

    /// Makes a new broker: both keys, the token, and the configuration, which comes last and says that all is there.
    ///
    /// # Errors
    /// If there is one already, or a setting makes no sense, or the disk fails.
    pub fn init(&self, settings: &Settings) -> Result<Opened, ErrorView> {
        self.init_with(settings, &clock::random(), &clock::random())
    }

    /// As [`BrokerHome::init`], with keys that exist, as from a backup.
    ///
    /// # Errors
    /// As there.
    pub fn init_with(
        &self,
        settings: &Settings,
        signing: &[u8; 32],
        node: &[u8; 32],
    ) -> Result<Opened, ErrorView> {
        settings.check()?;
        if self.home.config().exists() || self.signing_key().exists() {
            return Err(errors::already_here(self.path()));
        }
        self.home.create().map_err(|error| of_home(&error))?;
        write(&self.signing_key(), &hex(signing))?;
        self.home.write_identity(hex(node).as_bytes()).map_err(|error| of_home(&error))?;
        write(&self.home.api_token(), &hex(&clock::random::<32>()))?;
        let config = toml::to_string_pretty(settings)
            .map_err(|error| errors::bad_value("the configuration", error))?;
        write(&self.home.config(), &config)?;
        self.open()
    }

    /// Reads configuration and keys.
    ///
    /// # Errors
    /// If something is missing or makes no sense.
    pub fn open(&self) -> Result<Opened, ErrorView> {
        let config = self.home.config();
        let text = std::fs::read_to_string(&config).map_err(|_| errors::no_broker_here(self.path()))?;
        let settings: Settings = toml::from_str(&text)
            .map_err(|error| errors::bad_value(&config.display().to_string(), error.message()))?;
        settings.check()?;
        let (signing, node) = (self.key(&self.signing_key())?, self.key(&self.home.identity())?);
        if signing.public() == node.public() {
            return Err(errors::bad_value("broker.key", "it must not be the node's key too"));
        }
        Ok(Opened { settings, signing, node })
    }

    /// The API's token, made if there is none.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn token(&self) -> Result<String, ErrorView> {
        let path = self.home.api_token();
        if let Ok(token) = std::fs::read_to_string(&path)
            && token.trim().len() == 64
        {
            return Ok(token.trim().to_owned());
        }
        let token = hex(&clock::random::<32>());
        write(&path, &token)?;
        Ok(token)
    }

    fn key(&self, path: &Path) -> Result<SecretKey, ErrorView> {
        let text = std::fs::read_to_string(path).map_err(|_| errors::no_broker_here(self.path()))?;
        let text = zeroize::Zeroizing::new(text);
        let bytes = Some(text.trim()).filter(|text| text.len() < KEY_FILE_MAX);
        let bytes = bytes.and_then(|text| data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok());
        let seed =
            bytes.map(zeroize::Zeroizing::new).and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
        let bad = || errors::bad_value(&path.display().to_string(), "a key file has 64 hexadecimal digits");
        seed.map(|seed| SecretKey::from_seed(&seed)).ok_or_else(bad)
    }
}

/// The host that an address of pages names, if it is one: `http` or `https`, a host, and nothing that would not be read
/// back as it is.
#[must_use]
pub fn host_of(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.trim_end_matches('/');
    let host = authority.rsplit_once(':').map_or(authority, |(host, port)| {
        if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) { host } else { authority }
    });
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'[' | b']' | b':');
    (!host.is_empty() && host.bytes().all(plain)).then_some(host)
}

/// What an error of the home means to the operator.
#[must_use]
pub fn of_home(error: &HomeError) -> ErrorView {
    match error {
        HomeError::Locked { pid, path } => home_locked(path, *pid)
            .fixed_by("use the broker that runs, or end it first with: netpay-broker stop"),
        HomeError::Unknown => errors::bad_value("the home", error),
        HomeError::Io { doing, path, source } => errors::io(doing, path, source),
    }
}

/// Writes a file that only the owner can read, whole or not at all.
///
/// # Errors
/// If the disk fails.
pub fn write(path: &Path, text: &str) -> Result<(), ErrorView> {
    let text = if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
    files::atomic_write(path, text.as_bytes(), PRIVATE).map_err(|error| errors::io("writing", path, error))
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("town", "Town bank", "clerk@example.org")
    }

    #[test]
    fn a_broker_is_made_once_and_keeps_its_keys() {
        let directory = tempfile::tempdir().expect("a directory");
        let home = BrokerHome::at(directory.path().join("bank"));
        assert_eq!(home.open().err().map(|error| error.code), Some("NP-BROKER-020".to_owned()));
        let made = home.init(&settings()).expect("a new broker");
        assert_ne!(made.signing.public(), made.node.public());
        let again = home.open().expect("it is there");
        assert_eq!(
            (again.signing.public(), again.node.public()),
            (made.signing.public(), made.node.public())
        );
        assert_eq!(again.settings, settings());
        assert_eq!(home.init(&settings()).err().map(|error| error.code), Some("NP-BROKER-021".to_owned()));
        assert_eq!(home.token().expect("a token"), home.token().expect("the same"));
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_readable_by_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().expect("a directory");
        let home = BrokerHome::at(directory.path().join("bank"));
        home.init(&settings()).expect("a new broker");
        for path in [home.signing_key(), home.home().identity(), home.home().api_token()] {
            let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let home = BrokerHome::at(directory.path().join("bank"));
        for bad in [
            Settings { network: "a b".to_owned(), ..settings() },
            Settings { name: String::new(), ..settings() },
        ] {
            assert_eq!(home.init(&bad).err().map(|error| error.code), Some("NP-BROKER-023".to_owned()));
        }
        home.init(&settings()).expect("a new broker");
        let config = home.home().config();
        let text = std::fs::read_to_string(&config).expect("a file");
        std::fs::write(&config, format!("{text}\nvoucher_neded = true\n")).expect("written");
        assert_eq!(home.open().err().map(|error| error.code), Some("NP-BROKER-023".to_owned()));
    }
}
