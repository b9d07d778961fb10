//! `netpay-broker`: results on stdout, everything else on stderr; an error says what, why and what to do.

mod args;
mod client;
mod commands;
mod show;
mod up;

pub(crate) use show::payouts as payouts_csv;

use crate::errors::ErrorView;
use args::{Args, Command};
use clap::Parser as _;
use netpay_node::errors::exit;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

/// The whole command: parses the arguments (the program's name first), does it, and returns how it went.
pub fn cli_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Help and version are results; clap knows where each goes.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(exit::USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let json = args.json;
    match work(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error, json);
            ExitCode::from(error.exit)
        }
    }
}

fn work(args: Args) -> Result<(), ErrorView> {
    let mut builder = match &args.command {
        Command::Up { .. } => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = builder.enable_all().build();
    let runtime =
        runtime.map_err(|error| crate::errors::io("starting", std::path::Path::new("threads"), error))?;
    runtime.block_on(commands::run(args))
}

fn tell(error: &ErrorView, json: bool) {
    let mut err = std::io::stderr().lock();
    // Where stderr is gone there is nobody to tell.
    let _ = if json {
        writeln!(err, "{}", serde_json::json!({ "error": error }))
    } else {
        let ErrorView { code, what, why, fix, .. } = error;
        writeln!(
            err,
            "error: {}\n  why: {}\n  fix: {}\n  {code}",
            show::text(what),
            show::text(why),
            show::text(fix)
        )
    };
}
