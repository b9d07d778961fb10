//! `swarm.json`: what a swarm consists of, so that another invocation finds it again.

use super::process::Running;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file's name.
const FILE: &str = "swarm.json";

/// What is remembered of a swarm.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The seed its files follow from.
    pub seed: u64,
    /// The line that lets a peer in.
    pub invite: String,
    /// Where the broker listens: the same after each restart, for the invite names it.
    pub broker_listen: Option<String>,
    /// Broker and peers by name.
    pub members: BTreeMap<String, Member>,
}

/// One process of a swarm.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Its home.
    pub home: PathBuf,
    /// The process, if it was started and not stopped.
    pub process: Option<Running>,
}

impl State {
    /// Reads the state of the swarm in a directory; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn load(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        let state = serde_json::from_str(&text);
        state.map(Some).with_context(|| format!("{} is no state of a swarm", path.display()))
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, directory: &Path) -> Result<()> {
        let path = directory.join(FILE);
        let fresh = directory.join(".swarm.json.new");
        std::fs::write(&fresh, serde_json::to_vec_pretty(self)?)
            .and_then(|()| std::fs::rename(&fresh, &path))
            .with_context(|| format!("writing {}", path.display()))
    }
}
