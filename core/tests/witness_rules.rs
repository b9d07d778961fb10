//! What a witness keeps, what it refuses, and what its word proves.

mod town;

use netpay_core::codec::{List, encode};
use netpay_core::coin::segment::{Open, SegmentNo};
use netpay_core::coin::touchstone::quorum_of;
use netpay_core::id::{ChainId, ObjectHash};
use netpay_core::keys::{BadSignature, SecretKey, Signed};
use netpay_core::record::chain::{
    Ack, BadRecord, Believed, Certificate, ChainRecord, Culprit, Evidence, Line, Link, close_in, verify,
    verify_again,
};
use netpay_core::record::freeze::Freeze;
use netpay_core::record::witness::{MAX_SEGMENTS, OPEN_GRACE, Verdict, WhyRefused};
use netpay_core::session::certify::{Certify, Step};
use netpay_core::till::Showing;
use netpay_core::wire::record::RecordReply;
use town::{Member, NOW, Purse, Town, certify, key};

fn holder() -> SecretKey {
    key(77)
}

fn setting() -> (Town, Purse, Member) {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let member = Member::all(&town).remove(0);
    (town, purse, member)
}

/// A line of leases, each from the last one's end.
fn line_of(purse: &Purse, caps: &[u32]) -> Line {
    let start = |line: &Line| line.newest().map_or(0, |segment| segment.open.cap.0);
    caps.iter().fold(purse.fresh(), |line, cap| purse.opened(&line, holder().public(), start(&line), *cap))
}

fn closed(purse: &Purse, line: &Line, j: u32, end: u32) -> Line {
    let mut line = line.clone();
    line.close(purse.close(&line, j, end, &holder())).expect("of its open");
    line
}

#[test]
fn w1_two_opens_of_one_number_are_evidence_and_the_first_stays() {
    let (town, purse, mut member) = setting();
    let (first, second) = (line_of(&purse, &[20]), line_of(&purse, &[30]));
    assert_eq!(member.put(&town, &first), Verdict::Accepted);
    assert_eq!(member.put(&town, &first), Verdict::Accepted, "the same again is acked again");
    let Verdict::Conflict(evidence) = member.put(&town, &second) else { panic!("no conflict") };
    assert_eq!(evidence.convicts(&town.network, &town.broker.public()), Some(Culprit::Buyer(purse.id())));
    let kept = &member.kept[&purse.id()];
    assert!(kept.keeps(&first.newest().expect("opened").open.hash()));
    assert!(!kept.keeps(&second.newest().expect("opened").open.hash()));
}

#[test]
fn after_evidence_no_new_open_is_acked_but_closes_are() {
    let (town, purse, mut member) = setting();
    let first = line_of(&purse, &[20]);
    member.put(&town, &first);
    member.put(&town, &line_of(&purse, &[30]));
    let next = purse.opened(&first, holder().public(), 20, 40);
    assert_eq!(member.put(&town, &next), Verdict::Partly(WhyRefused::Evidence));
    assert!(!member.kept[&purse.id()].keeps(&next.newest().expect("opened").open.hash()));
    let first = closed(&purse, &first, 1, 5);
    assert_eq!(member.put(&town, &first), Verdict::Accepted);
    assert!(member.kept[&purse.id()].keeps(&close_of(&first, 1)));
}

fn close_of(line: &Line, j: u32) -> ObjectHash {
    line.segment(SegmentNo(j)).and_then(|segment| segment.close.as_ref()).expect("closed").hash()
}

fn open_of(line: &Line, j: u32) -> ObjectHash {
    line.segment(SegmentNo(j)).expect("shown").open.hash()
}

fn showing(line: &Line, want: &[ObjectHash]) -> Showing {
    Showing { line: line.clone(), closes: Vec::new(), want: want.to_vec() }
}

#[test]
fn a_vendor_gets_its_close_acked_though_its_line_goes_on_to_what_nobody_may_open_any_more() {
    let (town, purse, _) = setting();
    let one = closed(&purse, &line_of(&purse, &[20]), 1, 5);
    let two = purse.opened(&one, holder().public(), 5, 25);
    let (close, open) = (close_of(&two, 1), open_of(&two, 2));
    let late = purse.touchstone.spend_by.plus(OPEN_GRACE + 1);
    let word = town.broker.sign(&town.network, Freeze { chain: purse.id(), at: NOW.time() }).wire();
    for why in [WhyRefused::Evidence, WhyRefused::Frozen, WhyRefused::Expired] {
        let mut member = Member::all(&town).remove(0);
        member.put(&town, &line_of(&purse, &[20]));
        let mut now = NOW.time();
        match why {
            WhyRefused::Evidence => drop(member.put(&town, &line_of(&purse, &[30]))),
            WhyRefused::Frozen => member.freeze(&town, &purse, word.clone()).expect("the broker's word"),
            _ => now = late,
        }
        assert_eq!(member.put_at(&town, &two, &[], now), Verdict::Partly(why));
        let kept = &member.kept[&purse.id()];
        assert!(kept.keeps(&close) && !kept.keeps(&open), "{why}");
        assert_eq!(kept.record().links.len(), 1, "{why}: what is not kept is not shown");
        // The same again has the same answer, and a Close of an older segment that comes beside the line is taken.
        assert_eq!(member.put_at(&town, &two, &[], now), Verdict::Partly(why));
    }
}

