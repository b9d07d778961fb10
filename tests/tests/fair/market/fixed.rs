//! 3. C*: a judge, and the request in the cheque that both sign.

use super::protocol::{File, Judge, Key, Market, Party, Step};
use super::specs::{BANNED, NO_FRAMING, SPEC1, SPEC2, STRONG_D, STRONG_P, TRADED, WEAK_D};
use crate::explore::{expect, explore, loses_after, shortest_loss};

const fn with_liar(liar: Option<Party>) -> Market {
    Market { judge: Some(Judge { request_in_cheque: true, key_from_seal: true }), liar, league: false }
}

#[test]
fn both_specifications_hold_whoever_lies() {
    for liar in [None, Some(Party::Provider), Some(Party::Downloader)] {
        let name = format!("C*, liar {liar:?}");
        let checker = explore(&name, with_liar(liar));
        // SPEC1 and fairness for the downloader say something of honest ones only.
        let of_downloader = if liar == Some(Party::Downloader) { [].as_slice() } else { &[WEAK_D, SPEC1] };
        let always = [&[STRONG_P, NO_FRAMING, SPEC2], of_downloader].concat();
        let sometimes = if liar == Some(Party::Provider) { vec![TRADED, BANNED] } else { vec![TRADED] };
        expect(&name, &checker, &always, &sometimes);
    }
}

#[test]
fn fairness_for_the_downloader_is_weak_and_not_strong() {
    let market = with_liar(Some(Party::Provider));
    let steps = shortest_loss("C*, lying provider", market, STRONG_D);
    let cheated = [
        Step::Request,
        Step::Goods(File::Asked),
        Step::Cheque(Key::Garbage),
        Step::Signed { arrives: true },
        Step::Dispute { signed: true },
        Step::Answer,
        Step::Complain { request: File::Asked, key: Key::Garbage },
    ];
    // Banned, and paid.
    assert_eq!(steps, cheated);
}

/// The survey leaves open where the judge has its key from.
#[test]
fn a_judge_that_is_told_the_key_bans_the_honest_all_the_same() {
    let judge = Judge { request_in_cheque: true, key_from_seal: false };
    let market = Market { judge: Some(judge), ..with_liar(Some(Party::Downloader)) };
    let steps = shortest_loss("C*, the downloader says which key it got", market, NO_FRAMING);
    let framed = [
        Step::Request,
        Step::Goods(File::Asked),
        Step::Cheque(Key::Right),
        Step::Complain { request: File::Asked, key: Key::Garbage },
    ];
    assert_eq!(steps, framed);
    loses_after(&market, &framed, NO_FRAMING);
}
