//! Setting a home up, and running the peer in it.

use super::args::{Global, Passphrase};
use super::show;
use crate::api::password::Password;
use crate::api::server::{self, Interface};
use crate::app::view::ErrorView;
use crate::app::{Settings, Trouble, start};
use crate::config::{self, Config};
use crate::errors;
use crate::home::Home;
use crate::store::files::{PRIVATE, atomic_write};
use netpay_core::amount::Coins;
use netpay_core::session::vendor::Policy;
use std::io::{IsTerminal as _, Read as _};
use zeroize::Zeroizing;

/// The longest passphrase that is read, in bytes.
const MAX_PASSPHRASE: u64 = 1024;

/// A secret given by environment, file or prompt, never in the arguments.
pub fn passphrase(
    global: &Global,
    given: &Passphrase,
    prompt: &str,
) -> Result<Option<Zeroizing<String>>, ErrorView> {
    if let Some(path) = &given.passphrase_file {
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(|e| errors::io("reading", path, &e))?;
        file.take(MAX_PASSPHRASE).read_to_string(&mut text).map_err(|e| errors::io("reading", path, &e))?;
        return Ok(Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())));
    }
    if let Ok(text) = std::env::var("NETPAY_PASSPHRASE") {
        return Ok(Some(Zeroizing::new(text)));
    }
    if global.no_input || !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    let typed = rpassword::prompt_password(prompt).map_err(errors::internal)?;
    Ok(Some(Zeroizing::new(typed)))
}

/// Sets a home up.
pub fn init(
    global: &Global,
    home: &Home,
    name: Option<String>,
    broker: Option<String>,
    given: &Passphrase,
    unprotected: bool,
) -> Result<(), ErrorView> {
    if home.identity().exists() {
        return Err(errors::already_initialised(home.path().display()));
    }
    let mut set = Vec::new();
    set.extend(name.map(|name| ("name".to_owned(), name)));
    set.extend(broker.map(|broker| ("broker".to_owned(), broker)));
    // The settings are checked before anything is made.
    config::load_from(home.path(), &home.config(), "", &|_| None, &set)?;
    let secret = match unprotected {
        true => None,
        false => {
            let secret = passphrase(global, given, "A passphrase for the wallet: ")?;
            let secret = secret.ok_or_else(errors::passphrase_needed)?;
            if secret.len() < 8 {
                return Err(errors::bad_passphrase("it is shorter than 8 bytes"));
            }
            Some(secret)
        }
    };
    start::init(home, secret.as_ref().map(|secret| secret.as_str()))?;
    let path = home.config();
    if !path.exists() {
        let text = config::document(home.path(), &set);
        atomic_write(&path, text.as_bytes(), PRIVATE).map_err(|e| errors::io("writing", &path, &e))?;
    }
    if global.json {
        show::json(&serde_json::json!({ "home": home.path() }));
    } else if !global.quiet {
        show::line(&format!("{} is set up; start the peer with: netpay up", home.path().display()));
    }
    Ok(())
}

/// Runs the peer until it is told to stop.
pub async fn up(
    global: &Global,
    home: Home,
    listen: Option<String>,
    api: Option<String>,
    given: &Passphrase,
) -> Result<(), ErrorView> {
    if !home.identity().exists() {
        return Err(errors::not_a_home(home.path().display()));
    }
    let mut flags = Vec::new();
    flags.extend(listen.map(|listen| ("listen".to_owned(), listen)));
    flags.extend(api.map(|api| ("api.listen".to_owned(), api)));
    let config = config::load(&home, &flags)?.config;
    log(global, &config);
    let settings = settings(&config)?;
    let locked = crate::app::vault::needs_passphrase(&home.wallet()).map_err(Trouble::from)?;
    let secret = if locked { passphrase(global, given, "The wallet's passphrase: ")? } else { None };
    let node = start::run(home, settings, secret.map(|secret| secret.to_string())).await?;
    let asked = node.clone();
    tokio::spawn(async move {
        signalled().await;
        asked.ask_to_stop();
    });
    let (quiet, json) = (global.quiet, global.json);
    let status = node.status();
    let interface = Interface { at: config.api, hosts: config.hosts.clone() };
    let served = server::serve(node.clone(), interface, move |at, link| {
        if json {
            show::json(&serde_json::json!({
                "api": at.to_string(), "node": status.node, "addresses": status.addresses, "link": link,
            }));
        } else if !quiet {
            status.addresses.iter().for_each(|address| show::line(&format!("listening on {address}")));
            show::line(&format!("pages, for a minute and once (then: netpay open): {link}"));
        }
    })
    .await;
    node.stop().await;
    served
}

/// Sets the password of the interface, or takes it away.
pub fn password(global: &Global, home: &Home, given: &Passphrase, remove: bool) -> Result<(), ErrorView> {
    if !home.identity().exists() {
        return Err(errors::not_a_home(home.path().display()));
    }
    let secret = match remove {
        true => None,
        false => {
            let secret = passphrase(global, given, "A password for the interface: ")?;
            Some(secret.ok_or_else(errors::passphrase_needed)?)
        }
    };
    Password::set(home, secret.as_ref().map(|secret| secret.as_str()))?;
    if global.json {
        show::json(&serde_json::json!({ "password": secret.is_some() }));
    } else if !global.quiet {
        let said = if secret.is_some() { "is set" } else { "is gone" };
        show::line(&format!(
            "the interface's password {said}; whoever is signed in stays so until the peer is restarted"
        ));
    }
    Ok(())
}

/// The first signal asks for a graceful stop.
async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

fn log(global: &Global, config: &Config) {
    let filter = match (global.quiet, global.verbose) {
        (true, _) => "error".to_owned(),
        (false, 0) => config.log.clone(),
        (false, 1) => "info,netpay_node=debug".to_owned(),
        (false, _) => "debug,netpay_node=trace".to_owned(),
    };
    let filter = tracing_subscriber::EnvFilter::try_new(filter).unwrap_or_default();
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A log that takes nothing more, as on a full disk, must not end whatever wanted to say something.
    let subscriber = subscriber.log_internal_errors(false);
    // A second subscriber in one process is no reason to stop.
    let _ = subscriber.try_init();
}

fn settings(config: &Config) -> Result<Settings, ErrorView> {
    let invite = config.broker.clone().ok_or_else(errors::no_broker)?;
    let listen =
        config.listen.iter().map(|address| address.parse().map_err(|e| errors::bad_address(address, e)));
    Ok(Settings {
        name: config.name.clone(),
        listen: listen.collect::<Result<_, _>>()?,
        local: config.local,
        mdns: config.mdns,
        quic: config.quic,
        downloads: config.downloads.clone(),
        invite,
        policy: Policy { per_chain: Coins(config.policy.x0), in_all: Coins(config.policy.x_total) },
        unit_price: Coins(config.p0),
        redeem_daily: config.redeem.daily,
    })
}
