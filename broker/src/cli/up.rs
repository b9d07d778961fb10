//! `up`: runs the broker in the foreground until it is told to stop.

use crate::errors::{self, ErrorView};
use crate::home::BrokerHome;
use crate::run::{self, Config};
use netpay_node::manager;
use netpay_node::signals::Signals;
use std::io::Write as _;
use std::net::SocketAddr;

/// Runs the broker of a home. The last line on stdout is the invite.
pub async fn up(
    home: &BrokerHome,
    listen: &[String],
    (api, web): (Option<SocketAddr>, Option<SocketAddr>),
    adopt: bool,
    json: bool,
) -> Result<(), ErrorView> {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let listen = listen.iter().map(|text| run::address("--listen", text)).collect::<Result<Vec<_>, _>>()?;
    let mut config = Config::new(home.path());
    config.listen = Some(listen).filter(|listen| !listen.is_empty());
    config.api = api;
    config.web = web;
    config.adopt = adopt;
    // Before the invite is printed: who reads it may stop the broker at once.
    let signals = Signals::new().map_err(|error| errors::io("waiting for", "signals".as_ref(), error))?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), "starting");
    let running = run::run(config).await?;
    eprintln!("broker  {}", running.bank().key());
    eprintln!("api     http://{}", running.api_addr);
    eprintln!("public  http://{}", running.web_addr);
    let link = running.link();
    eprintln!("pages, for a minute and once (then: netpay-broker open): {link}");
    let invite = &running.invite;
    let line = if json {
        serde_json::json!({ "invite": invite, "api": running.api_addr, "web": running.web_addr,
            "link": link, "broker": running.bank().key().to_string(),
            "pid": std::process::id() })
        .to_string()
    } else {
        invite.to_string()
    };
    let printed = {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush())
    };
    if let Err(error) = printed {
        tracing::warn!(%error, "nobody reads the invite");
    }
    manager::ready();
    tokio::select! {
        () = signals.wait() => {}
        () = running.stopped() => {}
    }
    manager::stopping();
    tracing::info!("stopping");
    let closed = running.shutdown().await;
    tracing::info!("stopped");
    closed
}
