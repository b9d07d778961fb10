//! Fair mode at the bank: a claim needs its key, waits a day in which it can be disputed, and is void where junk was sold.

mod town;

use netpay_broker::ledger::{FALSE_ACCUSATION, HELD_FOR};
use netpay_core::amount::{Cap, Coins, Count, Index};
use netpay_core::coin::key::Key;
use netpay_core::coin::segment::SegmentNo;
use netpay_core::fair::judge::{Junk, Verdict};
use netpay_core::time::Time;
use netpay_core::wire::bank::{Account, BankReply, BankRequest, Claim, Held, Outcome, Query, ShownKey};
use netpay_core::wire::reject::RejectCode as Code;
use town::fair::{Sale, accuses, asks_keys};
use town::{Bought, MORNING, Person, Town, broker_key, network, terms};

fn waits(coins: u64, until: u64) -> Outcome {
    Outcome::Pending { coins: Coins(coins), until: Time(until) }
}

fn paid(coins: u64) -> Outcome {
    Outcome::Paid(Coins(coins))
}

fn code(outcome: &Outcome) -> Option<Code> {
    match outcome {
        Outcome::Refused(reject) => Some(reject.code),
        _ => None,
    }
}

/// The statement: what, the change, and the balance after it.
fn lines(account: &Account) -> Vec<(&str, i64, u64)> {
    account.lines.iter().map(|line| (&*line.what, line.change, line.balance.0)).collect()
}

struct Scene {
    town: Town,
    ann: Person,
    vic: Person,
    chain: Bought,
    sale: Sale,
}

async fn scene() -> Scene {
    let town = Town::new();
    let (ann, vic) = (town.person(1, 100).await, town.person(2, 0).await);
    let chain = town.chain(&ann, 1, 40).await;
    let sale = Sale::of(&vic, &chain, 1, 0);
    Scene { town, ann, vic, chain, sale }
}

impl Scene {
    fn certified(&self, coins: u32) -> Claim {
        self.town.certified(&self.chain, &self.sale.claim(&self.vic, &self.chain, coins))
    }

    async fn settled(&self) {
        self.town.wait(terms().spend_for + terms().redeem_for + HELD_FOR);
        self.town.bank.settle_due().await.expect("open");
    }

    async fn balances(&self) -> (u64, u64) {
        (self.town.balance(&self.ann).await, self.town.balance(&self.vic).await)
    }

    /// What somebody is told of its own account.
    async fn account(&self, person: &Person) -> Account {
        let query = Query { account: person.id(), at: self.town.bank.now(), after: 0 };
        let query = BankRequest::Account(person.account.sign(&network(), query).wire());
        match self.town.ask(person, query).await {
            BankReply::Account(account) => account,
            other => panic!("{other:?}"),
        }
    }

