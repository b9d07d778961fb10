//! A town for the tests: a bank, its people, and the papers that pass between them.
#![allow(dead_code, reason = "each test uses its own part of the town")]

pub mod fair;

use netpay_broker::ledger::{Audit, Auditor, Command};
use netpay_broker::roster::Roster;
use netpay_broker::service::{Bank, Terms};
use netpay_broker::store::JournalError;
use netpay_core::amount::{Cap, Coins, Count, Index};
use netpay_core::codec::{List, Text};
use netpay_core::coin::chain::Chain;
use netpay_core::coin::segment::{Close, Open, ReleaseChain, SegmentNo, pay_to};
use netpay_core::coin::touchstone::{self, Touchstone};
use netpay_core::id::{ChainId, NetworkId, ObjectHash};
use netpay_core::keys::{PublicKey, SecretKey, Signed};
use netpay_core::record::chain::{Ack, Certificate};
use netpay_core::session::redeem::digest;
use netpay_core::time::Time;
use netpay_core::wire::bank::{BankReply, BankRequest, Buy, Claim, Claims, Outcome, Redeem, Register};
use netpay_core::wire::reject::RejectCode;
use netpay_node::sealed::SealingKey;
use netpay_node::store::Db;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// When the town wakes up.
pub const MORNING: u64 = 1_800_000_000;

/// A bank and its clock.
pub struct Town {
    pub bank: Bank,
    pub clock: Arc<AtomicU64>,
    pub witnesses: Vec<SecretKey>,
}

/// Somebody with a node, an account and a wallet.
#[derive(Clone)]
pub struct Person {
    pub account: SecretKey,
    pub node: SecretKey,
    pub secret: [u8; 32],
}

/// A chain in the hands of its buyer.
pub struct Bought {
    pub touchstone: Signed<Touchstone>,
    pub chain: Chain,
    pub key: SecretKey,
    pub secret: [u8; 32],
}

pub fn broker_key() -> SecretKey {
    SecretKey::from_seed(&[77; 32])
}

pub fn terms() -> Terms {
    Terms::new("town", "Town bank", "clerk@example.org")
}

pub fn network() -> NetworkId {
    NetworkId::of("town", &broker_key().public())
}

impl Person {
    pub fn new(number: u64) -> Self {
        let secret = *blake3::hash(&number.to_le_bytes()).as_bytes();
        Self {
            account: SecretKey::derive(&secret, b"account"),
            node: SecretKey::derive(&secret, b"node"),
            secret,
        }
    }

    pub fn id(&self) -> PublicKey {
        self.account.public()
    }

    pub fn register(&self) -> BankRequest {
        let register =
            Register { account: self.id(), node: self.node.public(), name: Text::cut("Ann"), voucher: None };
        BankRequest::Register(self.account.sign(&network(), register).wire())
    }

    pub fn chain_key(&self, number: u64) -> SecretKey {
        SecretKey::derive(&self.secret, &[b"chain".as_slice(), &number.to_le_bytes()].concat())
    }

    pub fn sealing_key(&self, number: u64) -> SealingKey {
        SealingKey::from_seed(blake3::keyed_hash(&self.secret, &number.to_le_bytes()).as_bytes())
    }

    pub fn buy(&self, number: u64, n: u32) -> BankRequest {
        let key = self.chain_key(number);
        let sealing_key = self.sealing_key(number).public();
        let buy = Buy { account: self.id(), chain_key: key.public(), n: Cap(n), sealing_key };
        BankRequest::Buy {
            by_chain: key.sign(&network(), buy.clone()).signature(),
            buy: self.account.sign(&network(), buy).wire(),
        }
    }

    pub fn redeem(&self, claims: Vec<Claim>) -> BankRequest {
        let claims = Claims(List::first_of(claims));
        let redeem = Redeem { account: self.id(), claims: digest(&claims) };
        BankRequest::Redeem { redeem: self.account.sign(&network(), redeem).wire(), claims }
    }

    /// The chain that a reply sold.
    pub fn unpack(&self, number: u64, reply: &BankReply) -> Bought {
        let BankReply::Sold { touchstone, sealed_seed } = reply else { panic!("not sold: {reply:?}") };
        let touchstone = touchstone::verify(touchstone.clone(), &network(), &broker_key().public())
            .expect("a genuine touchstone");
        let seed =
            self.sealing_key(number).open(sealed_seed, touchstone.hash()).expect("sealed to the buyer");
        let chain = Chain::grow(&seed, touchstone.n);
        assert_eq!(chain.root(), touchstone.root);
        Bought { chain, touchstone, key: self.chain_key(number), secret: self.secret }
    }

