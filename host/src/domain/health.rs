//! How an endpoint's receiver does: when it is left alone, and when it is given
//! up. The circuit breaker of Nygard's "Release It!", in its words: while it is
//! open nothing is sent, half open it lets one attempt through as a probe.

use std::time::Duration;

use super::delivery::{Outcome, Unreachable};
use super::time::Timestamp;

/// What failures in a row may weigh before the circuit opens. One with an answer
/// weighs one, one without two: it cost more.
const TRIPS_AT: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// A receiver that asks for more time than this gets it for that one delivery;
/// the others try again.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);
/// The owner of one that only failed for so long is told, each time once.
const WARNED_AFTER: [Duration; 2] = [Duration::from_secs(24 * 60 * 60), Duration::from_secs(3 * 24 * 60 * 60)];
/// An endpoint that only failed for so long is disabled.
pub const GIVEN_UP_AFTER: Duration = Duration::from_secs(5 * 24 * 60 * 60);

/// What is known of a receiver. Nothing known is health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The first failure since the last success.
    pub failing_since: Option<Timestamp>,
    /// What the failures since then weigh.
    pub weight: u32,
    /// How often in a row the circuit has opened.
    pub trips: u32,
    /// Nothing is sent before.
    pub not_before: Option<Timestamp>,
    /// How many of the times to tell its owner have passed.
    pub warnings: u8,
}

/// Whether a receiver is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    Closed,
    /// One attempt at a time, until one succeeds.
    HalfOpen,
    Open {
        until: Timestamp,
    },
}

impl Circuit {
    /// The word that the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open { .. } => "open",
        }
    }
}

impl Health {
    pub fn is_well(&self) -> bool {
        *self == Self::default()
    }

    pub fn circuit(&self, now: Timestamp) -> Circuit {
        match self.not_before {
            Some(until) if now < until => Circuit::Open { until },
            _ if self.trips > 0 => Circuit::HalfOpen,
            _ => Circuit::Closed,
        }
    }

    /// What an attempt's outcome makes of it.
    pub fn after(self, outcome: &Outcome, now: Timestamp) -> Self {
        let (weight, asked) = match outcome {
            Outcome::Accepted { .. } => return Self::default(),
            Outcome::Refused { retry_after, .. } => (1, *retry_after),
            // Nobody was asked anything.
            Outcome::Unreachable(Unreachable::Forbidden(_)) => (1, None),
            Outcome::Unreachable(_) => (2, None),
        };
        let since = self.failing_since.unwrap_or(now);
        let warnings = WARNED_AFTER.iter().map(|after| u8::from(now >= since + *after)).sum();
        let (failing_since, this) = (Some(since), Self { warnings, ..self });
        let asked_until = asked.map(|asked| now + asked.min(LONGEST_ASKED));
        // What was in flight when the circuit opened says nothing new.
        if let Circuit::Open { until } = self.circuit(now) {
            return Self { failing_since, not_before: asked_until.max(Some(until)), ..this };
        }
        let weight = self.weight.saturating_add(weight);
        if weight < TRIPS_AT {
            return Self { failing_since, weight, not_before: asked_until, ..this };
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.trips.min(8)).min(LONGEST_PAUSE);
        let not_before = asked_until.max(Some(now + pause));
        Self { failing_since, weight, trips: self.trips.saturating_add(1), not_before, warnings }
    }

    /// What two hosts that both saw only failures know together. Of whose was later
    /// nothing is known, and to wait a little longer mends itself.
    pub fn and(self, other: Self) -> Self {
        let earlier = |one: Option<Timestamp>, other: Option<Timestamp>| one.min(other).or(one).or(other);
        Self {
            failing_since: earlier(self.failing_since, other.failing_since),
            weight: self.weight.max(other.weight),
            trips: self.trips.max(other.trips),
            not_before: self.not_before.max(other.not_before),
            warnings: self.warnings.max(other.warnings),
        }
    }

    /// The next attempt may be made at once: somebody asks for it by hand.
    pub fn probed_now(self) -> Self {
        Self { not_before: None, ..self }
    }

    /// It has failed for too long.
    pub fn is_given_up(&self, now: Timestamp) -> bool {
        self.failing_since.is_some_and(|since| now >= since + GIVEN_UP_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * SECOND)
    }

    /// `r` is refused, `t` times out, `a` is accepted, `l` asks for 90 seconds;
    /// a number lets that many seconds pass.
    #[track_caller]
    fn check(history: &str, expected: &str) {
        let mut health = Health::default();
        let mut now = 0;
        for word in history.split(' ') {
            let outcome = match word {
                "a" => Outcome::Accepted { status: 204 },
                "r" => Outcome::Refused { status: 500, retry_after: None, word: None },
                "l" => Outcome::Refused { status: 429, retry_after: Some(Duration::from_secs(90)), word: None },
                "t" => Outcome::Unreachable(Unreachable::TimedOut(Duration::from_secs(15))),
                seconds => {
                    now += seconds.parse::<i64>().unwrap();
                    continue;
                }
            };
            health = health.after(&outcome, at(now));
        }
        let said = match health.circuit(at(now)) {
            Circuit::Open { until } => format!("open for {}", until.as_secs() - now),
            other => other.as_str().to_owned(),
        };
        assert_eq!(said, expected, "{history}");
    }

    #[test]
    fn the_circuit_opens_on_failures_in_a_row() {
        check("r r r r r r r r r", "closed");
        check("r r r r r r r r r r", "open for 30");
        check("t t t t", "closed");
        check("t t t t t", "open for 30");
        check("t t t t a t t t t", "closed");
        check("t t t t t r r t t", "open for 30");
        check("t t t t t 29", "open for 1");
        check("t t t t t 30", "half-open");
        check("t t t t t 30 a", "closed");
        check("t t t t t 30 r", "open for 60");
        check("t t t t t 30 r 60 t", "open for 120");
        check("t t t t t 30 r 60 r 120 r 240 r 480 r 900 r 900 r", "open for 900");
        check("l", "open for 90");
        check("l 90", "closed");
        check("l a", "closed");
        check("t t t t t l", "open for 90");
    }

    #[test]
    fn what_two_know_is_the_worse_of_it() {
        let one = Health { failing_since: Some(at(5)), weight: 12, trips: 1, not_before: Some(at(40)), warnings: 0 };
        let other = Health { failing_since: Some(at(3)), weight: 4, trips: 0, not_before: None, warnings: 1 };
        let both = Health { failing_since: Some(at(3)), warnings: 1, ..one };
        assert_eq!((one.and(other), other.and(one)), (both, both));
        assert_eq!(one.and(Health::default()), one);
    }

    #[test]
    fn five_days_of_only_failures_are_too_many() {
        let failed = Outcome::Refused { status: 404, retry_after: None, word: None };
        let first = Health::default().after(&failed, at(0));
        let days = |days: i64| at(days * 24 * 3600);
        assert!(!first.after(&failed, days(4)).is_given_up(days(4)));
        assert!(first.after(&failed, days(5)).is_given_up(days(5)));
        let warnings = |days_on: i64| first.after(&failed, days(days_on)).warnings;
        assert_eq!([warnings(0), warnings(1), warnings(2), warnings(3), warnings(4)], [0, 1, 1, 2, 2]);
        let well = first.after(&Outcome::Accepted { status: 200 }, days(4));
        assert!(well.is_well() && !well.after(&failed, days(6)).is_given_up(days(6)));
    }
}
