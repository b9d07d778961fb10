//! What whoever runs the broker needs beside the books: its invite, its log files, and all that helps to find a fault.

use super::about::{PROGRAM, VERSION};
use super::client::Client;
use super::commands::NOT_RUNNING;
use super::out::Out;
use crate::admin::view::StatusView;
use crate::errors::{self, ErrorView};
use crate::home::BrokerHome;
use netpay_node::cli::common::Logs;
use netpay_node::errors::exit;
use netpay_node::invite::Invite;
use netpay_node::logs;
use netpay_node::support::Bundle;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;
use std::io::Write as _;
use std::path::Path;

/// Prints the invite.
pub async fn invite(home: &BrokerHome, qr: bool, out: &Out) -> Result<(), ErrorView> {
    let status = match Client::of(home) {
        Ok(client) => client.get::<StatusView>("/status").await,
        Err(error) => Err(error),
    };
    let (invite, running) = match status {
        Ok(status) => (status.invite, true),
        Err(error) if error.code == NOT_RUNNING => (last_invite(home)?, false),
        Err(error) => return Err(error),
    };
    if !running {
        eprintln!("the broker does not run: this is its invite of the last time");
    }
    let drawn = match qr {
        false => String::new(),
        true => {
            let code = QrCode::new(&invite).map_err(errors::bad_request)?;
            code.render::<Dense1x2>().build() + "\n"
        }
    };
    out.print(&json!({ "invite": invite, "running": running }), |_| format!("{drawn}{invite}"))
}

/// The invite that `up` left; an address may have become another's meanwhile, a key or a name cannot.
fn last_invite(home: &BrokerHome) -> Result<String, ErrorView> {
    let none = || errors::no_invite(home.path().display());
    let text = std::fs::read_to_string(home.last_invite()).map_err(|_| none())?;
    let invite: Invite = text.trim().parse().map_err(|_| none())?;
    Ok(invite.to_string())
}

/// Shows the log, and with `follow` goes on until ^C.
pub async fn logs(home: &BrokerHome, wanted: &Logs, out: &Out) -> Result<(), ErrorView> {
    home.open()?;
    let tell = |line: &str| {
        let mut stdout = std::io::stdout().lock();
        let written = match out.json {
            true => writeln!(stdout, "{}", json!({ "line": line })),
            false => writeln!(stdout, "{line}"),
        };
        written.and_then(|()| stdout.flush()).is_ok()
    };
    if logs::show(&home.home().logs(), wanted.lines, wanted.follow, tell).await? {
        // Who pressed ^C knows why it ends: there is nothing to explain.
        std::process::exit(i32::from(exit::INTERRUPTED));
    }
    Ok(())
}

/// Writes a support bundle.
pub async fn bundle(home: &BrokerHome, file: Option<&Path>, out: &Out) -> Result<(), ErrorView> {
    let opened = home.open()?;
    let mut bundle = Bundle::create(file, PROGRAM, VERSION)?;
    bundle.json("settings.json", &opened.settings)?;
    let status = match Client::of(home) {
        Ok(client) => client.get::<StatusView>("/status").await,
        Err(error) => Err(error),
    };
    bundle.answer("status.json", &status)?;
    bundle.sizes(home.path())?;
    bundle.logs(&home.home().logs())?;
    let path = bundle.finish()?;
    out.print(&json!({ "file": path }), |_| format!("{}: look through it first", path.display()))
}
