//! Instants, as the whole house counts them: milliseconds since 1970, UTC.

use std::fmt;
use std::ops::Add;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// An instant, exact to the millisecond, which is what the store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970-01-01T00:00:00Z.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn as_micros(self) -> i64 {
        self.0.saturating_mul(1000)
    }

    /// Whole seconds, as signatures and `Retry-After` count.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// RFC 3339 in UTC without a fraction: `2026-11-21T08:30:00Z`.
    pub fn in_seconds(self) -> String {
        match jiff::Timestamp::from_second(self.as_secs()) {
            Ok(instant) => format!("{instant:.0}"),
            Err(_) => format!("{}s", self.as_secs()),
        }
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

/// RFC 3339 in UTC with three decimals: `2026-11-21T08:30:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(f, "{instant:.3}"),
            // Outside the years -9999 to 9999: no calendar has a name for it.
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// Not an RFC 3339 instant.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAnInstant;

impl FromStr for Timestamp {
    type Err = NotAnInstant;

    fn from_str(text: &str) -> Result<Self, NotAnInstant> {
        let instant: jiff::Timestamp = text.parse().map_err(|_| NotAnInstant)?;
        Ok(Self(instant.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, millis: Result<i64, NotAnInstant>) {
        assert_eq!(text.parse().map(Timestamp::as_millis), millis, "{text}");
    }

    #[test]
    fn instants_are_rfc_3339_with_any_offset() {
        check("1970-01-01T00:00:00Z", Ok(0));
        check("2024-01-15T10:30:00.123Z", Ok(1_705_314_600_123));
        check("2024-01-15T12:30:00.123+02:00", Ok(1_705_314_600_123));
        check("2024-01-15", Err(NotAnInstant));
        check("yesterday", Err(NotAnInstant));
    }

    #[test]
    fn an_instant_is_written_in_utc_with_milliseconds() {
        assert_eq!(Timestamp::from_millis(1_705_314_600_999).in_seconds(), "2024-01-15T10:30:00Z");
        assert_eq!(Timestamp::from_millis(1_705_314_600_120).to_string(), "2024-01-15T10:30:00.120Z");
    }
}
