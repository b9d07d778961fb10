//! Ed25519 (RFC 8032) over bytes: one rule, as strict as ed25519-dalek's `verify_strict`, and two engines that can decide it.
//!
//! `(R, s)` is a signature of a message under a key `A` if, in this order,
//!
//! 1. neither `A` nor `R` is of small order, nor another encoding (y ≥ p) than the one that their point has;
//! 2. s < l;
//! 3. `R` is byte for byte the encoding of `[s]B − [SHA-512(R ‖ A ‖ message)]A`.
//!
//! This is what `verify_strict` decides, short of decompressing `R`: of what is equal to an encoding byte for byte, the order
//! can be told from the bytes. The engines only ever decide 2 and 3, one signature at a time. Many signatures in one
//! equation would be cheaper, but a signer whose key has a part of small order can make one of which that equation and
//! this rule say different things.
//!
//! The engines: ed25519-dalek, and with the feature `aws-lc` AWS-LC, which takes two thirds of the time.

use ed25519_dalek::{Signer as _, SigningKey};

#[cfg(feature = "aws-lc")]
use aws_lc as engine;
#[cfg(not(feature = "aws-lc"))]
use dalek as engine;

/// Decides 2 and 3 for a key, a message and a signature.
type Engine = fn(&[u8; 32], &[u8], &[u8; 64]) -> bool;

/// y of every point whose order divides 8, little-endian and without the sign of x: 0, 1, −1, and two of order 8.
const SMALL_ORDER: [[u8; 32]; 5] = {
    let mut points = [[0; 32]; 5];
    points[1][0] = 1;
    points[2] = [0xff; 32];
    points[2][0] = 0xec;
    points[2][31] = 0x7f;
    points[3] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ];
    points[4] = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ];
    points
};

/// Whether bytes, if they encode a point at all, encode one that is not of small order, and are its only encoding.
pub(crate) fn is_sound(point: &[u8; 32]) -> bool {
    let mut y = *point;
    y[31] &= 0x7f;
    // p = 2^255 − 19
    let is_below_p = y[0] < 0xed || y[31] != 0x7f || y[1..31].iter().any(|byte| *byte != 0xff);
    is_below_p && !SMALL_ORDER.contains(&y)
}

/// Whether this is a signature of the message under the key.
pub(crate) fn verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    verify_by(engine::holds, key, message, signature)
}

fn verify_by(engine: Engine, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let is_r_sound = signature.first_chunk().is_some_and(is_sound);
    is_sound(key) && is_r_sound && engine(key, message, signature)
}

/// A secret key, ready to sign. It is wiped from memory when dropped.
#[derive(Clone)]
pub(crate) struct Signer {
    key: SigningKey,
    #[cfg(feature = "aws-lc")]
    engine: engine::Signer,
}

impl Signer {
    pub(crate) fn from_seed(seed: &[u8; 32]) -> Self {
        Self {
            key: SigningKey::from_bytes(seed),
            #[cfg(feature = "aws-lc")]
            engine: engine::Signer::default(),
        }
    }

    pub(crate) fn seed(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// The signature of a message: there is one, whichever engine makes it.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        #[cfg(feature = "aws-lc")]
        if let Some(signature) = self.engine.sign(&self.key, message) {
            return signature;
        }
        self.key.sign(message).to_bytes()
    }
}

#[cfg(feature = "aws-lc")]
mod aws_lc {
    use super::SigningKey;
    use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
    use std::sync::{Arc, OnceLock};

    pub(super) fn holds(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok()
    }

    /// The key in the engine's form, made when it first signs: most keys of a peer sign little or nothing.
    #[derive(Clone, Default)]
    pub(super) struct Signer(Arc<OnceLock<Option<Ed25519KeyPair>>>);

    impl Signer {
        /// `None` if the engine refuses, which it has no reason to.
        pub(super) fn sign(&self, key: &SigningKey, message: &[u8]) -> Option<[u8; 64]> {
            let pair = self.0.get_or_init(|| Ed25519KeyPair::from_seed_unchecked(key.as_bytes()).ok());
            pair.as_ref()?.try_sign(message).ok()?.as_ref().try_into().ok()
        }
    }
}

