//! What the operator is shown: the same for the API, `--json` and the tables of the commands.

use crate::ledger::PayoutId;
use crate::ledger::{
    Audit, Book, Books, ChainBook, ClaimBook, ClaimState, Customer, Entry, Event, Held, Ledger, Payout,
    Record,
};
use netpay_core::coin::segment::SegmentNo;
use netpay_core::id::ChainId;
use netpay_core::keys::PublicKey;
use netpay_core::record::chain::Culprit;
use netpay_core::time::Time;
use netpay_core::wire::bank::MAX_HELD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

macro_rules! views {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
    )*};
}

views! {
    /// The totals of the books.
    BooksView {
        /// Money held.
        cash: u64,
        /// Vouchers sold and not paid in.
        vouchers: i64,
        /// All balances.
        balances: i64,
        /// Coins outstanding.
        coins: i64,
        /// Payouts asked for and not made.
        payouts: i64,
        /// Bonds.
        bonds: i64,
        /// Coins ever issued.
        issued: u64,
        /// Coins ever redeemed.
        redeemed: u64,
        /// Coins ever refunded.
        refunded: u64,
        /// Whether all of it balances.
        balance: bool,
    }
    /// How the broker is.
    StatusView {
        /// The network's name.
        network: String,
        /// The operator's name for it.
        name: String,
        /// The signing key.
        broker: String,
        /// What peers need to join.
        invite: String,
        /// Where people find the public pages.
        pages: String,
        /// Records in the journal.
        records: u64,
        /// Accounts.
        accounts: usize,
        /// Members alive within the hour.
        alive: usize,
        /// Chains.
        chains: usize,
        /// Vouchers sold.
        vouchers_sold: usize,
        /// Vouchers paid in.
        vouchers_used: usize,
        /// Disputes: who was convicted of something, or accused falsely.
        convictions: usize,
        /// Requests and streams that its node took from others since it started, by protocol.
        served: BTreeMap<String, u64>,
        /// The totals.
        books: BooksView,
        /// For so many seconds after they came claims of fair mode can be disputed, and are not paid.
        held_for: u64,
        /// What it costs to say falsely that something was junk, in coins.
        false_accusation: u64,
    }
    /// Vouchers just sold.
    VouchersView {
        /// What each is worth.
        value: u64,
        /// Their codes: as good as money.
        codes: Vec<String>,
    }
    /// An account.
    AccountView {
        /// Its key.
        account: String,
        /// What it calls itself.
        name: String,
        /// Since when.
        since: String,
        /// Its balance.
        balance: u64,
        /// Claims that wait for settlement.
        pending: u64,
        /// Those among them that are of fair mode, the next to be paid first; as many as are shown.
        held: Vec<HeldView>,
        /// Its bond, set aside for what its nodes might sign twice.
        bond: u64,
        /// Why it is frozen, if it is.
        frozen: Option<String>,
        /// When it was closed, if it was.
        closed: Option<String>,
        /// Its nodes.
        nodes: Vec<String>,
        /// The newest lines of its statement; only where one account is shown.
        lines: Vec<LineView>,
    }
    /// A claim of fair mode that waits.
    HeldView {
        /// The chain.
        chain: String,
        /// The segment.
        segment: u32,
        /// The coins claimed.
        coins: u64,
        /// When it is paid at the earliest, if nobody disputes it.
        until: String,
    }
    /// A line of a statement.
    LineView {
        /// Its number.
        number: u64,
        /// When.
        at: String,
        /// What.
        what: String,
        /// Added to the balance.
        change: i64,
        /// The balance after it.
        balance: u64,
    }
    /// A chain.
    ChainView {
        /// Its id.
        chain: String,
        /// Who bought it.
        buyer: String,
        /// How many coins.
        n: u32,
        /// How many are paid.
        paid: u32,
        /// How many went back.
        refunded: u32,
        /// How many are neither.
        outstanding: u32,
        /// How many of these claims wait for, until settlement.
        waiting: u32,
        /// How many claims were brought.
        claims: usize,
        /// How many witnesses.
        committee: usize,
        /// Issued, spend by, redeem by.
        issued: String,
        /// Until when it is spent.
        spend_by: String,
        /// Until when it is redeemed.
        redeem_by: String,
        /// Whether its buyer gave it up.
        retired: bool,
        /// When it was settled.
        settled: Option<String>,
        /// Its claims; only where one chain is shown.
        redemptions: Vec<RedemptionView>,
    }
    /// A claim.
    RedemptionView {
        /// The record it came in.
        record: u64,
        /// The chain.
        chain: String,
        /// The segment.
        segment: u32,
        /// Who is paid.
        account: String,
        /// The coins claimed: above this …
        start: u32,
        /// … and up to this.
        end: u32,
        /// Whether it is final.
        paid: bool,
        /// Whether nothing of it is paid, as its vendor was convicted of having sold junk.
        void: bool,
        /// Coins paid, or waiting.
        coins: u32,
        /// Of a claim that waits, when it is paid at the earliest.
        until: Option<String>,
        /// Of a claim of fair mode that waits, until when junk can be disputed.
        disputable: Option<String>,
        /// Whether its Open is certified: what waits is served by that first …
        opened: bool,
        /// … and then by how many of the committee acked its Close.
        acks: u8,
        /// Coins that others were paid, and whoever is convicted made up for.
        made_up: u32,
        /// Coins that others were paid and nobody made up for.
        short: u32,
    }
    /// Somebody who is convicted of having signed two things of which the rules allow one, or of having sold junk; or who said
    /// falsely of another that it did.
    DisputeView {
        /// Its name, for the next page of the list and for the whole of it.
        id: String,
        /// `buyer`, of having opened one stretch of a chain twice, `witness`, of having acked both, `vendor`, of having sold
        /// junk, or `accuser`, of having said so falsely.
        accused: String,
        /// The account of the accused, if there is one. A vendor's is not known before it claims.
        account: Option<String>,
        /// What that calls itself.
        name: Option<String>,
        /// The node, of a witness.
        node: Option<String>,
        /// The chain that it is about.
        chain: String,
        /// Since when it is known.
        at: String,
        /// The record that brought the evidence, or the claim that contradicts another one.
        record: u64,
        /// When the chain was settled, and what was promised twice was made up for.
        settled: Option<String>,
        /// Coins of that chain that were promised twice and made up for by the convicted.
        made_up: u64,
        /// Coins of it that were promised twice and that nobody made up for.
        short: u64,
        /// What contradicts each other; only where one is shown.
        sides: Vec<SideView>,
        /// Of a vendor or accuser, what is said to be junk.
        junk: Option<JunkView>,
        /// All of the evidence in hexadecimal digits, of a buyer or witness as `netpay evidence check` takes it; only where
        /// one is shown. Of an accuser that could not pay the whole fee it is not kept.
        evidence: Option<String>,
    }
    /// What is said to be junk.
    JunkView {
        /// The segment whose coins paid.
        segment: u32,
        /// The hash of its Open.
        open: String,
        /// The vendor's key in this chain; of a vendor that is convicted.
        holder: Option<String>,
        /// The account that said so: whoever bought the chain.
        accuser: String,
        /// The content that was to be sold, as its deal says.
        content: Option<String>,
        /// The claim of the segment, if there is one.
        claim: Option<RedemptionView>,
        /// Coins of the claim that are not paid: they go back when the chain is settled.
        void: u32,
        /// Coins of the claim that were paid before the vendor was accused.
        paid: u32,
        /// Of an accuser, why nothing is proven.
        why: Option<String>,
        /// What that cost.
        fee: Option<u64>,
        /// The bank's signed verdict in hexadecimal digits; only where one is shown.
        verdict: Option<String>,
        /// What was shown, taken apart; only where one is shown.
        proof: Option<ProofView>,
    }
    /// A proof of junk, taken apart.
    ProofView {
        /// What was promised.
        deal: Option<DealView>,
        /// The unit.
        unit: Option<u64>,
        /// The leaf of it, of 16 KiB, counted from 0.
        leaf: u64,
        /// What that leaf of the content hashes to.
        promised: Option<String>,
        /// What it hashes to as it came, once it is opened.
        came: Option<String>,
        /// The root of the sealed unit that the vendor signed for.
        sealed: Option<String>,
        /// The key it is opened with.
        key: String,
        /// The coin of the deal whose key that has to be.
        key_coin: Option<u32>,
        /// Whether it is.
        key_leads_to_root: bool,
        /// Who signed what.
        signed: Vec<SignatureView>,
        /// Why it proves nothing, judged again now; nothing if it proves junk.
        judged: Option<String>,
    }
    /// A deal of fair mode.
    DealView {
        /// Its hash.
        deal: String,
        /// The content root.
        content: String,
        /// The size of the whole content, in bytes.
        size: u64,
        /// The size of a unit, in bytes.
        unit_size: Option<u64>,
        /// The first unit sold.
        first: u64,
        /// How many.
        count: u64,
        /// What they cost.
        coins: Option<u32>,
        /// Where its chain of keys begins: the key of coin 0.
        key_root: String,
        /// When it was made, by the vendor's clock.
        made: String,
    }
    /// A signature in a proof.
    SignatureView {
        /// What was signed.
        what: String,
        /// `buyer` or `vendor`.
        side: String,
        /// By which key.
        key: Option<String>,
        /// Whether the signature holds.
        holds: bool,
    }
    /// One of two things that contradict each other, and what came of it.
    SideView {
        /// The hash of the Open.
        open: String,
        /// The segment.
        segment: u32,
        /// Whom it was opened to, as far as the evidence tells.
        holder: Option<String>,
        /// The coins of its lease: above this …
        start: u32,
        /// … and up to this.
        end: u32,
        /// Up to where it was closed, as far as the evidence tells.
        closed: Option<u32>,
        /// The claims on it.
        claims: Vec<RedemptionView>,
    }
    /// A payout.
    PayoutView {
        /// The account's number for it, with the account its name.
        number: String,
        /// The account.
        account: String,
        /// How much.
        coins: u64,
        /// Where to.
        to: String,
        /// When it was asked for.
        asked: String,
        /// When it was made.
        paid: Option<String>,
        /// Under which reference.
        reference: Option<String>,
    }
    /// What an audit found.
    AuditView {
        /// Records read.
        records: u64,
        /// Entries they made.
        entries: u64,
        /// Accounts.
        accounts: usize,
        /// Chains.
        chains: usize,
        /// The totals.
        books: BooksView,
    }
    /// A record of the journal, in entries.
    RecordView {
        /// Its number.
        record: u64,
        /// When.
        at: String,
        /// What.
        event: String,
        /// The entries, which sum to zero.
        entries: Vec<EntryView>,
    }
    /// One entry.
    EntryView {
        /// The book.
        book: String,
        /// The change.
        change: i64,
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PageView<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins, if there is more.
    pub next: Option<String>,
}

/// A time as people and programs read it.
#[must_use]
pub fn time(at: Time) -> String {
    let seconds = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| at.0.to_string(), |stamp| stamp.to_string())
}

