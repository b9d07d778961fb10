//! The arguments, as INTERFACE names them.

use super::acts::{Broker, Config, Dispute, Downloads, Evidence, Receipt, Sales, Share, Wallet};
use super::common::{Color, Logs};
use clap::builder::FalseyValueParser;
use clap::{Args as ClapArgs, CommandFactory as _, Parser, Subcommand};
use netpay_core::fair::policy::Fair;
use std::path::PathBuf;

/// What the help of the whole says at its end.
const RULES: &str = "\
What spends coins or destroys something is asked about first. Where nobody can be asked, because stdin is no terminal \
or --no-input is given, it is not done and the exit code is 11, unless --yes is given.

Every flag has a variable: NETPAY_YES=1 is --yes. Secrets come from a prompt, a file or the environment, never as \
arguments. Results go to stdout, everything else to stderr; with --json an error is one object {\"error\": …} on stderr.

Exit codes: 0 done, 1 other, 2 usage, 3 no peer runs or it is locked, 4 not found, 5 peer or broker unreachable, \
6 payment needed or refused, 7 verification failed, 8 timed out, 9 configuration, 11 over the limit or declined, \
130 ended by ^C, 143 by SIGTERM. `netpay explain CODE` says more about an error.";
/// What the help of a command says that spends or destroys.
pub(super) const ASKS: &str = "\
It asks first. Without a terminal, or with --no-input, nothing is done and the exit code is 11, unless --yes is given.";

/// Share files, sell them for small coins, and buy what others sell.
#[derive(Debug, Parser)]
#[command(name = "netpay", version, propagate_version = true, arg_required_else_help = true, after_help = RULES)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// The command as its man pages have it. Those of `netpay broker` are named apart from those of `netpay-broker`, as
/// they lie in one directory.
#[must_use]
pub fn for_man() -> clap::Command {
    Args::command().mut_subcommand("broker", |broker| broker.display_name("netpay-peer-broker"))
}

/// What every command takes.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct Global {
    /// The home: everything of one peer is under it.
    #[arg(long, global = true, env = "NETPAY_HOME", value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Print JSON: one object, or one per line for streams.
    #[arg(long, global = true, env = "NETPAY_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
    /// Say less.
    #[arg(short, long, global = true, env = "NETPAY_QUIET", value_parser = FalseyValueParser::new())]
    pub quiet: bool,
    /// Say more; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, env = "NETPAY_VERBOSE")]
    pub verbose: u8,
    /// Colours of errors, and of the log on the screen.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, env = "NETPAY_COLOR")]
    pub color: Color,
    /// No progress bars.
    #[arg(long, global = true, env = "NETPAY_NO_PROGRESS", value_parser = FalseyValueParser::new())]
    pub no_progress: bool,
    /// Answer every question with yes.
    #[arg(short = 'y', long, global = true, env = "NETPAY_YES", value_parser = FalseyValueParser::new())]
    pub yes: bool,
    /// Never ask: what would need an answer fails.
    #[arg(long, global = true, env = "NETPAY_NO_INPUT", value_parser = FalseyValueParser::new())]
    pub no_input: bool,
}

#[cfg(test)]
impl Global {
    /// Nothing is said, and nobody asked.
    pub fn quiet() -> Self {
        Self { quiet: true, no_input: true, ..Self::default() }
    }
}

/// Where a passphrase comes from.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct Passphrase {
    /// Read the wallet's passphrase from this file instead of asking (or set NETPAY_PASSPHRASE).
    #[arg(long, env = "NETPAY_PASSPHRASE_FILE", value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// How a home is made.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct NewHome {
    /// What the peer calls itself.
    #[arg(long, env = "NETPAY_NAME")]
    pub name: Option<String>,
    #[command(flatten)]
    pub passphrase: Passphrase,
    /// Keep the wallet of a new home unencrypted. For swarms on one machine.
    #[arg(long, env = "NETPAY_INSECURE_NO_PASSPHRASE", value_parser = FalseyValueParser::new())]
    pub insecure_no_passphrase: bool,
}

/// What the help of `get` says at its end.
const GET: &str = "\
Examples:
  netpay get 3                     the third row of the last search
  netpay get 3 --max-price 10 -y   without being asked, if it costs no more than 10 coins

What costs something is asked about first, with price, vendor, mode and what could be lost; what is free is not. Without a terminal, or with \
--no-input, nothing is bought and the exit code is 11, unless --yes is given.";
/// What the help of `up` says at its end.
const UP: &str = "\
Example, on a fresh machine:
  netpay --home ~/ann up --join 'netpay://…' --name ann
makes ~/ann if there is none, asking for a new passphrase, and runs. The same again just runs. A home that belongs to \
another broker is left as it is. Where the invite's address is a private one, private addresses are told to others in \
the new home (local = true).";

