//! Every error that the operator can see: its code, what, why and what to do, and the exit code. A code is never used
//! again for something else. `netpay-broker explain CODE` prints the longer text.

mod registry;

use netpay_core::wire::reject::{Reject, RejectCode};
pub use netpay_node::app::view::ErrorView;
use netpay_node::errors::{Entry, exit};
pub use registry::*;
use std::fmt::Display;
use std::path::Path;

/// The error of this code, be it the broker's or one that it shares with peers; upper and lower case are the same.
#[must_use]
pub fn entry(code: &str) -> Option<&'static Entry> {
    let own = REGISTRY.iter().find(|entry| entry.code.eq_ignore_ascii_case(code.trim()));
    own.or_else(|| netpay_node::errors::entry(code))
}

/// No broker was made in this home.
#[must_use]
pub fn no_broker_here(home: &Path) -> ErrorView {
    no_broker_in(home.display())
}

/// A broker was made in this home before.
#[must_use]
pub fn already_here(home: &Path) -> ErrorView {
    broker_already_in(home.display())
}

/// Nobody answers at the home's API.
#[must_use]
pub fn not_running(home: &Path) -> ErrorView {
    not_running_in(home.display())
}

/// The configuration, or an option, has a value that makes no sense.
#[must_use]
pub fn bad_value(name: &str, why: impl Display) -> ErrorView {
    bad_value_of(name, why)
}

/// The books refused a command.
#[must_use]
pub fn refused(reject: &Reject) -> ErrorView {
    let (exit, status) = match reject.code {
        RejectCode::UnknownAccount | RejectCode::UnknownChain => (exit::NOT_FOUND, 404),
        RejectCode::Storage | RejectCode::Busy => (exit::OTHER, 503),
        RejectCode::Mismatch => (exit::OTHER, 409),
        _ => (exit::PAYMENT, 422),
    };
    ErrorView { exit, status, ..refused_as(format_args!("{:?}", reject.code), &*reject.why) }
}

/// What a guard that a peer has too says, in the words of a broker.
#[must_use]
pub fn of_guard(error: ErrorView) -> ErrorView {
    match error.code.as_str() {
        "NP-DAEMON-003" => not_authorised(),
        "NP-DAEMON-004" => foreign_host(),
        "NP-DAEMON-007" => error.fixed_by("have another one made: netpay-broker open"),
        "NP-DAEMON-012" => error.fixed_by("use the token in api-token"),
        _ => error,
    }
}

/// A page of a list that begins nowhere.
#[must_use]
pub fn bad_cursor(text: &str) -> ErrorView {
    bad_request(format!("no page of this list begins at {text:?}")).fixed_by("take `next` of the page before")
}

/// The home is a copy.
#[must_use]
pub fn copied(home: &Path) -> ErrorView {
    copied_home(home.display())
}

/// Something about files.
#[must_use]
pub fn io(doing: &str, path: &Path, why: impl Display) -> ErrorView {
    io_of(doing, path.display(), why)
}

/// A backup that cannot be read.
#[must_use]
pub fn bad_backup(path: &Path, why: impl Display) -> ErrorView {
    bad_backup_file(path.display(), why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_unique_among_all_programs_and_explained() {
        let peers = netpay_node::errors::REGISTRY.iter().map(|entry| entry.code);
        let mut codes: BTreeSet<&str> = peers.collect();
        for entry in REGISTRY {
            assert!(codes.insert(entry.code), "{} comes twice", entry.code);
            assert!(entry.explain.len() > 80, "{} is hardly explained", entry.code);
            assert!([1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 130].contains(&entry.exit), "{}", entry.code);
            assert_eq!(super::entry(&entry.code.to_lowercase()), Some(entry));
        }
    }
}
