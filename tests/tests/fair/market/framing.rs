//! 2. A judge, and no request in the cheque.

use super::protocol::{File, Judge, Key, Market, Party, Step};
use super::specs::{BANNED, NO_FRAMING, TRADED, WEAK_D};
use crate::explore::{expect, explore, loses_after, shortest_loss};

const fn with_liar(liar: Option<Party>) -> Market {
    Market { judge: Some(Judge { request_in_cheque: false, key_from_seal: true }), liar, league: false }
}

#[test]
fn a_downloader_that_shows_another_request_has_an_honest_provider_banned() {
    let market = with_liar(Some(Party::Downloader));
    let steps = shortest_loss("judge without REQ, lying downloader", market, NO_FRAMING);
    let framing = Step::Complain { request: File::Other, key: Key::Right };
    assert_eq!(steps, [Step::Request, Step::Goods(File::Asked), Step::Cheque(Key::Right), framing]);
    // The survey's way: it has bought the file and read it, and complains all the same.
    let bought = [&steps[..3], &[Step::Signed { arrives: true }, Step::Key(Key::Right), framing]].concat();
    loses_after(&market, &bought, NO_FRAMING);
}

#[test]
fn the_judge_bans_who_seals_a_garbage_key() {
    let name = "judge without REQ, lying provider";
    let checker = explore(name, with_liar(Some(Party::Provider)));
    expect(name, &checker, &[WEAK_D], &[TRADED, BANNED]);
}
