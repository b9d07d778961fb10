//! Who plays which part, what is sold, and what everybody should have at the end.

use crate::swarm::broker::BooksInShort;
use crate::swarm::peer::{Peer, order};
use crate::swarm::{Swarm, goods, peer_name};
use anyhow::{Context as _, Result, ensure};
use netpay_node::app::view::{DownloadView, GetRequest};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The one who buys most of the time.
pub const BUYER: usize = 1;
/// Sells the lecture.
pub const LECTURER: usize = 2;
/// The vendors that a chain goes to, one after the other.
pub const FIRST: usize = 3;
/// Takes the chain over from the first, who is up.
pub const SECOND: usize = 4;
/// Takes it over from the second, who closed and went.
pub const THIRD: usize = 5;
/// Takes it over from the third, who crashed.
pub const FOURTH: usize = 6;
/// Is stopped and started while there is no broker.
pub const LATECOMER: usize = 7;

/// A file for sale.
#[derive(Clone, Debug)]
pub struct Good {
    /// Its name.
    pub name: &'static str,
    /// Bytes.
    pub size: u64,
    /// Coins.
    pub price: u64,
    /// Who sells it.
    pub vendor: usize,
}

/// Everything that is sold. The short prices leave coins in the shortest lease, which then has to be handed on.
pub const GOODS: [Good; 6] = [
    Good { name: "Lecture 07 - Hash chains.mp4", size: 3 << 20, price: 24, vendor: LECTURER },
    Good { name: "Harbour at dawn.jpg", size: 280_000, price: 3, vendor: FIRST },
    Good { name: "Seminar notes.pdf", size: 120_001, price: 2, vendor: SECOND },
    Good { name: "Field recording.ogg", size: 500_000, price: 4, vendor: THIRD },
    Good { name: "Old town map.png", size: 27_800, price: 3, vendor: FOURTH },
    Good { name: "Recipe book.epub", size: 90_000, price: 5, vendor: FIRST },
];

/// The story so far.
pub struct Story {
    /// The swarm.
    pub swarm: Swarm,
    /// The seed that the files follow from.
    pub seed: u64,
    /// Node keys of the peers.
    pub nodes: BTreeMap<usize, String>,
    /// Content roots of the goods, by name.
    pub roots: BTreeMap<&'static str, String>,
    /// Originals of the goods, by name.
    pub originals: BTreeMap<&'static str, PathBuf>,
    /// Coins that each peer bought.
    pub bought: BTreeMap<usize, u64>,
    /// Coins that each vendor was paid.
    pub earned: BTreeMap<usize, u64>,
    /// The books, once they were looked at.
    pub books: BooksInShort,
}

impl Story {
    /// A story that has not begun.
    pub fn new(swarm: Swarm, seed: u64) -> Self {
        Self {
            swarm,
            seed,
            nodes: BTreeMap::new(),
            roots: BTreeMap::new(),
            originals: BTreeMap::new(),
            bought: BTreeMap::new(),
            earned: BTreeMap::new(),
            books: BooksInShort::default(),
        }
    }

    /// The n-th peer.
    pub fn peer(&self, n: usize) -> Result<Peer> {
        self.swarm.peer(&peer_name(n))
    }

    /// The node key of the n-th peer.
    pub fn node(&self, n: usize) -> Result<&str> {
        self.nodes
            .get(&n)
            .map(String::as_str)
            .with_context(|| format!("the key of {} is not known", peer_name(n)))
    }

    /// Makes the original of a good.
    pub fn make(&mut self, good: &Good) -> Result<PathBuf> {
        let directory = self.swarm.goods().join(peer_name(good.vendor));
        let path = goods::make(&directory, good.name, good.size, self.seed)?;
        self.originals.insert(good.name, path.clone());
        Ok(path)
    }

    /// Buys a good: it costs what it should, comes from whom it should, and is what it should be.
    pub async fn buy(&mut self, buyer: usize, good: &Good, keep_open: bool) -> Result<DownloadView> {
        let root = self.roots.get(good.name).with_context(|| format!("{} is not shared", good.name))?;
        let vendor = self.node(good.vendor)?;
        let peer = self.peer(buyer)?;
        let directory = self.swarm.directory().join("bought").join(peer.name());
        std::fs::create_dir_all(&directory)?;
        let view = peer.buy(&GetRequest { keep_open, ..order(root, Some(vendor), &directory) }).await?;
        ensure!(view.paid == good.price, "{}: expected to pay {}, paid {}", good.name, good.price, view.paid);
        ensure!(
            view.vendors == [vendor],
            "{}: expected it from {vendor}, came from {:?}",
            good.name,
            view.vendors
        );
        let original = self.originals.get(good.name).context("an original")?;
        goods::compare(original, &PathBuf::from(&view.path))?;
        *self.earned.entry(good.vendor).or_default() += view.paid;
        Ok(view)
    }

    /// Everything that vendors earned.
    pub fn spent(&self) -> u64 {
        self.earned.values().sum()
    }
}

/// Which way a chain went to its new vendor, by what the download's timeline says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The last vendor's word was had, from itself or from the record.
    Closed,
    /// The last vendor is gone: at the cap.
    AtTheCap,
    /// There was nothing to hand on.
    None,
}

/// Which way it went.
pub fn way(view: &DownloadView) -> Way {
    let handoff = view.timeline.iter().find(|entry| entry.what == "handoff");
    match handoff {
        Some(entry) if entry.detail.contains("gone") => Way::AtTheCap,
        Some(_) => Way::Closed,
        None => Way::None,
    }
}
