//! The wallet at rest: one small file with the secrets, encrypted under the passphrase, and a row per
//! chain in the database, encrypted under a key from that file.

use crate::clock::random;
use crate::store::files::{PRIVATE, atomic_write};
use crate::store::{Batch, Db, StoreError, Table};
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use netpay_core::amount::Index;
use netpay_core::codec::{self, Bytes, CodecError, List, Wire};
use netpay_core::coin::segment::SegmentNo;
use netpay_core::id::{ChainId, NetworkId};
use netpay_core::keys::{PublicKey, SecretKey};
use netpay_core::wallet::{ChainRow, Wallet, WalletChange, WalletError};
use serde::{Deserialize, Serialize};
use std::path::Path;
use zeroize::{Zeroize, ZeroizeOnDrop};

const CHAINS: Table = Table::new("wallet-chains");
const INDICES: Table = Table::new("wallet-indices");
/// Memory that a guess at the passphrase costs, in KiB.
const KDF_MEMORY: u32 = 64 * 1024;
/// Passes over it.
const KDF_PASSES: u32 = 3;
/// The most chains in one backup.
const MAX_BACKUP: usize = 4096;

/// Why the wallet cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The passphrase is wrong, or the file was tampered with: the two cannot be told apart.
    #[error("the passphrase does not open the wallet")]
    WrongPassphrase,
    /// The file is not a wallet.
    #[error("this is not a wallet: {0}")]
    NotAWallet(String),
    /// A backup would replace chains that are here, or an account that is still to be paid.
    #[error("this wallet has chains of its own, or earnings not yet redeemed")]
    NotEmpty,
    /// More chains than a backup can hold.
    #[error("the wallet holds more chains than one backup can")]
    TooLarge,
    /// The file cannot be read or written.
    #[error("the wallet file: {0}")]
    Io(#[from] std::io::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A chain in it does not hold.
    #[error("a chain of the wallet does not hold: {0}")]
    Chain(#[from] WalletError),
}

/// The secrets of one account.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Secrets {
    account: [u8; 32],
    releases: [u8; 32],
    rows: [u8; 32],
}

impl Wire for Secrets {
    const MAX: usize = 128;
}

/// How the file is protected.
#[derive(Clone, Serialize, Deserialize)]
enum Protection {
    /// By a passphrase: argon2id with this salt, memory and passes.
    Passphrase { salt: [u8; 16], memory: u32, passes: u32 },
    /// By nothing: for swarms on one machine.
    None,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Sealed {
    protection: Protection,
    nonce: [u8; 24],
    sealed: Bytes<{ 1 << 19 }>,
}

impl Wire for Sealed {
    const MAX: usize = 1 << 19;
}

/// Everything a backup holds.
#[derive(Serialize, Deserialize)]
struct Contents {
    secrets: Secrets,
    chains: List<Bytes<{ 64 * 1024 }>, MAX_BACKUP>,
}

impl Wire for Contents {
    const MAX: usize = 1 << 19;
}

/// An opened wallet: the account's key, and the chains.
pub struct Purse {
    secrets: Secrets,
    /// The account's key.
    pub account: SecretKey,
    /// The chains.
    pub wallet: Wallet,
}

/// Makes a new wallet file.
///
/// # Errors
/// If it cannot be written.
pub fn create(path: &Path, passphrase: Option<&str>) -> Result<(), VaultError> {
    let secrets = Secrets { account: random(), releases: random(), rows: random() };
    let bytes = seal(&codec::encode(&secrets), passphrase)?;
    atomic_write(path, &bytes, PRIVATE)?;
    Ok(())
}

/// Whether the file needs a passphrase.
///
/// # Errors
/// If it is not a wallet.
pub fn needs_passphrase(path: &Path) -> Result<bool, VaultError> {
    Ok(matches!(read(path)?.protection, Protection::Passphrase { .. }))
}

/// Opens the wallet and loads its chains.
///
/// # Errors
/// If the passphrase is wrong, or anything in it does not hold.
pub fn open(
    path: &Path,
    passphrase: Option<&str>,
    db: &Db,
    network: NetworkId,
    broker: PublicKey,
) -> Result<Purse, VaultError> {
    let plain = unseal(&read(path)?, passphrase)?;
    let secrets: Secrets = codec::decode(&plain).map_err(not_a_wallet)?;
    let mut purse = Purse::new(secrets, network, broker);
    purse.load(db)?;
    Ok(purse)
}

impl Purse {
    fn new(secrets: Secrets, network: NetworkId, broker: PublicKey) -> Self {
        let account = SecretKey::from_seed(&secrets.account);
        let wallet = Wallet::new(network, broker, secrets.releases);
        Self { secrets, account, wallet }
    }