#[test]
fn what_follows_an_open_that_contradicts_a_kept_one_is_not_let_in_and_what_comes_before_it_is_closed() {
    let (town, purse, mut member) = setting();
    let one = line_of(&purse, &[20]);
    assert_eq!(member.put(&town, &line_of(&purse, &[20, 40])), Verdict::Accepted);
    // Another second Open, and a third after it.
    let fork = closed(&purse, &one, 1, 9);
    let fork = purse.opened(&purse.opened(&fork, holder().public(), 20, 30), holder().public(), 30, 50);
    let want = [close_of(&fork, 1), open_of(&fork, 2), open_of(&fork, 3)];
    // The first time the proof goes back, and nothing else.
    assert!(matches!(member.answer(&town, &showing(&fork, &want)), RecordReply::Conflict(_)));
    let RecordReply::Partly { acks, why } = member.answer(&town, &showing(&fork, &want)) else {
        panic!("not the acks")
    };
    assert_eq!((acks.len(), acks[0].0, why), (1, want[0], WhyRefused::Evidence));
    let kept = &member.kept[&purse.id()];
    assert!(!kept.keeps(&want[1]) && !kept.keeps(&want[2]));
    // Where there is nothing to ack, the proof goes back again: the first time it may have got lost.
    assert!(matches!(member.answer(&town, &showing(&fork, &want[1..])), RecordReply::Conflict(_)));
}

#[test]
fn a_certified_open_after_evidence_is_passed_over_like_any_other() {
    let (town, purse, mut member) = setting();
    member.put(&town, &line_of(&purse, &[20]));
    member.put(&town, &line_of(&purse, &[30]));
    let mut two = line_of(&purse, &[20, 40]);
    assert!(two.certify(&town.network, certify(&town, purse.id(), open_of(&two, 2))));
    assert_eq!(member.put(&town, &two), Verdict::Partly(WhyRefused::Evidence));
    assert!(!member.kept[&purse.id()].keeps(&open_of(&two, 2)));
    assert!(verify(member.kept[&purse.id()].record(), &town.network, &town.broker.public()).is_ok());
}

#[test]
fn a_vendor_counts_the_acks_of_a_witness_that_takes_nothing_new_and_hears_when_none_is_left_that_does() {
    let (town, purse, _) = setting();
    let two = purse.opened(&closed(&purse, &line_of(&purse, &[20]), 1, 5), holder().public(), 5, 25);
    let want = [close_of(&two, 1), open_of(&two, 2)];
    let mut members = Member::all(&town);
    for member in &mut members {
        member.put(&town, &line_of(&purse, &[20]));
        let word = town.broker.sign(&town.network, Freeze { chain: purse.id(), at: NOW.time() }).wire();
        member.freeze(&town, &purse, word).expect("the broker's word");
    }
    let mut session = Certify::new(town.network, purse.touchstone.clone(), want);
    let mut hears = |seat: u8| {
        let reply = members[usize::from(seat)].answer(&town, &showing(&two, &want));
        assert!(matches!(&reply, RecordReply::Partly { acks, .. } if acks.len() == 1));
        session.heard(seat, reply, &town.broker.public())
    };
    assert!(matches!(hears(0), Step::More));
    assert!(matches!(hears(1), Step::Hopeless), "two of four are no quorum");
    let Step::Certified(certificates) = hears(2) else { panic!("three acks of the Close") };
    assert_eq!((certificates.len(), certificates[0].object), (1, want[0]));
    assert!(matches!(hears(3), Step::More), "it was said once");
}

#[test]
fn w2_a_lease_inside_the_one_before_it_is_refused() {
    let (town, purse, mut member) = setting();
    let first = line_of(&purse, &[20]);
    let by_receipt = closed(&purse, &first, 1, 5);
    let inside = purse.opened(&by_receipt, holder().public(), 5, 30);
    assert_eq!(member.put(&town, &first), Verdict::Accepted);
    // Without the Close the record does not even hold; with it, it does.
    let mut bare = first.clone();
    assert!(bare.extend(inside.newest().expect("opened").open.clone()).is_err());
    assert_eq!(member.put(&town, &inside), Verdict::Accepted);
    let (town, purse, mut member) = setting();
    // A close that another witness never acked does not move the start at one that acked a higher one.
    let first = line_of(&purse, &[20]);
    assert_eq!(member.put(&town, &closed(&purse, &first, 1, 9)), Verdict::Accepted);
    let low = purse.opened(&closed(&purse, &first, 1, 5), holder().public(), 5, 30);
    assert_eq!(member.put(&town, &low), Verdict::Refused(WhyRefused::Overlap));
}

