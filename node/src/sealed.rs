//! A chain's seed on its way from the broker to the buyer: HPKE (RFC 9180) in base mode with X25519, HKDF-SHA256 and
//! ChaCha20-Poly1305. `info` is the touchstone's hash, so a sealed seed opens for its own chain only.
//!
//! The broker seals thousands a second and takes the faster library for it, which rustls brings along; the buyer opens one
//! at a time.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem as _, OpModeR, Serializable as _};
use netpay_core::codec::Bytes;
use netpay_core::coin::chain::Seed;
use netpay_core::id::ObjectHash;
use netpay_core::wire::bank::SEALED_SEED;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_CHACHA20_POLY1305 as SEALER;
use rustls::crypto::hpke::{Hpke as _, HpkePublicKey};
use zeroize::Zeroizing;

type Kem = X25519HkdfSha256;

/// Bytes of an encapsulated key.
const ENCAPSULATED: usize = 32;

/// Why a seed was not sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Nobody can open what is sealed to this key.
    #[error("the sealing key is not usable")]
    Key,
    /// It was sealed to another key, for another chain, or is damaged.
    #[error("the sealed seed does not open with this key for this chain")]
    Unopened,
}

/// The buyer's half: opens what was sealed to its public half.
#[derive(Clone)]
pub struct SealingKey(<Kem as hpke::Kem>::PrivateKey);

impl SealingKey {
    /// The key grown from 32 random or derived bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Kem::derive_keypair(seed).0)
    }

    /// What goes into the request ([`netpay_core::wire::bank::Buy`]).
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        Kem::sk_to_pk(&self.0).to_bytes().into()
    }

    /// Opens the seed of the chain whose touchstone has this hash.
    ///
    /// # Errors
    /// If it was sealed to another key, for another chain, or is damaged.
    pub fn open(&self, sealed: &[u8], touchstone: ObjectHash) -> Result<Seed, SealError> {
        let (encapsulated, ciphertext) = sealed.split_at_checked(ENCAPSULATED).ok_or(SealError::Unopened)?;
        let encapsulated =
            <Kem as hpke::Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| SealError::Unopened)?;
        let plain = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeR::Base,
            &self.0,
            &encapsulated,
            &touchstone.0,
            ciphertext,
            &[],
        );
        let plain = Zeroizing::new(plain.map_err(|_| SealError::Unopened)?);
        <[u8; 16]>::try_from(plain.as_slice()).map(Seed).map_err(|_| SealError::Unopened)
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(secret)")
    }
}

/// Seals a seed to a buyer's sealing key, for the chain whose touchstone has this hash.
///
/// # Errors
/// If the key is not usable.
pub fn seal(seed: &Seed, to: &[u8; 32], touchstone: ObjectHash) -> Result<Bytes<SEALED_SEED>, SealError> {
    let (encapsulated, ciphertext) =
        SEALER.seal(&touchstone.0, &[], &seed.0, &HpkePublicKey(to.to_vec())).map_err(|_| SealError::Key)?;
    let sealed = [encapsulated.0, ciphertext].concat();
    Bytes::try_from(sealed).map_err(|_| SealError::Key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_opens_for_its_buyer_and_its_chain_only() {
        let (buyer, other) = (SealingKey::from_seed(&[1; 32]), SealingKey::from_seed(&[2; 32]));
        let seed = Seed([7; 16]);
        let sealed = seal(&seed, &buyer.public(), ObjectHash([3; 32])).expect("a usable key");
        assert_eq!(sealed.len(), SEALED_SEED);
        assert_eq!(buyer.open(&sealed, ObjectHash([3; 32])), Ok(seed));
        assert_eq!(buyer.open(&sealed, ObjectHash([4; 32])), Err(SealError::Unopened));
        assert_eq!(other.open(&sealed, ObjectHash([3; 32])), Err(SealError::Unopened));
        let mut damaged = sealed.to_vec();
        damaged[40] ^= 1;
        assert_eq!(buyer.open(&damaged, ObjectHash([3; 32])), Err(SealError::Unopened));
        assert_eq!(buyer.open(&damaged[..10], ObjectHash([3; 32])), Err(SealError::Unopened));
    }

    #[test]
    fn nothing_is_sealed_to_a_key_of_small_order() {
        assert_eq!(seal(&Seed([7; 16]), &[0; 32], ObjectHash([3; 32])), Err(SealError::Key));
    }
}
