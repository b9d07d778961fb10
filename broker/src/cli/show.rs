//! Results for people: tables, with what other people wrote made harmless.

use crate::admin::view::{
    AccountView, AuditView, BooksView, ChainView, DisputeView, HeldView, JunkView, PayoutView, ProofView,
    RedemptionView, StatusView,
};
use comfy_table::{CellAlignment, Table, presets};
use netpay_node::shown::csv;
pub use netpay_node::shown::foreign as text;

/// Digits of a key that a table shows; commands take the beginning of a key.
const SHORT: usize = 16;

/// The beginning of a key.
#[must_use]
pub fn short(key: &str) -> &str {
    key.get(..SHORT).unwrap_or(key)
}

/// How the broker is.
#[must_use]
pub fn status(view: &StatusView) -> String {
    let mut table = pairs();
    table.add_row(["network", &text(&view.network)]);
    table.add_row(["name", &text(&view.name)]);
    table.add_row(["broker", &view.broker]);
    table.add_row(["accounts", &format!("{} ({} members alive)", view.accounts, view.alive)]);
    table.add_row(["chains", &view.chains.to_string()]);
    table.add_row(["vouchers", &format!("{} sold, {} paid in", view.vouchers_sold, view.vouchers_used)]);
    table.add_row(["disputes", &view.convictions.to_string()]);
    table.add_row(["records", &view.records.to_string()]);
    format!("{table}\n{}\ninvite  {}", books(&view.books), view.invite)
}

/// The totals.
#[must_use]
pub fn books(view: &BooksView) -> String {
    let mut table = pairs();
    for (name, coins) in [
        ("money held", i128::from(view.cash)),
        ("= vouchers out", view.vouchers.into()),
        ("+ balances", view.balances.into()),
        ("+ coins out", view.coins.into()),
        ("+ payouts due", view.payouts.into()),
        ("+ bonds", view.bonds.into()),
    ] {
        table.add_row([name.to_owned(), coins.to_string()]);
    }
    let outstanding = format!("{} - {} - {}", view.issued, view.redeemed, view.refunded);
    table.add_row(["issued - redeemed - refunded", &outstanding]);
    align(&mut table, 1);
    let verdict = if view.balance { "✓ the books balance" } else { "✗ THE BOOKS DO NOT BALANCE" };
    format!("{table}\n{verdict}")
}

/// What an audit found.
#[must_use]
pub fn audit(view: &AuditView) -> String {
    let AuditView { records, entries, accounts, chains, .. } = view;
    format!(
        "{records} records, {entries} entries, {accounts} accounts, {chains} chains\n{}",
        books(&view.books)
    )
}

/// Accounts.
#[must_use]
pub fn accounts(views: &[AccountView]) -> String {
    let mut table = list(["account", "name", "balance", "pending", "bond", "nodes", "state", "since"]);
    for view in views {
        let state = match (&view.frozen, &view.closed) {
            (Some(_), _) => "frozen",
            (None, Some(_)) => "closed",
            (None, None) => "open",
        };
        table.add_row([
            short(&view.account),
            &text(&view.name),
            &view.balance.to_string(),
            &view.pending.to_string(),
            &view.bond.to_string(),
            &view.nodes.len().to_string(),
            state,
            &view.since,
        ]);
    }
    align(&mut table, 2);
    align(&mut table, 3);
    align(&mut table, 4);
    table.to_string()
}

/// One account.
#[must_use]
pub fn account(view: &AccountView) -> String {
    let mut table = pairs();
    table.add_row(["account", &view.account]);
    table.add_row(["name", &text(&view.name)]);
    table.add_row(["since", &view.since]);
    table.add_row(["balance", &view.balance.to_string()]);
    table.add_row(["pending", &view.pending.to_string()]);
    for held in &view.held {
        let HeldView { chain, segment, coins, until } = held;
        let chain = short(chain);
        table.add_row(["held", &format!("{coins} of chain {chain}, segment {segment}, paid from {until}")]);
    }
    table.add_row(["bond", &view.bond.to_string()]);
    if let Some(why) = &view.frozen {
        table.add_row(["frozen", &text(why)]);
    }
    if let Some(at) = &view.closed {
        table.add_row(["closed", at]);
    }
    for node in &view.nodes {
        table.add_row(["node", node]);
    }
    let mut lines = list(["line", "when", "what", "change", "balance"]);
    for line in &view.lines {
        lines.add_row([
            line.number.to_string(),
            line.at.clone(),
            text(&line.what),
            format!("{:+}", line.change),
            line.balance.to_string(),
        ]);
    }
    align(&mut lines, 3);
    align(&mut lines, 4);
    format!("{table}\n{lines}")
}