#[test]
fn w3_one_close_per_segment_and_none_above_its_successor() {
    let (town, purse, mut member) = setting();
    let first = line_of(&purse, &[20]);
    assert_eq!(member.put(&town, &closed(&purse, &first, 1, 5)), Verdict::Accepted);
    assert_eq!(member.put(&town, &closed(&purse, &first, 1, 6)), Verdict::Refused(WhyRefused::CloseConflict));
    // The successor begins at 5 by a close of 5; a close of 9 that comes late would overlap it.
    let mut late = Member::all(&town).remove(1);
    let successor = purse.opened(&closed(&purse, &first, 1, 5), holder().public(), 5, 30);
    assert_eq!(late.put(&town, &successor), Verdict::Accepted);
    let above = purse.close(&first, 1, 9, &holder()).wire();
    let before = late.kept[&purse.id()].clone();
    assert_eq!(late.put_at(&town, &successor, &[above], NOW.time()), Verdict::Accepted);
    assert_eq!(late.kept[&purse.id()], before, "the close above is passed over");
}

#[test]
fn a_close_in_a_record_is_believed_only_with_its_own_open_and_holder() {
    let (town, purse, _) = setting();
    let line = line_of(&purse, &[20, 40]);
    let shown = closed(&purse, &line, 2, 25);
    let close = shown.newest().and_then(|segment| segment.close.clone()).expect("closed");
    let touchstone = &line.touchstone;
    let found = |line: &Line, j| {
        let record = line.record().expect("short");
        close_in(&record, &town.network, touchstone, SegmentNo(j))
    };
    assert_eq!(found(&shown, 2), Some(close.clone()));
    assert_eq!(found(&shown, 1), None, "segment 1 is not closed");
    assert_eq!(found(&line, 2), None);
    // A witness that hangs the Close on another Open, or shows one by somebody else, is not believed.
    let mut record = shown.record().expect("short");
    let mut links = record.links.clone().into_vec();
    links[1].open = purse.open(&line_of(&purse, &[20]), holder().public(), 20, 30).wire();
    record.links = List::try_from(links).expect("as many");
    assert_eq!(close_in(&record, &town.network, touchstone, SegmentNo(2)), None);
    let mut record = shown.record().expect("short");
    let mut links = record.links.clone().into_vec();
    links[1].close = Some(purse.close(&line, 2, 25, &key(78)).wire());
    record.links = List::try_from(links).expect("as many");
    assert_eq!(close_in(&record, &town.network, touchstone, SegmentNo(2)), None);
}

#[test]
fn a_close_above_a_successor_that_began_at_the_cap_is_acked() {
    let (town, purse, mut member) = setting();
    let line = line_of(&purse, &[20, 40]);
    assert_eq!(member.put(&town, &line), Verdict::Accepted);
    let close = purse.close(&line, 1, 20, &holder());
    assert_eq!(member.put_at(&town, &line, &[close.wire()], NOW.time()), Verdict::Accepted);
    assert!(member.kept[&purse.id()].keeps(&close.hash()));
}

#[test]
fn a_close_of_an_open_that_is_not_kept_is_not_acked() {
    let (town, purse, mut member) = setting();
    let (kept, other) = (line_of(&purse, &[20]), line_of(&purse, &[30]));
    member.put(&town, &kept);
    let (foreign, forged) = (purse.close(&other, 1, 5, &holder()), purse.close(&kept, 1, 5, &key(66)));
    member.put_at(&town, &kept, &[foreign.wire(), forged.wire()], NOW.time());
    assert!(
        !member.kept[&purse.id()].keeps(&foreign.hash()) && !member.kept[&purse.id()].keeps(&forged.hash())
    );
}

#[test]
fn a_late_put_of_an_older_open_on_the_same_line_is_still_acked() {
    let (town, purse, mut member) = setting();
    let (old, new) = (line_of(&purse, &[20]), line_of(&purse, &[20, 40, 60]));
    assert_eq!(member.put(&town, &new), Verdict::Accepted);
    assert_eq!(member.put(&town, &old), Verdict::Accepted);
    assert!(member.kept[&purse.id()].keeps(&old.newest().expect("opened").open.hash()));
    assert_eq!(member.kept[&purse.id()].newest(), [new.newest().expect("opened").open.hash()]);
}

