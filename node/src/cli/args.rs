//! The arguments, as INTERFACE names them.

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Share files, sell them for small coins, and buy what others sell.
#[derive(Debug, Parser)]
#[command(name = "netpay", version, propagate_version = true, arg_required_else_help = true)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, ClapArgs)]
pub struct Global {
    /// The home: everything of one peer is under it.
    #[arg(long, global = true, env = "NETPAY_HOME", value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Print JSON: one object, or one per line for streams.
    #[arg(long, global = true, env = "NETPAY_JSON")]
    pub json: bool,
    /// Say less.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Colours.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, env = "NETPAY_COLOR")]
    pub color: Color,
    /// No progress bars.
    #[arg(long, global = true, env = "NETPAY_NO_PROGRESS")]
    pub no_progress: bool,
    /// Answer every question with yes.
    #[arg(short = 'y', long, global = true, env = "NETPAY_YES")]
    pub yes: bool,
    /// Never ask: what would need an answer fails.
    #[arg(long, global = true, env = "NETPAY_NO_INPUT")]
    pub no_input: bool,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where a passphrase comes from.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct Passphrase {
    /// Read the wallet's passphrase from this file instead of asking (or set NETPAY_PASSPHRASE).
    #[arg(long, env = "NETPAY_PASSPHRASE_FILE", value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set a home up: an identity, a wallet, and the settings.
    Init {
        /// What the peer calls itself.
        #[arg(long)]
        name: Option<String>,
        /// The broker's invite: one line from its operator.
        #[arg(long, value_name = "INVITE")]
        broker: Option<String>,
        #[command(flatten)]
        passphrase: Passphrase,
        /// Keep the wallet unencrypted. For swarms on one machine.
        #[arg(long)]
        insecure_no_passphrase: bool,
    },
    /// Run the peer in the foreground.
    Up {
        /// Where to listen for peers.
        #[arg(long, value_name = "ADDR")]
        listen: Option<String>,
        /// Where to listen for commands; loopback only.
        #[arg(long, value_name = "ADDR")]
        api: Option<String>,
        #[command(flatten)]
        passphrase: Passphrase,
    },
    /// Make a link to the pages, which signs one browser in, once and within a minute.
    Open,
    /// Set the password by which people on other machines sign in to the pages. It is read from a prompt, a file or
    /// NETPAY_PASSPHRASE.
    Password {
        #[command(flatten)]
        passphrase: Passphrase,
        /// Take it away.
        #[arg(long)]
        remove: bool,
    },
    /// Stop the peer that runs, gracefully.
    Stop,
    /// The peer at a glance.
    Status,
    /// Look for what is wrong.
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
        #[arg(long, value_name = "COINS")]
        max_price: Option<u64>,
        /// Only names with this extension.
        #[arg(long = "type", value_name = "EXT")]
        extension: Option<String>,
        /// In which order; best match first without it.
        #[arg(long, value_parser = ["price", "name", "size"])]
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
    Get {
        /// An id, a row of the last search, or a netpay: link.
        what: String,
        /// Where to put it: a file or a directory.
        #[arg(short, long, value_name = "PATH")]
        output: Option<PathBuf>,
        /// Nothing dearer, in coins.
        #[arg(long, value_name = "COINS")]
        max_price: Option<u64>,
        /// Only from this vendor.
        #[arg(long, value_name = "PEER")]
        from: Option<String>,
        /// Only say what it would cost.
        #[arg(long)]
        dry_run: bool,
        /// Do not wait for it.
        #[arg(long)]
        detach: bool,
        /// Leave the chain open at the vendor for the next purchase there.
        #[arg(long)]
        keep_open: bool,
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
        #[arg(long)]
        all: bool,
    },
    /// Proofs against cheats.
    #[command(subcommand)]
    Evidence(Evidence),
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
}

#[derive(Debug, Subcommand)]
pub enum Share {
    /// Offer files.
    Add {
        /// Files, or directories with --recursive.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Coins for the whole of each.
        #[arg(long, value_name = "COINS")]
        price: u64,
        /// Further words to find them by, with commas between.
        #[arg(long, value_delimiter = ',')]
        tags: Vec<String>,
        /// Everything in directories; hidden files are left out.
        #[arg(long)]
        recursive: bool,
    },
    /// List what is offered.
    Ls,
    /// Change an offer.
    Set {
        /// The file's id.
        id: String,
        /// The new price.
        #[arg(long, value_name = "COINS")]
        price: Option<u64>,
        /// The new tags, in place of all.
        #[arg(long, value_delimiter = ',')]
        tags: Option<Vec<String>>,
    },
    /// Take an offer back; the file stays.
    Rm {
        /// The file's id.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Downloads {
    /// List them.
    Ls,
    /// One of them, with what happened.
    Show {
        /// Its number.
        id: u64,
    },
    /// Stop for now; what was paid stays paid.
    Pause {
        /// Its number.
        id: u64,
    },
    /// Go on.
    Resume {
        /// Its number.
        id: u64,
    },
    /// Call off; the part that is there is deleted.
    Cancel {
        /// Its number.
        id: u64,
    },
    /// Try a failed one again, where it stopped.
    Retry {
        /// Its number.
        id: u64,
    },
}

#[derive(Debug, Subcommand)]
pub enum Wallet {
    /// What there is.
    Balance,
    /// Buy coins at the broker.
    Buy {
        /// How many.
        n: u64,
    },
    /// Pay a voucher in; its code is asked for, or read from stdin.
    RedeemVoucher,
    /// The chains.
    Chains,
    /// Give chains up: they are refunded at settlement.
    Retire {
        /// One chain; all without it.
        id: Option<String>,
    },
    /// The account's statement.
    History {
        /// As CSV.
        #[arg(long)]
        csv: bool,
    },
    /// Write an encrypted backup.
    Backup {
        /// Into this file.
        file: PathBuf,
        #[command(flatten)]
        passphrase: Passphrase,
    },
    /// Put a backup in the place of an empty wallet; its chains are retired and refunded.
    Restore {
        /// The backup.
        file: PathBuf,
        #[command(flatten)]
        passphrase: Passphrase,
    },
    /// Forget the secrets until it is unlocked.
    Lock,
    /// Open it.
    Unlock {
        #[command(flatten)]
        passphrase: Passphrase,
    },
}

#[derive(Debug, Subcommand)]
pub enum Sales {
    /// One by one, newest first.
    Ls {
        /// As CSV.
        #[arg(long)]
        csv: bool,
    },
    /// Per file.
    Summary {
        /// As CSV.
        #[arg(long)]
        csv: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Evidence {
    /// Say whom a proof convicts.
    Check {
        /// The proof, raw or hexadecimal.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum Broker {
    /// Who it is.
    Show,
    /// Open an account; a voucher, if one is needed, is asked for or read from stdin.
    Register {
        /// Give a voucher with it.
        #[arg(long)]
        voucher: bool,
    },
    /// Print a link to the account's page at the broker, which signs one browser in, once and within a minute.
    Open,
    /// Use another broker from the next start on.
    Use {
        /// Its invite.
        invite: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Config {
    /// All settings in effect.
    Show {
        /// And where each comes from.
        #[arg(long)]
        origin: bool,
    },
    /// One setting.
    Get {
        /// Its key.
        key: String,
    },
    /// Change a setting in config.toml.
    Set {
        /// Its key.
        key: String,
        /// Its value.
        value: String,
    },
    /// Put a setting back to its default.
    Unset {
        /// Its key.
        key: String,
    },
}
