//! Random banks keep their books, and the order of rejections is the documented one.

mod acts;

use super::*;
use netpay_core::amount::{Cap, Count, Index};
use netpay_core::codec::{Bytes, List};
use netpay_core::coin::chain::{Chain, Coin, Seed};
use netpay_core::coin::key::Key;
use netpay_core::coin::segment::{Close, Open, Release, SegmentNo};
use netpay_core::coin::touchstone::Touchstone;
use netpay_core::fair::deal::Deal;
use netpay_core::fair::judge::{Junk, NotProven};
use netpay_core::fair::sealed::Sealed;
use netpay_core::id::{ContentRoot, ObjectHash, PayTo};
use netpay_core::keys::{SecretKey, Signature, Unverified};
use netpay_core::record::chain::Evidence;
use netpay_core::wire::bank::{Claim, Outcome};
use netpay_core::wire::reject::{Reject, RejectCode};
use std::sync::Arc;

const NETWORK: NetworkId = NetworkId([1; 32]);
const REDEEM_BY: u64 = 1000;

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn account(number: u8) -> PublicKey {
    PublicKey([number; 32])
}

fn voucher(number: u8) -> VoucherId {
    VoucherId([number; 32])
}

fn chain_key(number: u8) -> PublicKey {
    key(100 + number).public()
}

/// A bank and its journal.
struct Bank {
    ledger: Ledger,
    journal: Vec<Record>,
    now: Time,
}

impl Bank {
    fn new() -> Self {
        Self { ledger: Ledger::new(NETWORK), journal: Vec::new(), now: Time(10) }
    }

    /// A bank with accounts 1 to 3, of which 1 has 100 coins.
    fn open() -> Self {
        let mut bank = Self::new();
        for number in 1..=3 {
            bank.run(register(number)).expect("a new account");
        }
        bank.run(Command::Credit {
            id: [9; 16],
            account: account(1),
            coins: Coins(100),
            note: Text::cut("cash"),
        })
        .expect("a credit");
        bank
    }

    fn run(&mut self, command: Command) -> Result<Decision, Reject> {
        let decision = self.ledger.decide(command, self.now)?;
        if let Some(event) = decision.event.clone() {
            let record = Record { seq: self.ledger.seq() + 1, at: self.now, event };
            self.ledger.apply(&record).expect("what is decided fits the books");
            self.journal.push(record);
        }
        Ok(decision)
    }

    fn code(&mut self, command: Command) -> Option<RejectCode> {
        self.run(command).err().map(|reject| reject.code)
    }

    fn buy(&mut self, buyer: u8, number: u8, n: u32) -> Result<Decision, Reject> {
        self.run(buy(buyer, number, n))
    }

    fn id(&self, number: u8) -> ChainId {
        self.ledger.chain_of_key(&chain_key(number)).map_or(ChainId([0; 32]), |chain| chain.facts().id)
    }

