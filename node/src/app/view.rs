//! What the peer shows of itself: plain data, the same for the command line and the HTTP API.
//!
//! Amounts are whole coins, sizes bytes, ids lower-case hexadecimal. Times are seconds since 1970 where nothing else is
//! said, and as RFC 3339 has them in JSON.

mod page;
mod rfc3339;

pub use page::{MAX_PAGE, Page, Part};

use netpay_core::amount::Coins;
use netpay_core::fair::policy::{Fair, Mode};
use serde::{Deserialize, Serialize};

/// The peer at a glance.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Status {
    /// What the peer calls itself.
    pub name: String,
    /// Its node key.
    pub node: String,
    /// Its libp2p peer id.
    pub peer_id: String,
    /// The network's name, once a broker is known.
    pub network: Option<String>,
    /// Addresses others can dial, with the peer id.
    pub addresses: Vec<String>,
    /// Peers connected now.
    pub peers: usize,
    /// The broker.
    pub broker: Option<BrokerView>,
    /// The wallet in short; `None` while it is locked.
    pub wallet: Option<WalletView>,
    /// Files shared.
    pub shared: usize,
    /// Downloads not yet finished.
    pub downloads: usize,
    /// The software's version.
    pub version: String,
    /// Seconds since the start.
    pub uptime: u64,
}

/// The broker as this peer knows it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BrokerView {
    /// Its signing key.
    pub key: String,
    /// Its node key.
    pub node: String,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Whether there is a connection to it now.
    pub connected: bool,
    /// Whether this peer has an account there.
    pub registered: bool,
    /// Whether the account was frozen when it was asked for last: it neither buys nor is paid out, and this peer is a
    /// member no more.
    pub frozen: bool,
    /// Why, in the broker's words.
    pub frozen_because: Option<String>,
    /// The operator's name for it, once it answered.
    pub name: Option<String>,
    /// How to reach the operator.
    pub contact: Option<String>,
    /// What a coin is worth, for a person.
    pub denomination: Option<String>,
    /// For so many seconds after they came claims of fair mode can be disputed, and are not paid.
    pub held_for: Option<u64>,
    /// What it costs to say falsely that something was junk, in coins.
    pub false_accusation: Option<u64>,
}

/// The wallet in short.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WalletView {
    /// Coins that can be opened now.
    pub spendable: u64,
    /// Coins in leases of running sales or open at vendors.
    pub leased: u64,
    /// Coins paid of which no vendor has said yet whether it counted them.
    pub unconfirmed: u64,
    /// Coins in retired or expired chains and in leases given up: refunded at settlement.
    pub locked: u64,
    /// Earned and not yet redeemed.
    pub earned: u64,
    /// The account's balance at the broker as last heard; `None` if never.
    pub at_broker: Option<u64>,
    /// Claims waiting for settlement, as last heard.
    pub pending: u64,
    /// Those among them that are of fair mode, as last heard.
    pub held: Vec<HeldView>,
    /// The account's bond, as last heard: set aside for what its nodes might sign twice.
    pub bond: u64,
}

/// A claim of fair mode that waits at the broker.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HeldView {
    /// The chain that pays.
    pub chain: String,
    /// The segment.
    pub segment: u32,
    /// The coins claimed.
    pub coins: u64,
    /// When it is paid at the earliest, if nobody disputes it.
    #[serde(with = "rfc3339::seconds")]
    #[schema(value_type = String, format = DateTime)]
    pub until: u64,
}

/// One chain of the wallet.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChainView {
    /// The chain.
    pub id: String,
    /// Coins as bought.
    pub total: u64,
    /// Released to vendors.
    pub spent: u64,
    /// In leases.
    pub leased: u64,
    /// Free.
    pub free: u64,
    /// Last moment vendors take it.
    #[serde(with = "rfc3339::seconds")]
    #[schema(value_type = String, format = DateTime)]
    pub spend_by: u64,
    /// Whether it was given up.
    pub retired: bool,
    /// Its witnesses.
    pub committee: usize,
    /// Segments opened so far.
    pub segments: u32,
}