#[test]
fn a_witness_that_missed_some_segments_goes_on_from_a_certified_one() {
    let (town, purse, mut member) = setting();
    let first = line_of(&purse, &[20]);
    let second = purse.opened(&closed(&purse, &first, 1, 5), holder().public(), 5, 30);
    let mut based = purse.opened(&second, holder().public(), 30, 50);
    let certificate = certify(&town, purse.id(), based.newest().expect("opened").open.hash());
    assert!(based.certify(&town.network, certificate));
    member.put(&town, &first);
    assert_eq!(member.put(&town, &based), Verdict::Accepted);
    // So does one to which the close that freed the start was never shown, and one that kept nothing yet.
    let certificate = certify(&town, purse.id(), second.newest().expect("opened").open.hash());
    let mut inside = second.clone();
    assert!(inside.certify(&town.network, certificate));
    for (at, known) in [(1, Some(&first)), (2, None)] {
        let mut member = Member::all(&town).remove(at);
        known.map(|line| member.put(&town, line));
        assert_eq!(member.put(&town, &inside), Verdict::Accepted);
    }
}

/// Segments of 20 coins, of which a witness keeps the first and then the fourth, which it was shown as certified.
fn jumped(town: &Town, purse: &Purse) -> (Line, Member) {
    let mut member = Member::all(town).remove(0);
    let whole = line_of(purse, &[20, 40, 60, 80]);
    assert_eq!(member.put(town, &line_of(purse, &[20])), Verdict::Accepted);
    let mut based = whole.clone();
    assert!(based.certify(&town.network, certify(town, purse.id(), open_of(&whole, 4))));
    assert_eq!(member.put(town, &based), Verdict::Accepted);
    (whole, member)
}

#[test]
fn a_witness_that_missed_some_segments_takes_them_once_their_line_leads_to_what_it_keeps() {
    let (town, purse, _) = setting();
    let (whole, mut member) = jumped(&town, &purse);
    assert_eq!(member.put(&town, &line_of(&purse, &[20, 40, 60])), Verdict::Stale, "it leads nowhere yet");
    assert!(!member.kept[&purse.id()].keeps(&open_of(&whole, 3)));
    assert_eq!(member.put(&town, &closed(&purse, &whole, 3, 45)), Verdict::Accepted);
    let kept = &member.kept[&purse.id()];
    assert!((1..=4).all(|j| kept.keeps(&open_of(&whole, j))));
    assert!(kept.keeps(&close_of(&closed(&purse, &whole, 3, 45), 3)));
    assert_eq!(kept.newest(), [open_of(&whole, 4)]);
    let shown = verify(kept.record(), &town.network, &town.broker.public()).expect("it holds");
    assert_eq!(shown.newest().map(|segment| segment.open.j), Some(SegmentNo(4)));
    // Their Closes follow the rules from now on: one per segment.
    let other = purse.close(&whole, 3, 46, &holder());
    member.put_at(&town, &whole, &[other.wire()], NOW.time());
    assert!(!member.kept[&purse.id()].keeps(&other.hash()));
    let second = purse.close(&whole, 2, 33, &holder());
    member.put_at(&town, &whole, &[second.wire()], NOW.time());
    assert!(member.kept[&purse.id()].keeps(&second.hash()));
}

#[test]
fn no_close_of_a_missed_segment_reaches_into_the_one_after_it() {
    let (town, purse, _) = setting();
    let mut member = Member::all(&town).remove(0);
    // The second begins inside the first, by a Close that this witness is not shown.
    let first = line_of(&purse, &[20]);
    let whole = purse.opened(&closed(&purse, &first, 1, 5), holder().public(), 5, 30);
    let mut based = whole.clone();
    assert!(based.certify(&town.network, certify(&town, purse.id(), open_of(&whole, 2))));
    assert_eq!(member.put(&town, &based), Verdict::Accepted);
    assert_eq!(member.put(&town, &whole), Verdict::Accepted);
    let above = purse.close(&first, 1, 9, &holder());
    let mut bare = Member::all(&town).remove(1);
    bare.put(&town, &based);
    for member in [&mut member, &mut bare] {
        member.put_at(&town, &whole, &[above.wire()], NOW.time());
        assert!(!member.kept[&purse.id()].keeps(&above.hash()));
    }
}

#[test]
fn missed_segments_are_taken_after_evidence_too_and_others_of_their_numbers_never() {
    let (town, purse, _) = setting();
    let (whole, mut member) = jumped(&town, &purse);
    let fork = line_of(&purse, &[20, 30, 60, 80]);
    assert_eq!(member.put(&town, &fork), Verdict::Stale, "it ends in another fourth");
    assert!(!member.kept[&purse.id()].keeps(&open_of(&fork, 2)));
    assert!(matches!(member.put(&town, &line_of(&purse, &[30])), Verdict::Conflict(_)));
    let next = purse.opened(&whole, holder().public(), 80, 100);
    assert_eq!(member.put(&town, &next), Verdict::Partly(WhyRefused::Evidence));
    let kept = &member.kept[&purse.id()];
    assert!((1..=4).all(|j| kept.keeps(&open_of(&whole, j))) && !kept.keeps(&open_of(&next, 5)));
}

