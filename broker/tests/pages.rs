//! A broker that runs, and browsers and programs at its two doors: the public's and the operator's.

#[path = "../../node/src/ui/tests/holds.rs"]
#[allow(dead_code, reason = "each test uses its own part")]
mod holds;
mod town;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use holds::{HOSTILE, all, harmless, holds};
use netpay_broker::home::{BrokerHome, Settings};
use netpay_broker::ledger::HELD_FOR;
use netpay_broker::run::{Config, Running, run};
use netpay_core::amount::Coins;
use netpay_core::codec::{self, List, Text};
use netpay_core::fair::judge::{self, Junk};
use netpay_core::keys::SecretKey;
use netpay_core::record::chain::{Ack, Certificate, Evidence};
use netpay_core::time::{DAY, Time};
use netpay_core::wire::bank::{BankReply, BankRequest, Claim, Payout, Register, SignIn, VoucherCode};
use reqwest::header::{COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use scraper::Html;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;
use town::fair::{Sale, accuses};
use town::{Bought, MORNING, Person, broker_key, network};

/// A bank that runs, with a clock of its own.
struct Bank {
    running: Running,
    clock: Arc<AtomicU64>,
    http: Client,
    token: String,
    read: String,
    _home: TempDir,
}

/// The node key of the bank, which is the only witness.
fn node_key() -> SecretKey {
    SecretKey::from_seed(&[78; 32])
}

/// What came back.
struct Answer {
    status: StatusCode,
    location: String,
    cookie: String,
    text: String,
}

impl Bank {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let home = BrokerHome::at(directory.path().join("bank"));
        let mut settings = Settings::new("town", "Town bank", "clerk@example.org");
        settings.web_url = "https://bank.example.org".to_owned();
        home.init_with(&settings, &[77; 32], &[78; 32]).expect("a new broker");
        let clock = Arc::new(AtomicU64::new(MORNING));
        let told = clock.clone();
        let mut config = Config::new(home.path());
        config.listen = Some(vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")]);
        config.clock = Arc::new(move || Time(told.load(Ordering::Relaxed)));
        let running = run(config).await.expect("it starts");
        // Links from the second of the start are refused.
        clock.fetch_add(1, Ordering::Relaxed);
        let read = |path| std::fs::read_to_string(path).expect("a token").trim().to_owned();
        let (token, read) = (read(home.home().api_token()), read(home.home().read_token()));
        let http = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self { running, clock, http: http.build().expect("a client"), token, read, _home: directory }
    }

    fn now(&self) -> Time {
        Time(self.clock.load(Ordering::Relaxed))
    }

    /// At the operator's door.
    fn desk(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.running.api_addr))
    }

    /// At the public's door.
    fn front(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("http://{}{path}", self.running.web_addr))
    }

    async fn program(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = self.desk(method, &format!("/api/v1{path}")).bearer_auth(&self.token);
        let request = match body {
            Some(body) => request.header("idempotency-key", "k1").json(&body),
            None => request,
        };
        let response = request.send().await.expect("an answer");
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }

    /// Signs the operator in; returns the cookie.
    async fn operator(&self) -> String {
        let entered = answer(self.http.get(self.running.link())).await;
        assert_eq!((entered.status, &*entered.location), (StatusCode::SEE_OTHER, "/"));
        assert!(entered.cookie.contains("HttpOnly") && entered.cookie.contains("SameSite=Strict"));
        pair(&entered.cookie)
    }

    async fn page(&self, cookie: &str, path: &str) -> Answer {
        let page = answer(self.desk(Method::GET, path).header(COOKIE, cookie)).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
        page
    }

    /// Sends the form of a page as it stands, with some fields filled in.
    async fn fill_in(&self, cookie: &str, page: &Answer, action: &str, typed: &[(&str, &str)]) -> Answer {
        let (method, fields) = form(page, action);
        let fields: BTreeMap<String, String> = fields
            .into_iter()
            .chain(typed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
            .collect();
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(&fields);
        let request = if method == "post" {
            let kind = ("content-type", "application/x-www-form-urlencoded");
            self.desk(Method::POST, action).header(kind.0, kind.1).body(body.finish())
        } else {
            self.desk(Method::GET, &format!("{action}?{}", body.finish()))
        };
        answer(request.header(COOKIE, cookie)).await
    }

    async fn ask(&self, person: &Person, request: BankRequest) -> BankReply {
        self.running.bank().answer(person.node.public(), request).await
    }

    /// A member of this name, with so many coins.
    async fn member(&self, number: u64, name: &str, coins: u64) -> Person {
        let person = Person::new(number);
        let voucher = (coins > 0).then(|| self.voucher(number));
        if let Some(code) = voucher {
            let vouchers = vec![(netpay_broker::ledger::VoucherId::of(&code), Coins(coins))];
            let issue = netpay_broker::ledger::Command::IssueVouchers { vouchers };
            self.running.bank().run(issue).await.expect("sold");
        }
        let register =
            Register { account: person.id(), node: person.node.public(), name: Text::cut(name), voucher };
        let register = BankRequest::Register(person.account.sign(&network(), register).wire());
        assert!(matches!(self.ask(&person, register).await, BankReply::Account(_)));
        person
    }

    fn voucher(&self, number: u64) -> VoucherCode {
        VoucherCode(std::array::from_fn(|at| number.to_le_bytes()[at % 8]))
    }

    async fn sold(&self, buyer: &Person, n: u32) -> Bought {
        let reply = self.ask(buyer, buyer.buy(1, n)).await;
        buyer.unpack(1, &reply)
    }

    /// The link that a member's peer makes.
    fn link(&self, person: &Person, change: impl FnOnce(&mut SignIn)) -> String {
        let (account, broker) = (person.id(), broker_key().public());
        let mut pass =
            SignIn { account, broker, at: self.now(), nonce: person.secret[..16].try_into().expect("16") };
        change(&mut pass);
        let pass = codec::encode(&person.account.sign(&network(), pass).wire());
        format!("/account/enter?pass={}", BASE64URL_NOPAD.encode(&pass))
    }
}