impl From<&Books> for BooksView {
    fn from(books: &Books) -> Self {
        Self {
            cash: books.held(),
            vouchers: books.vouchers,
            balances: books.balances,
            coins: books.coins,
            payouts: books.payouts,
            bonds: books.bonds,
            issued: books.issued,
            redeemed: books.redeemed,
            refunded: books.refunded,
            balance: books.are_sound(),
        }
    }
}

impl From<&Audit> for AuditView {
    fn from(audit: &Audit) -> Self {
        let Audit { records, entries, accounts, chains, books } = audit;
        Self {
            records: *records,
            entries: *entries,
            accounts: *accounts,
            chains: *chains,
            books: books.into(),
        }
    }
}

impl AccountView {
    /// An account as one of many.
    #[must_use]
    pub fn short(ledger: &Ledger, account: &PublicKey, customer: &Customer) -> Self {
        Self {
            account: account.to_string(),
            name: customer.name.to_string(),
            since: time(customer.since),
            balance: customer.balance.0,
            pending: customer.pending.0,
            held: ledger.held_of(customer).take(MAX_HELD).map(|held| HeldView::of(&held)).collect(),
            bond: customer.bond.0,
            frozen: ledger.frozen_because(account, customer),
            closed: customer.closed.map(time),
            nodes: customer.nodes.iter().map(ToString::to_string).collect(),
            lines: Vec::new(),
        }
    }

