//! Payouts: money that leaves, to be made by the operator and noted here.

use super::account::payout_state;
use super::{Context, account_link, pages, when};
use crate::admin::view::{PageView, PayoutView};
use maud::{Markup, html};
use netpay_node::app::view::ErrorView;
use netpay_node::ui::parts::{
    self, Column, Confirm, Field, coins, confirm, error_box, field, foreign, icon, money, nothing, pager,
    quoted, table, title,
};

/// The list: of those to be made, or of all.
#[must_use]
pub fn page(
    context: &Context,
    found: &PageView<PayoutView>,
    all: bool,
    is_later: bool,
    error: Option<&ErrorView>,
) -> Markup {
    let address = if all { "/payouts?all=yes" } else { "/payouts" };
    let acts = html! {
        @if all { a.button href="/payouts" { "To be made" } } @else { a.button href="/payouts?all=yes" { "All" } }
        a.button href="/payouts/export" { (icon("down")) "CSV" }
    };
    let columns = [
        Column::name("To"),
        Column::text("Account"),
        Column::amount("Coins"),
        Column::text("Asked"),
        Column::text("State"),
        Column::acts("Note it"),
    ];
    let row = |payout: &PayoutView| {
        vec![
            foreign(&payout.to),
            account_link(&payout.account),
            money(payout.coins),
            when(&payout.asked),
            payout_state(payout),
            html! {
                @if payout.paid.is_none() {
                    a.button href=(format!("/payouts/{}/{}/paid", payout.account, payout.number)) {
                        "Made…" span.hidden { " payout " (payout.number) }
                    }
                }
            },
        ]
    };
    let heading = if all { "All payouts" } else { "Payouts to be made" };
    let body = html! {
        (title(heading, &acts))
        @if let Some(error) = error { (error_box(error)) }
        @if found.items.is_empty() {
            (parts::empty("up", "Nothing to be paid out",
                "When a member asks for money, its account is charged at once, and what is to be transferred is listed here.",
                &nothing()))
        } @else {
            (table(heading, &columns, &found.items.iter().map(row).collect::<Vec<_>>()))
        }
        (pager(&pages(address, is_later, found.next.as_deref())))
        (parts::command("netpay-broker payouts export"))
    };
    context.page("/payouts", heading, &body)
}

/// The question under which reference a payout was made.
#[must_use]
pub fn ask_paid(context: &Context, payout: &PayoutView, error: Option<&ErrorView>) -> Markup {
    let body = html! {
        (title("Was it made?", &nothing()))
        @if let Some(error) = error { (error_box(error)) }
        form.card method="get" action=(format!("/payouts/{}/{}/paid", payout.account, payout.number)) {
            (sum(payout))
            (field(&Field {
                name: "reference",
                label: "Reference of the transfer",
                hint: "As your bank has it; at most 80 bytes",
                required: true,
                ..Field::default()
            }))
            div.buttons {
                button.primary type="submit" { "Continue" }
                a.button href="/payouts" { "Back" }
            }
            (parts::command(&format!(
                "netpay-broker payouts paid {} {} --reference TEXT",
                payout.account, payout.number
            )))
        }
    };
    context.page("/payouts", "Note a payout", &body)
}

/// The question before it is noted.
#[must_use]
pub fn confirm_paid(context: &Context, payout: &PayoutView, reference: &str) -> Markup {
    let action = format!("/payouts/{}/{}/paid", payout.account, payout.number);
    let body = confirm(&Confirm {
        title: &format!("Note that {} were paid out?", coins(payout.coins)),
        body: html! {
            (sum(payout))
            dl.sum { div { dt { "Reference" } dd { (foreign(reference)) } } }
            p.quiet { "It is noted for good. Nothing is transferred by it: that is done at your bank." }
        },
        action: &action,
        fields: &[("reference", reference)],
        seal: context.seal(),
        yes: "Note it as made",
        destroys: false,
        back: "/payouts",
        command: &format!(
            "netpay-broker payouts paid {} {} --reference {}",
            payout.account,
            payout.number,
            quoted(reference)
        ),
    });
    context.page("/payouts", "Note a payout", &body)
}

fn sum(payout: &PayoutView) -> Markup {
    html! {
        dl.sum {
            div { dt { "Coins" } dd { (money(payout.coins)) } }
            div { dt { "To" } dd { (foreign(&payout.to)) } }
            div { dt { "Account" } dd { code { (payout.account) } } }
            div { dt { "Asked" } dd { (when(&payout.asked)) } }
        }
    }
}
