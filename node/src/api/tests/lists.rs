//! Lists, page by page, and times as programs read them.

use super::{Door, buys, refused};
use crate::app::tests::Town;
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeSet;

/// The whole of a list, read so many at a time; and how many pages that took.
async fn walk(door: &Door, path: &str, limit: usize) -> (Vec<Value>, usize) {
    let (mut all, mut pages, mut after) = (Vec::new(), 0, String::new());
    loop {
        let request = door.program(Method::GET, &format!("/api/v1{path}?limit={limit}{after}"));
        let page: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        let items = page["items"].as_array().unwrap_or_else(|| panic!("{path}: {page}"));
        assert!(items.len() <= limit, "{path}");
        all.extend(items.iter().cloned());
        pages += 1;
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return (all, pages),
        }
    }
}

/// Walks through a list in large and in small steps: it is the same, and nothing comes twice.
async fn whole(door: &Door, path: &str, many: usize) -> Vec<Value> {
    let (all, _) = walk(door, path, 500).await;
    assert_eq!(all.len(), many, "{path}");
    let (by_two, pages) = walk(door, path, 2).await;
    assert_eq!((&by_two, pages), (&all, many.div_ceil(2).max(1)), "{path}");
    let distinct: BTreeSet<String> = all.iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len(), many, "{path}");
    all
}

fn is_a_time(text: &Value) -> bool {
    text.as_str().is_some_and(|text| text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_comes_a_page_at_a_time_and_times_are_as_programs_read_them() {
    let town = Town::of(4).await;
    let bank = town.bank(1000);
    bank.pretend_lines(249);
    let files: Vec<_> = (0..5).map(|n| town.file(&format!("file {n}.bin"), 1000 + n)).collect();
    let shared = town.peers[1].share_add(files, 2, vec![], false).await.expect("shared");
    for _ in 0..3 {
        town.mint(2, 4).await;
    }
    let (vendor, buyer) = (Door::of(&town, 1).await, Door::of(&town, 2).await);
    for (n, file) in shared.iter().take(3).enumerate() {
        let (status, begun) = buys(&buyer, &format!("k{n}"), &file.id, 2).await;
        assert_eq!(status, 200);
        town.peers[2].settled(begun["id"].as_u64().expect("a number")).await;
    }
    let downloads = whole(&buyer, "/downloads", 3).await;
    let ids: Vec<_> = downloads.iter().map(|download| download["id"].as_u64()).collect();
    assert_eq!(ids, [Some(3), Some(2), Some(1)], "the newest comes first");
    assert!(is_a_time(&downloads[0]["began"]) && is_a_time(&downloads[0]["timeline"][0]["at"]));
    let chains = whole(&buyer, "/wallet/chains", 3).await;
    assert!(is_a_time(&chains[0]["spend_by"]));
    let lines = whole(&buyer, "/wallet/history", 250).await;
    assert!(is_a_time(&lines[0]["at"]) && lines[0]["number"] == 1 && lines[249]["number"] == 250);
    // Only what is new is asked for again, and it follows on what was there.
    bank.pretend_lines(1);
    assert_eq!(whole(&buyer, "/wallet/history", 251).await[..250], lines);
    whole(&buyer, "/peers", 3).await;
    let node = town.peers[1].me();
    let found = whole(&buyer, &format!("/peers/{node}/files"), 5).await;
    assert_eq!(
        found,
        whole(&vendor, &format!("/peers/{node}/files"), 5)
            .await
            .iter()
            .map(|own| {
                let mut seen = own.clone();
                (seen["vendor_name"], seen["online"]) =
                    (found[0]["vendor_name"].clone(), found[0]["online"].clone());
                seen
            })
            .collect::<Vec<_>>()
    );
    whole(&vendor, "/shares", 5).await;
    assert!(is_a_time(&whole(&vendor, "/sales", 3).await[0]["at"]));
    let (till, _) = walk(&vendor, "/till", 500).await;
    assert_eq!(till.iter().filter_map(|line| line["coins"].as_u64()).sum::<u64>(), 6);
    assert_eq!(walk(&vendor, "/till", 1).await.0, till);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_sales_are_read_in_twenty_pages_and_no_page_is_larger() {
    let town = Town::of(1).await;
    town.peers[0].pretend_sales(10_000).await;
    let door = Door::of(&town, 0).await;
    let (all, pages) = walk(&door, "/sales", 500).await;
    assert_eq!((all.len(), pages), (10_000, 20));
    let times: Vec<_> = all.iter().filter_map(|sale| sale["at"].as_str()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "the newest comes first");
    for list in
        ["downloads", "sales", "till", "wallet/chains", "wallet/history", "peers", "shares", "disputes"]
    {
        for part in ["limit=0", "limit=501", "limit=many", "limit=-1", "size=5", "after=%00"] {
            let asked = door.program(Method::GET, &format!("/api/v1/{list}?{part}"));
            assert_eq!(refused(asked).await.0, 400, "{list}?{part}");
        }
    }
    town.stop().await;
}