    /// An account with its statement.
    #[must_use]
    pub fn whole(ledger: &Ledger, account: &PublicKey) -> Option<Self> {
        let customer = ledger.customer(account)?;
        let after = customer.last_line().saturating_sub(LINES);
        let statement = ledger.account(account, after)?.lines;
        let lines = statement.iter().map(|line| LineView {
            number: line.number,
            at: time(line.at),
            what: line.what.to_string(),
            change: line.change,
            balance: line.balance.0,
        });
        Some(Self { lines: lines.collect(), ..Self::short(ledger, account, customer) })
    }
}

impl HeldView {
    fn of(held: &Held) -> Self {
        Self {
            chain: held.chain.to_string(),
            segment: held.j.0,
            coins: held.coins.0,
            until: time(held.until),
        }
    }
}

/// Lines of a statement that are shown.
const LINES: u64 = 50;

impl ChainView {
    /// A chain as one of many.
    #[must_use]
    pub fn short(chain: &ChainBook) -> Self {
        let touchstone = &chain.facts().touchstone;
        Self {
            chain: chain.facts().id.to_string(),
            buyer: chain.buyer.to_string(),
            n: touchstone.n.0,
            paid: chain.paid.total().0,
            refunded: chain.refunded.0,
            outstanding: chain.outstanding().0,
            waiting: waiting(chain),
            claims: chain.claims().count(),
            committee: touchstone.committee.len(),
            issued: time(touchstone.issued),
            spend_by: time(touchstone.spend_by),
            redeem_by: time(touchstone.redeem_by),
            retired: chain.retired,
            settled: chain.settled.map(time),
            redemptions: Vec::new(),
        }
    }

