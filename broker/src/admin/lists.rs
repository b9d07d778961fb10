//! Lists a page at a time, for the API and for the pages: each begins behind a cursor, which is the name of the last item
//! of the page before, and reads no more than it shows. Only a search reads more, and that has a bound.

use super::view::{AccountView, ChainView, LineView, PageView, PayoutView, RedemptionView, time};
use crate::ledger::{Arrival, Customer, Ledger, Line, PayoutId};
use netpay_core::codec::Text;
use netpay_core::coin::segment::SegmentNo;
use netpay_core::id::ChainId;
use netpay_core::keys::PublicKey;
use std::str::FromStr;

/// Accounts that one page of a search looks at.
const SEARCHED: usize = 10_000;

/// The accounts after one, those alone whose key begins with a text, or whose name has it in it.
#[must_use]
pub fn accounts(
    ledger: &Ledger,
    after: Option<&PublicKey>,
    words: &str,
    limit: usize,
) -> PageView<AccountView> {
    let words = words.trim().to_lowercase();
    let fits = |account: &PublicKey, customer: &Customer| {
        words.is_empty()
            || begins(account, &words)
            || customer.name.to_lowercase().contains(&words)
            || customer.nodes.iter().any(|node| begins(node, &words))
    };
    let (mut items, mut last) = (Vec::new(), None);
    let mut later = ledger.customers_after(after).peekable();
    for (account, customer) in later.by_ref().take(SEARCHED) {
        last = Some(*account);
        if fits(account, customer) {
            items.push(AccountView::short(ledger, account, customer));
        }
        if items.len() == limit {
            break;
        }
    }
    let next = last.filter(|_| later.peek().is_some()).map(|account| account.to_string());
    PageView { items, next }
}

/// Whether a key begins with these digits. Most do not with the first: this is asked of many, while the writer waits.
fn begins(key: &PublicKey, digits: &str) -> bool {
    let nibbles = key.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let same = |(digit, nibble): (char, u8)| digit.to_digit(16) == Some(nibble.into());
    digits.len() <= 2 * key.0.len() && digits.chars().zip(nibbles).all(same)
}

/// The chains after one.
#[must_use]
pub fn chains(ledger: &Ledger, after: Option<&ChainId>, limit: usize) -> PageView<ChainView> {
    let later = ledger.chains_after(after).map(|(id, chain)| (id.to_string(), ChainView::short(chain)));
    page(later, limit)
}

/// What an account bought before the place in its list, the newest first.
#[must_use]
pub fn chains_of(
    ledger: &Ledger,
    account: &PublicKey,
    before: Option<usize>,
    limit: usize,
) -> PageView<ChainView> {
    let bought = ledger.customer(account).map_or(&[][..], |customer| &customer.bought);
    let end = before.unwrap_or(bought.len()).min(bought.len());
    let earlier = bought[..end].iter().enumerate().rev();
    page(earlier.filter_map(|(at, id)| Some((at.to_string(), ChainView::short(ledger.chain(id)?)))), limit)
}

/// The claims that arrived before one, the newest first.
#[must_use]
pub fn redemptions(ledger: &Ledger, before: Option<&Arrival>, limit: usize) -> PageView<RedemptionView> {
    let earlier = ledger.claims_before(before);
    page(
        earlier.map(|(at, claim)| (arrival_text(&at), RedemptionView::of(ledger, &at.1, at.2, claim))),
        limit,
    )
}

/// The claims that an account brought before the place in its list, the newest first. Those of one record are together.
#[must_use]
pub fn redemptions_of(
    ledger: &Ledger,
    account: &PublicKey,
    before: Option<usize>,
    limit: usize,
) -> PageView<RedemptionView> {
    let brought = ledger.customer(account).map_or(&[][..], |customer| &customer.brought);
    let mut at = before.unwrap_or(brought.len()).min(brought.len());
    let mut items = Vec::new();
    while at > 0 && items.len() < limit {
        at -= 1;
        let claims = ledger.claims_of(brought[at]);
        items.extend(claims.map(|((_, chain, j, _), claim)| RedemptionView::of(ledger, &chain, j, claim)));
    }
    PageView { items, next: (at > 0).then(|| at.to_string()) }
}