/// How the peer is run.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct Up {
    /// Join the network of this invite; a home that does not exist yet is made first.
    #[arg(long, value_name = "INVITE", env = "NETPAY_JOIN")]
    pub join: Option<String>,
    /// Where to listen for peers.
    #[arg(long, value_name = "ADDR", env = "NETPAY_LISTEN")]
    pub listen: Option<String>,
    /// Where to listen for commands and pages; other machines need a password.
    #[arg(long, value_name = "ADDR", env = "NETPAY_API_LISTEN")]
    pub api: Option<String>,
    #[command(flatten)]
    pub new: NewHome,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set a home up: an identity, a wallet, and the settings.
    Init {
        /// The broker's invite: one line from its operator.
        #[arg(long, value_name = "INVITE", env = "NETPAY_BROKER")]
        broker: Option<String>,
        #[command(flatten)]
        new: NewHome,
    },
    /// Run the peer in the foreground.
    #[command(after_help = UP)]
    Up(Up),
    /// Make a link to the pages, which signs one browser in, once and within a minute.
    Open,
    /// Set the password by which people on other machines sign in to the pages. It is read from a prompt, a file or
    /// NETPAY_PASSPHRASE.
    Password {
        #[command(flatten)]
        passphrase: Passphrase,
        /// Take it away.
        #[arg(long, env = "NETPAY_PASSWORD_REMOVE", value_parser = FalseyValueParser::new())]
        remove: bool,
    },
    /// Stop the peer that runs, gracefully.
    Stop,
    /// The peer at a glance.
    Status,
    /// Look for what is wrong: home, settings, disk, ports, broker, wallet. The exit code is 1 if something is bad.
    Doctor,
    /// What this peer sells.
    #[command(subcommand)]
    Share(Share),
    /// Look for files.
    Search {
        /// Words, any order; all must match.
        #[arg(required = true)]
        words: Vec<String>,
        /// Nothing dearer, in coins.
        #[arg(long, value_name = "COINS", env = "NETPAY_MAX_PRICE")]
        max_price: Option<u64>,
        /// Only names with this extension.
        #[arg(long = "type", value_name = "EXT", env = "NETPAY_TYPE")]
        extension: Option<String>,
        /// In which order; best match first without it.
        #[arg(long, value_parser = ["price", "name", "size"], env = "NETPAY_SORT")]
        sort: Option<String>,
    },
    /// Who is online.
    Peers,
    /// What one peer sells.
    Browse {
        /// Its node key, peer id or name.
        peer: String,
    },
    /// Connect to a peer by hand.
    Connect {
        /// Such as /ip4/192.0.2.1/tcp/4780/p2p/12D3Koo….
        address: String,
    },
    /// Have nothing to do with a peer any more: no connection, no search result, no sale.
    Block {
        /// Its node key, peer id or name.
        peer: String,
    },
    /// Take a block back.
    Unblock {
        /// Its node key or peer id.
        peer: String,
    },
    /// Buy a file.
    #[command(after_help = GET)]
    Get {
        /// An id, a row of the last search, or a netpay: link.
        what: String,
        /// Where to put it: a file or a directory.
        #[arg(short, long, value_name = "PATH", env = "NETPAY_OUTPUT")]
        output: Option<PathBuf>,
        /// Nothing dearer, in coins.
        #[arg(long, value_name = "COINS", env = "NETPAY_MAX_PRICE")]
        max_price: Option<u64>,
        /// Only from this vendor.
        #[arg(long, value_name = "PEER", env = "NETPAY_FROM")]
        from: Option<String>,
        /// Only say what it would cost.
        #[arg(long, env = "NETPAY_DRY_RUN", value_parser = FalseyValueParser::new())]
        dry_run: bool,
        /// Do not wait for it.
        #[arg(long, env = "NETPAY_DETACH", value_parser = FalseyValueParser::new())]
        detach: bool,
        /// Leave the chain open at the vendor for the next purchase there.
        #[arg(long, env = "NETPAY_KEEP_OPEN", value_parser = FalseyValueParser::new())]
        keep_open: bool,
        /// When in fair mode, where bytes come under seal and nobody can lose a coin: auto, always or never; as
        /// configured without it.
        #[arg(long, value_name = "WHEN", env = "NETPAY_FAIR")]
        fair: Option<Fair>,
    },
    /// Downloads.
    Downloads {
        #[command(subcommand)]
        act: Option<Downloads>,
    },
    /// Coins.
    Wallet {
        #[command(subcommand)]
        act: Option<Wallet>,
    },
    /// What was sold.
    Sales {
        #[command(subcommand)]
        act: Option<Sales>,
    },
    /// Redeem everything earned at the broker.
    Redeem {
        /// Everything; the default.
        #[arg(long, env = "NETPAY_REDEEM_ALL", value_parser = FalseyValueParser::new())]
        all: bool,
    },
    /// What vendors signed for what they were paid.
    #[command(subcommand)]
    Receipt(Receipt),
    /// Proofs against cheats.
    #[command(subcommand)]
    Evidence(Evidence),
    /// What was bought in fair mode and did not end as it should.
    Dispute {
        #[command(subcommand)]
        act: Option<Dispute>,
    },
    /// The bank.
    Broker {
        #[command(subcommand)]
        act: Option<Broker>,
    },
    /// The settings.
    Config {
        #[command(subcommand)]
        act: Option<Config>,
    },
    /// Show the log of the peer; also while it is stopped.
    Logs(Logs),
    /// Write what helps to find a fault into one file: settings, checks, log files, sizes; no keys, wallet, tokens or
    /// codes. Look through it before you pass it on.
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
        /// Such as NP-WALLET-001.
        code: String,
    },
    /// Which software this is, and which protocol it speaks.
    Version,
}
