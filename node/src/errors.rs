//! Every error that a person or a program can see: its code, what, why and what to do, the exit code and the HTTP status.
//!
//! The application makes an [`ErrorView`] with one of the functions here and passes it on unchanged; the command line and
//! the API only show it. A code is never used again for something else. `netpay explain CODE` prints the longer text.

mod registry;

use std::fmt;
use std::path::Path;

pub use crate::app::view::ErrorView;
pub use registry::*;

/// Exit codes of the commands.
pub mod exit {
    /// It went well.
    pub const OK: u8 = 0;
    /// Something that has no code of its own.
    pub const OTHER: u8 = 1;
    /// The command was not understood.
    pub const USAGE: u8 = 2;
    /// The daemon does not answer, or the home or wallet is locked.
    pub const DAEMON: u8 = 3;
    /// There is no such thing.
    pub const NOT_FOUND: u8 = 4;
    /// A peer or the broker cannot be reached.
    pub const UNREACHABLE: u8 = 5;
    /// Coins are needed, or somebody refused.
    pub const PAYMENT: u8 = 6;
    /// What came is not what was promised.
    pub const VERIFICATION: u8 = 7;
    /// It took too long.
    pub const TIMED_OUT: u8 = 8;
    /// The configuration.
    pub const CONFIG: u8 = 9;
    /// Over the price limit, or declined.
    pub const LIMIT: u8 = 11;
    /// Ended by ^C.
    pub const INTERRUPTED: u8 = 130;
}

/// One error as it is documented; `what`, `why` and `fix` show in braces what is filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    /// The code, such as `NP-WALLET-001`.
    pub code: &'static str,
    /// What is wrong.
    pub what: &'static str,
    /// Why.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// The exit code of a command that ends with it.
    pub exit: u8,
    /// The HTTP status of a request that ends with it.
    pub status: u16,
    /// The longer text.
    pub explain: &'static str,
}

impl Entry {
    /// Its explanation for a person, with an ellipsis for what an error fills in.
    #[must_use]
    pub fn explained(&self) -> String {
        let fix = blanked(self.fix);
        let text = format!("{}: {}\n\n{}", self.code, blanked(self.what), self.explain);
        // A fix that depends on the case altogether is told with the error.
        if fix == "…" { text } else { format!("{text}\n\nfix: {fix}") }
    }
}

/// A text of the registry with an ellipsis for each name in braces.
fn blanked(template: &str) -> String {
    let mut parts = template.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push('…');
        text.push_str(part.split_once('}').map_or(part, |(_, rest)| rest));
    }
    text
}

/// The error of this code; upper and lower case are the same.
#[must_use]
pub fn entry(code: &str) -> Option<&'static Entry> {
    REGISTRY.iter().find(|entry| entry.code.eq_ignore_ascii_case(code.trim()))
}

/// The purchase needs more coins than are free. `spendable` are those that can be opened now, `held` those that running
/// downloads hold; `download` is one of these, if cancelling it would help.
#[must_use]
pub fn not_enough_coins(
    name: &str,
    needs: u64,
    spendable: u64,
    held: u64,
    download: Option<u64>,
) -> ErrorView {
    let missing = needs.saturating_sub(spendable).max(1);
    let why = if held > 0 {
        let all = spendable.saturating_add(held);
        format!("{held} of your {} are held by downloads in progress", coins(all))
    } else {
        format!("{} are missing", coins(missing))
    };
    let fix = match download {
        Some(id) => format!("netpay wallet buy {missing}      or cancel it: netpay downloads cancel {id}"),
        None => format!("netpay wallet buy {missing}"),
    };
    not_enough_coins_because(name, needs, spendable, why, fix)
}

/// Another process holds the home.
#[must_use]
pub fn home_locked(home: &Path, pid: Option<u32>) -> ErrorView {
    match pid {
        Some(pid) => home_locked_by(home.display(), format_args!("process {pid}")),
        None => home_locked_by(home.display(), "another process"),
    }
}

