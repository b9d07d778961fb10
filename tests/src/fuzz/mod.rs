//! What bytes can do: one target per decoder, per validator, and one that plays a whole town. A target is a function of
//! bytes that panics where something does not hold. libFuzzer calls it (`tests/fuzz`), and `cargo test` does.
//!
//! The rooms: `decoders` (what comes over the wire or from a disk), `texts` (what people paste, and files they edit),
//! `records` (chain records, witnesses, evidence), `market` (listings, cards, payments, pieces of files), `books` (the
//! broker), `town` (three that trade, two more that witness, and the broker).

mod books;
mod decoders;
mod market;
mod records;
#[path = "../../../core/tests/samples/mod.rs"]
mod samples;
mod texts;
mod town;

use crate::sim::dice::Dice;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The longest input worth a try, in bytes.
pub const MAX_INPUT: usize = 4096;
/// Inputs that a test makes up for a target, if trying one takes well under a millisecond.
const TRIES: u64 = 2000;
/// Changes to one of them, at most.
const CHANGES: u64 = 6;
/// The longest stretch that is doubled, cut, or taken from another, in bytes.
const STRETCH: u64 = 64;

/// What a target does with bytes.
type Run = Box<dyn Fn(&[u8]) + Send + Sync>;
/// Makes inputs.
type Seeds = Box<dyn Fn() -> Vec<Vec<u8>> + Send + Sync>;

/// One thing that bytes may try to break.
pub struct Target {
    /// Its name: `decode_hello`, `town`.
    pub name: String,
    seeds: Seeds,
    tries: u64,
    run: Run,
}

impl Target {
    fn new(
        name: &str,
        seeds: impl Fn() -> Vec<Vec<u8>> + Send + Sync + 'static,
        run: impl Fn(&[u8]) + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.to_owned(), seeds: Box::new(seeds), tries: TRIES, run: Box::new(run) }
    }

    /// A target that takes its time: a test tries it only so often.
    fn slow(mut self, tries: u64) -> Self {
        self.tries = tries;
        self
    }

    /// What an honest party's bytes look like: whatever is tried begins with them.
    #[must_use]
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        (self.seeds)()
    }

    /// Tries some bytes.
    ///
    /// # Panics
    /// If something does not hold that has to, whatever the bytes are.
    pub fn run(&self, bytes: &[u8]) {
        (self.run)(bytes);
    }

    /// Where the inputs lie that are tried in every test.
    #[must_use]
    pub fn corpus(&self) -> PathBuf {
        corpora().join(&self.name)
    }

    /// Inputs made of some others, the same ones every time: bytes changed, doubled, cut, taken from another.
    pub fn mutants<'a>(&self, of: &'a [Vec<u8>]) -> impl Iterator<Item = Vec<u8>> + use<'a> {
        let mut dice = Dice::apart(of.len() as u64, self.name.len() as u64);
        (0..self.tries).map(move |_| mutant(of, &mut dice))
    }
}

/// Where all corpora lie.
#[must_use]
pub fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn mutant(of: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let place = |dice: &mut Dice, length: usize| usize::try_from(dice.between(0, length as u64)).unwrap_or(0);
    let one = |dice: &mut Dice| of.get(place(dice, of.len())).cloned().unwrap_or_default();
    let mut bytes = one(dice);
    for _ in 0..dice.between(1, CHANGES + 1) {
        let at = place(dice, bytes.len() + 1);
        let end = bytes.len().min(at + place(dice, STRETCH as usize));
        let number = dice.next().to_le_bytes();
        match dice.between(0, 7) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.extend_from_within(at..end),
            3 => bytes.insert(at, number[0]),
            4 => {
                let other = one(dice);
                let end = other.len().min(at + place(dice, STRETCH as usize));
                bytes.splice(at.., other.get(at..end).unwrap_or_default().iter().copied());
            }
            5 => bytes.iter_mut().skip(at).zip(number).for_each(|(byte, random)| *byte = random),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (number[0] % 8)),
        }
    }
    bytes.truncate(MAX_INPUT);
    bytes
}

static TARGETS: LazyLock<Vec<Target>> = LazyLock::new(|| {
    let all = [
        decoders::targets(),
        texts::targets(),
        records::targets(),
        market::targets(),
        books::targets(),
        town::targets(),
    ];
    all.into_iter().flatten().collect()
});

/// All targets.
#[must_use]
pub fn targets() -> &'static [Target] {
    &TARGETS
}

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
