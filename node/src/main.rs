//! The `netpay` command.

fn main() -> std::process::ExitCode {
    netpay_node::cli::cli_main(std::env::args_os())
}
