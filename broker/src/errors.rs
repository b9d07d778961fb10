//! Every error that the operator can see: its code, what, why and what to do, and the exit code. A code is never used
//! again for something else; the peer's own errors begin with other numbers.

use netpay_core::wire::reject::{Reject, RejectCode};
pub use netpay_node::app::view::ErrorView;
use netpay_node::errors::exit;
use std::fmt::Display;
use std::path::Path;

fn error(
    code: &str,
    (exit, status): (u8, u16),
    what: impl Display,
    why: impl Display,
    fix: impl Display,
) -> ErrorView {
    ErrorView {
        code: code.to_owned(),
        what: what.to_string(),
        why: why.to_string(),
        fix: fix.to_string(),
        exit,
        status,
    }
}

/// No broker was made in this home.
#[must_use]
pub fn no_broker_here(home: &Path) -> ErrorView {
    let what = format!("there is no broker in {}", home.display());
    let fix = "netpay-broker init --name NAME --contact EMAIL, or name its home with --home";
    error("NP-BROKER-020", (exit::CONFIG, 409), what, "its configuration or one of its keys is missing", fix)
}

/// A broker was made in this home before.
#[must_use]
pub fn already_here(home: &Path) -> ErrorView {
    let what = format!("there is a broker in {} already", home.display());
    let why = "its keys are what its coins are worth: they are never overwritten";
    error("NP-BROKER-021", (exit::CONFIG, 409), what, why, "take another home with --home")
}

/// Nobody answers at the home's API.
#[must_use]
pub fn not_running(home: &Path) -> ErrorView {
    let what = format!("no broker is running in {}", home.display());
    error(
        "NP-BROKER-022",
        (exit::DAEMON, 503),
        what,
        "this command asks a running broker, and none answers",
        "netpay-broker up",
    )
}

/// The configuration, or an option, has a value that makes no sense.
#[must_use]
pub fn bad_value(name: &str, why: impl Display) -> ErrorView {
    error(
        "NP-BROKER-023",
        (exit::CONFIG, 422),
        format!("{name} has a value that cannot be used"),
        why,
        "netpay-broker --help",
    )
}

/// The journal cannot be read, or does not add up.
#[must_use]
pub fn books(why: impl Display) -> ErrorView {
    let fix = "stop the broker, keep the home as it is, and restore the newest backup into another home";
    error("NP-BROKER-024", (exit::VERIFICATION, 500), "the books are not in order", why, fix)
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
    error(
        "NP-BROKER-025",
        (exit, status),
        format!("the books refused ({:?})", reject.code),
        &*reject.why,
        "netpay-broker accounts ls",
    )
}

/// There is no such account, chain or payout.
#[must_use]
pub fn not_found(what: &str, name: &str) -> ErrorView {
    let fix = format!("netpay-broker {what}s ls");
    error(
        "NP-BROKER-026",
        (exit::NOT_FOUND, 404),
        format!("there is no {what} {name:?}"),
        "nothing of that name is in the books",
        fix,
    )
}

/// It cannot listen.
#[must_use]
pub fn cannot_listen(why: impl Display) -> ErrorView {
    let fix = "give another address with --listen or --api";
    error("NP-BROKER-027", (exit::OTHER, 500), "the broker cannot listen", why, fix)
}

/// The home is a copy.
#[must_use]
pub fn copied(home: &Path) -> ErrorView {
    let what = format!("{} is a copy of a broker's home", home.display());
    let why =
        "two banks with one key would both pay the same coins, and an old copy has forgotten what it paid";
    let fix = "if the original is gone for good and nothing was booked since the copy was made: netpay-broker up --adopt";
    error("NP-BROKER-028", (exit::CONFIG, 409), what, why, fix)
}

/// Something about files.
#[must_use]
pub fn io(doing: &str, path: &Path, why: impl Display) -> ErrorView {
    let what = format!("{doing} {} failed", path.display());
    error(
        "NP-BROKER-029",
        (exit::OTHER, 500),
        what,
        why,
        "check that the disk has room and the directory is yours",
    )
}

/// The token shown is not the broker's.
#[must_use]
pub fn not_authorised() -> ErrorView {
    let fix = "send `Authorization: Bearer …` with the content of api-token in the broker's home";
    error(
        "NP-BROKER-030",
        (exit::DAEMON, 401),
        "the broker does not know who is asking",
        "the request bears no token, or another one",
        fix,
    )
}

/// The request names a host that the API does not answer to.
#[must_use]
pub fn foreign_host() -> ErrorView {
    let why = "only an address, localhost or the name in `web_url` is accepted, so that no web page can reach the broker through a name of its own";
    error(
        "NP-BROKER-031",
        (exit::OTHER, 403),
        "the broker does not answer to this host name",
        why,
        "use the address that netpay-broker up printed",
    )
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

/// A link that signs nobody in to the public pages.
#[must_use]
pub fn bad_pass(why: impl Display) -> ErrorView {
    error(
        "NP-BROKER-035",
        (exit::PAYMENT, 401),
        "this link signs nobody in",
        why,
        "have another one made by the peer that has the account: netpay broker open",
    )
}

/// Too many ask at once.
#[must_use]
pub fn crowded() -> ErrorView {
    error(
        "NP-BROKER-036",
        (exit::OTHER, 503),
        "too many ask for these pages at once",
        "the bank answers its members first",
        "load the page again in a moment",
    )
}

/// Whoever answers at the API's address is no broker, or of another version.
#[must_use]
pub fn odd_answer(why: impl Display) -> ErrorView {
    let fix = "check that command and broker are of one version, and restart the broker";
    error("NP-BROKER-032", (exit::DAEMON, 502), "what answers does not speak like this broker", why, fix)
}

/// A request of the API that cannot be understood.
#[must_use]
pub fn bad_request(why: impl Display) -> ErrorView {
    error(
        "NP-BROKER-033",
        (exit::USAGE, 400),
        "the request cannot be understood",
        why,
        "netpay-broker --help",
    )
}

/// A page of a list that begins nowhere.
#[must_use]
pub fn bad_cursor(text: &str) -> ErrorView {
    bad_request(format!("no page of this list begins at {text:?}")).fixed_by("take `next` of the page before")
}

/// A backup that cannot be read.
#[must_use]
pub fn bad_backup(path: &Path, why: impl Display) -> ErrorView {
    let what = format!("{} is not a whole backup", path.display());
    error("NP-BROKER-034", (exit::VERIFICATION, 422), what, why, "take another backup")
}
