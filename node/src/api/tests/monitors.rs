//! What a monitor asks: whether the peer lives, whether it can work, and its figures.

use super::{Door, buys, status};
use crate::app::tests::Town;
use reqwest::{Method, StatusCode};
use std::collections::BTreeMap;

/// The figures as they are told, by name and labels.
async fn figures(door: &Door) -> BTreeMap<String, f64> {
    let answer = door.get("/metrics").bearer_auth(&door.read).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let media = answer.headers()["content-type"].to_str().expect("text").to_owned();
    assert!(media.starts_with("application/openmetrics-text"), "{media}");
    let text = answer.text().await.expect("text");
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1, "there is one end");
    let figures = text.lines().filter(|line| !line.starts_with('#'));
    let figures = figures.map(|line| line.rsplit_once(' ').unwrap_or_else(|| panic!("no figure: {line}")));
    figures.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_is_ready_while_it_is_in_the_network_and_not_about_to_stop() {
    let town = Town::of(1).await;
    let alone = Door::of(&town, 0).await;
    let told = alone.get("/readyz").send().await.expect("an answer");
    assert_eq!(told.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(told.text().await.expect("text"), "not connected to anybody");
    assert_eq!(status(alone.get("/healthz")).await, StatusCode::OK);
    town.stop().await;

    let town = Town::of(2).await;
    let door = Door::of(&town, 1).await;
    assert_eq!(status(door.get("/readyz")).await, StatusCode::OK);
    town.peers[1].ask_to_stop();
    let told = door.get("/readyz").send().await.expect("an answer");
    assert_eq!(
        (told.status(), &*told.text().await.expect("text")),
        (StatusCode::SERVICE_UNAVAILABLE, "stopping")
    );
    assert_eq!(status(door.get("/healthz")).await, StatusCode::OK);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_say_what_came_went_was_paid_and_went_wrong() {
    let town = Town::of(3).await;
    let file = town.file("one.bin", 300_000);
    let shared = town.peers[1].share_add(vec![file], 12, vec![], false).await.expect("shared");
    town.mint(2, 60).await;
    let (vendor, buyer) = (Door::of(&town, 1).await, Door::of(&town, 2).await);
    assert_eq!(status(buyer.get("/metrics")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(buys(&buyer, "cheap", &shared[0].id, 1).await.0, 412);
    assert_eq!(buys(&buyer, "dear", &shared[0].id, 12).await.0, 200);
    town.peers[2].settled(1).await;
    buyer.enters().await;
    assert_eq!(status(buyer.get("/wallet")).await, StatusCode::UNAUTHORIZED);

    let told = figures(&buyer).await;
    for (name, value) in [
        ("netpay_wallet_coins{place=\"spendable\"}", 48.0),
        ("netpay_wallet_coins{place=\"spent\"}", 12.0),
        ("netpay_wallet_coins{place=\"earned\"}", 0.0),
        ("netpay_downloads{state=\"done\"}", 1.0),
        ("netpay_downloads{state=\"failed\"}", 0.0),
        ("netpay_received_bytes_total", 300_000.0),
        ("netpay_sent_bytes_total", 0.0),
        ("netpay_sessions{side=\"buyer\"}", 0.0),
        ("netpay_errors_total{code=\"NP-DAEMON-003\"}", 1.0),
        ("netpay_http_answers_total{class=\"5xx\"}", f64::NAN),
        ("netpay_browsers", 1.0),
        ("netpay_peers", 2.0),
        ("netpay_wallet_open", 1.0),
    ] {
        let found = told.get(name).copied().unwrap_or(f64::NAN);
        assert!(found == value || (found.is_nan() && value.is_nan()), "{name} is {found}");
    }
    let limit = crate::errors::over_limit("a", 1, 2).code;
    assert_eq!(told.get(&format!("netpay_errors_total{{code=\"{limit}\"}}")), Some(&1.0), "{told:?}");
    let answers: f64 =
        told.iter().filter(|(name, _)| name.starts_with("netpay_http_answers_total")).map(|(_, n)| n).sum();
    assert_eq!(told["netpay_http_answer_seconds_count"], answers);

    let mut told = figures(&vendor).await;
    while told["netpay_sales_total"] < 1.0 {
        told = figures(&vendor).await;
    }
    for (name, value) in [
        ("netpay_sales_coins_total", 12.0),
        ("netpay_wallet_coins{place=\"earned\"}", 12.0),
        ("netpay_sent_bytes_total", 300_000.0),
        ("netpay_shared_files", 1.0),
        ("netpay_sessions{side=\"vendor\"}", 0.0),
    ] {
        // Frames around units count too.
        assert!(told[name] >= value && told[name] < value.mul_add(1.1, 0.5), "{name} is {}", told[name]);
    }
    assert!(told["netpay_requests_served_total{protocol=\"trade\"}"] >= 1.0);
    assert!(told.keys().any(|name| name.starts_with("libp2p_")), "libp2p's are there too");
    let listener = vendor.program(Method::GET, "/api/v1/events").send().await.expect("an answer");
    assert_eq!(figures(&vendor).await["netpay_event_listeners"], 1.0);
    drop(listener);
    town.peers[2].lock_wallet();
    let told = figures(&buyer).await;
    assert_eq!(told["netpay_wallet_open"], 0.0);
    assert!(told.keys().all(|name| !name.starts_with("netpay_wallet_coins")), "nothing is made up");
    town.stop().await;
}
