//! Whatever is asked, and however time passes: the books balance, what waits is known to wait, and nothing waits for ever.

use super::*;
use proptest::prelude::*;
use proptest::sample::Index;

/// A claim in a redemption: chain, segment, two ends, close and Open, acks, and whether its key is right.
type Claimed = (u8, u32, u32, u32, u8, u8, bool);

#[derive(Clone, Debug)]
enum Act {
    Register(u8, Option<u8>, u64),
    Close(u8),
    ReturnBonds,
    Issue(u8, u64),
    PayIn(u8, u8),
    Credit(u8, u8, u64),
    Buy(u8, u8, u32),
    Redeem(u8, Vec<Claimed>),
    Retire(u8, u8),
    Freeze(u8, bool),
    AskPayout(u8, u8, u64),
    Payout(u8, u8),
    Evidence(u8, bool),
    /// By an account, of a chain, segment and Open: whether it is proven, and the proof's number.
    Accuse(u8, u8, (u32, u8), bool, u8),
    /// By the chain's buyer, of a claim that was brought.
    AccuseClaim(u8, Index, bool, u8),
    Resume(u64),
    Release(u8),
    Settle(u8),
    Wait(u64),
    /// What the service does by itself, again and again: pay what can be disputed no more, and settle what is due.
    Tick,
}

fn acts() -> impl Strategy<Value = Act> {
    let claim = (0..4u8, 1..6u32, 0..30u32, 0..30u32, 0..20u8, 0..20u8, prop::bool::weighted(0.8));
    let proven = any::<bool>();
    prop_oneof![
        2 => (0..5u8, prop::option::of(0..6u8), 0..9u64).prop_map(|(a, v, b)| Act::Register(a, v, b)),
        1 => (0..5u8).prop_map(Act::Close),
        1 => Just(Act::ReturnBonds),
        2 => (0..6u8, 0..60u64).prop_map(|(v, c)| Act::Issue(v, c)),
        3 => (1..5u8, 0..6u8).prop_map(|(a, v)| Act::PayIn(a, v)),
        3 => (0..9u8, 1..5u8, 0..90u64).prop_map(|(i, a, c)| Act::Credit(i, a, c)),
        5 => (1..5u8, 0..4u8, 0..35u32).prop_map(|(a, k, n)| Act::Buy(a, k, n)),
        8 => (1..5u8, prop::collection::vec(claim, 1..6)).prop_map(|(a, c)| Act::Redeem(a, c)),
        1 => (1..5u8, 0..4u8).prop_map(|(a, k)| Act::Retire(a, k)),
        1 => (1..5u8, any::<bool>()).prop_map(|(a, f)| Act::Freeze(a, f)),
        2 => (1..5u8, 0..4u8, 0..20u64).prop_map(|(a, i, c)| Act::AskPayout(a, i, c)),
        2 => (1..5u8, 0..4u8).prop_map(|(a, i)| Act::Payout(a, i)),
        2 => (0..4u8, any::<bool>()).prop_map(|(k, w)| Act::Evidence(k, w)),
        2 => (1..5u8, 0..4u8, (1..6u32, 0..10u8), proven, 0..9u8)
            .prop_map(|(a, k, of, p, n)| Act::Accuse(a, k, of, p, n)),
        3 => (0..4u8, any::<Index>(), proven, 0..9u8)
            .prop_map(|(k, at, p, n)| Act::AccuseClaim(k, at, p, n)),
        1 => (0..1200u64).prop_map(Act::Resume),
        2 => (0..4u8).prop_map(Act::Release),
        2 => (0..4u8).prop_map(Act::Settle),
        1 => (0..500u64).prop_map(Act::Wait),
        1 => (0..2 * HELD_FOR).prop_map(Act::Wait),
        2 => Just(Act::Tick),
    ]
}

/// Chains differ in how long they are redeemed: some end before what is claimed of them can be disputed no more.
fn redeem_by(chain: u8) -> u64 {
    REDEEM_BY + u64::from(chain) * HELD_FOR
}

fn claimed(bank: &Bank, (k, j, x, y, close, acks, is_key): Claimed) -> ClaimResult {
    // A checked claim lies within its chain.
    let id = bank.id(k);
    let n = bank.ledger.chain(&id).map_or(30, |chain| chain.facts().touchstone.n.0);
    let (start, end) = (x.min(y).min(n), x.max(y).min(n));
    let close_of = close.wrapping_add(u8::try_from(end).unwrap_or(0));
    let claim = claim_of(id, (j, close / 2), (start, end), close_of, acks);
    // Every other Open has fair terms. What has not the key for them is refused before the books are asked.
    match (is_fair(close / 2), is_key) {
        (false, _) => claim,
        (true, true) => fair(claim),
        (true, false) => Err((id, SegmentNo(j), Reject::new(RejectCode::BadPayment, "no key"))),
    }
}

const fn is_fair(open: u8) -> bool {
    open.is_multiple_of(2)
}