#[test]
fn an_uncertified_open_whose_forerunner_is_another_is_refused() {
    let (town, purse, mut member) = setting();
    member.put(&town, &line_of(&purse, &[20, 40]));
    let fork = line_of(&purse, &[20, 30, 60]);
    assert!(matches!(member.put(&town, &fork), Verdict::Conflict(_)));
    assert!(!member.kept[&purse.id()].keeps(&fork.newest().expect("opened").open.hash()));
}

#[test]
fn a_memory_younger_than_the_chain_acks_nothing() {
    let (town, purse, mut member) = setting();
    member.birth = purse.touchstone.issued.plus(1);
    assert_eq!(member.put(&town, &line_of(&purse, &[20])), Verdict::Refused(WhyRefused::TooYoung));
    member.birth = purse.touchstone.issued;
    assert_eq!(member.put(&town, &line_of(&purse, &[20])), Verdict::Accepted);
}

#[test]
fn who_is_not_of_the_committee_keeps_nothing() {
    let (town, purse, mut member) = setting();
    member.key = key(66);
    assert_eq!(member.put(&town, &line_of(&purse, &[20])), Verdict::Refused(WhyRefused::NotCommittee));
    assert!(member.kept.is_empty());
}

#[test]
fn opens_are_acked_until_ten_minutes_after_the_chains_time_and_closes_longer() {
    let (town, purse, mut member) = setting();
    let last = purse.touchstone.spend_by.plus(OPEN_GRACE);
    let line = line_of(&purse, &[20]);
    assert_eq!(member.put_at(&town, &line, &[], last.plus(1)), Verdict::Refused(WhyRefused::Expired));
    assert_eq!(member.put_at(&town, &line, &[], last), Verdict::Accepted);
    assert_eq!(member.put_at(&town, &closed(&purse, &line, 1, 5), &[], last.plus(9999)), Verdict::Accepted);
}

#[test]
fn a_reader_sees_the_newest_segments_however_many_there_were() {
    let (town, purse, mut member) = setting();
    let mut line = purse.fresh();
    for j in 1..100 {
        line = purse.opened(&line, holder().public(), 20 * (j - 1), 20 * j);
        // Certificates come in threes, so that the base is often one the member did not know before.
        if j % 3 == 0 {
            let certificate = certify(&town, purse.id(), line.newest().expect("opened").open.hash());
            assert!(line.certify(&town.network, certificate));
        }
        if j % 2 == 0 {
            assert_eq!(member.put(&town, &line), Verdict::Accepted);
            let shown = verify(member.kept[&purse.id()].record(), &town.network, &town.broker.public());
            assert_eq!(shown.expect("it holds").newest().map(|segment| segment.open.j), Some(SegmentNo(j)));
        }
    }
}

#[test]
fn a_late_put_does_not_take_the_base_back() {
    let (town, purse, mut member) = setting();
    let mut old = line_of(&purse, &[20, 40]);
    let certificate = certify(&town, purse.id(), old.segment(SegmentNo(1)).expect("opened").open.hash());
    assert!(old.certify(&town.network, certificate));
    let mut new = line_of(&purse, &[20, 40, 60, 80]);
    let certificate = certify(&town, purse.id(), new.segment(SegmentNo(3)).expect("opened").open.hash());
    assert!(new.certify(&town.network, certificate));
    member.put(&town, &new);
    member.put(&town, &old);
    let shown =
        verify(member.kept[&purse.id()].record(), &town.network, &town.broker.public()).expect("it holds");
    assert_eq!(shown.base.map(|(segment, _)| segment.open.j), Some(SegmentNo(3)));
}

#[test]
fn a_base_that_was_certified_by_another_close_than_is_kept_is_not_shown() {
    let (town, purse, mut member) = setting();
    let whole = line_of(&purse, &[20, 40, 60, 80]);
    let mut open = whole.clone();
    assert!(open.certify(&town.network, certify(&town, purse.id(), open_of(&whole, 2))));
    let (kept, other) = (purse.close(&whole, 2, 25, &holder()), purse.close(&whole, 2, 30, &holder()));
    let mut closed = whole.clone();
    closed.close(other.clone()).expect("of its Open");
    assert!(closed.certify(&town.network, certify(&town, purse.id(), other.hash())));
    // The vendor signs two Closes: this witness keeps the one, and the others the other.
    assert_eq!(member.put_at(&town, &open, &[kept.wire()], NOW.time()), Verdict::Accepted);
    assert_eq!(member.put(&town, &closed), Verdict::Accepted);
    assert!(member.kept[&purse.id()].keeps(&kept.hash()));
    let shown = member.kept[&purse.id()].record();
    let shown = verify(shown, &town.network, &town.broker.public()).expect("it holds");
    let (base, certificate) = shown.base.as_ref().expect("certified");
    assert_eq!((base.open.j, certificate.object), (SegmentNo(2), open_of(&whole, 2)));
    assert_eq!(shown.newest().map(|segment| segment.open.j), Some(SegmentNo(4)));
}

