//! What a run is about: what is sold, who lies, who may be away, and which rule is missing.

/// Who trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    Buyer,
    Vendor,
}

/// What keeps a vendor from claiming the first coins of a unit and keeping its key. One of the two is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WholeUnits {
    /// A unit is encrypted under the K of its first coin, so that a claim of any of its coins shows its key.
    FirstCoin,
    /// It is encrypted under the K of its last coin, and the broker takes no claim that ends inside a unit.
    Broker,
    /// It is encrypted under the K of its last coin, and a claim may end anywhere.
    Nothing,
}

/// A rule that can be switched off, to see what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A claim shows K beside U. Without it U is enough, as in plain mode.
    ClaimShowsKey,
    /// The broker gives the K of a claim to the buyer.
    KeyToBuyer,
    /// The broker has no other key than that of a claim. Without it vendors leave their chains there beforehand.
    KeyByClaimOnly,
    /// A claim is final only after Δ. Without it it is paid as it comes.
    HeldForDelta,
    /// A second claim of the segment, for more, is held for Δ from when it comes. Without it that of the first is enough.
    EveryClaimIsHeld,
    /// What is not claimed by a last day goes back to the buyer. Without it there is no such day.
    LastDay,
    /// The Open binds K_0. Without it a claim may come with any deal that names the segment, and the keys of that.
    OpenBindsKeys,
    /// The Open binds the hash of the deal. Without it the judge takes any deal that names the segment.
    OpenBindsDeal,
    /// The judge checks that the vendor signed the root of the ciphertext.
    RootIsSigned,
    /// That signature is over the deal, too. Without it it is over unit and root alone.
    RootNamesDeal,
    /// The judge checks that the key walks down to K_0.
    KeyWalks,
    /// The judge takes the content root from the deal (REQ in C*). Without it the accuser shows a request.
    RequestInDeal,
    /// The buyer opens only for the deal that it asked for: content, chain, segment.
    BuyerReadsDeal,
    /// The buyer pays only for leaf values that lead to the content root.
    BuyerProvesLeaves,
    /// The ciphertext is durable before it is paid for.
    CiphertextFirst,
    /// The deal, from which the key chain follows, is durable before it is sent.
    DealFirst,
    /// The payment is durable before its key is given.
    PaymentFirst,
    /// Every deal has a key chain of its own. Without it the vendor makes it from its secret and the segment.
    ChainPerDeal,
    /// The vendor closes where a unit ends, whatever it was released beyond.
    VendorClosesAtUnits,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Config {
    /// What each unit costs, in coins.
    pub prices: &'static [u8],
    pub liar: Option<Side>,
    /// Who may be away for longer than the rules allow, though it is honest.
    pub away: Option<Side>,
    /// Units that an honest buyer has paid for at most without their key.
    pub ahead: usize,
    /// How often either may crash where that loses something.
    pub crashes: u8,
    pub whole_units: WholeUnits,
    pub dropped: Option<Rule>,
}

impl Config {
    /// Our rules, with a buyer that pays for everything before it has the first key.
    pub const fn ours(prices: &'static [u8], liar: Option<Side>) -> Self {
        Self {
            prices,
            liar,
            away: None,
            ahead: prices.len(),
            crashes: 2,
            whole_units: WholeUnits::FirstCoin,
            dropped: None,
        }
    }

    /// The same without a rule.
    pub const fn without(self, rule: Rule) -> Self {
        Self { dropped: Some(rule), ..self }
    }

    pub fn has(&self, rule: Rule) -> bool {
        self.dropped != Some(rule)
    }

    pub fn lies(&self, side: Side) -> bool {
        self.liar == Some(side)
    }

    /// The coins of the deal.
    pub fn coins(&self) -> u8 {
        self.prices.iter().sum()
    }

    /// The coin with which a unit is paid for: the last of its own, or of those before it if it costs nothing.
    pub fn last_coin(&self, unit: usize) -> u8 {
        self.prices[..=unit].iter().sum::<u8>().max(1)
    }

    /// The first coin that is paid for a unit, if any is.
    pub fn first_coin(&self, unit: usize) -> Option<u8> {
        (self.prices[unit] > 0).then(|| self.prices[..unit].iter().sum::<u8>() + 1)
    }

    /// The K under which a unit is encrypted.
    pub fn key_of(&self, unit: usize) -> u8 {
        let first = self.first_coin(unit).filter(|_| self.whole_units == WholeUnits::FirstCoin);
        first.unwrap_or(self.last_coin(unit))
    }

    /// The most of so many coins that ends where a unit does.
    pub fn whole(&self, coins: u8) -> u8 {
        let ends = (0..self.prices.len()).map(|unit| self.last_coin(unit));
        ends.filter(|end| *end <= coins).max().unwrap_or_default()
    }
}
