//! 4. C* again, with an arbiter that is in league with the buyer: it opens Z for it, cheque or no cheque.

use super::protocol::{File, Judge, Key, Market, Party, Step};
use super::specs::{NO_FRAMING, STRONG_P, TRADED};
use crate::explore::{expect, explore, loses_after, shortest_loss};

const LEAGUE: Market = Market {
    judge: Some(Judge { request_in_cheque: true, key_from_seal: true }),
    liar: Some(Party::Downloader),
    league: true,
};

#[test]
fn an_arbiter_in_league_with_the_buyer_gives_the_goods_away() {
    let steps = shortest_loss("C*, the arbiter in league with the downloader", LEAGUE, STRONG_P);
    let given = [Step::Request, Step::Goods(File::Asked), Step::Cheque(Key::Right)];
    let stop = [Step::Stop(Party::Downloader)];
    let unpaid = [Step::Dispute { signed: false }, Step::Answer];
    assert_eq!(steps, [given.as_slice(), &unpaid, &stop].concat());
    // It may sign, too: the arbiter keeps the cheque to itself.
    let kept = [Step::Signed { arrives: false }, Step::Dispute { signed: true }, Step::Answer];
    loses_after(&LEAGUE, &[given.as_slice(), &kept, &stop].concat(), STRONG_P);
    let checker = explore("C*, league", LEAGUE);
    expect("C*, league", &checker, &[NO_FRAMING], &[TRADED]);
}