fn certified(bought: &Bought, claim: &Claim) -> Claim {
    let object = claim.close.hash(&network());
    let ack = Ack { chain: bought.id(), object }.sign(&network(), &node_key());
    Claim { certificate: Some(Certificate { object, acks: List::first_of([(0, ack)]) }), ..claim.clone() }
}

fn pair(cookie: &str) -> String {
    cookie.split(';').next().expect("a pair").to_owned()
}

async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let header = |name| {
        response.headers().get(&name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let policy = header(reqwest::header::CONTENT_SECURITY_POLICY);
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
    let (status, location, cookie) = (response.status(), header(LOCATION), header(SET_COOKIE));
    let text = response.text().await.expect("a body");
    if text.starts_with("<!DOCTYPE") {
        holds(&location, &text);
        harmless(&location, &text);
    }
    Answer { status, location, cookie, text }
}

fn form(page: &Answer, action: &str) -> (String, Vec<(String, String)>) {
    let parsed = Html::parse_document(&page.text);
    let forms = all(&parsed, &format!("form[action='{action}']"));
    let method = forms
        .first()
        .and_then(|form| form.attr("method"))
        .unwrap_or_else(|| panic!("no {action}: {}", page.text));
    let inputs = all(&parsed, &format!("form[action='{action}'] input"));
    let field = |name: &str| name.to_owned();
    let fields = inputs.iter().map(|input| {
        (field(input.attr("name").unwrap_or_default()), field(input.attr("value").unwrap_or_default()))
    });
    (method.to_owned(), fields.collect())
}

fn rows(page: &Answer) -> usize {
    all(&Html::parse_document(&page.text), "tbody tr").len()
}

fn next(page: &Answer) -> Option<String> {
    let parsed = Html::parse_document(&page.text);
    all(&parsed, "a[rel=next]").first().and_then(|link| link.attr("href")).map(str::to_owned)
}

async fn status(request: RequestBuilder) -> StatusCode {
    request.send().await.expect("an answer").status()
}

/// The status and the code that a program is refused with.
async fn refused(request: RequestBuilder) -> (u16, String) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let problem: Value = response.json().await.expect("a problem document");
    assert!(!problem["why"].as_str().expect("why").is_empty() && problem["fix"].is_string(), "{problem}");
    (status, problem["code"].as_str().expect("a code").to_owned())
}