/// A shared file.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SharedFile {
    /// The content root.
    pub id: String,
    /// The file's name.
    pub name: String,
    /// Where it is.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Coins for the whole.
    pub price: u64,
    /// Tags.
    pub tags: Vec<String>,
    /// How often it was sold.
    pub sold: u64,
    /// Coins it earned.
    pub earned: u64,
    /// Whether the file on disk is still the one listed.
    pub present: bool,
}

/// Options of a search.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct SearchOptions {
    /// Words, any order; all must match.
    pub words: String,
    /// Nothing dearer.
    pub max_price: Option<u64>,
    /// Only names with this extension.
    pub extension: Option<String>,
    /// `price`, `name` or `size`; best match first without it.
    pub sort: Option<String>,
}

/// One offer found.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Found {
    /// The content root.
    pub id: String,
    /// The name its vendor gives it. From another peer: escape before showing.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Coins for the whole.
    pub price: u64,
    /// Media type.
    pub media: String,
    /// Tags.
    pub tags: Vec<String>,
    /// The vendor's node key.
    pub vendor: String,
    /// What the vendor calls itself, if known.
    pub vendor_name: Option<String>,
    /// Whether the vendor is connected now.
    pub online: bool,
    /// A link to the content.
    pub link: String,
}

/// Another peer.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PeerView {
    /// Its node key.
    pub node: String,
    /// What it calls itself.
    pub name: Option<String>,
    /// Files it shares, by its card.
    pub files: Option<u32>,
    /// Addresses.
    pub addresses: Vec<String>,
    /// Whether there is a connection now.
    pub connected: bool,
    /// How long the last ping took to come back, in microseconds, if it is connected and one did.
    #[serde(default)]
    pub round_trip: Option<u64>,
    /// Whether it is a member, by its hello.
    pub member: bool,
    /// Whether a person blocked it here.
    #[serde(default)]
    pub blocked: bool,
}

/// What to buy.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GetRequest {
    /// A content root or a `netpay:` link.
    pub what: String,
    /// Where to put it: a file, or a directory; the download directory without it. Absolute.
    pub output: Option<String>,
    /// Nothing dearer, in coins.
    pub max_price: Option<u64>,
    /// Only from this vendor, which is asked itself where the index does not know what it offers.
    pub from: Option<String>,
    /// Only say what it would cost.
    pub dry_run: bool,
    /// Leave the segment open at the vendor for the next purchase there.
    pub keep_open: bool,
    /// When in fair mode: `auto`, `always` or `never`; as configured without it.
    #[schema(value_type = Option<String>)]
    pub fair: Option<Fair>,
}

/// What a purchase would cost.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Quote {
    /// The content root.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Coins for the whole, from the cheapest vendor.
    pub price: u64,
    /// Vendors that have it, cheapest first.
    pub vendors: Vec<Found>,
    /// Coins spendable before.
    pub spendable: u64,
    /// How it would be bought from the cheapest vendor: `plain`, or `fair`, where bytes come under seal.
    #[schema(value_type = String)]
    pub mode: Mode,
    /// Coins that a vendor which cheats could keep: those paid before the first piece is seen. 0 in fair mode.
    pub at_risk: u64,
}

impl Quote {
    /// How it would be bought, and what could be lost, in words.
    #[must_use]
    pub fn terms(&self) -> String {
        match self.mode {
            _ if self.price == 0 => "every piece is verified as it arrives".to_owned(),
            Mode::Fair => {
                "in fair mode: pieces come under seal; if the vendor cheats you lose nothing but time; \
                           the vendor's coins become final a day after it redeems"
                    .to_owned()
            }
            Mode::Plain => {
                let verb = if self.at_risk == 1 { "is" } else { "are" };
                let risk = Coins(self.at_risk);
                format!(
                    "in plain mode: each piece is verified as it arrives and paid for then; at most {risk} {verb} \
                     paid before a piece is seen"
                )
            }
        }
    }
}

