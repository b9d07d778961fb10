//! Peers in one process, and a person with a browser that runs no scripts.

use super::{all, holds};
use crate::app::Node;
use crate::app::tests::Town;
use crate::app::view::DownloadState;
use crate::ui::serve::{Csrf, Ui, router};
use netpay_core::fair::policy::Fair;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use scraper::Html;
use std::collections::BTreeMap;

/// A person at a peer's pages.
struct Person {
    http: reqwest::Client,
    base: String,
}

/// What came back.
struct Answer {
    status: StatusCode,
    location: String,
    text: String,
}

const SECRET: &str = "the session's secret";

impl Person {
    async fn at(node: &Node) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let pages = router(Ui::new(node.clone())).layer(axum::Extension(Csrf(SECRET.to_owned())));
        let pages = pages.merge(crate::ui::assets::router());
        tokio::spawn(async move { axum::serve(listener, pages).await });
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self { http: http.build().expect("a client"), base }
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let header = |name| {
            response.headers().get(&name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        assert!(header(CONTENT_SECURITY_POLICY).contains("script-src 'self'"));
        let (status, location) = (response.status(), header(LOCATION));
        let text = response.text().await.expect("a body");
        if text.starts_with("<!DOCTYPE") {
            holds(&location, &text);
        }
        Answer { status, location, text }
    }

    async fn get(&self, path: &str) -> Answer {
        self.answer(self.http.get(format!("{}{path}", self.base))).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        let request = self.http.post(format!("{}{path}", self.base)).body(body.finish());
        self.answer(request.header(CONTENT_TYPE, "application/x-www-form-urlencoded")).await
    }

    /// Sends the form of a page as it stands, with some fields filled in.
    async fn fill_in(&self, page: &Answer, action: &str, typed: &[(&str, &str)]) -> Answer {
        let parsed = Html::parse_document(&page.text);
        let mut fields: BTreeMap<String, String> = all(&parsed, &format!("form[action='{action}'] input"))
            .iter()
            .map(|input| {
                (
                    input.attr("name").unwrap_or_default().to_owned(),
                    input.attr("value").unwrap_or_default().to_owned(),
                )
            })
            .collect();
        assert!(!fields.is_empty(), "no form of {action}: {}", page.text);
        drop(parsed);
        fields.extend(typed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(action, &fields).await
    }
}

fn link(page: &Answer, selector: &str) -> String {
    let parsed = Html::parse_document(&page.text);
    let links = all(&parsed, selector);
    links
        .first()
        .and_then(|link| link.attr("href"))
        .unwrap_or_else(|| panic!("no {selector}: {}", page.text))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_without_scripts_finds_a_file_buys_it_and_reads_what_happened() {
    let town = Town::of(4).await;
    let path = town.file("lecture <b>on<b> hashing.bin", 300_000);
    town.peers[1].share_add(vec![path.clone()], 12, vec![], false).await.expect("shared");
    town.mint(2, 38).await;
    let person = Person::at(&town.peers[2]).await;

    let found = person.get("/search?words=hashing+lecture").await;
    assert!(found.text.contains("lecture &lt;b&gt;on&lt;b&gt; hashing.bin"), "{}", found.text);
    let question = person.get(&link(&found, "tbody a[data-ask]")).await;
    assert!(question.text.contains("26"), "what is left is told: {}", question.text);
    let bought = person.fill_in(&question, "/buy", &[]).await;
    assert_eq!((bought.status, &*bought.location), (StatusCode::SEE_OTHER, "/downloads/1"));
    let mut watch = town.peers[2].watch_download(1).expect("it is there");
    let ended = |view: &crate::app::view::DownloadView| view.state == DownloadState::Done && view.sales == 0;
    // A reload of the answer, or a second click, begins nothing.
    let again = person.fill_in(&question, "/buy", &[]).await;
    assert_eq!((again.status, &*again.location), (StatusCode::SEE_OTHER, "/downloads/1"));
    let path_there = watch.wait_for(ended).await.expect("it ends").path.clone();
    assert_eq!(std::fs::read(path_there).expect("there"), std::fs::read(path).expect("there"));
    let again = person.fill_in(&question, "/buy", &[]).await;
    assert_eq!((again.status, &*again.location), (StatusCode::SEE_OTHER, "/downloads/1"));
    assert_eq!(town.peers[2].downloads().len(), 1);
    assert_eq!(town.peers[2].wallet_view().expect("open").spendable, 26);
    let other = person.fill_in(&question, "/buy", &[("max_price", "99")]).await;
    assert!(other.text.contains("NP-INPUT-009"), "{}", other.text);
    let told = person.get("/downloads/1").await;
    for word in ["Quoted", "Ordered from peer-1", "Verified", "Receipt from peer-1", "In its place"] {
        assert!(told.text.contains(word), "{word} is not told: {}", told.text);
    }
    assert!(person.get("/downloads").await.text.contains("done"));

    let vendor = Person::at(&town.peers[1]).await;
    let sales = vendor.get("/sales").await;
    assert!(sales.text.contains("Redeem 12 coins") && sales.text.contains("hashing.bin"), "{}", sales.text);
    assert!(vendor.get("/files").await.text.contains("hashing.bin"));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_chooses_the_mode_and_takes_junk_to_the_broker() {
    let town = Town::trading(5, Fair::Auto).await;
    let (vendor, buyer) = (&town.peers[1], &town.peers[2]);
    let (one, dear) = (town.file("one.bin", 300_000), town.file("dear.bin", 20_000));
    vendor.share_add(vec![one], 12, vec![], false).await.expect("shared");
    vendor.share_add(vec![dear], 500, vec![], false).await.expect("shared");
    town.mint(2, 1000).await;
    let (person, seller) = (Person::at(buyer).await, Person::at(vendor).await);
    let question = async |words: &str| {
        while buyer.names_found(words).await.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        person.get(&link(&person.get(&format!("/search?words={words}")).await, "tbody a[data-ask]")).await
    };
    let offered = |page: &Answer| {
        let parsed = Html::parse_document(&page.text);
        let options = all(&parsed, "select[name=fair] option");
        options.iter().filter_map(|option| option.attr("value")).map(str::to_owned).collect::<Vec<_>>()
    };
    let dear = question("dear").await;
    assert_eq!(offered(&dear), ["auto", "always"], "plain mode would risk too much");
    assert!(!dear.text.contains("plain mode"), "{}", dear.text);
    let one = question("one").await;
    assert_eq!(offered(&one), ["auto", "always", "never"]);
    assert!(one.text.contains("Automatic: in fair mode"), "nothing was bought there before: {}", one.text);
    assert_eq!(person.fill_in(&one, "/buy", &[("fair", "often")]).await.status, StatusCode::BAD_REQUEST);
    let one = question("one").await;
    let bought = person.fill_in(&one, "/buy", &[("fair", "never")]).await;
    assert_eq!(bought.status, StatusCode::SEE_OTHER, "{}", bought.text);
    buyer.settled(1).await;
    let told = person.get("/downloads/1").await.text;
    assert!(told.contains("Ordered from peer-1") && !told.contains("Deal with"), "{told}");
    let bought = person.fill_in(&dear, "/buy", &[("fair", "auto")]).await;
    assert_eq!(&*bought.location, "/downloads/2");
    buyer.settled(2).await;
    let told = person.get("/downloads/2").await.text;
    for word in ["Asked peer-1 for a deal", "Deal with peer-1", "In its place"] {
        assert!(told.contains(word), "{word} is not told: {told}");
    }

    town.bank(0);
    let refused = seller.post("/sales/redeem", &[("csrf", SECRET), ("key", "r1")]).await;
    assert_eq!(refused.status, StatusCode::SEE_OTHER, "{}", refused.text);
    let sales = seller.get(&refused.location).await.text;
    assert!(sales.contains("12 coins paid into your account. 500 coins are held until"), "{sales}");
    assert!(sales.contains("fair sales can be disputed for a day") && !sales.contains("Redeem 5"), "{sales}");

    town.is_sold_junk(2, 1, 2).await;
    let page = person.get("/downloads").await;
    assert!(page.text.contains("Disputes") && page.text.contains("dear.bin"), "{}", page.text);
    let judged = person.post("/downloads/2/dispute", &[("csrf", SECRET)]).await;
    let page = person.get(&judged.location).await.text;
    assert!(page.contains("The broker convicted the vendor.") && page.contains("In dispute"), "{page}");
    assert!(page.contains("peer-1 is convicted"), "{page}");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_from_elsewhere_changes_nothing() {
    let town = Town::of(1).await;
    let node = &town.peers[0];
    let path = town.file("song.mp3", 1000);
    let shared = node.share_add(vec![path], 1, vec![], false).await.expect("shared");
    let person = Person::at(node).await;
    let remove = format!("/files/{}/remove", shared[0].id);
    for (action, fields) in [
        (&*remove, &[("csrf", "a guess")][..]),
        (&*remove, &[]),
        ("/downloads/1/dispute", &[]),
        ("/settings", &[("csrf", ""), ("name", "mallory")]),
        ("/wallet/lock", &[]),
        ("/settings/stop", &[]),
    ] {
        assert_eq!(person.post(action, fields).await.status, StatusCode::FORBIDDEN, "{action}");
    }
    assert_eq!(node.share_list().await.expect("listed").len(), 1);
    assert!(node.wallet_view().is_ok());
    assert!(!node.home().config().exists());
    let removed = person.post(&remove, &[("csrf", SECRET)]).await;
    assert_eq!(removed.status, StatusCode::SEE_OTHER);
    assert!(person.get(&removed.location).await.text.contains("No longer offered"));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_is_there_again_when_it_is_refused() {
    let town = Town::of(1).await;
    let person = Person::at(&town.peers[0]).await;
    let page = person.get("/files").await;
    let refused = person
        .fill_in(&page, "/files", &[("path", "music/song.mp3"), ("price", "7"), ("tags", "a, b")])
        .await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let parsed = Html::parse_document(&refused.text);
    for (name, value) in [("path", "music/song.mp3"), ("price", "7"), ("tags", "a, b")] {
        assert_eq!(all(&parsed, &format!("#f-{name}"))[0].attr("value"), Some(value));
    }
    assert!(refused.text.contains("NP-SHARE-001"));
    drop(parsed);

    let page = person.get("/settings").await;
    let refused = person
        .fill_in(
            &page,
            "/settings",
            &[("name", "ann"), ("p0", "0"), ("redeem.daily", "true"), ("mdns", "true"), ("quic", "true")],
        )
        .await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        refused.text.contains("NP-CONFIG-003") && refused.text.contains("value=\"ann\""),
        "{}",
        refused.text
    );
    assert!(!town.peers[0].home().config().exists(), "nothing is written unless all of it is right");
    let saved = person
        .fill_in(
            &refused,
            "/settings",
            &[("p0", "12"), ("redeem.daily", "true"), ("mdns", "true"), ("quic", "true")],
        )
        .await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let kept = std::fs::read_to_string(town.peers[0].home().config()).expect("written");
    assert!(kept.contains("p0 = 12") && kept.contains("name = \"ann\""), "{kept}");
    town.stop().await;
}

/// A form with a file in it, as a browser sends it.
fn multipart(fields: &[(&str, &str)], file: (&str, &str)) -> (String, &'static str) {
    let mut body = String::new();
    for (name, value) in fields {
        body.push_str(&format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    }
    let (name, text) = file;
    body.push_str(&format!(
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{text}\r\n--x--\r\n"
    ));
    (body, "multipart/form-data; boundary=x")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_file_lands_in_the_shared_folder_and_nowhere_else() {
    let town = Town::of(1).await;
    let node = &town.peers[0];
    let person = Person::at(node).await;
    let send = async |fields: &[(&str, &str)], file| {
        let (body, kind) = multipart(fields, file);
        let request =
            person.http.post(format!("{}/files/upload", person.base)).header(CONTENT_TYPE, kind).body(body);
        person.answer(request).await
    };
    let ours = [("csrf", SECRET), ("upload_price", "3")];
    let sent = send(&ours, ("../../..\\evil/.bashrc", "hello")).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.text);
    let again = send(&ours, ("bashrc", "another")).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER, "{}", again.text);
    let kept = |directory: &std::path::Path| {
        let entries = std::fs::read_dir(directory).map(|entries| {
            entries.flatten().map(|entry| entry.file_name().into_string().expect("UTF-8")).collect::<Vec<_>>()
        });
        let mut entries = entries.unwrap_or_default();
        entries.sort();
        entries
    };
    assert_eq!(kept(&node.home().shared()), ["bashrc", "bashrc (1)"]);
    for (fields, file) in [
        (&[("csrf", "a guess"), ("upload_price", "3")][..], ("a", "x")),
        (&[("upload_price", "3")], ("a", "x")),
        (&[("csrf", SECRET)], ("a", "x")),
        (&[("csrf", SECRET), ("upload_price", "many")], ("a", "x")),
        (&ours, ("empty", "")),
    ] {
        assert!(send(fields, file).await.status.is_client_error());
    }
    assert_eq!(kept(&node.home().shared()).len(), 2);
    assert!(kept(&node.home().partial()).is_empty(), "nothing is left of what was refused");
    let shared = node.share_list().await.expect("listed");
    assert_eq!(shared.iter().map(|file| (file.price, file.size)).collect::<Vec<_>>(), [(3, 5), (3, 7)]);

    let mut large = node.upload("large.bin").await.expect("begun");
    let block = vec![0; 1 << 20];
    large.write(&block).await.expect("it fits");
    drop(large);
    assert!(kept(&node.home().partial()).is_empty(), "nothing is left of what broke off");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_nothing_at_it_has_a_page_that_says_so() {
    let town = Town::of(1).await;
    let person = Person::at(&town.peers[0]).await;
    for path in
        ["/nothing", "/downloads/99", "/downloads/x", "/wallet/retire?id=00", "/files/00/remove", "/peers/zz"]
    {
        let answer = person.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.text.contains("<h1>"), "{path} is a page");
    }
    for path in
        ["/", "/search", "/downloads", "/files", "/sales", "/wallet", "/peers", "/settings", "/settings/stop"]
    {
        assert_eq!(person.get(path).await.status, StatusCode::OK, "{path}");
    }
    for path in ["/downloads?at=many", "/files?at=-1"] {
        let answer = person.get(path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.text.contains("<h1>"), "{path} is a page");
    }
    let live = person.get("/live/status").await;
    assert!(live.status.is_success() && !live.text.contains("<html"), "a part of a page: {}", live.text);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_of_ten_thousand_files_and_sales_is_shown_fifty_at_a_time() {
    let town = Town::of(1).await;
    let node = &town.peers[0];
    node.pretend_sales(10_000).await;
    let person = Person::at(node).await;
    let mut path = "/sales".to_owned();
    for page in 0..3 {
        let sales = person.get(&path).await;
        let parsed = Html::parse_document(&sales.text);
        let rows = all(&parsed, "#list ~ .scroll tbody tr").len();
        assert_eq!(rows, 50, "page {page}");
        assert!(sales.text.contains("10,000"), "all are summed up");
        let next = all(&parsed, "a[rel=next]")[0].attr("href").expect("an address").to_owned();
        path = next.trim_end_matches("#list").to_owned();
    }
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_pages_are_kept_by_browsers_until_they_change() {
    let town = Town::of(1).await;
    let person = Person::at(&town.peers[0]).await;
    for name in ["style.css", "app.js", "htmx.min.js", "icons.svg", "mark.svg"] {
        let address = format!("{}{}", person.base, crate::ui::assets::url(name));
        let first = person.http.get(&address).send().await.expect("an answer");
        assert_eq!(first.status(), StatusCode::OK, "{name}");
        let header =
            |name| first.headers().get(name).and_then(|value| value.to_str().ok()).expect("it is sent");
        assert!(header("cache-control").contains("immutable"), "{name}");
        let tag = header("etag").to_owned();
        let again = person.http.get(&address).header("if-none-match", tag).send().await.expect("an answer");
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{name}");
    }
    let none =
        person.http.get(format!("{}/assets/identity.key", person.base)).send().await.expect("an answer");
    assert_eq!(none.status(), StatusCode::NOT_FOUND);
    town.stop().await;
}