/// Every place of the operator's.
const PLACES: [&str; 12] = [
    "/accounts",
    "/chains",
    "/redemptions",
    "/payouts",
    "/payouts/export",
    "/disputes",
    "/books",
    "/books/export",
    "/books/backup",
    "/vouchers",
    "/vouchers/new",
    "/login",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_public_is_told_the_terms_and_shown_nothing_of_the_operators() {
    let bank = Bank::new().await;
    let home = answer(bank.front("/")).await;
    for word in
        ["Town bank", "clerk@example.org", "14 days", "7 days", "a day after", "falsely costs 10 coins"]
    {
        assert!(home.text.contains(word), "{word} is not told");
    }
    assert!(home.text.contains(&bank.running.invite.to_string()) && home.text.contains("svg class=\"qr\""));
    for path in ["/register", "/software"] {
        assert_eq!(answer(bank.front(path)).await.status, StatusCode::OK, "{path}");
    }
    let described: Value = bank.program(Method::GET, "/openapi.json", None).await.1;
    let routes = described["paths"].as_object().expect("paths").keys().map(|path| format!("/api/v1{path}"));
    let others = ["/metrics", "/readyz", "/api/v1/openapi.json", "/logout"].map(str::to_owned);
    let cookie = bank.operator().await;
    for path in routes.chain(others).chain(PLACES.map(str::to_owned)) {
        for method in [Method::GET, Method::POST] {
            let address = format!("http://{}{path}", bank.running.web_addr);
            let asked = bank.http.request(method.clone(), address).bearer_auth(&bank.token);
            let there = status(asked.header(COOKIE, &cookie)).await;
            assert_eq!(there, StatusCode::NOT_FOUND, "{method} {path} is at the public's door");
        }
    }
    bank.running.shutdown().await.expect("in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_pages_ask_who_is_there() {
    let bank = Bank::new().await;
    for path in PLACES.iter().filter(|path| **path != "/login").chain(["/", "/nothing"].iter()) {
        let nobody = answer(bank.desk(Method::GET, path)).await;
        assert_eq!(nobody.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(nobody.text.contains("netpay-broker open"), "{path}");
        // Tokens are for programs: pages ask for a person.
        let program = bank.desk(Method::GET, path).bearer_auth(&bank.token);
        assert_eq!(status(program).await, StatusCode::UNAUTHORIZED, "{path}");
    }
    let link = bank.program(Method::POST, "/login-links", Some(json!({}))).await.1;
    let link = link["url"].as_str().expect("a link").to_owned();
    assert_eq!(answer(bank.http.get(&link)).await.status, StatusCode::SEE_OTHER);
    let again = answer(bank.http.get(&link)).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    assert!(again.text.contains("NP-DAEMON-007") && again.text.contains("netpay-broker open"));
    let cookie = bank.operator().await;
    for path in PLACES.iter().chain(["/"].iter()).filter(|path| !path.contains("/new")) {
        assert_eq!(
            status(bank.desk(Method::GET, path).header(COOKIE, &cookie)).await,
            StatusCode::OK,
            "{path}"
        );
    }
    let nothing = answer(bank.desk(Method::GET, "/nothing").header(COOKIE, &cookie)).await;
    assert_eq!(nothing.status, StatusCode::NOT_FOUND);
    let out = bank.fill_in(&cookie, &bank.page(&cookie, "/").await, "/logout", &[]).await;
    assert_eq!((out.status, &*out.location), (StatusCode::SEE_OTHER, "/login"));
    assert_eq!(status(bank.desk(Method::GET, "/").header(COOKIE, &cookie)).await, StatusCode::UNAUTHORIZED);
    bank.running.shutdown().await.expect("in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_pages_in_the_browser_and_other_names_get_nothing_done() {
    let bank = Bank::new().await;
    let cookie = bank.operator().await;
    for host in ["127.0.0.1.evil.example", "evil.example", "localhost.evil.example", "bank.example.org"] {
        let asked = bank.desk(Method::GET, "/api/v1/status").bearer_auth(&bank.token).header(HOST, host);
        assert_eq!(refused(asked).await, (403, "NP-BROKER-031".to_owned()), "{host}");
        let page = bank.desk(Method::GET, "/").header(COOKIE, &cookie).header(HOST, host);
        assert_eq!(status(page).await, StatusCode::FORBIDDEN, "{host}");
    }
    for host in ["evil.example", "bank.example.org.evil.example"] {
        let front = answer(bank.front("/").header(HOST, host)).await;
        assert!(front.status == StatusCode::FORBIDDEN && front.text.contains("NP-BROKER-031"), "{host}");
    }
    assert_eq!(status(bank.front("/").header(HOST, "bank.example.org")).await, StatusCode::OK);

    let ann = bank.member(1, "Ann", 0).await;
    let freeze = format!("/accounts/{}/freeze", ann.id());
    let asked = bank.page(&cookie, &format!("{freeze}?why=x")).await;
    let (_, fields) = form(&asked, &freeze);
    let csrf = &fields.iter().find(|(name, _)| name == "csrf").expect("a secret").1;
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let post = |secret: &str| {
        let request = bank.desk(Method::POST, &freeze).header(COOKIE, &cookie).header(kind.0, kind.1);
        request.body(format!("csrf={secret}&why=x"))
    };
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        assert_eq!(refused(post(csrf).header(ORIGIN, origin)).await.0, 403, "{origin}");
    }
    for site in ["cross-site", "same-site"] {
        assert_eq!(refused(post(csrf).header("sec-fetch-site", site)).await.0, 403, "{site}");
    }
    for secret in ["", "guess"] {
        assert_eq!(status(post(secret)).await, StatusCode::FORBIDDEN, "{secret}");
    }
    // Its session's secret is asked for by the API too.
    let stop = || bank.desk(Method::POST, "/api/v1/stop").header(COOKIE, &cookie);
    assert_eq!(refused(stop()).await, (403, "NP-DAEMON-011".to_owned()));
    assert_eq!(refused(stop().header("x-csrf-token", "guess")).await.0, 403);
    let (_, view) = bank.program(Method::GET, &format!("/accounts/{}", ann.id()), None).await;
    assert!(view["frozen"].is_null(), "{view}");
    let own = post(csrf).header(ORIGIN, format!("http://{}", bank.running.api_addr));
    assert_eq!(status(own).await, StatusCode::SEE_OTHER);
    let (_, view) = bank.program(Method::GET, &format!("/accounts/{}", ann.id()), None).await;
    assert_eq!(view["frozen"], "x");
    bank.running.shutdown().await.expect("in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_need_the_token_and_find_everything_described() {
    let bank = Bank::new().await;
    let status_at = || bank.desk(Method::GET, "/api/v1/status");
    assert_eq!(refused(status_at()).await, (401, "NP-BROKER-030".to_owned()));
    assert_eq!(refused(status_at().bearer_auth("guess")).await.0, 401);
    assert_eq!(status(status_at().bearer_auth(&bank.read)).await, StatusCode::OK);
    let stop = bank.desk(Method::POST, "/api/v1/stop").bearer_auth(&bank.read);
    assert_eq!(refused(stop).await, (403, "NP-DAEMON-012".to_owned()));
    assert_eq!(refused(bank.desk(Method::GET, "/api/v1/openapi.json")).await.0, 401);

    let (_, described) = bank.program(Method::GET, "/openapi.json", None).await;
    let paths = described["paths"].as_object().expect("paths");
    assert_eq!(paths.len(), 20, "whoever adds a route describes it: {paths:?}");
    for (path, methods) in paths {
        for (method, about) in methods.as_object().expect("methods") {
            assert!(
                about["summary"].as_str().is_some_and(|text| text.ends_with('.')),
                "{method} {path}: {about}"
            );
            let answers = &about["responses"];
            assert!(answers["200"].is_object() && answers["default"].is_object(), "{method} {path}");
            // Whoever is nobody is told so there, and not that there is nothing.
            let address = format!("/api/v1{}", path.replace(['{', '}'], ""));
            let asked = bank.desk(method.to_uppercase().parse().expect("a method"), &address);
            assert_eq!(refused(asked).await, (401, "NP-BROKER-030".to_owned()), "{method} {path}");
        }
    }
    let fields = |value: &Value| value.as_object().expect("fields").keys().cloned().collect::<Vec<_>>();
    let (_, told) = bank.program(Method::GET, "/status", None).await;
    let schemas = &described["components"]["schemas"];
    assert_eq!(fields(&told), fields(&schemas["StatusView"]["properties"]));
    assert_eq!(told["pages"], "https://bank.example.org");
    assert_eq!((&told["held_for"], &told["false_accusation"]), (&json!(HELD_FOR), &json!(10)));
    // A refusal has the fields that are described, and no others.
    let problem = &described["paths"]["/vouchers"]["post"]["responses"]["default"];
    let problem = &problem["content"]["application/problem+json"]["schema"]["properties"];
    let (_, refusal) = bank.program(Method::GET, "/nothing", None).await;
    assert_eq!(fields(&refusal), fields(problem));
    let text = described.to_string();
    for name in text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(schemas[name].is_object(), "{name} is not described");
    }

    // A sale is made once under its key, and nonsense is one clear problem.
    let sale = || bank.program(Method::POST, "/vouchers", Some(json!({ "value": 25, "count": 2 })));
    assert_eq!(sale().await, sale().await);
    assert_eq!(bank.program(Method::GET, "/status", None).await.1["vouchers_sold"], 2);
    let unnamed = bank.desk(Method::POST, "/api/v1/vouchers").bearer_auth(&bank.token);
    assert_eq!(refused(unnamed.json(&json!({ "value": 25 }))).await, (400, "NP-BROKER-033".to_owned()));
    for body in [json!([]), json!({ "value": -1 }), json!({ "value": 1, "colour": "red" })] {
        let asked = bank.desk(Method::POST, "/api/v1/vouchers").bearer_auth(&bank.token).json(&body);
        assert_eq!(refused(asked).await, (400, "NP-INPUT-005".to_owned()), "{body}");
    }
    for path in [
        "/accounts?after=x",
        "/chains?after=x",
        "/redemptions?after=1-2",
        "/payouts?after=x",
        "/disputes?after=x",
    ] {
        assert_eq!(bank.program(Method::GET, path, None).await.0, 400, "{path}");
    }
    assert_eq!(bank.program(Method::GET, "/nothing", None).await.0, 404);

    assert_eq!(status(bank.desk(Method::GET, "/healthz")).await, StatusCode::OK);
    assert_eq!(status(bank.desk(Method::GET, "/readyz")).await, StatusCode::OK);
    assert_eq!(refused(bank.desk(Method::GET, "/metrics")).await.0, 401);
    bank.member(1, "Ann", 0).await;
    let figures = bank.desk(Method::GET, "/metrics").bearer_auth(&bank.read).send().await.expect("an answer");
    let figures = figures.text().await.expect("text");
    for line in [
        "netpay_bank_requests_total{kind=\"register\"} 1",
        "netpay_bank_requests_total{kind=\"buy\"} 0",
        "netpay_bank_coins_issued_total 0",
        "netpay_bank_coins_redeemed_total 0",
        "netpay_bank_coins_outstanding 0",
        "netpay_bank_journal_sequence 2",
        "netpay_bank_books_balance 1",
        "libp2p_",
    ] {
        assert!(figures.contains(line), "{line} is missing: {figures}");
    }
    assert_eq!(figures.matches("# EOF").count(), 1);
    bank.running.shutdown().await.expect("in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_only_look_does_not_get_the_banks_keys() {
    let bank = Bank::new().await;
    let save = |method: Method, token: &str| bank.desk(method, "/api/v1/backup").bearer_auth(token);
    assert_eq!(refused(save(Method::POST, &bank.read)).await, (403, "NP-DAEMON-012".to_owned()));
    assert_eq!(refused(save(Method::GET, &bank.read)).await.0, 405);
    let saved = save(Method::POST, &bank.token).send().await.expect("an answer");
    assert_eq!(saved.status(), StatusCode::OK);
    assert!(!saved.bytes().await.expect("whole").is_empty());
    bank.running.shutdown().await.expect("in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_under_which_vouchers_were_sold_sells_no_others() {
    let bank = Bank::new().await;
    let sale = |value: u64, count: u64| {
        bank.program(Method::POST, "/vouchers", Some(json!({ "value": value, "count": count })))
    };
    let (status, sold) = sale(25, 2).await;
    assert_eq!(status, 200, "{sold}");
    for (value, count) in [(26, 2), (25, 3), (25, 1), (26, 1)] {
        let (status, refused) = sale(value, count).await;
        assert!((400..500).contains(&status), "{value} times {count}: {refused}");
    }
    assert_eq!(sale(25, 2).await, (200, sold));
    assert_eq!(bank.program(Method::GET, "/status", None).await.1["vouchers_sold"], 2);
    bank.running.shutdown().await.expect("in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_and_people_are_told_clearly_what_cannot_be_taken() {
    let bank = Bank::new().await;
    let ann = bank.member(1, "Ann", 100).await;
    let payout = Payout { account: ann.id(), number: [7; 16], coins: Coins(30), to: Text::cut("DE02") };
    let asked = BankRequest::Payout(ann.account.sign(&network(), payout).wire());
    assert!(matches!(bank.ask(&ann, asked).await, BankReply::Account(_)));
    let paid = format!("/payouts/{}/{}/paid", ann.id(), "07".repeat(16));
    let (freeze, credit) =
        (format!("/accounts/{}/freeze", ann.id()), format!("/accounts/{}/credit", ann.id()));
    let long = "x".repeat(81);
    for (path, body) in [
        (&paid, json!({ "reference": "" })),
        (&paid, json!({ "reference": " " })),
        (&paid, json!({ "reference": long })),
        (&freeze, json!({ "why": "" })),
        (&freeze, json!({ "why": long })),
        (&credit, json!({ "coins": 1, "note": long })),
    ] {
        let (status, refused) = bank.program(Method::POST, path, Some(body.clone())).await;
        assert_eq!((status, &refused["code"]), (400, &json!("NP-BROKER-033")), "{path} {body}");
    }
    let (_, view) = bank.program(Method::GET, &format!("/accounts/{}", ann.id()), None).await;
    assert!(view["frozen"].is_null() && view["balance"] == 70, "{view}");
    assert_eq!(bank.program(Method::GET, "/accounts/%ff", None).await.0, 400);
    assert_eq!(bank.program(Method::PUT, "/status", None).await.0, 405);
    let cookie = bank.operator().await;
    let shown = answer(bank.desk(Method::GET, "/accounts/%ff").header(COOKIE, &cookie)).await;
    assert_eq!(shown.status, StatusCode::BAD_REQUEST);
    assert!(shown.text.contains("NP-INPUT-005"), "{}", shown.text);
    for path in ["/account/enter?pass=a&pass=b", "/account/lines?before=1&before=2", "/account/%ff"] {
        let shown = answer(bank.front(path)).await;
        assert_eq!(shown.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(shown.text.contains("<h1") && shown.text.contains("NP-INPUT-005"), "{path}: {}", shown.text);
    }
    bank.running.shutdown().await.expect("in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_let_in_by_the_link_of_its_peer_and_sees_its_own_account() {
    let bank = Bank::new().await;
    let ann = bank.member(1, HOSTILE, 100).await;
    let bob = bank.member(2, "Bob", 7).await;
    bank.sold(&ann, 40).await;
    for path in ["/account", "/account/chains"] {
        let nobody = answer(bank.front(path)).await;
        assert_eq!(nobody.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(nobody.text.contains("netpay broker open"));
    }
    let tried = async |link: &str| {
        let page = answer(bank.front(link)).await;
        assert!(page.cookie.is_empty() && page.text.contains("NP-BROKER-035"), "{}", page.text);
        assert_eq!(page.status, StatusCode::UNAUTHORIZED);
        page.text
    };
    let stranger = Person::new(9);
    assert!(tried(&bank.link(&stranger, |_| ())).await.contains("no account"));
    assert!(tried(&bank.link(&ann, |pass| pass.broker = ann.id())).await.contains("another broker"));
    // Signed by Bob, for Ann's account.
    assert!(tried(&bank.link(&bob, |pass| pass.account = ann.id())).await.contains("signature"));
    assert!(tried("/account/enter?pass=%3Cscript%3E").await.contains("not whole"));
    assert!(tried("/account/enter").await.contains("not whole"));
    let late = bank.link(&bob, |_| ());
    bank.clock.fetch_add(61, Ordering::Relaxed);
    assert!(tried(&late).await.contains("older"));

    let link = bank.link(&ann, |_| ());
    let entered = answer(bank.front(&link)).await;
    assert_eq!(entered.status, StatusCode::OK);
    assert!(
        entered.cookie.contains("HttpOnly") && entered.cookie.contains("SameSite=Strict"),
        "{}",
        entered.cookie
    );
    assert!(tried(&link).await.contains("used before"));
    let cookie = pair(&entered.cookie);
    let own = answer(bank.front("/account").header(COOKIE, &cookie)).await;
    assert_eq!(own.status, StatusCode::OK);
    for word in ["60", "bought 40 coins", "voucher paid in", &ann.id().to_string(), "open"] {
        assert!(own.text.contains(word), "{word} is not told: {}", own.text);
    }
    assert!(!own.text.contains(&bob.id().to_string()), "another's account is shown");
    for list in ["statement", "chains", "redemptions"] {
        let list = bank.front(&format!("/account/{list}")).header(COOKIE, &cookie);
        assert_eq!(status(list).await, StatusCode::OK);
    }
    assert_eq!(status(bank.front("/account/keys").header(COOKIE, &cookie)).await, StatusCode::NOT_FOUND);
    // It is an owner's cookie, not the operator's.
    assert_eq!(status(bank.desk(Method::GET, "/").header(COOKIE, &cookie)).await, StatusCode::UNAUTHORIZED);
    let account = ann.id();
    let freeze = netpay_broker::ledger::Command::Freeze { account, why: Text::cut("ask <b>the</b> clerk") };
    bank.running.bank().run(freeze).await.expect("frozen");
    let frozen = answer(bank.front("/account").header(COOKIE, &cookie)).await;
    assert!(frozen.text.contains("This account is frozen") && frozen.text.contains("ask &lt;b&gt;the"));

    let leave = |secret: &str| {
        let address = format!("http://{}/account/leave", bank.running.web_addr);
        let request = bank.http.post(address).header(COOKIE, &cookie);
        request.header("content-type", "application/x-www-form-urlencoded").body(format!("csrf={secret}"))
    };
    assert_eq!(status(leave("guess")).await, StatusCode::FORBIDDEN);
    let (_, fields) = form(&own, "/account/leave");
    let csrf = &fields.iter().find(|(name, _)| name == "csrf").expect("a secret").1;
    assert_eq!(status(leave(csrf)).await, StatusCode::SEE_OTHER);
    let out = bank.front("/account").header(COOKIE, &cookie);
    assert_eq!(status(out).await, StatusCode::UNAUTHORIZED);
    bank.running.shutdown().await.expect("in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_sells_credits_freezes_and_closes_by_forms_alone_and_each_once() {
    let bank = Bank::new().await;
    let cookie = bank.operator().await;
    let ann = bank.member(1, HOSTILE, 0).await;
    let place = format!("/accounts/{}", ann.id());
    let page = bank.page(&cookie, &place).await;
    let credit = format!("{place}/credit");
    let refused = bank.fill_in(&cookie, &page, &credit, &[("coins", "none"), ("note", "cash")]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text.contains("value=\"none\"") && refused.text.contains("value=\"cash\""));
    let question = bank.fill_in(&cookie, &page, &credit, &[("coins", "50"), ("note", HOSTILE)]).await;
    assert_eq!(question.status, StatusCode::OK);
    for _ in 0..2 {
        // A second click books nothing more.
        let booked = bank.fill_in(&cookie, &question, &credit, &[]).await;
        assert_eq!(booked.status, StatusCode::SEE_OTHER, "{}", booked.text);
        assert!(bank.page(&cookie, &booked.location).await.text.contains("Credited 50 coins."));
    }
    assert_eq!(bank.program(Method::GET, &place, None).await.1["balance"], 50);

    for (act, fields) in [("freeze", vec![("why", HOSTILE)]), ("unfreeze", vec![]), ("close", vec![])] {
        let mut page = bank.page(&cookie, &place).await;
        let action = format!("{place}/{act}");
        if act != "unfreeze" {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(fields);
            page = bank.page(&cookie, &format!("{action}?{}", query.finish())).await;
        }
        let done = bank.fill_in(&cookie, &page, &action, &[]).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{act}: {}", done.text);
    }
    let (_, view) = bank.program(Method::GET, &place, None).await;
    assert!(view["frozen"].is_null() && view["closed"].is_string(), "{view}");

    let page = bank.page(&cookie, "/vouchers").await;
    let question = bank.fill_in(&cookie, &page, "/vouchers/new", &[("value", "25"), ("count", "3")]).await;
    let made = bank.fill_in(&cookie, &question, "/vouchers", &[]).await;
    let codes = |page: &Answer| {
        let parsed = Html::parse_document(&page.text);
        all(&parsed, "main li code").iter().map(|code| code.text().collect::<String>()).collect::<Vec<_>>()
    };
    assert_eq!(codes(&made).len(), 3, "{}", made.text);
    assert_eq!(
        codes(&bank.fill_in(&cookie, &question, "/vouchers", &[]).await),
        codes(&made),
        "the same again"
    );
    assert_eq!(bank.program(Method::GET, "/status", None).await.1["vouchers_sold"], 3);
    assert!(codes(&bank.page(&cookie, "/vouchers").await).is_empty(), "they are shown once");
    let refused = bank.fill_in(&cookie, &question, "/vouchers", &[("count", "1001")]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);

    let books = bank.page(&cookie, "/books").await;
    let proven = bank.fill_in(&cookie, &books, "/books/check", &[]).await;
    assert!(
        proven.status.is_success() && proven.text.contains("Every record of the journal"),
        "{}",
        proven.text
    );
    let journal = answer(bank.desk(Method::GET, "/books/export").header(COOKIE, &cookie)).await;
    let records = bank.program(Method::GET, "/status", None).await.1["records"].as_u64().expect("a number");
    assert_eq!(journal.text.lines().count() as u64, records + 1, "each record, and the totals");
    let question = bank.page(&cookie, "/books/backup").await;
    let (_, fields) = form(&question, "/books/backup");
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(&fields);
    let saved = bank.desk(Method::POST, "/books/backup").header(COOKIE, &cookie);
    let saved = saved.header("content-type", "application/x-www-form-urlencoded").body(body.finish());
    let saved = saved.send().await.expect("an answer");
    assert!(saved.headers()["content-disposition"].to_str().expect("text").starts_with("attachment"));
    assert!(saved.bytes().await.expect("whole").len() > 500);
    bank.running.shutdown().await.expect("in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_is_made_and_noted_once() {
    let bank = Bank::new().await;
    let cookie = bank.operator().await;
    let ann = bank.member(1, "Ann", 100).await;
    let payout = Payout { account: ann.id(), number: [7; 16], coins: Coins(30), to: Text::cut(HOSTILE) };
    let asked = BankRequest::Payout(ann.account.sign(&network(), payout).wire());
    assert!(matches!(bank.ask(&ann, asked).await, BankReply::Account(_)));
    let page = bank.page(&cookie, "/payouts").await;
    assert_eq!(rows(&page), 1);
    let csv = answer(bank.desk(Method::GET, "/payouts/export").header(COOKIE, &cookie)).await.text;
    assert_eq!(csv.lines().count(), 2, "{csv}");
    let action = format!("/payouts/{}/{}/paid", ann.id(), "07".repeat(16));
    let ask = bank.page(&cookie, &action).await;
    let question = bank.fill_in(&cookie, &ask, &action, &[("reference", "SEPA 12")]).await;
    assert!(question.text.contains("Note that 30 coins were paid out?"), "{}", question.text);
    let noted = bank.fill_in(&cookie, &question, &action, &[]).await;
    assert_eq!(noted.status, StatusCode::SEE_OTHER, "{}", noted.text);
    assert_eq!(rows(&bank.page(&cookie, "/payouts").await), 0);
    let all = bank.page(&cookie, "/payouts?all=yes").await;
    assert!(rows(&all) == 1 && all.text.contains("SEPA 12"));
    let (_, listed) = bank.program(Method::GET, "/payouts?to_be_made=true", None).await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(0));
    assert_eq!(bank.program(Method::GET, "/payouts", None).await.1["items"][0]["reference"], "SEPA 12");
    bank.running.shutdown().await.expect("in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_are_listed_newest_first_and_both_sides_of_a_double_spend_are_shown() {
    let bank = Bank::new().await;
    let cookie = bank.operator().await;
    let (ann, vic, una) =
        (bank.member(1, "Ann", 100).await, bank.member(2, "Vic", 0).await, bank.member(3, HOSTILE, 0).await);
    let bought = bank.sold(&ann, 40).await;
    let first = certified(&bought, &vic.claim(&bought, 1, (0, 10, 16)));
    bank.ask(&vic, vic.redeem(vec![first.clone()])).await;
    let waits = una.claim(&bought, 2, (10, 15, 20));
    bank.ask(&una, una.redeem(vec![waits])).await;
    let page = bank.page(&cookie, "/redemptions").await;
    assert_eq!(rows(&page), 2);
    let paid = page.text.find("paid").expect("paid");
    assert!(page.text.find("waits for settlement").expect("waits") < paid, "the newest is first");
    let (_, listed) = bank.program(Method::GET, "/redemptions", None).await;
    let segments: Vec<_> =
        listed["items"].as_array().expect("items").iter().map(|item| &item["segment"]).collect();
    assert_eq!(segments, [2, 1]);
    let chain = bank.page(&cookie, &format!("/chains/{}", bought.id())).await;
    assert!(chain.text.contains("10 paid to vendors, 5 claimed, waiting, 25 left"), "{}", chain.text);
    assert_eq!(rows(&chain), 2);
    let of_vic = bank.page(&cookie, &format!("/accounts/{}/redemptions", vic.id())).await;
    assert_eq!(rows(&of_vic), 1);

    assert_eq!(rows(&bank.page(&cookie, "/disputes").await), 0);
    let other = una.claim(&bought, 1, (0, 10, 16)).open;
    let evidence = Evidence::TwoOpens { touchstone: bought.touchstone.wire(), one: first.open, other };
    assert_eq!(bank.ask(&una, BankRequest::Evidence(evidence)).await, BankReply::Noted);
    let disputes = bank.page(&cookie, "/disputes").await;
    assert!(rows(&disputes) == 1 && disputes.text.contains("Ann"), "{}", disputes.text);
    let dispute = bank.page(&cookie, &format!("/disputes/buyer-{}", bought.id())).await;
    for word in ["Side A", "Side B", "1 to 16", "of the journal", "paid"] {
        assert!(dispute.text.contains(word), "{word} is not told: {}", dispute.text);
    }
    let (_, told) = bank.program(Method::GET, &format!("/disputes/buyer-{}", bought.id()), None).await;
    assert_eq!(told["sides"].as_array().map(Vec::len), Some(2), "{told}");
    assert_eq!(bank.program(Method::GET, "/disputes/buyer-00", None).await.0, 404);
    let overview = bank.page(&cookie, "/").await;
    assert!(overview.text.contains("40") && overview.text.contains("Coins by day"), "{}", overview.text);
    bank.running.shutdown().await.expect("in order");
}

/// A buyer and a vendor of junk, which is accused, and of something right, which is accused too; and a buyer with not enough
/// left for the fee.
struct Disputed {
    bought: Bought,
    junk: Junk,
    verdict: Vec<u8>,
    right: Junk,
}

impl Bank {
    async fn disputed(&self, ann: &Person, vic: &Person, bob: &Person) -> Disputed {
        let bought = self.sold(ann, 40).await;
        let sale = Sale::of(vic, &bought, 1, 0);
        let claim = certified(&bought, &sale.claim(vic, &bought, 12));
        self.ask(vic, vic.redeem(vec![claim])).await;
        let (junk, right) = (sale.leaf(vic, &bought, false), sale.leaf(vic, &bought, true));
        assert!(matches!(self.ask(ann, accuses(ann, right.clone())).await, BankReply::Reject(_)));
        let BankReply::Judged(verdict) = self.ask(ann, accuses(ann, junk.clone())).await else {
            panic!("not judged")
        };
        let of_bob = self.sold(bob, 40).await;
        let nonsense = Sale::of(vic, &of_bob, 1, 0).leaf(vic, &of_bob, true);
        assert!(matches!(self.ask(bob, accuses(bob, nonsense)).await, BankReply::Reject(_)));
        Disputed { bought, junk, verdict: codec::encode(&verdict), right }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_of_junk_and_of_false_accusations_are_shown_and_can_be_saved() {
    let bank = Bank::new().await;
    let cookie = bank.operator().await;
    let (ann, vic, bob) =
        (bank.member(1, "Ann", 100).await, bank.member(2, HOSTILE, 0).await, bank.member(3, "Bob", 43).await);
    let Disputed { bought, junk, verdict, right } = bank.disputed(&ann, &vic, &bob).await;
    let (_, listed) = bank.program(Method::GET, "/disputes", None).await;
    let items = listed["items"].as_array().expect("items");
    let of = |item: &Value| (item["accused"].clone(), item["account"].clone());
    let id = |person: &Person| json!(person.id().to_string());
    let found: Vec<_> = items.iter().map(of).collect();
    let accuser = json!("accuser");
    assert_eq!(
        found,
        [(accuser.clone(), id(&bob)), (json!("vendor"), id(&vic)), (accuser, id(&ann))],
        "the newest is first"
    );
    let names: Vec<_> = items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect();
    let (_, later) = bank.program(Method::GET, &format!("/disputes?after={}", names[1]), None).await;
    assert_eq!(later["items"].as_array().map(Vec::len), Some(1), "{later}");
    assert_eq!(rows(&bank.page(&cookie, "/disputes").await), 3);

    let (_, told) = bank.program(Method::GET, &format!("/disputes/{}", names[1]), None).await;
    assert_eq!(told["evidence"], HEXLOWER.encode(&codec::encode(&junk)));
    let of_junk = &told["junk"];
    assert_eq!(of_junk["verdict"], HEXLOWER.encode(&verdict));
    assert_eq!((&of_junk["void"], &of_junk["paid"], &of_junk["segment"]), (&json!(12), &json!(0), &json!(1)));
    assert_eq!(of_junk["accuser"], ann.id().to_string());
    let proof = &of_junk["proof"];
    assert_eq!(proof["promised"], HEXLOWER.encode(&junk.should_be));
    assert!(proof["came"].is_string() && proof["came"] != proof["promised"], "{proof}");
    // Unit 1 costs coins 5 to 8, and the key of the first of them seals it.
    assert_eq!((&proof["key_coin"], &proof["key_leads_to_root"]), (&json!(5), &json!(true)));
    assert_eq!((&proof["judged"], &of_junk["content"]), (&Value::Null, &proof["deal"]["content"]));
    let holds = proof["signed"].as_array().expect("signatures").iter().all(|one| one["holds"] == true);
    assert!(holds, "{proof}");
    let page = bank.page(&cookie, &format!("/disputes/{}", names[1])).await;
    let told = ["promised", "came"].map(|side| proof[side].as_str().expect("a hash").to_owned());
    for word in ["Junk sold", "something else", "it is junk", "void: junk was sold", &told[0], &told[1]] {
        assert!(page.text.contains(word), "{word} is not told: {}", page.text);
    }
    let saved = bank.desk(Method::GET, &format!("/disputes/{}/evidence", names[1])).header(COOKIE, &cookie);
    let saved = saved.send().await.expect("an answer").bytes().await.expect("whole");
    let saved: Junk = codec::decode(&saved).expect("a proof");
    let deal = judge::judge(&network(), &bought.touchstone.chain_key, &saved).expect("it convicts");
    assert_eq!(deal.holder, vic.holder(&bought).public());

    let falsely = bank.page(&cookie, &format!("/disputes/{}", names[2])).await;
    for word in ["A false accusation", "the leaf is what the deal says", "as promised", "nothing is proven"] {
        assert!(falsely.text.contains(word), "{word} is not told: {}", falsely.text);
    }
    let (_, told) = bank.program(Method::GET, &format!("/disputes/{}", names[2]), None).await;
    assert_eq!(told["evidence"], HEXLOWER.encode(&codec::encode(&right)));
    assert_eq!((&told["junk"]["fee"], &told["junk"]["verdict"]), (&json!(10), &Value::Null));
    let (_, told) = bank.program(Method::GET, &format!("/disputes/{}", names[0]), None).await;
    assert_eq!((&told["junk"]["fee"], &told["evidence"]), (&json!(3), &Value::Null));
    let page = bank.page(&cookie, &format!("/disputes/{}", names[0])).await;
    assert!(
        page.text.contains("less than the whole fee") && !page.text.contains("/evidence"),
        "{}",
        page.text
    );
    let nothing = bank.desk(Method::GET, &format!("/disputes/{}/evidence", names[0]));
    assert_eq!(status(nothing.header(COOKIE, &cookie)).await, StatusCode::NOT_FOUND);
    bank.running.shutdown().await.expect("in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_sees_what_is_held_until_when_and_what_became_of_it() {
    let bank = Bank::new().await;
    let (ann, vic) = (bank.member(1, "Ann", 100).await, bank.member(2, "Vic", 0).await);
    let bought = bank.sold(&ann, 40).await;
    let sale = Sale::of(&vic, &bought, 1, 0);
    bank.ask(&vic, vic.redeem(vec![certified(&bought, &sale.claim(&vic, &bought, 12))])).await;
    let own = async |person: &Person| {
        let entered = answer(bank.front(&bank.link(person, |_| ()))).await;
        answer(bank.front("/account").header(COOKIE, pair(&entered.cookie))).await.text
    };
    let until = netpay_broker::admin::view::time(bank.now().plus(HELD_FOR));
    let held = own(&vic).await;
    for word in ["Held", "Claims of fair mode that wait", &until, "disputable until"] {
        assert!(held.contains(word), "{word} is not told: {held}");
    }
    let (_, told) = bank.program(Method::GET, &format!("/accounts/{}", vic.id()), None).await;
    let chain = bought.id().to_string();
    assert_eq!(
        told["held"],
        json!([{ "chain": chain, "segment": 1, "coins": 12, "until": until }]),
        "{told}"
    );
    bank.ask(&ann, accuses(&ann, sale.leaf(&vic, &bought, true))).await;
    bank.ask(&ann, accuses(&ann, sale.leaf(&vic, &bought, false))).await;
    bank.clock.fetch_add(1, Ordering::Relaxed);
    let void = own(&vic).await;
    for word in ["This account is frozen", "it sold junk", "is void: junk was sold"] {
        assert!(void.contains(word), "{word} is not told: {void}");
    }
    assert!(!void.contains("Claims of fair mode that wait"), "{void}");
    bank.clock.fetch_add(22 * DAY, Ordering::Relaxed);
    bank.running.bank().settle_due().await.expect("open");
    let back = own(&ann).await;
    for word in ["said to be junk was not", "who sold junk in segment 1", "unspent coins of chain", "+40"] {
        assert!(back.contains(word), "{word} is not told: {back}");
    }
    bank.running.shutdown().await.expect("in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_accounts_come_fifty_at_a_time_and_are_found_by_name_and_key() {
    let bank = Bank::new().await;
    let cookie = bank.operator().await;
    for number in 1..=120 {
        bank.member(number, &format!("Member {number}"), 0).await;
    }
    let (mut path, mut seen) = (Some("/accounts".to_owned()), Vec::new());
    while let Some(address) = path {
        let page = bank.page(&cookie, &address).await;
        seen.push(rows(&page));
        path = next(&page);
    }
    assert_eq!(seen, [50, 50, 20]);
    let found = bank.page(&cookie, "/accounts?words=member+11").await;
    assert_eq!(rows(&found), 11, "11 and 110 to 119");
    let of_key = &Person::new(7).id().to_string()[..16];
    let found = bank.page(&cookie, &format!("/accounts?words={of_key}")).await;
    assert!(rows(&found) == 1 && found.text.contains("Member 7"));
    assert_eq!(rows(&bank.page(&cookie, "/accounts?words=nobody").await), 0);
    let (_, first) = bank.program(Method::GET, "/accounts", None).await;
    assert_eq!((first["items"].as_array().map(Vec::len), &first["next"]), (Some(120), &Value::Null));
    bank.running.shutdown().await.expect("in order");
}
