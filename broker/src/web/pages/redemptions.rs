//! Redemptions: what vendors brought, the newest first.

use super::account::claim_cells;
use super::{Context, account_link, chain_link, pages};
use crate::admin::view::{PageView, RedemptionView};
use maud::{Markup, html};
use netpay_node::ui::parts::{self, Column, nothing, pager, table, title};

/// The list.
#[must_use]
pub fn page(context: &Context, found: &PageView<RedemptionView>, is_later: bool) -> Markup {
    let columns = [
        Column::name("Chain"),
        Column::text("Account"),
        Column::text("Segment"),
        Column::text("Coins"),
        Column::amount("Worth"),
        Column::text("State"),
    ];
    let row = |claim: &RedemptionView| {
        let mut row = vec![chain_link(&claim.chain), account_link(&claim.account)];
        row.extend(claim_cells(claim));
        row
    };
    let body = html! {
        (title("Redemptions", &nothing()))
        @if found.items.is_empty() {
            (parts::empty("down", "Nothing was redeemed yet",
                "What vendors earned and brought to be paid is listed here.", &nothing()))
        } @else {
            (table("Claims, newest first", &columns, &found.items.iter().map(row).collect::<Vec<_>>()))
        }
        (pager(&pages("/redemptions", is_later, found.next.as_deref())))
        (parts::command("netpay-broker redemptions ls"))
    };
    context.page("/redemptions", "Redemptions", &body)
}
