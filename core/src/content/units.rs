//! A file's geometry in paid units, and what each unit costs.
//!
//! Price accrues by bytes: `ceil(price × end / size)` coins are due once everything before `end` is there.
//! A unit costs what is due at its end and not yet at its start, so that all units together cost exactly
//! the price, in whatever order and from however many vendors they come.

use crate::amount::Coins;
use std::ops::Range;

/// The smallest unit, and the group of the hash tree: bytes.
pub const GROUP: u64 = 16 * 1024;
/// The largest `log`: units of 256 KiB.
pub const MAX_LOG: u8 = 4;
/// The largest unit, in bytes.
pub const MAX_UNIT: usize = (GROUP as usize) << MAX_LOG;
/// The largest file that can be listed, in bytes: 8 PiB, which any client can still count exactly.
pub const MAX_SIZE: u64 = 1 << 53;

/// A file of `size` bytes in units of `16 KiB << log`, the last of which may be shorter. An empty file has
/// one unit of no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Units {
    size: u64,
    log: u8,
}

impl Units {
    /// The geometry of a file of `size` bytes in units of `16 KiB << log`, or `None` if `size` is above
    /// [`MAX_SIZE`] or `log` above [`MAX_LOG`].
    #[must_use]
    pub const fn new(size: u64, log: u8) -> Option<Self> {
        if size > MAX_SIZE || log > MAX_LOG {
            return None;
        }
        Some(Self { size, log })
    }

    /// The file's size, in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The binary logarithm of the groups in a unit, 0..=[`MAX_LOG`].
    #[must_use]
    pub const fn log(&self) -> u8 {
        self.log
    }

    /// The length of every unit but the last, in bytes.
    #[must_use]
    pub const fn unit_len(&self) -> u64 {
        GROUP << self.log
    }

    /// How many units, at least 1.
    #[must_use]
    pub const fn count(&self) -> u64 {
        let units = self.size.div_ceil(self.unit_len());
        if units == 0 { 1 } else { units }
    }

    /// The bytes of unit `b`, or `None` beyond the last.
    #[must_use]
    pub fn range(&self, b: u64) -> Option<Range<u64>> {
        if b >= self.count() {
            return None;
        }
        let start = b * self.unit_len();
        Some(start..self.size.min(start + self.unit_len()))
    }

    /// The length of unit `b` in bytes, 0..=[`MAX_UNIT`], or `None` beyond the last.
    #[must_use]
    pub fn len_of(&self, b: u64) -> Option<usize> {
        let range = self.range(b)?;
        usize::try_from(range.end - range.start).ok()
    }

    /// The unit that byte `at` lies in, or `None` beyond the end.
    #[must_use]
    pub const fn unit_at(&self, at: u64) -> Option<u64> {
        if at < self.size { Some(at / self.unit_len()) } else { None }
    }

    /// What of `price` is due once all bytes before `end` are there; the whole price for an empty file, and
    /// for an `end` beyond the last byte.
    #[must_use]
    pub fn due(&self, price: Coins, end: u64) -> Coins {
        if end >= self.size {
            return price;
        }
        // end < size, so the quotient is at most the price and fits.
        let due = (u128::from(price.0) * u128::from(end)).div_ceil(u128::from(self.size));
        Coins(u64::try_from(due).unwrap_or(price.0))
    }

    /// What unit `b` costs, or `None` beyond the last.
    #[must_use]
    pub fn price_of(&self, price: Coins, b: u64) -> Option<Coins> {
        let range = self.range(b)?;
        let before = if b == 0 { Coins::ZERO } else { self.due(price, range.start) };
        Some(self.due(price, range.end).saturating_sub(before))
    }
}

