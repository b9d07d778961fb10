//! Believing requests: signatures, digests and hash walks, all before the books are asked, on as many threads as there
//! are. What comes out are facts ([`Command`]); what does not hold is refused, and the cheapest check comes first.

use crate::ledger::{
    ChainBook, CheckedClaim, ClaimResult, Command, Facts, Ledger, Range, Standing, VoucherId,
};
use netpay_core::amount::{Cap, Coins, Count, Index};
use netpay_core::codec::CodecError;
use netpay_core::coin::chain::Coin;
use netpay_core::coin::key::{Key, KeyStep};
use netpay_core::coin::segment::{Close, Open, SegmentNo, pay_to};
use netpay_core::fair::judge::{self, Junk};
use netpay_core::id::{ChainId, NetworkId, ObjectHash};
use netpay_core::keys::{BadSignature, PublicKey, SelfSigned, Signature, Signed, Unverified};
use netpay_core::record::chain::Evidence;
use netpay_core::session::redeem::digest;
use netpay_core::time::Time;
use netpay_core::wire::bank::{
    Accuse, AskKeys, Buy, Claim, Claims, PayIn, Payout, QUERY_WINDOW, Query, Redeem, Register, Retire,
};
use netpay_core::wire::reject::{Reject, RejectCode};
use std::sync::{Arc, PoisonError, RwLock};

/// In whose name and against which books requests are believed.
#[derive(Clone)]
pub struct Checks {
    /// The network whose signatures count.
    pub network: NetworkId,
    /// The broker's signing key.
    pub broker: PublicKey,
    /// Where chains are looked up.
    pub ledger: Arc<RwLock<Ledger>>,
}

/// A purchase that both keys signed.
#[derive(Clone, Debug)]
pub struct Purchase {
    /// What was signed.
    pub buy: Buy,
    /// Its hash: what "the same request" means.
    pub request: ObjectHash,
}

impl Checks {
    /// Believes a registration, if it comes from the node it names.
    ///
    /// # Errors
    /// Malformed, Forged, NotYours.
    pub fn register(
        &self,
        request: Unverified<Register>,
        from: &PublicKey,
        (voucher_needed, bond): (bool, Coins),
    ) -> Result<Command, Reject> {
        let request = self.own(request)?;
        if request.node != *from {
            return Err(no(RejectCode::NotYours, "a node can only be registered by itself"));
        }
        Ok(Command::Register {
            account: request.account,
            node: request.node,
            name: request.name.clone(),
            voucher: request.voucher.as_ref().map(VoucherId::of),
            voucher_needed,
            bond,
        })
    }

    /// Believes a payment with a voucher.
    ///
    /// # Errors
    /// Malformed, Forged.
    pub fn pay_in(&self, request: Unverified<PayIn>) -> Result<Command, Reject> {
        let request = self.own(request)?;
        Ok(Command::PayIn { account: request.account, voucher: VoucherId::of(&request.voucher) })
    }

    /// Believes a purchase, if the account and the chain key signed the same.
    ///
    /// # Errors
    /// Malformed, Forged.
    pub fn buy(&self, request: Unverified<Buy>, by_chain: Signature) -> Result<Purchase, Reject> {
        let request = self.own(request)?;
        if request.chain_key == request.account {
            return Err(no(RejectCode::Malformed, "the chain key must not be the account's key"));
        }
        let again = request.wire().signed_also(by_chain);
        again.verify(&self.network, &request.chain_key).map_err(bad_signature)?;
        Ok(Purchase { request: request.hash(), buy: request.value().clone() })
    }

    /// Believes a query that is about as old as its clock says.
    ///
    /// # Errors
    /// Malformed, Forged, Expired.
    pub fn query(&self, request: Unverified<Query>, now: Time) -> Result<Query, Reject> {
        let request = self.own(request)?;
        in_time(request.at, now)?;
        Ok(request.value().clone())
    }

    /// Believes that chains are given up.
    ///
    /// # Errors
    /// Malformed, Forged.
    pub fn retire(&self, request: Unverified<Retire>) -> Result<Command, Reject> {
        let request = self.own(request)?;
        Ok(Command::Retire { account: request.account, chains: request.chains.clone() })
    }

    /// Believes that money is to be paid out.
    ///
    /// # Errors
    /// Malformed, Forged.
    pub fn payout(&self, request: Unverified<Payout>) -> Result<Command, Reject> {
        let request = self.own(request)?;
        let id = (request.account, request.number);
        Ok(Command::AskPayout { id, coins: request.coins, to: request.to.clone() })
    }

