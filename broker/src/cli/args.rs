//! What the command understands.

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use netpay_node::cli::common::{Color, Logs};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The broker of a NetPay network: its first node, and its bank.
#[derive(Debug, Parser)]
#[command(name = "netpay-broker", version, propagate_version = true, arg_required_else_help = true)]
pub struct Args {
    /// Everything of the broker is under this directory.
    #[arg(long, global = true, value_name = "DIR", env = "NETPAY_HOME")]
    pub home: Option<PathBuf>,
    /// Results as JSON: one object, or one per line.
    #[arg(long, global = true, env = "NETPAY_JSON")]
    pub json: bool,
    /// Only results and errors.
    #[arg(short, long, global = true, env = "NETPAY_QUIET")]
    pub quiet: bool,
    /// More about what is going on; twice for everything.
    #[arg(short, long, global = true, action = ArgAction::Count, env = "NETPAY_VERBOSE")]
    pub verbose: u8,
    /// Colours of errors, and of the log on the screen.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", env = "NETPAY_COLOR")]
    pub color: Color,
    /// No progress bars. The broker has none; scripts may say so all the same.
    #[arg(long, global = true, env = "NETPAY_NO_PROGRESS")]
    pub no_progress: bool,
    /// Do not ask back.
    #[arg(short, long, global = true, env = "NETPAY_YES")]
    pub yes: bool,
    /// Never wait for input.
    #[arg(long, global = true, env = "NETPAY_NO_INPUT")]
    pub no_input: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a new broker: its keys, its network, its books.
    Init(Init),
    /// Run it, in the foreground. The last line of its output is the invite for peers.
    Up {
        /// Where the node listens: /ip4/…/tcp/… or IP:PORT. May come several times.
        #[arg(long, value_name = "ADDR", env = "NETPAY_LISTEN", value_delimiter = ',')]
        listen: Vec<String>,
        /// Where the operator's API and pages listen; a loopback address.
        #[arg(long, value_name = "ADDR", env = "NETPAY_API")]
        api: Option<SocketAddr>,
        /// Where the public pages listen.
        #[arg(long, value_name = "ADDR", env = "NETPAY_WEB")]
        web: Option<SocketAddr>,
        /// Take a home that was copied for the original from now on.
        #[arg(long, env = "NETPAY_ADOPT")]
        adopt: bool,
    },
    /// Print a link that lets one browser in to the operator's pages, once and within a minute.
    Open,
    /// Stop the one that runs.
    Stop,
    /// How it is, and whether the books balance.
    Status,
    /// Print the invite: the one line that peers give to `netpay up --join`. While the broker is stopped it is that of
    /// the last time.
    Invite {
        /// As a code that a camera reads, too.
        #[arg(long, env = "NETPAY_INVITE_QR")]
        qr: bool,
    },
    /// Vouchers: money in.
    #[command(subcommand)]
    Voucher(Voucher),
    /// The accounts.
    #[command(subcommand)]
    Accounts(Accounts),
    /// The chains sold.
    #[command(subcommand)]
    Chains(Chains),
    /// What vendors brought.
    #[command(subcommand)]
    Redemptions(Redemptions),
    /// Who was convicted of having signed two things of which the rules allow one, and what proves it.
    #[command(subcommand)]
    Disputes(Disputes),
    /// Payouts: money out.
    #[command(subcommand)]
    Payouts(Payouts),
    /// The books.
    #[command(subcommand)]
    Ledger(Ledger),
    /// Write keys, configuration and books into one file. It is as secret as the keys.
    Backup {
        /// The file; must not exist.
        file: PathBuf,
    },
    /// Make a broker of a backup, in a home where there is none.
    Restore {
        /// The file.
        file: PathBuf,
    },
    /// Show the log; also while the broker is stopped.
    Logs(Logs),
    /// Write what helps to find a fault into one file: settings, state, log files, sizes; no keys, tokens or codes. Look
    /// through it before you pass it on.
    SupportBundle {
        /// The file; without it one in this directory, named after the time.
        file: Option<PathBuf>,
    },
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write man pages.
    Man {
        /// Into this directory.
        dir: PathBuf,
    },
    /// Explain an error's code.
    Explain {
        /// Such as NP-BROKER-024.
        code: String,
    },
    /// Which version this is.
    Version,
}

/// A new broker.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// What it is called.
    #[arg(long, env = "NETPAY_NAME")]
    pub name: String,
    /// How to reach its operator.
    #[arg(long, value_name = "EMAIL", env = "NETPAY_CONTACT")]
    pub contact: String,
    /// What its network is called.
    #[arg(long, value_name = "NAME", default_value = "main", env = "NETPAY_NETWORK")]
    pub network: String,
    /// What one coin is worth.
    #[arg(long, value_name = "TEXT", default_value = "1 coin", env = "NETPAY_DENOMINATION")]
    pub denomination: String,
    /// Whether registering takes a voucher.
    #[arg(long, env = "NETPAY_VOUCHER_NEEDED")]
    pub voucher_needed: bool,
    /// What a new account sets aside as its bond, which pays for what its nodes sign twice.
    #[arg(long, value_name = "COINS", default_value_t = 0, env = "NETPAY_BOND")]
    pub bond: u64,
}

