//! When a sale is in fair mode: the wish of each side, and what the sale is.

use crate::amount::Coins;
use crate::content::units::{Units, unit_for};
use crate::fair::deal::MAX_COINS;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What one side wants of fair mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fair {
    /// A buyer takes it where plain mode would risk something: see [`mode`]. A vendor sells in either.
    #[default]
    Auto,
    /// Nothing is bought or sold for coins in plain mode.
    Always,
    /// Nothing is bought or sold in fair mode.
    Never,
}

impl Fair {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Always, Self::Never];

    /// Its name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

impl fmt::Display for Fair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Not the name of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("auto, always or never is expected")]
pub struct NotAPolicy;

impl FromStr for Fair {
    type Err = NotAPolicy;

    fn from_str(text: &str) -> Result<Self, NotAPolicy> {
        Self::ALL.into_iter().find(|fair| fair.word() == text).ok_or(NotAPolicy)
    }
}

/// How a file is sold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Bytes first, coins after; the first unit is paid ahead.
    #[default]
    Plain,
    /// Under seal: nobody can lose more than bandwidth.
    Fair,
}

/// The mode in which a buyer of this wish buys: in fair mode what comes in one unit, or from a vendor that never
/// delivered before, or costs more per unit than the buyer risks. What is free is plain.
#[must_use]
pub fn mode(wish: Fair, price: Coins, units: Units, p0: Coins, is_known: bool) -> Mode {
    let is_dear = || units.price_of(price, 0).is_none_or(|first| first > p0);
    match wish {
        _ if price == Coins::ZERO => Mode::Plain,
        Fair::Never => Mode::Plain,
        Fair::Always => Mode::Fair,
        Fair::Auto if units.count() == 1 || !is_known || is_dear() => Mode::Fair,
        Fair::Auto => Mode::Plain,
    }
}

/// The geometry in which a file of this price is sold: units as large as they can be for at most `p0` each. Where none are
/// small enough, the smallest, for fair mode alone; `None` if that is not wanted, or even a deal could not pay for one.
#[must_use]
pub fn units(wish: Fair, price: Coins, size: u64, p0: Coins) -> Option<Units> {
    let dear = || {
        let smallest = Units::new(size, 0)?;
        let first = smallest.price_of(price, 0)?;
        (wish != Fair::Never && first <= Coins::from(MAX_COINS)).then_some(smallest)
    };
    unit_for(price, size, p0).or_else(dear)
}

#[cfg(test)]
mod tests {
    use super::*;

    const P0: Coins = Coins(10);

    fn file(price: u64, size: u64) -> (Coins, Units) {
        (Coins(price), units(Fair::Auto, Coins(price), size, P0).expect("can be sold"))
    }

    #[test]
    fn auto_is_fair_for_one_unit_for_the_unknown_and_for_the_dear() {
        let fair = |(price, units), known| mode(Fair::Auto, price, units, P0, known) == Mode::Fair;
        let (one, many, dear) = (file(5, 27_800), file(40, 4 << 20), file(4_000, 64 << 10));
        assert!(fair(one, true));
        assert!(fair(many, false));
        assert!(!fair(many, true));
        assert!(fair(dear, true));
        assert!(!fair(file(0, 4 << 20), false));
    }

    #[test]
    fn always_and_never_are_what_they_say() {
        let (price, units) = file(40, 4 << 20);
        assert_eq!(mode(Fair::Always, price, units, P0, true), Mode::Fair);
        assert_eq!(mode(Fair::Never, price, units, P0, false), Mode::Plain);
        assert_eq!(mode(Fair::Always, Coins::ZERO, units, P0, true), Mode::Plain);
    }

    #[test]
    fn what_is_dear_is_sold_in_small_units_and_only_in_fair_mode() {
        let dear = Coins(4_000);
        assert_eq!(units(Fair::Never, dear, 64 << 10, P0), None);
        assert_eq!(units(Fair::Auto, dear, 64 << 10, P0), Units::new(64 << 10, 0));
        assert_eq!(units(Fair::Auto, Coins(5 * u64::from(MAX_COINS.0)), 64 << 10, P0), None);
    }

    #[test]
    fn a_policy_has_one_name() {
        for fair in Fair::ALL {
            assert_eq!(fair.to_string().parse(), Ok(fair));
        }
        assert_eq!("sometimes".parse::<Fair>(), Err(NotAPolicy));
    }
}
