//! Chains, redemptions, payouts and disputes.

use super::From;
use crate::admin::view::{ChainView, PayoutView};
use crate::admin::{Desk, disputes, lists, stream};
use crate::errors::{self, ErrorView};
use crate::ledger::{Command, Ledger, PayoutId};
use crate::web::PAGE;
use crate::web::pages::{
    chains as chains_page, disputes as disputes_page, payouts as payouts_page,
    redemptions as redemptions_page,
};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use netpay_core::codec::Text;
use netpay_core::id::ChainId;
use netpay_node::ui::serve::{Asked, Path, Sent, Visit, refused_with};
use serde::Deserialize;

/// Payouts read from the books at once for an export.
const EXPORTED: usize = 1000;

/// `GET /chains`
pub(super) async fn chains(State(desk): State<Desk>, visit: Visit, Asked(from): Asked<From>) -> Response {
    let found = match from.place(|text| text.parse::<ChainId>().ok()) {
        Ok(after) => desk.look(move |ledger| lists::chains(ledger, after.as_ref(), PAGE)).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(found) => {
            let context = desk.context(&visit).await;
            chains_page::page(&context, &found, from.after.is_some()).into_response()
        }
        Err(error) => desk.refused(&visit, &error).await,
    }
}

/// `GET /chains/{chain}`
pub(super) async fn chain(State(desk): State<Desk>, visit: Visit, Path(name): Path<String>) -> Response {
    let missing = || errors::not_found("chain", &name);
    let found = match name.parse::<ChainId>() {
        Ok(id) => {
            let whole = move |ledger: &Ledger| ledger.chain(&id).map(|chain| ChainView::whole(ledger, chain));
            desk.look(whole).await
        }
        Err(_) => Ok(None),
    };
    match found.and_then(|found| found.ok_or_else(missing)) {
        Ok(chain) => chains_page::one(&desk.context(&visit).await, &chain).into_response(),
        Err(error) => desk.refused(&visit, &error).await,
    }
}

/// `GET /redemptions`
pub(super) async fn redemptions(
    State(desk): State<Desk>,
    visit: Visit,
    Asked(from): Asked<From>,
) -> Response {
    let found = match from.place(lists::arrival) {
        Ok(before) => desk.look(move |ledger| lists::redemptions(ledger, before.as_ref(), PAGE)).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(found) => {
            let context = desk.context(&visit).await;
            redemptions_page::page(&context, &found, from.after.is_some()).into_response()
        }
        Err(error) => desk.refused(&visit, &error).await,
    }
}

/// Which payouts, and where their page begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Which {
    all: Option<String>,
    after: Option<String>,
}

/// `GET /payouts`
pub(super) async fn payouts(State(desk): State<Desk>, visit: Visit, Asked(which): Asked<Which>) -> Response {
    shown(&desk, &visit, which, None).await
}

async fn shown(desk: &Desk, visit: &Visit, which: Which, error: Option<&ErrorView>) -> Response {
    let (all, from) = (which.all.is_some(), From { after: which.after });
    let found = match from.place(lists::payout) {
        Ok(after) => desk.look(move |ledger| lists::payouts(ledger, after.as_ref(), !all, PAGE)).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(found) => {
            let context = desk.context(visit).await;
            let page = payouts_page::page(&context, &found, all, from.after.is_some(), error);
            error.map_or_else(|| page.clone().into_response(), |error| refused_with(error, page.clone()))
        }
        Err(error) => desk.refused(visit, &error).await,
    }
}

/// Under which reference it was made.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Made {
    reference: String,
}

async fn payout(desk: &Desk, account: &str, number: &str) -> Result<(PayoutId, PayoutView), ErrorView> {
    let missing = || errors::not_found("payout", number);
    let id = lists::payout(&format!("{account}-{number}")).ok_or_else(missing)?;
    let view = desk.look(move |ledger| lists::payout_of(ledger, &id)).await?;
    Ok((id, view.ok_or_else(missing)?))
}

