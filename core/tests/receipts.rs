//! A receipt holds as it was given, in its own network and with its own broker, and in no other way.

mod samples;

use netpay_core::amount::{Count, Index};
use netpay_core::codec::{decode, encode};
use netpay_core::coin::receipt::{BadReceipt, Receipt};
use netpay_core::coin::segment::{Close, SegmentNo};
use netpay_core::id::NetworkId;
use netpay_core::keys::{SecretKey, Signed};
use samples::{NETWORK, close, holder, key, open, receipt, touchstone};

/// The receipt with another Close, which the vendor signed.
fn with(change: impl FnOnce(&mut Close), signer: &SecretKey) -> Receipt {
    let mut other: Close = close().value().clone();
    change(&mut other);
    let other: Signed<Close> = signer.sign(&NETWORK, other);
    Receipt { close: other.wire(), ..receipt() }
}

#[test]
fn it_says_how_many_coins_whom_and_from_where() {
    let paid = receipt().verify(&NETWORK, &key(1).public()).expect("it holds");
    assert_eq!((paid.coins, paid.end, paid.j), (Count(5), Index(5), SegmentNo::FIRST));
    assert_eq!((paid.chain, paid.holder), (open().chain, holder().public()));
    let made = Receipt::of(&NETWORK, &touchstone(), &open(), close().wire());
    assert_eq!(made, Ok((receipt(), paid)));
}

#[test]
fn what_the_vendor_did_not_sign_or_was_not_paid_is_no_receipt() {
    let check = |receipt: &Receipt| receipt.verify(&NETWORK, &key(1).public()).expect_err("it holds");
    assert!(matches!(check(&with(|_| (), &key(9))), BadReceipt::Signature("Close", _)));
    assert_eq!(check(&with(|close| close.end = Index(4), &holder())), BadReceipt::Coin);
    assert_eq!(check(&with(|close| close.end = Index(0), &holder())), BadReceipt::Range);
    assert_eq!(check(&with(|close| close.end = Index(9), &holder())), BadReceipt::Range);
    assert_eq!(check(&with(|close| close.release.0[0] ^= 1, &holder())), BadReceipt::Release);
    assert_eq!(check(&with(|close| close.j = SegmentNo(2), &holder())), BadReceipt::Apart);
    let paid_elsewhere = |close: &mut Close| {
        close.coin = close.coin.below();
        close.end = Index(4);
    };
    assert_eq!(check(&with(paid_elsewhere, &holder())), BadReceipt::Release);
}

#[test]
fn it_holds_in_its_own_network_and_with_its_own_broker_only() {
    let elsewhere = receipt().verify(&NetworkId([8; 32]), &key(1).public());
    assert!(matches!(elsewhere, Err(BadReceipt::Touchstone(_))), "{elsewhere:?}");
    let another = receipt().verify(&NETWORK, &key(2).public());
    assert!(matches!(another, Err(BadReceipt::Touchstone(_))), "{another:?}");
}

#[test]
fn one_bit_of_it_changed_anywhere_and_it_does_not_hold() {
    let bytes = encode(&receipt());
    let held = receipt().verify(&NETWORK, &key(1).public());
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let verdict = decode::<Receipt>(&changed).ok().map(|it| it.verify(&NETWORK, &key(1).public()));
        assert!(verdict.is_none_or(|verdict| verdict.is_err()), "bit {bit}; it said {held:?}");
    }
}
