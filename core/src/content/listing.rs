//! A listing: a vendor's signed offer of one file (PROTOCOL section 8).
//!
//! A vendor has one listing per file. A newer one replaces it, and one marked `withdrawn` takes it back; it
//! must carry the same words, or it would not reach every place the old one is at, and live as long.

use super::name::{MAX_NAME, is_single_name};
use super::token::{self, MAX_TOKEN, MAX_TOKENS, Token};
use super::units::MAX_SIZE;
use crate::amount::Coins;
use crate::codec::{self, List, Text, Wire};
use crate::id::{BadHex, ContentRoot, NetworkId, Place, parse_hex, write_hex};
use crate::keys::{BadSignature, Domain, PublicKey, SelfSigned, Signable, Signed, Unverified};
use crate::time::{HOUR, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// The longest media type, in bytes.
pub const MAX_MEDIA: usize = 64;
/// The most brokers a listing may accept.
pub const MAX_BROKERS: usize = 4;
/// The most places of a listing: one for the file, one for each token.
pub const MAX_PLACES: usize = MAX_TOKENS + 1;
/// The highest price, in coins: any client can count it exactly.
pub const MAX_PRICE: Coins = Coins(1 << 53);
/// How long a listing is meant to hold, in seconds; it is republished at half of that.
pub const LISTING_LIFE: u64 = 24 * HOUR;
/// How far ahead a listing may expire, in seconds: its life and what clocks may differ by.
pub const MAX_AHEAD: u64 = LISTING_LIFE + HOUR;

/// The ways a vendor sells a file: plain (pay as you go), fair (nobody can lose), or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Modes(u8);

impl Modes {
    /// Plain mode only.
    pub const PLAIN: Self = Self(1);
    /// Fair mode only.
    pub const FAIR: Self = Self(2);
    /// Whichever the buyer likes.
    pub const BOTH: Self = Self(3);

    /// Whether every mode of `other` is among these.
    #[must_use]
    pub const fn offers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    const fn is_known(self) -> bool {
        self.0 != 0 && self.0 & !Self::BOTH.0 == 0
    }
}

/// An offer of one file by one vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The vendor's node key; signs this.
    pub vendor: PublicKey,
    /// The content.
    pub root: ContentRoot,
    /// What the vendor calls it: a single file's name.
    pub name: Text<MAX_NAME>,
    /// Its size in bytes, at most [`MAX_SIZE`].
    pub size: u64,
    /// The price of the whole of it, at most [`MAX_PRICE`].
    pub price: Coins,
    /// Its media type, such as `audio/flac`; empty if unknown.
    pub media: Text<MAX_MEDIA>,
    /// Further words to find it by.
    pub tags: List<Text<MAX_TOKEN>, MAX_TOKENS>,
    /// How it is sold.
    pub modes: Modes,
    /// Whose coins are taken; at least one unless it is free.
    pub brokers: List<PublicKey, MAX_BROKERS>,
    /// Of two listings of one file by one vendor the higher holds: max(last + 1, now in Unix seconds).
    pub sequence: u64,
    /// Until when it holds.
    pub expires: Time,
    /// Whether it takes the offer back.
    pub withdrawn: bool,
}

impl Wire for Listing {
    const MAX: usize = 1280;
}

impl Signable for Listing {
    const DOMAIN: Domain = *b"netpay/listing\0\0";
}

impl SelfSigned for Listing {
    fn signer(&self) -> PublicKey {
        self.vendor
    }
}

/// Why a listing is not believed or not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadListing {
    /// The signature or the body does not hold.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// The name is not a single file's.
    #[error("its name is not a single file's")]
    Name,
    /// The file is too large.
    #[error("its size is above {MAX_SIZE} bytes")]
    Size,
    /// The price is too high.
    #[error("its price is above {MAX_PRICE}")]
    Price,
    /// The media type is not printable ASCII.
    #[error("its media type is not printable ASCII")]
    Media,
    /// A tag is empty or holds a control character.
    #[error("a tag is empty or holds a control character")]
    Tag,
    /// No mode, or one that is not known.
    #[error("it names no known mode of sale")]
    Modes,
    /// It takes no broker's coins though it is not free, or names one twice.
    #[error("it accepts no broker's coins, or names a broker twice")]
    Brokers,
    /// It no longer holds.
    #[error("it has expired")]
    Expired,
    /// It would hold for too long.
    #[error("it expires more than 25 hours ahead")]
    TooFarAhead,
}