    fn load(&mut self, db: &Db) -> Result<(), VaultError> {
        let mut after = None::<Vec<u8>>;
        loop {
            let page = db.scan(CHAINS, &[], after.as_deref(), 64)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, value) in &page {
                let plain = self.decrypt(key, value)?;
                let row: ChainRow = codec::decode(&plain).map_err(not_a_wallet)?;
                let indices = self.indices(db, key)?;
                self.wallet.load(row, &indices)?;
            }
        }
    }

    fn indices(&self, db: &Db, chain: &[u8]) -> Result<Vec<(SegmentNo, Index)>, VaultError> {
        let (mut indices, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let page = db.scan(INDICES, chain, after.as_deref(), 256)?;
            let Some((last, _)) = page.last() else { return Ok(indices) };
            after = Some(last.clone());
            for (key, value) in &page {
                let number = key.get(32..36).and_then(|j| j.try_into().ok()).map(u32::from_be_bytes);
                let plain = self.decrypt(key, value)?;
                let index = plain.try_into().ok().map(u32::from_be_bytes);
                indices.extend(number.zip(index).map(|(j, i)| (SegmentNo(j), Index(i))));
            }
        }
    }

    /// The rows that these changes mean, encrypted.
    pub fn rows(&self, changes: &[WalletChange], batch: &mut Batch) {
        let mut changes = changes.to_vec();
        changes.sort_unstable();
        changes.dedup();
        for change in changes {
            match change {
                WalletChange::Chain(id) => match self.wallet.row(&id) {
                    Some(row) => drop(batch.put(CHAINS, id.0, self.encrypt(&id.0, &codec::encode(&row)))),
                    None => drop(batch.delete(CHAINS, id.0)),
                },
                WalletChange::Index(id, j) => {
                    let key = index_key(&id, j);
                    if let Some(index) = self.wallet.released(&id, j) {
                        let sealed = self.encrypt(&key, &index.0.to_be_bytes());
                        batch.put(INDICES, key, sealed);
                    }
                }
            }
        }
    }

    /// Everything, encrypted under a passphrase of its own.
    ///
    /// # Errors
    /// If it is too large for a backup.
    pub fn backup(&self, passphrase: &str) -> Result<Vec<u8>, VaultError> {
        let chains = self.wallet.chains().filter_map(|(id, _)| self.wallet.row(id));
        let chains = chains.filter_map(|row| Bytes::try_from(codec::encode(&row)).ok());
        let chains: Vec<Bytes<{ 64 * 1024 }>> = chains.collect();
        let size: usize = chains.iter().map(|chain| chain.len() + 8).sum();
        if chains.len() > MAX_BACKUP || size + 256 > Contents::MAX {
            return Err(VaultError::TooLarge);
        }
        let contents = Contents { secrets: self.secrets.clone(), chains: List::first_of(chains) };
        seal(&codec::encode(&contents), Some(passphrase))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.secrets.rows.into())
    }

    fn encrypt(&self, key: &[u8], plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; 24] = random();
        #[expect(clippy::expect_used, reason = "encryption fails only beyond 256 GiB")]
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: key })
            .expect("a row is small");
        [nonce.as_slice(), &sealed].concat()
    }

    fn decrypt(&self, key: &[u8], row: &[u8]) -> Result<Vec<u8>, VaultError> {
        let broken = || VaultError::NotAWallet("a row was not written by this wallet".to_owned());
        let (nonce, sealed) = row.split_at_checked(24).ok_or_else(broken)?;
        let nonce: [u8; 24] = nonce.try_into().map_err(|_| broken())?;
        self.cipher().decrypt(&XNonce::from(nonce), Payload { msg: sealed, aad: key }).map_err(|_| broken())
    }
}

