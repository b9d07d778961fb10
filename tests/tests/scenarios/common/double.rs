//! Spending twice: one stretch of a chain opened at a vendor, as if it had not been at another.

use super::Offer;
use super::purse::{Purse, shown};
use super::villain::{Villain, order};
use anyhow::{Result, ensure};
use netpay_core::wire::reject::RejectCode;
use netpay_core::wire::trade::{ToBuyer, ToVendor};
use std::time::{Duration, Instant};

/// Units for ten coins that no certificate protects: what is on trust comes out of the same ten.
pub const AT_RISK: usize = 10;
/// What is paid where it is certified.
pub const PAID: u32 = 30;

/// What came of opening `(0, 60]` at one vendor.
pub struct Visited {
    pub units: usize,
    pub certified: bool,
    pub refused: Option<RejectCode>,
    /// From the order to the refusal.
    pub found_out: Option<Duration>,
}

/// Opens `(0, 60]` at a vendor, pays ten coins, and more where that buys more.
pub async fn opens_here(villain: &Villain, purse: &Purse, offer: &Offer) -> Result<Visited> {
    let (tag, line, open) = villain.opens(purse, &purse.fresh(), offer.node.parse()?, (0, 60)).await?;
    let mut visit = villain.visits(offer).await?;
    let began = Instant::now();
    visit.say(&order(offer, shown(tag, &line, purse.pay(&open, 10)?)?)?).await?;
    let more = ToVendor::Pay { chain: purse.id(), pay: purse.pay(&open, PAID)? };
    let mut said = false;
    loop {
        if visit.units == AT_RISK && !said {
            // It is ten coins above what the vendor risks: nothing comes before the certificate does.
            visit.say(&more).await?;
            said = true;
        }
        match visit.hears().await? {
            Some(ToBuyer::Unit { .. }) => {}
            Some(ToBuyer::Certified(_)) => break,
            Some(ToBuyer::Reject { reject, .. }) => {
                return Ok(Visited {
                    units: visit.units,
                    certified: false,
                    refused: Some(reject.code),
                    found_out: Some(began.elapsed()),
                });
            }
            other => anyhow::bail!("expected units, a certificate or a refusal, saw {other:?}"),
        }
    }
    if !said {
        visit.say(&more).await?;
    }
    visit.gets(PAID as usize * 2).await?;
    visit.closes().await?;
    Ok(Visited { units: visit.units, certified: true, refused: None, found_out: None })
}

/// Nobody who was not certified delivered more than it risks, and whoever was certified got everything.
pub fn holds(visits: &[Visited]) -> Result<usize> {
    for visited in visits.iter().filter(|visited| !visited.certified) {
        ensure!(visited.refused == Some(RejectCode::DoubleSpend), "refused with {:?}", visited.refused);
        ensure!(visited.units <= AT_RISK, "{} units against coins of another", visited.units);
    }
    let certified = visits.iter().filter(|visited| visited.certified).count();
    ensure!(certified <= 1, "both were certified");
    Ok(certified)
}