/// Where a dispute stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisputeState {
    /// Paid, and no key came: the broker is asked for it.
    #[default]
    KeyMissing,
    /// Junk came; the broker has not answered yet.
    Accused,
    /// The broker convicted the vendor.
    Convicted,
    /// The broker did not.
    Rejected,
}

impl DisputeState {
    /// In words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::KeyMissing => "key missing",
            Self::Accused => "accused",
            Self::Convicted => "convicted",
            Self::Rejected => "rejected",
        }
    }

    /// Whether something is still to come of it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::KeyMissing | Self::Accused)
    }
}

/// Something bought in fair mode that did not end as it should.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DisputeView {
    /// The hash of the deal.
    pub id: String,
    /// The download it was made for.
    pub download: u64,
    /// What was bought.
    pub name: String,
    /// The vendor's node.
    pub vendor: String,
    /// The chain that paid.
    pub chain: String,
    /// The segment.
    pub segment: u32,
    /// Coins released for the deal.
    pub coins: u64,
    /// Units that are under seal still, or were junk.
    pub units: u64,
    /// When the deal was made or the junk was found, in seconds since 1970.
    #[serde(with = "rfc3339::seconds")]
    #[schema(value_type = String, format = DateTime)]
    pub at: u64,
    /// Where it stands.
    pub state: DisputeState,
    /// What that means.
    pub why: String,
    /// The proof against the vendor, in hexadecimal, where one dispute is asked for and there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// Where a download stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DownloadState {
    /// Looking for vendors, or waiting to try again.
    #[default]
    Waiting,
    /// Bytes and coins flow.
    Running,
    /// Stopped by the user.
    Paused,
    /// Complete, verified, in its place.
    Done,
    /// Given up after an error; `retry` goes on where it stopped.
    Failed,
    /// Called off by the user.
    Cancelled,
}

impl DownloadState {
    /// All there are.
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::Running, Self::Paused, Self::Done, Self::Failed, Self::Cancelled];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A download.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DownloadView {
    /// Its number.
    pub id: u64,
    /// The content root.
    pub root: String,
    /// The name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Bytes verified.
    pub have: u64,
    /// The price agreed, in coins.
    pub price: u64,
    /// Coins paid.
    pub paid: u64,
    /// Where it stands.
    pub state: DownloadState,
    /// What went wrong last.
    pub error: Option<ErrorView>,
    /// Where the file is, or will be.
    pub path: String,
    /// Vendors it came from so far.
    pub vendors: Vec<String>,
    /// Sales that still run; of a finished download those that wait for a receipt.
    pub sales: usize,
    /// What happened, oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// Bytes per second lately.
    pub rate: u64,
    /// When it began.
    #[serde(with = "rfc3339::seconds")]
    #[schema(value_type = String, format = DateTime)]
    pub began: u64,
    /// When it changed last, in microseconds since 1970, rising with each change.
    #[serde(skip)]
    pub changed: u64,
}

/// One thing that happened to a download.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TimelineEntry {
    /// Milliseconds since 1970.
    #[serde(with = "rfc3339::millis")]
    #[schema(value_type = String, format = DateTime)]
    pub at: u64,
    /// What: `quoted`, `ordered`, `handoff`, `paid`, `verified`, `receipt`, `done`, `failed`, …
    pub what: String,
    /// More about it.
    pub detail: String,
}

/// An error, as a person or a program sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ErrorView {
    /// The code, such as `NP-WALLET-001`.
    pub code: String,
    /// What is wrong.
    pub what: String,
    /// Why.
    pub why: String,
    /// What to do.
    pub fix: String,
    /// The exit code of a command that ends with it.
    pub exit: u8,
    /// The HTTP status of a request that ends with it.
    pub status: u16,
}

