//! What the command understands.

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
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
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Colours.
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

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
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
        #[arg(long)]
        adopt: bool,
    },
    /// Print a link that lets one browser in to the operator's pages, once and within a minute.
    Open,
    /// Stop the one that runs.
    Stop,
    /// How it is, and whether the books balance.
    Status,
    /// Vouchers: money in.
    #[command(subcommand)]
    Voucher(Voucher),
    /// The customers.
    #[command(subcommand)]
    Accounts(Accounts),
    /// The chains sold.
    #[command(subcommand)]
    Chains(Chains),
    /// What vendors brought.
    #[command(subcommand)]
    Redemptions(Redemptions),
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
        #[arg(long, default_value_t = 1)]
        count: usize,
        /// The same text again makes the same vouchers; random if there is none.
        #[arg(long, value_name = "TEXT")]
        request: Option<String>,
    },
}

/// Customers.
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
        #[arg(long, default_value = "manual credit")]
        note: String,
        /// The same text again is the same credit; random if there is none.
        #[arg(long, value_name = "TEXT")]
        request: Option<String>,
    },
    /// Keep it from buying and being paid out. Its nodes are members no more meanwhile.
    Freeze {
        /// Its key, or the beginning of it.
        account: String,
        /// Why.
        #[arg(long, default_value = "by the operator")]
        why: String,
        /// Let it again.
        #[arg(long)]
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

/// Payouts.
#[derive(Debug, Subcommand)]
pub enum Payouts {
    /// Those to be made, for the operator's bank.
    Export {
        /// The form.
        #[arg(long, default_value = "csv")]
        format: PayoutFormat,
        /// Those made as well.
        #[arg(long)]
        all: bool,
    },
    /// Note that one was made.
    Paid {
        /// The account's key, or the beginning of it.
        account: String,
        /// The payout's number, as exported.
        number: String,
        /// The reference of the transfer.
        #[arg(long)]
        reference: String,
    },
}

/// In which form payouts are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PayoutFormat {
    /// Comma-separated values.
    Csv,
}

/// The books.
#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Prove them from their journal. Works also while the broker is stopped.
    Check,
    /// The journal in entries, one record in JSON per line. Works also while the broker is stopped.
    Export,
}
