//! The whole story in about a minute: a broker and eight peers, real files and coins, three ways to hand a chain on, two
//! kinds of death, and books that balance to the coin.

mod steps;
mod story;

use crate::swarm::Swarm;
use crate::swarm::broker::BooksInShort;
use crate::swarm::process::Program;
use anyhow::Result;
use serde::Serialize;
use std::path::Path;
use std::time::Instant;
use story::Story;

/// How many peers take part.
pub const PEERS: usize = 8;

/// How the demo went.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Whether every step held.
    pub ok: bool,
    /// The steps, in order; the last one is the one that failed, if one did.
    pub steps: Vec<Step>,
    /// The books at the end.
    pub books: BooksInShort,
    /// What did not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One step.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Its name.
    pub name: &'static str,
    /// How long it took.
    pub ms: u64,
    /// Coins moved in it.
    pub coins: u64,
    /// What happened, for a person.
    #[serde(skip)]
    pub told: String,
}

/// What a step came to: coins, and what happened in a line.
pub(crate) type Told = Result<(u64, String)>;

/// Plays the story and tells each step as it is done. Gives back the report and, unless it never came to be, the swarm.
pub async fn run(
    directory: Option<&Path>,
    program: Program,
    seed: u64,
    tell: impl Fn(&Step),
) -> (Report, Option<Swarm>) {
    let mut report = Report::default();
    let began = Instant::now();
    let made = match directory {
        Some(directory) => Swarm::new(directory, program, seed).await,
        None => Swarm::temporary(program, seed).await,
    };
    let mut story = match made {
        Ok(swarm) => Story::new(swarm, seed),
        Err(error) => return (Report { error: Some(format!("{error:#}")), ..report }, None),
    };
    let outcome = play(&mut story, &mut report, began, tell).await;
    report.books = story.books;
    report.ok = outcome.is_ok();
    report.error = outcome.err().map(|error| format!("{error:#}"));
    (report, Some(story.swarm))
}

/// One step after the other, up to the first that does not hold.
async fn play(story: &mut Story, report: &mut Report, began: Instant, tell: impl Fn(&Step)) -> Result<()> {
    macro_rules! steps {
        ($began:expr, $($name:ident),+ $(,)?) => {{
            let mut began = $began;
            $(
                let outcome = steps::$name(story).await;
                let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                let (coins, told) = outcome.map_err(|error| error.context(concat!("in step ", stringify!($name))))?;
                let step = Step { name: stringify!($name), ms, coins, told };
                tell(&step);
                report.steps.push(step);
                began = Instant::now();
            )+
            let _ = began;
        }};
    }
    steps!(
        began,
        start,
        fund,
        buy_coins,
        share,
        search,
        download,
        handoff_online,
        handoff_closed_vendor,
        handoff_crashed_vendor,
        sale_without_broker,
        restart_without_broker,
        everyone_back,
        redeem,
        books,
    );
    Ok(())
}
