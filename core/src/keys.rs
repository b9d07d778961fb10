//! Signatures: Ed25519 over `domain ‖ network ‖ bytes`, and the two forms a signed object has:
//! [`Unverified`] as it came, [`Signed`] once its signature held.

use crate::codec::{self, Bytes, CodecError, Wire};
use crate::ed25519::{self, Signer};
use crate::id::{BadHex, NetworkId, ObjectHash, parse_hex, write_hex};
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

/// The most bytes a signed object's body may take, in bytes; each type's own limit is lower or equal.
pub const MAX_BODY: usize = 4096;

/// An Ed25519 public key: of a node, an account, a chain, a holder or a broker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Whether this is a key that signatures can be trusted under: the encoding of a point on the curve that is not of small
    /// order.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        ed25519::is_sound(&self.0) && VerifyingKey::from_bytes(&self.0).is_ok()
    }

    fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        if ed25519::verify(&self.0, message, &signature.0) { Ok(()) } else { Err(BadSignature::Forged) }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self:.8}…)")
    }
}

impl FromStr for PublicKey {
    type Err = BadHex;
    fn from_str(text: &str) -> Result<Self, BadHex> {
        parse_hex(text).map(Self)
    }
}

/// An Ed25519 secret key, wiped from memory when dropped.
#[derive(Clone)]
pub struct SecretKey(Signer);

impl SecretKey {
    /// The key grown from a 32-byte seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Signer::from_seed(seed))
    }

    /// The key derived from a secret for one purpose: KDF(secret, label).
    #[must_use]
    pub fn derive(secret: &[u8; 32], label: &[u8]) -> Self {
        Self::from_seed(blake3::keyed_hash(secret, label).as_bytes())
    }

    /// The seed it was grown from. Keep it as well as the key.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.0.seed()
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.public())
    }

    /// Signs `value` for `network`.
    ///
    /// # Panics
    /// If the value breaks its own type's limits.
    #[must_use]
    pub fn sign<T: Signable>(&self, network: &NetworkId, value: T) -> Signed<T> {
        let body = codec::encode(&value);
        let message = signed_message(&T::DOMAIN, network, &body);
        let signature = Signature(self.0.sign(&message));
        let hash = ObjectHash(*blake3::hash(&message).as_bytes());
        #[expect(clippy::expect_used, reason = "encode has already held the body to T::MAX <= MAX_BODY")]
        let body = Bytes::try_from(body).expect("a body within its limit");
        Signed::new(value, Unverified { body, signature, of: PhantomData }, hash)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {:?}", self.public())
    }
}

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (r, s) = self.0.split_at(32);
        (<[u8; 32]>::try_from(r).unwrap_or_default(), <[u8; 32]>::try_from(s).unwrap_or_default())
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (r, s) = <([u8; 32], [u8; 32])>::deserialize(deserializer)?;
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&r);
        bytes[32..].copy_from_slice(&s);
        Ok(Self(bytes))
    }
}

/// What a signature separates its objects by: 16 bytes before the network id.
pub type Domain = [u8; 16];

/// An object that somebody signs.
pub trait Signable: Wire {
    /// The domain; no two types share one.
    const DOMAIN: Domain;
}

/// An object that names the key which must have signed it.
pub trait SelfSigned: Signable {
    /// The key named.
    fn signer(&self) -> PublicKey;
}

/// Why a signed object was not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// The signature does not hold for this key, network and body; or the key is weak.
    #[error("the signature does not hold")]
    Forged,
    /// The body is not of the type.
    #[error("the signed body is {0}")]
    Body(#[from] CodecError),
}

/// A signed object as it came: nothing in it is believed yet.
pub struct Unverified<T> {
    body: Bytes<MAX_BODY>,
    signature: Signature,
    of: PhantomData<fn() -> T>,
}

impl<T: Signable> Wire for Unverified<T> {
    // Version, length and signature around the body.
    const MAX: usize = T::MAX + 1 + 8 + 64;
}

impl<T: Signable> Unverified<T> {
    /// What the object claims, unbelieved: to find out whose signature to ask for.
    ///
    /// # Errors
    /// If the body is not of the type.
    pub fn claim(&self) -> Result<T, CodecError> {
        codec::decode(&self.body)
    }

    /// The object, if `key` signed exactly these bytes for `network`.
    ///
    /// # Errors
    /// If the signature does not hold or the body is not of the type.
    pub fn verify(self, network: &NetworkId, key: &PublicKey) -> Result<Signed<T>, BadSignature> {
        let message = signed_message(&T::DOMAIN, network, &self.body);
        key.verify(&message, &self.signature)?;
        let value = codec::decode(&self.body)?;
        let hash = ObjectHash(*blake3::hash(&message).as_bytes());
        Ok(Signed::new(value, self, hash))
    }

