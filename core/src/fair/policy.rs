//! When a sale is in fair mode: the wish of each side, and what the sale is.

use crate::amount::Coins;
use crate::content::listing::Modes;
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

/// What is on sale, as far as the mode depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Sale {
    /// The price of the whole file.
    pub price: Coins,
    /// Its geometry.
    pub units: Units,
    /// The modes that its vendor offers.
    pub modes: Modes,
    /// Whether the vendor delivered something before.
    pub is_known: bool,
}

/// The mode in which a buyer of this wish buys, who risks `p0` coins: in fair mode what comes in one unit, or from a vendor
/// that never delivered before, or costs more per unit, or is sold in no other; `None` if its vendor does not sell so. What
/// is free is plain.
#[must_use]
pub fn mode(wish: Fair, sale: &Sale, p0: Coins) -> Option<Mode> {
    let Sale { price, units, modes, is_known } = *sale;
    let is_dear = units.price_of(price, 0).is_none_or(|first| first > p0);
    let (plain, fair) = (modes.offers(Modes::PLAIN), modes.offers(Modes::FAIR));
    match wish {
        _ if price == Coins::ZERO => Some(Mode::Plain),
        Fair::Never => (plain && !is_dear).then_some(Mode::Plain),
        Fair::Always => fair.then_some(Mode::Fair),
        Fair::Auto if units.count() == 1 || !is_known || is_dear || !plain => fair.then_some(Mode::Fair),
        Fair::Auto => Some(Mode::Plain),
    }
}

/// The modes in which a vendor of this wish sells a file; `p0` is what a unit may cost in plain mode.
#[must_use]
pub fn modes(wish: Fair, price: Coins, size: u64, p0: Coins) -> Modes {
    match wish {
        _ if price == Coins::ZERO => Modes::PLAIN,
        Fair::Never => Modes::PLAIN,
        Fair::Always => Modes::FAIR,
        Fair::Auto if unit_for(price, size, p0).is_none() => Modes::FAIR,
        Fair::Auto => Modes::BOTH,
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
        let auto =
            |(price, units), is_known, modes| mode(Fair::Auto, &Sale { price, units, modes, is_known }, P0);
        let (one, many, dear) = (file(5, 27_800), file(40, 4 << 20), file(4_000, 64 << 10));
        assert_eq!(auto(one, true, Modes::BOTH), Some(Mode::Fair));
        assert_eq!(auto(many, false, Modes::BOTH), Some(Mode::Fair));
        assert_eq!(auto(many, true, Modes::BOTH), Some(Mode::Plain));
        assert_eq!(auto(many, true, Modes::FAIR), Some(Mode::Fair));
        assert_eq!(auto(many, true, Modes::PLAIN), Some(Mode::Plain));
        assert_eq!(auto(many, false, Modes::PLAIN), None);
        assert_eq!(auto(dear, true, Modes::BOTH), Some(Mode::Fair));
        assert_eq!(auto(file(0, 4 << 20), false, Modes::PLAIN), Some(Mode::Plain));
    }

    #[test]
    fn always_and_never_are_what_they_say() {
        let (price, units) = file(40, 4 << 20);
        let sale = Sale { price, units, modes: Modes::BOTH, is_known: false };
        assert_eq!(mode(Fair::Always, &sale, P0), Some(Mode::Fair));
        assert_eq!(mode(Fair::Never, &sale, P0), Some(Mode::Plain));
        assert_eq!(mode(Fair::Always, &Sale { modes: Modes::PLAIN, ..sale }, P0), None);
        assert_eq!(mode(Fair::Never, &Sale { modes: Modes::FAIR, ..sale }, P0), None);
        assert_eq!(mode(Fair::Always, &Sale { price: Coins::ZERO, ..sale }, P0), Some(Mode::Plain));
    }

    #[test]
    fn a_vendor_offers_what_it_sells() {
        let offers = |wish, price| modes(wish, Coins(price), 64 << 10, P0);
        assert_eq!(offers(Fair::Auto, 5), Modes::BOTH);
        assert_eq!(offers(Fair::Auto, 4_000), Modes::FAIR);
        assert_eq!(offers(Fair::Always, 5), Modes::FAIR);
        assert_eq!(offers(Fair::Never, 5), Modes::PLAIN);
        assert_eq!(offers(Fair::Always, 0), Modes::PLAIN);
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
