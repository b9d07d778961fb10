//! The files a person means by a path.

use super::error::ShelfError;
use std::fs;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// The file at `path`; or, if it is a directory and `recursive`, all files in and below it, in the order of their
/// names, without hidden ones and without following symbolic links. Blocks, file by file as it is iterated.
///
/// # Errors
/// Each item for itself: what could not be looked at. A directory is an error unless `recursive`.
pub fn files_in(
    path: &Path,
    recursive: bool,
) -> Box<dyn Iterator<Item = Result<PathBuf, ShelfError>> + Send> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) => return Box::new(std::iter::once(Err(ShelfError::io("opening", path, error)))),
    };
    if found.is_file() {
        return Box::new(std::iter::once(Ok(path.to_owned())));
    }
    if !found.is_dir() {
        return Box::new(std::iter::once(Err(ShelfError::NotAFile(path.to_owned()))));
    }
    if !recursive {
        return Box::new(std::iter::once(Err(ShelfError::Directory(path.to_owned()))));
    }
    let entries = WalkDir::new(path).follow_links(false).sort_by_file_name().into_iter();
    let shown = entries.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry));
    Box::new(shown.filter_map(|entry| match entry {
        Ok(entry) => entry.file_type().is_file().then(|| Ok(entry.into_path())),
        Err(error) => Some(Err(walk_error(error))),
    }))
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn walk_error(error: walkdir::Error) -> ShelfError {
    let path = error.path().unwrap_or(Path::new("")).to_owned();
    ShelfError::io("reading", &path, error.into())
}
