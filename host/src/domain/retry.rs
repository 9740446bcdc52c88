//! Retries: when the next try is.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

const SECOND: u64 = 1;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// The delays that Standard Webhooks recommends after attempts 1 to 9: ten
/// attempts over 75 hours.
const STANDARD_WEBHOOKS: [u64; 9] =
    [5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];

/// A receiver may slow us down, but not switch us off for a year.
const MAX_DELAY: Duration = Duration::from_secs(24 * HOUR);
/// A delay moves by a fifth at most, unless the policy says otherwise.
const USUAL_JITTER: f64 = 0.2;
const MAX_JITTER: f64 = 0.5;
/// At most this many retries in a policy.
const MAX_RETRIES: usize = 30;

/// When failed attempts are made again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// The delay in seconds after each failed attempt but the last.
    pub schedule: Vec<u64>,
    /// How far a delay may move, as a share of it.
    #[serde(default = "usual_jitter")]
    pub jitter: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { schedule: STANDARD_WEBHOOKS.to_vec(), jitter: USUAL_JITTER }
    }
}

fn usual_jitter() -> f64 {
    USUAL_JITTER
}

/// The schedule is out of bounds.
#[derive(Debug, PartialEq, Eq)]
pub struct BadSchedule;

impl fmt::Display for BadSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a schedule has at most {MAX_RETRIES} delays of at most {} seconds, and a jitter of 0 to {MAX_JITTER}",
            MAX_DELAY.as_secs()
        )
    }
}

/// A random factor between -1 and 1, so that many deliveries that failed
/// together do not come back together.
#[derive(Clone, Copy, Debug)]
pub struct Jitter(f64);

impl Jitter {
    /// No jitter, for tables.
    pub const NONE: Self = Self(0.0);
    /// From 32 random bits.
    pub fn new(random: u32) -> Self {
        Self(f64::from(random) / f64::from(u32::MAX) * 2.0 - 1.0)
    }

    fn spread(self, delay: Duration, share: f64) -> Duration {
        delay.mul_f64(1.0 + share * self.0)
    }
}

impl RetryPolicy {
    pub fn check(self) -> Result<Self, BadSchedule> {
        let fits = self.schedule.len() <= MAX_RETRIES
            && self.schedule.iter().all(|delay| *delay <= MAX_DELAY.as_secs())
            && (0.0..=MAX_JITTER).contains(&self.jitter);
        if fits { Ok(self) } else { Err(BadSchedule) }
    }

    /// When to try again after attempt number `attempt` (from 1) has failed;
    /// nothing when that was the last. What the receiver asks for can make the
    /// wait longer than scheduled, never shorter.
    pub fn after(&self, attempt: u32, asked: Option<Duration>, now: Timestamp, jitter: Jitter) -> Option<Timestamp> {
        let at = usize::try_from(attempt.checked_sub(1)?).ok()?;
        let scheduled = jitter.spread(Duration::from_secs(*self.schedule.get(at)?), self.jitter);
        Some(now + asked.unwrap_or_default().min(MAX_DELAY).max(scheduled))
    }
}

/// `Retry-After` (RFC 9110, section 10.2.3): whole seconds, or an HTTP date.
pub fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a u64 holds is still "very long".
        return Some(Duration::from_secs(value.parse().unwrap_or(MAX_DELAY.as_secs())).min(MAX_DELAY));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Timestamp::from_millis(date.as_millisecond()).since(now).min(MAX_DELAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(attempt: u32, asked: Option<u64>, expected: Option<u64>) {
        let now = Timestamp::from_millis(0);
        let next = RetryPolicy::default().after(attempt, asked.map(Duration::from_secs), now, Jitter::NONE);
        assert_eq!(next.map(|next| next.as_secs()), expected.map(|secs| secs as i64), "attempt {attempt} {asked:?}");
    }

    #[test]
    fn delays_grow_and_then_stop() {
        check(1, None, Some(5));
        check(2, None, Some(300));
        check(9, None, Some(86_400));
        check(10, None, None);
        check(1, Some(120), Some(120));
        check(2, Some(120), Some(300));
        check(1, Some(9_999_999), Some(86_400));
        check(0, None, None);
        check(u32::MAX, None, None);
    }

    #[test]
    fn jitter_moves_a_delay_by_a_fifth_at_most() {
        let after = |random| {
            let now = Timestamp::from_millis(0);
            RetryPolicy::default().after(2, None, now, Jitter::new(random)).unwrap().as_millis()
        };
        assert_eq!(after(0), 240_000);
        assert_eq!(after(u32::MAX), 360_000);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_never_a_panic() {
        let now: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
        let check = |value: &str, expected: Option<u64>| {
            assert_eq!(parse_retry_after(value, now).map(|delay| delay.as_secs()), expected, "{value}");
        };
        check("5", Some(5));
        check(" 0 ", Some(0));
        check("Sat, 21 Nov 2026 08:02:00 GMT", Some(120));
        check("Sat, 21 Nov 2020 08:02:00 GMT", Some(0));
        check("100000000000000", Some(86_400));
        check("99999999999999999999999999", Some(86_400));
        for bad in ["", "-1", "1.5", "NaN", "inf", "1e30", "soon", "٣"] {
            check(bad, None);
        }
    }
}