impl Listing {
    /// Whether everything in it is within its range now.
    ///
    /// # Errors
    /// Says what is not.
    pub fn check(&self, now: Time) -> Result<(), BadListing> {
        let tag_is_bad = |tag: &Text<MAX_TOKEN>| tag.trim().is_empty() || tag.chars().any(char::is_control);
        let distinct: BTreeSet<_> = self.brokers.iter().collect();
        let unpayable = self.brokers.is_empty() && self.price > Coins::ZERO;
        let rules = [
            (is_single_name(&self.name), BadListing::Name),
            (self.size <= MAX_SIZE, BadListing::Size),
            (self.price <= MAX_PRICE, BadListing::Price),
            (self.media.bytes().all(|byte| matches!(byte, b' '..=b'~')), BadListing::Media),
            (!self.tags.iter().any(tag_is_bad), BadListing::Tag),
            (self.modes.is_known(), BadListing::Modes),
            (distinct.len() == self.brokers.len() && !unpayable, BadListing::Brokers),
            (self.expires > now, BadListing::Expired),
            (self.expires <= now.plus(MAX_AHEAD), BadListing::TooFarAhead),
        ];
        rules.into_iter().try_for_each(|(holds, why)| if holds { Ok(()) } else { Err(why) })
    }

    /// The words it is found by, its name's first.
    #[must_use]
    pub fn tokens(&self) -> Vec<Token> {
        token::tokens_of(std::iter::once(&*self.name).chain(self.tags.iter().map(|tag| &**tag)))
    }

    /// Where it is kept: the file's place first, then its tokens' in their order; at most [`MAX_PLACES`].
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        let file = token::place_of_file(&self.root);
        std::iter::once(file).chain(self.tokens().iter().map(token::place_of_token)).collect()
    }

    /// Whether it is found by every one of these words.
    #[must_use]
    pub fn matches(&self, tokens: &[Token]) -> bool {
        let own = self.tokens();
        tokens.iter().all(|token| own.contains(token))
    }
}

/// A genuine listing's name: the hash of what was signed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ListingId(pub [u8; 32]);

impl ListingId {
    /// The id of a listing. A republished listing has another.
    #[must_use]
    pub fn of(listing: &Signed<Listing>) -> Self {
        Self(listing.hash().0)
    }
}

impl fmt::Display for ListingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for ListingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListingId({self:.8}…)")
    }
}

impl FromStr for ListingId {
    type Err = BadHex;
    fn from_str(text: &str) -> Result<Self, BadHex> {
        parse_hex(text).map(Self)
    }
}

/// Believes a listing: signed by the vendor it names, and within its ranges now.
///
/// # Errors
/// Says what does not hold; ranges, which cost less to check, first.
pub fn verify(
    listing: Unverified<Listing>,
    network: &NetworkId,
    now: Time,
) -> Result<Signed<Listing>, BadListing> {
    listing.claim().map_err(BadSignature::Body)?.check(now)?;
    Ok(listing.verify_own(network)?)
}

