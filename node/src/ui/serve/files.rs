//! What this peer sells.

use super::sent::is_ours;
use super::trade::At;
use super::{Asked, Path, Sent, Ui, Visit, onward, refused_with, view};
use crate::app::upload::MAX_UPLOAD;
use crate::app::view::{ErrorView, SharedFile};
use crate::errors;
use crate::ui::pages::PAGE;
use crate::ui::pages::files::{self as page, Files, Typed};
use crate::ui::parts::Pages;
use axum::extract::multipart::{Multipart, MultipartError, MultipartRejection};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;

/// The route that takes whole files, with a limit of its own.
pub fn upload_routes() -> axum::Router<Ui> {
    let most = usize::try_from(MAX_UPLOAD).unwrap_or(usize::MAX).saturating_add(64 << 10);
    axum::Router::new().route("/files/upload", post(upload)).layer(DefaultBodyLimit::max(most))
}

/// Words that narrow the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Narrowed {
    words: String,
}

/// `GET /files`
pub async fn page(
    State(ui): State<Ui>,
    visit: Visit,
    Asked(at): Asked<At>,
    Asked(narrowed): Asked<Narrowed>,
) -> Response {
    shown(&ui, &visit, at.row(), &narrowed.words, Typed::default(), None).await
}

async fn shown(
    ui: &Ui,
    visit: &Visit,
    at: usize,
    words: &str,
    typed: Typed,
    error: Option<&ErrorView>,
) -> Response {
    let (shared, total) = match ui.node.share_page(words, at, PAGE).await {
        Ok(page) => page,
        Err(trouble) => return ui.refused(visit, trouble),
    };
    let escaped = crate::api::client::escaped(words);
    let pages = Pages::of(at, shared.len(), total, PAGE, |at| format!("/files?words={escaped}&at={at}"));
    let files = Files { shared: &shared, pages, words, typed, error, upload_limit: MAX_UPLOAD };
    let page = page::page(&ui.context(visit), &files);
    match error {
        Some(error) => refused_with(error, page),
        None => page.into_response(),
    }
}

/// `POST /files`: shares a file or a folder of the peer's machine.
pub async fn add(State(ui): State<Ui>, sent: Sent) -> Response {
    let typed = Typed {
        path: sent.text("path").to_owned(),
        price: sent.text("price").to_owned(),
        tags: sent.text("tags").to_owned(),
        recursive: sent.given("recursive").map(str::to_owned),
    };
    match share(&ui, &typed).await {
        Ok(shared) => onward(&ui, "/files", &told(&shared)),
        Err(error) => shown(&ui, &sent.visit, 0, "", typed, Some(&error)).await,
    }
}

async fn share(ui: &Ui, typed: &Typed) -> Result<Vec<SharedFile>, ErrorView> {
    let path = std::path::PathBuf::from(&typed.path);
    if !path.is_absolute() {
        return Err(errors::cannot_share(
            &typed.path,
            "the path does not begin at the root, as in /home/ann/music",
        ));
    }
    let price = super::sent::number(&typed.price, "a price")?;
    let tags =
        typed.tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    ui.node.share_add(vec![path], price, tags, typed.recursive.is_some()).await.map_err(view)
}

fn told(shared: &[SharedFile]) -> String {
    match shared {
        [one] => format!(
            "“{}” is offered for {}.",
            crate::shown::foreign(&one.name),
            crate::ui::parts::coins(one.price)
        ),
        more => format!("{} files are offered.", crate::shown::grouped(more.len() as u64)),
    }
}

/// `POST /files/{id}/price`
pub async fn price(State(ui): State<Ui>, Path(id): Path<String>, sent: Sent) -> Response {
    let set = async {
        let price = sent.number("price", "a price")?;
        ui.node.share_set(id.clone(), Some(price), None).await.map_err(view)
    };
    match set.await {
        Ok(file) if sent.visit.htmx => page::price(&ui.context(&sent.visit), &file).into_response(),
        Ok(file) => onward(&ui, "/files", &told(std::slice::from_ref(&file))),
        Err(error) => shown(&ui, &sent.visit, 0, "", Typed::default(), Some(&error)).await,
    }
}

/// `GET /files/{id}/remove`: the question.
pub async fn ask_remove(State(ui): State<Ui>, visit: Visit, Path(id): Path<String>) -> Response {
    match ui.node.share_one(&id).await {
        Ok(file) => page::remove(&ui.context(&visit), &file).into_response(),
        Err(trouble) => ui.refused(&visit, trouble),
    }
}

/// `POST /files/{id}/remove`
pub async fn remove(State(ui): State<Ui>, Path(id): Path<String>, sent: Sent) -> Response {
    match ui.node.share_remove(id).await {
        Ok(()) => onward(&ui, "/files", "No longer offered. The file stays where it is."),
        Err(trouble) => ui.refused(&sent.visit, trouble),
    }
}

/// `POST /files/upload`: takes a file into the home's `shared` directory and offers it. The session's secret comes ahead
/// of the file, so that nothing is written for whoever does not have it.
async fn upload(State(ui): State<Ui>, visit: Visit, form: Result<Multipart, MultipartRejection>) -> Response {
    let form = form.map_err(|fault| errors::bad_request(fault.body_text()));
    let received = match form {
        Ok(form) => receive(&ui, &visit, form).await,
        Err(error) => Err(error),
    };
    match received {
        Ok(shared) => onward(&ui, "/files", &told(&shared)),
        Err(error) => shown(&ui, &visit, 0, "", Typed::default(), Some(&error)).await,
    }
}

async fn receive(ui: &Ui, visit: &Visit, mut form: Multipart) -> Result<Vec<SharedFile>, ErrorView> {
    let bad = |fault: MultipartError| match fault.status() {
        StatusCode::PAYLOAD_TOO_LARGE => errors::too_large(MAX_UPLOAD),
        _ => errors::bad_request(fault.body_text()),
    };
    let (mut ours, mut price) = (false, None);
    while let Some(mut field) = form.next_field().await.map_err(bad)? {
        match field.name().unwrap_or_default() {
            "csrf" => ours = is_ours(visit, &field.text().await.map_err(bad)?),
            "upload_price" => {
                price = Some(super::sent::number(field.text().await.map_err(bad)?.trim(), "a price")?);
            }
            "file" if ours => {
                let price = price.ok_or_else(|| errors::bad_request("a price is missing"))?;
                let mut upload = ui.node.upload(field.file_name().unwrap_or_default()).await.map_err(view)?;
                while let Some(bytes) = field.chunk().await.map_err(bad)? {
                    upload.write(&bytes).await.map_err(view)?;
                }
                let path = upload.keep().await.map_err(view)?;
                return ui.node.share_add(vec![path], price, Vec::new(), false).await.map_err(view);
            }
            _ if ours => {}
            _ => return Err(errors::foreign_form()),
        }
    }
    Err(if ours { errors::bad_request("no file was chosen") } else { errors::foreign_form() })
}
