//! The clocks of hosts, which do not agree. What is true is in milliseconds; no
//! host can see it.

use std::time::Duration;

use hookyard::domain::time::Timestamp;

/// When every world begins.
pub(super) const START: i64 = 1_763_700_000_000;
pub(super) const SECOND: i64 = 1000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;

pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).expect("no world is so old")
}

/// How much a world's clocks disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    Exact,
    /// By three seconds to each side, and they drift.
    Near,
    /// By ten seconds, and they are set: an hour ahead, ten seconds back.
    Wild,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct HostClock {
    offset: i64,
    /// Parts of a million.
    drift: i64,
}

impl HostClock {
    pub(super) fn new(offset: i64, drift: i64) -> Self {
        Self { offset, drift }
    }

    pub(super) fn at(self, truth: i64) -> Timestamp {
        Timestamp::from_millis(truth + self.offset + (truth - START) * self.drift / 1_000_000)
    }

    pub(super) fn set(&mut self, by: i64) {
        self.offset += by;
    }
}