fn command(bank: &mut Bank, act: Act) -> Option<Command> {
    Some(match act {
        // The first account is the one with the witness.
        Act::Register(0, with, bond) => register_with(WITNESS, with, bond),
        Act::Register(number, with, bond) => register_with(number, with, bond),
        Act::Close(0) => Command::Close { account: account(WITNESS) },
        Act::Close(number) => Command::Close { account: account(number) },
        Act::ReturnBonds => Command::ReturnBonds,
        Act::Issue(v, value) => Command::IssueVouchers { vouchers: vec![(voucher(v), Coins(value))] },
        Act::PayIn(a, v) => Command::PayIn { account: account(a), voucher: voucher(v) },
        Act::Credit(id, a, coins) => {
            Command::Credit { id: [id; 16], account: account(a), coins: Coins(coins), note: Text::cut("") }
        }
        Act::Buy(a, k, n) => buy_until(a, k, n, redeem_by(k)),
        Act::Redeem(a, claims) => {
            let claims = claims.into_iter().map(|of| claimed(bank, of)).collect();
            Command::Redeem { account: account(a), claims }
        }
        Act::Retire(a, k) => Command::Retire { account: account(a), chains: List::first_of([bank.id(k)]) },
        Act::Freeze(a, true) => Command::Freeze { account: account(a), why: Text::cut("why") },
        Act::Freeze(a, false) => Command::Unfreeze { account: account(a) },
        Act::AskPayout(a, id, coins) => {
            Command::AskPayout { id: (account(a), [id; 16]), coins: Coins(coins), to: Text::cut("x") }
        }
        Act::Payout(a, id) => Command::Payout { id: (account(a), [id; 16]), reference: Text::cut("r") },
        Act::Evidence(k, true) => evidence_against_witness(bank.id(k)),
        Act::Evidence(k, false) => {
            let (culprit, evidence) = evidence(bank.id(k));
            Command::NoteEvidence { culprit, evidence }
        }
        // Nothing is proven about a sale that was not in fair mode.
        Act::Accuse(a, k, (j, open), proven, number) => {
            accuse(a, bank.id(k), (j, open), proven && is_fair(open), number)
        }
        Act::AccuseClaim(k, at, proven, number) => {
            let chain = bank.ledger.chain(&bank.id(k)).filter(|chain| !chain.claims.is_empty())?;
            let ((j, open), _) = chain.claims.iter().nth(at.index(chain.claims.len()))?;
            let (buyer, open) = (chain.buyer.0[0], open.0[0]);
            accuse(buyer, chain.facts().id, (j.0, open), proven && is_fair(open), number)
        }
        Act::Resume(settle_from) => Command::Resume { settle_from: Time(settle_from) },
        Act::Release(k) => Command::Release { chain: bank.id(k) },
        Act::Settle(k) => Command::Settle { chain: bank.id(k) },
        Act::Wait(seconds) => {
            bank.now = bank.now.plus(seconds);
            return None;
        }
        Act::Tick => {
            tick(bank);
            return None;
        }
    })
}

/// As the service does it, until nothing is to be done any more.
fn tick(bank: &mut Bank) {
    loop {
        let undisputed = bank.ledger.undisputed(bank.now, 2);
        let due = bank.ledger.due(bank.now, 2);
        if undisputed.is_empty() && due.is_empty() {
            return;
        }
        for chain in undisputed {
            let paid = bank.run(Command::Release { chain }).expect("it was sold here");
            assert!(paid.event.is_some(), "what can be disputed no more is paid, and not looked at for ever");
        }
        for chain in due {
            let settled = bank.run(Command::Settle { chain }).expect("it is due");
            assert!(settled.event.is_some(), "it is settled, and not looked at for ever");
        }
    }
}

/// What was seen after the steps before.
#[derive(Default)]
struct Seen {
    /// Of convicted vendors, whether the claim had been paid.
    paid_before: BTreeMap<(ChainId, ClaimKey), bool>,
    /// Of claims of fair mode, the Close, and when it came.
    since: BTreeMap<(ChainId, ClaimKey), (ObjectHash, Time)>,
}