/// The geometry with the largest units of which none costs more than `p0` coins; `None` if even one of
/// 16 KiB costs more, or the file is too large to be sold.
#[must_use]
pub fn unit_for(price: Coins, size: u64, p0: Coins) -> Option<Units> {
    // No unit costs more than the first: ceil(x + y) - ceil(x) <= ceil(y).
    (0..=MAX_LOG)
        .rev()
        .filter_map(|log| Units::new(size, log))
        .find(|units| units.price_of(price, 0).is_some_and(|first| first <= p0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sizes() -> impl Strategy<Value = u64> {
        prop_oneof![
            Just(0),
            1..5 * MAX_UNIT as u64,
            (0..64u64, 0..3u64).prop_map(|(groups, off)| (groups * GROUP + off).saturating_sub(1)),
        ]
    }

    #[test]
    fn an_empty_file_has_one_unit_that_costs_everything() {
        let units = Units::new(0, 4).expect("in range");
        assert_eq!(units.count(), 1);
        assert_eq!(units.range(0), Some(0..0));
        assert_eq!(units.range(1), None);
        assert_eq!(units.price_of(Coins(7), 0), Some(Coins(7)));
        assert_eq!(unit_for(Coins(7), 0, Coins(7)), Units::new(0, 4));
        assert_eq!(unit_for(Coins(7), 0, Coins(6)), None);
    }

    #[test]
    fn geometry_has_a_range() {
        assert_eq!(Units::new(MAX_SIZE + 1, 0), None);
        assert_eq!(Units::new(1, MAX_LOG + 1), None);
        let largest = Units::new(MAX_SIZE, 0).expect("in range");
        assert_eq!(largest.due(Coins(u64::MAX), MAX_SIZE), Coins(u64::MAX));
        assert_eq!(largest.due(Coins(u64::MAX), MAX_SIZE / 2), Coins(1 << 63));
    }

    #[test]
    fn the_dearer_the_file_the_smaller_the_unit() {
        let size = 1 << 20;
        let log = |price| unit_for(Coins(price), size, Coins(10)).map(|units| units.log());
        assert_eq!(log(0), Some(4));
        assert_eq!(log(40), Some(4));
        assert_eq!(log(41), Some(3));
        assert_eq!(log(640), Some(0));
        assert_eq!(log(641), None);
    }

    proptest! {
        #[test]
        fn units_tile_the_file_and_sum_to_the_price(size in sizes(), log in 0..=MAX_LOG, price in any::<u64>()) {
            let units = Units::new(size, log).expect("in range");
            let (mut end, mut sum) = (0, 0);
            for b in 0..units.count() {
                let range = units.range(b).expect("a unit");
                prop_assert_eq!(range.start, end);
                prop_assert!(range.end - range.start <= units.unit_len());
                prop_assert_eq!(units.unit_at(range.start), (size > 0).then_some(b));
                end = range.end;
                sum += units.price_of(Coins(price), b).expect("a unit").0;
                prop_assert_eq!(Coins(sum), units.due(Coins(price), end));
            }
            prop_assert_eq!(end, size);
            prop_assert_eq!(sum, price);
        }

        #[test]
        fn no_unit_costs_more_than_allowed(size in sizes(), price in 0..5000u64, p0 in 0..50u64) {
            match unit_for(Coins(price), size, Coins(p0)) {
                Some(units) => for b in 0..units.count() {
                    prop_assert!(units.price_of(Coins(price), b).expect("a unit") <= Coins(p0));
                },
                None => prop_assert!(Units::new(size, 0).and_then(|u| u.price_of(Coins(price), 0)) > Some(Coins(p0))),
            }
        }

        #[test]
        fn the_largest_allowed_unit_is_chosen(size in sizes(), price in 0..5000u64, p0 in 0..50u64) {
            if let Some(units) = unit_for(Coins(price), size, Coins(p0)) && units.log() < MAX_LOG {
                let larger = Units::new(size, units.log() + 1).expect("in range");
                let dearest = (0..larger.count()).filter_map(|b| larger.price_of(Coins(price), b)).max();
                prop_assert!(dearest > Some(Coins(p0)));
            }
        }
    }
}
