//! What moves money is done once, over HTTP, whatever dies in between.

use super::{Door, buys};
use crate::app::tests::{Town, VOUCHER};
use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION};
use reqwest::{Method, StatusCode};
use scraper::{Html, Selector};
use serde_json::{Value, json};

/// The answer to a request that is named.
async fn does(door: &Door, key: &str, path: &str, asked: &Value) -> (u16, Value) {
    let request = door.program(Method::POST, path).header("idempotency-key", key).json(asked);
    let response = request.send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

/// The fields of a page's form, and its answer's status and where that leads.
async fn sends(door: &Door, cookie: &str, action: &str, fields: &[(String, String)]) -> (StatusCode, String) {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    let request = door.ask(Method::POST, action).header(COOKIE, cookie).body(body.finish());
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = request.send().await.expect("an answer");
    let location = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
    (answer.status(), location.to_owned())
}

/// The form of a page as it stands, but for the session's secret.
async fn form_of(door: &Door, cookie: &str, path: &str, action: &str) -> Vec<(String, String)> {
    let page = door.get(path).header(COOKIE, cookie).send().await.expect("an answer");
    let page = Html::parse_document(&page.text().await.expect("a page"));
    let inputs = Selector::parse(&format!("form[action='{action}'] input")).expect("a selector");
    let field = |name: &str, input: scraper::ElementRef<'_>| input.attr(name).unwrap_or_default().to_owned();
    let fields = page.select(&inputs).map(|input| (field("name", input), field("value", input)));
    fields.filter(|(name, _)| name != "csrf").collect()
}

async fn sealed(door: &Door, cookie: &str, fields: &[(String, String)]) -> Vec<(String, String)> {
    let csrf = super::csrf_of(door, cookie).await;
    [fields, &[("csrf".to_owned(), csrf)]].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_whose_answer_died_with_the_peer_is_found_by_its_own_name() {
    let mut town = Town::of(3).await;
    let file = town.file("one.bin", 100_000);
    let shared = town.peers[1].share_add(vec![file], 5, vec![], false).await.expect("shared");
    let what = shared[0].id.clone();
    let door = Door::of(&town, 2).await;
    // The first is refused, for there are no coins. Somebody else then buys the same.
    assert_eq!(buys(&door, "first", &what, 5).await.0, 402);
    town.mint(2, 60).await;
    assert_eq!(buys(&door, "second", &what, 5).await.1["id"], 1);
    town.peers[2].settled(1).await;
    // What the first buys when it is asked for again is its own.
    assert_eq!(buys(&door, "first", &what, 5).await.1["id"], 2);
    town.peers[2].settled(2).await;

    town.peers[2].lose_answers();
    assert_eq!(buys(&door, "third", &what, 5).await.0, 500);
    town.peers[2].settled(3).await;
    drop(door);
    town.restart(2).await;
    let door = Door::of(&town, 2).await;
    // Another purchase in between changes nothing.
    assert_eq!(buys(&door, "fourth", &what, 5).await.1["id"], 4);
    town.peers[2].settled(4).await;
    let (status, found) = buys(&door, "third", &what, 5).await;
    assert_eq!((status, &found["id"], &found["paid"]), (200, &3.into(), &5.into()));
    assert_eq!(buys(&door, "third", &what, 5).await.1["id"], 3);
    assert_eq!(town.peers[2].downloads().len(), 4);
    assert_eq!(town.peers[2].wallet_view().expect("open").spendable, 40);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_joins_a_running_purchase_finds_it_again_after_a_crash() {
    let mut town = Town::of(3).await;
    let file = town.file("one.bin", 100_000);
    let shared = town.peers[1].share_add(vec![file], 5, vec![], false).await.expect("shared");
    town.mint(2, 60).await;
    let what = shared[0].id.clone();
    let door = Door::of(&town, 2).await;
    town.peers[2].lose_answers();
    // All at once, each under a name of its own: it is bought once, and each learns which purchase is its own.
    let asks = (0..8).map(|n| buys(&door, ["a", "b", "c", "d", "e", "f", "g", "h"][n], &what, 5));
    for (status, _) in futures::future::join_all(asks).await {
        assert_eq!(status, 500);
    }
    let begun = town.peers[2].downloads().len();
    for view in town.peers[2].downloads() {
        town.peers[2].settled(view.id).await;
    }
    drop(door);
    town.restart(2).await;
    let door = Door::of(&town, 2).await;
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        assert_eq!(buys(&door, name, &what, 5).await.0, 200);
    }
    assert_eq!(town.peers[2].downloads().len(), begun);
    let wallet = town.peers[2].wallet_view().expect("open");
    // What is not spent may still be in a lease: its receipt is on its way, or was lost with the crash.
    let there = wallet.spendable + wallet.leased + wallet.locked;
    assert_eq!(60 - there, 5 * u64::try_from(begun).expect("a number"), "{wallet:?}");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_buys_is_carried_out_once_over_a_crash_too() {
    let mut town = Town::of(3).await;
    let file = town.file("one.bin", 100_000);
    let shared = town.peers[1].share_add(vec![file], 5, vec![], false).await.expect("shared");
    town.mint(2, 60).await;
    let bank = town.bank(100);
    let door = Door::of(&town, 2).await;
    let cookie = door.enters().await;
    let purchase = form_of(&door, &cookie, &format!("/buy?what={}", shared[0].id), "/buy").await;
    let coins = form_of(&door, &cookie, "/wallet/buy?coins=30", "/wallet/buy").await;
    assert!(purchase.len() > 2 && coins.len() > 1, "{purchase:?} {coins:?}");
    town.peers[2].lose_answers();
    let first = sends(&door, &cookie, "/buy", &sealed(&door, &cookie, &purchase).await).await;
    assert_eq!(first.0, StatusCode::INTERNAL_SERVER_ERROR);
    town.peers[2].settled(1).await;
    let first = sends(&door, &cookie, "/wallet/buy", &sealed(&door, &cookie, &coins).await).await;
    assert_eq!(first.0, StatusCode::INTERNAL_SERVER_ERROR);
    drop(door);
    town.restart(2).await;
    let door = Door::of(&town, 2).await;
    let cookie = door.enters().await;
    for _ in 0..2 {
        let again = sends(&door, &cookie, "/buy", &sealed(&door, &cookie, &purchase).await).await;
        assert_eq!(again, (StatusCode::SEE_OTHER, "/downloads/1".to_owned()));
        let again = sends(&door, &cookie, "/wallet/buy", &sealed(&door, &cookie, &coins).await).await;
        assert_eq!(again.0, StatusCode::SEE_OTHER);
    }
    assert_eq!((town.peers[2].downloads().len(), bank.sold(), bank.balance()), (1, 1, 70));
    assert_eq!(town.peers[2].wallet_view().expect("open").spendable, 85);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn coins_whose_answer_died_with_the_peer_are_bought_once_and_the_balance_is_that_after_it() {
    let mut town = Town::of(2).await;
    let bank = town.bank(100);
    let door = Door::of(&town, 1).await;
    let (buy, voucher) = ("/api/v1/wallet/buy", "/api/v1/wallet/vouchers");
    let (status, wallet) = does(&door, "one", buy, &json!({ "coins": 10 })).await;
    assert_eq!((status, &wallet["spendable"], &wallet["at_broker"]), (200, &10.into(), &90.into()));
    // More than there is: refused, and nothing is remembered that could be bought later.
    assert_eq!(does(&door, "two", buy, &json!({ "coins": 1000 })).await.0, 402);

    town.peers[1].lose_answers();
    assert_eq!(does(&door, "three", buy, &json!({ "coins": 40 })).await.0, 500);
    let code = json!({ "voucher": "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA" });
    assert_eq!(does(&door, "four", voucher, &code).await.0, 500);
    drop(door);
    town.restart(1).await;
    let door = Door::of(&town, 1).await;
    for _ in 0..2 {
        let (status, wallet) = does(&door, "three", buy, &json!({ "coins": 40 })).await;
        let at_broker = Value::from(50 + VOUCHER);
        assert_eq!((status, &wallet["spendable"], &wallet["at_broker"]), (200, &50.into(), &at_broker));
        assert_eq!(does(&door, "four", voucher, &code).await.1["at_broker"], at_broker);
    }
    assert_eq!((bank.sold(), bank.balance()), (2, 50 + VOUCHER));
    assert_eq!(town.peers[1].chain_views().expect("open").len(), 2);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_typed_on_a_page_is_taken_to_the_letter() {
    let town = Town::of(3).await;
    let _bank = town.bank(100);
    let door = Door::of(&town, 1).await;
    let cookie = door.enters().await;
    let typed = " open sesame ";
    let fields = ["backup_passphrase", "backup_again"].map(|name| (name.to_owned(), typed.to_owned()));
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(sealed(&door, &cookie, &fields).await);
    let request = door.ask(Method::POST, "/wallet/backup").header(COOKIE, &cookie).body(body.finish());
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let saved = request.send().await.expect("an answer").error_for_status().expect("a backup");
    let backup = data_encoding::BASE64.encode(&saved.bytes().await.expect("whole"));
    let other = Door::of(&town, 2).await;
    let restore = |passphrase: &str| {
        let asked = json!({ "backup": backup, "passphrase": passphrase });
        other.program(Method::POST, "/api/v1/wallet/restore").json(&asked).send()
    };
    assert!(restore(typed.trim()).await.expect("an answer").status().is_client_error());
    let restored = restore(typed).await.expect("an answer");
    assert_eq!(restored.status(), StatusCode::OK, "{:?}", restored.text().await);
    town.stop().await;
}
