//! Requests that must not get through, and those that must, to real peers over real sockets.

mod disputes;
mod events;
mod lists;
mod money;
mod monitors;

use super::CSRF_HEADER;
use super::server::{Api, Interface, router, serve};
use crate::api::password::Password;
use crate::app::tests::Town;
use crate::app::view::ErrorView;
use crate::clock;
use reqwest::header::{COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use scraper::{Html, Selector};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A peer's interface on a port of its own.
struct Door {
    http: Client,
    base: String,
    api: Api,
    token: String,
    read: String,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.served.abort();
    }
}

impl Door {
    async fn of(town: &Town, peer: usize) -> Self {
        Self::with(town, peer, &["peer.example.org".to_owned()]).await
    }

    async fn with(town: &Town, peer: usize, hosts: &[String]) -> Self {
        let node = town.peers[peer].clone();
        let api = Api::new(node.clone(), hosts).expect("an interface");
        let read = |path| std::fs::read_to_string(path).expect("a token");
        let (token, read) = (read(node.home().api_token()), read(node.home().read_token()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let answers = router(api.clone());
        let served = tokio::spawn(async move { axum::serve(listener, answers).await });
        let http = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self { http: http.build().expect("a client"), base, api, token, read, served }
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.ask(Method::GET, path)
    }

    fn program(&self, method: Method, path: &str) -> RequestBuilder {
        self.ask(method, path).bearer_auth(&self.token)
    }

    /// Signs a browser in; returns its cookie.
    async fn enters(&self) -> String {
        let key = self.api.sessions.invite(clock::time());
        let entered = self.get(&format!("/login?key={key}")).send().await.expect("an answer");
        assert_eq!(
            (entered.status(), &entered.headers()[LOCATION]),
            (StatusCode::SEE_OTHER, &"/".parse().expect("a value"))
        );
        let cookie = entered.headers()[SET_COOKIE].to_str().expect("a cookie").to_owned();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        cookie.split(';').next().expect("a pair").to_owned()
    }
}

/// What a request is refused with.
async fn refused(request: RequestBuilder) -> (u16, String) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    assert!(
        response.headers()["content-security-policy"].to_str().expect("text").contains("default-src 'none'")
    );
    assert_eq!(response.headers()["cross-origin-opener-policy"], "same-origin");
    assert_eq!(response.headers()["cross-origin-resource-policy"], "same-origin");
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: serde_json::Value = response.json().await.expect("a problem document");
    assert_eq!((&problem["title"], &problem["detail"]), (&problem["what"], &problem["why"]));
    let error: ErrorView = serde_json::from_value(problem).expect("an error");
    assert!(!error.why.is_empty() && !error.fix.is_empty(), "{error:?}");
    assert_eq!(error.status, status);
    (status, error.code)
}

async fn status(request: RequestBuilder) -> StatusCode {
    request.send().await.expect("an answer").status()
}

/// The secret in a page's first form.
async fn csrf_of(door: &Door, cookie: &str) -> String {
    let page = door.get("/wallet").header(COOKIE, cookie).send().await.expect("an answer");
    assert_eq!(page.status(), StatusCode::OK);
    let page = Html::parse_document(&page.text().await.expect("a page"));
    let field = Selector::parse("input[name=csrf]").expect("a selector");
    page.select(&field).next().and_then(|input| input.attr("value")).expect("a secret").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_made_its_own_name_point_here_is_refused() {
    let town = Town::of(1).await;
    let door = Door::of(&town, 0).await;
    for host in [
        "127.0.0.1.evil.example",
        "evil.example:5780",
        "localhost.evil.example",
        "LOCALHOST.EVIL",
        "localhost.",
        "[::1].evil",
        "[::1]evil:80",
        "[[::1]]",
        "",
        ":80",
        "127.0.0.1:1:2@evil",
        // What is behind the name gets into links.
        "127.0.0.1:2@evil.example",
        "127.0.0.1:evil.example",
        "localhost:80/evil",
        "localhost:+80",
        "localhost:65536",
    ] {
        let asked = door.program(Method::GET, "/api/v1/status").header(HOST, host);
        assert_eq!(refused(asked).await, (403, "NP-DAEMON-004".to_owned()), "{host:?}");
        let page = door.get("/login").header(HOST, host);
        assert_eq!(refused(page).await.0, 403, "{host:?}");
    }
    for host in [
        "localhost:5780",
        "LocalHost",
        "127.0.0.1",
        "[::1]:5780",
        "[::1]",
        "peer.example.org:80",
        "peer.example.org",
        "PEER.Example.org:80",
    ] {
        let asked = door.program(Method::GET, "/api/v1/status").header(HOST, host);
        assert_eq!(status(asked).await, StatusCode::OK, "{host:?}");
    }
    town.stop().await;
}

/// The first line of the answer to bytes as they are.
async fn says(door: &Door, request: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut line =
        tokio::net::TcpStream::connect(door.base.trim_start_matches("http://")).await.expect("a line");
    line.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    line.read_to_string(&mut answer).await.expect("an answer, and the end of it");
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_names_two_hosts_or_none_is_refused() {
    let town = Town::of(1).await;
    let door = Door::of(&town, 0).await;
    for (hosts, answer) in [
        ("Host: localhost\r\n", "HTTP/1.1 200 OK"),
        ("Host: localhost\r\nHost: evil.example\r\n", "HTTP/1.1 403 Forbidden"),
        ("Host: evil.example\r\nHost: localhost\r\n", "HTTP/1.1 403 Forbidden"),
        ("", "HTTP/1.1 403 Forbidden"),
    ] {
        let request = format!("GET /healthz HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        assert_eq!(says(&door, &request).await, answer, "{hosts:?}");
    }
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_page_in_the_browser_can_have_nothing_done() {
    let town = Town::of(1).await;
    let door = Door::of(&town, 0).await;
    let cookie = door.enters().await;
    let csrf = csrf_of(&door, &cookie).await;
    let form = |request: RequestBuilder| {
        let body = format!("csrf={csrf}&name=owned");
        request.header(COOKIE, &cookie).header("content-type", "application/x-www-form-urlencoded").body(body)
    };
    let post = || form(door.ask(Method::POST, "/settings/name"));
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1.evil.example"] {
        assert_eq!(
            refused(post().header(ORIGIN, origin)).await,
            (403, "NP-DAEMON-010".to_owned()),
            "{origin}"
        );
    }
    for site in ["cross-site", "same-site", "nonsense"] {
        assert_eq!(refused(post().header("sec-fetch-site", site)).await.0, 403, "{site}");
    }
    // With the cookie, but without the secret of the session.
    let forged = door.ask(Method::POST, "/settings/name").header(COOKIE, &cookie);
    let forged = forged.header("content-type", "application/x-www-form-urlencoded").body("name=owned");
    assert_eq!(status(forged).await, StatusCode::FORBIDDEN);
    let stop = || door.ask(Method::POST, "/api/v1/wallet/lock").header(COOKIE, &cookie);
    assert_eq!(refused(stop()).await, (403, "NP-DAEMON-011".to_owned()));
    assert_eq!(refused(stop().header(CSRF_HEADER, "guess")).await.0, 403);
    assert_eq!(status(stop().header(CSRF_HEADER, &csrf)).await, StatusCode::OK);
    // Its own page may.
    let own = post().header(ORIGIN, &door.base).header("sec-fetch-site", "same-origin");
    assert_eq!(status(own).await, StatusCode::SEE_OTHER);
    let by_name = |host: &str| post().header(HOST, host).header(ORIGIN, "http://peer.example.org");
    assert_eq!(status(by_name("Peer.Example.org")).await, StatusCode::SEE_OTHER);
    assert_eq!(status(by_name("localhost")).await, StatusCode::FORBIDDEN);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_a_token_and_with_the_lesser_one_nobody_changes_anything() {
    let town = Town::of(1).await;
    let door = Door::of(&town, 0).await;
    let asked = || door.get("/api/v1/wallet");
    assert_eq!(refused(asked()).await, (401, "NP-DAEMON-003".to_owned()));
    assert_eq!(refused(asked().bearer_auth("wrong")).await.0, 401);
    assert_eq!(refused(asked().header("authorization", format!("Basic {}", door.token))).await.0, 401);
    assert_eq!(refused(asked().bearer_auth(format!("{}0", door.token))).await.0, 401);
    // A wrong token is not made good by a session.
    let cookie = door.enters().await;
    assert_eq!(refused(asked().bearer_auth("wrong").header(COOKIE, &cookie)).await.0, 401);
    assert_eq!(status(asked().bearer_auth(&door.read)).await, StatusCode::OK);
    let lock = |token: &str| door.ask(Method::POST, "/api/v1/wallet/lock").bearer_auth(token);
    assert_eq!(refused(lock(&door.read)).await, (403, "NP-DAEMON-012".to_owned()));
    assert_eq!(status(lock(&door.token)).await, StatusCode::OK);
    // Tokens are for programs: pages ask for a person.
    assert_eq!(status(door.program(Method::GET, "/wallet")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(door.get("/healthz")).await, StatusCode::OK);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_lets_one_browser_in_and_says_what_to_do_when_it_is_used_again() {
    let town = Town::of(1).await;
    let door = Door::of(&town, 0).await;
    let link = door.program(Method::POST, "/api/v1/login-links").send().await.expect("an answer");
    let link: super::LoginLink = link.json().await.expect("a link");
    assert!(link.url.starts_with(&format!("{}/login?key=", door.base)), "{}", link.url);
    let first = door.http.get(&link.url).send().await.expect("an answer");
    assert_eq!(first.status(), StatusCode::SEE_OTHER);
    let again = door.http.get(&link.url).send().await.expect("an answer");
    assert_eq!(again.status(), StatusCode::UNAUTHORIZED);
    let page = again.text().await.expect("a page");
    assert!(page.contains("NP-DAEMON-007") && page.contains("netpay open"), "{page}");
    assert_eq!(refused(door.ask(Method::POST, "/api/v1/login-links")).await.0, 401);
    // Nobody who is not signed in sees anything, and a part of a page sends its reader to the door.
    for path in ["/", "/wallet", "/files", "/live/status", "/nothing"] {
        assert_eq!(status(door.get(path)).await, StatusCode::UNAUTHORIZED, "{path}");
    }
    let part = door.get("/live/status").header("hx-request", "true").send().await.expect("an answer");
    assert_eq!(part.headers()["hx-redirect"], "/login");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_on_one_machine_do_not_sign_each_others_people_out() {
    let town = Town::of(3).await;
    // A browser has one jar for 127.0.0.1, whatever the port.
    let jar: Mutex<BTreeMap<String, String>> = Mutex::default();
    let shown = || {
        let jar = jar.lock().expect("no panic");
        jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    };
    let mut doors = Vec::new();
    for peer in 0..3 {
        let door = Door::of(&town, peer).await;
        let cookie = door.enters().await;
        let (name, value) = cookie.split_once('=').expect("a pair");
        jar.lock().expect("no panic").insert(name.to_owned(), value.to_owned());
        doors.push(door);
    }
    for door in &doors {
        assert_eq!(status(door.get("/wallet").header(COOKIE, shown())).await, StatusCode::OK);
    }
    let out = doors[1].ask(Method::POST, "/logout").header(COOKIE, shown());
    assert_eq!(status(out).await, StatusCode::SEE_OTHER);
    let in_still = [
        status(doors[0].get("/").header(COOKIE, shown())).await,
        status(doors[1].get("/").header(COOKIE, shown())).await,
    ];
    assert_eq!(in_still, [StatusCode::OK, StatusCode::UNAUTHORIZED]);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_machines_get_no_interface_before_a_password_is_set_and_then_by_it() {
    let town = Town::of(1).await;
    let node = town.peers[0].clone();
    let everywhere = || Interface { at: "0.0.0.0:0".parse().expect("an address"), hosts: Vec::new() };
    let open = serve(node.clone(), everywhere(), |_, _| panic!("it is served")).await;
    assert_eq!(open.expect_err("refused").code, "NP-CONFIG-004");
    Password::set(node.home(), Some("open sesame")).expect("written");
    let (tell, told) = tokio::sync::oneshot::channel();
    let served = tokio::spawn(serve(node, everywhere(), |at, _| assert_eq!(tell.send(at), Ok(()))));
    let base = format!("http://127.0.0.1:{}", told.await.expect("it is served").port());
    let http =
        Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let enter = |password: &str| {
        let form =
            http.post(format!("{base}/login")).header("content-type", "application/x-www-form-urlencoded");
        form.body(format!("password={password}"))
    };
    let wrong = enter("guess").send().await.expect("an answer");
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    assert!(wrong.text().await.expect("a page").contains("NP-DAEMON-008"));
    let right = enter("open+sesame").send().await.expect("an answer");
    assert_eq!(right.status(), StatusCode::SEE_OTHER);
    let cookie = right.headers()[SET_COOKIE].to_str().expect("a cookie").to_owned();
    let home = http.get(format!("{base}/")).header(COOKIE, cookie.split(';').next().expect("a pair"));
    assert_eq!(status(home).await, StatusCode::OK);
    for _ in 0..6 {
        enter("guess").send().await.expect("an answer");
    }
    assert_eq!(status(enter("open+sesame")).await, StatusCode::TOO_MANY_REQUESTS);
    town.stop().await;
    served.await.expect("no panic").expect("it ends in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_set_in_a_browser_holds_at_once_and_signs_the_others_out() {
    let town = Town::of(1).await;
    let door = Door::of(&town, 0).await;
    let (own, other) = (door.enters().await, door.enters().await);
    let csrf = csrf_of(&door, &own).await;
    let form = |path: &str, cookie: &str, fields: &[(&str, &str)]| {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        let request = door.ask(Method::POST, path).body(body.finish());
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        if cookie.is_empty() { request } else { request.header(COOKIE, cookie) }
    };
    let set = |cookie: &str, csrf: &str, password: &str, again: &str| {
        let fields = [("csrf", csrf), ("new_password", password), ("new_again", again)];
        form("/settings/password", cookie, &fields)
    };
    let enter = |password: &str| form("/login", "", &[("password", password)]);
    assert_eq!(status(set("", &csrf, "open sesame ", "open sesame ")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(set(&own, "a guess", "open sesame ", "open sesame ")).await, StatusCode::FORBIDDEN);
    assert_eq!(
        status(set(&own, &csrf, "open sesame ", "open sesame")).await,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(status(set(&own, &csrf, "short", "short")).await, StatusCode::UNPROCESSABLE_ENTITY);
    let home = town.peers[0].home();
    assert!(Password::load(home).expect("readable").is_none(), "nothing was set yet");
    assert_eq!(status(door.get("/").header(COOKIE, &other)).await, StatusCode::OK);

    // What was typed is kept to the letter.
    assert_eq!(status(set(&own, &csrf, "open sesame ", "open sesame ")).await, StatusCode::SEE_OTHER);
    assert_eq!(status(door.get("/").header(COOKIE, &own)).await, StatusCode::OK);
    assert_eq!(status(door.get("/").header(COOKIE, &other)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(enter("open sesame")).await, StatusCode::UNAUTHORIZED);
    let guest = enter("open sesame ").send().await.expect("an answer");
    assert_eq!(guest.status(), StatusCode::SEE_OTHER);
    let guest = guest.headers()[SET_COOKIE].to_str().expect("a cookie").to_owned();
    let guest = guest.split(';').next().expect("a pair");

    let remove = "/settings/password/remove";
    let asked = door.get(remove).header(COOKIE, &own).send().await.expect("an answer");
    assert!(asked.text().await.expect("a page").contains("Remove the password?"));
    // While other machines reach these pages it has to stay.
    let address = home.path().join(super::ADDRESS_FILE);
    std::fs::write(&address, "0.0.0.0:5780").expect("written");
    let seal = [("csrf", &*csrf)];
    let kept = form(remove, &own, &seal).send().await.expect("an answer");
    assert_eq!(kept.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(kept.text().await.expect("a page").contains("NP-CONFIG-004"));
    assert!(Password::load(home).expect("readable").is_some());
    std::fs::write(&address, "127.0.0.1:5780").expect("written");
    assert_eq!(status(form(remove, &own, &[])).await, StatusCode::FORBIDDEN);
    assert_eq!(status(form(remove, &own, &seal)).await, StatusCode::SEE_OTHER);
    assert!(Password::load(home).expect("readable").is_none());
    assert_eq!(status(door.get("/").header(COOKIE, guest)).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(door.get("/").header(COOKIE, &own)).await, StatusCode::OK);
    assert_eq!(status(enter("open sesame ")).await, StatusCode::UNAUTHORIZED);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_one_clear_problem() {
    let town = Town::of(1).await;
    let door = Door::of(&town, 0).await;
    let post = |path: &str, body: String| {
        door.program(Method::POST, path).header("content-type", "application/json").body(body)
    };
    let buy = "/api/v1/wallet/buy";
    for body in [
        "",
        "{",
        "[]",
        "{\"coins\":-1}",
        "{\"coins\":\"5\"}",
        "{\"coins\":1,\"limit\":2}",
        "{\"coins\":1e99}",
    ] {
        assert_eq!(refused(post(buy, body.to_owned())).await, (400, "NP-INPUT-005".to_owned()), "{body}");
    }
    let huge = format!("{{\"coins\":1,\"x\":\"{}\"}}", "x".repeat(super::MAX_BODY));
    assert_eq!(refused(post(buy, huge)).await, (413, "NP-INPUT-006".to_owned()));
    assert_eq!(refused(door.program(Method::GET, "/api/v1/nothing")).await.0, 404);
    assert_eq!(refused(door.program(Method::GET, "/api/v1/search?words=a&colour=red")).await.0, 400);
    for id in ["abc", "-1", "18446744073709551616", "%ff"] {
        for path in ["downloads", "receipts"] {
            let asked = door.program(Method::GET, &format!("/api/v1/{path}/{id}"));
            assert_eq!(refused(asked).await, (400, "NP-INPUT-005".to_owned()), "{path}/{id}");
        }
    }
    assert_eq!(refused(door.program(Method::GET, "/api/v1/peers/%ff/files")).await.0, 400);
    assert_eq!(refused(door.program(Method::PUT, "/api/v1/status")).await, (405, "NP-INPUT-007".to_owned()));
    // A person gets a page.
    let cookie = door.enters().await;
    for path in
        ["/downloads/%ff", "/peers/%ff", "/files/%ff/remove", "/live/downloads/x", "/login?key=a&key=b"]
    {
        let shown = door.get(path).header(COOKIE, &cookie).send().await.expect("an answer");
        assert_eq!(shown.status(), StatusCode::BAD_REQUEST, "{path}");
        let shown = shown.text().await.expect("a page");
        assert!(shown.contains("NP-INPUT-005") && shown.contains("<h1"), "{path}: {shown}");
    }
    town.stop().await;
}

/// The answer to a purchase that is named.
async fn buys(door: &Door, key: &str, what: &str, limit: u64) -> (u16, serde_json::Value) {
    let asked = serde_json::json!({ "what": what, "max_price": limit });
    let request = door.program(Method::POST, "/api/v1/downloads").json(&asked);
    let request = if key.is_empty() { request } else { request.header("idempotency-key", key) };
    let response = request.send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_that_is_asked_for_again_under_its_name_is_made_once() {
    let mut town = Town::of(3).await;
    let (one, other) = (town.file("one.bin", 100_000), town.file("other.bin", 100_001));
    let shared = town.peers[1].share_add(vec![one, other], 5, vec![], false).await.expect("shared");
    town.mint(2, 60).await;
    let door = Door::of(&town, 2).await;
    let what = shared[0].id.clone();
    let (status, unnamed) = buys(&door, "", &what, 5).await;
    assert_eq!((status, &unnamed["code"]), (400, &"NP-INPUT-008".into()));
    assert_eq!(buys(&door, &"k".repeat(129), &what, 5).await.0, 400);
    // Refused, it may be asked for again under the same name.
    assert_eq!(buys(&door, "k1", &what, 4).await.0, 412);
    let asks = (0..4).map(|_| buys(&door, "k2", &what, 5));
    let answers = futures::future::join_all(asks).await;
    assert!(
        answers.iter().all(|(status, view)| *status == 200 && view["id"] == answers[0].1["id"]),
        "{answers:?}"
    );
    town.peers[2].settled(1).await;
    // It is done; asked for again it is not bought again, whatever became of it meanwhile.
    assert_eq!(buys(&door, "k2", &what, 5).await, answers[0]);
    let (status, reused) = buys(&door, "k2", &shared[1].id, 5).await;
    assert_eq!((status, &reused["code"]), (422, &"NP-INPUT-009".into()));
    assert_eq!(town.peers[2].downloads().len(), 1);

    drop(door);
    town.restart(2).await;
    let door = Door::of(&town, 2).await;
    assert_eq!(buys(&door, "k2", &what, 5).await, answers[0]);
    assert_eq!(town.peers[2].downloads().len(), 1);
    // Another name is another purchase.
    let again = buys(&door, "k3", &what, 5).await;
    assert_eq!((again.0, &again.1["id"]), (200, &2.into()));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_says_what_is_answered_and_everything_in_it_is_described() {
    let town = Town::of(1).await;
    let door = Door::of(&town, 0).await;
    assert_eq!(refused(door.get("/api/v1/openapi.json")).await.0, 401);
    let described = door.get("/api/v1/openapi.json").bearer_auth(&door.read).send().await.expect("an answer");
    let described: serde_json::Value = described.json().await.expect("JSON");
    let paths = described["paths"].as_object().expect("paths");
    assert!(paths.len() > 30, "{} paths", paths.len());
    for (path, methods) in paths {
        for (method, about) in methods.as_object().expect("methods") {
            assert!(
                about["summary"].as_str().is_some_and(|text| text.ends_with('.')),
                "{method} {path}: {about}"
            );
            assert!(
                about["responses"]["200"].is_object() && about["responses"]["default"].is_object(),
                "{method} {path}"
            );
            // Whoever is nobody is told so there, and not that there is nothing.
            let address = format!(
                "/api/v1{}",
                path.replace("{id}", "1").replace("{act}", "pause").replace("{peer}", "ann")
            );
            let asked = door.ask(method.to_uppercase().parse().expect("a method"), &address);
            assert_eq!(refused(asked).await, (401, "NP-DAEMON-003".to_owned()), "{method} {path}");
        }
    }
    let problem = &described["paths"]["/wallet/buy"]["post"]["responses"]["default"];
    let problem = &problem["content"]["application/problem+json"]["schema"]["properties"];
    let refused = door.program(Method::GET, "/api/v1/nothing").send().await.expect("an answer");
    let refused: serde_json::Value = refused.json().await.expect("a problem document");
    let fields = |value: &serde_json::Value| {
        value.as_object().expect("fields").keys().cloned().collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(fields(&refused), fields(problem));
    assert!(problem["title"].is_object() && problem["detail"].is_object(), "{problem}");
    // What the peer really says of itself has the fields that are described, and no others.
    let status: serde_json::Value = door
        .program(Method::GET, "/api/v1/status")
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(fields(&status), fields(&described["components"]["schemas"]["Status"]["properties"]));
    assert_eq!(
        fields(&status["wallet"]),
        fields(&described["components"]["schemas"]["WalletView"]["properties"])
    );
    let text = described.to_string();
    let names = text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next());
    for name in names {
        assert!(described["components"]["schemas"][name].is_object(), "{name} is not described");
    }
    town.stop().await;
}
