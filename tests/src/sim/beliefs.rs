//! What has been believed in a run: a signature that held is not verified by every witness again. What is verified is the
//! product's to say ([`verify_again`]): only the same bytes are spared.

use super::town::Town;
use netpay_core::id::ChainId;
use netpay_core::record::chain::{Believed, Certificate, ChainRecord, Line, Segment, verify_again};
use std::collections::{BTreeMap, BTreeSet};

/// What has been believed of one chain, and the names of what is in it.
#[derive(Debug, Default)]
struct Known {
    believed: Believed,
    names: BTreeSet<Vec<u8>>,
}

/// What has been believed of all chains.
#[derive(Debug, Default)]
pub struct Beliefs(BTreeMap<ChainId, Known>);

impl Beliefs {
    /// Believes a record, as whoever has seen all that was believed before; `None` if it does not hold.
    pub fn believe(&mut self, chain: &ChainId, record: &ChainRecord, town: &Town) -> Option<Line> {
        let known = self.0.entry(*chain).or_default();
        let line = verify_again(record.clone(), &town.network, &town.broker, &known.believed).ok()?;
        if known.names.insert(chain.0.to_vec()) {
            let touchstone = line.touchstone.wire();
            known.believed.add(ChainRecord { touchstone, base: None, links: Default::default() });
        }
        for segment in line.all() {
            if known.names.insert(name_of(segment)) {
                known.believed.add_link(segment.link());
            }
        }
        if let Some((_, certificate)) = &line.base {
            known.add(certificate);
        }
        Some(line)
    }

    /// Every ack of this certificate was verified.
    pub fn holds(&mut self, chain: &ChainId, certificate: &Certificate) {
        self.0.entry(*chain).or_default().add(certificate);
    }
}

impl Known {
    fn add(&mut self, certificate: &Certificate) {
        if self.names.insert([&b"certified"[..], &certificate.object.0].concat()) {
            self.believed.add_certificate(certificate.clone());
        }
    }
}

fn name_of(segment: &Segment) -> Vec<u8> {
    let close = segment.close.as_ref().map(|close| close.hash().0);
    [&segment.open.hash().0[..], &close.unwrap_or_default()].concat()
}