#[cfg(any(test, not(feature = "aws-lc")))]
mod dalek {
    use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};

    pub(super) fn holds(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(key)
            .is_ok_and(|key| key.verify(message, &Signature::from_bytes(signature)).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as BASE, EIGHT_TORSION};
    use curve25519_dalek::edwards::EdwardsPoint;
    use curve25519_dalek::scalar::{Scalar, clamp_integer};
    use ed25519_dalek::{Signature, VerifyingKey};
    use std::collections::BTreeSet;

    const MESSAGE: &[u8] = b"a message";

    const ENGINES: &[Engine] = &[
        dalek::holds,
        #[cfg(feature = "aws-lc")]
        aws_lc::holds,
    ];

    /// The reference: what this module must never be laxer than, nor stricter for keys that anybody could have.
    fn strictly(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(key)
            .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }

    fn agree(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let expected = strictly(key, message, signature);
        for (number, engine) in ENGINES.iter().enumerate() {
            let holds = verify_by(*engine, key, message, signature);
            assert_eq!(holds, expected, "engine {number}: {key:02x?} {signature:02x?}");
        }
        expected
    }

    fn signature(r: &[u8; 32], s: &Scalar) -> [u8; 64] {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(r);
        signature[32..].copy_from_slice(s.as_bytes());
        signature
    }

    fn secret_scalar(seed: &[u8; 32]) -> Scalar {
        use sha2::Digest as _;
        let hash = sha2::Sha512::digest(seed);
        Scalar::from_bytes_mod_order(clamp_integer(std::array::from_fn(|i| hash[i])))
    }

    fn challenge(r: &[u8; 32], key: &[u8; 32], message: &[u8]) -> Scalar {
        use sha2::Digest as _;
        let hash = sha2::Sha512::new().chain_update(r).chain_update(key).chain_update(message).finalize();
        Scalar::from_bytes_mod_order_wide(&hash.into())
    }

    #[test]
    fn the_points_of_small_order_are_eight_and_all_known() {
        let eight: BTreeSet<_> = EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
        assert_eq!(eight.len(), 8);
        let y = |mut point: [u8; 32]| {
            point[31] &= 0x7f;
            point
        };
        assert_eq!(eight.iter().copied().map(y).collect::<BTreeSet<_>>(), BTreeSet::from(SMALL_ORDER));
        assert!(eight.iter().all(|point| !is_sound(point)));
        // p and p + 1, which decoders read as 0 and 1; and p − 2, an encoding as good as any.
        let near_p = |low| SMALL_ORDER[2].map(|byte| if byte == 0xec { low } else { byte });
        assert!([0xed, 0xee, 0xff].map(near_p).iter().all(|point| !is_sound(point)));
        assert!(is_sound(&near_p(0xeb)));
    }

    #[test]
    fn every_engine_makes_the_same_signatures_and_takes_no_others() {
        for number in 0..32_u8 {
            let signer = Signer::from_seed(&[number; 32]);
            let (key, message) = (signer.public(), vec![number; usize::from(number) * 9]);
            let signature = signer.sign(&message);
            assert_eq!(signature, SigningKey::from_bytes(&[number; 32]).sign(&message).to_bytes());
            assert!(agree(&key, &message, &signature));
            assert!(!agree(&key, b"another message", &signature));
            for bit in (0..512).step_by(13) {
                let mut bent = signature;
                bent[bit / 8] ^= 1 << (bit % 8);
                assert!(!agree(&key, &message, &bent), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_signature_has_one_form() {
        let signer = Signer::from_seed(&[3; 32]);
        let mut signature = signer.sign(MESSAGE);
        // s + l is the same number to whoever reduces it.
        let l = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut carry = 0;
        for (byte, add) in signature[32..].iter_mut().zip::<[u8; 32]>(l) {
            carry += u16::from(*byte) + u16::from(add);
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        assert!(!agree(&signer.public(), MESSAGE, &signature));
    }

    #[test]
    fn keys_and_points_with_a_part_of_small_order_get_the_same_verdict_as_from_verify_strict() {
        let (mut held, mut fell) = (0, 0);
        let (secret, nonce) = (Scalar::from(0x1234_5678_u64), Scalar::from(0x8765_4321_u64));
        for of_key in &EIGHT_TORSION {
            for of_r in &EIGHT_TORSION {
                let key = (BASE * secret + of_key).compress().to_bytes();
                let r = (BASE * nonce + of_r).compress().to_bytes();
                for number in 0..8_u8 {
                    let message = [number];
                    let s = nonce + challenge(&r, &key, &message) * secret;
                    if agree(&key, &message, &signature(&r, &s)) { held += 1 } else { fell += 1 }
                }
            }
        }
        // Some hold, as the parts cancel out: the rule has no factor 8, and neither has any engine.
        assert!(held > 8 && fell > 8, "{held} held, {fell} fell");
    }

    #[test]
    fn nothing_is_signed_under_a_key_of_small_order_or_with_such_a_point() {
        let s = Scalar::from(7_u64);
        let r = (BASE * s).compress().to_bytes();
        for point in &EIGHT_TORSION {
            let weak = point.compress().to_bytes();
            for message in 0..32_u8 {
                assert!(!agree(&weak, &[message], &signature(&r, &s)));
                assert!(!agree(&weak, &[message], &signature(&weak, &Scalar::ZERO)));
            }
            // R of small order under a sound key: what makes the equation hold is known to the key's owner.
            let signer = Signer::from_seed(&[5; 32]);
            let s = challenge(&weak, &signer.public(), MESSAGE) * secret_scalar(&signer.seed());
            assert!(!agree(&signer.public(), MESSAGE, &signature(&weak, &s)));
        }
        let identity = EdwardsPoint::default().compress().to_bytes();
        assert!(!is_sound(&identity));
    }
}
