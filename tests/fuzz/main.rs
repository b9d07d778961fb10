//! One program for all targets: the environment says which. `tests/fuzz/run` builds and starts it.
//!
//! It counts what is allocated too, since a decoder must not claim more memory than the bytes it was given justify.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netpay_tests::fuzz::{Target, target};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Names the target.
const VARIABLE: &str = "NETPAY_FUZZ_TARGET";
/// Whose memory is held to a bound: the targets whose names begin so.
const DECODERS: &str = "decode_";
/// What a decoder, its encoder and whatever they say may take, in bytes …
const BASE: usize = 16 << 10;
/// … and so many times the bytes that they are given.
const TIMES: usize = 32;

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var(VARIABLE).unwrap_or_default();
    target(&name).unwrap_or_else(|| panic!("{VARIABLE} names no target: {name:?}"))
});

fuzz_target!(|bytes: &[u8]| {
    let target = *TARGET;
    let before = NOW.load(Relaxed);
    MOST.store(before, Relaxed);
    target.run(bytes);
    let taken = MOST.load(Relaxed).saturating_sub(before);
    let may_take = BASE + TIMES * bytes.len();
    assert!(
        taken <= may_take || !target.name.starts_with(DECODERS),
        "{taken} bytes of memory for {} of input",
        bytes.len()
    );
});

/// The system's memory, counted.
struct Counted;

#[global_allocator]
static MEMORY: Counted = Counted;
/// Bytes allocated now, and the most since the input came.
static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all of it is the system allocator's, with what it is asked for and gives back unchanged.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        MOST.fetch_max(NOW.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }
}
