//! What whoever runs the peer looks at: its log files, and all that helps to find a fault.

use super::args::Global;
use super::common::Logs;
use super::show;
use super::{commands, doctor};
use crate::api::client::Client;
use crate::app::view::{ErrorView, Status};
use crate::config;
use crate::errors::exit;
use crate::home::Home;
use crate::logs;
use crate::support::Bundle;
use serde_json::json;
use std::path::Path;

/// Shows the log, and with `follow` goes on until ^C.
pub async fn logs(global: &Global, home: &Home, wanted: &Logs) -> Result<(), ErrorView> {
    let json = global.json;
    let tell = |line: &str| match json {
        true => show::try_line(&json!({ "line": line }).to_string()),
        false => show::try_line(line),
    };
    if logs::show(&home.logs(), wanted.lines, wanted.follow, tell).await? {
        // Who pressed ^C knows why it ends: there is nothing to explain.
        std::process::exit(i32::from(exit::INTERRUPTED));
    }
    Ok(())
}

/// Writes a support bundle.
pub async fn bundle(global: &Global, home: &Home, file: Option<&Path>) -> Result<(), ErrorView> {
    let mut bundle = Bundle::create(file, "netpay", env!("CARGO_PKG_VERSION"))?;
    bundle.answer("settings.json", &config::load(home, &[]).map(|loaded| loaded.settings))?;
    bundle.json("doctor.json", &doctor::look(home).await)?;
    let status = match Client::at(home) {
        Ok(client) => client.get::<Status>("/status").await,
        Err(error) => Err(error),
    };
    bundle.answer("status.json", &status)?;
    bundle.sizes(home.path())?;
    bundle.logs(&home.logs())?;
    let path = bundle.finish()?;
    commands::said(global, &json!({ "file": path }), &format!("{}: look through it first", path.display()));
    Ok(())
}
