//! The bytes of the index, presence and browse messages never change by accident: each is compared with a
//! file in `vectors/`. To accept a new message or version, run with `NETPAY_BLESS=1` and read the difference.

use data_encoding::HEXLOWER;
use netpay_core::amount::Coins;
use netpay_core::codec::{List, Text, Wire, decode, encode};
use netpay_core::content::listing::{LISTING_LIFE, Listing, Modes};
use netpay_core::content::token::tokenise;
use netpay_core::id::{ContentRoot, NetworkId};
use netpay_core::keys::{PublicKey, SecretKey, Signed};
use netpay_core::record::index::{Cursor, Verdict, WhyRefused};
use netpay_core::record::presence::{CARD_LIFE, Card, bucket_of};
use netpay_core::time::Time;
use netpay_core::wire::browse::{BrowseReply, BrowseRequest};
use netpay_core::wire::hello::Membership;
use netpay_core::wire::index::{IndexReply, IndexRequest, PutListing};
use std::fmt::Debug;
use std::path::Path;

const NETWORK: NetworkId = NetworkId([7; 32]);
const NOW: Time = Time(1_800_000_000);

fn node() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

fn broker() -> SecretKey {
    SecretKey::from_seed(&[2; 32])
}

fn listing() -> Signed<Listing> {
    let listing = Listing {
        vendor: node().public(),
        root: ContentRoot([3; 32]),
        name: Text::cut("Rite of Spring.flac"),
        size: 123_456_789,
        price: Coins(40),
        media: Text::cut("audio/flac"),
        tags: List::first_of([Text::cut("Stravinsky"), Text::cut("été")]),
        modes: Modes::BOTH,
        brokers: List::first_of([broker().public()]),
        sequence: NOW.0,
        expires: NOW.plus(LISTING_LIFE),
        withdrawn: false,
    };
    node().sign(&NETWORK, listing)
}

fn card() -> Signed<Card> {
    let card = Card {
        node: node().public(),
        name: Text::cut("anna"),
        addresses: List::first_of([
            Text::cut("/ip4/192.0.2.1/tcp/4001"),
            Text::cut("/ip6/2001:db8::1/udp/4001/quic-v1"),
        ]),
        files: 3,
        issued: NOW,
        expires: NOW.plus(CARD_LIFE),
    };
    node().sign(&NETWORK, card)
}

fn membership() -> Signed<Membership> {
    let membership = Membership {
        broker: broker().public(),
        node: node().public(),
        witness: true,
        expires: NOW.plus(1000),
    };
    broker().sign(&NETWORK, membership)
}

fn golden<T: Wire + PartialEq + Debug>(name: &str, message: &T) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(format!("{name}.hex"));
    let bytes = encode(message);
    if std::env::var_os("NETPAY_BLESS").is_some() {
        std::fs::write(&path, format!("{}\n", HEXLOWER.encode(&bytes))).expect("writable");
    }
    let text = std::fs::read_to_string(&path).expect("a vector for each message");
    let expected = HEXLOWER.decode(text.trim().as_bytes()).expect("hexadecimal");
    assert_eq!(HEXLOWER.encode(&bytes), text.trim(), "{name}");
    assert_eq!(decode::<T>(&expected).as_ref(), Ok(message), "{name}");
}

#[test]
fn listings_and_cards() {
    golden("listing", listing().value());
    golden("card", card().value());
}

#[test]
fn index_requests() {
    let places = List::first_of([0, 2]);
    golden("put_listing", &PutListing { listing: listing().wire(), places: places.clone() });
    golden(
        "index_put_listings",
        &IndexRequest::PutListings {
            membership: Some(membership().wire()),
            listings: List::first_of([PutListing { listing: listing().wire(), places }]),
        },
    );
    golden(
        "index_get_listings",
        &IndexRequest::GetListings {
            place: listing().places()[1],
            filter: List::first_of(tokenise("Spring Été")),
            after: Some(Cursor { vendor: node().public(), root: ContentRoot([3; 32]) }),
            limit: 60 * 1024,
        },
    );
    golden("index_put_card", &IndexRequest::PutCard { membership: None, card: card().wire() });
    golden(
        "index_get_cards",
        &IndexRequest::GetCards { bucket: bucket_of(&node().public()), after: Some(PublicKey([4; 32])) },
    );
}

#[test]
fn index_replies() {
    let verdicts =
        [Verdict::Accepted, Verdict::Stale(9), Verdict::Full, Verdict::Refused(WhyRefused::NotHere)];
    golden("index_put", &IndexReply::Put(List::first_of([List::first_of(verdicts), List::new()])));
    golden(
        "index_listings",
        &IndexReply::Listings {
            listings: List::first_of([listing().wire()]),
            next: Some(Cursor { vendor: node().public(), root: ContentRoot([3; 32]) }),
        },
    );
    golden("index_card", &IndexReply::Card(Verdict::Accepted));
    golden("index_cards", &IndexReply::Cards { cards: List::first_of([card().wire()]), next: None });
    golden("index_refused", &IndexReply::Refused(WhyRefused::Busy));
}

#[test]
fn browsing() {
    golden("browse_request", &BrowseRequest { after: Some(ContentRoot([3; 32])) });
    golden("browse_reply", &BrowseReply { listings: List::first_of([listing().wire()]), more: true });
}
