//! What comes behind a command that has several acts.

use super::args::{ASKS, Passphrase};
use clap::Subcommand;
use clap::builder::FalseyValueParser;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Share {
    /// Offer files.
    Add {
        /// Files, or directories with --recursive.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Coins for the whole of each.
        #[arg(long, value_name = "COINS", env = "NETPAY_PRICE")]
        price: u64,
        /// Further words to find them by, with commas between.
        #[arg(long, value_delimiter = ',', env = "NETPAY_TAGS")]
        tags: Vec<String>,
        /// Everything in directories; hidden files are left out.
        #[arg(long, env = "NETPAY_RECURSIVE", value_parser = FalseyValueParser::new())]
        recursive: bool,
    },
    /// List what is offered.
    Ls,
    /// Change an offer.
    Set {
        /// The file's id.
        id: String,
        /// The new price.
        #[arg(long, value_name = "COINS", env = "NETPAY_PRICE")]
        price: Option<u64>,
        /// The new tags, in place of all.
        #[arg(long, value_delimiter = ',', env = "NETPAY_TAGS")]
        tags: Option<Vec<String>>,
    },
    /// Take an offer back; the file stays.
    #[command(after_help = ASKS)]
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
    #[command(after_help = ASKS)]
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

/// What the help of `wallet payout` says at its end.
const PAYOUT: &str = "\
Example:
  netpay wallet payout 500 --to 'DE89 3704 0044 0532 0130 00'
sets money of 500 coins aside at once; the operator pays it out. Coins in the wallet are no money of the account: what
was earned gets there by `netpay redeem`, what is left of a chain at its settlement.

It asks first. Without a terminal, or with --no-input, nothing is done and the exit code is 11, unless --yes is given.";

#[derive(Debug, Subcommand)]
pub enum Wallet {
    /// What there is.
    Balance,
    /// Buy coins at the broker.
    #[command(after_help = ASKS)]
    Buy {
        /// How many.
        n: u64,
    },
    /// Pay a voucher in; its code is asked for, or read from stdin.
    RedeemVoucher,
    /// The chains.
    Chains,
    /// Ask the broker to pay money of the account out.
    #[command(after_help = PAYOUT)]
    Payout {
        /// How many coins' worth; all that the account holds without it.
        coins: Option<u64>,
        /// Where to, as the operator's bank understands it; `payout_to` of the settings without it.
        #[arg(long, value_name = "WHERE", env = "NETPAY_PAYOUT_TO")]
        to: Option<String>,
    },
    /// Give chains up: they are refunded at settlement.
    #[command(after_help = ASKS)]
    Retire {
        /// One chain; all without it.
        id: Option<String>,
    },
    /// The account's statement.
    History {
        /// As CSV.
        #[arg(long, env = "NETPAY_CSV", value_parser = FalseyValueParser::new())]
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
    #[command(after_help = ASKS)]
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
        #[arg(long, env = "NETPAY_CSV", value_parser = FalseyValueParser::new())]
        csv: bool,
    },
    /// Per file.
    Summary {
        /// As CSV.
        #[arg(long, env = "NETPAY_CSV", value_parser = FalseyValueParser::new())]
        csv: bool,
    },
}

/// What the help of `receipt` says at its end.
const RECEIPT: &str = "\
Example: keep one outside of the home, and have it checked anywhere:
  netpay receipt save 12 paid.receipt
  netpay receipt check paid.receipt

A receipt is the vendor's signature over the index up to which it was paid from a chain, with the broker's over the
chain and the buyer's over the segment. `check` asks nobody; a receipt that does not hold ends with exit code 7.";

#[derive(Debug, Subcommand)]
#[command(after_help = RECEIPT)]
pub enum Receipt {
    /// List them, newest first.
    Ls,
    /// One of them.
    Show {
        /// Its number.
        id: u64,
    },
    /// Write one into a file, to be checked anywhere.
    Save {
        /// Its number.
        id: u64,
        /// Into this file.
        file: PathBuf,
    },
    /// Say whether a receipt holds, and of what.
    Check {
        /// The receipt, raw or hexadecimal.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum Evidence {
    /// List what this peer saw.
    Ls,
    /// Write a proof into a file, to be checked anywhere.
    Save {
        /// Its id, or the beginning of it.
        id: String,
        /// Into this file.
        file: PathBuf,
    },
    /// Say whom a proof convicts.
    Check {
        /// The proof, raw or hexadecimal.
        file: PathBuf,
    },
}

/// What the help of `dispute` says at its end.
const DISPUTE: &str = "\
Example: see what is in dispute, take a download up with the broker now, and keep the proof:
  netpay dispute
  netpay dispute open 12
  netpay dispute show 3fa2 --save junk.proof

In fair mode a vendor that gives no key, or sells something else than it signed for, cannot keep the coins. The peer
asks the broker for the key, or shows it the proof, by itself, and again until there is an answer; `open` does it now.
`netpay evidence check` says of a proof that was saved, without asking anybody, whether it convicts.";

#[derive(Debug, Subcommand)]
#[command(after_help = DISPUTE)]
pub enum Dispute {
    /// List them, open and judged, newest first.
    Ls,
    /// One of them.
    Show {
        /// Its id, or the beginning of it.
        id: String,
        /// Write the proof against the vendor into this file.
        #[arg(long, value_name = "FILE", env = "NETPAY_SAVE")]
        save: Option<PathBuf>,
    },
    /// Take up with the broker now what a download is still owed.
    Open {
        /// The download's number.
        download: u64,
    },
}

#[derive(Debug, Subcommand)]
pub enum Broker {
    /// Who it is.
    Show,
    /// Open an account; a voucher, if one is needed, is asked for or read from stdin.
    Register {
        /// Give a voucher with it.
        #[arg(long, env = "NETPAY_WITH_VOUCHER", value_parser = FalseyValueParser::new())]
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
        #[arg(long, env = "NETPAY_ORIGIN", value_parser = FalseyValueParser::new())]
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
