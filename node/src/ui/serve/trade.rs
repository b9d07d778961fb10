//! Search, purchases and downloads.

use super::{Asked, Path, Sent, Ui, Visit, fresh_key, once, onward, refused_with, see_other, view};
use crate::app::Trouble;
use crate::app::view::{
    DisputeState, DisputeView, DownloadView, ErrorView, GetRequest, Quote, SearchOptions,
};
use crate::errors;
use crate::ui::pages::PAGE;
use crate::ui::pages::downloads::{self as page, InDispute, Names};
use crate::ui::pages::purchase::{self, Purchase};
use crate::ui::pages::search::{self, Outcome, Typed};
use crate::ui::parts::Pages;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use netpay_core::fair::policy::{Fair, Mode, NotAPolicy};
use serde::Deserialize;
use std::cmp::Reverse;
use std::sync::Arc;

/// Where in a list a page begins, counted from 0.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct At {
    at: usize,
}

impl At {
    pub(super) fn row(&self) -> usize {
        self.at
    }
}

/// `GET /search`
pub async fn search(State(ui): State<Ui>, visit: Visit, Asked(typed): Asked<Typed>) -> Response {
    let context = ui.context(&visit);
    if typed.words.trim().is_empty() {
        return search::page(&context, &typed, &Outcome::Nothing).into_response();
    }
    match find(&ui, &typed).await {
        Ok((found, pages)) => search::page(&context, &typed, &Outcome::Found(&found, pages)).into_response(),
        Err(error) => refused_with(&error, search::page(&context, &typed, &Outcome::Refused(&error))),
    }
}

async fn find(ui: &Ui, typed: &Typed) -> Result<(Vec<crate::app::view::Found>, Pages), ErrorView> {
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let most = given(&typed.max_price).map(|most| super::sent::number(&most, "a price"));
    let options = SearchOptions {
        words: typed.words.trim().to_owned(),
        max_price: most.transpose()?,
        extension: given(&typed.extension),
        sort: given(&typed.sort),
    };
    let found = ui.node.search(options).await.map_err(view)?;
    Ok(slice(found, typed.at, |at| typed.address(at)))
}

/// One page of a list, and where it stands.
pub(super) fn slice<T>(list: Vec<T>, at: usize, address: impl Fn(usize) -> String) -> (Vec<T>, Pages) {
    let total = list.len();
    let shown: Vec<T> = list.into_iter().skip(at).take(PAGE).collect();
    let pages = Pages::of(at, shown.len(), total, PAGE, address);
    (shown, pages)
}

/// What is to be bought.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    what: String,
    from: String,
}

impl Wanted {
    fn from(&self) -> Option<String> {
        Some(self.from.clone()).filter(|from| !from.is_empty())
    }
}

/// `GET /buy`: the question.
pub async fn ask_buy(State(ui): State<Ui>, visit: Visit, Asked(wanted): Asked<Wanted>) -> Response {
    let request = GetRequest { what: wanted.what.clone(), from: wanted.from(), ..GetRequest::default() };
    let quote = match ui.node.quote(&request).await {
        Ok(quote) => quote,
        Err(trouble) => return ui.refused(&visit, trouble),
    };
    let asked = Purchase {
        ways: ways(&ui, &request, &quote).await,
        fair: ui.node.settings().fair,
        locked: ui.node.wallet_view().is_err(),
        key: fresh_key(),
        back: format!("/search?words={}", crate::api::client::escaped(&quote.name)),
        from: wanted.from(),
        quote,
    };
    purchase::page(&ui.context(&visit), &asked).into_response()
}

/// In which mode each wish would buy the same from the same vendor for the same price, and how many coins could be lost.
async fn ways(ui: &Ui, request: &GetRequest, quote: &Quote) -> Vec<(Fair, Mode, u64)> {
    let whom = |quote: &Quote| quote.vendors.first().map(|found| found.vendor.clone());
    let mut ways = Vec::new();
    for fair in Fair::ALL {
        let request = GetRequest { fair: Some(fair), ..request.clone() };
        if let Ok(other) = ui.node.quote(&request).await
            && (other.price, whom(&other)) == (quote.price, whom(quote))
        {
            ways.push((fair, other.mode, other.at_risk));
        }
    }
    ways
}

/// `POST /buy`: what was confirmed is the most that is paid.
pub async fn buy(State(ui): State<Ui>, sent: Sent) -> Response {
    let sent = Arc::new(sent);
    let begun = once(&ui, &sent, |node, sent, act| async move {
        let request = GetRequest {
            what: sent.text("what").to_owned(),
            from: sent.given("from").map(str::to_owned),
            max_price: Some(sent.number("max_price", "a price")?),
            fair: sent
                .given("fair")
                .map(str::parse)
                .transpose()
                .map_err(|error: NotAPolicy| errors::bad_request(error))?,
            ..GetRequest::default()
        };
        let download = node.get_once(request, &act).await.map_err(view)?;
        Ok((format!("/downloads/{}", download.id), String::new()))
    });
    match begun.await {
        Ok((address, _)) => see_other(&address),
        Err(error) => ui.refused(&sent.visit, error),
    }
}

