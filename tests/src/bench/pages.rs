//! A browser asks a peer that has sold much for all its pages.

use super::figures::{percentile, rounded};
use super::usage::at_rest;
use super::{funded, search, tell};
use crate::swarm::Swarm;
use crate::swarm::peer::Peer;
use crate::swarm::process::Program;
use anyhow::{Context as _, Result, bail, ensure};
use netpay_core::amount::Coins;
use netpay_core::id::ContentRoot;
use netpay_node::app::sell::SaleRow;
use netpay_node::app::view::{Page, SaleView, SharedFile};
use netpay_node::store::{Batch, Db};
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The vendor, and others that keep its listings.
const PEERS: usize = 4;
/// Coins in the vendor's wallet, one chain for each purchase of so many.
const COINS: u64 = 100;
/// Files of each other peer that are found by one word: as many as a place keeps of one vendor. Three have a page full.
const FOUND: usize = 20;
/// Words by which others have as many each: all but one are searched once.
const WORDS: usize = 101;
/// What is asked for, over and over.
const PATHS: [&str; 11] = [
    "/",
    "/search?words=wordaaaa",
    "/downloads",
    "/files",
    "/files?words=wordaaab",
    "/sales",
    "/wallet",
    "/wallet/history",
    "/peers",
    "/settings",
    "/live/status",
];
/// Sales written in one batch.
const AT_ONCE: usize = 1000;

/// Measures.
pub async fn run(program: Program, listings: usize, sales: usize, rounds: usize) -> Result<Value> {
    let (mut swarm, peers) = funded(program, PEERS, &[COINS, 0, 0, 0]).await?;
    let vendor = peers.first().context("a vendor")?;
    let shared = stock(&swarm, &peers, listings).await?;
    tell(&format!("{} files are shared", shared.len()));
    swarm.stop(vendor.name()).await?;
    sold(vendor.home(), &shared, sales)?;
    swarm.start(vendor.name()).await?;
    vendor.meet(PEERS).await?;
    tell(&format!("{sales} sales are made up"));
    let found = vendor.search(&search::word(0)).await?.len();
    let shared_by_others = (PEERS - 1) * FOUND;
    ensure!(found == shared_by_others, "{found} of {shared_by_others} files are found");
    at_rest(swarm.running(vendor.name()).context("it runs")?).await?;
    tell("the vendor has come to rest");
    let browser = Browser::of(vendor).await?;
    let middle = vendor.api().query::<Page<SaleView>>("/sales", &[("limit", "500")]).await?.next;
    let mut paths: Vec<String> = PATHS.map(str::to_owned).into();
    paths.push(format!("/files?at={}", listings / 2 / 50 * 50));
    paths.extend(middle.map(|middle| format!("/sales?behind={middle}")));
    let mut seen = Seen::default();
    seen.again_and_again(&browser, &paths, rounds).await?;
    seen.first_searches(&browser).await?;
    let first_paint = browser.first_paint().await?;
    swarm.down().await?;
    let worst = seen.pages.iter().filter_map(|page| page["p99_ms"].as_f64()).fold(0.0, f64::max);
    Ok(json!({
        "p50_ms": rounded(percentile(&seen.all, 0.5)),
        "p99_ms": rounded(percentile(&seen.all, 0.99)),
        "worst_page_p99_ms": worst,
        "first_paint_bytes": first_paint,
        "pages": seen.pages,
        "listings": shared.len(),
        "sales": sales,
        "rounds": rounds,
    }))
}

/// Has the vendor share its files, which are told, and the others theirs.
async fn stock(swarm: &Swarm, peers: &[Peer], listings: usize) -> Result<Vec<SharedFile>> {
    let mut shared = Vec::new();
    for (number, peer) in peers.iter().enumerate() {
        let directory = swarm.goods().join(peer.name());
        if number == 0 {
            search::make(&directory, 0..listings, (listings / 20).max(1))?;
            shared = peer.share_all(&directory, 1).await?;
        } else {
            let first = (listings.div_ceil(WORDS) + number * FOUND) * WORDS;
            search::make(&directory, first..first + FOUND * WORDS, WORDS)?;
            peer.share_all(&directory, 1).await?;
        }
    }
    Ok(shared)
}