    /// What this vendor closes segment `j` with, once `(start, end]` of it was paid.
    pub fn claim(&self, bought: &Bought, j: u32, (start, end, cap): (u32, u32, u32)) -> Claim {
        let holder = SecretKey::derive(&self.secret, &bought.id().0);
        let lease = (Index(start), Cap(cap));
        let releases = ReleaseChain::grow(&bought.secret, bought.id(), SegmentNo(j), &holder.public(), lease);
        let open = Open {
            chain: bought.id(),
            j: SegmentNo(j),
            prev: bought.touchstone.hash(),
            holder: holder.public(),
            start: Index(start),
            cap: Cap(cap),
            release_root: releases.root(),
            fair: None,
        };
        let open = bought.key.sign(&network(), open);
        let salt = [5; 32];
        let close = Close {
            chain: bought.id(),
            j: SegmentNo(j),
            open: open.hash(),
            end: Index(end),
            coin: bought.chain.coin(Index(end)).expect("within the chain"),
            release: releases.link(Count(end - start)).expect("within the lease"),
            pay_to: pay_to(&salt, &self.id()),
        };
        let close = holder.sign(&network(), close);
        Claim { open: open.wire(), close: close.wire(), salt, certificate: None, key: None }
    }

    pub fn holder(&self, bought: &Bought) -> SecretKey {
        SecretKey::derive(&self.secret, &bought.id().0)
    }
}

impl Bought {
    pub fn id(&self) -> ChainId {
        touchstone::chain_id(&self.touchstone)
    }
}

impl Town {
    /// A town whose bank forgets everything with the town.
    pub fn new() -> Self {
        Self::with(Db::memory(), terms())
    }

    pub fn with(db: Db, terms: Terms) -> Self {
        Self::try_with(db, terms).expect("a sound journal")
    }

    pub fn try_with(db: Db, terms: Terms) -> Result<Self, JournalError> {
        let witnesses: Vec<_> = (0..5).map(|i| SecretKey::from_seed(&[100 + i; 32])).collect();
        let roster = Roster::new(witnesses[0].public());
        for (i, witness) in (0_u8..).zip(&witnesses).skip(1) {
            roster.enroll(witness.public(), PublicKey([200 + i; 32]));
            roster.connected(&witness.public(), true, Time(MORNING));
        }
        let clock = Arc::new(AtomicU64::new(MORNING));
        let told = clock.clone();
        let clock_of_bank = Arc::new(move || Time(told.load(Ordering::Relaxed)));
        let bank = Bank::open(db, broker_key(), terms, Arc::new(roster), clock_of_bank)?;
        Ok(Self { bank, clock, witnesses })
    }

    pub fn wait(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    pub async fn ask(&self, person: &Person, request: BankRequest) -> BankReply {
        self.bank.answer(person.node.public(), request).await
    }

    /// The number of the reason for which a request is refused.
    pub async fn refusal(&self, person: &Person, request: BankRequest) -> Option<RejectCode> {
        match self.ask(person, request).await {
            BankReply::Reject(reject) => Some(reject.code),
            _ => None,
        }
    }

    /// A customer with so many coins.
    pub async fn person(&self, number: u64, coins: u64) -> Person {
        let person = Person::new(number);
        let reply = self.ask(&person, person.register()).await;
        assert!(matches!(reply, BankReply::Account(_)), "{reply:?}");
        if coins > 0 {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_le_bytes());
            let credit =
                Command::Credit { id, account: person.id(), coins: Coins(coins), note: Text::cut("cash") };
            self.bank.run(credit).await.expect("a credit");
        }
        person
    }

    pub async fn chain(&self, buyer: &Person, number: u64, n: u32) -> Bought {
        let reply = self.ask(buyer, buyer.buy(number, n)).await;
        buyer.unpack(number, &reply)
    }

    pub async fn outcomes(&self, vendor: &Person, claims: Vec<Claim>) -> Vec<Outcome> {
        match self.ask(vendor, vendor.redeem(claims)).await {
            BankReply::Redeemed(outcomes) => {
                outcomes.into_vec().into_iter().map(|(_, _, outcome)| outcome).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    pub async fn balance(&self, person: &Person) -> u64 {
        let account = person.id();
        let look = self.bank.look(move |ledger| ledger.customer(&account).map(|customer| customer.balance.0));
        look.await.expect("an open bank").expect("an account")
    }

    /// The claim with a certificate of its whole committee over its Close.
    pub fn certified(&self, bought: &Bought, claim: &Claim) -> Claim {
        let object = claim.close.hash(&network());
        Claim { certificate: Some(self.certificate(bought, object)), ..claim.clone() }
    }

    pub fn certificate(&self, bought: &Bought, object: ObjectHash) -> Certificate {
        let ack = Ack { chain: bought.id(), object };
        let acks = bought.touchstone.committee.iter().zip(0_u8..).map(|(seat, number)| {
            let members =
                (0..20).map(|number| Person::new(number).node).chain(self.witnesses.iter().cloned());
            let witness =
                members.into_iter().find(|member| member.public() == *seat).expect("a member of the town");
            (number, ack.clone().sign(&network(), &witness))
        });
        Certificate { object, acks: List::first_of(acks) }
    }

    /// Proves the books from the journal.
    pub fn audit(&self) -> Audit {
        let mut auditor = Auditor::new(network());
        self.bank
            .journal()
            .each(|record| auditor.read(&record).map(|_| ()).map_err(JournalError::from))
            .expect("it fits");
        auditor.finish().expect("the books balance")
    }
}

/// What an outcome says, short.
pub fn refused(outcome: &Outcome) -> Option<RejectCode> {
    match outcome {
        Outcome::Refused(reject) => Some(reject.code),
        Outcome::Paid(_) | Outcome::Pending { .. } => None,
    }
}
