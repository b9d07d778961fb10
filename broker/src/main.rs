//! The command `netpay-broker`.

fn main() -> std::process::ExitCode {
    netpay_broker::cli::cli_main(std::env::args_os())
}