/// Chains.
#[must_use]
pub fn chains(views: &[ChainView]) -> String {
    let mut table = list([
        "chain",
        "buyer",
        "coins",
        "paid",
        "refunded",
        "left",
        "claims",
        "witnesses",
        "redeem by",
        "state",
    ]);
    for view in views {
        table.add_row([
            short(&view.chain),
            short(&view.buyer),
            &view.n.to_string(),
            &view.paid.to_string(),
            &view.refunded.to_string(),
            &view.outstanding.to_string(),
            &view.claims.to_string(),
            &view.committee.to_string(),
            &view.redeem_by,
            state(view),
        ]);
    }
    (2..8).for_each(|column| align(&mut table, column));
    table.to_string()
}

fn state(view: &ChainView) -> &'static str {
    match (&view.settled, view.retired) {
        (Some(_), _) => "settled",
        (None, true) => "retired",
        (None, false) => "open",
    }
}

/// One chain.
#[must_use]
pub fn chain(view: &ChainView) -> String {
    let mut table = pairs();
    table.add_row(["chain", &view.chain]);
    table.add_row(["buyer", &view.buyer]);
    table.add_row(["coins", &view.n.to_string()]);
    table.add_row(["paid", &view.paid.to_string()]);
    table.add_row(["refunded", &view.refunded.to_string()]);
    table.add_row(["left", &view.outstanding.to_string()]);
    table.add_row(["issued", &view.issued]);
    table.add_row(["spend by", &view.spend_by]);
    table.add_row(["redeem by", &view.redeem_by]);
    table.add_row(["state", state(view)]);
    format!("{table}\n{}", redemptions(&view.redemptions))
}

/// Claims.
#[must_use]
pub fn redemptions(views: &[RedemptionView]) -> String {
    let mut table = list(["record", "chain", "segment", "account", "claimed", "coins", "state"]);
    for view in views {
        let state = match (view.paid, view.made_up, view.short) {
            _ if view.void => "void: junk was sold".to_owned(),
            (false, ..) => waits(view),
            (true, 0, 0) => "paid".to_owned(),
            (true, made_up, short) => format!("paid, {made_up} by the buyer, {short} short"),
        };
        table.add_row([
            view.record.to_string().as_str(),
            short(&view.chain),
            &view.segment.to_string(),
            short(&view.account),
            &format!("({}, {}]", view.start, view.end),
            &view.coins.to_string(),
            state.as_str(),
        ]);
    }
    align(&mut table, 5);
    table.to_string()
}

fn waits(view: &RedemptionView) -> String {
    let later = view.until.as_deref().filter(|_| view.until != view.disputable);
    let until = later.map(|until| format!(", paid from {until}")).unwrap_or_default();
    let disputable = view.disputable.as_deref().map(|until| format!(", disputable until {until}"));
    format!("waits, {} acks{until}{}", view.acks, disputable.unwrap_or_default())
}

/// Disputes.
#[must_use]
pub fn disputes(views: &[DisputeView]) -> String {
    let mut table = list(["dispute", "when", "of", "account", "coins", "state"]);
    for view in views {
        let (of, coins) = match (&*view.accused, &view.junk) {
            ("vendor", Some(junk)) => ("junk", format!("{} void, {} paid before", junk.void, junk.paid)),
            ("accuser", Some(junk)) => ("a false accusation", format!("{} fee", junk.fee.unwrap_or(0))),
            ("witness", _) => ("two acks", promised(view)),
            _ => ("two opens", promised(view)),
        };
        let state = match (&*view.accused, &view.settled) {
            ("accuser", _) => "charged",
            (_, Some(_)) => "settled",
            (_, None) => "waits for settlement",
        };
        let account = view.account.as_deref().map_or("-", short);
        table.add_row([view.id.as_str(), &view.at, of, account, &coins, state]);
    }
    table.to_string()
}

fn promised(view: &DisputeView) -> String {
    format!("{} made up, {} short", view.made_up, view.short)
}

/// One dispute, with what contradicts each other.
#[must_use]
pub fn dispute(view: &DisputeView) -> String {
    let mut table = pairs();
    table.add_row(["dispute", &view.id]);
    table.add_row(["accused", &view.accused]);
    table.add_row(["when", &view.at]);
    table.add_row(["chain", &view.chain]);
    for (name, value) in
        [("account", &view.account), ("name", &view.name), ("node", &view.node), ("settled", &view.settled)]
    {
        if let Some(value) = value {
            table.add_row([name, &text(value)]);
        }
    }
    match &view.junk {
        Some(junk) => junk_rows(&mut table, junk),
        None => {
            table.add_row(["made up", &view.made_up.to_string()]);
            table.add_row(["short", &view.short.to_string()]);
        }
    }
    table.add_row(["record", &view.record.to_string()]);
    let sides = view.sides.iter().map(|side| {
        let holder = side.holder.as_deref().unwrap_or("a key that only its vendor knows");
        format!("segment {}, coins ({}, {}] opened to {holder}", side.segment, side.start, side.end)
    });
    let mut parts = vec![table.to_string()];
    parts.extend(sides);
    match &view.junk {
        Some(junk) => {
            parts.extend(junk.proof.iter().map(proof));
            parts.extend(junk.verdict.iter().map(|verdict| format!("the signed verdict:\n{verdict}")));
            let how = "the evidence as bytes: netpay-broker disputes save";
            parts.push(match &view.evidence {
                Some(_) => format!("{how} {} FILE", view.id),
                None => "what was shown is not kept, as the whole fee was not paid".to_owned(),
            });
        }
        None => {
            parts.extend(view.evidence.iter().map(|proof| format!("for netpay evidence check:\n{proof}")));
        }
    }
    parts.join("\n")
}

