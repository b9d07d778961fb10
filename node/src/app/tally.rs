//! What was sold, summed up: by file and by day, so that nobody has to read all sales to see it.

use super::sell::SaleRow;
use super::{Node, Trouble, lock};
use netpay_core::id::ContentRoot;
use netpay_core::time::DAY;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Files summed up one by one at most; those beyond count only in the whole.
const MAX_FILES: usize = 100_000;
/// Days summed up at most, the newest.
const MAX_DAYS: usize = 400;

/// How often something was sold, and for how many coins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Sales.
    pub count: u64,
    /// Coins.
    pub coins: u64,
}

impl Sum {
    fn add(&mut self, coins: u64) {
        self.count = self.count.saturating_add(1);
        self.coins = self.coins.saturating_add(coins);
    }
}

#[derive(Default)]
struct Sums {
    all: Sum,
    files: BTreeMap<ContentRoot, Sum>,
    days: BTreeMap<u64, Sum>,
}

/// The sums over all sales.
#[derive(Default)]
pub struct Tally(Mutex<Sums>);

impl Tally {
    /// A sale that ended at this moment, in milliseconds since 1970.
    pub(super) fn note(&self, at: u64, row: &SaleRow) {
        let mut sums = lock(&self.0);
        sums.all.add(row.coins.0);
        if sums.files.len() < MAX_FILES || sums.files.contains_key(&row.root) {
            sums.files.entry(row.root).or_default().add(row.coins.0);
        }
        sums.days.entry(at / 1000 / DAY).or_default().add(row.coins.0);
        if sums.days.len() > MAX_DAYS {
            sums.days.pop_first();
        }
    }

    /// What one file brought.
    pub(super) fn of_file(&self, root: &ContentRoot) -> Sum {
        lock(&self.0).files.get(root).copied().unwrap_or_default()
    }
}

/// What was sold, summed up.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Everything.
    pub all: Sum,
    /// The last days up to today, oldest first, by their number since 1970, those without a sale too.
    pub days: Vec<(u64, Sum)>,
    /// The files that brought most: content root, name (empty if it is no longer shared), sum.
    pub files: Vec<(String, String, Sum)>,
}

impl Node {
    /// The sales of the last `days` days, and the `files` files that brought most.
    #[must_use]
    pub fn sales_summary(&self, days: u64, files: usize) -> Summary {
        let today = crate::clock::time().0 / DAY;
        let sums = lock(&self.0.tally.0);
        let first = today.saturating_sub(days.saturating_sub(1));
        let days =
            (first..=today).map(|day| (day, sums.days.get(&day).copied().unwrap_or_default())).collect();
        let best = best_of(&sums.files, files);
        let all = sums.all;
        drop(sums);
        let named = |(root, sum): (ContentRoot, Sum)| {
            let name = self.0.shelf.row(&root).map(|row| row.name.to_string()).unwrap_or_default();
            (root.to_string(), name, sum)
        };
        Summary { all, days, files: best.into_iter().map(named).collect() }
    }
}

/// So many files that brought most, the best first.
fn best_of(files: &BTreeMap<ContentRoot, Sum>, many: usize) -> Vec<(ContentRoot, Sum)> {
    let order = |(root, sum): &(ContentRoot, Sum)| (Reverse((sum.coins, sum.count)), *root);
    let mut best = BTreeMap::new();
    for (root, sum) in files.iter().filter(|_| many > 0) {
        let one = (*root, *sum);
        let place = order(&one);
        if best.len() < many || best.last_key_value().is_some_and(|(last, _)| place < *last) {
            best.insert(place, one);
        }
        if best.len() > many {
            best.pop_last();
        }
    }
    best.into_values().collect()
}

/// The sums over the sales of all runs before. Blocks.
///
/// # Errors
/// If the store cannot be read.
pub(super) fn load(db: &crate::store::Db) -> Result<Tally, Trouble> {
    let tally = Tally::default();
    super::sell::each_sale(db, |at, row| tally.note(at, row))?;
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netpay_core::amount::Coins;
    use netpay_core::keys::PublicKey;

    fn sale(file: u8, coins: u64) -> SaleRow {
        SaleRow { root: ContentRoot([file; 32]), buyer: PublicKey([0; 32]), coins: Coins(coins), units: 1 }
    }

    #[test]
    fn a_vendor_sees_what_each_file_brought_and_only_the_newest_days() {
        let tally = Tally::default();
        for day in 0..1000 {
            tally.note(day * DAY * 1000, &sale(1, 2));
        }
        tally.note(999 * DAY * 1000 + 5, &sale(2, u64::MAX));
        let sums = lock(&tally.0);
        assert_eq!(sums.days.len(), MAX_DAYS);
        assert_eq!(sums.days.first_key_value().map(|(day, _)| *day), Some(600));
        assert_eq!(sums.days[&999], Sum { count: 2, coins: u64::MAX });
        assert_eq!(sums.all, Sum { count: 1001, coins: u64::MAX });
        drop(sums);
        assert_eq!(tally.of_file(&ContentRoot([1; 32])), Sum { count: 1000, coins: 2000 });
        assert_eq!(tally.of_file(&ContentRoot([9; 32])), Sum::default());
        for file in 3..50 {
            tally.note(0, &sale(file, u64::from(file % 10)));
        }
        let files = lock(&tally.0).files.clone();
        let best = |many| best_of(&files, many).iter().map(|(root, _)| root.0[0]).collect::<Vec<_>>();
        assert_eq!(best(4), [2, 1, 9, 19]);
        assert_eq!((best(0), best(100).len()), (vec![], 49));
    }
}
