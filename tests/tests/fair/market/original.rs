//! 1. The File Market as it was published (Zuo and Li 2005): no judge.

use super::protocol::{File, Key, Market, Party, Step};
use super::specs::{SPEC1, STRONG_D, STRONG_P, TRADED, WEAK_D};
use crate::explore::{expect, explore, loses_after, shortest_loss};

const fn with_liar(liar: Option<Party>) -> Market {
    Market { judge: None, liar, league: false }
}

#[test]
fn a_provider_that_seals_a_garbage_key_has_the_cheque_and_the_downloader_nothing() {
    let market = with_liar(Some(Party::Provider));
    let steps = shortest_loss("File Market, lying provider", market, STRONG_D);
    let attack = [
        Step::Request,
        Step::Goods(File::Asked),
        Step::Cheque(Key::Garbage),
        Step::Signed { arrives: true },
        Step::Dispute { signed: true },
        Step::Answer,
    ];
    assert_eq!(steps, attack);
    // The survey's way, by which the provider sends the same garbage itself, too.
    let mut told = attack.to_vec();
    told.insert(4, Step::Key(Key::Garbage));
    loses_after(&market, &told, STRONG_D);
    // There is nobody to turn to: not even weak fairness is left, and the trace ends where no specification lets it.
    loses_after(&market, &told, WEAK_D);
    loses_after(&market, &told, SPEC1);
}

#[test]
fn a_provider_that_sends_another_file_has_the_cheque_too() {
    let market = with_liar(Some(Party::Provider));
    let swapped = [
        Step::Request,
        Step::Goods(File::Other),
        Step::Cheque(Key::Right),
        Step::Signed { arrives: true },
        Step::Dispute { signed: true },
        Step::Answer,
    ];
    loses_after(&market, &swapped, STRONG_D);
}

#[test]
fn with_an_honest_provider_the_file_market_is_fair() {
    for liar in [None, Some(Party::Downloader)] {
        let name = format!("File Market, liar {liar:?}");
        let checker = explore(&name, with_liar(liar));
        let fair_to_downloader = if liar.is_none() { [STRONG_D, SPEC1].as_slice() } else { &[] };
        expect(&name, &checker, &[&[STRONG_P], fair_to_downloader].concat(), &[TRADED]);
    }
    let name = "File Market, lying provider";
    let checker = explore(name, with_liar(Some(Party::Provider)));
    expect(name, &checker, &[STRONG_P], &[TRADED]);
}
