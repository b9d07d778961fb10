//! Running the peer.

use super::args::{Global, Passphrase, Up};
use super::interrupt::Watch;
use super::{ask, join, show};
use crate::api::password::Password;
use crate::api::server::{self, Interface};
use crate::app::view::ErrorView;
use crate::app::{Settings, Trouble, start};
use crate::config::{self, Config};
use crate::errors;
use crate::home::Home;
use crate::logs::{self, Wanted};
use crate::manager;
use crate::signals::Signals;
use netpay_core::amount::Coins;
use netpay_core::session::vendor::Policy;

/// Runs the peer until it is told to stop; joins a network first, if it is to.
///
/// # Errors
/// If there is no such home, or the peer cannot start in it.
pub async fn up(global: &Global, home: Home, up: Up, watch: Watch) -> Result<(), ErrorView> {
    let Up { join, listen, api, new } = up;
    let invite = join.filter(|invite| !invite.is_empty());
    let fresh = invite.map(|invite| join::join(global, &home, &invite, &new)).transpose()?.flatten();
    if !home.identity().exists() {
        return Err(errors::not_a_home(home.path().display()));
    }
    let mut flags = Vec::new();
    let given = |value: Option<String>| value.filter(|value| !value.is_empty());
    flags.extend(given(listen).map(|listen| ("listen".to_owned(), listen)));
    flags.extend(given(api).map(|api| ("api.listen".to_owned(), api)));
    let config = config::load(&home, &flags)?.config;
    log(global, &home, &config)?;
    // Before anything is opened: whoever starts it may stop it at once.
    let asked_to_stop = Signals::new().map_err(errors::internal)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), "starting");
    let settings = settings(&config)?;
    let locked = crate::app::vault::needs_passphrase(&home.wallet()).map_err(Trouble::from)?;
    let secret = match (locked, fresh) {
        (false, _) => None,
        (true, Some(fresh)) => Some(fresh),
        (true, None) => ask::passphrase(global, &new.passphrase, "The wallet's passphrase: ")?,
    };
    // From here on a signal asks for a graceful stop.
    watch.hand_over();
    let node = start::run(home, settings, secret.map(|secret| secret.to_string())).await?;
    let asked = node.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = asked_to_stop.wait() => asked.ask_to_stop(),
            () = asked.stopped() => {}
        }
        manager::stopping();
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
        manager::ready();
    })
    .await;
    node.stop().await;
    tracing::info!("stopped");
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
            let secret = ask::passphrase(global, given, "A password for the interface: ")?;
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

fn log(global: &Global, home: &Home, config: &Config) -> Result<(), ErrorView> {
    let screen = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => config.log.as_str(),
        (false, 1) => "info,netpay_node=debug",
        (false, _) => "debug,netpay_node=trace",
    };
    // Who wants to see little now may want to look something up later.
    let files = if global.quiet { config.log.as_str() } else { screen };
    let colored = global.color.of_screen();
    logs::begin(&Wanted { screen, colored, files: Some((&home.logs(), files)) })
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
        fair: config.fair,
        redeem_daily: config.redeem.daily,
    })
}
