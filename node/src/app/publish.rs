//! Publish: what this peer offers, put on the shelf and made known where it is looked for; and its own share
//! of everybody's index.

mod meter;
mod own;
mod push;
mod rows;
mod service;
mod share;
mod upkeep;

pub use rows::Rows;
pub use upkeep::run;

use super::shelf::{self, Hashing, ShelfError, ShelfRow, State};
use super::view::{Page, Part, SharedFile};
use super::{Node, Trouble, lock};
use crate::clock;
use crate::store::{Db, StoreError};
use meter::Meter;
use netpay_core::amount::Coins;
use netpay_core::codec::{List, Text};
use netpay_core::content::link::{Link, SCHEME};
use netpay_core::content::listing::{Listing, MAX_PRICE};
use netpay_core::content::token::{MAX_TOKEN, MAX_TOKENS};
use netpay_core::fair::policy::{self, Fair};
use netpay_core::id::{ContentRoot, NetworkId};
use netpay_core::keys::Signed;
use netpay_core::record::presence::Card;
use netpay_core::session::vendor::Offer;
use own::{Own, Pen};
use push::Placed;
use share::Share;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// How many members keep what belongs to a place.
pub(super) const REPLICAS: usize = 8;
/// How long one member is waited for when something is put there.
const PUT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long whoever shares a file waits for replicas that are slow.
const SHARE_PATIENCE: Duration = Duration::from_millis(1500);
/// Files put on the shelf by one command at most.
const MAX_ADDED: usize = 20_000;
/// While many files are added, those that are there are published in parts of so many …
const PUBLISHED_AT_ONCE: usize = 512;
/// … or of as many as have so many bytes together: large files take long to hash.
const BYTES_AT_ONCE: u64 = 1 << 30;

type Tags = List<Text<MAX_TOKEN>, MAX_TOKENS>;

/// This node's share of the index and of presence, and what it has put at others'.
pub struct Replicas {
    share: Share,
    own: Own,
    placed: Placed,
    meter: Meter,
    card: Mutex<Option<Signed<Card>>>,
    /// Listings are made by one at a time, so that their sequences rise.
    pen: tokio::sync::Mutex<()>,
    wanted: Notify,
}

impl Replicas {
    /// What this store kept. Blocks.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn open(db: Db, network: NetworkId) -> Result<Self, StoreError> {
        let now = clock::time();
        Ok(Self {
            share: Share::open(db.clone(), network, now)?,
            own: Own::open(db, network, now)?,
            placed: Placed::default(),
            meter: Meter::default(),
            card: Mutex::default(),
            pen: tokio::sync::Mutex::default(),
            wanted: Notify::new(),
        })
    }
}

impl Node {
    /// Puts files on the shelf and publishes them: when this returns, a search finds them, unless nobody can be
    /// reached. Files already there are offered under the new terms.
    ///
    /// # Errors
    /// If something is out of range, or a file cannot be sold; files added before it stay.
    pub async fn share_add(
        &self,
        paths: Vec<PathBuf>,
        price: u64,
        tags: Vec<String>,
        recursive: bool,
    ) -> Result<Vec<SharedFile>, Trouble> {
        let (price, tags) = (parse_price(price)?, parse_tags(&tags)?);
        let most = self.most();
        let files = self.blocking(move |_| files_of(&paths, recursive, price, most)).await??;
        let mut shared = Vec::with_capacity(files.len());
        for part in parts(files) {
            let (added, stopped) = self.shelve(part, shelf::Offer { price, tags: tags.clone() }).await?;
            let roots = added.iter().flat_map(|added| added.replaces.into_iter().chain([added.row.root]));
            let roots = roots.collect();
            shared.extend(added.iter().map(|added| self.shared_file(&added.row, true)));
            self.announce(roots).await?;
            if let Some(error) = stopped {
                return Err(trouble(error));
            }
        }
        Ok(shared)
    }

    /// Everything on the shelf, by name.
    ///
    /// # Errors
    /// If the peer is stopping.
    pub async fn share_list(&self) -> Result<Vec<SharedFile>, Trouble> {
        let list = |node: &Node| node.0.shelf.rows().iter().map(|row| node.shelved(row)).collect::<Vec<_>>();
        let mut shared = self.blocking(list).await?;
        shared.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        Ok(shared)
    }