    async fn verdict(&self, junk: Junk) -> Verdict {
        match self.town.ask(&self.ann, accuses(&self.ann, junk)).await {
            BankReply::Judged(verdict) => {
                let verdict = verdict.verify(&network(), &broker_key().public()).expect("the broker's word");
                verdict.value().clone()
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_claim_of_fair_mode_is_paid_a_day_after_it_came_and_not_before() {
    let scene = scene().await;
    let claim = scene.certified(12);
    let until = MORNING + HELD_FOR;
    assert_eq!(scene.town.outcomes(&scene.vic, vec![claim.clone()]).await, [waits(12, until)]);
    let vic = scene.account(&scene.vic).await;
    let held = Held { chain: scene.chain.id(), j: SegmentNo(1), coins: Coins(12), until: Time(until) };
    assert_eq!((vic.pending, vic.held.into_vec()), (Coins(12), vec![held]));
    scene.town.wait(HELD_FOR - 1);
    scene.town.bank.settle_due().await.expect("open");
    assert_eq!(scene.town.outcomes(&scene.vic, vec![claim.clone()]).await, [waits(12, until)]);
    assert_eq!(scene.balances().await, (60, 0));
    scene.town.wait(1);
    scene.town.bank.settle_due().await.expect("open");
    assert_eq!(scene.town.outcomes(&scene.vic, vec![claim]).await, [paid(12)]);
    assert_eq!(scene.balances().await, (60, 12));
    let vic = scene.account(&scene.vic).await;
    assert_eq!((vic.pending, vic.held.len()), (Coins(0), 0));
    scene.settled().await;
    assert_eq!(scene.balances().await, (88, 12));
    assert_eq!(scene.town.audit().books.coins, 0);
}

#[tokio::test]
async fn one_that_is_not_certified_waits_for_settlement_and_a_day_at_least() {
    let scene = scene().await;
    let claim = scene.sale.claim(&scene.vic, &scene.chain, 12);
    let redeem_by = terms().spend_for + terms().redeem_for;
    scene.town.wait(redeem_by - 10);
    let until = MORNING + redeem_by - 10 + HELD_FOR;
    assert_eq!(scene.town.outcomes(&scene.vic, vec![claim.clone()]).await, [waits(12, until)]);
    assert_eq!(scene.account(&scene.vic).await.held[0].until, Time(until));
    scene.town.wait(HELD_FOR - 1);
    scene.town.bank.settle_due().await.expect("open");
    assert_eq!(scene.balances().await, (60, 0), "it could still be disputed");
    scene.town.wait(1);
    scene.town.bank.settle_due().await.expect("open");
    assert_eq!(scene.balances().await, (88, 12));
    assert_eq!(scene.town.outcomes(&scene.vic, vec![claim]).await, [paid(12)]);
    scene.town.audit();
}

#[tokio::test]
async fn another_close_of_the_same_open_can_be_disputed_for_a_day_of_its_own() {
    let scene = scene().await;
    let first = scene.sale.claim(&scene.vic, &scene.chain, 4);
    scene.town.outcomes(&scene.vic, vec![first]).await;
    scene.town.wait(HELD_FOR - 5);
    let until = MORNING + 2 * HELD_FOR - 5;
    assert_eq!(scene.town.outcomes(&scene.vic, vec![scene.certified(12)]).await, [waits(12, until)]);
    scene.town.wait(5);
    scene.town.bank.settle_due().await.expect("open");
    assert_eq!(scene.balances().await, (60, 0));
    scene.town.wait(HELD_FOR);
    scene.town.bank.settle_due().await.expect("open");
    assert_eq!(scene.balances().await, (60, 12));
    scene.town.audit();
}

#[tokio::test]
async fn a_second_certified_close_in_the_place_of_the_first_keeps_the_bank_from_nothing() {
    let scene = scene().await;
    scene.town.outcomes(&scene.vic, vec![scene.certified(4)]).await;
    scene.town.wait(10);
    let until = MORNING + 10 + HELD_FOR;
    assert_eq!(scene.town.outcomes(&scene.vic, vec![scene.certified(12)]).await, [waits(12, until)]);
    // The day of the first is over, and nothing of it is there any more.
    scene.town.wait(HELD_FOR - 10);
    scene.town.bank.settle_due().await.expect("open");
    assert_eq!(scene.balances().await, (60, 0));
    scene.town.wait(10);
    scene.town.bank.settle_due().await.expect("open");
    assert_eq!(scene.balances().await, (60, 12));
    scene.town.audit();
}

#[tokio::test]
async fn nobody_puts_a_settlement_off_for_ever() {
    let scene = scene().await;
    let claim = scene.certified(12);
    scene.town.wait(terms().spend_for + terms().redeem_for);
    let refused = scene.town.outcomes(&scene.vic, vec![claim]).await;
    assert_eq!(code(&refused[0]), Some(Code::Expired));
    scene.town.bank.settle_due().await.expect("open");
    assert_eq!(scene.balances().await, (100, 0));
}

#[tokio::test]
async fn without_the_key_of_its_last_coin_nothing_is_paid() {
    let scene = scene().await;
    let good = scene.certified(12);
    let below = scene.sale.keys.link(Count(11));
    let above = scene.sale.keys.link(Count(13));
    let plain = town_claim_with_key(&scene);
    let cases = [
        (Claim { key: None, ..good.clone() }, Code::Malformed),
        (Claim { key: below, ..good.clone() }, Code::BadPayment),
        (Claim { key: above, ..good.clone() }, Code::BadPayment),
        (Claim { key: Some(Key([3; 32])), ..good.clone() }, Code::BadPayment),
        (plain, Code::Malformed),
    ];
    for (claim, why) in cases {
        let outcomes = scene.town.outcomes(&scene.vic, vec![claim]).await;
        assert_eq!(code(&outcomes[0]), Some(why));
    }
    assert_eq!(scene.town.outcomes(&scene.vic, vec![good]).await, [waits(12, MORNING + HELD_FOR)]);
}

/// A claim that is not of fair mode, and has a key all the same.
fn town_claim_with_key(scene: &Scene) -> Claim {
    Claim { key: Some(Key([3; 32])), ..scene.vic.claim(&scene.chain, 2, (16, 20, 24)) }
}

#[tokio::test]
async fn the_buyer_and_nobody_else_is_shown_the_key_of_what_was_claimed() {
    let scene = scene().await;
    let town = &scene.town;
    let ask = asks_keys(&scene.ann, &scene.chain, MORNING);
    let BankReply::Keys(none) = town.ask(&scene.ann, ask.clone()).await else { panic!("keys") };
    assert!(none.is_empty(), "nothing was claimed");
    town.outcomes(&scene.vic, vec![scene.certified(12)]).await;
    let BankReply::Keys(shown) = town.ask(&scene.ann, ask).await else { panic!("keys") };
    let key = scene.sale.keys.link(Count(12)).expect("a key for each coin");
    assert_eq!(shown.into_vec(), [ShownKey { j: SegmentNo(1), end: Index(12), key }]);
    // With it everything below opens.
    assert_eq!(Some(scene.sale.deal.step().below(Count(12), &key)), scene.sale.keys.link(Count(11)));
    let refusal = async |person: &Person, at| town.refusal(person, asks_keys(person, &scene.chain, at)).await;
    assert_eq!(refusal(&scene.vic, MORNING).await, Some(Code::NotYours));
    assert_eq!(refusal(&scene.ann, MORNING - 1000).await, Some(Code::Expired));
}

#[tokio::test]
async fn who_sold_junk_is_paid_nothing_and_banned() {
    let scene = scene().await;
    let claim = scene.certified(12);
    scene.town.outcomes(&scene.vic, vec![claim.clone()]).await;
    let junk = scene.sale.leaf(&scene.vic, &scene.chain, false);
    let verdict = scene.verdict(junk.clone()).await;
    assert_eq!((verdict.j, verdict.open, verdict.at), (SegmentNo(1), scene.sale.open.hash(), Time(MORNING)));
    assert_eq!(verdict.holder, scene.vic.holder(&scene.chain).public());
    assert_eq!(scene.verdict(junk).await, verdict, "the same again is the same");
    let again = scene.town.outcomes(&scene.vic, vec![claim]).await;
    assert_eq!(code(&again[0]), Some(Code::Junk));
    scene.settled().await;
    assert_eq!(scene.balances().await, (100, 0), "every coin came back");
    let (ann, vic) = (scene.account(&scene.ann).await, scene.account(&scene.vic).await);
    assert_eq!(vic.frozen.as_deref(), Some("it sold junk"));
    assert_eq!((vic.pending, vic.held.len(), vic.membership.is_some()), (Coins(0), 0, false));
    let chain = format!("{:.12}", scene.chain.id());
    let told = format!("claim of 12 coins on chain {chain} is void: junk was sold");
    assert_eq!(lines(&vic), [(told.as_str(), 0, 0)]);
    assert_eq!(ann.frozen, None);
    assert_eq!(
        lines(&ann)[2..],
        [
            (&*format!("who sold junk in segment 1 of chain {chain} is convicted"), 0, 60),
            (&*format!("unspent coins of chain {chain}"), 40, 100),
        ]
    );
    scene.town.audit();
}

#[tokio::test]
async fn whoever_is_convicted_before_it_claims_is_banned_as_it_claims() {
    let scene = scene().await;
    scene.verdict(scene.sale.leaf(&scene.vic, &scene.chain, false)).await;
    for _ in 0..2 {
        let refused = scene.town.outcomes(&scene.vic, vec![scene.certified(12)]).await;
        assert_eq!(code(&refused[0]), Some(Code::Junk));
    }
    let buy = scene.town.refusal(&scene.vic, scene.vic.buy(7, 8)).await;
    assert_eq!(buy, Some(Code::Frozen));
    scene.settled().await;
    assert_eq!(scene.balances().await, (100, 0));
    scene.town.audit();
}

#[tokio::test]
async fn a_dispute_that_comes_too_late_bans_and_takes_nothing_back() {
    let scene = scene().await;
    scene.town.outcomes(&scene.vic, vec![scene.certified(12)]).await;
    scene.town.wait(HELD_FOR);
    scene.town.bank.settle_due().await.expect("open");
    scene.verdict(scene.sale.leaf(&scene.vic, &scene.chain, false)).await;
    assert_eq!(scene.town.outcomes(&scene.vic, vec![scene.certified(12)]).await, [paid(12)]);
    assert_eq!(scene.balances().await, (60, 12));
    assert_eq!(scene.account(&scene.vic).await.frozen.as_deref(), Some("it sold junk"));
    scene.town.audit();
}

#[tokio::test]
async fn saying_falsely_that_something_was_junk_costs_its_fee_once() {
    let scene = scene().await;
    let claim = scene.certified(12);
    scene.town.outcomes(&scene.vic, vec![claim.clone()]).await;
    let right = scene.sale.leaf(&scene.vic, &scene.chain, true);
    for _ in 0..3 {
        let refused = scene.town.refusal(&scene.ann, accuses(&scene.ann, right.clone())).await;
        assert_eq!(refused, Some(Code::NotProven));
    }
    assert_eq!(scene.balances().await.0, 60 - FALSE_ACCUSATION.0);
    let ann = scene.account(&scene.ann).await;
    assert_eq!(lines(&ann)[2..], [("fee: what was said to be junk was not", -10, 50)]);
    // Of what somebody else bought nobody can say anything, and of a chain of elsewhere neither.
    let other = scene.town.refusal(&scene.vic, accuses(&scene.vic, right.clone())).await;
    assert_eq!(other, Some(Code::NotYours));
    let bent = Junk { key: Key([1; 32]), ..right.clone() };
    let BankRequest::Accuse { accuse, .. } = accuses(&scene.ann, right) else { panic!("an accusation") };
    let swapped = scene.town.refusal(&scene.ann, BankRequest::Accuse { accuse, junk: bent.clone() }).await;
    assert_eq!(swapped, Some(Code::Malformed));
    assert_eq!(scene.town.refusal(&scene.ann, accuses(&scene.ann, bent)).await, Some(Code::NotProven));
    assert_eq!(scene.balances().await.0, 60 - 2 * FALSE_ACCUSATION.0);
    scene.town.wait(HELD_FOR);
    scene.town.bank.settle_due().await.expect("open");
    assert_eq!(scene.town.outcomes(&scene.vic, vec![claim]).await, [paid(12)]);
    scene.town.audit();
}

#[tokio::test]
async fn who_has_nothing_left_pays_what_there_is() {
    let scene = scene().await;
    let spent = scene.town.chain(&scene.ann, 2, 57).await;
    assert_eq!(scene.balances().await.0, 3);
    let right = scene.sale.leaf(&scene.vic, &scene.chain, true);
    assert_eq!(scene.town.refusal(&scene.ann, accuses(&scene.ann, right)).await, Some(Code::NotProven));
    assert_eq!(scene.balances().await.0, 0);
    // From then on it may say what it likes: nothing of it is written down.
    let records = async || scene.town.bank.look(|ledger| ledger.seq()).await.expect("open");
    let before = records().await;
    for leaf in 0..3 {
        let nonsense = Junk { leaf, ..scene.sale.leaf(&scene.vic, &scene.chain, true) };
        let said = scene.town.refusal(&scene.ann, accuses(&scene.ann, nonsense)).await;
        assert_eq!(said, Some(Code::NotProven));
    }
    assert_eq!(records().await, before);
    assert_eq!(spent.touchstone.n, Cap(57));
    scene.town.audit();
}
