//! How much happened when: counts in buckets of five minutes, and how long
//! attempts took, for charts. Buckets add up to larger ones.

use std::time::Duration;

use super::delivery::State;
use super::time::Timestamp;

/// The finest that is kept.
pub const BUCKET: Duration = Duration::from_secs(5 * 60);
/// How long a bucket is kept.
pub const KEPT: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// Attempts are told apart by these bounds, in milliseconds; an attempt may take
/// as long as the last one, and a little over.
pub const WITHIN_MS: [u32; 12] = [5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000];

/// How many attempts took how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// Each within its bound and not within the one before; the last beyond all.
    pub counts: [u64; WITHIN_MS.len() + 1],
}

impl Latencies {
    pub fn note(&mut self, took: Duration) {
        let within = |bound: &u32| took <= Duration::from_millis((*bound).into());
        let at = WITHIN_MS.iter().position(within).unwrap_or(WITHIN_MS.len());
        self.counts[at] += 1;
    }

    pub fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(sum, count)| *sum += count);
    }

    /// The time within which `share` of the attempts ended, in milliseconds: as if
    /// those between two bounds were spread evenly. Nothing without attempts.
    pub fn percentile(&self, share: f64) -> Option<u32> {
        let all: u64 = self.counts.iter().sum();
        if all == 0 {
            return None;
        }
        let wanted = share * all as f64;
        let (mut below, mut lower) = (0.0, 0);
        for (count, upper) in self.counts.iter().zip(WITHIN_MS) {
            let count = *count as f64;
            if count > 0.0 && below + count >= wanted {
                let into = (wanted - below) / count;
                return Some((f64::from(lower) + f64::from(upper - lower) * into).round() as u32);
            }
            (below, lower) = (below + count, upper);
        }
        // How far beyond the last bound is not known.
        Some(lower)
    }
}

/// What happened in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Stored, wherever they came from.
    pub events: u64,
    /// Deliveries that came to rest.
    pub delivered: u64,
    pub dead: u64,
    pub dropped: u64,
    pub attempts: u64,
    /// Of these, the ones that were not accepted.
    pub failed: u64,
    pub latencies: Latencies,
}

impl Bucket {
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.delivered += other.delivered;
        self.dead += other.dead;
        self.dropped += other.dropped;
        self.attempts += other.attempts;
        self.failed += other.failed;
        self.latencies.add(&other.latencies);
    }

    pub fn attempted(&mut self, is_accepted: bool, took: Duration) {
        self.attempts += 1;
        self.failed += u64::from(!is_accepted);
        self.latencies.note(took);
    }

    /// A delivery came to rest, or goes on.
    pub fn rested(&mut self, state: State) {
        match state {
            State::Delivered => self.delivered += 1,
            State::Dead => self.dead += 1,
            State::Dropped => self.dropped += 1,
            State::Pending | State::Cancelled => {}
        }
    }
}

/// When the bucket of `size` began that `at` is in; they are counted from 1970.
pub fn begin(at: Timestamp, size: Duration) -> Timestamp {
    let size = millis(size);
    Timestamp::from_millis(at.as_millis().div_euclid(size) * size)
}

/// The time that a chart shows, in steps of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    begin: Timestamp,
    step: Duration,
    steps: usize,
}

impl Span {
    /// From the step that `since` is in to the one before `until`, or that `until`
    /// is in the middle of.
    pub fn new(since: Timestamp, until: Timestamp, step: Duration) -> Self {
        let begin = begin(since, step);
        let steps = until.since(begin).as_millis().div_ceil(step.as_millis());
        Self { begin, step, steps: usize::try_from(steps).unwrap_or(usize::MAX) }
    }

    pub fn steps(&self) -> usize {
        self.steps
    }

    pub fn step(&self) -> Duration {
        self.step
    }

    pub fn since(&self) -> Timestamp {
        self.begin
    }

