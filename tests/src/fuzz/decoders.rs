//! Every type that has an encoding, one target each: whatever decodes is encoded by the same bytes again, and fits.

use super::Target;
use super::samples::{self, Sample};
use netpay_core::codec::{CodecError, Wire, decode, encode};
use std::any::type_name;
use std::collections::BTreeMap;

/// A decoder followed by its encoder.
pub type Recode = fn(&[u8]) -> Result<Vec<u8>, CodecError>;

/// A witness's own row has a map in it, whose order is not looked at; it never comes from anybody else.
const OWN_ROWS: [&str; 1] = ["decode_kept"];

pub fn targets() -> Vec<Target> {
    let mut by_type: BTreeMap<String, (Recode, usize, Vec<Vec<u8>>)> = BTreeMap::new();
    for Sample { of, bytes, max, recode, .. } in samples::all() {
        by_type.entry(name(of)).or_insert((recode, max, Vec::new())).2.push(bytes);
    }
    let target = |(name, (recode, max, seeds)): (String, (Recode, usize, Vec<Vec<u8>>))| {
        let own = OWN_ROWS.contains(&name.as_str());
        Target::new(&name, move || seeds.clone(), move |bytes| holds(recode, max, own, bytes))
    };
    by_type.into_iter().map(target).collect()
}

/// The target of one more type.
pub fn decoder<T: Wire>(seeds: fn() -> Vec<Vec<u8>>) -> Target {
    let recode: Recode = |bytes| decode::<T>(bytes).map(|value| encode(&value));
    Target::new(&name(type_name::<T>()), seeds, move |bytes| holds(recode, T::MAX, false, bytes))
}

fn holds(recode: Recode, max: usize, own: bool, bytes: &[u8]) {
    let Ok(again) = recode(bytes) else { return };
    assert!(again.len() <= max, "{} bytes where at most {max} are allowed", again.len());
    if own {
        assert_eq!(recode(&again).as_ref(), Ok(&again), "what was written is not read again");
    } else {
        assert_eq!(again, bytes, "a value has two encodings");
    }
}

/// `decode_` and the type's name without its path, in small letters.
fn name(of: &str) -> String {
    let mut name = "decode".to_owned();
    for part in of.split(['<', '>']) {
        for letter in part.rsplit("::").next().unwrap_or_default().chars() {
            if letter.is_uppercase() {
                name.push('_');
            }
            name.extend(letter.to_lowercase());
        }
    }
    name
}
