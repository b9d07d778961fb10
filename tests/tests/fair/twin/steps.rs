//! What anybody can do next.

use super::broker::{Evidence, Verdict};
use super::config::{Config, Rule, Side};
use super::state::{Claim, Deal, Sale, State, Unit};

/// One step. What is sent is there with it; what is lost is not sent, as the other cannot tell the two apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// vendor → buyer: C*, after the buyer has asked; and how much of the key chain the vendor can show.
    Deal { deal: Deal, keys: u8 },
    /// vendor → buyer: C* of another content in the same segment, because the buyer asked for that too, and its units.
    Second,
    /// buyer → vendor: the Open, with K_0 and the hash of C*.
    Open,
    /// vendor → buyer: the next unit.
    Unit(Unit),
    /// The buyer makes durable what it has.
    Store,
    /// buyer → vendor: U up to a coin, after the buyer has made that durable.
    Release(u8),
    /// The payment arrives.
    Count,
    /// The vendor makes it durable.
    Keep,
    /// vendor → buyer: K up to a coin.
    Key(u8),
    /// vendor → broker: a claim that ends at a coin, and shows a key.
    Claim { end: u8, key: Option<Sale> },
    /// buyer → broker → buyer: the K that the claim shows.
    Ask,
    /// buyer → broker: evidence, and the verdict.
    Accuse(Evidence),
    /// The line between the two is cut.
    Cut,
    /// Δ passes after the claim.
    Delta,
    /// The last day for claims passes.
    LastDay,
    /// A crash, of which one comes back with what was durable.
    Crash(Side),
}

impl Step {
    /// Whether it takes a liar to make it.
    pub fn is_of(&self, liar: Option<Side>) -> bool {
        let by = match self {
            Self::Deal { .. } | Self::Second | Self::Unit(_) | Self::Count | Self::Keep => Some(Side::Vendor),
            Self::Key(_) | Self::Claim { .. } => Some(Side::Vendor),
            Self::Open | Self::Store | Self::Release(_) | Self::Ask | Self::Accuse(_) => Some(Side::Buyer),
            Self::Cut | Self::Delta | Self::LastDay | Self::Crash(_) => None,
        };
        by.is_some() && by == liar
    }
}

impl State {
    /// Everything that can be done now.
    pub fn steps(&self, config: &Config) -> Vec<Step> {
        let mut all = Vec::new();
        if config.lies(Side::Vendor) {
            self.of_lying_vendor(config, &mut all);
        } else {
            self.of_vendor(config, &mut all);
        }
        if config.lies(Side::Buyer) {
            self.of_lying_buyer(config, &mut all);
        } else {
            self.of_buyer(config, &mut all);
        }
        self.of_time(config, &mut all);
        all
    }

    fn of_vendor(&self, config: &Config, all: &mut Vec<Step>) {
        let safe = if config.has(Rule::PaymentFirst) { self.counted.durable } else { self.counted.now };
        if self.meet() {
            all.extend(self.deal.is_none().then_some(Step::Deal { deal: Deal::Asked, keys: config.coins() }));
            let next = self.deal.is_some() && self.units.len() < config.prices.len();
            all.extend(next.then_some(Step::Unit(Unit::Right)));
            let second = config.lies(Side::Buyer) && self.deal.is_some() && !self.second;
            all.extend(second.then_some(Step::Second));
            // Whoever has closed counts no more.
            let count = self.open && self.claim.is_none() && self.counted.now < self.released;
            all.extend(count.then_some(Step::Count));
            let key = config.whole(safe);
            all.extend((self.keys.now < key && key <= self.chain).then_some(Step::Key(key)));
        }
        all.extend(self.counted.is_at_risk().then_some(Step::Keep));
        if self.vendor_is_due(config) && !self.counted.is_at_risk() {
            all.push(Step::Claim { end: self.earned(config), key: Some(Sale::This) });
        }
    }

    fn of_lying_vendor(&self, config: &Config, all: &mut Vec<Step>) {
        if self.meet() && self.deal.is_none() {
            for deal in [Deal::Asked, Deal::OtherContent, Deal::Old] {
                all.extend((0..=config.coins()).rev().map(|keys| Step::Deal { deal, keys }));
            }
        }
        if self.meet() && self.deal.is_some() {
            if let Some(unit) = Some(self.units.len()).filter(|unit| *unit < config.prices.len()) {
                // Whoever has no key cannot encrypt under it, and is not to be found out by it either.
                all.extend((self.chain >= config.key_of(unit)).then_some(Step::Unit(Unit::Right)));
                all.extend([Step::Unit(Unit::Junk), Step::Unit(Unit::Unproven)]);
            }
            all.extend((self.keys.now + 1..=self.chain).map(Step::Key));
        }
        // It may sign a second Close, and bring that as well while the first is not final.
        let may_claim = self.open && self.claim.is_none_or(|claim| !claim.is_final);
        if may_claim && !self.convicted && !self.last_day {
            for end in self.claim.map_or(0, |claim| claim.end) + 1..=self.released {
                let keys = [Some(Sale::This), Some(Sale::Old), None].into_iter();
                let taken = keys.filter(|key| self.claim_holds(end, *key, config));
                all.extend(taken.map(|key| Step::Claim { end, key }));
            }
        }
    }

