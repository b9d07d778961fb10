//! The password of the interface: without one it can be reached from its own machine only.

use crate::app::view::ErrorView;
use crate::clock::random;
use crate::errors;
use crate::home::Home;
use crate::store::files::{PRIVATE, atomic_write};
use argon2::Argon2;
use std::io;

/// The shortest password, in bytes.
pub const MIN_PASSWORD: usize = 8;
/// The longest password looked at, in bytes.
const MAX_PASSWORD: usize = 1024;

/// What is kept of a password: a salt, and Argon2id's output.
#[derive(Clone, Debug)]
pub struct Password {
    salt: [u8; 16],
    hash: [u8; 32],
}

impl Password {
    /// What is to be kept of a password.
    #[must_use]
    pub fn of(password: &str) -> Self {
        let salt = random();
        Self { salt, hash: stretched(password, &salt) }
    }

    /// The one that was set for this home, if any.
    ///
    /// # Errors
    /// If the file cannot be read, or is none of ours.
    pub fn load(home: &Home) -> Result<Option<Self>, ErrorView> {
        let path = home.interface_password();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(errors::io("reading", &path, &error)),
        };
        let bytes = data_encoding::HEXLOWER.decode(text.trim().as_bytes()).unwrap_or_default();
        let parts = bytes.split_first_chunk().and_then(|(salt, hash)| Some((*salt, hash.try_into().ok()?)));
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is not what was written there");
        let (salt, hash) = parts.ok_or_else(|| errors::io("reading", &path, &damaged()))?;
        Ok(Some(Self { salt, hash }))
    }

    /// Sets a home's password, or with `None` takes it away. It holds at once, also where a peer runs.
    ///
    /// # Errors
    /// If it is too short or too long, or the file cannot be written.
    pub fn set(home: &Home, password: Option<&str>) -> Result<(), ErrorView> {
        let path = home.interface_password();
        let Some(password) = password else {
            return match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(errors::io("removing", &path, &error))
                }
                _ => Ok(()),
            };
        };
        if !(MIN_PASSWORD..=MAX_PASSWORD).contains(&password.len()) {
            return Err(errors::bad_passphrase(format!(
                "a password has {MIN_PASSWORD} to {MAX_PASSWORD} bytes"
            )));
        }
        let Self { salt, hash } = Self::of(password);
        let text = data_encoding::HEXLOWER.encode(&[&salt[..], &hash[..]].concat());
        atomic_write(&path, text.as_bytes(), PRIVATE).map_err(|error| errors::io("writing", &path, &error))
    }

    /// Whether this is it. Takes as long as Argon2id does, whatever is given.
    #[must_use]
    pub fn is(&self, password: &str) -> bool {
        // Digests are compared, so that the time taken says nothing.
        let given = stretched(password.get(..MAX_PASSWORD).unwrap_or(password), &self.salt);
        blake3::hash(&given) == blake3::hash(&self.hash)
    }
}

fn stretched(password: &str, salt: &[u8; 16]) -> [u8; 32] {
    let mut hash = [0; 32];
    // Its defaults are in range, and so are these lengths: it cannot refuse. If it did, nothing would match.
    if Argon2::default().hash_password_into(password.as_bytes(), salt, &mut hash).is_err() {
        hash = random();
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_kept_as_its_hash_and_can_be_taken_away() {
        let directory = tempfile::tempdir().expect("a directory");
        let home = Home::at(directory.path());
        assert!(Password::load(&home).expect("readable").is_none());
        assert!(Password::set(&home, Some("short")).is_err());
        Password::set(&home, Some("open sesame")).expect("written");
        let kept = Password::load(&home).expect("readable").expect("set");
        assert!(kept.is("open sesame") && !kept.is("open sesam") && !kept.is(""));
        let text = std::fs::read_to_string(home.interface_password()).expect("there");
        assert!(!text.contains("sesame"));
        std::fs::write(home.interface_password(), "nonsense").expect("written");
        assert!(Password::load(&home).is_err());
        Password::set(&home, None).expect("removed");
        assert!(Password::load(&home).expect("readable").is_none());
    }
}
