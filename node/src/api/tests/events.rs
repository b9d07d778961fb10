//! What listeners are told, over real connections that break, are slow, or outlive the peer.

use super::Door;
use crate::api::events::{DOWNLOAD_EVENTS_PER_SECOND, MAX_LISTENERS};
use crate::app::tests::Town;
use crate::app::view::DownloadView;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

/// One event as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    id: u64,
    about: String,
    pub(super) data: Value,
}

/// A listener to a stream of events.
pub(super) struct Listener {
    response: Response,
    rest: String,
}

impl Listener {
    pub(super) async fn at(door: &Door, path: &str, last: Option<u64>) -> Self {
        let response = Self::asks(door, path, last).await;
        assert_eq!(response.status(), StatusCode::OK);
        Self { response, rest: String::new() }
    }

    async fn asks(door: &Door, path: &str, last: Option<u64>) -> Response {
        let mut request = door.program(Method::GET, path);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        request.send().await.expect("an answer")
    }

    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(at) = self.rest.find("\n\n") {
                let text: String = self.rest.drain(..at + 2).collect();
                let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
                // What keeps the connection open says nothing.
                let Some(about) = field("event: ") else { continue };
                return Some(Told {
                    id: field("id: ").and_then(|id| id.parse().ok()).expect("each has a number"),
                    about: about.to_owned(),
                    data: serde_json::from_str(field("data: ").expect("each has data")).expect("JSON"),
                });
            }
            let chunk = self.response.chunk().await.expect("the connection holds")?;
            self.rest.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }

    /// The next event about something.
    pub(super) async fn about(&mut self, about: &str) -> Told {
        loop {
            let told = self.next().await.expect("it goes on");
            if told.about == about {
                return told;
            }
        }
    }
}

