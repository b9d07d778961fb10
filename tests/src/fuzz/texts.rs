//! What people paste and edit: whatever is read is written so that it reads the same again.

use super::Target;
use netpay_broker::home::Settings;
use netpay_core::coin::chain::Seed;
use netpay_core::content::link::Link;
use netpay_core::content::listing::ListingId;
use netpay_core::content::name::is_single_name;
use netpay_core::content::token::{MAX_TOKEN, MAX_TOKENS, tokenise};
use netpay_core::id::ObjectHash;
use netpay_core::keys::PublicKey;
use netpay_core::wire::bank::VoucherCode;
use netpay_node::config;
use netpay_node::invite::Invite;
use netpay_node::sealed::{SealingKey, seal};
use std::fmt::{Debug, Display};
use std::path::Path;
use std::str::FromStr;

pub fn targets() -> Vec<Target> {
    vec![
        Target::new("text_invite", || texts(&[INVITE]), reads_again::<Invite>),
        Target::new("text_link", || texts(&[LINK, &LINK[..71]]), reads_again::<Link>),
        Target::new(
            "text_voucher",
            || texts(&["ORUG-K4TF-O5SW-K3TU-PFXW-4ZLB-NRUW-GZJA"]),
            reads_again::<VoucherCode>,
        ),
        Target::new("text_listing_id", || texts(&[&LINK[7..71]]), reads_again::<ListingId>),
        Target::new("text_key", || texts(&[&INVITE[9..73]]), reads_again::<PublicKey>),
        Target::new("text_words", || texts(&["The Rite_of-Spring (été).FLAC Ⅷ ﬁ"]), words),
        Target::new("text_file_name", || texts(&["The Rite of Spring.flac", "../x"]), file_name),
        Target::new("file_config", || texts(&[CONFIG]), configuration),
        Target::new("file_broker_config", || texts(&[BROKER]), broker_settings),
        Target::new("sealed_seed", || vec![sealed_seed()], opens_only_the_seed).slow(200),
    ]
}

const INVITE: &str = "netpay://8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c@main-1/ip4/127.0.0.1/tcp/4001/p2p/\
                      12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
const LINK: &str = "netpay:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262\
                    ?name=The%20Rite%20%26%20%C3%A9t%C3%A9.flac&size=1048576";

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn reads_again<T: FromStr + Display + PartialEq + Debug>(bytes: &[u8]) {
    let Some(value) = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<T>().ok()) else { return };
    let written = value.to_string();
    assert_eq!(written.parse::<T>().ok(), Some(value), "{written:?} reads otherwise");
}

/// Words are few, short, normal, and each of them is the one word of itself.
fn words(bytes: &[u8]) {
    let tokens = tokenise(&String::from_utf8_lossy(bytes));
    assert!(tokens.len() <= MAX_TOKENS);
    for token in tokens {
        assert!(!token.is_empty() && token.len() <= MAX_TOKEN);
        assert_eq!(tokenise(&token), std::slice::from_ref(&token), "a word is found under another");
    }
}

/// A name that is taken stays in the directory that it is put in.
fn file_name(bytes: &[u8]) {
    let name = String::from_utf8_lossy(bytes);
    if is_single_name(&name) {
        let path = Path::new("downloads").join(&*name);
        assert_eq!(path.parent(), Some(Path::new("downloads")));
        assert_eq!(path.file_name().and_then(|last| last.to_str()), Some(&*name));
        assert!(!name.chars().any(char::is_control));
    }
}

const CONFIG: &str = "name = \"anna\"\nlisten = [\"/ip4/0.0.0.0/tcp/4780\"]\nlocal = true\np0 = 7\n\
                      log = \"info,netpay_node=debug\"\n[policy]\nx0 = 12\n[redeem]\nhour = 5\n";

/// What is shown of a setting can be set again, and is then shown as before.
fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let home = Path::new("/home/anna/.netpay");
    let load =
        |text: &str, flags: &[_]| config::load_from(home, &home.join("config.toml"), text, &|_| None, flags);
    let Ok(loaded) = load(text, &[]) else { return };
    let shown = |loaded: &config::Loaded| {
        loaded.settings.iter().map(|set| (set.key.clone(), set.value.clone())).collect::<Vec<_>>()
    };
    let again = load("", &shown(&loaded)).expect("what is shown can be set");
    assert_eq!(shown(&again), shown(&loaded));
}

const BROKER: &str = "network = \"town\"\nname = \"the bank\"\ncontact = \"bank@example.org\"\n";

fn broker_settings(bytes: &[u8]) {
    let Ok(settings) = std::str::from_utf8(bytes).map(toml::from_str::<Settings>) else { return };
    let Ok(settings) = settings else { return };
    let written = toml::to_string_pretty(&settings).expect("it was read");
    let again: Settings = toml::from_str(&written).expect("it was just written");
    assert_eq!(toml::to_string_pretty(&again).ok(), Some(written));
}

fn sealing_key() -> SealingKey {
    SealingKey::from_seed(&[1; 32])
}

/// A sealed seed, always the same: sealing itself draws lots.
fn sealed_seed() -> Vec<u8> {
    data_encoding::HEXLOWER.decode(SEALED.as_bytes()).unwrap_or_default()
}

/// The seed `[7; 16]`, sealed to this key for this touchstone.
const SEALED: &str = "af59f1eef4873e3deae00eff9eeb0c5e200c5b9f6cef7a1aabd77c97e51a8352\
                      28efb5d493884db6efb24aceec591461e3f9e418fa3e64f45f61b542b18675d6";

fn opens_only_the_seed(bytes: &[u8]) {
    let touchstone = ObjectHash([3; 32]);
    if sealing_key().open(bytes, touchstone).is_ok() {
        assert_eq!(bytes, sealed_seed(), "two boxes open for one chain");
    }
    if let Ok(to) = <[u8; 32]>::try_from(bytes) {
        // Whatever key it is: an error, or a box.
        let _ = seal(&Seed([7; 16]), &to, touchstone);
    }
}
