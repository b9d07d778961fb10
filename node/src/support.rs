//! A bundle for whoever helps to find a fault: one tar file of what its maker names. Only files of log directories are
//! taken as they are; everything else is put in by name, so that no key, wallet, token or code can come along.

use crate::clock;
use crate::errors::{self, ErrorView};
use crate::logs;
use crate::store::files::PRIVATE;
use serde::Serialize;
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The most bytes of one log file that are taken.
const LOG_MAX: u64 = logs::FILE_MAX + logs::LINE_MAX as u64;
/// The most files that are counted for the sizes.
const COUNTED: usize = 1_000_000;

/// A bundle that is being written.
pub struct Bundle {
    path: PathBuf,
    tar: tar::Builder<File>,
}

/// How much there is under one name of a home.
#[derive(Serialize)]
struct Size {
    name: String,
    files: usize,
    bytes: u64,
}

impl Bundle {
    /// A new file, readable by the owner only; without a path one in this directory, named after program and time. The
    /// first thing in it says which program it is of.
    ///
    /// # Errors
    /// If the file is there already, or cannot be written.
    pub fn create(path: Option<&Path>, program: &str, version: &str) -> Result<Self, ErrorView> {
        let named = || PathBuf::from(format!("{program}-support-{}.tar", clock::time().0));
        let path = path.map_or_else(named, Path::to_owned);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, PRIVATE);
        let file = options.open(&path).map_err(|e| errors::io("creating", &path, &e))?;
        let mut bundle = Self { path, tar: tar::Builder::new(file) };
        let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let variables: Vec<String> = variables.filter(|name| name.starts_with("NETPAY_")).collect();
        bundle.json(
            "version.json",
            &json!({
                "program": program, "version": version, "system": std::env::consts::OS,
                "machine": std::env::consts::ARCH, "made": clock::time().0, "variables_set": variables,
            }),
        )?;
        Ok(bundle)
    }

    /// Adds something as JSON.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn json(&mut self, name: &str, value: &impl Serialize) -> Result<(), ErrorView> {
        let text = serde_json::to_string_pretty(value).map_err(errors::internal)?;
        self.add(name, text.as_bytes())
    }

    /// Adds what was answered, or the error there was instead.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn answer<T: Serialize>(
        &mut self,
        name: &str,
        answer: &Result<T, ErrorView>,
    ) -> Result<(), ErrorView> {
        match answer {
            Ok(value) => self.json(name, value),
            Err(error) => self.json(name, &json!({ "error": error })),
        }
    }

    /// Adds the log files of a directory.
    ///
    /// # Errors
    /// If they cannot be read, or the file not written.
    pub fn logs(&mut self, directory: &Path) -> Result<(), ErrorView> {
        let failed = |e: io::Error| errors::io("reading", directory, &e);
        for path in logs::list(directory).map_err(failed)? {
            let mut bytes = Vec::new();
            match File::open(&path) {
                // The oldest, which a new file has just pushed out.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file.and_then(|file| file.take(LOG_MAX).read_to_end(&mut bytes)).map_err(failed)?,
            };
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.add(&format!("logs/{name}"), &bytes)?;
        }
        Ok(())
    }

    /// Adds how much there is under each name of a home, and of its database, without the names of what people keep there.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn sizes(&mut self, home: &Path) -> Result<(), ErrorView> {
        let mut sizes = Vec::new();
        for directory in [home.to_owned(), home.join("db")] {
            let Ok(entries) = std::fs::read_dir(&directory) else { continue };
            for entry in entries.flatten() {
                let inside = walkdir::WalkDir::new(entry.path()).into_iter().flatten().take(COUNTED);
                let lengths = inside.filter(|file| file.file_type().is_file());
                let lengths: Vec<u64> =
                    lengths.filter_map(|file| Some(file.metadata().ok()?.len())).collect();
                let shown = entry.path();
                let shown = shown.strip_prefix(home).unwrap_or(&shown).display().to_string();
                sizes.push(Size { name: shown, files: lengths.len(), bytes: lengths.iter().sum() });
            }
        }
        sizes.sort_by(|a, b| a.name.cmp(&b.name));
        self.json("sizes.json", &sizes)
    }

    /// Ends the file, and returns where it is.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(self) -> Result<PathBuf, ErrorView> {
        let Self { path, tar } = self;
        let written = tar.into_inner().and_then(|file| file.sync_all());
        written.map_err(|e| errors::io("writing", &path, &e))?;
        Ok(path)
    }

    fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), ErrorView> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(PRIVATE);
        header.set_mtime(clock::time().0);
        let added = self.tar.append_data(&mut header, name, bytes);
        added.map_err(|e| errors::io("writing", &self.path, &e))
    }
}
