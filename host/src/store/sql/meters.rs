//! What the writer counts of its own work.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::domain::meter::{Counter, Histogram};

/// A sync takes a tenth of a millisecond on a good disk and half a second on a
/// busy one.
const SECONDS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Up to what the writers take at once.
const OPERATIONS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

pub(crate) struct Meters {
    pub(crate) commits: Histogram,
    pub(crate) batches: Histogram,
    pub(crate) failures: Counter,
    opened: Instant,
    /// When the last write went through, in microseconds since then; 0 for never.
    written: AtomicU64,
    is_failing: AtomicBool,
}

impl Meters {
    pub(crate) fn new() -> Self {
        Self {
            commits: Histogram::new(SECONDS),
            batches: Histogram::new(OPERATIONS),
            failures: Counter::default(),
            opened: Instant::now(),
            written: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
        }
    }

    pub(crate) fn committed(&self, operations: usize, took: Duration) {
        self.commits.note(took.as_secs_f64());
        self.batches.note(operations as f64);
        let since = u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.written.store(since.max(1), Ordering::Relaxed);
        self.is_failing.store(false, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failures.add(1);
        self.is_failing.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Since a write went through.
    pub(crate) fn written(&self) -> Option<Duration> {
        match self.written.load(Ordering::Relaxed) {
            0 => None,
            at => Some(self.opened.elapsed().saturating_sub(Duration::from_micros(at))),
        }
    }
}
