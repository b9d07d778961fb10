//! `netpay-broker`: results on stdout, everything else on stderr; an error says what, why and what to do.

mod about;
mod args;
mod books;
mod client;
mod commands;
mod money_out;
mod out;
mod service;
mod show;
mod up;

pub(crate) use show::payouts as payouts_csv;

use crate::errors::ErrorView;
use args::{Args, Command};
use clap::{CommandFactory as _, FromArgMatches as _};
use netpay_node::cli::tree::forgiving;
use netpay_node::errors::exit;
use netpay_node::shown::alarm;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

/// The whole command: parses the arguments (the program's name first), does it, and returns how it went.
pub fn cli_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let matches = forgiving(Args::command()).try_get_matches_from(args);
    let args = match matches.and_then(|matches| Args::from_arg_matches(&matches)) {
        Ok(args) => args,
        Err(error) => {
            // Help and version are results; clap knows where each goes.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(exit::USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let (json, colored) = (args.json, args.color.of_screen());
    match work(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error, json, colored);
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

fn tell(error: &ErrorView, json: bool, colored: bool) {
    let mut err = std::io::stderr().lock();
    // Where stderr is gone there is nobody to tell.
    let _ = if json {
        writeln!(err, "{}", serde_json::json!({ "error": error }))
    } else {
        let ErrorView { code, what, why, fix, .. } = error;
        writeln!(
            err,
            "{} {}\n  why: {}\n  fix: {}\n  {code} · netpay-broker explain {code}",
            alarm(colored),
            show::text(what),
            show::text(why),
            show::text(fix)
        )
    };
}