#[test]
fn what_a_witness_keeps_of_the_longest_chain_can_be_stored() {
    let town = Town::new();
    let purse = Purse::new(&town, |touchstone| {
        touchstone.n = netpay_core::amount::Cap(9999);
        touchstone.committee = List::first_of((0..20).map(|n| key(100 + n).public()));
    });
    let mut member = Member::all(&town).remove(0);
    let (mut line, mut j) = (purse.fresh(), 0);
    // Leases are eight coins at least: more segments than 9999 / 8 there cannot be, and the bound is far above.
    while (j + 1) * 8 <= 9999 {
        line = purse.opened(&line, holder().public(), 8 * j, 8 * (j + 1));
        j += 1;
        if j % 8 == 0 {
            assert_eq!(member.put(&town, &line), Verdict::Accepted);
            line = Line { base: None, segments: Vec::new(), ..line.clone() };
            let newest = member.kept[&purse.id()].record();
            let base = newest.links.last().expect("kept").open.clone();
            let open = base.verify(&town.network, &purse.key.public()).expect("ours");
            let certificate = Certificate { object: open.hash(), acks: List::new() };
            line.base = Some((netpay_core::record::chain::Segment { open, close: None }, certificate));
        }
    }
    assert!(usize::try_from(j).expect("small") < MAX_SEGMENTS);
    assert!(encode(&member.kept[&purse.id()]).len() < 1 << 19);
}

fn certificate_of(town: &Town, purse: &Purse, signers: &[(u8, usize)]) -> (Certificate, ObjectHash) {
    let object = line_of(purse, &[20]).newest().expect("opened").open.hash();
    let ack = Ack { chain: purse.id(), object };
    let acks = signers
        .iter()
        .map(|(seat, witness)| (*seat, ack.clone().sign(&town.network, &town.witnesses[*witness])));
    (Certificate { object, acks: List::first_of(acks) }, object)
}

#[test]
fn a_certificate_needs_q_distinct_seats_each_signed_by_who_sits_there() {
    let (town, purse, _) = setting();
    assert_eq!(quorum_of(4), 3);
    let holds = |signers: &[(u8, usize)]| {
        certificate_of(&town, &purse, signers).0.holds(&town.network, &purse.touchstone)
    };
    assert!(holds(&[(0, 0), (1, 1), (3, 3)]) && holds(&[(0, 0), (1, 1), (2, 2), (3, 3)]));
    assert!(!holds(&[]) && !holds(&[(0, 0), (1, 1)]), "too few");
    assert!(!holds(&[(0, 0), (1, 1), (1, 1)]), "the same seat twice");
    assert!(!holds(&[(0, 0), (1, 1), (2, 1)]), "signed by another member");
    assert!(!holds(&[(0, 0), (1, 1), (4, 2)]), "no such seat");
    assert!(!holds(&[(0, 0), (1, 1), (2, 2), (2, 2)]), "a doubled seat spoils it");
    let (mut other, _) = certificate_of(&town, &purse, &[(0, 0), (1, 1), (2, 2)]);
    other.object = ObjectHash([0; 32]);
    assert!(!other.holds(&town.network, &purse.touchstone), "of another object");
    let stranger = Purse::new(&town, |touchstone| touchstone.nonce = [1; 16]);
    let (ours, _) = certificate_of(&town, &purse, &[(0, 0), (1, 1), (2, 2)]);
    assert!(!ours.holds(&town.network, &stranger.touchstone), "of another chain");
}

fn two_opens(purse: &Purse, one: &Signed<Open>, other: &Signed<Open>) -> Evidence {
    Evidence::TwoOpens { touchstone: purse.touchstone.wire(), one: one.wire(), other: other.wire() }
}

