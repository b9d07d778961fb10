//! The broker. Bytes choose who registers, pays, buys, claims what with whose acks, accuses whom, and when time passes.
//! Everything goes the way of a request: checked, decided, journaled, folded. At the end the books are audited.

use super::Target;
use super::decoders::decoder;
use super::samples::{NETWORK, NOW, committee, key};
use crate::sim::dice::Dice;
use netpay_broker::checks::Checks;
use netpay_broker::ledger::{Command, Event, Facts, Ledger, Mint, Record, VoucherId, audit};
use netpay_core::amount::{Cap, Coins, Count, Index};
use netpay_core::codec::{Bytes, List, Text, decode, encode};
use netpay_core::coin::chain::{Chain, Seed};
use netpay_core::coin::segment::{Close, Open, ReleaseChain, SegmentNo, pay_to};
use netpay_core::coin::touchstone::{Touchstone, chain_id};
use netpay_core::keys::{SecretKey, Signed};
use netpay_core::record::chain::{Ack, Certificate, Culprit, Evidence};
use netpay_core::session::redeem::digest;
use netpay_core::time::{DAY, Time};
use netpay_core::wire::bank::{Buy, Claim, Claims, PayIn, Payout, Redeem, Register, Retire, VoucherCode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

/// People: each has an account and a node.
const PEOPLE: u64 = 3;
/// The most chains, Opens and steps of one input.
const MAX_CHAINS: usize = 3;
const MAX_OPENS: usize = 16;
const MAX_STEPS: usize = 100;
/// By then every chain can be settled, in seconds.
const THE_END: u64 = 90 * DAY;

pub fn targets() -> Vec<Target> {
    vec![Target::new("books", seeds, books).slow(200), decoder::<Record>(journal)]
}

/// Everybody registers and is given money, somebody buys and is claimed from; and a stretch of everything.
fn seeds() -> Vec<Vec<u8>> {
    let begin = [0, 0, 1, 0, 1, 1, 0, 2, 0, 1, 0, 200, 1, 1, 200, 3, 0, 2, 3, 1, 1];
    let claims = [4, 1, 0, 0, 0, 2, 3, 5, 0, 255, 255, 7, 2, 1, 4, 2, 0, 0, 1, 1, 3, 6, 0, 200, 255, 3, 1, 0];
    vec![[&begin[..], &claims.repeat(4)].concat(), (0..=255).collect()]
}

/// The rows of a journal that has a little of everything.
fn journal() -> Vec<Vec<u8>> {
    seeds().iter().flat_map(|seed| Bank::play(seed).journal).map(|record| encode(&record)).collect()
}

fn books(bytes: &[u8]) {
    let mut bank = Bank::play(bytes);
    bank.now = bank.now.plus(THE_END);
    bank.settle_all();
    if let Err(broken) = audit(NETWORK, &bank.journal) {
        panic!("the books are wrong: {broken}");
    }
    let ledger = bank.checks.ledger.read().unwrap_or_else(PoisonError::into_inner);
    let convicted: BTreeSet<Culprit> = ledger.convicted().map(|(culprit, _)| *culprit).collect();
    let shown = bank.opened_twice();
    assert!(
        shown.is_subset(&convicted),
        "claims show two Opens of one segment, and the buyer is not convicted"
    );
    bank.accused.extend(shown);
    assert!(convicted.is_subset(&bank.accused), "somebody is convicted without evidence");
    for (_, chain) in ledger.chains().filter(|(_, chain)| chain.settled.is_some()) {
        let charged: u32 = chain.claims().map(|(_, claim)| claim.charged.0).sum();
        let accused = bank
            .accused
            .iter()
            .any(|culprit| matches!(culprit, Culprit::Buyer(of) if *of == chain.facts().id));
        assert!(charged == 0 || accused, "a buyer is charged that opened nothing twice");
    }
}

struct Sold {
    touchstone: Signed<Touchstone>,
    coins: Chain,
    key: SecretKey,
}

struct Bank {
    dice: Dice,
    checks: Checks,
    journal: Vec<Record>,
    chains: Vec<Sold>,
    opens: Vec<(usize, u64, Signed<Open>, ReleaseChain)>,
    accused: BTreeSet<Culprit>,
    now: Time,
}

fn account(person: u64) -> SecretKey {
    SecretKey::derive(&[0xac; 32], &person.to_le_bytes())
}

fn broker() -> SecretKey {
    key(1)
}

/// People's nodes are witnesses too, so that their bonds stand for what they ack.
fn node(person: u64) -> SecretKey {
    committee().swap_remove(usize::try_from(person).unwrap_or(0))
}

fn holder(person: u64) -> SecretKey {
    SecretKey::derive(&[0x0d; 32], &person.to_le_bytes())
}

impl Bank {
    fn play(bytes: &[u8]) -> Self {
        let ledger = Arc::new(RwLock::new(Ledger::new(NETWORK)));
        let mut bank = Self {
            dice: Dice::fed(bytes),
            checks: Checks { network: NETWORK, broker: broker().public(), ledger },
            journal: Vec::new(),
            chains: Vec::new(),
            opens: Vec::new(),
            accused: BTreeSet::new(),
            now: NOW,
        };
        for _ in 0..MAX_STEPS {
            if bank.dice.left() == 0 {
                break;
            }
            bank.step();
        }
        bank
    }

    fn step(&mut self) {
        match self.dice.between(0, 16) {
            0 => self.register(),
            1 => self.credit(),
            2 => self.voucher(),
            3 => self.buy(),
            4..10 => self.redeem(),
            10 => self.accuse(),
            11 => self.retire(),
            12 => self.pay_out(),
            13 => self.operator(),
            14 => self.now = self.now.plus(self.dice.between(0, 8) * DAY),
            _ => self.settle_all(),
        }
    }

    fn person(&mut self) -> u64 {
        self.dice.between(0, PEOPLE)
    }

    fn coins(&mut self) -> Coins {
        Coins(self.dice.between(0, 256))
    }

    /// Decides, journals, folds; and asks again, which changes nothing any more.
    fn carry_out(&mut self, command: Command) {
        let again = !matches!(command, Command::ReturnBonds);
        for repeated in [false, true] {
            let mut ledger = self.checks.ledger.write().unwrap_or_else(PoisonError::into_inner);
            let Ok(decision) = ledger.decide(command.clone(), self.now) else { return };
            let Some(event) = decision.event else { return };
            assert!(!repeated || !again, "the same command changes the books twice: {event:?}");
            let record = Record { seq: ledger.seq() + 1, at: self.now, event };
            assert_eq!(
                decode(&encode(&record)).as_ref(),
                Ok(&record),
                "a row does not read as it was written"
            );
            if let Err(broken) = ledger.apply(&record) {
                panic!("what was decided cannot be done: {broken}");
            }
            self.journal.push(record);
        }
    }

    fn register(&mut self) {
        let (person, bond) = (self.person(), Coins(self.dice.between(0, 3) * 10));
        let voucher =
            self.dice.happens(0.5).then(|| VoucherCode([self.dice.between(0, 4).to_le_bytes()[0]; 20]));
        let (account, node) = (account(person), node(self.person()).public());
        let register = Register { account: account.public(), node, name: Text::cut("Ann"), voucher };
        let needed = self.dice.happens(0.2);
        let checked = self.checks.register(account.sign(&NETWORK, register).wire(), &node, (needed, bond));
        self.carry_out(checked.expect("it is signed"));
    }

    fn credit(&mut self) {
        let (person, coins) = (self.person(), self.coins());
        let id = [self.dice.between(0, 8).to_le_bytes()[0]; 16];
        let account = account(person).public();
        self.carry_out(Command::Credit { id, account, coins, note: Text::cut("savings") });
    }

    fn voucher(&mut self) {
        let code = VoucherCode([self.dice.between(0, 4).to_le_bytes()[0]; 20]);
        if self.dice.happens(0.5) {
            let coins = self.coins();
            return self.carry_out(Command::IssueVouchers { vouchers: vec![(VoucherId::of(&code), coins)] });
        }
        let account = account(self.person());
        let request = account.sign(&NETWORK, PayIn { account: account.public(), voucher: code });
        let checked = self.checks.pay_in(request.wire());
        self.carry_out(checked.expect("it is signed"));
    }

    fn buy(&mut self) {
        let account = account(self.person());
        let number = self.dice.between(0, MAX_CHAINS as u64);
        let n = Cap(u32::try_from(8 + self.dice.between(0, 5) * 8).unwrap_or(8));
        let byte = number.to_le_bytes()[0];
        let (key, seed) = (SecretKey::derive(&[0xc4; 32], &[byte]), Seed([byte; 16]));
        let buy = Buy { account: account.public(), chain_key: key.public(), n, sealing_key: [0; 32] };
        let by_chain = key.sign(&NETWORK, buy.clone()).signature();
        let purchase = self.checks.buy(account.sign(&NETWORK, buy).wire(), by_chain).expect("both signed");
        let touchstone = Touchstone {
            network: NETWORK,
            broker: self.checks.broker,
            chain_key: key.public(),
            n,
            root: Chain::root_of(&seed, n),
            nonce: [byte; 16],
            committee: List::first_of(committee().iter().map(SecretKey::public)),
            issued: self.now,
            spend_by: self.now.plus(14 * DAY),
            redeem_by: self.now.plus(21 * DAY),
        };
        let touchstone = broker().sign(&NETWORK, touchstone);
        let mint = Mint { facts: Arc::new(Facts::of(touchstone.clone())), sealed: Bytes::default() };
        let before = self.journal.len();
        self.carry_out(Command::Buy {
            account: account.public(),
            chain_key: key.public(),
            n,
            request: purchase.request,
            mint: Some(Box::new(mint)),
        });
        if self.journal.len() > before {
            self.chains.push(Sold { touchstone, coins: Chain::grow(&seed, n), key });
        }
    }

    /// An Open signed before, or a new one: any number, any lease.
    fn open(&mut self) -> Option<usize> {
        if self.opens.len() >= MAX_OPENS || (!self.opens.is_empty() && self.dice.happens(0.5)) {
            return usize::try_from(self.dice.between(0, self.opens.len() as u64)).ok();
        }
        let at = usize::try_from(self.dice.between(0, self.chains.len() as u64)).ok()?;
        let sold = self.chains.get(at)?;
        let n = sold.touchstone.n.0;
        let (person, j) = (self.dice.between(0, PEOPLE), self.dice.between(1, 4));
        let start = u32::try_from(self.dice.between(0, u64::from(n) + 2)).ok()?;
        let cap = start + u32::try_from(self.dice.between(0, 24)).ok()?;
        let (chain, j, lease) =
            (chain_id(&sold.touchstone), SegmentNo(u32::try_from(j).ok()?), (Index(start), Cap(cap)));
        let holder = holder(person).public();
        let releases = ReleaseChain::grow(&[4; 32], chain, j, &holder, lease);
        let open = Open {
            chain,
            j,
            prev: sold.touchstone.hash(),
            holder,
            start: lease.0,
            cap: lease.1,
            release_root: releases.root(),
            fair: None,
        };
        let open = sold.key.sign(&NETWORK, open);
        self.opens.push((at, person, open, releases));
        Some(self.opens.len() - 1)
    }

    fn claim(&mut self) -> Option<Claim> {
        let at = self.open()?;
        let (chain, person, open, releases) = self.opens.get(at)?;
        let sold = &self.chains[*chain];
        let length = open.cap.0 - open.start.0;
        let end = open.start.0 + u32::try_from(self.dice.between(0, u64::from(length) + 2)).ok()?;
        let payee = if self.dice.happens(0.05) { self.dice.between(0, PEOPLE) } else { *person };
        let close = Close {
            chain: open.chain,
            j: open.j,
            open: open.hash(),
            end: Index(end),
            coin: sold.coins.coin(Index(end)).unwrap_or(sold.touchstone.root),
            release: releases.link(Count(end - open.start.0)).unwrap_or(open.release_root),
            pay_to: pay_to(&[5; 32], &account(payee).public()),
        };
        let close = holder(*person).sign(&NETWORK, close);
        let object = if self.dice.happens(0.3) { open.hash() } else { close.hash() };
        let seats = self.dice.between(0, 17);
        let acks = (0..4_u8).filter(|seat| seats >> seat & 1 == 1).map(|seat| {
            let witness = &committee()[usize::from(seat)];
            (seat, Ack { chain: open.chain, object }.sign(&NETWORK, witness))
        });
        let certificate = (seats < 16).then(|| Certificate { object, acks: List::first_of(acks) });
        Some(Claim { open: open.wire(), close: close.wire(), salt: [5; 32], certificate, key: None })
    }

    fn redeem(&mut self) {
        let person = self.person();
        let count = self.dice.between(1, 4);
        let claims: Vec<Claim> = (0..count).filter_map(|_| self.claim()).collect();
        let claims = Claims(List::first_of(claims));
        let account = account(person);
        let redeem = Redeem { account: account.public(), claims: digest(&claims) };
        let checked = self.checks.redeem(account.sign(&NETWORK, redeem).wire(), claims);
        self.carry_out(checked.expect("it is signed, and for these claims"));
    }

    fn accuse(&mut self) {
        let some = self.opens.len() as u64;
        let (one, other) = (self.dice.between(0, some), self.dice.between(0, some));
        let at = |number: u64| self.opens.get(usize::try_from(number).ok()?);
        let (Some((chain, _, one, _)), Some((_, _, other, _))) = (at(one), at(other)) else { return };
        let touchstone = self.chains[*chain].touchstone.wire();
        let seat = self.dice.between(0, 6).to_le_bytes()[0];
        let evidence = match committee().get(usize::from(seat)) {
            None => Evidence::TwoOpens { touchstone, one: one.wire(), other: other.wire() },
            Some(witness) => {
                let acked = |open: &Signed<Open>| {
                    let link = netpay_core::record::chain::Link { open: open.wire(), close: None };
                    (link, Ack { chain: open.chain, object: open.hash() }.sign(&NETWORK, witness))
                };
                Evidence::TwoAcks { touchstone, seat, one: acked(one), other: acked(other) }
            }
        };
        let twice = (one.chain, one.j) == (other.chain, other.j) && one.hash() != other.hash();
        let convicts = evidence.convicts(&NETWORK, &self.checks.broker);
        assert_eq!(convicts.is_some(), twice, "evidence is what was signed twice");
        self.accused.extend(convicts);
        if let Ok(command) = self.checks.evidence(evidence) {
            self.carry_out(command);
        }
    }

    fn retire(&mut self) {
        let account = account(self.person());
        let chains = self.chains.iter().map(|sold| chain_id(&sold.touchstone));
        let retire = Retire { account: account.public(), chains: List::first_of(chains) };
        let checked = self.checks.retire(account.sign(&NETWORK, retire).wire());
        self.carry_out(checked.expect("it is signed"));
    }

    fn pay_out(&mut self) {
        let (account, coins) = (account(self.person()), self.coins());
        let number = [self.dice.between(0, 3).to_le_bytes()[0]; 16];
        if self.dice.happens(0.5) {
            let (id, reference) = ((account.public(), number), Text::cut("transfer 1"));
            return self.carry_out(Command::Payout { id, reference });
        }
        let payout = Payout { account: account.public(), number, coins, to: Text::cut("my bank") };
        let checked = self.checks.payout(account.sign(&NETWORK, payout).wire());
        self.carry_out(checked.expect("it is signed"));
    }

    fn operator(&mut self) {
        let account = account(self.person()).public();
        let command = match self.dice.between(0, 5) {
            0 => Command::Freeze { account, why: Text::cut("asked to") },
            1 => Command::Unfreeze { account },
            2 => Command::Close { account },
            3 => Command::ReturnBonds,
            _ => Command::Resume { settle_from: self.now.plus(self.dice.between(0, 4) * DAY) },
        };
        self.carry_out(command);
    }

    /// Buyers that opened a segment twice, as claims show that were taken: no other evidence is needed.
    fn opened_twice(&self) -> BTreeSet<Culprit> {
        let mut opens = BTreeMap::<_, BTreeSet<_>>::new();
        for record in &self.journal {
            let Event::Redeemed { claims, .. } = &record.event else { continue };
            for taken in claims.iter() {
                opens.entry((taken.chain, taken.j)).or_default().insert(taken.open);
            }
        }
        let twice = opens.into_iter().filter(|(_, opens)| opens.len() > 1);
        twice.map(|((chain, _), _)| Culprit::Buyer(chain)).collect()
    }

    /// Settles what is due, the oldest first.
    fn settle_all(&mut self) {
        let due = self.checks.ledger.read().unwrap_or_else(PoisonError::into_inner).due(self.now, MAX_CHAINS);
        for chain in due {
            self.carry_out(Command::Settle { chain });
        }
    }
}