    /// The object, if the key it names signed it.
    ///
    /// # Errors
    /// As for [`Unverified::verify`].
    pub fn verify_own(self, network: &NetworkId) -> Result<Signed<T>, BadSignature>
    where
        T: SelfSigned,
    {
        let key = self.claim()?.signer();
        self.verify(network, &key)
    }

    /// The object, if `known` has these very bytes and signature: they were checked before. Else as
    /// [`Unverified::verify`].
    ///
    /// # Errors
    /// As for [`Unverified::verify`].
    pub(crate) fn verify_unless<'a>(
        self,
        known: impl IntoIterator<Item = &'a Self>,
        network: &NetworkId,
        key: &PublicKey,
    ) -> Result<Signed<T>, BadSignature>
    where
        T: 'a,
    {
        if !known.into_iter().any(|known| *known == self) {
            return self.verify(network, key);
        }
        let (value, hash) = (codec::decode(&self.body)?, self.hash(network));
        Ok(Signed::new(value, self, hash))
    }

    /// The hash the object has if it is genuine.
    #[must_use]
    pub fn hash(&self, network: &NetworkId) -> ObjectHash {
        ObjectHash(*blake3::hash(&signed_message(&T::DOMAIN, network, &self.body)).as_bytes())
    }
}

impl<T: Signable> Unverified<T> {
    /// The same bytes under another signature, which somebody else made over them.
    #[must_use]
    pub fn signed_also(&self, signature: Signature) -> Self {
        Self { body: self.body.clone(), signature, of: PhantomData }
    }

    /// The signed object of a value that both sides know and a bare signature that came alone.
    #[must_use]
    pub fn rebuild(value: &T, signature: Signature) -> Self {
        #[expect(clippy::expect_used, reason = "encode has already held the body to T::MAX <= MAX_BODY")]
        let body = Bytes::try_from(codec::encode(value)).expect("a body within its limit");
        Self { body, signature, of: PhantomData }
    }
}

impl<T> Clone for Unverified<T> {
    fn clone(&self) -> Self {
        Self { body: self.body.clone(), signature: self.signature, of: PhantomData }
    }
}

impl<T> PartialEq for Unverified<T> {
    fn eq(&self, other: &Self) -> bool {
        self.body == other.body && self.signature == other.signature
    }
}

impl<T> Eq for Unverified<T> {}

impl<T> fmt::Debug for Unverified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unverified<{}>({:?})", std::any::type_name::<T>(), self.body)
    }
}

impl<T> Serialize for Unverified<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.body, &self.signature).serialize(serializer)
    }
}

impl<'de, T: Wire> Deserialize<'de> for Unverified<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (body, signature) = <(Bytes<MAX_BODY>, Signature)>::deserialize(deserializer)?;
        Ok(Self { body, signature, of: PhantomData })
    }
}

/// A signed object whose signature held. Reads as the object itself; clones are the same one, in memory too.
#[derive(Debug)]
pub struct Signed<T>(Arc<Parts<T>>);

#[derive(Debug)]
struct Parts<T> {
    value: T,
    wire: Unverified<T>,
    hash: ObjectHash,
}

impl<T> Signed<T> {
    fn new(value: T, wire: Unverified<T>, hash: ObjectHash) -> Self {
        Self(Arc::new(Parts { value, wire, hash }))
    }

    /// The object.
    #[must_use]
    pub fn value(&self) -> &T {
        &self.0.value
    }

    /// The object as it goes over the wire: the very bytes that were signed.
    #[must_use]
    pub fn wire(&self) -> Unverified<T> {
        self.0.wire.clone()
    }

    /// The bare signature.
    #[must_use]
    pub fn signature(&self) -> Signature {
        self.0.wire.signature
    }

    /// BLAKE3 of the signed message.
    #[must_use]
    pub fn hash(&self) -> ObjectHash {
        self.0.hash
    }
}

impl<T> Clone for Signed<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> PartialEq for Signed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.hash == other.0.hash && self.0.wire == other.0.wire
    }
}

impl<T> Eq for Signed<T> {}

impl<T> Deref for Signed<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0.value
    }
}

fn signed_message(domain: &Domain, network: &NetworkId, body: &[u8]) -> Vec<u8> {
    [domain.as_slice(), &network.0, body].concat()
}
