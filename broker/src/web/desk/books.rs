//! The books, and vouchers.

use crate::admin::view::BooksView;
use crate::admin::{Desk, request_number};
use crate::errors::ErrorView;
use crate::web::pages::{books as page, vouchers as vouchers_page};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use netpay_node::shown;
use netpay_node::ui::serve::{Asked, Sent, Visit, fresh_key, number, refused_with};
use serde::Deserialize;
use vouchers_page::Typed;

/// `GET /books`
pub(super) async fn page(State(desk): State<Desk>, visit: Visit) -> Response {
    match totals(&desk).await {
        Ok(books) => page::page(&desk.context(&visit).await, &books, None).into_response(),
        Err(error) => desk.refused(&visit, &error).await,
    }
}

async fn totals(desk: &Desk) -> Result<BooksView, ErrorView> {
    desk.look(|ledger| BooksView::from(ledger.books())).await
}

/// `POST /books/check`
pub(super) async fn check(State(desk): State<Desk>, sent: Sent) -> Response {
    let books = match totals(&desk).await {
        Ok(books) => books,
        Err(error) => return desk.refused(&sent.visit, &error).await,
    };
    let context = desk.context(&sent.visit).await;
    match desk.audit().await {
        Ok(audit) => page::page(&context, &books, Some(Ok(&audit))).into_response(),
        Err(error) => refused_with(&error, page::page(&context, &books, Some(Err(&error)))),
    }
}

fn attached(media: &'static str, name: &str) -> [(header::HeaderName, String); 2] {
    [
        (header::CONTENT_TYPE, media.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ]
}

/// `GET /books/export`: the journal itself.
pub(super) async fn export(State(desk): State<Desk>) -> Response {
    let name = format!("netpay-journal-{}.jsonl", shown::day(desk.bank.now().0));
    (attached("application/x-ndjson", &name), desk.journal()).into_response()
}

/// `GET /books/backup`: the question.
pub(super) async fn ask_backup(State(desk): State<Desk>, visit: Visit) -> Response {
    page::ask_backup(&desk.context(&visit).await).into_response()
}

/// `POST /books/backup`: the file itself.
pub(super) async fn backup(State(desk): State<Desk>, sent: Sent) -> Response {
    let name = format!("netpay-broker-{}.backup", shown::day(desk.bank.now().0));
    match desk.backup() {
        Ok(body) => (attached("application/octet-stream", &name), body).into_response(),
        Err(error) => desk.refused(&sent.visit, &error).await,
    }
}

/// What vouchers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    value: String,
    count: String,
}

/// `GET /vouchers`
pub(super) async fn vouchers(State(desk): State<Desk>, visit: Visit) -> Response {
    shown_vouchers(&desk, &visit, Typed::default(), None).await
}

async fn shown_vouchers(desk: &Desk, visit: &Visit, typed: Typed<'_>, error: Option<&ErrorView>) -> Response {
    match (desk.look(crate::ledger::Ledger::vouchers).await, error) {
        (Ok(so_far), None) => {
            vouchers_page::page(&desk.context(visit).await, so_far, typed, None).into_response()
        }
        (Ok(so_far), Some(error)) => {
            let page = vouchers_page::page(&desk.context(visit).await, so_far, typed, Some(error));
            refused_with(error, page)
        }
        (Err(error), _) => desk.refused(visit, &error).await,
    }
}

fn wanted(value: &str, count: &str) -> Result<(u64, u64), ErrorView> {
    Ok((number(value, "a voucher's worth")?, number(count, "the number of vouchers")?))
}

/// `GET /vouchers/new`: the question.
pub(super) async fn ask_vouchers(
    State(desk): State<Desk>,
    visit: Visit,
    Asked(asked): Asked<Wanted>,
) -> Response {
    match wanted(&asked.value, &asked.count) {
        Ok((value, count)) => {
            vouchers_page::ask(&desk.context(&visit).await, value, count, &fresh_key()).into_response()
        }
        Err(error) => {
            let typed = Typed { value: &asked.value, count: &asked.count };
            shown_vouchers(&desk, &visit, typed, Some(&error)).await
        }
    }
}

/// `POST /vouchers`: the codes, in the answer itself, since nobody is to read them again. The same form sent again makes
/// the same ones.
pub(super) async fn make(State(desk): State<Desk>, sent: Sent) -> Response {
    let made = async {
        let (value, count) = wanted(sent.text("value"), sent.text("count"))?;
        let key = request_number(sent.text("key").as_bytes())?;
        desk.sell_vouchers(&key, value, usize::try_from(count).unwrap_or(usize::MAX)).await
    };
    match made.await {
        Ok(made) => vouchers_page::made(&desk.context(&sent.visit).await, &made).into_response(),
        Err(error) => {
            let typed = Typed { value: sent.text("value"), count: sent.text("count") };
            shown_vouchers(&desk, &sent.visit, typed, Some(&error)).await
        }
    }
}