/// What waits is counted and listed, once each, and nothing else is; nothing is paid early, or after a conviction.
fn holds(bank: &Bank, seen: &mut Seen) -> Result<(), TestCaseError> {
    let ledger = &bank.ledger;
    let (mut held, mut of_account) = (BTreeSet::new(), BTreeMap::new());
    let mut pending: BTreeMap<PublicKey, u64> = BTreeMap::new();
    for (id, chain) in ledger.chains() {
        let mut disputable = BTreeSet::new();
        for (key, claim) in &chain.claims {
            let is_paid = matches!(claim.state, ClaimState::Paid(_));
            if let Some(fair) = claim.fair {
                let since = seen.since.entry((*id, *key)).or_insert((claim.close, bank.now));
                if since.0 != claim.close {
                    *since = (claim.close, bank.now);
                }
                prop_assert_eq!(fair.until, since.1.plus(HELD_FOR), "each Close has a day of its own");
                prop_assert!(!is_paid || fair.until <= bank.now, "paid while it could be disputed");
            }
            if claim.state != ClaimState::Pending {
                continue;
            }
            prop_assert!(chain.settled.is_none(), "it waits, and the chain is settled");
            *pending.entry(claim.account).or_default() += u64::from(claim.range.count().0);
            let Some(fair) = claim.fair else { continue };
            disputable.insert((fair.until, *key));
            of_account.entry(claim.account).or_insert_with(BTreeSet::new).insert((fair.until, *id, *key));
            if claim.standing.is_final {
                held.insert((fair.until, *id, *key));
            }
        }
        prop_assert_eq!(&disputable, &chain.disputable);
        for key in chain.junk.keys() {
            let state = chain.claims.get(key).map(|claim| claim.state);
            prop_assert_ne!(state, Some(ClaimState::Pending), "junk waits to be paid");
            let is_paid = matches!(state, Some(ClaimState::Paid(_)));
            prop_assert_eq!(*seen.paid_before.entry((*id, *key)).or_insert(is_paid), is_paid, "junk is paid");
        }
    }
    prop_assert_eq!(&held, &ledger.held);
    for (account, customer) in ledger.customers() {
        prop_assert_eq!(customer.pending.0, pending.remove(account).unwrap_or(0));
        prop_assert_eq!(&customer.held, &of_account.remove(account).unwrap_or_default());
        prop_assert_eq!(ledger.held_of(customer).count(), customer.held.len());
    }
    prop_assert!(pending.is_empty() && of_account.is_empty(), "claims of nobody wait");
    let junk: usize = ledger.chains().map(|(_, chain)| chain.junk.len()).sum();
    prop_assert_eq!(ledger.disputes.len(), ledger.convicted.len() + junk + ledger.accused_falsely.len());
    Ok(())
}

/// Money that came in from outside and is still there, from the journal alone.
fn brought(bank: &Bank) -> i64 {
    let of = |record: &Record| match &record.event {
        Event::VouchersIssued(vouchers) => vouchers.iter().map(|(_, value)| entry::signed(*value)).sum(),
        Event::Credited { coins, .. } => entry::signed(*coins),
        Event::PaidOut { id, .. } => {
            -entry::signed(bank.ledger.payout_named(id).expect("asked for before").coins)
        }
        // A fee is the operator's own.
        Event::FalselyAccused { fee, .. } => -entry::signed(*fee),
        _ => 0,
    };
    bank.journal.iter().map(of).sum()
}

/// A bank that has run for a while: four accounts with money and their witness, and a chain of each of the first three.
fn lively() -> Bank {
    let mut bank = Bank::new();
    bank.run(register(WITNESS)).expect("new");
    for number in 1..5 {
        bank.run(register(number)).expect("new");
        let (id, note) = ([100 + number; 16], Text::cut("cash"));
        let credit = Command::Credit { id, account: account(number), coins: Coins(60), note };
        bank.run(credit).expect("money");
    }
    for number in 0..3 {
        bank.run(buy_until(1 + number, number, 30, redeem_by(number))).expect("funds");
    }
    bank
}

/// Long after everything: the bank is back, and each chain's time is over.
const AT_LAST: u64 = REDEEM_BY + 100 * HELD_FOR;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_is_asked_the_books_balance_and_nothing_waits_for_ever(
        is_lively in prop::bool::weighted(0.9),
        acts in prop::collection::vec(acts(), 1..80),
    ) {
        let mut bank = if is_lively { lively() } else { Bank::new() };
        let mut seen = Seen::default();
        for act in acts {
            let Some(command) = command(&mut bank, act) else {
                holds(&bank, &mut seen)?;
                continue;
            };
            let before = (bank.ledger.seq(), *bank.ledger.books());
            let first = bank.run(command.clone());
            prop_assert!(bank.ledger.books().are_sound());
            holds(&bank, &mut seen)?;
            if first.as_ref().map_or(true, |decision| decision.event.is_none()) {
                prop_assert_eq!(before, (bank.ledger.seq(), *bank.ledger.books()));
            }
            // The same again changes nothing, and is not refused if it was not before.
            let after = (bank.ledger.seq(), *bank.ledger.books());
            let again = bank.run(command);
            prop_assert_eq!(first.is_ok(), again.is_ok());
            prop_assert_eq!(after, (bank.ledger.seq(), *bank.ledger.books()));
        }
        bank.check();
        bank.now = bank.now.max(Time(AT_LAST));
        tick(&mut bank);
        holds(&bank, &mut seen)?;
        prop_assert!(bank.ledger.chains().all(|(_, chain)| chain.settled.is_some()));
        prop_assert!(bank.ledger.held.is_empty() && bank.ledger.unsettled.is_empty());
        prop_assert!(bank.ledger.customers().all(|(_, customer)| customer.pending == Coins::ZERO));
        prop_assert_eq!(bank.ledger.books().coins, 0);
        prop_assert_eq!(bank.ledger.books().cash, -brought(&bank));
        bank.check();
    }
}
