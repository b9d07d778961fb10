//! Home, peers and settings.

use super::trade::{At, slice};
use super::{Asked, Path, Sent, Ui, Visit, onward, refused_with, view};
use crate::api::password::Password;
use crate::app::view::{ErrorView, PeerView};
use crate::config::{self, Config, Setting};
use crate::ui::pages::peers as page;
use crate::ui::pages::settings::{self, EDITED, Settings};
use crate::ui::pages::welcome::{self, Home};
use crate::ui::parts::Pages;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

/// Downloads that Home shows.
const NEWEST: usize = 5;

/// `GET /`
pub async fn home(State(ui): State<Ui>, visit: Visit) -> Response {
    let (newest, downloads) = ui.node.downloads_page(0, NEWEST);
    // A name that was saved counts, though it is used from the next start on only.
    let loaded = config::load(ui.node.home(), &[]).ok();
    let saved = loaded.and_then(|loaded| loaded.settings.into_iter().find(|setting| setting.key == "name"));
    let home = Home {
        named: saved.as_ref().is_some_and(|setting| setting.origin != "default"),
        name: saved.map_or_else(|| ui.node.settings().name.clone(), |setting| setting.value),
        network: ui.node.settings().invite.network.clone(),
        broker: ui.node.broker_view(),
        wallet: ui.node.wallet_view().ok(),
        chains: ui.node.chain_views().map_or(0, |chains| chains.len()),
        shared: ui.node.shared(),
        sold: ui.node.sales_summary(1, 0).all.count,
        downloads,
        newest,
        key: super::fresh_key(),
    };
    welcome::page(&ui.context(&visit), &home).into_response()
}

/// `GET /peers`
pub async fn peers(State(ui): State<Ui>, visit: Visit, Asked(at): Asked<At>) -> Response {
    shown_peers(&ui, &visit, at.row(), "", None).await
}

async fn shown_peers(
    ui: &Ui,
    visit: &Visit,
    at: usize,
    address: &str,
    error: Option<&ErrorView>,
) -> Response {
    let peers = match ui.node.peers().await {
        Ok(peers) => peers,
        Err(trouble) => return ui.refused(visit, trouble),
    };
    let (peers, pages) = slice(peers, at, |at| format!("/peers?at={at}"));
    let page = page::page(&ui.context(visit), &peers, &pages, address, error);
    match error {
        Some(error) => refused_with(error, page),
        None => page.into_response(),
    }
}

/// `POST /peers`: connects to an address.
pub async fn connect(State(ui): State<Ui>, sent: Sent) -> Response {
    let address = sent.text("address");
    match ui.node.connect(address.to_owned()).await {
        Ok(peer) => onward(&ui, "/peers", &format!("Connected to {}.", called(&peer))),
        Err(trouble) => shown_peers(&ui, &sent.visit, 0, address, Some(&view(trouble))).await,
    }
}

/// `POST /peers/{node}/block`
pub async fn block(State(ui): State<Ui>, Path(node): Path<String>, sent: Sent) -> Response {
    match ui.node.block(node).await {
        Ok(peer) => onward(&ui, "/peers", &format!("{} is blocked.", called(&peer))),
        Err(trouble) => ui.refused(&sent.visit, trouble),
    }
}

/// `POST /peers/{node}/unblock`
pub async fn unblock(State(ui): State<Ui>, Path(node): Path<String>, sent: Sent) -> Response {
    match ui.node.unblock(node).await {
        Ok(peer) => onward(&ui, "/peers", &format!("{} is blocked no more.", called(&peer))),
        Err(trouble) => ui.refused(&sent.visit, trouble),
    }
}

fn called(peer: &PeerView) -> String {
    crate::shown::foreign(peer.name.as_deref().unwrap_or_else(|| crate::shown::short(&peer.node)))
}