    /// A chain with its claims.
    #[must_use]
    pub fn whole(ledger: &Ledger, chain: &ChainBook) -> Self {
        let id = chain.facts().id;
        let redemptions =
            chain.claims().map(|(j, claim)| RedemptionView::of(ledger, &id, *j, claim)).collect();
        Self { redemptions, ..Self::short(chain) }
    }
}

impl RedemptionView {
    /// A claim of a chain.
    #[must_use]
    pub fn of(ledger: &Ledger, chain: &ChainId, j: SegmentNo, claim: &ClaimBook) -> Self {
        let coins = match claim.state {
            ClaimState::Paid(count) => count.0,
            ClaimState::Pending => claim.range.count().0,
            ClaimState::Void => 0,
        };
        Self {
            record: claim.arrived,
            chain: chain.to_string(),
            segment: j.0,
            account: claim.account.to_string(),
            start: claim.range.start.0,
            end: claim.range.end.0,
            paid: matches!(claim.state, ClaimState::Paid(_)),
            void: claim.state == ClaimState::Void,
            coins,
            until: ledger.payable_from(chain, claim).map(time),
            disputable: claim.fair.filter(|_| !claim.is_final()).map(|fair| time(fair.until)),
            acks: claim.standing.acks,
            opened: claim.standing.opened,
            made_up: claim.charged.0,
            short: claim.short().0,
        }
    }
}

/// Coins that claims wait for.
fn waiting(chain: &ChainBook) -> u32 {
    let claims = chain.claims().filter(|(_, claim)| !claim.is_final());
    let coins = claims.map(|(_, claim)| claim.range.count().0).fold(0, u32::saturating_add);
    coins.min(chain.outstanding().0)
}

impl PayoutView {
    /// A payout.
    #[must_use]
    pub fn of(id: &PayoutId, payout: &Payout) -> Self {
        Self {
            number: data_encoding::HEXLOWER.encode(&id.1),
            account: id.0.to_string(),
            coins: payout.coins.0,
            to: payout.to.to_string(),
            asked: time(payout.asked),
            paid: payout.paid.as_ref().map(|(at, _)| time(*at)),
            reference: payout.paid.as_ref().map(|(_, reference)| reference.to_string()),
        }
    }
}

impl RecordView {
    /// A record and the entries it made.
    #[must_use]
    pub fn of(record: &Record, entries: &[Entry]) -> Self {
        let entry = |entry: &Entry| EntryView { book: Book::to_string(&entry.book), change: entry.change };
        Self {
            record: record.seq,
            at: time(record.at),
            event: words(&record.event),
            entries: entries.iter().map(entry).collect(),
        }
    }
}

fn words(event: &Event) -> String {
    match event {
        Event::VouchersIssued(vouchers) => format!("{} vouchers issued", vouchers.len()),
        Event::Registered { account, .. } => format!("account {account} registered"),
        Event::PaidIn { account, .. } => format!("voucher paid in by {account}"),
        Event::Credited { account, note, .. } => format!("credit to {account}: {}", &**note),
        Event::Sold { account, .. } => format!("chain sold to {account}"),
        Event::Redeemed { account, claims } => format!("{} claims brought by {account}", claims.len()),
        Event::Retired { account, chains } => format!("{} chains given up by {account}", chains.len()),
        Event::Frozen { account, why } => format!("account {account} frozen: {}", &**why),
        Event::Unfrozen { account } => format!("account {account} unfrozen"),
        Event::Closed { account } => format!("account {account} closed"),
        Event::BondsReturned(accounts) => format!("bonds of {} closed accounts returned", accounts.len()),
        Event::PayoutAsked { id, to, .. } => format!("payout asked by {} to {}", id.0, &**to),
        Event::PaidOut { id, reference } => format!("payout of {} made as {}", id.0, &**reference),
        Event::EvidenceNoted { culprit: Culprit::Buyer(chain), .. } => {
            format!("evidence noted against the buyer of chain {chain}")
        }
        Event::EvidenceNoted { culprit: Culprit::Witness(node, chain), .. } => {
            format!("evidence noted against {node}, a witness of chain {chain}")
        }
        Event::Convicted { chain, j, .. } => {
            format!("vendor of segment {j} of chain {chain} convicted: junk")
        }
        Event::FalselyAccused { account, chain, j, .. } => {
            format!("{account} said falsely that junk was sold in segment {j} of chain {chain}")
        }
        Event::Released { chain, claims } => {
            format!("{} undisputed claims on chain {chain} paid", claims.len())
        }
        Event::Resumed { settle_from } => format!("settlements wait until {}", time(*settle_from)),
        Event::Settled { chain, charges, .. } if charges.is_empty() => format!("chain {chain} settled"),
        Event::Settled { chain, charges, .. } => {
            format!("chain {chain} settled, {} charges to the convicted", charges.len())
        }
    }
}