/// Puts a backup in the place of the wallet: its account, and its chains, retired: another copy may have
/// spent from them since. Returns the opened wallet.
///
/// # Errors
/// If the backup does not open, or anything cannot be written: the old wallet then stays.
pub fn restore(
    path: &Path,
    backup: &[u8],
    passphrase: &str,
    protect_with: Option<&str>,
    db: &Db,
    (network, broker): (NetworkId, PublicKey),
) -> Result<Purse, VaultError> {
    let sealed: Sealed = codec::decode(backup).map_err(not_a_wallet)?;
    let contents: Contents = codec::decode(&unseal(&sealed, Some(passphrase))?).map_err(not_a_wallet)?;
    if !db.scan(CHAINS, &[], None, 1)?.is_empty() {
        return Err(VaultError::NotEmpty);
    }
    let mut purse = Purse::new(contents.secrets, network, broker);
    let mut changes = Vec::new();
    for chain in &contents.chains {
        let row: ChainRow = codec::decode(chain).map_err(not_a_wallet)?;
        let id = purse.wallet.load(row, &[])?;
        changes.extend(purse.wallet.retire(&id));
    }
    let mut batch = Batch::new();
    purse.rows(&changes, &mut batch);
    // The file first: its rows mean nothing without it, and the same backup can be restored again.
    atomic_write(path, &seal(&codec::encode(&purse.secrets), protect_with)?, PRIVATE)?;
    db.commit(batch).wait()?;
    Ok(purse)
}

/// The row key of one segment's index.
fn index_key(id: &ChainId, j: SegmentNo) -> [u8; 36] {
    let mut key = [0; 36];
    key[..32].copy_from_slice(&id.0);
    key[32..].copy_from_slice(&j.0.to_be_bytes());
    key
}

fn read(path: &Path) -> Result<Sealed, VaultError> {
    codec::decode(&std::fs::read(path)?).map_err(not_a_wallet)
}

fn not_a_wallet(error: CodecError) -> VaultError {
    VaultError::NotAWallet(error.to_string())
}

fn seal(plain: &[u8], passphrase: Option<&str>) -> Result<Vec<u8>, VaultError> {
    let protection = match passphrase {
        Some(_) => Protection::Passphrase { salt: random(), memory: KDF_MEMORY, passes: KDF_PASSES },
        None => Protection::None,
    };
    let nonce: [u8; 24] = random();
    let cipher = cipher_for(&protection, passphrase)?;
    let sealed = cipher.encrypt(&XNonce::from(nonce), plain).map_err(|_| VaultError::WrongPassphrase)?;
    let sealed = Bytes::try_from(sealed).map_err(not_a_wallet)?;
    Ok(codec::encode(&Sealed { protection, nonce, sealed }))
}

fn unseal(sealed: &Sealed, passphrase: Option<&str>) -> Result<Vec<u8>, VaultError> {
    let cipher = cipher_for(&sealed.protection, passphrase)?;
    cipher.decrypt(&XNonce::from(sealed.nonce), &*sealed.sealed).map_err(|_| VaultError::WrongPassphrase)
}

fn cipher_for(protection: &Protection, passphrase: Option<&str>) -> Result<XChaCha20Poly1305, VaultError> {
    let mut key = [0; 32];
    if let Protection::Passphrase { salt, memory, passes } = protection {
        let passphrase = passphrase.ok_or(VaultError::WrongPassphrase)?;
        // A file from elsewhere must not make us claim more than a few times our own setting.
        let params = Params::new((*memory).min(4 * KDF_MEMORY), (*passes).min(16), 1, Some(32))
            .map_err(|e| VaultError::NotAWallet(e.to_string()))?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), salt, &mut key)
            .map_err(|e| VaultError::NotAWallet(e.to_string()))?;
    }
    let cipher = XChaCha20Poly1305::new(&key.into());
    key.zeroize();
    Ok(cipher)
}