/// `GET /peers/{node}`: what it has.
pub async fn browse(
    State(ui): State<Ui>,
    visit: Visit,
    Path(node): Path<String>,
    Asked(at): Asked<At>,
) -> Response {
    let peer = match ui.node.peer(&node) {
        Ok(peer) => peer,
        Err(trouble) => return ui.refused(&visit, trouble),
    };
    let context = ui.context(&visit);
    match ui.node.browse(node).await {
        Ok(found) => {
            let (found, pages) = slice(found, at.row(), |at| format!("/peers/{}?at={at}", peer.node));
            page::browse(&context, &peer, Ok(&found), &pages).into_response()
        }
        Err(trouble) => {
            let error = view(trouble);
            refused_with(&error, page::browse(&context, &peer, Err(&error), &Pages::default()))
        }
    }
}

/// `GET /settings`
pub async fn settings(State(ui): State<Ui>, visit: Visit) -> Response {
    match config::load(ui.node.home(), &[]) {
        Ok(loaded) => shown_settings(&ui, &visit, &loaded.settings, None),
        Err(error) => shown_settings(&ui, &visit, &[], Some(&error)),
    }
}

pub(super) fn shown_settings(
    ui: &Ui,
    visit: &Visit,
    settings: &[Setting],
    error: Option<&ErrorView>,
) -> Response {
    let peer_id = crate::overlay::peer_id(&ui.node.me());
    let addresses: Vec<String> =
        ui.node.overlay().addresses().iter().map(|address| format!("{address}/p2p/{peer_id}")).collect();
    let shown = Settings {
        settings,
        error,
        addresses: &addresses,
        invite: ui.node.settings().invite.to_string(),
        node: ui.node.me().to_string(),
        peer_id: peer_id.to_string(),
        home: ui.node.home().path().display().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        has_password: Password::load(ui.node.home()).is_ok_and(|password| password.is_some()),
    };
    let page = settings::page(&ui.context(visit), &shown);
    match error {
        Some(error) => refused_with(error, page),
        None => page.into_response(),
    }
}

/// `POST /settings`: what differs is written, after all of it was checked.
pub async fn set(State(ui): State<Ui>, sent: Sent) -> Response {
    let home = ui.node.home();
    let loaded = match config::load(home, &[]) {
        Ok(loaded) => loaded.settings,
        Err(error) => return shown_settings(&ui, &sent.visit, &[], Some(&error)),
    };
    let typed = |setting: &Setting| {
        let edited = EDITED.iter().any(|(key, ..)| *key == setting.key);
        let value = if edited { sent.field(&setting.key) } else { None };
        Setting { value: value.unwrap_or(&setting.value).to_owned(), ..setting.clone() }
    };
    let wanted: Vec<Setting> = loaded.iter().map(typed).collect();
    match write(&ui, &loaded, &wanted) {
        Ok(0) => onward(&ui, "/settings", "Nothing was changed."),
        Ok(_) => onward(&ui, "/settings", "Saved. It is used from the next start on."),
        Err(error) => shown_settings(&ui, &sent.visit, &wanted, Some(&error)),
    }
}

/// Writes what differs; returns how much that was.
fn write(ui: &Ui, now: &[Setting], wanted: &[Setting]) -> Result<usize, ErrorView> {
    let home = ui.node.home();
    let changed =
        || wanted.iter().zip(now).filter(|(wanted, now)| wanted.value != now.value).map(|(wanted, _)| wanted);
    let mut checked = Config::defaults(home.path());
    for setting in changed() {
        if let Some(key) = config::key(&setting.key) {
            key.apply(&mut checked, home.path(), &setting.value, "the form")?;
        }
    }
    for setting in changed() {
        config::set(home.path(), &home.config(), &setting.key, &setting.value)?;
    }
    Ok(changed().count())
}

/// `POST /settings/name`
pub async fn set_name(State(ui): State<Ui>, sent: Sent) -> Response {
    let home = ui.node.home();
    match config::set(home.path(), &home.config(), "name", sent.text("name")) {
        Ok(()) => onward(&ui, "/", "Saved. The name is used from the next start on."),
        Err(error) => ui.refused(&sent.visit, error),
    }
}

/// `GET /settings/stop`: the question.
pub async fn ask_stop(State(ui): State<Ui>, visit: Visit) -> Response {
    settings::ask_stop(&ui.context(&visit), ui.node.unfinished()).into_response()
}

/// `POST /settings/stop`
pub async fn stop(State(ui): State<Ui>, _: Sent) -> Response {
    ui.node.ask_to_stop();
    settings::stopped().into_response()
}
