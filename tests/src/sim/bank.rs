//! The bank: it sells the chains before anybody trades, is asked over the network while they do, and settles when nobody
//! does any more.

use super::dice::Dice;
use super::oracle::Oracle;
use super::scene::{Actor, Message, Scene};
use super::town::{BEGIN, Peer, PeerNo, Town};
use super::vendor::VendorPeer;
use netpay_broker::checks::Checks;
use netpay_broker::ledger::{Answer, Command, Event, Facts, Ledger, Mint, Record, audit};
use netpay_core::amount::{Cap, Coins};
use netpay_core::codec::{Bytes, Text};
use netpay_core::coin::chain::{Chain, Seed};
use netpay_core::coin::touchstone::{Committee, REDEEM_FOR, SPEND_FOR, Touchstone, place_of};
use netpay_core::id::{ChainId, NetworkId, Place};
use netpay_core::keys::{SecretKey, Signed};
use netpay_core::record::chain::Evidence;
use netpay_core::record::freeze::Freeze;
use netpay_core::time::{DAY, Time};
use netpay_core::wire::bank::{BankRequest, Buy, MAX_CLAIMS, Outcome, Query};
use netpay_core::wire::reject::{Reject, RejectCode};
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// Uncertified claims are handed in so long before settlement, as the node does it.
const LAST_CALL: u64 = 2 * DAY;
/// The most redemptions of one vendor: each brings [`MAX_CLAIMS`] claims.
const MAX_REDEMPTIONS: usize = 64;

/// The books, and the key that signs for them.
pub struct Bank {
    checks: Checks,
    secret: SecretKey,
    journal: Vec<Record>,
    /// Chains whose committees were told that they are frozen.
    frozen: BTreeSet<ChainId>,
}

impl Bank {
    /// An empty bank.
    pub fn new(network: NetworkId, secret: SecretKey) -> Self {
        let ledger = Arc::new(RwLock::new(Ledger::new(network)));
        Self {
            checks: Checks { network, broker: secret.public(), ledger },
            secret,
            journal: Vec::new(),
            frozen: BTreeSet::new(),
        }
    }

    /// The broker's key.
    pub fn broker(&self) -> netpay_core::keys::PublicKey {
        self.secret.public()
    }

    /// The account key of a peer.
    pub fn account(peer: PeerNo) -> SecretKey {
        SecretKey::derive(&[0xac; 32], &peer.to_le_bytes())
    }

    /// A peer's question for the state of its account.
    pub fn query(peer: PeerNo, scene: &Scene<'_>) -> BankRequest {
        let account = Self::account(peer);
        let query = Query { account: account.public(), at: scene.time(), after: 0 };
        BankRequest::Account(account.sign(&scene.town.network, query).wire())
    }

    /// Answers, as `service.rs` of the broker does, and tells the committees of chains whose buyer is convicted.
    pub fn hear(&mut self, from: Actor, number: u64, request: &BankRequest, scene: &mut Scene<'_>) {
        scene.oracle.broker_is_asked(request);
        let now = scene.time();
        let answer = match request.clone() {
            BankRequest::Account(query) => {
                self.checks.query(query, now).map(|query| Answer::Account(query.account))
            }
            BankRequest::Redeem { redeem, claims } => {
                self.checks.redeem(redeem, claims).and_then(|command| self.carry_out(command, now))
            }
            BankRequest::Evidence(evidence) => {
                self.checks.evidence(evidence).and_then(|command| self.carry_out(command, now))
            }
            _ => Err(Reject::new(RejectCode::Malformed, "nobody here asks for that")),
        };
        scene.send(from, Message::Told(number, Box::new(answer)));
        if matches!(request, BankRequest::Evidence(_)) {
            self.freeze(scene);
        }
    }

    fn freeze(&mut self, scene: &mut Scene<'_>) {
        let frozen = self.checks.ledger.read().unwrap_or_else(PoisonError::into_inner).frozen_chains();
        for chain in frozen.into_keys() {
            let Some(sold) = scene.town.chains.get(&chain).filter(|_| self.frozen.insert(chain)) else {
                continue;
            };
            let word = self.secret.sign(&self.checks.network, Freeze { chain, at: scene.time() }).wire();
            let word = Arc::new((sold.touchstone.wire(), word));
            for peer in &sold.seats {
                scene.send(Actor::Witness(*peer), Message::Freeze(Arc::clone(&word)));
            }
        }
    }

    /// Carries out a command that was checked.
    fn carry_out(&mut self, command: Command, now: Time) -> Result<Answer, Reject> {
        let mut ledger = self.checks.ledger.write().unwrap_or_else(PoisonError::into_inner);
        let decision = ledger.decide(command, now)?;
        if let Some(event) = decision.event {
            let record = Record { seq: ledger.seq() + 1, at: now, event };
            // A record that does not fit is found again, and told, by the audit.
            let _ = ledger.apply(&record);
            self.journal.push(record);
        }
        Ok(decision.answer)
    }

    /// Opens a peer's account, and makes it a member.
    pub fn register(&mut self, number: PeerNo, peer: &Peer) {
        let account = Self::account(number).public();
        let name = Text::cut("peer");
        let register = Command::Register {
            account,
            node: peer.node,
            name,
            voucher: None,
            voucher_needed: false,
            bond: Coins::ZERO,
        };
        self.carry_out(register, BEGIN).expect("a new account");
    }