/// `GET /payouts/{account}/{number}/paid`: asks for the reference, and then whether it is right.
pub(super) async fn ask_paid(
    State(desk): State<Desk>,
    visit: Visit,
    Path((account, number)): Path<(String, String)>,
    Asked(made): Asked<Made>,
) -> Response {
    match payout(&desk, &account, &number).await {
        Ok((_, view)) => {
            let context = desk.context(&visit).await;
            let reference = Text::<80>::cut(made.reference.trim());
            if reference.is_empty() {
                return payouts_page::ask_paid(&context, &view, None).into_response();
            }
            payouts_page::confirm_paid(&context, &view, &reference).into_response()
        }
        Err(error) => desk.refused(&visit, &error).await,
    }
}

/// `POST /payouts/{account}/{number}/paid`
pub(super) async fn paid(
    State(desk): State<Desk>,
    Path((account, number)): Path<(String, String)>,
    sent: Sent,
) -> Response {
    let noted = async {
        let reference = Text::cut(sent.text("reference"));
        if reference.is_empty() {
            return Err(errors::bad_request("a payout is noted under the reference of its transfer"));
        }
        let (id, _) = payout(&desk, &account, &number).await?;
        desk.run(Command::Payout { id, reference }).await
    };
    match noted.await {
        Ok(()) => desk.onward("/payouts", "The payout is noted as made."),
        Err(error) => shown(&desk, &sent.visit, Which::default(), Some(&error)).await,
    }
}

/// `GET /payouts/export`: those to be made, as the command writes them.
pub(super) async fn export(State(desk): State<Desk>, visit: Visit) -> Response {
    let (mut views, mut after) = (Vec::new(), None::<PayoutId>);
    loop {
        let page =
            desk.look(move |ledger: &Ledger| lists::payouts(ledger, after.as_ref(), true, EXPORTED)).await;
        let page = match page {
            Ok(page) => page,
            Err(error) => return desk.refused(&visit, &error).await,
        };
        views.extend(page.items);
        after = page.next.as_deref().and_then(lists::payout);
        if after.is_none() {
            break;
        }
    }
    let described = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"payouts.csv\""),
    ];
    let text = crate::cli::payouts_csv(&views);
    (described, stream::written(move |out| writeln!(out, "{text}"))).into_response()
}

/// `GET /disputes`
pub(super) async fn all_disputes(
    State(desk): State<Desk>,
    visit: Visit,
    Asked(from): Asked<From>,
) -> Response {
    let found = match from.place(disputes::named) {
        Ok(before) => desk.look(move |ledger| disputes::before(ledger, before.as_ref(), PAGE)).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(found) => {
            let context = desk.context(&visit).await;
            disputes_page::page(&context, &found, from.after.is_some()).into_response()
        }
        Err(error) => desk.refused(&visit, &error).await,
    }
}

/// `GET /disputes/{dispute}`
pub(super) async fn dispute(State(desk): State<Desk>, visit: Visit, Path(name): Path<String>) -> Response {
    match desk.dispute(&name).await {
        Ok(dispute) => disputes_page::one(&desk.context(&visit).await, &dispute).into_response(),
        Err(error) => desk.refused(&visit, &error).await,
    }
}

/// `GET /disputes/{dispute}/evidence`: the bytes, for whoever wants to check them.
pub(super) async fn evidence(State(desk): State<Desk>, visit: Visit, Path(name): Path<String>) -> Response {
    let missing = || errors::not_found("evidence of dispute", &name);
    let kept = async {
        let evidence = desk.dispute(&name).await?.evidence.ok_or_else(missing)?;
        HEXLOWER.decode(evidence.as_bytes()).map_err(errors::books)
    };
    let described = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"evidence.bin\""),
    ];
    match kept.await {
        Ok(bytes) => (described, bytes).into_response(),
        Err(error) => desk.refused(&visit, &error).await,
    }
}
