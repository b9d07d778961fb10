//! The one place that asks what time it is.

use netpay_core::time::{Moment, Time};
use std::time::{SystemTime, UNIX_EPOCH};

/// Now, to the millisecond.
#[must_use]
pub fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Now, in microseconds since 1970.
#[must_use]
pub fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Now, to the second.
#[must_use]
pub fn time() -> Time {
    now().time()
}

/// Random bytes from the operating system.
///
/// # Panics
/// If the operating system has none: nothing secret can be made then.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::expect_used, reason = "without randomness nothing secret can be made")]
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}