    /// So many files of the shelf, by name, from number `from` on (counted from 0), of those whose names or tags hold
    /// all these words; and how many there are. Only what is shown is looked for on the disk.
    ///
    /// # Errors
    /// If the peer is stopping.
    pub async fn share_page(
        &self,
        words: &str,
        from: usize,
        many: usize,
    ) -> Result<(Vec<SharedFile>, usize), Trouble> {
        let words: Vec<String> = words.split_whitespace().take(MAX_TOKENS).map(str::to_lowercase).collect();
        let page = move |node: &Node| {
            let holds = |row: &ShelfRow| {
                let held = |word: &String| {
                    row.name.to_lowercase().contains(word)
                        || row.tags.iter().any(|tag| tag.to_lowercase().contains(word))
                };
                words.iter().all(held)
            };
            let (rows, total) = node.0.shelf.page(holds, from, many);
            (rows.iter().map(|row| node.shelved(row)).collect(), total)
        };
        self.blocking(page).await
    }

    /// A page of the shelf, in the order of content roots.
    ///
    /// # Errors
    /// If there is no such page, or the peer is stopping.
    pub async fn share_part(&self, part: &Part) -> Result<Page<SharedFile>, Trouble> {
        let (after, limit) = (part.after(|root| root.parse().ok())?, part.limit()?);
        let page = move |node: &Node| {
            let rows = node.0.shelf.behind(after, limit + 1);
            Page::of(rows, limit, |row| row.root.to_string(), |row| node.shelved(&row))
        };
        self.blocking(page).await
    }

    /// One file of the shelf.
    ///
    /// # Errors
    /// If it is not on the shelf.
    pub async fn share_one(&self, id: &str) -> Result<SharedFile, Trouble> {
        let row = self.on_shelf(id)?;
        self.blocking(move |node| node.shelved(&row)).await
    }

    /// How many files are on the shelf.
    #[must_use]
    pub fn shared(&self) -> usize {
        self.0.shelf.count()
    }

    /// A row of the shelf as it is shown. Blocks: it looks for the file.
    fn shelved(&self, row: &ShelfRow) -> SharedFile {
        let present = self.0.shelf.state(&row.root).is_ok_and(|state| state == State::Ready);
        self.shared_file(row, present)
    }

    fn shared_file(&self, row: &ShelfRow, present: bool) -> SharedFile {
        let sum = self.0.tally.of_file(&row.root);
        SharedFile {
            id: row.root.to_string(),
            name: row.name.to_string(),
            path: row.path().display().to_string(),
            size: row.size(),
            price: row.price.0,
            tags: row.tags.iter().map(|tag| tag.to_string()).collect(),
            sold: sum.count,
            earned: sum.coins,
            present,
        }
    }

    /// Offers a file under other terms.
    ///
    /// # Errors
    /// If it is not on the shelf, is no longer what was listed, or something is out of range.
    pub async fn share_set(
        &self,
        id: String,
        price: Option<u64>,
        tags: Option<Vec<String>>,
    ) -> Result<SharedFile, Trouble> {
        let row = self.on_shelf(&id)?;
        let offer = shelf::Offer {
            price: price.map_or(Ok(row.price), parse_price)?,
            tags: tags.map_or(Ok(row.tags.clone()), |tags| parse_tags(&tags))?,
        };
        may_cost(offer.price, row.size(), self.most())?;
        let root = row.root;
        let state = self.blocking(move |node| node.0.shelf.state(&root)).await?.map_err(trouble)?;
        let (added, present) = match state {
            State::Ready => {
                let (added, stopped) = self.shelve(vec![row.path().to_owned()], offer).await?;
                let why = || trouble(stopped.unwrap_or(ShelfError::Stopped));
                (added.into_iter().next().ok_or_else(why)?, true)
            }
            State::Changed => return Err(trouble(ShelfError::Changed(row.path().to_owned()))),
            State::Vanished => return Err(trouble(ShelfError::Vanished(row.path().to_owned()))),
        };
        self.announce(added.replaces.into_iter().chain([root, added.row.root]).collect()).await?;
        Ok(self.shared_file(&added.row, present))
    }

    /// Takes a file from the shelf and withdraws its listing; the file itself stays where it is.
    ///
    /// # Errors
    /// If it is not on the shelf, or that could not be stored.
    pub async fn share_remove(&self, id: String) -> Result<(), Trouble> {
        let root = self.on_shelf(&id)?.root;
        self.blocking(move |node| node.0.shelf.remove(&root)).await?.map_err(trouble)?;
        self.announce(BTreeSet::from([root])).await
    }

    /// How it sells, and what a unit may cost in plain mode.
    fn most(&self) -> (Fair, Coins) {
        (self.settings().fair, self.settings().unit_price)
    }

