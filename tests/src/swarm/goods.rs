//! Files to sell: bytes that follow from a seed, so that every run has the same ones.

use anyhow::{Context as _, Result, bail};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes moved at once.
const BLOCK: usize = 1 << 16;

/// Makes a file of `size` bytes that follow from `seed` and the file's name.
///
/// # Errors
/// If it cannot be written.
pub fn make(directory: &Path, name: &str, size: u64, seed: u64) -> Result<PathBuf> {
    std::fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
    let path = directory.join(name);
    let file = std::fs::File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).update(name.as_bytes());
    let mut source = hasher.finalize_xof().take(size);
    let mut file = BufWriter::with_capacity(BLOCK, file);
    let mut block = vec![0; BLOCK];
    loop {
        let read = source.read(&mut block)?;
        if read == 0 {
            break;
        }
        file.write_all(&block[..read]).with_context(|| format!("writing {}", path.display()))?;
    }
    file.flush()?;
    Ok(path)
}

/// Holds two files against each other, byte by byte.
///
/// # Errors
/// If they differ, or cannot be read.
pub fn compare(original: &Path, copy: &Path) -> Result<()> {
    let open = |path: &Path| -> Result<BufReader<std::fs::File>> {
        let file = std::fs::File::open(path).with_context(|| format!("opening {}", path.display()))?;
        Ok(BufReader::with_capacity(BLOCK, file))
    };
    let sizes = [original, copy].map(|path| std::fs::metadata(path).map_or(0, |metadata| metadata.len()));
    if sizes[0] != sizes[1] {
        bail!("{} has {} bytes, the original has {}", copy.display(), sizes[1], sizes[0]);
    }
    let (mut left, mut right) = (open(original)?, open(copy)?);
    let (mut a, mut b) = (vec![0; BLOCK], vec![0; BLOCK]);
    let mut at = 0;
    loop {
        let read = left.read(&mut a)?;
        if read == 0 {
            return Ok(());
        }
        right.read_exact(&mut b[..read])?;
        if a[..read] != b[..read] {
            bail!("{} differs from the original in the {BLOCK} bytes from {at} on", copy.display());
        }
        at += read;
    }
}