    fn redeem(&mut self, vendor: u8, claims: Vec<ClaimResult>) -> Vec<Outcome> {
        let decision =
            self.run(Command::Redeem { account: account(vendor), claims }).expect("a known account");
        match decision.answer {
            Answer::Outcomes(outcomes) => outcomes.into_iter().map(|(_, _, outcome)| outcome).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn balance(&self, number: u8) -> u64 {
        self.ledger.customer(&account(number)).map_or(0, |customer| customer.balance.0)
    }

    fn check(&self) -> Audit {
        let found = audit(NETWORK, &self.journal).expect("the books are right");
        assert_eq!(found.books, *self.ledger.books());
        found
    }
}

fn register(number: u8) -> Command {
    register_with(number, None, 0)
}

/// The registration of account `number` with its node, `number + 50`.
fn register_with(number: u8, with: Option<u8>, bond: u64) -> Command {
    Command::Register {
        account: account(number),
        node: account(number + 50),
        name: Text::cut("someone"),
        voucher: with.map(voucher),
        voucher_needed: false,
        bond: Coins(bond),
    }
}

/// The account whose node is the one witness of every chain here.
const WITNESS: u8 = 150;

fn buy(buyer: u8, number: u8, n: u32) -> Command {
    buy_until(buyer, number, n, REDEEM_BY)
}

fn buy_until(buyer: u8, number: u8, n: u32, redeem_by: u64) -> Command {
    let touchstone = Touchstone {
        network: NETWORK,
        broker: key(0).public(),
        chain_key: chain_key(number),
        n: Cap(n),
        root: Chain::root_of(&Seed([number; 16]), Cap(n.min(300))),
        nonce: [number; 16],
        committee: List::first_of([account(200)]),
        issued: Time(10),
        spend_by: Time(500),
        redeem_by: Time(redeem_by),
    };
    let facts = Facts::new(key(0).sign(&NETWORK, touchstone).wire(), &NETWORK).expect("a touchstone");
    let mint = Mint { facts: Arc::new(facts), sealed: Bytes::try_from(vec![number; 64]).expect("64 bytes") };
    Command::Buy {
        account: account(buyer),
        chain_key: chain_key(number),
        n: Cap(n),
        request: ObjectHash([u8::try_from(n % 251).expect("below 251"); 32]),
        mint: Some(Box::new(mint)),
    }
}

/// A claim of the segment's one honest Open.
fn claim(chain: ChainId, j: u32, range: (u32, u32), close: u8, certified: bool) -> ClaimResult {
    claim_of(chain, (j, 100), range, close, if certified { 20 } else { 0 })
}

/// A claim of any Open of a segment, with so many acks of 20.
fn claim_of(
    chain: ChainId,
    (j, opened): (u32, u8),
    (start, end): (u32, u32),
    close: u8,
    acks: u8,
) -> ClaimResult {
    let open = Open {
        chain,
        j: SegmentNo(j),
        prev: ObjectHash(chain.0),
        holder: account(7),
        start: Index(start),
        cap: Cap(end),
        release_root: Release([0; 32]),
        fair: None,
    };
    let paper = Close {
        chain,
        j: SegmentNo(j),
        open: ObjectHash([opened; 32]),
        end: Index(end),
        coin: Coin([0; 16]),
        release: Release([0; 32]),
        pay_to: PayTo([0; 32]),
    };
    let proof = Claim {
        open: Unverified::rebuild(&open, Signature([0; 64])),
        close: Unverified::rebuild(&paper, Signature([0; 64])),
        salt: [0; 32],
        certificate: None,
        key: None,
    };
    Ok(Box::new(CheckedClaim {
        chain,
        j: SegmentNo(j),
        range: Range { start: Index(start), end: Index(end) },
        coin: Coin([0; 16]),
        open: ObjectHash([opened; 32]),
        close: ObjectHash([close; 32]),
        standing: Standing { is_final: acks >= 14, opened: acks >= 14, acks },
        is_fair: false,
        proof,
    }))
}

/// The same claim of an Open with fair terms, whose key was right.
fn fair(claim: ClaimResult) -> ClaimResult {
    claim.map(|mut claim| {
        claim.is_fair = true;
        claim.proof.key = Some(Key([3; 32]));
        claim
    })
}

/// An accusation of the vendor of an Open: `proven`, or of what is right. The number makes the proof one of its kind.
fn accuse(buyer: u8, chain: ChainId, (j, opened): (u32, u8), proven: bool, number: u8) -> Command {
    let (segment, none) = (SegmentNo(j), Signature([0; 64]));
    let deal = Deal {
        chain,
        j: segment,
        holder: account(7),
        buyer: account(buyer),
        root: ContentRoot([number; 32]),
        size: 1,
        price: Coins(1),
        unit_log: 0,
        first: 0,
        count: 1,
        key_root: Key([0; 32]),
        made: Time(10),
        salt: [number; 16],
    };
    let sealed = Sealed { deal: ObjectHash([0; 32]), unit: 0, root: ContentRoot([0; 32]) };
    let junk = Junk {
        open: claim(chain, j, (0, 1), 1, UNCERTIFIED).expect("checked").proof.open,
        deal: Unverified::rebuild(&deal, none),
        sealed: Unverified::rebuild(&sealed, none),
        leaf: 0,
        bytes: Bytes::try_from(vec![number]).expect("a byte"),
        sealed_path: List::default(),
        key: Key([0; 32]),
        should_be: [0; 32],
        path: List::default(),
    };
    let judged = if proven { Ok(account(7)) } else { Err(NotProven::Right) };
    let open = ObjectHash([opened; 32]);
    Command::Accuse { account: account(buyer), chain, j: segment, open, junk: Box::new(junk), judged }
}

fn evidence(chain: ChainId) -> (netpay_core::record::chain::Culprit, Box<Evidence>) {
    let touchstone = match buy(1, 1, 10) {
        Command::Buy { mint: Some(mint), .. } => mint.facts.wire().clone(),
        other => panic!("{other:?}"),
    };
    let open = claim(chain, 1, (0, 8), 1, false).expect("checked").proof.open;
    let evidence = Evidence::TwoOpens { touchstone, one: open.clone(), other: open };
    (netpay_core::record::chain::Culprit::Buyer(chain), Box::new(evidence))
}

/// Evidence against the one witness of a chain.
fn evidence_against_witness(chain: ChainId) -> Command {
    let (_, evidence) = evidence(chain);
    Command::NoteEvidence { culprit: Culprit::Witness(account(WITNESS + 50), chain), evidence }
}

const CERTIFIED: bool = true;
const UNCERTIFIED: bool = false;

#[test]
fn certified_claims_are_paid_at_once_and_the_rest_comes_back() {
    let mut bank = Bank::open();
    bank.buy(1, 1, 40).expect("funds");
    let chain = bank.id(1);
    assert_eq!(bank.redeem(2, vec![claim(chain, 1, (0, 10), 1, CERTIFIED)]), [Outcome::Paid(Coins(10))]);
    let waits = Outcome::Pending { coins: Coins(20), until: Time(REDEEM_BY) };
    assert_eq!(bank.redeem(3, vec![claim(chain, 2, (5, 25), 2, UNCERTIFIED)]), [waits]);
    assert_eq!((bank.balance(1), bank.balance(2), bank.balance(3)), (60, 10, 0));
    assert_eq!(bank.code(Command::Settle { chain }), Some(RejectCode::Range));

    bank.now = Time(REDEEM_BY);
    assert_eq!(bank.ledger.due(bank.now, 10), [chain]);
    bank.run(Command::Settle { chain }).expect("due");
    assert_eq!((bank.balance(1), bank.balance(2), bank.balance(3)), (75, 10, 15));
    assert_eq!(bank.ledger.due(bank.now, 10), []);
    assert_eq!(bank.redeem(3, vec![claim(chain, 2, (5, 25), 2, UNCERTIFIED)]), [Outcome::Paid(Coins(15))]);
    let late = bank.redeem(2, vec![claim(chain, 3, (25, 30), 3, CERTIFIED)]);
    assert!(matches!(&late[..], [Outcome::Refused(reject)] if reject.code == RejectCode::Expired));
    assert_eq!(bank.check().books.coins, 0);
}

#[test]
fn a_second_close_counts_only_if_it_is_certified_and_the_first_was_not() {
    let mut bank = Bank::open();
    bank.buy(1, 1, 40).expect("funds");
    let chain = bank.id(1);
    let code = |outcomes: Vec<Outcome>| match &outcomes[..] {
        [Outcome::Refused(reject)] => Some(reject.code),
        _ => None,
    };
    bank.redeem(2, vec![claim(chain, 1, (0, 10), 1, UNCERTIFIED)]);
    assert_eq!(
        code(bank.redeem(2, vec![claim(chain, 1, (0, 12), 2, UNCERTIFIED)])),
        Some(RejectCode::Mismatch)
    );
    assert_eq!(bank.redeem(3, vec![claim(chain, 1, (0, 8), 3, CERTIFIED)]), [Outcome::Paid(Coins(8))]);
    assert_eq!(bank.ledger.customer(&account(2)).map(|c| c.pending), Some(Coins::ZERO));
    assert_eq!(
        code(bank.redeem(2, vec![claim(chain, 1, (0, 10), 1, CERTIFIED)])),
        Some(RejectCode::Mismatch)
    );
    // The same claim certified later is an upgrade.
    bank.redeem(2, vec![claim(chain, 2, (8, 20), 5, UNCERTIFIED)]);
    assert_eq!(bank.redeem(2, vec![claim(chain, 2, (8, 20), 5, CERTIFIED)]), [Outcome::Paid(Coins(12))]);
    bank.check();
}

#[test]
fn what_waits_is_served_by_acks_and_then_by_arrival() {
    let mut bank = Bank::open();
    bank.run(register(4)).expect("new");
    bank.buy(1, 1, 40).expect("funds");
    let chain = bank.id(1);
    bank.redeem(2, vec![claim_of(chain, (1, 1), (0, 10), 1, 3)]);
    bank.redeem(3, vec![claim_of(chain, (2, 2), (0, 10), 2, 5)]);
    bank.redeem(4, vec![claim_of(chain, (3, 3), (5, 20), 3, 3)]);
    // The same claim with more acks keeps its place in the queue.
    bank.redeem(4, vec![claim_of(chain, (3, 3), (5, 20), 3, 5)]);
    bank.now = Time(REDEEM_BY);
    bank.run(Command::Settle { chain }).expect("due");
    assert_eq!((bank.balance(2), bank.balance(3), bank.balance(4)), (0, 10, 10));
    bank.check();
}

/// The same claim with the certificate of its Open.
fn opened(claim: ClaimResult) -> ClaimResult {
    let claim = claim.expect("checked");
    Ok(Box::new(CheckedClaim { standing: Standing { opened: true, ..claim.standing }, ..*claim }))
}

#[test]
fn a_certified_open_goes_before_every_claim_without_one_and_a_later_segment_before_an_earlier() {
    let mut bank = Bank::open();
    bank.run(register(4)).expect("new");
    bank.buy(1, 1, 40).expect("funds");
    let chain = bank.id(1);
    // A double spender's second vendor has acks of its Close and comes first; the first has its Open certified.
    bank.redeem(2, vec![claim_of(chain, (1, 1), (0, 10), 1, 5)]);
    bank.redeem(3, vec![opened(claim_of(chain, (1, 2), (0, 10), 2, 0))]);
    // A vendor that closed at 20, by which the next began, claims up to 30 all the same.
    bank.redeem(4, vec![opened(claim_of(chain, (2, 3), (10, 30), 3, 0))]);
    bank.redeem(3, vec![opened(claim_of(chain, (3, 4), (20, 30), 4, 0))]);
    bank.now = Time(REDEEM_BY);
    bank.run(Command::Settle { chain }).expect("due");
    let paid = |segment: u32, opened: u8| {
        let book = bank.ledger.chain(&chain).expect("sold");
        let of =
            |(j, claim): &(&SegmentNo, &ClaimBook)| j.0 == segment && claim.open == ObjectHash([opened; 32]);
        book.claims().find(of).map(|(_, claim)| claim.state)
    };
    let is = |coins| Some(ClaimState::Paid(Count(coins)));
    assert_eq!([paid(1, 1), paid(1, 2), paid(2, 3), paid(3, 4)], [is(0), is(10), is(10), is(10)]);
    bank.check();
}

#[test]
fn who_promised_coins_twice_makes_up_for_them_and_is_banned() {
    let mut bank = Bank::open();
    bank.buy(1, 1, 40).expect("funds");
    let chain = bank.id(1);
    // Two vendors hold an Open of segment 1 each: the claims are the evidence.
    bank.redeem(2, vec![claim_of(chain, (1, 1), (0, 10), 1, 20)]);
    bank.redeem(3, vec![claim_of(chain, (1, 2), (0, 10), 2, 0)]);
    let payout = |n| Command::AskPayout { id: (account(1), [n; 16]), coins: Coins(1), to: Text::cut("x") };
    // From now on the money stays where it is.
    assert_eq!(bank.code(payout(1)), Some(RejectCode::Frozen));
    assert_eq!(bank.code(buy(1, 2, 10)), Some(RejectCode::Frozen));
    bank.now = Time(REDEEM_BY);
    bank.run(Command::Settle { chain }).expect("due");
    assert_eq!((bank.balance(1), bank.balance(2), bank.balance(3)), (60 + 30 - 10, 10, 10));
    assert_eq!(bank.code(payout(1)), Some(RejectCode::Frozen), "banned");
    let lines: Vec<_> = bank.ledger.customer(&account(1)).expect("known").lines_after(0).cloned().collect();
    assert_eq!(lines.last().map(|line| (line.what.clone(), line.change)), Some((What::Charged(chain), -10)));
    assert_eq!(bank.redeem(3, vec![claim_of(chain, (1, 2), (0, 10), 2, 0)]), [Outcome::Paid(Coins(10))]);
    bank.check();
}

#[test]
fn what_a_convict_has_goes_to_the_best_claims_first_and_the_bank_adds_nothing() {
    let mut bank = Bank::open();
    bank.run(register(4)).expect("new");
    bank.buy(1, 1, 100).expect("all of it");
    let chain = bank.id(1);
    bank.redeem(2, vec![claim_of(chain, (1, 1), (0, 90), 1, 20)]);
    bank.redeem(3, vec![claim_of(chain, (1, 2), (0, 8), 2, 0)]);
    bank.redeem(4, vec![claim_of(chain, (1, 3), (0, 8), 3, 2)]);
    bank.now = Time(REDEEM_BY);
    bank.run(Command::Settle { chain }).expect("due");
    // Ten coins were left of the chain: the claim with acks is made good, the other for what remains.
    assert_eq!((bank.balance(1), bank.balance(4), bank.balance(3)), (0, 8, 2));
    let book = bank.ledger.chain(&chain).expect("sold");
    assert_eq!(book.claims().map(|(_, claim)| claim.short().0).sum::<u32>(), 6);
    bank.check();
}

#[test]
fn a_bond_is_set_aside_at_registration_and_comes_back_when_the_witness_vouches_for_nothing_more() {
    let mut bank = Bank::open();
    let vouchers = vec![(voucher(1), Coins(15)), (voucher(2), Coins(30))];
    bank.run(Command::IssueVouchers { vouchers }).expect("new");
    assert_eq!(bank.code(register_with(WITNESS, None, 20)), Some(RejectCode::Funds));
    assert_eq!(bank.code(register_with(WITNESS, Some(1), 20)), Some(RejectCode::Funds));
    bank.run(register_with(WITNESS, Some(2), 20)).expect("enough");
    let has = |bank: &Bank| bank.ledger.customer(&account(WITNESS)).map(|c| (c.balance.0, c.bond.0));
    assert_eq!((has(&bank), bank.ledger.books().bonds), (Some((10, 20)), 20));
    bank.run(register_with(WITNESS, Some(2), 20)).expect("the same again");
    assert_eq!(has(&bank), Some((10, 20)));
    // While a chain that it witnesses is outstanding the bond stays, closed or not.
    bank.buy(1, 1, 40).expect("funds");
    bank.run(Command::ReturnBonds).expect("nothing to do");
    bank.run(Command::Close { account: account(WITNESS) }).expect("known");
    bank.run(Command::ReturnBonds).expect("nothing to do");
    assert_eq!(has(&bank), Some((10, 20)));
    assert_eq!(bank.ledger.revoked(), BTreeMap::from([(account(WITNESS + 50), bank.now)]));
    bank.now = Time(REDEEM_BY);
    bank.run(Command::Settle { chain: bank.id(1) }).expect("due");
    bank.run(Command::ReturnBonds).expect("due");
    assert_eq!((has(&bank), bank.ledger.books().bonds), (Some((30, 0)), 0));
    // Registering again opens the account again, with a new bond out of the balance.
    assert_eq!(bank.code(register_with(WITNESS, None, 40)), Some(RejectCode::Funds));
    bank.run(register_with(WITNESS, None, 25)).expect("enough");
    assert_eq!((has(&bank), bank.ledger.revoked().len()), (Some((5, 25)), 0));
    bank.check();
}

#[test]
fn a_witness_convicted_of_a_chain_makes_up_with_its_bond_for_what_the_buyer_cannot() {
    let mut bank = Bank::open();
    bank.run(Command::IssueVouchers { vouchers: vec![(voucher(1), Coins(20))] }).expect("new");
    bank.run(register_with(WITNESS, Some(1), 20)).expect("enough");
    bank.buy(1, 1, 100).expect("all of it");
    let chain = bank.id(1);
    bank.redeem(2, vec![claim_of(chain, (1, 1), (0, 96), 1, 20)]);
    bank.redeem(3, vec![claim_of(chain, (1, 2), (0, 12), 2, 20)]);
    bank.run(evidence_against_witness(chain)).expect("a member");
    bank.now = Time(REDEEM_BY);
    bank.run(Command::Settle { chain }).expect("due");
    // The buyer has the refund of 4 left, the witness pays 8 of its 20.
    assert_eq!((bank.balance(1), bank.balance(2), bank.balance(3)), (0, 96, 12));
    let witness = bank.ledger.customer(&account(WITNESS)).expect("known");
    assert_eq!((witness.balance, witness.bond), (Coins::ZERO, Coins(12)));
    assert_eq!(
        witness.lines_after(0).last().map(|line| line.what.clone()),
        Some(What::BondCharged(chain, Count(8)))
    );
    bank.check();
}

#[test]
fn the_bond_of_a_witness_pays_for_no_other_chain_than_the_one_it_signed_twice_of() {
    let mut bank = Bank::open();
    bank.run(Command::IssueVouchers { vouchers: vec![(voucher(1), Coins(20))] }).expect("new");
    bank.run(register_with(WITNESS, Some(1), 20)).expect("enough");
    bank.buy(1, 1, 50).expect("funds");
    bank.buy(1, 2, 50).expect("funds");
    let (chain, other) = (bank.id(1), bank.id(2));
    bank.redeem(2, vec![claim_of(chain, (1, 1), (0, 50), 1, 20)]);
    bank.redeem(3, vec![claim_of(chain, (1, 2), (0, 10), 2, 20)]);
    bank.redeem(2, vec![claim_of(other, (1, 1), (0, 50), 1, 20)]);
    bank.run(evidence_against_witness(other)).expect("a member");
    bank.now = Time(REDEEM_BY);
    bank.run(Command::Settle { chain }).expect("due");
    bank.run(Command::Settle { chain: other }).expect("due");
    assert_eq!((bank.balance(3), bank.ledger.books().bonds), (0, 20));
    bank.check();
}

#[test]
fn whoever_is_frozen_closed_or_a_convicted_witness_is_a_member_no_more() {
    let mut bank = Bank::open();
    bank.run(register(WITNESS)).expect("new");
    bank.buy(1, 1, 40).expect("funds");
    let chain = bank.id(1);
    assert_eq!((bank.ledger.revoked(), bank.ledger.members_changed()), (BTreeMap::new(), 0));
    let nodes = |bank: &Bank| bank.ledger.revoked().into_keys().collect::<Vec<_>>();
    let changed = |bank: &Bank| bank.ledger.members_changed() == bank.ledger.seq();
    bank.run(Command::Freeze { account: account(2), why: Text::cut("why") }).expect("known");
    assert_eq!((nodes(&bank), changed(&bank)), (vec![account(52)], true));
    // Its node cannot become a member of somebody else's.
    let moved = Command::Register {
        account: account(3),
        node: account(52),
        name: Text::cut(""),
        voucher: None,
        voucher_needed: false,
        bond: Coins::ZERO,
    };
    assert_eq!(bank.code(moved), Some(RejectCode::Frozen));
    bank.run(Command::Unfreeze { account: account(2) }).expect("known");
    assert_eq!((nodes(&bank), changed(&bank)), (vec![], true));
    bank.run(Command::Close { account: account(3) }).expect("known");
    assert_eq!((nodes(&bank), changed(&bank)), (vec![account(53)], true));
    bank.run(evidence_against_witness(chain)).expect("a member");
    assert_eq!((nodes(&bank), changed(&bank)), (vec![account(53), account(200)], true));
    let is_member = |number: u8| {
        bank.ledger.account(&account(number), 0).map(|view| !view.members.is_empty()).unwrap_or_default()
    };
    assert_eq!([1, 2, 3, WITNESS].map(is_member), [true, true, false, false]);
    assert!(bank.ledger.barred().contains(&account(200)));
    bank.check();
}

#[test]
fn nobody_is_charged_or_banned_without_evidence_or_without_coins_promised_twice() {
    let mut bank = Bank::open();
    bank.buy(1, 1, 40).expect("funds");
    bank.buy(1, 2, 40).expect("funds");
    let (honest, careless) = (bank.id(1), bank.id(2));
    // A vendor claims below where its segment should begin: short, but no evidence against the buyer.
    bank.redeem(2, vec![claim(honest, 1, (0, 10), 1, CERTIFIED), claim(honest, 2, (5, 20), 2, CERTIFIED)]);
    // Two Opens of one segment, of which only one was ever paid in.
    let (culprit, proof) = evidence(careless);
    bank.run(Command::NoteEvidence { culprit, evidence: proof }).expect("it convicts");
    bank.redeem(2, vec![claim(careless, 1, (0, 10), 1, CERTIFIED)]);
    bank.now = Time(REDEEM_BY);
    for chain in [honest, careless] {
        bank.run(Command::Settle { chain }).expect("due");
    }
    assert_eq!((bank.balance(1), bank.balance(2)), (20 + 20 + 30, 30));
    bank.buy(1, 3, 10).expect("the account is open again");
    bank.check();
}

#[test]
fn overlapping_certified_claims_are_paid_each_index_once() {
    let mut bank = Bank::open();
    bank.buy(1, 1, 40).expect("funds");
    let chain = bank.id(1);
    let claims = vec![
        claim(chain, 1, (10, 20), 1, CERTIFIED),
        claim(chain, 2, (5, 30), 2, CERTIFIED),
        claim(chain, 2, (5, 30), 2, CERTIFIED),
        claim(chain, 3, (30, 30), 3, CERTIFIED),
    ];
    let outcomes = bank.redeem(2, claims);
    assert_eq!(outcomes[..2], [Outcome::Paid(Coins(10)), Outcome::Paid(Coins(15))]);
    assert!(matches!(&outcomes[2], Outcome::Refused(reject) if reject.code == RejectCode::Malformed));
    assert_eq!(outcomes[3], Outcome::Paid(Coins::ZERO));
    assert_eq!(bank.balance(2), 25);
    bank.check();
}

#[test]
fn what_was_done_is_answered_again_and_not_done_again() {
    let mut bank = Bank::open();
    let commands = |chain| {
        vec![
            register(1),
            Command::IssueVouchers { vouchers: vec![(voucher(1), Coins(5))] },
            Command::PayIn { account: account(2), voucher: voucher(1) },
            Command::Credit { id: [8; 16], account: account(1), coins: Coins(5), note: Text::cut("n") },
            buy(1, 1, 10),
            Command::Redeem { account: account(2), claims: vec![claim(chain, 1, (0, 4), 1, CERTIFIED)] },
            Command::Retire { account: account(1), chains: List::first_of([chain]) },
            Command::AskPayout { id: (account(2), [1; 16]), coins: Coins(2), to: Text::cut("IBAN") },
            Command::Payout { id: (account(2), [1; 16]), reference: Text::cut("ref") },
            Command::NoteEvidence { culprit: evidence(chain).0, evidence: evidence(chain).1 },
            Command::Freeze { account: account(1), why: Text::cut("why") },
        ]
    };
    bank.buy(1, 1, 10).expect("funds");
    let chain = bank.id(1);
    for command in commands(chain) {
        bank.run(command).expect("allowed");
    }
    let (seq, books) = (bank.ledger.seq(), *bank.ledger.books());
    for command in commands(chain) {
        let decision = bank.run(command.clone()).unwrap_or_else(|reject| panic!("{command:?}: {reject}"));
        assert_eq!(decision.event, None, "{command:?}");
    }
    assert_eq!((bank.ledger.seq(), *bank.ledger.books()), (seq, books));
    bank.check();
}

#[test]
fn the_first_reason_of_the_documented_order_is_the_one_told() {
    use RejectCode as Code;
    let mut bank = Bank::open();
    bank.buy(1, 1, 10).expect("funds");
    let chain = bank.id(1);
    // Mismatch before everything else; then the account, frozen, the range, the funds.
    assert_eq!(bank.code(buy(9, 1, 99_999)), Some(Code::Mismatch));
    assert_eq!(bank.code(buy(2, 1, 10)), Some(Code::Mismatch));
    assert_eq!(bank.code(buy(9, 2, 0)), Some(Code::UnknownAccount));
    assert_eq!(bank.code(buy(1, 2, 0)), Some(Code::Range));
    assert_eq!(bank.code(buy(1, 2, 16_385)), Some(Code::Range));
    assert_eq!(bank.code(buy(1, 2, 91)), Some(Code::Funds));
    assert_eq!(
        bank.code(Command::PayIn { account: account(9), voucher: voucher(9) }),
        Some(Code::UnknownAccount)
    );
    assert_eq!(
        bank.code(Command::PayIn { account: account(1), voucher: voucher(9) }),
        Some(Code::BadVoucher)
    );
    let retire =
        |number, chain| Command::Retire { account: account(number), chains: List::first_of([chain]) };
    assert_eq!(bank.code(retire(9, ChainId([0; 32]))), Some(Code::UnknownAccount));
    assert_eq!(bank.code(retire(2, ChainId([0; 32]))), Some(Code::UnknownChain));
    assert_eq!(bank.code(retire(2, chain)), Some(Code::NotYours));
    let payout = |number, coins| Command::AskPayout {
        id: (account(number), [1; 16]),
        coins: Coins(coins),
        to: Text::cut("x"),
    };
    bank.run(Command::Freeze { account: account(1), why: Text::cut("why") }).expect("known");
    assert_eq!(bank.code(buy(1, 2, 0)), Some(Code::Frozen));
    assert_eq!(bank.code(payout(9, 0)), Some(Code::UnknownAccount));
    assert_eq!(bank.code(payout(1, 0)), Some(Code::Frozen));
    assert_eq!(bank.code(payout(2, 0)), Some(Code::Range));
    assert_eq!(bank.code(payout(2, 1)), Some(Code::Funds));
    let credit = |id, number, coins| Command::Credit {
        id: [id; 16],
        account: account(number),
        coins: Coins(coins),
        note: Text::cut(""),
    };
    assert_eq!(bank.code(credit(9, 9, 0)), Some(Code::Mismatch));
    assert_eq!(bank.code(credit(1, 9, 0)), Some(Code::UnknownAccount));
    assert_eq!(bank.code(credit(1, 1, 0)), Some(Code::Range));
    assert_eq!(bank.code(credit(1, 1, MAX_MONEY)), Some(Code::Range));
    let needed = Command::Register {
        account: account(8),
        node: account(8),
        name: Text::cut(""),
        voucher: None,
        voucher_needed: true,
        bond: Coins::ZERO,
    };
    assert_eq!(bank.code(needed), Some(Code::BadVoucher));
    assert_eq!(bank.code(Command::Settle { chain: ChainId([0; 32]) }), Some(Code::UnknownChain));
    bank.check();
}

#[test]
fn a_voucher_pays_one_account_once() {
    let mut bank = Bank::open();
    bank.run(Command::IssueVouchers { vouchers: vec![(voucher(1), Coins(7)), (voucher(2), Coins(7))] })
        .expect("new");
    bank.run(Command::PayIn { account: account(2), voucher: voucher(1) }).expect("unused");
    bank.run(Command::PayIn { account: account(2), voucher: voucher(1) }).expect("the same again");
    assert_eq!(bank.balance(2), 7);
    assert_eq!(
        bank.code(Command::PayIn { account: account(3), voucher: voucher(1) }),
        Some(RejectCode::BadVoucher)
    );
    let again = Command::IssueVouchers { vouchers: vec![(voucher(1), Coins(8))] };
    assert_eq!(bank.code(again), Some(RejectCode::Mismatch));
    assert_eq!(bank.ledger.books().vouchers, 7);
    bank.check();
}

#[test]
fn a_chain_convicts_no_more_vendors_than_it_has_coins() {
    let mut bank = Bank::open();
    bank.buy(1, 1, 2).expect("funds");
    let chain = bank.id(1);
    for opened in 1..=2 {
        bank.run(accuse(1, chain, (1, opened), true, 1)).expect("proven");
    }
    assert_eq!(bank.code(accuse(1, chain, (1, 3), true, 1)), Some(RejectCode::Range));
    bank.run(accuse(1, chain, (1, 2), true, 1)).expect("the same again");
    assert_eq!(bank.ledger.disputes_before(None).count(), 2);
    bank.check();
}

#[test]
fn disputes_come_newest_first_and_go_on_behind_any_of_them() {
    let mut bank = Bank::open();
    bank.buy(1, 1, 40).expect("funds");
    let chain = bank.id(1);
    bank.run(accuse(1, chain, (1, 100), false, 1)).expect("it costs its fee");
    bank.redeem(2, vec![claim_of(chain, (2, 1), (0, 10), 1, 20)]);
    bank.redeem(3, vec![claim_of(chain, (2, 2), (0, 10), 2, 0)]);
    bank.run(accuse(1, chain, (1, 100), true, 2)).expect("proven");
    let all: Vec<_> = bank.ledger.disputes_before(None).collect();
    let key = (SegmentNo(1), ObjectHash([100; 32]));
    assert_eq!(all[..2], [Dispute::Junk(chain, key), Dispute::Twice(Culprit::Buyer(chain))]);
    assert!(matches!(all[2..], [Dispute::Falsely(_)]));
    for (at, dispute) in all.iter().enumerate() {
        assert_eq!(bank.ledger.disputes_before(Some(dispute)).collect::<Vec<_>>(), all[at + 1..]);
    }
    let nobody = Dispute::Falsely(ObjectHash([0; 32]));
    assert_eq!(bank.ledger.disputes_before(Some(&nobody)).count(), 0);
}

#[test]
fn the_largest_settlement_fits_a_record() {
    let record = Record {
        seq: u64::MAX,
        at: Time(u64::MAX),
        event: Event::Settled {
            chain: ChainId([0; 32]),
            claims: List::first_of((0..8192).map(|claim| SettledClaim {
                claim,
                paid: List::first_of((0..2).map(|i| Range { start: Index(2 * i), end: Index(2 * i + 1) })),
            })),
            refund: Count(0),
            charges: List::first_of((0..8214).map(|claim| Charge {
                claim,
                purse: Purse::Seat(19),
                coins: Count(1),
            })),
        },
    };
    let bytes = netpay_core::codec::encode(&record);
    assert_eq!(netpay_core::codec::decode::<Record>(&bytes), Ok(record));
}

#[test]
fn a_forged_journal_is_found_out() {
    let mut bank = Bank::open();
    bank.buy(1, 1, 40).expect("funds");
    let chain = bank.id(1);
    bank.redeem(2, vec![claim(chain, 1, (0, 10), 1, CERTIFIED)]);
    bank.redeem(2, vec![claim(chain, 2, (10, 20), 2, CERTIFIED)]);
    let mut gap = bank.journal.clone();
    gap.remove(1);
    assert!(audit(NETWORK, &gap).is_err());
    let mut twice = bank.journal.clone();
    if let Some(Record { event: Event::Redeemed { claims, .. }, .. }) = twice.last_mut() {
        let mut taken = claims.clone().into_vec();
        taken[0].range.start = Index(5);
        taken[0].paid = Some(List::first_of([Range { start: Index(5), end: Index(20) }]));
        *claims = List::first_of(taken);
    }
    assert_eq!(audit(NETWORK, &twice).map_err(|broken| broken.why), Err("a coin is paid twice"));
    assert!(audit(NETWORK, &bank.journal).is_ok());
}