    /// A peer brings money.
    pub fn credit(&mut self, number: PeerNo, coins: Coins, dice: &mut Dice) {
        let account = Self::account(number).public();
        let credit = Command::Credit { id: dice.bytes(), account, coins, note: Text::cut("savings") };
        self.carry_out(credit, BEGIN).expect("it is money");
    }

    /// Sells a chain. Seed and nonce come from the run's dice, where the broker's press would draw lots.
    pub fn sell(
        &mut self,
        buyer: PeerNo,
        key: &SecretKey,
        seed: &Seed,
        (n, nonce): (Cap, [u8; 16]),
        committee: impl FnOnce(&Place) -> Committee,
    ) -> Signed<Touchstone> {
        let network = self.checks.network;
        let account = Self::account(buyer);
        let buy = Buy { account: account.public(), chain_key: key.public(), n, sealing_key: [0; 32] };
        let by_chain = key.sign(&network, buy.clone()).signature();
        let purchase = self.checks.buy(account.sign(&network, buy).wire(), by_chain).expect("it is signed");
        let touchstone = Touchstone {
            network,
            broker: self.secret.public(),
            chain_key: key.public(),
            n,
            root: Chain::root_of(seed, n),
            nonce,
            committee: committee(&place_of(&nonce)),
            issued: BEGIN,
            spend_by: BEGIN.plus(SPEND_FOR),
            redeem_by: BEGIN.plus(SPEND_FOR).plus(REDEEM_FOR),
        };
        let touchstone = self.secret.sign(&network, touchstone);
        let mint = Mint { facts: Arc::new(Facts::of(touchstone.clone())), sealed: Bytes::default() };
        let command = Command::Buy {
            account: account.public(),
            chain_key: key.public(),
            n,
            request: purchase.request,
            mint: Some(Box::new(mint)),
        };
        self.carry_out(command, BEGIN).expect("it can be paid");
        touchstone
    }

    /// Ends the run: evidence is noted, every vendor is paid what it has certificates for, then time passes and the
    /// rest is handed in and settled. The oracle is told what came of it.
    pub fn close(
        &mut self,
        town: &Town,
        vendors: &mut [VendorPeer],
        evidence: &[Evidence],
        oracle: &mut Oracle,
    ) {
        for evidence in evidence {
            if let Ok(command) = self.checks.evidence(evidence.clone()) {
                let _ = self.carry_out(command, BEGIN);
            }
        }
        let settled = BEGIN.plus(SPEND_FOR).plus(REDEEM_FOR);
        for (now, last_call) in [(BEGIN, false), (Time(settled.0 - LAST_CALL), true)] {
            for vendor in &mut *vendors {
                self.redeem(vendor, now, last_call, oracle);
            }
        }
        for chain in town.chains.keys() {
            let done = self.carry_out(Command::Settle { chain: *chain }, settled);
            if let Err(reject) = done {
                oracle.violation(format!("chain {chain:.8} is not settled: {reject}"));
            }
        }
        self.is_right(town, oracle);
    }

    fn redeem(&mut self, vendor: &mut VendorPeer, now: Time, last_call: bool, oracle: &mut Oracle) {
        // Who claims more than it was paid gets nothing for that, and may still claim what it was paid.
        for rows in [vendor.other_claims(), vendor.claimable(last_call)] {
            for rows in rows.chunks(MAX_CLAIMS).take(MAX_REDEMPTIONS) {
                let account = Self::account(vendor.peer);
                let request = netpay_core::session::redeem::request(&self.checks.network, &account, rows);
                let Some((BankRequest::Redeem { redeem, claims }, _)) = request else { continue };
                let answer =
                    self.checks.redeem(redeem, claims).and_then(|command| self.carry_out(command, now));
                match answer {
                    Ok(Answer::Outcomes(outcomes)) => {
                        for (chain, j, outcome) in outcomes {
                            vendor.answered(&chain, j, &outcome);
                            if let (true, Outcome::Refused(reject)) = (vendor.is_honest(), &outcome) {
                                oracle.violation(format!(
                                    "an honest claim {chain:.8}/{j} is refused: {reject}"
                                ));
                            }
                        }
                    }
                    other => oracle.violation(format!("a redemption is answered with {other:?}")),
                }
            }
        }
    }

    /// The books, proven from the journal alone, and no index paid twice, counted one by one.
    fn is_right(&self, town: &Town, oracle: &mut Oracle) {
        if let Err(broken) = audit(self.checks.network, &self.journal) {
            oracle.violation(format!("the books are wrong: {broken}"));
        }
        for record in &self.journal {
            match &record.event {
                Event::Redeemed { claims, .. } => {
                    for claim in claims {
                        claim
                            .paid
                            .iter()
                            .flat_map(|runs| runs.iter())
                            .for_each(|run| oracle.paid(&claim.chain, *run));
                    }
                }
                Event::Settled { chain, claims, .. } => {
                    claims
                        .iter()
                        .flat_map(|claim| claim.paid.iter())
                        .for_each(|run| oracle.paid(chain, *run));
                }
                _ => {}
            }
        }
        let ledger = self.checks.ledger.read().unwrap_or_else(PoisonError::into_inner);
        oracle.settled(town, &ledger);
    }
}

impl std::fmt::Debug for Bank {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bank with {} records", self.journal.len())
    }
}
