//! Commands that tell about the program itself and need no home.

use super::args::Args;
use super::out::Out;
use crate::errors::{self, ErrorView};
use clap::CommandFactory as _;
use clap_complete::Shell;
use netpay_node::shown::foreign;
use serde_json::json;
use std::path::Path;

/// The program's name.
pub const PROGRAM: &str = "netpay-broker";
/// And its version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Prints completions for a shell.
pub fn completions(shell: Shell) {
    clap_complete::generate(shell, &mut Args::command(), PROGRAM, &mut std::io::stdout());
}

/// Writes man pages.
pub fn man(directory: &Path) -> Result<(), ErrorView> {
    std::fs::create_dir_all(directory).map_err(|error| errors::io("creating", directory, error))?;
    clap_mangen::generate_to(Args::command(), directory)
        .map_err(|error| errors::io("writing", directory, error))
}

/// Explains an error's code.
pub fn explain(code: &str, out: &Out) -> Result<(), ErrorView> {
    let unknown = || errors::bad_request(format!("there is no error {}", foreign(code)));
    let entry = errors::entry(code).ok_or_else(unknown)?;
    out.print(entry, netpay_node::errors::Entry::explained)
}

/// Says which version this is.
pub fn version(out: &Out) -> Result<(), ErrorView> {
    out.print(&json!({ "program": PROGRAM, "version": VERSION }), |_| format!("{PROGRAM} {VERSION}"))
}