#[test]
fn evidence_that_proves_nothing_convicts_nobody() {
    let (town, purse, _) = setting();
    let broker = town.broker.public();
    let opens: Vec<_> =
        [20, 30].map(|cap| line_of(&purse, &[cap]).newest().expect("opened").open.clone()).to_vec();
    let second = line_of(&purse, &[20, 40]).newest().expect("opened").open.clone();
    let stranger = Purse::new(&town, |touchstone| touchstone.nonce = [1; 16]);
    let elsewhere = line_of(&stranger, &[30]).newest().expect("opened").open.clone();
    let forged = key(66).sign(&town.network, opens[1].value().clone());
    let none = [
        two_opens(&purse, &opens[0], &opens[0]),
        two_opens(&purse, &opens[0], &second),
        two_opens(&purse, &opens[0], &elsewhere),
        two_opens(&stranger, &opens[0], &opens[1]),
        two_opens(&purse, &opens[0], &forged),
    ];
    for evidence in none {
        assert_eq!(evidence.convicts(&town.network, &broker), None);
    }
    let good = two_opens(&purse, &opens[0], &opens[1]);
    assert_eq!(good.convicts(&town.network, &broker), Some(Culprit::Buyer(purse.id())));
    assert_eq!(good.convicts(&town.network, &key(66).public()), None, "of another broker");
    assert_eq!(good.convicts(&netpay_core::id::NetworkId([0; 32]), &broker), None, "in another network");
}

#[test]
fn two_acks_convict_the_witness_that_signed_both_and_no_other() {
    let (town, purse, _) = setting();
    let opens: Vec<_> =
        [20, 30].map(|cap| line_of(&purse, &[cap]).newest().expect("opened").open.clone()).to_vec();
    let ack = |object, by: usize| Ack { chain: purse.id(), object }.sign(&town.network, &town.witnesses[by]);
    let acked =
        |open: &Signed<Open>, by: usize| (Link { open: open.wire(), close: None }, ack(open.hash(), by));
    let convicts = |seat, one, other| {
        let evidence = Evidence::TwoAcks { touchstone: purse.touchstone.wire(), seat, one, other };
        evidence.convicts(&town.network, &town.broker.public())
    };
    let evidence = |seat, one, other| convicts(seat, acked(&opens[0], one), acked(&opens[1], other));
    assert_eq!(evidence(1, 1, 1), Some(Culprit::Witness(town.witnesses[1].public(), purse.id())));
    assert_eq!(evidence(1, 1, 2), None);
    assert_eq!(evidence(0, 1, 1), None);
    assert_eq!(evidence(9, 1, 1), None);
    // An ack of a Close is one of its Open: it convicts as well, if the Close is of that Open.
    let close = purse.close(&line_of(&purse, &[20]), 1, 12, &holder());
    let with_close = |open: &Signed<Open>, by| {
        (Link { open: open.wire(), close: Some(close.wire()) }, ack(close.hash(), by))
    };
    let guilty = Some(Culprit::Witness(town.witnesses[1].public(), purse.id()));
    assert_eq!(convicts(1, with_close(&opens[0], 1), acked(&opens[1], 1)), guilty);
    assert_eq!(convicts(1, with_close(&opens[0], 2), acked(&opens[1], 1)), None);
    assert_eq!(convicts(1, acked(&opens[0], 1), with_close(&opens[1], 1)), None);
}

#[test]
fn genuine_evidence_about_another_chain_does_not_stop_this_one() {
    let (town, purse, _) = setting();
    let stranger = Purse::new(&town, |touchstone| touchstone.nonce = [1; 16]);
    let opens: Vec<_> =
        [20, 30].map(|cap| line_of(&stranger, &[cap]).newest().expect("opened").open.clone()).to_vec();
    let about_another = two_opens(&stranger, &opens[0], &opens[1]);
    assert!(about_another.convicts(&town.network, &town.broker.public()).is_some());
    let object = line_of(&purse, &[20]).newest().expect("opened").open.hash();
    let mut session = Certify::new(town.network, purse.touchstone.clone(), [object]);
    let step = session.heard(0, RecordReply::Conflict(about_another), &town.broker.public());
    assert!(matches!(step, Step::More));
}

#[test]
fn acks_that_do_not_hold_certify_nothing() {
    let (town, purse, _) = setting();
    let object = line_of(&purse, &[20]).newest().expect("opened").open.hash();
    let ack = |by: usize| Ack { chain: purse.id(), object }.sign(&town.network, &town.witnesses[by]);
    let reply = |by| RecordReply::Accepted {
        acks: List::first_of([(object, ack(by)), (ObjectHash([0; 32]), ack(by))]),
    };
    let mut session = Certify::new(town.network, purse.touchstone.clone(), [object]);
    for (seat, by) in [(0, 0), (0, 0), (1, 0), (9, 1), (1, 1)] {
        assert!(matches!(session.heard(seat, reply(by), &town.broker.public()), Step::More));
    }
    let Step::Certified(certificates) = session.heard(2, reply(2), &town.broker.public()) else {
        panic!("no quorum")
    };
    assert!(session.is_done() && certificates[0].holds(&town.network, &purse.touchstone));
    assert_eq!(certificates[0].acks.len(), 3);
}

