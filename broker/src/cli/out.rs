//! Where results go: to stdout, for people or as JSON.

use crate::errors::{self, ErrorView};
use serde::Serialize;
use std::io::{self, Write as _};

/// Where results go.
pub struct Out {
    /// Whether as JSON.
    pub json: bool,
}

impl Out {
    /// Prints one result.
    pub fn print<T: Serialize>(&self, view: &T, words: impl FnOnce(&T) -> String) -> Result<(), ErrorView> {
        let text = if self.json { serde_json::to_string(view).unwrap_or_default() } else { words(view) };
        line(&text)
    }

    /// Prints a list: a table, or an object per line.
    pub fn list<T: Serialize>(
        &self,
        views: &[T],
        words: impl FnOnce(&[T]) -> String,
    ) -> Result<(), ErrorView> {
        if !self.json {
            return line(&words(views));
        }
        views.iter().try_for_each(|view| line(&serde_json::to_string(view).unwrap_or_default()))
    }
}

fn line(text: &str) -> Result<(), ErrorView> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        // Whoever reads has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| errors::io("writing", "the output".as_ref(), error)),
    }
}
