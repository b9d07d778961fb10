//! AES-256 in counter mode as it is within GCM with a nonce of zeros: the first block of the stream is that of counter 2.
//!
//! With the feature `aws-lc` a whole unit goes through AWS-LC's GCM, whose tag is not used: for that there is code at memory
//! speed, while its counter mode alone takes twice, and that of the `ctr` crate nearly four times as long
//! (`cargo bench -p netpay-core --features aws-lc --bench sealing`).

use ctr::cipher::{KeyIvInit as _, StreamCipher as _, StreamCipherSeek as _};

/// Adds the stream of this key, from its byte `at` on, to the bytes. A key has one stream: it is used for one unit.
pub(super) fn apply(key: &[u8; 32], at: u64, bytes: &mut [u8]) {
    #[cfg(feature = "aws-lc")]
    if at == 0 && aws_lc(key, bytes).is_some() {
        return;
    }
    by_counter(key, at, bytes);
}

fn by_counter(key: &[u8; 32], at: u64, bytes: &mut [u8]) {
    let mut first = [0; 16];
    first[15] = 2;
    let mut cipher = ctr::Ctr32BE::<aes::Aes256>::new(&(*key).into(), &first.into());
    cipher.seek(at);
    cipher.apply_keystream(bytes);
}

/// `None`, and the bytes as they were, if the engine refuses, which it has no reason to.
#[cfg(feature = "aws-lc")]
fn aws_lc(key: &[u8; 32], bytes: &mut [u8]) -> Option<()> {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    // Also whoever opens a unit adds the stream: what it would be the tag of matters to nobody.
    key.seal_in_place_separate_tag(nonce, Aad::empty(), bytes).ok().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_that_of_gcm() {
        // Case 14 of the GCM specification: key, nonce and text of zeros.
        let mut block = [0; 16];
        apply(&[0; 32], 0, &mut block);
        let expected = data_encoding::HEXLOWER.decode(b"cea7403d4d606b6e074ec5d3baf39d18").expect("hex");
        assert_eq!(block.as_slice(), expected);
    }

    #[test]
    fn a_part_is_the_same_as_in_the_whole() {
        let mut whole = vec![0; crate::content::units::MAX_UNIT];
        apply(&[7; 32], 0, &mut whole);
        for at in [0, 1, 16_384, 100_001, whole.len() - 1] {
            let mut part = whole[at..].to_vec();
            by_counter(&[7; 32], at as u64, &mut part);
            assert!(part.iter().all(|byte| *byte == 0), "from {at}");
        }
    }
}
