//! Bytes of every object and message: bincode 2 with fixed-size little-endian integers behind one
//! version byte, so that a value has exactly one encoding; size-limited, without trailing bytes.
//!
//! bincode appears in this file only, so that it can be replaced here.

use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// The version every encoding begins with.
pub const VERSION: u8 = 1;

/// No encoding, however large its own limit, may make the decoder claim more memory than this, in bytes.
const DECODER_LIMIT: usize = 1 << 20;

/// A type with a wire form and the most bytes that form may take.
pub trait Wire: Serialize + DeserializeOwned {
    /// The largest encoding, version byte included, in bytes.
    const MAX: usize;
}

/// Why bytes are not a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// More bytes than the type allows.
    #[error("{len} bytes where at most {max} are allowed")]
    TooLarge {
        /// The bytes received.
        len: usize,
        /// The bytes allowed.
        max: usize,
    },
    /// No bytes, or a version this software does not speak.
    #[error("encoding version {0:?} is not spoken here (this is version {VERSION})")]
    Version(Option<u8>),
    /// Bytes after the end of the value.
    #[error("{0} bytes after the end of the value")]
    Trailing(usize),
    /// Truncated, or not of the type at all.
    #[error("malformed: {0}")]
    Malformed(String),
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<DECODER_LIMIT>()
}

/// The one encoding of `value`.
///
/// # Panics
/// If the value breaks its own type's limits: our mistake, never the peer's.
#[must_use]
pub fn encode<T: Wire>(value: &T) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    #[expect(
        clippy::expect_used,
        reason = "writing to a Vec fails only on a type that serde cannot express"
    )]
    bincode::serde::encode_into_std_write(value, &mut bytes, config()).expect("a wire type encodes");
    assert!(bytes.len() <= T::MAX, "an encoding of {} bytes breaks its limit of {}", bytes.len(), T::MAX);
    bytes
}

/// The value whose one encoding is `bytes`.
///
/// # Errors
/// If the bytes are too many, of another version, malformed, or more than the value.
pub fn decode<T: Wire>(bytes: &[u8]) -> Result<T, CodecError> {
    if bytes.len() > T::MAX {
        return Err(CodecError::TooLarge { len: bytes.len(), max: T::MAX });
    }
    let (&VERSION, body) = bytes.split_first().ok_or(CodecError::Version(None))? else {
        return Err(CodecError::Version(bytes.first().copied()));
    };
    let (value, read) = bincode::serde::decode_from_slice::<T, _>(body, config())
        .map_err(|e| CodecError::Malformed(e.to_string()))?;
    if read < body.len() {
        return Err(CodecError::Trailing(body.len() - read));
    }
    Ok(value)
}

/// A list of at most `MAX` elements; a longer one does not decode.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> List<T, MAX> {
    /// The empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds an element, or gives it back when the list is full.
    ///
    /// # Errors
    /// The element, if there is no room.
    pub fn push(&mut self, element: T) -> Result<(), T> {
        if self.0.len() >= MAX {
            return Err(element);
        }
        self.0.push(element);
        Ok(())
    }

    /// The list of the first `MAX` of `elements`.
    #[must_use]
    pub fn first_of(elements: impl IntoIterator<Item = T>) -> Self {
        Self(elements.into_iter().take(MAX).collect())
    }

    /// The elements.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const MAX: usize> TryFrom<Vec<T>> for List<T, MAX> {
    type Error = CodecError;
    fn try_from(elements: Vec<T>) -> Result<Self, CodecError> {
        if elements.len() > MAX {
            return Err(CodecError::TooLarge { len: elements.len(), max: MAX });
        }
        Ok(Self(elements))
    }
}

impl<T, const MAX: usize> Deref for List<T, MAX> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

/// Elements may change; how many there are stays.
impl<T, const MAX: usize> DerefMut for List<T, MAX> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<'a, T, const MAX: usize> IntoIterator for &'a List<T, MAX> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Elements<T, MAX> {
            type Value = Vec<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MAX}")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
                if seq.size_hint().is_some_and(|len| len > MAX) {
                    return Err(A::Error::custom(format_args!("a list longer than {MAX}")));
                }
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    if elements.len() >= MAX {
                        return Err(A::Error::custom(format_args!("a list longer than {MAX}")));
                    }
                    elements.push(element);
                }
                Ok(elements)
            }
        }
        deserializer.deserialize_seq(Elements::<T, MAX>(PhantomData)).map(Self)
    }
}

/// At most `MAX` bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> Deref for Bytes<MAX> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const MAX: usize> TryFrom<Vec<u8>> for Bytes<MAX> {
    type Error = CodecError;
    fn try_from(bytes: Vec<u8>) -> Result<Self, CodecError> {
        if bytes.len() > MAX {
            return Err(CodecError::TooLarge { len: bytes.len(), max: MAX });
        }
        Ok(Self(bytes))
    }
}

impl<const MAX: usize> fmt::Debug for Bytes<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl<const MAX: usize> Serialize for Bytes<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Bytes<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Raw<const MAX: usize>;
        impl<const MAX: usize> Visitor<'_> for Raw<MAX> {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MAX} bytes")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                if bytes.len() > MAX {
                    return Err(E::custom(format_args!("more than {MAX} bytes")));
                }
                Ok(bytes.to_vec())
            }
        }
        // Not `deserialize_byte_buf`, which makes room for the length that is claimed before a byte is there.
        deserializer.deserialize_bytes(Raw::<MAX>).map(Self)
    }
}

/// Text of at most `MAX` bytes of UTF-8. It comes from other people: escape it before showing it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// `text`, cut at a character boundary to `MAX` bytes.
    #[must_use]
    pub fn cut(text: &str) -> Self {
        let mut end = text.len().min(MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self(text[..end].to_owned())
    }
}

impl<const MAX: usize> TryFrom<&str> for Text<MAX> {
    type Error = CodecError;
    fn try_from(text: &str) -> Result<Self, CodecError> {
        if text.len() > MAX {
            return Err(CodecError::TooLarge { len: text.len(), max: MAX });
        }
        Ok(Self(text.to_owned()))
    }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Plain<const MAX: usize>;
        impl<const MAX: usize> Visitor<'_> for Plain<MAX> {
            type Value = String;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "text of at most {MAX} bytes")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
                if text.len() > MAX {
                    return Err(E::custom(format_args!("text longer than {MAX} bytes")));
                }
                Ok(text.to_owned())
            }
        }
        // As with bytes: `deserialize_string` would believe the length.
        deserializer.deserialize_str(Plain::<MAX>).map(Self)
    }
}
