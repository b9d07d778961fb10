//! Figures for a monitor, in the text format of Prometheus: the peer's own, and libp2p's.

use crate::app::Node;
use crate::app::view::DownloadState;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// The figures now.
pub fn text(node: &Node) -> String {
    let mut registry = Registry::with_prefix("netpay");
    let mut gauge = |name, help, value: u64| registry.register(name, help, ConstGauge::new(value));
    let status = node.status();
    gauge("peers", "Peers connected", status.peers as u64);
    gauge("shared_files", "Files offered", status.shared as u64);
    let downloads = node.downloads();
    let running = |state| downloads.iter().filter(|download| download.state == state).count() as u64;
    gauge("downloads_running", "Downloads under way", running(DownloadState::Running));
    gauge("downloads_failed", "Downloads that failed", running(DownloadState::Failed));
    gauge("receiving_bytes_per_second", "Bytes of downloads that come", node.receiving());
    gauge("sending_bytes_per_second", "Bytes of sales that go", node.sending());
    if let Some(wallet) = status.wallet {
        gauge("coins_spendable", "Coins that can be opened now", wallet.spendable);
        gauge("coins_leased", "Coins in leases of sales", wallet.leased);
        gauge("coins_locked", "Coins that come back at settlement", wallet.locked);
        gauge("coins_earned", "Coins earned and not redeemed", wallet.earned);
    }
    gauge(
        "broker_connected",
        "Whether the broker is connected",
        u64::from(status.broker.is_some_and(|b| b.connected)),
    );
    gauge("uptime_seconds", "Seconds since the start", status.uptime);
    let sold = node.sales_summary(1, 0).all;
    let mut counter = |name, help, value: u64| registry.register(name, help, ConstCounter::new(value));
    counter("sales", "Sales ever", sold.count);
    counter("sales_coins", "Coins that sales ever brought", sold.coins);
    let mut out = String::new();
    // Text is always taken by a text.
    let _ = encode(&mut out, &registry);
    // Two texts are one, but for the mark of the end.
    let own = out.trim_end_matches("# EOF\n").to_owned();
    own + &node.overlay().metrics()
}