/// How many bytes a listing takes on the wire: its body and signature, with the length that goes before them.
#[must_use]
pub fn wire_len(listing: &Signed<Listing>) -> usize {
    const LENGTH_AND_SIGNATURE: usize = 8 + 64;
    codec::encode(listing.value()).len() + LENGTH_AND_SIGNATURE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};
    use crate::keys::SecretKey;

    const NOW: Time = Time(1_800_000_000);
    const NETWORK: NetworkId = NetworkId([9; 32]);

    fn vendor() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    fn listing() -> Listing {
        Listing {
            vendor: vendor().public(),
            root: ContentRoot([2; 32]),
            name: Text::cut("Rite_of_Spring.flac"),
            size: 1 << 20,
            price: Coins(40),
            media: Text::cut("audio/flac"),
            tags: List::first_of([Text::cut("Stravinsky"), Text::cut("spring")]),
            modes: Modes::BOTH,
            brokers: List::first_of([PublicKey([3; 32])]),
            sequence: NOW.0,
            expires: NOW.plus(LISTING_LIFE),
            withdrawn: false,
        }
    }

    #[test]
    fn a_vendor_is_believed_about_its_own_files_only() {
        let signed = vendor().sign(&NETWORK, listing());
        assert_eq!(verify(signed.wire(), &NETWORK, NOW), Ok(signed.clone()));
        assert_eq!(ListingId::of(&signed).to_string().parse(), Ok(ListingId::of(&signed)));
        let forged = SecretKey::from_seed(&[4; 32]).sign(&NETWORK, listing());
        let refused = Err(BadListing::Signature(BadSignature::Forged));
        assert_eq!(verify(forged.wire(), &NETWORK, NOW), refused);
        assert_eq!(verify(signed.wire(), &NetworkId([8; 32]), NOW), refused);
        assert_eq!(verify(signed.wire(), &NETWORK, NOW.plus(LISTING_LIFE)), Err(BadListing::Expired));
    }

    #[test]
    fn every_range_is_held() {
        let refused = |change: fn(&mut Listing)| {
            let mut listing = listing();
            change(&mut listing);
            listing.check(NOW)
        };
        assert_eq!(refused(|_| ()), Ok(()));
        assert_eq!(refused(|l| l.name = Text::cut("../x")), Err(BadListing::Name));
        assert_eq!(refused(|l| l.size = MAX_SIZE + 1), Err(BadListing::Size));
        assert_eq!(refused(|l| l.price = Coins(u64::MAX)), Err(BadListing::Price));
        assert_eq!(refused(|l| l.media = Text::cut("audio/\u{202e}")), Err(BadListing::Media));
        assert_eq!(refused(|l| l.tags = List::first_of([Text::cut(" ")])), Err(BadListing::Tag));
        assert_eq!(refused(|l| l.modes = Modes(4)), Err(BadListing::Modes));
        assert_eq!(refused(|l| l.modes = Modes(0)), Err(BadListing::Modes));
        assert_eq!(refused(|l| l.brokers = List::new()), Err(BadListing::Brokers));
        assert_eq!(
            refused(|l| l.brokers = List::first_of([PublicKey([3; 32]); 2])),
            Err(BadListing::Brokers)
        );
        assert_eq!(refused(|l| (l.brokers, l.price) = (List::new(), Coins::ZERO)), Ok(()));
        assert_eq!(refused(|l| l.expires = NOW), Err(BadListing::Expired));
        assert_eq!(refused(|l| l.expires = NOW.plus(MAX_AHEAD + 1)), Err(BadListing::TooFarAhead));
    }

    #[test]
    fn it_is_found_by_name_tags_and_content() {
        let listing = listing();
        let words = listing.tokens();
        let shown: Vec<&str> = words.iter().map(|word| &**word).collect();
        assert_eq!(shown, ["rite", "of", "spring", "flac", "stravinsky"]);
        assert_eq!(listing.places().len(), 6);
        assert_eq!(listing.places()[0], token::place_of_file(&listing.root));
        assert!(listing.matches(&token::tokenise("STRAVINSKY rite")));
        assert!(!listing.matches(&token::tokenise("rite firebird")));
    }

    #[test]
    fn the_largest_listing_fits() {
        let largest = Listing {
            name: Text::cut(&"n".repeat(300)),
            media: Text::cut(&"m".repeat(100)),
            tags: List::first_of(std::iter::repeat_n(Text::cut(&"t".repeat(40)), 20)),
            brokers: List::first_of([PublicKey([3; 32]); 9]),
            ..listing()
        };
        assert!(encode(&largest).len() > Listing::MAX - 100);
        assert_eq!(decode(&encode(&largest)), Ok(largest));
    }
}