/// The payouts after one; those alone that are to be made, if that is wanted.
#[must_use]
pub fn payouts(
    ledger: &Ledger,
    after: Option<&PayoutId>,
    to_be_made: bool,
    limit: usize,
) -> PageView<PayoutView> {
    let named = |(id, payout)| (payout_text(id), PayoutView::of(id, payout));
    match to_be_made {
        true => page(ledger.unpaid_after(after).map(named), limit),
        false => page(ledger.payouts_after(after).map(named), limit),
    }
}

/// Everything of one account, the beginning of each list.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The account.
    pub account: AccountView,
    /// Its statement.
    pub lines: PageView<LineView>,
    /// What it bought.
    pub chains: PageView<ChainView>,
    /// What it redeemed.
    pub redemptions: PageView<RedemptionView>,
    /// What it had paid out, or asked for.
    pub payouts: Vec<PayoutView>,
}

/// Everything of one account, so many rows of each list.
#[must_use]
pub fn whole(ledger: &Ledger, account: &PublicKey, limit: usize) -> Option<Whole> {
    let customer = ledger.customer(account)?;
    Some(Whole {
        account: AccountView::short(ledger, account, customer),
        lines: lines_of(ledger, account, None, limit),
        chains: chains_of(ledger, account, None, limit),
        redemptions: redemptions_of(ledger, account, None, limit),
        payouts: payouts_of(ledger, account, limit),
    })
}

/// The lines of an account's statement before one, the newest first, as far as they are at hand.
#[must_use]
pub fn lines_of(
    ledger: &Ledger,
    account: &PublicKey,
    before: Option<u64>,
    limit: usize,
) -> PageView<LineView> {
    let lines = ledger.customer(account).map(|customer| customer.lines_before(before.unwrap_or(u64::MAX)));
    let view = |(line, what): (&Line, Text<120>)| LineView {
        number: line.number,
        at: time(line.at),
        what: what.to_string(),
        change: line.change,
        balance: line.balance.0,
    };
    page(lines.into_iter().flatten().map(|line| (line.0.number.to_string(), view(line))), limit)
}

/// One payout.
#[must_use]
pub fn payout_of(ledger: &Ledger, id: &PayoutId) -> Option<PayoutView> {
    ledger.payout_named(id).map(|payout| PayoutView::of(id, payout))
}

/// The payouts that an account asked for, as many as are shown.
#[must_use]
pub fn payouts_of(ledger: &Ledger, account: &PublicKey, limit: usize) -> Vec<PayoutView> {
    let own = ledger.payouts_of(account);
    let mut payouts: Vec<_> = own.take(limit).map(|(id, payout)| PayoutView::of(id, payout)).collect();
    payouts.sort_by(|one, other| other.asked.cmp(&one.asked));
    payouts
}

/// The first items, each with its name, and where the next page begins.
pub(super) fn page<T>(items: impl Iterator<Item = (String, T)>, limit: usize) -> PageView<T> {
    let mut items: Vec<(String, T)> = items.take(limit + 1).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|(name, _)| name.clone());
    PageView { items: items.into_iter().map(|(_, item)| item).collect(), next }
}

fn arrival_text((record, chain, j, open): &Arrival) -> String {
    format!("{record}-{chain}-{}-{open}", j.0)
}

/// A claim's place from its name.
#[must_use]
pub fn arrival(text: &str) -> Option<Arrival> {
    let mut parts = text.split('-');
    let mut part = || parts.next();
    let place = (
        part()?.parse().ok()?,
        part()?.parse().ok()?,
        SegmentNo(part()?.parse().ok()?),
        part()?.parse().ok()?,
    );
    parts.next().is_none().then_some(place)
}

fn payout_text((account, number): &PayoutId) -> String {
    format!("{account}-{}", data_encoding::HEXLOWER.encode(number))
}

/// A payout's id from its name: the account's key and the number.
#[must_use]
pub fn payout(text: &str) -> Option<PayoutId> {
    let (account, number) = text.split_once('-')?;
    let number = data_encoding::HEXLOWER_PERMISSIVE.decode(number.as_bytes()).ok()?;
    Some((PublicKey::from_str(account).ok()?, number.try_into().ok()?))
}
