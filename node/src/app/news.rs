//! What happened here, told to whoever listens: pages and programs. The newest items are kept, so that a listener whose
//! connection broke goes on where it was, or learns that it missed some.

use super::{Node, lock};
use crate::overlay::Event;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast;

/// Items kept.
const KEPT: usize = 1024;
/// How many items may wait for a slow listener before it misses some.
const WAITING: usize = 256;

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its number, rising by one. The first of a run is the time of its start in microseconds since 1970, so that no
    /// number of one run is taken for one of another.
    pub id: u64,
    /// What it is about: `download`, `sale`, `wallet`, `peer` or `dispute`.
    pub about: &'static str,
    /// The thing as it is now, in JSON.
    pub data: Arc<str>,
}

/// What there is for a listener to begin with.
#[derive(Debug)]
pub struct Heard {
    /// Whether items between the last one it knows and the first one here are missing.
    pub missed: bool,
    /// The number that it goes on from if it is cut off before it hears of anything.
    pub from: u64,
    /// Items that happened since.
    pub items: Vec<Item>,
    /// Everything from then on.
    pub next: broadcast::Receiver<Item>,
}

/// What happened.
pub struct News {
    kept: Mutex<(u64, VecDeque<Item>)>,
    sender: broadcast::Sender<Item>,
}

impl News {
    /// Nothing has happened yet; the first item follows on this number.
    pub(super) fn since(start: u64) -> Self {
        Self { kept: Mutex::new((start, VecDeque::new())), sender: broadcast::channel(WAITING).0 }
    }

    /// Tells all listeners how something is now.
    pub fn tell(&self, about: &'static str, thing: &impl Serialize) {
        let Ok(data) = serde_json::to_string(thing) else { return };
        let mut kept = lock(&self.kept);
        kept.0 += 1;
        let item = Item { id: kept.0, about, data: data.into() };
        if kept.1.len() >= KEPT {
            kept.1.pop_front();
        }
        kept.1.push_back(item.clone());
        // Told while held, so that items come in the order of their numbers. Nobody may be listening.
        let _ = self.sender.send(item);
    }

    /// Begins to listen; `after` is the number of the last item known, if there is one.
    #[must_use]
    pub fn listen(&self, after: Option<u64>) -> Heard {
        let kept = lock(&self.kept);
        let next = self.sender.subscribe();
        let from = kept.0;
        let Some(after) = after else { return Heard { missed: false, from, items: Vec::new(), next } };
        let first = kept.1.front().map_or(kept.0 + 1, |item| item.id);
        // A number that is not reached yet is of another run, and so is one from before the start.
        let missed = after > kept.0 || after + 1 < first;
        let items =
            if missed { Vec::new() } else { kept.1.iter().filter(|item| item.id > after).cloned().collect() };
        Heard { missed, from, items, next }
    }
}

impl Node {
    /// What happens here.
    #[must_use]
    pub fn news(&self) -> &News {
        &self.0.news
    }
}

/// Tells who comes and goes, until the node stops.
pub async fn run(node: Node) {
    let mut events = node.overlay().events();
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = node.stopped() => return,
        };
        match event {
            Ok(Event::Connected(peer) | Event::Disconnected(peer)) => {
                node.news().tell("peer", &node.peer_now(peer))
            }
            Ok(Event::Learned { .. }) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_800_000_000_000_000;

    #[test]
    fn a_listener_that_comes_back_hears_what_it_missed_or_that_it_missed_too_much() {
        let news = News::since(START);
        let mut early = news.listen(None);
        assert_eq!((early.missed, early.from), (false, START));
        (1..=5).for_each(|n| news.tell("sale", &n));
        assert_eq!(
            early.next.try_recv().map(|item| (item.id, item.data.to_string())),
            Ok((START + 1, "1".to_owned()))
        );
        let ids = |heard: &Heard| heard.items.iter().map(|item| item.id).collect::<Vec<_>>();
        let back = news.listen(Some(START + 3));
        assert_eq!((back.missed, ids(&back)), (false, vec![START + 4, START + 5]));
        let back = news.listen(Some(early.from));
        assert_eq!((back.missed, back.items.len()), (false, 5));
        assert!(!news.listen(Some(START + 5)).missed);
        for of_another_run in [0, 5, START - 1, START + 6, u64::MAX] {
            assert!(news.listen(Some(of_another_run)).missed, "{of_another_run}");
        }
        (0..KEPT).for_each(|n| news.tell("sale", &n));
        assert!(news.listen(Some(START + 3)).missed);
        let back = news.listen(Some(START + 5));
        assert_eq!((back.missed, back.items.len()), (false, KEPT));
    }
}