#[test]
fn what_was_believed_before_is_believed_again_only_in_the_same_bytes() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let holder = key(60);
    let mut line = purse.opened(&purse.fresh(), holder.public(), 0, 20);
    let close = purse.close(&line, 1, 5, &holder);
    line.close(close.clone()).expect("it fits");
    let known = line.record().expect("short");
    let again = |record: ChainRecord| {
        let mut believed = Believed::default();
        believed.add(known.clone());
        verify_again(record, &town.network, &town.broker.public(), &believed).map(|line| line.record())
    };
    assert_eq!(again(known.clone()), Ok(Some(known.clone())));
    let open = line.newest().expect("opened").open.clone();
    let forged_open = key(99).sign(&town.network, open.value().clone()).wire();
    let forged_close = key(99).sign(&town.network, close.value().clone()).wire();
    for link in [
        Link { open: forged_open, close: Some(close.wire()) },
        Link { open: open.wire(), close: Some(forged_close) },
    ] {
        let record = ChainRecord { links: List::first_of([link]), ..known.clone() };
        assert_eq!(again(record), Err(BadRecord::Signature(SegmentNo(1), BadSignature::Forged)));
    }
    let touchstone = key(99).sign(&town.network, purse.touchstone.value().clone()).wire();
    assert!(matches!(again(ChainRecord { touchstone, ..known.clone() }), Err(BadRecord::Touchstone(_))));
}

#[test]
fn a_certificate_of_ones_own_takes_the_place_of_another_for_the_same_object() {
    let town = Town::new();
    let purse = Purse::new(&town, |_| ());
    let mut line = purse.opened(&purse.fresh(), key(60).public(), 0, 20);
    let object = line.newest().expect("opened").open.hash();
    let own = certify(&town, purse.id(), object);
    assert!(line.certify(&town.network, own.clone()));
    let shown = line.record().expect("short");
    let (base, _) = shown.base.clone().expect("certified");
    let worthless = Certificate { object, acks: List::new() };
    let shown = ChainRecord { base: Some((base, worthless)), ..shown };
    let believe =
        |believed: &Believed| verify_again(shown.clone(), &town.network, &town.broker.public(), believed);
    assert_eq!(believe(&Believed::default()), Err(BadRecord::Certificate(SegmentNo(1))));
    let mut believed = Believed::default();
    believed.add_certificate(own.clone());
    assert_eq!(believe(&believed).map(|line| line.base.expect("certified").1), Ok(own));
}

#[test]
fn a_second_close_by_a_vendor_does_not_stop_the_chain() {
    let (town, purse, mut member) = setting();
    let one = line_of(&purse, &[16]);
    // The vendor gave its buyer a Close at 8, and shows this witness another, at 12.
    assert_eq!(member.put(&town, &closed(&purse, &one, 1, 12)), Verdict::Accepted);
    let receipt = closed(&purse, &one, 1, 8);
    assert_eq!(member.put(&town, &receipt), Verdict::Refused(WhyRefused::CloseConflict));
    // The next Open is judged by the Close that is kept, whatever is shown along.
    let below = purse.opened(&receipt, holder().public(), 8, 24);
    assert_eq!(member.put(&town, &below), Verdict::Refused(WhyRefused::Overlap));
    let above = purse.opened(&receipt, holder().public(), 12, 24);
    assert_eq!(member.put(&town, &above), Verdict::Accepted);
}

#[test]
fn of_a_frozen_chain_nothing_new_is_opened_and_everything_open_is_closed() {
    let (town, purse, mut member) = setting();
    let (one, two) = (line_of(&purse, &[16]), line_of(&purse, &[16, 32]));
    assert_eq!(member.put(&town, &one), Verdict::Accepted);
    let word = |chain, by: &SecretKey| by.sign(&town.network, Freeze { chain, at: NOW.time() }).wire();
    // Only the broker freezes, and each chain by itself.
    for bad in [word(purse.id(), &purse.key), word(ChainId([9; 32]), &town.broker)] {
        assert_eq!(member.freeze(&town, &purse, bad), Err(WhyRefused::Bad));
    }
    assert_eq!(member.freeze(&town, &purse, word(purse.id(), &town.broker)), Ok(()));
    assert_eq!(member.put(&town, &two), Verdict::Partly(WhyRefused::Frozen));
    assert_eq!(member.put(&town, &closed(&purse, &one, 1, 12)), Verdict::Accepted);
    // A vendor that asks for a certificate is told when there is none to come: not by one witness, but by two of four.
    let object = two.newest().expect("opened").open.hash();
    let mut session = Certify::new(town.network, purse.touchstone.clone(), [object]);
    let mut hears =
        |seat| session.heard(seat, RecordReply::Refused(WhyRefused::Frozen), &town.broker.public());
    assert!(matches!(hears(0), Step::More) && matches!(hears(0), Step::More));
    assert!(matches!(hears(1), Step::Hopeless));
}