pub(super) const EVENTS: &str = "/api/v1/events";

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_goes_on_where_its_connection_broke_and_after_a_restart_asks_anew() {
    let mut town = Town::of(2).await;
    let door = Door::of(&town, 1).await;
    let news = |n: u64| town.peers[1].news().tell("sale", &json!({ "n": n }));
    let mut listener = Listener::at(&door, EVENTS, None).await;
    let first = listener.next().await.expect("it is told how things stand");
    assert_eq!((&*first.about, &first.data["name"]), ("status", &"peer-1".into()));
    drop(listener);
    // It was cut off before anything happened, and missed nothing.
    (1..=3).for_each(news);
    let mut listener = Listener::at(&door, EVENTS, Some(first.id)).await;
    let second = listener.about("sale").await;
    assert_eq!(second.data["n"], 1);
    drop(listener);
    let mut listener = Listener::at(&door, EVENTS, Some(second.id)).await;
    assert_eq!(listener.about("sale").await.data["n"], 2);
    let last = listener.about("sale").await;
    news(4);
    assert_eq!(
        (last.data["n"].clone(), listener.about("sale").await.data["n"].clone()),
        (3.into(), 4.into())
    );
    drop((listener, door));

    town.restart(1).await;
    let door = Door::of(&town, 1).await;
    for known in [first.id, last.id, 3] {
        let mut listener = Listener::at(&door, EVENTS, Some(known)).await;
        let told = listener.next().await.expect("it is told");
        assert_eq!(told.about, "reset", "{known}");
        // From there on it goes on as before.
        drop(listener);
        town.peers[1].news().tell("sale", &json!({ "n": known }));
        let mut listener = Listener::at(&door, EVENTS, Some(told.id)).await;
        assert_eq!(listener.about("sale").await.data["n"], known);
    }
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_slow_listener_and_it_learns_that_it_missed_something() {
    let town = Town::of(1).await;
    let door = Door::of(&town, 0).await;
    let mut slow = Listener::at(&door, EVENTS, None).await;
    let mut quick = Listener::at(&door, EVENTS, None).await;
    // More than any buffer on the way holds; the quick one hears all of it while the slow one reads nothing.
    let (batches, large) = (100, "x".repeat(10_000));
    let mut heard = 0;
    for batch in 0..batches {
        for n in 0..50 {
            town.peers[0].news().tell("sale", &json!({ "n": batch * 50 + n, "text": large }));
        }
        for n in 0..50 {
            let told = quick.about("sale").await;
            assert_eq!(told.data["n"], batch * 50 + n);
            heard += 1;
        }
    }
    assert_eq!(heard, batches * 50);
    let (mut read, mut last) = (0, 0);
    let reset = loop {
        let told = slow.next().await.expect("it goes on");
        assert!(told.id > last, "{} after {last}", told.id);
        last = told.id;
        if told.about == "reset" {
            break told;
        }
        read += 1;
    };
    assert!(read < heard, "it missed some");
    town.peers[0].news().tell("sale", &json!({ "n": "new" }));
    let next = slow.about("sale").await;
    assert_eq!((next.id, &next.data["n"]), (reset.id + 1, &"new".into()));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_room_for_so_many_listeners_and_a_place_is_free_when_one_goes() {
    let town = Town::of(1).await;
    let door = Door::of(&town, 0).await;
    let mut listeners = Vec::new();
    for _ in 0..MAX_LISTENERS {
        listeners.push(Listener::at(&door, EVENTS, None).await);
    }
    let one_more = Listener::asks(&door, EVENTS, None).await;
    assert_eq!(one_more.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(one_more.json::<Value>().await.expect("a problem")["code"], "NP-DAEMON-014");
    listeners.pop();
    while Listener::asks(&door, EVENTS, None).await.status() != StatusCode::OK {
        // It is noticed when something is next written to it.
        town.peers[0].news().tell("sale", &json!({}));
        tokio::task::yield_now().await;
    }
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_is_followed_to_its_end_with_numbers_that_rise() {
    let town = Town::of(3).await;
    let file = town.file("large.bin", 40_000_000);
    let shared = town.peers[1].share_add(vec![file], 30, vec![], false).await.expect("shared");
    town.mint(2, 60).await;
    let door = Door::of(&town, 2).await;
    let (_, begun) = super::buys(&door, "one", &shared[0].id, 30).await;
    let path = format!("/api/v1/downloads/{}/events", begun["id"]);
    let began = std::time::Instant::now();
    let mut listener = Listener::at(&door, &path, None).await;
    let (mut told, mut have) = (Vec::new(), 0);
    while let Some(event) = listener.next().await {
        let view: DownloadView = serde_json::from_value(event.data).expect("a download");
        assert!(view.have >= have, "it does not shrink");
        have = view.have;
        told.push((event.id, view));
    }
    let took = began.elapsed().as_secs_f64();
    assert!(told.windows(2).all(|pair| pair[0].0 < pair[1].0), "numbers rise");
    // One at once, then no more than so many for each second that it took.
    let most = 2.0 + took * f64::from(DOWNLOAD_EVENTS_PER_SECOND);
    assert!(told.len() as f64 <= most, "{} events in {took} s", told.len());
    let (last, end) = told.last().expect("at least one");
    assert_eq!((end.have, &*format!("{:?}", end.state)), (end.size, "Done"));
    // Whoever knows the end is not told it again; whoever does not, is.
    town.peers[2].settled(end.id).await;
    let view = town.peers[2].download(end.id).expect("it is there");
    assert_eq!(Listener::asks(&door, &path, Some(view.changed)).await.status(), StatusCode::NO_CONTENT);
    for unknown in [None, Some(last - 1)] {
        let mut late = Listener::at(&door, &path, unknown).await;
        assert_eq!(late.next().await.map(|told| told.id), Some(view.changed));
        assert_eq!(late.next().await, None);
    }
    let missing = Listener::asks(&door, "/api/v1/downloads/99/events", None).await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    town.stop().await;
}