/// Vouchers.
#[derive(Debug, Subcommand)]
pub enum Voucher {
    /// Make vouchers and print their codes, which are as good as money. They are printed once.
    New {
        /// Coins each is worth.
        value: u64,
        /// How many.
        #[arg(long, default_value_t = 1, env = "NETPAY_VOUCHER_COUNT")]
        count: usize,
        /// The same text again makes the same vouchers; random if there is none.
        #[arg(long, value_name = "TEXT", env = "NETPAY_VOUCHER_REQUEST")]
        request: Option<String>,
    },
}

/// Accounts.
#[derive(Debug, Subcommand)]
pub enum Accounts {
    /// All of them.
    Ls,
    /// One, with its statement.
    Show {
        /// Its key, or the beginning of it.
        account: String,
    },
    /// Book money that came in outside.
    Credit {
        /// Its key, or the beginning of it.
        account: String,
        /// How much.
        coins: u64,
        /// What for.
        #[arg(long, default_value = "manual credit", env = "NETPAY_CREDIT_NOTE")]
        note: String,
        /// The same text again is the same credit; random if there is none.
        #[arg(long, value_name = "TEXT", env = "NETPAY_CREDIT_REQUEST")]
        request: Option<String>,
    },
    /// Keep it from buying and being paid out. Its nodes are members no more meanwhile.
    Freeze {
        /// Its key, or the beginning of it.
        account: String,
        /// Why.
        #[arg(long, default_value = "by the operator", env = "NETPAY_FREEZE_WHY")]
        why: String,
        /// Let it again.
        #[arg(long, env = "NETPAY_FREEZE_UNDO")]
        undo: bool,
    },
    /// Let it leave: its nodes are members no more, and its bond comes back once they witness no chain that is
    /// outstanding. What it has and earned stays its own; registering again opens it again.
    Close {
        /// Its key, or the beginning of it.
        account: String,
    },
}

/// Chains.
#[derive(Debug, Subcommand)]
pub enum Chains {
    /// All of them.
    Ls,
    /// One, with its claims.
    Show {
        /// Its id, or the beginning of it.
        chain: String,
    },
}

/// Claims.
#[derive(Debug, Subcommand)]
pub enum Redemptions {
    /// The newest.
    Ls,
}

/// Disputes.
#[derive(Debug, Subcommand)]
pub enum Disputes {
    /// All of them, the newest first.
    Ls,
    /// One, with what was signed.
    Show {
        /// Its id, or the beginning of it.
        id: String,
    },
    /// Write the evidence into a file, for whoever wants to check it.
    Save {
        /// Its id, or the beginning of it.
        id: String,
        /// The file.
        file: PathBuf,
        /// The bank's signed verdict instead, of a vendor that sold junk.
        #[arg(long, env = "NETPAY_DISPUTES_VERDICT")]
        verdict: bool,
    },
}

/// Payouts.
#[derive(Debug, Subcommand)]
pub enum Payouts {
    /// Those to be made, the oldest first.
    Ls {
        /// Those made as well.
        #[arg(long, env = "NETPAY_PAYOUTS_ALL")]
        all: bool,
    },
    /// Those to be made, for the operator's bank.
    Export {
        /// The form.
        #[arg(long, default_value = "csv", env = "NETPAY_PAYOUTS_FORMAT")]
        format: PayoutFormat,
        /// Those made as well; only as CSV.
        #[arg(long, env = "NETPAY_PAYOUTS_ALL")]
        all: bool,
        /// The account that pain.001 charges.
        #[arg(long, value_name = "IBAN", env = "NETPAY_PAYOUTS_FROM", required_if_eq("format", "pain.001"))]
        from: Option<String>,
        /// Another text makes another message of the same payouts, for a bank that lost the first.
        #[arg(long, value_name = "TEXT", default_value = "", env = "NETPAY_PAYOUTS_REQUEST")]
        request: String,
    },
    /// Note that one was made.
    Paid {
        /// The account's key, or the beginning of it.
        account: String,
        /// The payout's number, as exported.
        number: String,
        /// The reference of the transfer.
        #[arg(long, env = "NETPAY_PAYOUTS_REFERENCE")]
        reference: String,
    },
}

/// In which form payouts are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PayoutFormat {
    /// Comma-separated values.
    Csv,
    /// A transfer order, ISO 20022 pain.001.001.09: what goes to an IBAN, in the currency of the denomination.
    #[value(name = "pain.001")]
    Pain001,
}

/// The books.
#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Prove them from their journal. Works also while the broker is stopped.
    Check,
    /// The journal in entries, one record in JSON per line. Works also while the broker is stopped.
    Export,
    /// Make the books of a home that has keys and none, of what `export` wrote. All of it or nothing.
    Import {
        /// The file.
        file: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, FromArgMatches as _};
    use netpay_node::cli::tree::{forgiving, without_variable};

    #[test]
    fn every_flag_has_its_variable() {
        Args::command().debug_assert();
        assert_eq!(without_variable(&Args::command()), Vec::<String>::new());
    }

    #[test]
    fn a_transfer_order_takes_the_account_that_is_charged() {
        let parse = |args: &[&str]| {
            let args = [&["netpay-broker", "payouts", "export"], args].concat();
            let matches = forgiving(Args::command()).try_get_matches_from(args);
            matches.and_then(|matches| Args::from_arg_matches(&matches))
        };
        assert!(parse(&["--format", "pain.001"]).is_err());
        assert!(parse(&["--format", "pain.001", "--from", "DE89370400440532013000"]).is_ok());
        assert!(parse(&[]).is_ok());
    }
}
