//! `netpay`: results on stdout, everything else on stderr; an error says what, why and what to do.

mod acts;
mod args;
mod ask;
mod commands;
pub mod common;
mod daemon;
mod doctor;
mod interrupt;
mod join;
mod money;
mod papers;
mod service;
mod show;
#[cfg(test)]
mod tests;
pub mod tree;

use crate::app::view::ErrorView;
use crate::errors::{self, exit};
use args::{Args, Command};
use clap::Parser as _;
use interrupt::Watch;
use std::ffi::OsString;
use std::process::ExitCode;

/// The whole command: parses the arguments (the program's name first), does it, and returns how it went.
pub fn cli_main<I: IntoIterator<Item = OsString>>(arguments: I) -> ExitCode {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => {
            // Help and version are results; clap knows where each goes.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(exit::USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let global = args.global.clone();
    match run(args, Watch::begin(&global)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            show::error(&error, &global);
            ExitCode::from(error.exit)
        }
    }
}

fn run(args: Args, watch: Watch) -> Result<(), ErrorView> {
    let mut builder = match &args.command {
        Command::Up(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = builder.enable_all().build().map_err(errors::internal)?;
    runtime.block_on(commands::run(args, watch))
}
