//! Chains: the coins sold, and what became of them.

use super::account::{COLOURS, chain_bar, chain_state, claim_cells};
use super::{Context, account_link, chain_link, on_day, pages, when};
use crate::admin::view::{ChainView, PageView, RedemptionView};
use maud::{Markup, html};
use netpay_node::shown;
use netpay_node::ui::parts::{self, Column, facts, legend_of, money, nothing, pager, table, title};

/// The list.
#[must_use]
pub fn page(context: &Context, found: &PageView<ChainView>, is_later: bool) -> Markup {
    let columns = [
        Column::name("Chain"),
        Column::bar("Coins"),
        Column::amount("Sold"),
        Column::text("Buyer"),
        Column::text("Redeem by"),
        Column::text("State"),
    ];
    let row = |chain: &ChainView| {
        vec![
            chain_link(&chain.chain),
            chain_bar(chain),
            money(chain.n.into()),
            account_link(&chain.buyer),
            on_day(&chain.redeem_by),
            chain_state(chain),
        ]
    };
    let body = html! {
        (title("Chains", &nothing()))
        @if found.items.is_empty() {
            (parts::empty("coins", "No coins were sold yet", "Each purchase of coins is a chain, and listed here.", &nothing()))
        } @else {
            (legend_of(&COLOURS))
            (table("Chains, by their ids", &columns, &found.items.iter().map(row).collect::<Vec<_>>()))
        }
        (pager(&pages("/chains", is_later, found.next.as_deref())))
        (parts::command("netpay-broker chains ls"))
    };
    context.page("/chains", "Chains", &body)
}

/// One chain, with the claims on it.
#[must_use]
pub fn one(context: &Context, chain: &ChainView) -> Markup {
    let heading = format!("Chain {}", shown::short(&chain.chain));
    let body = html! {
        (title(&heading, &chain_state(chain)))
        section.card aria-labelledby="coins" {
            h2 #coins { (parts::coins(chain.n.into())) }
            (chain_bar(chain))
            (legend_of(&COLOURS))
            (facts(&[
                ("Paid", money(chain.paid.into())),
                ("Waiting", money(chain.waiting.into())),
                ("Left", money(chain.outstanding.saturating_sub(chain.waiting).into())),
                ("Gone back", money(chain.refunded.into())),
            ]))
        }
        section.card aria-labelledby="about" {
            h2 #about { "The chain" }
            (facts(&[
                ("Id", html! { code { (chain.chain) } }),
                ("Buyer", account_link(&chain.buyer)),
                ("Sold", when(&chain.issued)),
                ("Spend by", when(&chain.spend_by)),
                ("Redeem by", when(&chain.redeem_by)),
                ("Settled", html! { @match &chain.settled { Some(at) => (when(at)), None => "not yet" } }),
                ("Witnesses", html! { (chain.committee) }),
            ]))
        }
        section.stack aria-labelledby="claims" {
            h2 #claims { "Claims" }
            (claims(&chain.redemptions))
        }
        (parts::command(&format!("netpay-broker chains show {}", chain.chain)))
    };
    context.page("/chains", &heading, &body)
}

/// Claims with whom they pay.
#[must_use]
pub fn claims(claims: &[RedemptionView]) -> Markup {
    let columns = [
        Column::name("Account"),
        Column::text("Segment"),
        Column::text("Coins"),
        Column::amount("Worth"),
        Column::text("State"),
    ];
    let row = |claim: &RedemptionView| {
        let mut row = vec![account_link(&claim.account)];
        row.extend(claim_cells(claim));
        row
    };
    match claims {
        [] => parts::empty("down", "No claims yet", "What vendors bring of it is listed here.", &nothing()),
        claims => table("Claims", &columns, &claims.iter().map(row).collect::<Vec<_>>()),
    }
}