/// One sale.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SaleView {
    /// When.
    #[serde(with = "rfc3339::seconds")]
    #[schema(value_type = String, format = DateTime)]
    pub at: u64,
    /// The content root.
    pub root: String,
    /// The file's name here.
    pub name: String,
    /// The buyer's node key.
    pub buyer: String,
    /// Coins earned.
    pub coins: u64,
    /// Units sent.
    pub units: u64,
}

/// What a vendor signed for what it was paid in one segment of a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReceiptView {
    /// Its number, rising.
    pub id: u64,
    /// When it came.
    #[serde(with = "rfc3339::seconds")]
    #[schema(value_type = String, format = DateTime)]
    pub at: u64,
    /// The download during which it came.
    pub download: u64,
    /// That download's name.
    pub name: String,
    /// The vendor's node key, by this peer's own knowledge.
    pub vendor: String,
    /// The chain.
    pub chain: String,
    /// The segment of it.
    pub segment: u32,
    /// Coins paid in the segment.
    pub coins: u64,
    /// The receipt itself, in hexadecimal; not in lists.
    pub receipt: Option<String>,
}

/// A proof that somebody signed two things of which the rules allow one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EvidenceView {
    /// Its hash.
    pub id: String,
    /// Whom it convicts: `buyer`, `witness`, or `nobody` if it does not hold.
    pub convicts: String,
    /// The witness's node key.
    pub node: Option<String>,
    /// The chain.
    pub chain: Option<String>,
    /// The proof itself, in hexadecimal; not in lists.
    pub proof: Option<String>,
}

/// One handoff that this vendor asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HandoffView {
    /// When it ended, in milliseconds since 1970.
    #[serde(with = "rfc3339::millis")]
    #[schema(value_type = String, format = DateTime)]
    pub at: u64,
    /// The chain.
    pub chain: String,
    /// The segment that the last vendor had.
    pub segment: u32,
    /// `vendor` if it closed, `record` if its Close was found there, `gone` if neither can be had.
    pub how: String,
    /// How long it took from the buyer's order to the answer for the buyer, in microseconds.
    pub micros: u64,
}

/// One time that this vendor showed a chain to its committee and got everything certified.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CertificationView {
    /// When it ended, in milliseconds since 1970.
    #[serde(with = "rfc3339::millis")]
    #[schema(value_type = String, format = DateTime)]
    pub at: u64,
    /// The chain.
    pub chain: String,
    /// Certificates that came.
    pub certificates: usize,
    /// How long it took until all of them were there and durable, in microseconds.
    pub micros: u64,
}

/// One segment of the till.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TillView {
    /// The chain.
    pub chain: String,
    /// The segment.
    pub segment: u32,
    /// Coins earned.
    pub coins: u64,
    /// `open`, `closed`, `certified`, `pending`, `paid` or `refused`.
    pub state: String,
    /// If it is pending: when it can be paid at the earliest.
    #[serde(with = "rfc3339::maybe")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<u64>,
    /// Whether it waits since what was sold in fair mode can be disputed for a day.
    pub held: bool,
}

/// What a redemption came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RedeemView {
    /// Coins paid into the account now, finally.
    pub paid: u64,
    /// Coins that wait at the broker: for settlement, or since a sale in fair mode can be disputed for a day.
    pub pending: u64,
    /// Those of them that were earned in fair mode.
    pub held: u64,
    /// When the last of these can be paid at the earliest.
    #[serde(with = "rfc3339::maybe")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub held_until: Option<u64>,
    /// Coins refused, with reasons.
    pub refused: Vec<String>,
    /// Segments claimed.
    pub segments: usize,
    /// Segments still waiting for their certificate, not claimed yet.
    pub uncertified: usize,
    /// The balance after it.
    pub balance: Option<u64>,
}

/// One line of the account's statement or of the wallet's history.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HistoryLine {
    /// Its number.
    pub number: u64,
    /// When.
    #[serde(with = "rfc3339::seconds")]
    #[schema(value_type = String, format = DateTime)]
    pub at: u64,
    /// What.
    pub what: String,
    /// Coins added; negative if taken.
    pub change: i64,
    /// The balance after it.
    pub balance: u64,
}
