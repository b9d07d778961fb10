//! Changes to `config.toml` that leave its comments and its order alone.

use std::path::Path;

use super::{Assignment, Config, KEYS, Key, Kind, key, read, unknown};
use crate::errors::{self, ErrorView};
use crate::store::files::{PRIVATE, atomic_write};

/// Sets a key in a file, which is made if there is none. The value is checked first.
pub fn set(home: &Path, path: &Path, name: &str, value: &str) -> Result<(), ErrorView> {
    let key = key(name).ok_or_else(|| unknown(name, "the command"))?;
    key.apply(&mut Config::defaults(home), home, value, "the command")?;
    rewrite(path, key, Some(value.trim()))
}

/// Takes a key out of a file, so that its default is in effect again.
pub fn unset(path: &Path, name: &str) -> Result<(), ErrorView> {
    let key = key(name).ok_or_else(|| unknown(name, "the command"))?;
    rewrite(path, key, None)
}

/// The text of a new file: every key with what it is for, those in `set` set, the others as comments.
#[must_use]
pub fn document(home: &Path, set: &[Assignment]) -> String {
    let defaults = Config::defaults(home);
    let mut text = String::from(
        "# Settings of this NetPay peer. `netpay config show --origin` tells what is in effect.\n",
    );
    let mut group = "";
    for key in KEYS {
        let (own, leaf) = split(key.name);
        if own != group {
            group = own;
            text.push_str(&format!("\n[{group}]\n"));
        }
        let line = match set.iter().find(|(name, _)| name == key.name) {
            Some((_, value)) => format!("{leaf} = {}", written(key.kind, value)),
            None => format!("# {leaf} = {}", written(key.kind, &(key.show)(&defaults))),
        };
        text.push_str(&format!("\n# {}\n{line}\n", key.help));
    }
    text
}

fn rewrite(path: &Path, key: &Key, value: Option<&str>) -> Result<(), ErrorView> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(errors::io("reading", path, &error)),
    };
    let mut wanted = read(path, &text)?;
    wanted.retain(|(name, _)| name != key.name);
    wanted.extend(value.map(|value| (key.name.to_owned(), listed(key.kind, value))));
    let edited = edited(&text, key, value);
    // Lines are all that is understood here; what the change came to is read as TOML before it is kept.
    let mut came_to = read(path, &edited).unwrap_or_default();
    came_to.sort();
    wanted.sort();
    if came_to != wanted {
        let why = format!("{} is written in a way that cannot be changed line by line", key.name);
        return Err(errors::bad_config(path.display(), why).fixed_by("edit the file by hand"));
    }
    atomic_write(path, edited.as_bytes(), PRIVATE).map_err(|error| errors::io("writing", path, &error))
}

/// The text with one line changed, added or taken away.
fn edited(text: &str, key: &Key, value: Option<&str>) -> String {
    let (group, leaf) = split(key.name);
    let new = value.map(|value| format!("{leaf} = {}", written(key.kind, value)));
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let begin = if group.is_empty() {
        0
    } else if let Some(at) = lines.iter().position(|line| line.trim() == format!("[{group}]")) {
        at + 1
    } else {
        let Some(new) = new else { return text.to_owned() };
        lines.extend([String::new(), format!("[{group}]"), new]);
        return lines.join("\n") + "\n";
    };
    let end = lines[begin..].iter().position(|line| line.trim_start().starts_with('['));
    let end = end.map_or(lines.len(), |length| begin + length);
    let sets = |line: &str| line.split_once('=').is_some_and(|(name, _)| name.trim() == leaf);
    let commented = |line: &str| line.trim_start().strip_prefix('#').is_some_and(sets);
    let found = lines[begin..end].iter().position(|line| sets(line)).map(|at| begin + at);
    let place = lines[begin..end].iter().position(|line| commented(line)).map(|at| begin + at);
    match (found, new) {
        (Some(at), Some(new)) => lines[at] = new,
        (Some(at), None) => drop(lines.remove(at)),
        (None, Some(new)) => {
            lines.insert(place.map_or_else(|| last_filled(&lines, begin, end), |at| at + 1), new)
        }
        (None, None) => {}
    }
    lines.join("\n") + "\n"
}

/// Behind the last line of a group that is not empty.
fn last_filled(lines: &[String], begin: usize, end: usize) -> usize {
    lines[begin..end].iter().rposition(|line| !line.trim().is_empty()).map_or(begin, |at| begin + at + 1)
}

fn split(name: &str) -> (&str, &str) {
    name.split_once('.').unwrap_or(("", name))
}

/// The value as TOML.
fn written(kind: Kind, value: &str) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    match kind {
        Kind::Text => quoted(value),
        Kind::Plain => plain(value),
        Kind::List => {
            let parts: Vec<_> =
                listed(kind, value).split(',').filter(|part| !part.is_empty()).map(quoted).collect();
            format!("[{}]", parts.join(", "))
        }
    }
}

/// The value as it reads when it was written to a file.
fn listed(kind: Kind, value: &str) -> String {
    match kind {
        Kind::Text => value.to_owned(),
        Kind::Plain => plain(value),
        Kind::List => {
            value.split(',').map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(",")
        }
    }
}

/// A number without signs and leading zeros, or a truth value as TOML has it.
fn plain(value: &str) -> String {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "on" => "true".to_owned(),
        "no" | "off" => "false".to_owned(),
        other => other.parse::<u64>().map_or_else(|_| other.to_owned(), |number| number.to_string()),
    }
}
