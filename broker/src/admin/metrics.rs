//! Figures for a monitor, in the text format of Prometheus: the bank's own, and libp2p's.

use super::Desk;
use crate::errors::ErrorView;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// The figures now.
///
/// # Errors
/// If the bank is closed.
pub async fn text(desk: &Desk) -> Result<String, ErrorView> {
    let seen = desk
        .look(|ledger| (*ledger.books(), ledger.seq(), ledger.vouchers(), ledger.unpaid(), ledger.sizes().0));
    let (books, seq, vouchers, unpaid, accounts) = seen.await?;
    let mut registry = Registry::with_prefix("netpay_bank");
    let mut gauge = |name, help, value: u64| registry.register(name, help, ConstGauge::new(value));
    gauge("coins_outstanding", "Coins issued and neither redeemed nor refunded", books.coins.unsigned_abs());
    gauge("cash", "Money held", books.held());
    gauge("balances", "All balances", books.balances.unsigned_abs());
    gauge("bonds", "All bonds", books.bonds.unsigned_abs());
    gauge("accounts", "Accounts", accounts as u64);
    gauge("members_alive", "Members heard of within the hour", alive(desk));
    gauge("payouts_waiting", "Payouts to be made", unpaid as u64);
    gauge("vouchers_unused", "Vouchers sold and not paid in", (vouchers.0 - vouchers.1) as u64);
    gauge("journal_sequence", "The number of the last record of the journal", seq);
    gauge("books_balance", "Whether the books balance", u64::from(books.are_sound()));
    let mut counter = |name, help, value: u64| registry.register(name, help, ConstCounter::new(value));
    counter("coins_issued", "Coins ever issued", books.issued);
    counter("coins_redeemed", "Coins ever redeemed", books.redeemed);
    counter("coins_refunded", "Coins ever refunded", books.refunded);
    let asked = Family::<Kind, Counter>::default();
    for (kind, count) in desk.bank.asked() {
        asked.get_or_create(&Kind { kind }).inc_by(count);
    }
    registry.register("requests", "Requests of peers since the start", asked);
    let mut out = String::new();
    // Text is always taken by a text.
    let _ = encode(&mut out, &registry);
    // Two texts are one, but for the mark of the end.
    let own = out.trim_end_matches("# EOF\n").to_owned();
    Ok(own + &desk.overlay.metrics())
}

fn alive(desk: &Desk) -> u64 {
    desk.bank.roster().alive(desk.bank.now()) as u64
}