/// How pages came.
#[derive(Default)]
struct Seen {
    pages: Vec<Value>,
    all: Vec<f64>,
}

impl Seen {
    async fn again_and_again(&mut self, browser: &Browser, paths: &[String], rounds: usize) -> Result<()> {
        for path in paths {
            let (mut took, mut bytes) = (Vec::new(), 0);
            // The first round warms up.
            for round in 0..=rounds {
                let (millis, page) = browser.loads(path).await?;
                bytes = page.len();
                took.extend((round > 0).then_some(millis));
            }
            self.note(path.split_inclusive("behind=").next().unwrap_or(path), took, bytes);
        }
        Ok(())
    }

    /// Searches, each for what nobody has looked for: all that is found has to be believed.
    async fn first_searches(&mut self, browser: &Browser) -> Result<()> {
        let (mut took, mut bytes) = (Vec::new(), 0);
        for word in (1..WORDS).map(search::word) {
            let (millis, page) = browser.loads(&format!("/search?words={word}")).await?;
            ensure!(page.contains("/buy?what="), "nothing is found for {word}");
            bytes = page.len();
            took.push(millis);
        }
        self.note("/search?words= for the first time", took, bytes);
        Ok(())
    }

    fn note(&mut self, page: &str, took: Vec<f64>, bytes: usize) {
        self.pages.push(json!({
            "page": page,
            "p50_ms": rounded(percentile(&took, 0.5)),
            "p99_ms": rounded(percentile(&took, 0.99)),
            "bytes": bytes,
        }));
        self.all.extend(took);
    }
}

/// Writes sales into the database of a peer that does not run: one every minute up to now, of each file in turn.
fn sold(home: &Path, shared: &[SharedFile], many: usize) -> Result<()> {
    let db = Db::open(&home.join("db"))?;
    let roots = shared.iter().map(|file| Ok(file.id.parse()?)).collect::<Result<Vec<ContentRoot>>>()?;
    ensure!(!roots.is_empty(), "nothing is shared");
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let numbers: Vec<u64> = (0..many as u64).collect();
    for part in numbers.chunks(AT_ONCE) {
        let mut batch = Batch::new();
        for number in part {
            let root = roots[usize::try_from(*number)? % roots.len()];
            let row =
                SaleRow { root, buyer: netpay_core::keys::PublicKey(root.0), coins: Coins(1), units: 1 };
            row.put(&mut batch, now.saturating_sub(number * 60_000), *number);
        }
        db.commit(batch).wait()?;
    }
    Ok(db.close()?)
}

/// A browser that is signed in.
pub(super) struct Browser {
    http: Client,
    base: String,
    cookie: String,
}

impl Browser {
    /// Signs in at a peer, by a link.
    pub async fn of(peer: &Peer) -> Result<Self> {
        let link: Value = peer.api().post("/login-links", &json!({})).await?;
        let link = link["url"].as_str().context("a link")?;
        let http = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
        let entered = http.get(link).send().await?;
        let cookie = entered.headers().get(SET_COOKIE).context("a cookie")?.to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(Self { http, base: format!("http://{}", peer.api().address()?), cookie })
    }

    /// Loads a page whole; how long that took in milliseconds, and what came.
    pub async fn loads(&self, path: &str) -> Result<(f64, String)> {
        let began = Instant::now();
        let request = self.http.get(format!("{}{path}", self.base)).header(COOKIE, &self.cookie);
        let answer = request.timeout(Duration::from_secs(60)).send().await?;
        let status = answer.status();
        let page = answer.text().await?;
        let took = began.elapsed().as_secs_f64() * 1000.0;
        if status != StatusCode::OK {
            bail!("{path} is answered with {status}: {page}");
        }
        Ok((took, page))
    }

    /// Bytes of the home page and of everything that it refers to.
    async fn first_paint(&self) -> Result<usize> {
        let (_, home) = self.loads("/").await?;
        let named = home.split("\"/assets/").skip(1).filter_map(|rest| rest.split(['"', '#']).next());
        let assets: std::collections::BTreeSet<&str> = named.collect();
        ensure!(assets.len() >= 4, "{assets:?} is not all that a page needs");
        let mut bytes = home.len();
        for asset in assets {
            bytes += self.loads(&format!("/assets/{asset}")).await?.1.len();
        }
        Ok(bytes)
    }
}