    /// Believes evidence that convicts somebody.
    ///
    /// # Errors
    /// Malformed.
    pub fn evidence(&self, evidence: Evidence) -> Result<Command, Reject> {
        let nothing = || no(RejectCode::Malformed, "the evidence proves nothing");
        let culprit = evidence.convicts(&self.network, &self.broker).ok_or_else(nothing)?;
        Ok(Command::NoteEvidence { culprit, evidence: Box::new(evidence) })
    }

    /// Believes who accuses a vendor, and judges what is shown.
    ///
    /// # Errors
    /// Malformed, Forged, UnknownChain: of what costs nothing, as it says nothing.
    pub fn accuse(&self, request: Unverified<Accuse>, junk: Junk) -> Result<Command, Reject> {
        let claimed = request.claim().map_err(|error| malformed(&error))?;
        if claimed.junk != judge::digest(&junk) {
            return Err(no(RejectCode::Malformed, "what is shown is not what was signed for"));
        }
        let account = self.own(request)?.account;
        let open = junk.open.claim().map_err(|error| malformed(&error))?;
        let unknown = || no(RejectCode::UnknownChain, "the chain was not sold here");
        let (facts, _) = self.chain(&open.chain).ok_or_else(unknown)?;
        let judged = judge::judge(&self.network, &facts.touchstone.chain_key, &junk).map(|deal| deal.holder);
        let hash = junk.open.hash(&self.network);
        Ok(Command::Accuse {
            account,
            chain: open.chain,
            j: open.j,
            open: hash,
            junk: Box::new(junk),
            judged,
        })
    }

    /// Believes who asks for keys, about as late as its clock says.
    ///
    /// # Errors
    /// Malformed, Forged, Expired.
    pub fn keys(&self, request: Unverified<AskKeys>, now: Time) -> Result<AskKeys, Reject> {
        let request = self.own(request)?;
        in_time(request.at, now)?;
        Ok(request.value().clone())
    }

    /// Believes a redemption, and of its claims each that holds.
    ///
    /// # Errors
    /// Malformed, Forged: of the redemption as a whole.
    pub fn redeem(&self, request: Unverified<Redeem>, claims: Claims) -> Result<Command, Reject> {
        let claimed = request.claim().map_err(|error| malformed(&error))?;
        if claimed.claims != digest(&claims) {
            return Err(no(RejectCode::Malformed, "the claims are not those that were signed for"));
        }
        let account = self.own(request)?.account;
        let claims = claims.0.into_vec().into_iter().map(|claim| self.claim(claim, &account)).collect();
        Ok(Command::Redeem { account, claims })
    }

    fn claim(&self, claim: Claim, account: &PublicKey) -> ClaimResult {
        let (open, close) = match (claim.open.claim(), claim.close.claim()) {
            (Ok(open), Ok(close)) => (open, close),
            (Err(error), _) | (_, Err(error)) => {
                return Err((ChainId([0; 32]), SegmentNo(0), malformed(&error)));
            }
        };
        let (chain, j) = (open.chain, open.j);
        self.checked(claim, open, &close, account).map(Box::new).map_err(|reject| (chain, j, reject))
    }

    /// The order: Malformed, UnknownChain, Range, NotYours, Forged, BadPayment, Forged (the certificate).
    fn checked(
        &self,
        claim: Claim,
        open: Open,
        close: &Close,
        account: &PublicKey,
    ) -> Result<CheckedClaim, Reject> {
        let open_hash = claim.open.hash(&self.network);
        if close.chain != open.chain || close.j != open.j || close.open != open_hash {
            return Err(no(RejectCode::Malformed, "the close is not of this open"));
        }
        if open.fair.is_some() != claim.key.is_some() {
            return Err(no(RejectCode::Malformed, "a claim of fair mode has a key, and no other has"));
        }
        let unknown = || no(RejectCode::UnknownChain, "the chain was not sold here");
        let (facts, anchor) = self.chain(&open.chain).ok_or_else(unknown)?;
        in_range(&open, close, facts.touchstone.n)?;
        if pay_to(&claim.salt, account) != close.pay_to {
            return Err(no(RejectCode::NotYours, "the claim is to be paid to another account"));
        }
        let genuine = claim.open.clone().verify(&self.network, &facts.touchstone.chain_key);
        genuine.map_err(bad_signature)?;
        let close = claim.close.clone().verify(&self.network, &open.holder).map_err(bad_signature)?;
        walks(&open, &close, &facts, anchor)?;
        opens(&open, &close, claim.key.as_ref())?;
        let standing = self.standing(&claim, open_hash, &close, &facts)?;
        Ok(CheckedClaim {
            chain: open.chain,
            j: open.j,
            range: Range { start: open.start, end: close.end },
            coin: close.coin,
            open: open_hash,
            close: close.hash(),
            standing,
            is_fair: open.fair.is_some(),
            proof: claim,
        })
    }

