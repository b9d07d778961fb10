//! The machine of one stream: the plain one or that of fair mode, as the first message says.

use crate::clock;
use netpay_core::amount::Coins;
use netpay_core::id::{ChainId, NetworkId};
use netpay_core::session::fair_vendor::FairVendor;
use netpay_core::session::vendor::{Input, Output, Shop, Vendor};
use netpay_core::till::Till;
use netpay_core::wire::trade::ToVendor;
use std::collections::BTreeSet;

/// What decides in one sale.
pub(super) enum Machine {
    /// Nothing was said yet.
    New(Shop),
    /// Units for all to read, each paid when it was seen.
    Plain(Box<Vendor>),
    /// Units under seal.
    Fair(Box<FairVendor>),
}

impl Machine {
    /// Which machine it is, once the first message is there.
    pub fn begin(&mut self, first: &ToVendor) {
        if let Self::New(shop) = *self {
            *self = match first {
                ToVendor::AskDeal { .. } | ToVendor::OpenFair { .. } => {
                    Self::Fair(Box::new(FairVendor::new(shop)))
                }
                _ => Self::Plain(Box::new(Vendor::new(shop))),
            };
        }
    }

    /// The machine's step; nothing before the first message.
    pub fn handle(&mut self, input: Input, till: &mut Till, out: &mut Vec<Output>) {
        let now = clock::now();
        match self {
            Self::New(_) => {}
            Self::Plain(machine) => machine.handle(now, input, till, out),
            Self::Fair(machine) => machine.handle(now, input, till, out),
        }
    }

    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        match self {
            Self::New(_) => false,
            Self::Plain(machine) => machine.is_over(),
            Self::Fair(machine) => machine.is_over(),
        }
    }

    /// The chains that pay here.
    pub fn chains(&self) -> BTreeSet<ChainId> {
        match self {
            Self::New(_) => BTreeSet::new(),
            Self::Plain(machine) => machine.chains().copied().collect(),
            Self::Fair(machine) => machine.place().map(|(chain, _)| chain).into_iter().collect(),
        }
    }

    /// What was paid so far, before and in this sale: on its tab, or for its deal.
    pub fn paid(&self, till: &Till) -> Coins {
        let paid = match self {
            Self::New(_) => None,
            Self::Plain(machine) => machine.tab().and_then(|tab| till.tab(&tab)).map(|tab| tab.paid),
            Self::Fair(machine) => {
                let held = machine.place().and_then(|(chain, j)| till.held(&chain, j));
                held.map(|held| held.paid().into())
            }
        };
        paid.unwrap_or_default()
    }
}

/// What was paid before this message that begins a sale, on the same tab or for the same deal; `None` if it begins none.
pub(super) fn paid_before(first: &ToVendor, network: &NetworkId, till: &Till) -> Option<Coins> {
    let paid = match first {
        ToVendor::Order { tab, .. } | ToVendor::Settle { tab, .. } => till.tab(tab).map(|tab| tab.paid),
        ToVendor::OpenFair { record, pay, .. } => {
            let chain = ChainId::of(record.touchstone.hash(network));
            let held = pay.as_ref().and_then(|pay| till.held(&chain, pay.j));
            held.map(|held| held.paid().into())
        }
        _ => return None,
    };
    Some(paid.unwrap_or_default())
}