/// A key of the configuration, its file or its environment, that does not exist.
#[must_use]
pub fn unknown_key(key: &str, place: &str, suggestion: Option<&str>) -> ErrorView {
    match suggestion {
        Some(other) => unknown_key_with_fix(key, place, format_args!("did you mean \"{other}\"?")),
        None => unknown_key_with_fix(key, place, "netpay config show lists every key"),
    }
}

/// What an operating system's error means to the user: a full disk, or something else about storage.
#[must_use]
pub fn io(doing: &str, path: &Path, error: &std::io::Error) -> ErrorView {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded => disk_full(path.display()),
        _ => storage(doing, path.display(), error),
    }
}

impl ErrorView {
    /// The same error with another reason, where the usual one can be said more exactly.
    #[must_use]
    pub fn because(mut self, why: impl fmt::Display) -> Self {
        self.why = why.to_string();
        self
    }

    /// The same error with another remedy.
    #[must_use]
    pub fn fixed_by(mut self, fix: impl fmt::Display) -> Self {
        self.fix = fix.to_string();
        self
    }

    /// Whether it has this code.
    #[must_use]
    pub fn is(&self, code: &str) -> bool {
        self.code == code
    }
}

impl fmt::Display for ErrorView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.what, self.code, self.why)
    }
}

impl std::error::Error for ErrorView {}

fn coins(n: u64) -> String {
    if n == 1 { "1 coin".to_owned() } else { format!("{n} coins") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_explanation_shows_no_braces() {
        for entry in REGISTRY {
            let text = entry.explained();
            assert!(!text.contains(['{', '}']) && text.contains(entry.code), "{text}");
        }
        let needs = entry("np-wallet-001").expect("known").explained();
        assert!(
            needs.starts_with("NP-WALLET-001: not enough coins for \"…\" (needs …, you have …)"),
            "{needs}"
        );
        assert!(!needs.contains("fix:"), "{needs}");
        let locked = entry("NP-HOME-002").expect("known").explained();
        assert!(locked.contains("\n\nfix: "), "{locked}");
    }

    #[test]
    fn every_code_is_unique_and_explained() {
        let mut codes = BTreeSet::new();
        for entry in REGISTRY {
            assert!(codes.insert(entry.code), "{} comes twice", entry.code);
            assert!(entry.explain.len() > 80, "{} is hardly explained", entry.code);
            assert!(![entry.what, entry.why, entry.fix].contains(&""), "{} leaves something out", entry.code);
        }
    }

    #[test]
    fn every_code_has_the_form_that_explain_takes() {
        for entry in REGISTRY {
            let parts: Vec<_> = entry.code.split('-').collect();
            let [np, area, number] = parts[..] else { panic!("{} has another form", entry.code) };
            assert_eq!(np, "NP");
            assert!(!area.is_empty() && area.bytes().all(|byte| byte.is_ascii_uppercase()), "{}", entry.code);
            assert!(number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit()), "{}", entry.code);
            assert_eq!(super::entry(&entry.code.to_lowercase()), Some(entry));
        }
    }

    #[test]
    fn exit_codes_and_statuses_are_those_of_the_interface() {
        for entry in REGISTRY {
            assert!([1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 130].contains(&entry.exit), "{}", entry.code);
            assert!((400..600).contains(&entry.status), "{}", entry.code);
        }
    }

    #[test]
    fn not_enough_coins_says_what_holds_them_and_what_to_do() {
        let error = not_enough_coins("lecture-07.mp4", 12, 7, 5, Some(4));
        assert_eq!(error.code, "NP-WALLET-001");
        assert_eq!(error.what, "not enough coins for \"lecture-07.mp4\" (needs 12, you have 7)");
        assert_eq!(error.why, "5 of your 12 coins are held by downloads in progress");
        assert_eq!(error.fix, "netpay wallet buy 5      or cancel it: netpay downloads cancel 4");
        assert_eq!((error.exit, error.status), (exit::PAYMENT, 402));
    }

    #[test]
    fn a_locked_home_names_its_holder() {
        let error = home_locked(Path::new("/a"), Some(42));
        assert!(error.why.contains("process 42"), "{error}");
        assert_eq!(error.exit, exit::DAEMON);
    }
}
