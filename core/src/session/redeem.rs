//! Redeeming: which segments of the till become claims, and what the broker's answer does to them.

use crate::codec::{self, List};
use crate::coin::segment::SegmentNo;
use crate::id::{ChainId, NetworkId, ObjectHash};
use crate::keys::{PublicKey, SecretKey};
use crate::record::chain::Certificate;
use crate::till::SegmentRow;
use crate::wire::bank::{BankRequest, Claim, Claims, MAX_CLAIMS, Outcome, Redeem};

/// Bytes left for claims in one request.
const ROOM: usize = <Claims as codec::Wire>::MAX - 64;

/// Signs one redemption of as many of `rows` as fit, each with the salt of its `pay_to`. Returns it with
/// the segments it claims; `None` if none of the rows is closed.
#[must_use]
pub fn request(
    network: &NetworkId,
    account: &SecretKey,
    rows: &[(SegmentRow, [u8; 32])],
) -> Option<(BankRequest, Vec<(ChainId, SegmentNo)>)> {
    let mut claims = Vec::new();
    let mut segments = Vec::new();
    let mut room = ROOM;
    for (row, salt) in rows {
        let (Some(close), Ok(open)) = (row.close.clone(), row.open.claim()) else { continue };
        let certificate = row.close_certificate.clone();
        let claim = Claim { open: row.open.clone(), close, salt: *salt, certificate, key: row.key };
        let size = claim_size(&claim);
        if claims.len() == MAX_CLAIMS || size > room {
            break;
        }
        room -= size;
        segments.push((open.chain, open.j));
        claims.push(claim);
    }
    if claims.is_empty() {
        return None;
    }
    let claims = Claims(List::first_of(claims));
    let redeem = Redeem { account: account.public(), claims: digest(&claims) };
    let redeem = account.sign(network, redeem).wire();
    Some((BankRequest::Redeem { redeem, claims }, segments))
}

/// A segment's row as it is claimed where its Close has no certificate: with that of its Open, which counts at settlement,
/// or else with the `acks` that its Close has.
#[must_use]
pub fn with_acks(row: SegmentRow, acks: impl FnOnce() -> Option<Certificate>) -> SegmentRow {
    let own = row.close_certificate.or_else(|| row.open_certificate.clone());
    SegmentRow { close_certificate: own.or_else(acks), ..row }
}

/// What the account signs of a list of claims.
#[must_use]
pub fn digest(claims: &Claims) -> ObjectHash {
    ObjectHash(*blake3::hash(&codec::encode(claims)).as_bytes())
}

/// Whether the account key is the one this close pays.
#[must_use]
pub fn opens(claim: &Claim, account: &PublicKey) -> bool {
    claim.close.claim().is_ok_and(|close| close.pay_to == crate::coin::segment::pay_to(&claim.salt, account))
}

/// Whether an outcome ends a segment's life in the till.
#[must_use]
pub const fn is_final(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Paid(_))
}

fn claim_size(claim: &Claim) -> usize {
    codec::encode(&Claims(List::first_of([claim.clone()]))).len()
}
