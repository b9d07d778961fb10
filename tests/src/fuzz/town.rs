//! A town that bytes drive: a buyer and two vendors, two more that witness with them, and the broker, all of them the
//! product's own machines ([`crate::sim`]). Bytes say who of them lie and how, how long each message takes and whether it comes,
//! which streams break, and who crashes at which output. The oracle counts every coin.

use super::Target;
use crate::sim::{Settings, play_bytes};

/// Those that trade, and as many more as a committee takes; the buyer is in none of its own.
const PEERS: usize = 5;
const VENDORS: usize = 2;
const BUYERS: usize = 1;
/// The bits of those that may lie: the members of a committee, of whom one does or none, and the buyer.
const MEMBERS: [u64; 4] = [1, 1 << 1, 1 << 3, 1 << 4];
const BUYER: u64 = 1 << 2;
/// Towns to choose from: who is who, and where.
const TOWNS: u8 = 8;

pub fn targets() -> Vec<Target> {
    vec![Target::new("town", seeds, town).slow(12)]
}

fn seeds() -> Vec<Vec<u8>> {
    // Nobody lies and everything goes well; everything goes wrong; the buyer and a vendor lie; chance alone.
    let quiet = [vec![0, 4, 0], vec![255; 400]].concat();
    let storm = [vec![0, 4, 255], vec![0; 400]].concat();
    let liars = [vec![1, 5, 128], (0..=255).rev().collect()].concat();
    vec![quiet, storm, liars, Vec::new()]
}

fn town(bytes: &[u8]) {
    let (head, rest) =
        bytes.split_first_chunk::<3>().map_or(([0, 4, 128], bytes), |(head, rest)| (*head, rest));
    let [seed, liars, churn] = head;
    // A committee of four withstands one liar; the buyer is not in it.
    let member = MEMBERS.get(usize::from(liars) % (MEMBERS.len() + 1)).copied().unwrap_or(0);
    let buyer = if usize::from(liars) / (MEMBERS.len() + 1) % 2 == 1 { BUYER } else { 0 };
    let settings = Settings {
        vendors: VENDORS,
        buyers: BUYERS,
        liars: Some(member | buyer),
        ..Settings::of(PEERS, 0.0, f64::from(churn) / 255.0)
    };
    let outcome = play_bytes(rest, (seed % TOWNS).into(), &settings);
    assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
}