    fn of_buyer(&self, config: &Config, all: &mut Vec<Step>) {
        all.extend((self.meet() && self.deal.is_some() && !self.open).then_some(Step::Open));
        let at_risk = self.stored < self.units.len() || self.keys.is_at_risk();
        all.extend(at_risk.then_some(Step::Store));
        all.extend(self.next_release(config).map(Step::Release));
        all.extend((self.key_at_broker(config) > self.keys.now).then_some(Step::Ask));
        if self.can_accuse() {
            all.extend(self.junk(config).map(|unit| Step::Accuse(Evidence::of(unit))));
        }
    }

    /// What an honest buyer pays next: one unit, which it has.
    fn next_release(&self, config: &Config) -> Option<u8> {
        let held = if config.has(Rule::CiphertextFirst) { self.stored } else { self.units.len() };
        let is_paid = |unit: &usize| config.last_coin(*unit) <= self.released;
        let next = (0..held).find(|unit| !is_paid(unit))?;
        let without_key = (0..next).filter(|unit| !self.has_key(*unit, config)).count();
        let may = self.open && self.meet() && self.junk(config).next().is_none();
        (may && without_key < config.ahead).then(|| config.last_coin(next))
    }

    fn of_lying_buyer(&self, config: &Config, all: &mut Vec<Step>) {
        if self.meet() {
            all.extend((self.deal.is_some() && !self.open).then_some(Step::Open));
            if self.open {
                all.extend((self.released + 1..=config.coins()).map(Step::Release));
            }
        }
        all.extend((self.key_at_broker(config) > self.keys.now).then_some(Step::Ask));
        if self.can_accuse() {
            let tells = |evidence: &Evidence| match self.judge(evidence, config) {
                Verdict::Convicted => true,
                Verdict::False => !self.fined,
                Verdict::Refused => false,
            };
            all.extend(Evidence::all(self.units.len()).filter(tells).map(Step::Accuse));
        }
    }

    /// Line, clock and crashes. Time passes at any moment, but not before the honest have done what they must do in it,
    /// unless they may be away.
    fn of_time(&self, config: &Config, all: &mut Vec<Step>) {
        let buyer_in_time = config.away == Some(Side::Buyer) || !self.buyer_is_due(config);
        let vendor_in_time = config.away == Some(Side::Vendor) || !self.vendor_is_due(config);
        let held = self.claim.is_some_and(|claim| !claim.is_final) && !self.convicted;
        all.extend((held && buyer_in_time).then_some(Step::Delta));
        let day_comes = config.has(Rule::LastDay) && !self.last_day;
        all.extend((day_comes && buyer_in_time && vendor_in_time).then_some(Step::LastDay));
        all.extend(self.meet().then_some(Step::Cut));
        let buyer_at_risk = self.stored < self.units.len() || self.keys.is_at_risk();
        let vendor_at_risk = self.counted.is_at_risk() || self.chain > 0 && !config.has(Rule::DealFirst);
        for (side, at_risk) in [(Side::Buyer, buyer_at_risk), (Side::Vendor, vendor_at_risk)] {
            let may = !config.lies(side) && at_risk && self.crashes[side as usize] < config.crashes;
            all.extend(may.then_some(Step::Crash(side)));
        }
    }

    /// The state after a step; `None` if an honest buyer does not take what came.
    pub fn after(&self, step: &Step, config: &Config) -> Option<Self> {
        let careful = |rule| !config.lies(Side::Buyer) && config.has(rule);
        let mut next = self.clone();
        match step {
            Step::Deal { deal, .. } if *deal != Deal::Asked && careful(Rule::BuyerReadsDeal) => return None,
            Step::Deal { deal, keys } => (next.deal, next.chain) = (Some(*deal), *keys),
            Step::Second => next.second = true,
            Step::Open => next.open = true,
            Step::Unit(Unit::Unproven) if careful(Rule::BuyerProvesLeaves) => return None,
            Step::Unit(unit) => next.units.push(*unit),
            Step::Store => next.store(),
            Step::Release(to) => next.released = *to,
            Step::Count => next.counted.rise(self.released),
            Step::Keep => next.counted.keep(),
            Step::Key(to) => next.keys.rise(*to),
            Step::Claim { end, key } => {
                let again = self.claim.is_some() && !config.has(Rule::EveryClaimIsHeld);
                let is_final = again || !config.has(Rule::HeldForDelta);
                next.claim = Some(Claim { end: *end, key: *key, is_final });
            }
            Step::Ask => next.keys.rise(self.key_at_broker(config)),
            Step::Accuse(evidence) => match self.judge(evidence, config) {
                Verdict::Convicted => next.convicted = true,
                Verdict::False => next.fined = true,
                Verdict::Refused => return None,
            },
            Step::Cut => next.cut = true,
            Step::Delta => next.claim.as_mut()?.is_final = true,
            Step::LastDay => next.last_day = true,
            Step::Crash(side) => next.crash(*side, config),
        }
        if config.lies(Side::Buyer) {
            // A liar's crash is a lie like any other.
            next.store();
        }
        assert!(next.progress() > self.progress(), "{step:?} goes back from {self:?}");
        Some(next)
    }

    fn store(&mut self) {
        self.stored = self.units.len();
        self.keys.keep();
    }

    fn crash(&mut self, side: Side, config: &Config) {
        self.crashes[side as usize] += 1;
        match side {
            Side::Buyer => {
                self.units.truncate(self.stored);
                self.keys.crash();
            }
            Side::Vendor => {
                self.counted.crash();
                // The deal is still the buyer's, but whoever made it has forgotten the seed of its keys.
                self.chain = if config.has(Rule::DealFirst) { self.chain } else { 0 };
            }
        }
    }
}
