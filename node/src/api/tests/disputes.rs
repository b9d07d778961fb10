//! Disputes, as programs see them.

use super::events::{EVENTS, Listener};
use super::{Door, refused};
use crate::app::tests::Town;
use netpay_core::codec;
use netpay_core::fair::judge::Junk;
use reqwest::Method;
use serde_json::Value;

async fn answer(door: &Door, method: Method, path: &str) -> Value {
    let response = door.program(method, &format!("/api/v1{path}")).send().await.expect("an answer");
    assert!(response.status().is_success(), "{path}: {}", response.status());
    response.json().await.expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_lists_disputes_takes_one_up_and_hears_what_was_judged() {
    let town = Town::of(3).await;
    let download = town.sells_one(2, 1).await;
    let door = Door::of(&town, 1).await;
    let mut listener = Listener::at(&door, EVENTS, None).await;
    let id = town.is_sold_junk(1, 2, download).await;
    let told = listener.about("dispute").await.data;
    assert_eq!((told["id"].as_str(), told["state"].as_str()), (Some(&*id), Some("accused")));

    let list = answer(&door, Method::GET, "/disputes?limit=1").await;
    assert_eq!((&list["items"][0], &list["next"]), (&told, &Value::Null));
    assert!(told["evidence"].is_null(), "proofs are not in lists");
    let one = answer(&door, Method::GET, &format!("/disputes/{id}")).await;
    let proof = data_encoding::HEXLOWER.decode(one["evidence"].as_str().expect("it is there").as_bytes());
    codec::decode::<Junk>(&proof.expect("hexadecimal")).expect("a proof");
    let none = door.program(Method::GET, &format!("/api/v1/disputes/{}", "0".repeat(64)));
    assert_eq!(refused(none).await, (404, "NP-FIND-007".to_owned()));

    let open = format!("/downloads/{download}/dispute");
    let path = format!("/api/v1{open}");
    let looks = |method| door.ask(method, &path).bearer_auth(&door.read);
    assert_eq!(refused(looks(Method::POST)).await.0, 403);
    let missing = door.program(Method::POST, "/api/v1/downloads/99/dispute");
    assert_eq!(refused(missing).await, (404, "NP-FIND-003".to_owned()));
    assert_eq!(refused(door.program(Method::POST, &path)).await.0, 503, "there is no broker to be asked");
    town.bank(0);
    let judged = answer(&door, Method::POST, &open).await;
    assert_eq!((judged[0]["state"].as_str(), judged[1].is_null()), (Some("convicted"), true));
    assert_eq!(listener.about("dispute").await.data, judged[0]);
    town.stop().await;
}