/// `GET /downloads`
pub async fn downloads(State(ui): State<Ui>, visit: Visit, Asked(at): Asked<At>) -> Response {
    let (shown, total) = ui.node.downloads_page(at.at, PAGE);
    let pages = Pages::of(at.at, shown.len(), total, PAGE, |at| format!("/downloads?at={at}"));
    match ui.node.disputes() {
        Ok(mut disputes) => {
            disputes.sort_by_key(|one| Reverse(one.at));
            let in_dispute =
                InDispute { names: named(&ui, disputes.iter().map(|one| &one.vendor)), disputes };
            page::page(&ui.context(&visit), &shown, &pages, &in_dispute).into_response()
        }
        Err(trouble) => ui.refused(&visit, trouble),
    }
}

/// `GET /downloads/{id}`
pub async fn download(State(ui): State<Ui>, visit: Visit, Path(id): Path<String>) -> Response {
    match by_number(&ui, &id) {
        Ok(view) => match in_dispute(&ui, &view) {
            Ok(disputed) => page::detail(&ui.context(&visit), &view, &disputed).into_response(),
            Err(trouble) => ui.refused(&visit, trouble),
        },
        Err(error) => ui.refused(&visit, error),
    }
}

/// What of a download is in dispute, and what the peers in its story call themselves.
pub(super) fn in_dispute(ui: &Ui, view: &DownloadView) -> Result<InDispute, Trouble> {
    let mut disputes = ui.node.disputes()?;
    disputes.retain(|one| one.download == view.id);
    let told = view.timeline.iter().map(|entry| &entry.detail);
    let keys = view.vendors.iter().chain(told).chain(disputes.iter().map(|one| &one.vendor));
    Ok(InDispute { names: named(ui, keys), disputes })
}

/// What peers call themselves.
fn named<'a>(ui: &Ui, keys: impl Iterator<Item = &'a String>) -> Names {
    keys.filter_map(|key| Some((key.clone(), ui.node.name_of(key)?))).collect()
}

/// `GET /downloads/{id}/cancel`: the question.
pub async fn ask_cancel(State(ui): State<Ui>, visit: Visit, Path(id): Path<String>) -> Response {
    match by_number(&ui, &id) {
        Ok(view) => page::cancel(&ui.context(&visit), &view).into_response(),
        Err(error) => ui.refused(&visit, error),
    }
}

/// `POST /downloads/{id}/{act}`
pub async fn act(State(ui): State<Ui>, Path((id, act)): Path<(String, String)>, sent: Sent) -> Response {
    let done = async {
        let id = by_number(&ui, &id)?.id;
        let said = match act.as_str() {
            "pause" => ui.node.pause_download(id).await.map(|_| "Paused. What was paid stays paid."),
            "resume" => ui.node.resume_download(id).await.map(|_| "It goes on."),
            "retry" => ui.node.resume_download(id).await.map(|_| "It is tried again, where it stopped."),
            "cancel" => ui.node.cancel_download(id).await.map(|_| "Cancelled."),
            "dispute" => ui.node.dispute_open(id).await.map(|disputes| taken_up(&disputes)),
            _ => return Err(errors::no_route("POST", format!("/downloads/{id}/{act}"))),
        };
        said.map_err(view).map(|said| (id, said))
    };
    match done.await {
        Ok((id, said)) => onward(&ui, &format!("/downloads/{id}"), said),
        Err(error) => ui.refused(&sent.visit, error),
    }
}

/// What came of it that disputes were taken to the broker.
fn taken_up(disputes: &[DisputeView]) -> &'static str {
    let any = |state| disputes.iter().any(|one| one.state == state);
    if any(DisputeState::KeyMissing) || any(DisputeState::Accused) {
        "The broker was asked. It does not have the key yet; your peer asks again by itself."
    } else if any(DisputeState::Convicted) {
        "The broker convicted the vendor. The coins come back when the chain is settled."
    } else if any(DisputeState::Rejected) {
        "The broker did not convict the vendor."
    } else {
        "Nothing of this download is in dispute any more."
    }
}

fn by_number(ui: &Ui, id: &str) -> Result<DownloadView, ErrorView> {
    let number = id.parse().map_err(|_| errors::no_download(id))?;
    ui.node.download(number).map_err(view)
}
