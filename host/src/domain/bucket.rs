//! How many may pass, and when: a token bucket, kept as the generic cell rate
//! algorithm (ITU-T I.371) keeps it.

use std::time::Duration;

use super::pace::{Period, RateLimit};
use super::time::Timestamp;

/// A bucket does not owe more than this many.
const DEEPEST: i64 = 1000;

/// How fast a bucket fills, and how much goes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Nanoseconds for one.
    each: i64,
    /// Nanoseconds until an empty bucket is full.
    full: i64,
}

impl Flow {
    /// As many as `rate` says in each of its periods; all of one may come at
    /// once.
    pub fn of(rate: RateLimit) -> Self {
        let seconds = match rate.per {
            Period::Second => 1,
            Period::Minute => 60,
            Period::Hour => 3600,
        };
        let full = seconds * 1_000_000_000;
        Self { each: (full / i64::from(rate.limit.max(1))).max(1), full }
    }

    /// So many in each second; what comes in `burst` may come at once.
    pub fn per_second(count: u32, burst: Duration) -> Self {
        let each = (1_000_000_000 / i64::from(count.max(1))).max(1);
        Self { each, full: nanos(burst).max(each) }
    }

    /// One of so many equal parts, each with its part of the burst; one may always
    /// come at once.
    pub fn among(self, parts: u32) -> Self {
        let each = self.each.saturating_mul(parts.max(1).into());
        Self { each, full: self.full.max(each) }
    }
}

/// What is left, without a number for it: the instant at which it is full again.
/// A new one is full. One that is full sooner is less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket {
    /// Nanoseconds since 1970.
    full_at: i64,
}

impl Bucket {
    /// Whether `count` may pass now, or how long they have to wait. More than
    /// the bucket holds pass when it is full, and are owed afterwards.
    pub fn admits(&self, flow: Flow, count: u32, now: Timestamp) -> Result<(), Duration> {
        let now = at(now);
        let wanted = flow.each.saturating_mul(count.into()).min(flow.full);
        let excess = self.level(flow, now).saturating_add(wanted) - flow.full;
        match u64::try_from(excess) {
            Ok(wait @ 1..) => Err(Duration::from_nanos(wait)),
            _ => Ok(()),
        }
    }

    /// Takes `count` out.
    pub fn take(&mut self, flow: Flow, count: u32, now: Timestamp) {
        let now = at(now);
        let taken = flow.each.saturating_mul(count.into());
        self.full_at = now.saturating_add(self.level(flow, now).saturating_add(taken));
    }

    /// Puts back what was taken for nothing.
    pub fn give_back(&mut self, flow: Flow, count: u32) {
        self.full_at = self.full_at.saturating_sub(flow.each.saturating_mul(count.into()));
    }

    pub fn is_full(&self, now: Timestamp) -> bool {
        self.full_at <= at(now)
    }

    /// Nanoseconds until it is full. A clock that was set back makes nobody
    /// wait for it.
    fn level(&self, flow: Flow, now: i64) -> i64 {
        self.full_at.saturating_sub(now).clamp(0, flow.full.saturating_add(flow.each.saturating_mul(DEEPEST)))
    }
}

fn at(now: Timestamp) -> i64 {
    now.as_millis().saturating_mul(1_000_000)
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_763_700_000_000 + millis)
    }

    fn wait(bucket: &Bucket, flow: Flow, count: u32, millis: i64) -> u128 {
        bucket.admits(flow, count, at(millis)).err().unwrap_or_default().as_millis()
    }

    #[test]
    fn a_period_s_worth_may_come_at_once_and_then_one_by_one() {
        let flow = Flow::of(RateLimit { limit: 60, per: Period::Minute });
        let mut bucket = Bucket::default();
        assert_eq!(wait(&bucket, flow, 60, 0), 0);
        bucket.take(flow, 60, at(0));
        assert!(!bucket.is_full(at(0)));
        assert_eq!(wait(&bucket, flow, 1, 0), 1000);
        assert_eq!(wait(&bucket, flow, 1, 999), 1);
        assert_eq!(wait(&bucket, flow, 1, 1000), 0);
        assert_eq!(wait(&bucket, flow, 30, 1000), 29_000);
        bucket.take(flow, 1, at(1000));
        assert_eq!(wait(&bucket, flow, 1, 1000), 1000);
        assert_eq!(wait(&bucket, flow, 60, 61_000), 0);
        assert!(bucket.is_full(at(61_000)));
    }

    #[test]
    fn more_than_it_holds_passes_when_it_is_full() {
        let flow = Flow::per_second(10, Duration::from_secs(5));
        let mut bucket = Bucket::default();
        assert_eq!(wait(&bucket, flow, 500, 0), 0);
        bucket.take(flow, 500, at(0));
        assert_eq!(wait(&bucket, flow, 1, 0), 45_100, "450 are owed");
        assert_eq!(wait(&bucket, flow, 500, 0), 50_000);
    }

    #[test]
    fn parts_of_a_flow_are_as_much_as_all_of_it() {
        let flow = Flow::per_second(100, Duration::from_secs(5)).among(4);
        let mut bucket = Bucket::default();
        assert_eq!(wait(&bucket, flow, 125, 0), 0);
        bucket.take(flow, 125, at(0));
        assert_eq!((wait(&bucket, flow, 1, 0), wait(&bucket, flow, 25, 0)), (40, 1000));
        // Each part of a slow one has at least one.
        let slow = Flow::of(RateLimit { limit: 1, per: Period::Minute }).among(3);
        let mut bucket = Bucket::default();
        assert_eq!(wait(&bucket, slow, 1, 0), 0);
        bucket.take(slow, 1, at(0));
        assert_eq!(wait(&bucket, slow, 1, 60_000), 120_000);
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nobody_for_long() {
        let flow = Flow::per_second(100, Duration::from_secs(5));
        let mut bucket = Bucket::default();
        bucket.take(flow, 500, at(0));
        assert_eq!(wait(&bucket, flow, 1, -86_400_000), 10_010);
        assert_eq!(wait(&Bucket::default(), Flow::per_second(u32::MAX, Duration::from_secs(5)), 500, 0), 0);
    }
}
