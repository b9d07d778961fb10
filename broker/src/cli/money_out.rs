//! Payouts: what is to be paid, in the forms that an operator's bank takes, and what was.

use super::args::{PayoutFormat, Payouts};
use super::client::Client;
use super::commands::{only, request_text};
use super::out::Out;
use super::show;
use crate::admin::view::{AccountView, PageView, PayoutView};
use crate::errors::{self, ErrorView};
use crate::home::BrokerHome;
use crate::pain::{self, Payer};
use serde_json::json;

/// Does what the arguments say.
pub async fn run(home: &BrokerHome, payouts: Payouts, out: &Out) -> Result<(), ErrorView> {
    let client = Client::of(home)?;
    let mut views: Vec<PayoutView> = client.list("/payouts").await?;
    match payouts {
        Payouts::Ls { all } => {
            views.retain(|view| all || view.paid.is_none());
            out.list(&views, show::payout_rows)
        }
        Payouts::Export { format: PayoutFormat::Csv, all, .. } => {
            views.retain(|view| all || view.paid.is_none());
            out.list(&views, show::payouts)
        }
        Payouts::Export { format: PayoutFormat::Pain001, all: true, .. } => {
            Err(errors::bad_request("--all would order again what was paid; only CSV takes it"))
        }
        Payouts::Export { format: PayoutFormat::Pain001, from, request, .. } => {
            views.retain(|view| view.paid.is_none());
            order(home, &client, &views, (from.as_deref().unwrap_or_default(), &request), out).await
        }
        Payouts::Paid { account, number, reference } => {
            let account = only("payout", &account, views.iter().map(|view| &view.account))?;
            let path = format!("/payouts/{account}/{number}/paid");
            let page: PageView<PayoutView> =
                client.post(&path, &request_text(None), &json!({ "reference": reference })).await?;
            let paid =
                |view: &PayoutView| view.account == account && view.number.eq_ignore_ascii_case(&number);
            let views: Vec<_> = page.items.into_iter().filter(paid).collect();
            out.list(&views, show::payouts)
        }
    }
}

async fn order(
    home: &BrokerHome,
    client: &Client,
    due: &[PayoutView],
    (from, request): (&str, &str),
    out: &Out,
) -> Result<(), ErrorView> {
    let settings = home.open()?.settings;
    let accounts = client.list::<AccountView>("/accounts").await?;
    let names = accounts.into_iter().map(|view| (view.account, view.name)).collect();
    let payer = Payer { name: &settings.name, iban: from, denomination: &settings.denomination, request };
    let order = pain::order(&payer, due, &names, jiff::Timestamp::now())?;
    for number in &order.left_out {
        eprintln!("left out: payout {} goes to no IBAN", show::text(number));
    }
    let view = json!({
        "message": order.message, "transfers": order.transfers, "sum": order.sum,
        "left_out": order.left_out, "xml": order.xml,
    });
    out.print(&view, |_| order.xml.clone())
}
