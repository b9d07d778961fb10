//! The broker, as bank and as judge. It has no secret, and asks nobody.

use super::config::{Config, Rule, WholeUnits};
use super::state::{Deal, Sale, State, Unit};

/// What a buyer shows: a deal, a root with the vendor's signature, a ciphertext leaf under that root, a key, and a plain
/// leaf value that leads to a content root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Evidence {
    pub unit: usize,
    /// The deal, signed by the vendor.
    pub deal: Sale,
    /// The sale in which the vendor signed the root of the ciphertext; `None` if it did not.
    pub root: Option<Sale>,
    /// The sale of which this is the key; `None` if it is none.
    pub key: Option<Sale>,
    /// The content root is not that of the deal, but of something else that the accuser says it asked for.
    pub other_request: bool,
}

/// What the judge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The vendor sold junk.
    Convicted,
    /// The leaf is what was promised. The accuser pays a fee.
    False,
    /// This is no evidence.
    Refused,
}

impl Evidence {
    /// What an honest buyer has in its hands.
    pub const fn of(unit: usize) -> Self {
        let this = Some(Sale::This);
        Self { unit, deal: Sale::This, root: this, key: this, other_request: false }
    }

    /// Everything that a lying buyer can lay together.
    pub fn all(units: usize) -> impl Iterator<Item = Self> {
        let sales = [Sale::This, Sale::Second, Sale::Old];
        let roots = [Some(Sale::This), Some(Sale::Second), Some(Sale::Old), None];
        let requests = [false, true];
        (0..units).flat_map(move |unit| {
            sales.into_iter().flat_map(move |deal| {
                roots.into_iter().flat_map(move |root| {
                    roots.into_iter().flat_map(move |key| {
                        requests.map(|other_request| Self { unit, deal, root, key, other_request })
                    })
                })
            })
        })
    }

    /// Whether a buyer has all of it.
    fn is_at_hand(&self, state: &State, config: &Config) -> bool {
        let has_sale = |sale| sale != Sale::Second || state.second;
        let has_key = match self.key {
            Some(Sale::This) => state.has_key(self.unit, config),
            // What was not opened was never paid, and its keys are still the vendor's.
            Some(Sale::Second) => false,
            Some(Sale::Old) | None => true,
        };
        has_key && has_sale(self.deal) && self.root.is_none_or(has_sale)
    }

    /// Whether the leaf opens to the plain leaf value: all of it is of one sale, which was an honest one.
    fn is_plain(&self, state: &State) -> bool {
        let one_sale = self.root == Some(self.deal) && self.key == Some(self.deal) && !self.other_request;
        one_sale && (self.deal != Sale::This || state.units[self.unit] == Unit::Right)
    }
}

impl State {
    /// Whether the broker takes a claim that ends at a coin and shows a key.
    pub fn claim_holds(&self, end: u8, key: Option<Sale>, config: &Config) -> bool {
        let walks = match key {
            Some(Sale::This) => end <= self.chain,
            // Those of another deal are as many as the vendor likes.
            Some(Sale::Second | Sale::Old) => !config.has(Rule::OpenBindsKeys),
            None => !config.has(Rule::ClaimShowsKey),
        };
        let whole = config.whole_units != WholeUnits::Broker || config.whole(end) == end;
        walks && whole
    }

    /// The K that the broker has for the buyer.
    pub fn key_at_broker(&self, config: &Config) -> u8 {
        if !config.has(Rule::KeyByClaimOnly) {
            return self.chain;
        }
        let shown = self.claim.filter(|claim| claim.key == Some(Sale::This) && config.has(Rule::KeyToBuyer));
        shown.map_or(0, |claim| claim.end)
    }

    /// What the judge says to some evidence.
    pub fn judge(&self, evidence: &Evidence, config: &Config) -> Verdict {
        if !evidence.is_at_hand(self, config) {
            return Verdict::Refused;
        }
        // The deal names chain and segment, and is the one of which the Open has the hash.
        let names_segment = evidence.deal != Sale::Old && self.deal != Some(Deal::Old);
        let is_opened = evidence.deal == Sale::This || !config.has(Rule::OpenBindsDeal);
        let is_signed = evidence.root.is_some() || !config.has(Rule::RootIsSigned);
        let same_deal = |root| root == evidence.deal || !config.has(Rule::RootNamesDeal);
        let walks = evidence.key == Some(Sale::This) || !config.has(Rule::KeyWalks);
        let is_request = !evidence.other_request || !config.has(Rule::RequestInDeal);
        let is_root = is_signed && evidence.root.is_none_or(same_deal);
        if !(names_segment && is_opened && is_root && walks && is_request) {
            Verdict::Refused
        } else if evidence.is_plain(self) {
            Verdict::False
        } else {
            Verdict::Convicted
        }
    }
}
