//! Bytes that no honest peer sends: every decoder answers with an error, or with the one value whose only
//! encoding they are. It never panics, and never takes more memory than the bytes it was given justify.

mod samples;

use netpay_core::codec::{Bytes, CodecError, List, Text, Wire, decode, encode};
use proptest::prelude::*;
use samples::{Sample, all};
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(all);

/// Whatever decodes is encoded by exactly these bytes: no value has two encodings. A witness's own row has a
/// map in it, whose order is not looked at; it never comes from anybody else.
fn refuses_or_means_it(sample: &Sample, bytes: &[u8]) {
    if let Ok(again) = (sample.recode)(bytes)
        && sample.name != "row_kept"
    {
        assert!(again == bytes, "{} has a value with two encodings", sample.name);
    }
}

#[test]
fn a_message_cut_anywhere_is_refused() {
    for sample in &*SAMPLES {
        for end in 0..sample.bytes.len() {
            assert!((sample.recode)(&sample.bytes[..end]).is_err(), "{} cut at {end}", sample.name);
        }
        assert_eq!((sample.recode)(&[]), Err(CodecError::Version(None)));
    }
}

#[test]
fn a_message_with_bytes_after_its_end_is_refused() {
    for sample in &*SAMPLES {
        for tail in [&[0][..], &[1; 7], &[255; 64]] {
            let bytes = [&sample.bytes, tail].concat();
            let fits = bytes.len() <= sample.max;
            let expected = match fits {
                true => CodecError::Trailing(tail.len()),
                false => CodecError::TooLarge { len: bytes.len(), max: sample.max },
            };
            assert_eq!((sample.recode)(&bytes), Err(expected), "{}", sample.name);
        }
    }
}

#[test]
fn another_version_is_refused() {
    for sample in &*SAMPLES {
        for version in (0..=255).filter(|version| *version != netpay_core::codec::VERSION) {
            let mut bytes = sample.bytes.clone();
            bytes[0] = version;
            assert_eq!((sample.recode)(&bytes), Err(CodecError::Version(Some(version))), "{}", sample.name);
        }
    }
}

#[test]
fn a_message_above_its_limit_is_refused_unread() {
    for sample in &*SAMPLES {
        let mut bytes = sample.bytes.clone();
        bytes.resize(sample.max + 1, 0);
        let too_large = CodecError::TooLarge { len: sample.max + 1, max: sample.max };
        assert_eq!((sample.recode)(&bytes), Err(too_large), "{}", sample.name);
    }
}

#[test]
fn a_list_length_or_a_tag_written_anywhere_is_refused_or_meant() {
    for sample in &*SAMPLES {
        for at in (1..sample.bytes.len()).step_by(1 + sample.bytes.len() / 300) {
            for lie in [1 << 16, 1 << 32, u64::MAX] {
                let mut bytes = sample.bytes.clone();
                for (byte, lie) in bytes[at..].iter_mut().zip(u64::to_le_bytes(lie)) {
                    *byte = lie;
                }
                refuses_or_means_it(sample, &bytes);
            }
        }
    }
}

#[test]
fn a_wrong_byte_anywhere_is_refused_or_meant() {
    for sample in &*SAMPLES {
        for at in (1..sample.bytes.len()).step_by(1 + sample.bytes.len() / 300) {
            for wrong in [0, 1, 2, 255] {
                let mut bytes = sample.bytes.clone();
                bytes[at] = wrong;
                refuses_or_means_it(sample, &bytes);
            }
        }
    }
}

#[test]
fn every_enum_refuses_a_tag_it_has_not() {
    let tagged = [
        "record_get_chain",
        "record_refused",
        "order_free",
        "to_vendor_close",
        "unsettled",
        "handoff_reject",
        "bank_info",
        "bank_noted",
        "evidence_two_opens",
        "index_put_card",
        "index_card",
    ];
    for name in tagged {
        let sample = SAMPLES.iter().find(|sample| sample.name == name).expect("a sample");
        for tag in [99, 255, 1 << 16, u32::MAX] {
            let mut bytes = sample.bytes.clone();
            bytes[1..5].copy_from_slice(&u32::to_le_bytes(tag));
            assert!(matches!((sample.recode)(&bytes), Err(CodecError::Malformed(_))), "{name}");
        }
    }
}

/// One of each kind of thing that has a length of its own.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Lengths {
    bytes: Bytes<4>,
    text: Text<4>,
    list: List<u16, 4>,
    flag: Option<bool>,
}

impl Wire for Lengths {
    const MAX: usize = 64;
}

fn lengths() -> Vec<u8> {
    encode(&Lengths {
        bytes: Bytes::try_from(vec![1, 2]).expect("short"),
        text: Text::cut("ab"),
        list: List::first_of([5, 6]),
        flag: Some(true),
    })
}

#[test]
fn every_length_has_a_bound() {
    assert!(decode::<Lengths>(&lengths()).is_ok());
    for at in [1, 11, 21] {
        for length in [1, 3, 5, 6, 1 << 20, 1 << 32, u64::MAX] {
            let mut bytes = lengths();
            bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(length));
            assert!(decode::<Lengths>(&bytes).is_err(), "{length} at {at}");
        }
    }
}

#[test]
fn a_list_longer_than_its_type_is_refused_even_if_its_elements_are_there() {
    let mut bytes = lengths();
    bytes[21..29].copy_from_slice(&u64::to_le_bytes(5));
    bytes.splice(33..33, [0; 6]);
    assert!(matches!(decode::<Lengths>(&bytes), Err(CodecError::Malformed(_))));
}

#[test]
fn a_flag_is_zero_or_one_and_text_is_text() {
    let end = lengths().len();
    for (at, wrong) in [(end - 1, 2), (end - 2, 2), (end - 1, 255), (19, 0xff)] {
        let mut bytes = lengths();
        bytes[at] = wrong;
        assert!(matches!(decode::<Lengths>(&bytes), Err(CodecError::Malformed(_))), "{wrong} at {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn mangled_messages_are_refused_or_meant(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let sample = which.get(&SAMPLES);
        let mut bytes = sample.bytes.clone();
        for (at, byte) in changes {
            *at.get_mut(&mut bytes) = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        refuses_or_means_it(sample, &bytes);
    }

    #[test]
    fn noise_is_refused_or_meant(which in any::<prop::sample::Index>(), noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let sample = which.get(&SAMPLES);
        refuses_or_means_it(sample, &noise);
        refuses_or_means_it(sample, &[&[netpay_core::codec::VERSION][..], &noise].concat());
    }

    #[test]
    fn what_is_encoded_is_what_is_decoded(bytes in prop::collection::vec(any::<u8>(), 0..=4), text in "[a-zé]{0,2}", list in prop::collection::vec(any::<u16>(), 0..=4), flag in any::<Option<bool>>()) {
        let value = Lengths { bytes: Bytes::try_from(bytes).expect("short"), text: Text::cut(&text), list: List::first_of(list), flag };
        prop_assert_eq!(decode(&encode(&value)), Ok(value));
    }
}