    pub fn until(&self) -> Timestamp {
        self.at(self.steps)
    }

    /// Every step with what happened in it, also where that is nothing.
    pub fn fill(&self, found: impl IntoIterator<Item = (Timestamp, Bucket)>) -> Vec<(Timestamp, Bucket)> {
        let mut filled: Vec<_> = (0..self.steps).map(|step| (self.at(step), Bucket::default())).collect();
        for (at, bucket) in found {
            let step = at.as_millis().saturating_sub(self.begin.as_millis()).div_euclid(millis(self.step));
            if let Some((_, sum)) = usize::try_from(step).ok().and_then(|step| filled.get_mut(step)) {
                sum.add(&bucket);
            }
        }
        filled
    }

    fn at(&self, step: usize) -> Timestamp {
        let steps = i64::try_from(step).unwrap_or(i64::MAX);
        Timestamp::from_millis(self.begin.as_millis().saturating_add(steps.saturating_mul(millis(self.step))))
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(took_ms: &[u64], share: f64, expected: Option<u32>) {
        let mut latencies = Latencies::default();
        took_ms.iter().for_each(|ms| latencies.note(Duration::from_millis(*ms)));
        assert_eq!(latencies.percentile(share), expected, "{took_ms:?} {share}");
    }

    #[test]
    fn a_percentile_lies_between_the_bounds_that_its_attempts_lie_between() {
        check(&[], 0.5, None);
        check(&[3], 1.0, Some(5));
        check(&[0], 0.0, Some(0));
        check(&[8, 8], 0.5, Some(8));
        check(&[5, 5, 6, 6], 0.5, Some(5));
        check(&[3, 3, 3, 3, 3, 3, 3, 3, 3, 150], 0.5, Some(3));
        check(&[3, 3, 3, 3, 3, 3, 3, 3, 3, 150], 0.95, Some(150));
        // Nobody knows how long it took, but that it took longer than this.
        check(&[31_000], 0.95, Some(30_000));
        check(&[1, 31_000, 32_000], 0.95, Some(30_000));
    }

    #[test]
    fn an_attempt_at_a_bound_is_within_it() {
        let mut latencies = Latencies::default();
        for bound in WITHIN_MS {
            latencies.note(Duration::from_millis(bound.into()));
        }
        latencies.note(Duration::from_millis(30_001));
        assert_eq!(latencies.counts, [1; 13]);
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * 60_000)
    }

    fn events(events: u64) -> Bucket {
        Bucket { events, ..Bucket::default() }
    }

    #[test]
    fn steps_add_up_and_empty_ones_are_there() {
        let span = Span::new(at(11), at(31), Duration::from_secs(10 * 60));
        assert_eq!((span.since(), span.until(), span.steps()), (at(10), at(40), 3));
        let found =
            [(at(5), events(1)), (at(10), events(2)), (at(15), events(4)), (at(35), events(8)), (at(40), events(9))];
        assert_eq!(span.fill(found), [(at(10), events(6)), (at(20), events(0)), (at(30), events(8))]);
        assert_eq!(Span::new(at(20), at(10), BUCKET).fill([]), []);
        assert_eq!(Span::new(at(10), at(15), BUCKET).steps(), 1);
    }

    #[test]
    fn what_a_delivery_comes_to_is_counted_where_it_rests() {
        let mut bucket = Bucket::default();
        State::ALL.into_iter().for_each(|state| bucket.rested(state));
        bucket.attempted(true, Duration::from_millis(1));
        bucket.attempted(false, Duration::from_secs(1));
        assert_eq!((bucket.delivered, bucket.dead, bucket.dropped), (1, 1, 1));
        assert_eq!((bucket.attempts, bucket.failed), (2, 1));
        let mut twice = bucket;
        twice.add(&bucket);
        assert_eq!((twice.attempts, twice.latencies.counts.iter().sum::<u64>()), (4, 4));
    }
}