fn junk_rows(table: &mut Table, junk: &JunkView) {
    table.add_row(["accuser", &junk.accuser]);
    table.add_row(["segment", &junk.segment.to_string()]);
    table.add_row(["open", &junk.open]);
    for (name, value) in [("holder", &junk.holder), ("content", &junk.content), ("why not", &junk.why)] {
        if let Some(value) = value {
            table.add_row([name, &text(value)]);
        }
    }
    match (junk.fee, &junk.claim) {
        (Some(fee), _) => {
            table.add_row(["fee", &fee.to_string()]);
        }
        (None, None) => {
            table.add_row(["claim", "none was brought"]);
        }
        (None, Some(_)) => {
            table.add_row(["void", &junk.void.to_string()]);
            table.add_row(["paid before", &junk.paid.to_string()]);
        }
    }
}

fn proof(view: &ProofView) -> String {
    let mut table = pairs();
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "not told".to_owned());
    if let Some(deal) = &view.deal {
        table.add_row(["deal", &deal.deal]);
        let units = format!("{} units from {} on, of {} bytes in all", deal.count, deal.first, deal.size);
        table.add_row(["sold", &units]);
        table.add_row(["keys from", &deal.key_root]);
    }
    let unit = or_none(view.unit.map(|unit| unit.to_string()));
    table.add_row(["shown", &format!("leaf {} of unit {unit}", view.leaf)]);
    table.add_row(["promised", &or_none(view.promised.clone())]);
    table.add_row(["came", &or_none(view.came.clone())]);
    table.add_row(["sealed as", &or_none(view.sealed.clone())]);
    let leads = if view.key_leads_to_root { "leads to the deal's" } else { "does not lead to the deal's" };
    let coin = or_none(view.key_coin.map(|coin| coin.to_string()));
    table.add_row(["key", &format!("{} (coin {coin}, {leads})", view.key)]);
    for signed in &view.signed {
        let holds = if signed.holds { "holds" } else { "DOES NOT HOLD" };
        let key = signed.key.as_deref().unwrap_or("nobody");
        table.add_row(["signed", &format!("{} by the {} {key}: {holds}", signed.what, signed.side)]);
    }
    table.add_row(["judged", view.judged.as_deref().unwrap_or("it is junk")]);
    table.to_string()
}

/// Payouts as a table. Numbers are whole: `payouts paid` takes them so.
#[must_use]
pub fn payout_rows(views: &[PayoutView]) -> String {
    let mut table = list(["number", "account", "coins", "to", "asked", "state"]);
    for view in views {
        table.add_row([
            view.number.as_str(),
            short(&view.account),
            &view.coins.to_string(),
            &text(&view.to),
            &view.asked,
            &view.paid.as_deref().map_or_else(|| "to be made".to_owned(), |at| format!("made {at}")),
        ]);
    }
    align(&mut table, 2);
    table.to_string()
}

/// Payouts as CSV.
#[must_use]
pub fn payouts(views: &[PayoutView]) -> String {
    let mut lines = vec!["number,account,coins,to,asked,paid,reference".to_owned()];
    for view in views {
        let fields = [
            view.number.clone(),
            view.account.clone(),
            view.coins.to_string(),
            csv(&text(&view.to)),
            view.asked.clone(),
            view.paid.clone().unwrap_or_default(),
            csv(&text(view.reference.as_deref().unwrap_or_default())),
        ];
        lines.push(fields.join(","));
    }
    lines.join("\n")
}

fn pairs() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn list<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

fn align(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payout_is_listed_with_the_number_by_which_it_is_noted_as_made() {
        let due = PayoutView {
            number: "cdb3dfba5272284cb9eb4513e5d181ec".to_owned(),
            account: "30c26a4d9c0cf42aff436826738d8a8a5e9bd2a4160339099774ff1d921986bf".to_owned(),
            coins: 12,
            to: "DE89\u{202e}3704".to_owned(),
            asked: "2026-11-28T17:21:42Z".to_owned(),
            paid: None,
            reference: None,
        };
        let made = PayoutView { paid: Some("2026-11-29T09:00:00Z".to_owned()), ..due.clone() };
        let shown = payout_rows(&[due.clone(), made]);
        assert!(shown.contains(&due.number) && shown.contains("30c26a4d9c0cf42a "), "{shown}");
        assert!(shown.contains("DE89\\u{202e}3704") && shown.contains("to be made"), "{shown}");
        assert!(shown.contains("made 2026-11-29T09:00:00Z"), "{shown}");
    }
}
