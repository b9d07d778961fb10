//! One deal, and what everybody has of it.

use super::broker::{Evidence, Verdict};
use super::config::{Config, Rule, Side};

/// What a deal C* that a vendor answers with is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deal {
    /// What was asked for.
    Asked,
    /// Another content.
    OtherContent,
    /// The right content, but it is the deal of an earlier segment.
    Old,
}

/// One of the sales from which a deal, a root or a key may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sale {
    /// The one that was opened.
    This,
    /// One of another content that the buyer asked for in the same segment, and did not open.
    Second,
    /// One of an earlier segment, over and done with.
    Old,
}

/// What came for a unit, with the vendor's signature over its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// It opens to the bytes of the content.
    Right,
    /// It opens to something else than the leaf values that came with it. Nobody can see that without the key.
    Junk,
    /// It opens to its leaf values, which do not lead to the content root. That can be seen.
    Unproven,
}

/// A number that grows, as it is and as a crash would leave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kept {
    pub now: u8,
    pub durable: u8,
}

/// A claim at the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Its last coin.
    pub end: u8,
    /// The sale of which it shows the key, if it shows one.
    pub key: Option<Sale>,
    /// Δ has passed.
    pub is_final: bool,
}

/// What is the case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// What the buyer has: a deal with the vendor's signature.
    pub deal: Option<Deal>,
    /// The vendor can show K_1 up to this; a garbage K_0 has none.
    pub chain: u8,
    /// The buyer has signed the Open, with K_0 and the deal's hash in it.
    pub open: bool,
    /// The ciphertexts that the buyer has, in their order.
    pub units: Vec<Unit>,
    /// How many of them are durable.
    pub stored: usize,
    /// U up to this are out. They were durable before.
    pub released: u8,
    /// U up to this are with an honest vendor. A liar has them as they are out.
    pub counted: Kept,
    /// K up to this are with the buyer.
    pub keys: Kept,
    pub claim: Option<Claim>,
    /// The vendor is convicted and banned, its claim void.
    pub convicted: bool,
    /// The buyer has paid the fee for a false accusation.
    pub fined: bool,
    /// The buyer has a second deal of this segment, and all units of that, sealed.
    pub second: bool,
    /// The line between the two is cut for good, and what was on it is lost.
    pub cut: bool,
    /// The last day for claims has passed. Nothing is traded any more.
    pub last_day: bool,
    /// Crashes of buyer and vendor.
    pub crashes: [u8; 2],
}

impl Kept {
    pub fn rise(&mut self, to: u8) {
        self.now = self.now.max(to);
    }

    /// What a crash leaves of it.
    pub fn crash(&mut self) {
        self.now = self.durable;
    }

    pub fn keep(&mut self) {
        self.durable = self.now;
    }

    /// Whether a crash would lose something.
    pub fn is_at_risk(self) -> bool {
        self.now > self.durable
    }
}

impl State {
    /// Whether the buyer has the key of a unit.
    pub fn has_key(&self, unit: usize, config: &Config) -> bool {
        self.keys.now >= config.key_of(unit)
    }

    /// Whether the buyer has the bytes of a unit of the content that it asked for.
    pub fn has_bytes(&self, unit: usize, config: &Config) -> bool {
        let right = self.deal != Some(Deal::OtherContent) && self.units.get(unit) == Some(&Unit::Right);
        right && self.has_key(unit, config)
    }

    /// The units of which the buyer can see by their key that they are junk.
    pub fn junk<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = usize> + 'a {
        let is_junk = |unit: &usize| self.units[*unit] == Unit::Junk && self.has_key(*unit, config);
        (0..self.units.len()).filter(is_junk)
    }

    /// The coins that the vendor is paid in the end, as it stands.
    pub fn paid(&self) -> u8 {
        let claim = self.claim.filter(|claim| claim.is_final && !self.convicted);
        claim.map_or(0, |claim| claim.end)
    }

    /// Whether buyer and vendor can still speak with each other.
    pub fn meet(&self) -> bool {
        !self.cut && !self.last_day
    }

    /// Whether the broker still hears an accusation.
    pub fn can_accuse(&self) -> bool {
        self.open && !self.convicted && self.claim.is_none_or(|claim| !claim.is_final)
    }

    /// Whether an honest buyer has something to do at the broker.
    pub fn buyer_is_due(&self, config: &Config) -> bool {
        let asks = self.key_at_broker(config) > self.keys.now;
        let convicts = |unit| self.judge(&Evidence::of(unit), config) == Verdict::Convicted;
        !config.lies(Side::Buyer) && (asks || self.can_accuse() && self.junk(config).any(convicts))
    }

    /// Where an honest vendor closes.
    pub fn earned(&self, config: &Config) -> u8 {
        let coins = self.counted.now;
        if config.has(Rule::VendorClosesAtUnits) { config.whole(coins) } else { coins }
    }

    /// Whether an honest vendor has something to claim.
    pub fn vendor_is_due(&self, config: &Config) -> bool {
        let earned = self.earned(config) > 0 && self.chain > 0;
        !config.lies(Side::Vendor) && earned && self.claim.is_none() && !self.convicted && !self.last_day
    }

    /// Whether all is decided: what comes after it changes nobody's coins.
    pub fn is_over(&self, config: &Config) -> bool {
        let decided = self.convicted || self.claim.is_none_or(|claim| claim.is_final);
        self.last_day && decided && !self.buyer_is_due(config)
    }

    /// Grows with every step, so no run goes round in a circle. A crash loses less than it adds.
    pub fn progress(&self) -> usize {
        let claimed = self.claim.map_or(0, |claim| claim.end);
        let kept = [self.counted, self.keys].map(|kept| kept.now + kept.durable);
        let numbers = [claimed, self.released, kept[0], kept[1]];
        let facts = [
            self.deal.is_some(),
            self.open,
            self.claim.is_some_and(|claim| claim.is_final),
            self.convicted,
            self.fined,
            self.second,
            self.cut,
            self.last_day,
        ];
        let crashes = self.crashes.iter().map(|crashes| usize::from(*crashes) * 100).sum::<usize>();
        let numbers = numbers.into_iter().map(usize::from).sum::<usize>() + self.units.len() + self.stored;
        crashes + numbers + facts.into_iter().filter(|fact| *fact).count()
    }
}