    /// What the shelf says about some content now. Looks at the file's time of change.
    #[must_use]
    pub fn offer(&self, root: &ContentRoot) -> Offer {
        let Some(row) = self.0.shelf.row(root) else { return Offer::NotOffered };
        match self.0.shelf.state(root) {
            Ok(State::Ready) => Offer::Offered { price: row.price, size: row.size() },
            Ok(State::Changed | State::Vanished) => Offer::Gone,
            Err(_) => Offer::NotOffered,
        }
    }

    /// How many files are offered now.
    #[must_use]
    pub fn offered(&self) -> usize {
        self.0.index.own.len()
    }

    /// So many listings of what is offered now, behind a content root and in the order of these.
    pub(super) fn own_listings(&self, after: Option<ContentRoot>, many: usize) -> Vec<Signed<Listing>> {
        self.0.index.own.after(after, |listings| listings.take(many).cloned().collect())
    }

    /// Publishes soon what is not yet where it belongs: after something changed that only others know of, such
    /// as a new membership.
    pub(super) fn publish_soon(&self) {
        self.0.index.wanted.notify_one();
    }

    /// Does something that blocks.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Trouble> {
        let node = self.clone();
        tokio::task::spawn_blocking(move || work(&node)).await.map_err(|_| Trouble::Stopping)
    }

    /// Hashes files and puts them on the shelf, up to the first that cannot be; dropping the future stops that.
    async fn shelve(
        &self,
        paths: Vec<PathBuf>,
        offer: shelf::Offer,
    ) -> Result<(Vec<shelf::Added>, Option<ShelfError>), Trouble> {
        struct StopOnDrop(Arc<Hashing>);
        impl Drop for StopOnDrop {
            fn drop(&mut self) {
                self.0.stop();
            }
        }
        let hashing = StopOnDrop(Arc::default());
        let handle = Arc::clone(&hashing.0);
        self.blocking(move |node| node.0.shelf.add_all_blocking(&paths, &offer, &handle)).await
    }

    /// Makes the listings of these files say what the shelf says, and puts them where they belong.
    async fn announce(&self, roots: BTreeSet<ContentRoot>) -> Result<(), Trouble> {
        // Twice, as replicas may know of newer listings than this peer remembers.
        for _ in 0..2 {
            let news = self.list(Some(roots.clone())).await?;
            if news.is_empty() || self.push(&news, Some(SHARE_PATIENCE)).await {
                break;
            }
        }
        self.publish_soon();
        Ok(())
    }

    /// Makes listings say what the shelf says, of all files or of some; returns what is new.
    async fn list(&self, only: Option<BTreeSet<ContentRoot>>) -> Result<Vec<Signed<Listing>>, Trouble> {
        let _alone = self.0.index.pen.lock().await;
        let news = self.blocking(move |node| {
            let concerned = |row: &ShelfRow| only.as_ref().is_none_or(|only| only.contains(&row.root));
            let ready =
                |row: &ShelfRow| node.0.shelf.state(&row.root).is_ok_and(|state| state == State::Ready);
            let rows: Vec<_> =
                node.0.shelf.rows().into_iter().filter(|row| concerned(row) && ready(row)).collect();
            let pen = Pen { network: node.network(), identity: &node.0.identity, broker: node.broker_key() };
            node.0.index.own.reconcile(&rows, only.as_ref(), &pen, clock::time())
        });
        Ok(news.await??)
    }

    /// The file on the shelf that a person names: by its content root or a link to it.
    fn on_shelf(&self, id: &str) -> Result<ShelfRow, Trouble> {
        let not_found = || Trouble::NotFound { what: "shared file", id: id.to_owned() };
        let row = self.0.shelf.row(&parse_root(id).ok_or_else(not_found)?);
        row.ok_or_else(not_found)
    }

    /// This peer's card as it is now: another one when it is due or something on it changed.
    fn card(&self) -> Signed<Card> {
        upkeep::card(self, &mut lock(&self.0.index.card))
    }
}

/// A content root, bare or in a link.
pub(super) fn parse_root(text: &str) -> Option<ContentRoot> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let is_link = text.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME));
        is_link.then(|| text.parse::<Link>().ok()).flatten().map(|link| link.root)
    })
}

/// The files meant, all of which may be offered at this price.
fn files_of(
    paths: &[PathBuf],
    recursive: bool,
    price: Coins,
    most: (Fair, Coins),
) -> Result<Vec<(PathBuf, u64)>, Trouble> {
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        for file in shelf::files_in(path, recursive) {
            let file = file.map_err(trouble)?;
            let size = file.metadata().map_err(|error| Trouble::file(&file, error))?.len();
            may_cost(price, size, most)?;
            if files.len() >= MAX_ADDED {
                return Err(Trouble::file(path, format!("more than {MAX_ADDED} files at once")));
            }
            files.push((file, size));
        }
        if files.len() == before {
            return Err(Trouble::file(path, "there is no file in it"));
        }
    }
    Ok(files)
}

