//! `netpay-swarm`: local swarms for testers. The same binary is each peer and the broker of a swarm.

use std::process::ExitCode;

fn main() -> ExitCode {
    netpay_tests::cli::main(std::env::args_os().collect())
}