    /// How the claim stands with the chain's committee: who acked its Close, or else its Open.
    fn standing(
        &self,
        claim: &Claim,
        open: ObjectHash,
        close: &Signed<Close>,
        facts: &Facts,
    ) -> Result<Standing, Reject> {
        let Some(certificate) = &claim.certificate else { return Ok(Standing::default()) };
        let of_open = certificate.object == open;
        let ours = Some(certificate).filter(|_| of_open || certificate.object == close.hash());
        let seats =
            ours.zip(facts.signed()).and_then(|(acks, touchstone)| acks.seats(&self.network, touchstone));
        let forged = || no(RejectCode::Forged, "an ack does not hold: claim without it, or with a good one");
        let seats = seats.ok_or_else(forged)?;
        let is_quorum = seats >= facts.touchstone.quorum();
        let acks = if of_open { 0 } else { u8::try_from(seats).unwrap_or(u8::MAX) };
        Ok(Standing { is_final: is_quorum && !of_open, opened: is_quorum, acks })
    }

    fn chain(&self, chain: &ChainId) -> Option<(Arc<Facts>, (Index, Coin))> {
        let ledger = self.ledger.read().unwrap_or_else(PoisonError::into_inner);
        ledger.chain(chain).map(|chain: &ChainBook| (chain.facts().clone(), chain.anchor))
    }

    fn own<T: SelfSigned>(&self, request: Unverified<T>) -> Result<Signed<T>, Reject> {
        request.verify_own(&self.network).map_err(bad_signature)
    }
}

fn in_time(asked: Time, now: Time) -> Result<(), Reject> {
    if asked.since(now).max(now.since(asked)) > QUERY_WINDOW {
        return Err(no(RejectCode::Expired, "the clocks are more than five minutes apart"));
    }
    Ok(())
}

fn in_range(open: &Open, close: &Close, n: Cap) -> Result<(), Reject> {
    let lease = open.start.0 < open.cap.0 && open.cap <= n && open.j >= SegmentNo::FIRST;
    if !lease || close.end < open.start || close.end.0 > open.cap.0 {
        return Err(no(
            RejectCode::Range,
            "the claim lies outside its lease, or the lease outside its chain",
        ));
    }
    Ok(())
}

/// `W_e` walks to `W_0` and `U_{e−s}` to `U_0`. Where nothing is claimed there is no coin to show.
fn walks(open: &Open, close: &Close, facts: &Facts, anchor: (Index, Coin)) -> Result<(), Reject> {
    let count = Count(close.end.0 - open.start.0);
    if open.release_key().walk_down(count, &close.release, count) != open.release_root {
        return Err(no(RejectCode::BadPayment, "the release does not hash to the root that was opened"));
    }
    if count > Count::ZERO && !facts.is_coin(close.coin, close.end, anchor) {
        return Err(no(RejectCode::BadPayment, "the coin does not hash to the chain's root"));
    }
    Ok(())
}

/// `K_{e−s}` walks to `K_0`: whoever is paid in fair mode shows what opens everything it is paid for.
fn opens(open: &Open, close: &Close, key: Option<&Key>) -> Result<(), Reject> {
    let (Some(terms), Some(key)) = (&open.fair, key) else { return Ok(()) };
    let count = Count(close.end.0 - open.start.0);
    let step = KeyStep::of(open.chain, open.j, &open.holder);
    if step.walk_down(count, key, count) != terms.key_root {
        return Err(no(RejectCode::BadPayment, "the key does not hash to the root that was opened"));
    }
    Ok(())
}

fn no(code: RejectCode, why: &str) -> Reject {
    Reject::new(code, why)
}

fn malformed(error: &CodecError) -> Reject {
    no(RejectCode::Malformed, &error.to_string())
}

fn bad_signature(error: BadSignature) -> Reject {
    match error {
        BadSignature::Forged => no(RejectCode::Forged, "a signature does not hold in this network"),
        BadSignature::Body(error) => malformed(&error),
    }
}
