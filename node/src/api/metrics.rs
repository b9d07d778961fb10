//! Figures for a monitor, in the text format of Prometheus: the peer's own, and libp2p's. Every name carries its unit.

use super::server::Api;
use crate::app::Node;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::time::Instant;

type Labels = [(&'static str, String); 1];

/// Upper bounds of the classes by which answers are counted, in seconds.
const SECONDS: [f64; 8] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 30.0];

/// The code of the error that a response tells, for whoever counts.
#[derive(Clone, Debug)]
pub struct ErrorCode(pub String);

/// What was answered since the start.
#[derive(Clone)]
pub struct Answers {
    /// By the code of the error. Codes are those of the registry, so there are only so many.
    errors: Family<Labels, Counter>,
    statuses: Family<Labels, Counter>,
    took: Histogram,
}

impl Default for Answers {
    fn default() -> Self {
        Self { errors: Family::default(), statuses: Family::default(), took: Histogram::new(SECONDS) }
    }
}

impl Answers {
    fn note(&self, response: &Response, took: f64) {
        let class = class(response.status());
        self.statuses.get_or_create(&[("class", class.to_owned())]).inc();
        self.took.observe(took);
        if let Some(ErrorCode(code)) = response.extensions().get() {
            self.errors.get_or_create(&[("code", code.clone())]).inc();
        }
    }
}

const fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

/// Counts every answer. A stream counts when it begins.
pub async fn counted(State(api): State<Api>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let response = next.run(request).await;
    api.answers.note(&response, began.elapsed().as_secs_f64());
    response
}

/// The figures now.
pub fn text(api: &Api) -> String {
    let mut registry = Registry::with_prefix("netpay");
    gauges(&mut registry, api);
    coins(&mut registry, &api.node);
    counters(&mut registry, api);
    let mut out = String::new();
    // Text is always taken by a text.
    let _ = encode(&mut out, &registry);
    // Two texts are one, but for the mark of the end.
    let own = out.trim_end_matches("# EOF\n").to_owned();
    own + &api.node.overlay().metrics()
}

fn gauges(registry: &mut Registry, api: &Api) {
    let node = &api.node;
    let mut gauge = |name, help, value: u64| registry.register(name, help, ConstGauge::new(value));
    gauge("peers", "Peers connected", node.overlay().connected().len() as u64);
    gauge("shared_files", "Files offered", node.shared() as u64);
    gauge("receiving_bytes_per_second", "Bytes of downloads that come", node.receiving());
    gauge("sending_bytes_per_second", "Bytes of sales that go", node.sending());
    gauge("broker_connected", "Whether the broker is connected", u64::from(node.broker_view().connected));
    gauge("wallet_open", "Whether the wallet is open", u64::from(node.wallet_view().is_ok()));
    gauge("browsers", "Browsers signed in", api.sessions.count(crate::clock::time()) as u64);
    let places = super::events::MAX_LISTENERS.saturating_sub(api.listeners.available_permits());
    gauge("event_listeners", "Listeners to events", places as u64);
    let uptime = ConstGauge::new(node.uptime());
    registry.register_with_unit("uptime", "Time since the start", Unit::Seconds, uptime);
    let sessions = family("side", [("buyer", node.buying()), ("vendor", node.selling())]);
    registry.register("sessions", "Sales that run now, by which side this peer is on", sessions);
    let downloads = family("state", node.downloads_by_state());
    registry.register("downloads", "Downloads by where they stand", downloads);
}

/// Coins by where they are; nothing of them is known while the wallet is locked.
fn coins(registry: &mut Registry, node: &Node) {
    let (Ok(wallet), Ok(spent)) = (node.wallet_view(), node.spent()) else { return };
    let places = [
        ("spendable", wallet.spendable),
        ("leased", wallet.leased),
        ("unconfirmed", wallet.unconfirmed),
        ("locked", wallet.locked),
        ("spent", spent),
        ("earned", wallet.earned),
        ("pending", wallet.pending),
        ("bond", wallet.bond),
    ];
    let places = places.into_iter().chain(wallet.at_broker.map(|coins| ("at_broker", coins)));
    let help =
        "Coins by where they are: spent ones of chains that are still here, earned ones not yet redeemed";
    registry.register_with_unit("wallet", help, Unit::Other("coins".to_owned()), family("place", places));
}

fn counters(registry: &mut Registry, api: &Api) {
    let node = &api.node;
    let sold = node.sales_summary(1, 0).all;
    registry.register("sales", "Sales ever", ConstCounter::new(sold.count));
    let coins = Unit::Other("coins".to_owned());
    let brought = ConstCounter::new(sold.coins);
    registry.register_with_unit("sales", "Coins that sales ever brought", coins, brought);
    let (sent, received) = (ConstCounter::new(node.sent()), ConstCounter::new(node.received()));
    registry.register_with_unit("sent", "Bytes of units sent to buyers", Unit::Bytes, sent);
    registry.register_with_unit("received", "Bytes of units that came, verified", Unit::Bytes, received);
    let served = Family::<Labels, Counter>::default();
    for (protocol, count) in node.overlay().served() {
        served.get_or_create(&[("protocol", format!("{protocol:?}").to_lowercase())]).inc_by(count);
    }
    registry.register("requests_served", "Requests and streams of other peers, by protocol", served);
    let Answers { errors, statuses, took } = api.answers.clone();
    registry.register("http_answers", "Answers over HTTP, by the class of their status", statuses);
    registry.register("errors", "Errors told over HTTP, by code", errors);
    registry.register_with_unit("http_answer", "How long answers took to begin", Unit::Seconds, took);
}

fn family(
    label: &'static str,
    values: impl IntoIterator<Item = (&'static str, u64)>,
) -> Family<Labels, Gauge> {
    let family = Family::<Labels, Gauge>::default();
    for (name, value) in values {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        family.get_or_create(&[(label, name.to_owned())]).set(value);
    }
    family
}