/// Files, with their sizes, in the parts in which they are published.
fn parts(files: Vec<(PathBuf, u64)>) -> Vec<Vec<PathBuf>> {
    let (mut parts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0u64);
    for (file, size) in files {
        part.push(file);
        bytes = bytes.saturating_add(size);
        if part.len() >= PUBLISHED_AT_ONCE || bytes >= BYTES_AT_ONCE {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
    }
    parts.extend((!part.is_empty()).then_some(part));
    parts
}

/// Whether a file of this price can be sold in one mode or the other; `most` is what a unit may cost in plain mode.
fn may_cost(price: Coins, size: u64, (fair, most): (Fair, Coins)) -> Result<(), Trouble> {
    policy::units(fair, price, size, most).map(|_| ()).ok_or(Trouble::TooDear(most))
}

fn parse_price(price: u64) -> Result<Coins, Trouble> {
    let coins = Coins(price);
    if coins > MAX_PRICE {
        return Err(Trouble::bad("price", price.to_string(), format!("the highest is {MAX_PRICE}")));
    }
    Ok(coins)
}

fn parse_tags(tags: &[String]) -> Result<Tags, Trouble> {
    let mut parsed = Tags::new();
    for tag in tags {
        let bad = |why: String| Trouble::bad("tag", tag.clone(), why);
        if tag.trim().is_empty() || tag.chars().any(char::is_control) {
            return Err(bad("it is empty or holds a control character".to_owned()));
        }
        let text =
            Text::try_from(tag.trim()).map_err(|_| bad(format!("it is longer than {MAX_TOKEN} bytes")))?;
        if !parsed.contains(&text) {
            parsed.push(text).map_err(|_| bad(format!("there are more than {MAX_TOKENS}")))?;
        }
    }
    Ok(parsed)
}

/// What a person has to do about what the shelf says.
fn trouble(error: ShelfError) -> Trouble {
    let why = error.to_string();
    let path: &Path = match &error {
        ShelfError::NotOffered(root) => {
            return Trouble::NotFound { what: "shared file", id: root.to_string() };
        }
        ShelfError::Stopped => return Trouble::Stopping,
        ShelfError::Vanished(path) => {
            return Trouble::NotFound { what: "file to share", id: path.display().to_string() };
        }
        ShelfError::Directory(path)
        | ShelfError::NotAFile(path)
        | ShelfError::Private(path)
        | ShelfError::Path(path)
        | ShelfError::TooLarge(path) => {
            return Trouble::BadInput { what: "file to share", given: path.display().to_string(), why };
        }
        ShelfError::NoSuchUnit | ShelfError::Rows(_) => Path::new(""),
        ShelfError::Changed(path) | ShelfError::Tree(path) | ShelfError::Io { path, .. } => path,
    };
    let path = path.to_owned();
    match error {
        ShelfError::Rows(error) => match error.downcast::<StoreError>() {
            Ok(error) => Trouble::Store(*error),
            Err(error) => Trouble::file(path, error),
        },
        _ => Trouble::file(path, why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_that_plain_mode_cannot_take_is_refused_before_anything_is_hashed() {
        assert!(may_cost(Coins(10), 5, (Fair::Never, Coins(10))).is_ok());
        assert!(may_cost(Coins(11), 5, (Fair::Never, Coins(10))).is_err());
        assert!(may_cost(Coins(640), 1 << 20, (Fair::Never, Coins(10))).is_ok());
        assert!(may_cost(Coins(0), 0, (Fair::Never, Coins(10))).is_ok());
    }

    #[test]
    fn tags_are_trimmed_distinct_and_within_their_range() {
        let tags = |tags: &[&str]| parse_tags(&tags.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(tags(&[" a ", "a", "b"]).expect("tags").len(), 2);
        assert!(tags(&[" "]).is_err() && tags(&["a\nb"]).is_err() && tags(&[&"x".repeat(33)]).is_err());
        let many: Vec<String> = (0..17).map(|tag| tag.to_string()).collect();
        assert!(parse_tags(&many).is_err());
    }

    #[test]
    fn a_file_is_named_by_its_root_or_a_link() {
        let root = ContentRoot([0xab; 32]);
        assert_eq!(parse_root(&root.to_string()), Some(root));
        assert_eq!(parse_root(&format!("netpay:{root}?name=x")), Some(root));
        assert_eq!(parse_root("song"), None);
    }
}
