//! Books: whether they balance, and ways to take them along.

use super::overview::positive;
use super::{Context, grouped};
use crate::admin::view::{AuditView, BooksView};
use maud::{Markup, html};
use netpay_node::app::view::ErrorView;
use netpay_node::ui::parts::{
    self, Column, Confirm, Tone, badge, change, confirm, error_box, facts, icon, nothing, table, title,
};

/// The page; with what the last check found, if one was asked for.
#[must_use]
pub fn page(context: &Context, books: &BooksView, checked: Option<Result<&AuditView, &ErrorView>>) -> Markup {
    let body = html! {
        (title("Books", &nothing()))
        @match checked {
            Some(Ok(audit)) => (proven(audit)),
            Some(Err(error)) => (error_box(error)),
            None => {}
        }
        (totals(books))
        div.pair { (check(context)) (take()) }
    };
    context.page("/books", "Books", &body)
}

fn proven(audit: &AuditView) -> Markup {
    html! {
        section.card aria-labelledby="proven" {
            h2 #proven { (badge(Tone::Good, "the books balance")) }
            p {
                "Every record of the journal was folded again, and what it came to was held against sums made without it."
            }
            (facts(&[
                ("Records", html! { (grouped(audit.records)) }),
                ("Entries", html! { (grouped(audit.entries)) }),
                ("Accounts", html! { (grouped(audit.accounts)) }),
                ("Chains", html! { (grouped(audit.chains)) }),
            ]))
        }
    }
}

fn totals(books: &BooksView) -> Markup {
    let columns = [Column::name("Book"), Column::amount("Total")];
    let cash = i64::try_from(books.cash).map_or(i64::MIN, |cash| -cash);
    let rows = [
        ("Cash: money held outside", cash),
        ("Vouchers sold and not paid in", books.vouchers),
        ("Balances of all accounts", books.balances),
        ("Coins outstanding", books.coins),
        ("Payouts to be made", books.payouts),
        ("Bonds", books.bonds),
    ];
    let sum = rows.iter().map(|(_, total)| *total).fold(0, i64::saturating_add);
    let row = |(name, total): (&str, i64)| vec![html! { (name) }, change(total)];
    let rows: Vec<_> = rows.into_iter().chain([("The sum", sum)]).map(row).collect();
    html! {
        section.stack aria-labelledby="totals" {
            h2 #totals { "Double entry" }
            p {
                @if books.balance { (badge(Tone::Good, "they sum to zero")) } @else { (badge(Tone::Bad, "something is wrong")) }
            }
            (table("The totals of the books", &columns, &rows))
            p.hint {
                (grouped(books.issued)) " issued = " (grouped(books.redeemed)) " redeemed + " (grouped(books.refunded))
                " gone back + " (grouped(positive(books.coins))) " outstanding"
            }
        }
    }
}

fn check(context: &Context) -> Markup {
    html! {
        section.card aria-labelledby="check" {
            h2 #check { "Prove them" }
            p.hint { "From the journal alone, record by record. A large journal takes a while; the bank goes on meanwhile." }
            form method="post" action="/books/check" data-again {
                (context.seal().fields())
                div.buttons { button.primary type="submit" { (icon("check")) "Check the books" } }
            }
            (parts::command("netpay-broker ledger check"))
        }
    }
}

fn take() -> Markup {
    html! {
        section.card aria-labelledby="take" {
            h2 #take { "Take them along" }
            p.hint { "The journal in entries, one record in JSON per line. It holds names and accounts, and no key." }
            p { a.button href="/books/export" { (icon("down")) "Download the journal" } }
            (parts::command("netpay-broker ledger export > FILE"))
            p.hint { "A backup is everything: keys, configuration and journal." }
            p { a.button href="/books/backup" data-ask { (icon("lock")) "Download a backup…" } }
            (parts::command("netpay-broker backup FILE"))
        }
    }
}

/// The question before the keys leave the machine.
#[must_use]
pub fn ask_backup(context: &Context) -> Markup {
    let body = confirm(&Confirm {
        title: "Download a backup with the keys?",
        body: html! {
            p {
                "The file holds the signing key: whoever has it can print this network's money. Keep it where you would keep the \
                 money, and in no browser's download folder."
            }
            p.quiet { "The command writes it on the broker's machine, readable by you alone, and sends it over no line." }
        },
        action: "/books/backup",
        fields: &[],
        seal: context.seal(),
        yes: "Download it",
        destroys: true,
        back: "/books",
        command: "netpay-broker backup FILE",
    });
    context.page("/books", "Backup", &body)
}
