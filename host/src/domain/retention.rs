//! Retention: how long what happened is kept. The operator says it for the
//! server, and may say something shorter for a tenant.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// What is written and tried at this moment is not old.
const SHORTEST: Duration = Duration::from_secs(HOUR);

/// For how long. The shorter is the smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    For(Duration),
    Forever,
}

/// How long each kind of thing is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// What sources received.
    pub requests: Keep,
    /// Events with their deliveries, messages and attempts.
    pub events: Keep,
    /// Of deliveries that have come to rest.
    pub attempts: Keep,
    /// Requests' bodies, events' data and the messages made of them.
    pub bodies: Keep,
    /// What receivers answered: headers and body. Status and outcome stay.
    pub answers: Keep,
}

impl Default for Retention {
    fn default() -> Self {
        let month = Keep::For(Duration::from_secs(30 * DAY));
        let week = Keep::For(Duration::from_secs(7 * DAY));
        Self { requests: month, events: month, attempts: month, bodies: month, answers: week }
    }
}

/// What the operator says for one tenant; as the server has it, where absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OwnRetention {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Keep>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Keep>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Keep>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bodies: Option<Keep>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers: Option<Keep>,
}

/// A tenant would keep something longer than the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    pub field: &'static str,
    pub wanted: Keep,
    pub allowed: Keep,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, wanted, allowed } = self;
        write!(f, "{wanted} is longer than the server keeps it, {allowed}; give less, or raise `keep-{field}`")
    }
}

impl OwnRetention {
    /// Whether the server keeps everything for as long, or what not.
    pub fn check(&self, server: &Retention) -> Result<(), TooLong> {
        let pairs = [
            ("requests", self.requests, server.requests),
            ("events", self.events, server.events),
            ("attempts", self.attempts, server.attempts),
            ("bodies", self.bodies, server.bodies),
            ("answers", self.answers, server.answers),
        ];
        let too_long = |(field, own, allowed): (&'static str, Option<Keep>, Keep)| {
            own.filter(|wanted| *wanted > allowed).map(|wanted| TooLong { field, wanted, allowed })
        };
        pairs.into_iter().find_map(too_long).map_or(Ok(()), Err)
    }

    /// How long each thing is kept on a server that keeps it that long. The
    /// server's may have become shorter since this was said.
    pub fn on(&self, server: &Retention) -> Retention {
        let shorter = |own: Option<Keep>, server: Keep| own.map_or(server, |own| own.min(server));
        Retention {
            requests: shorter(self.requests, server.requests),
            events: shorter(self.events, server.events),
            attempts: shorter(self.attempts, server.attempts),
            bodies: shorter(self.bodies, server.bodies),
            answers: shorter(self.answers, server.answers),
        }
    }
}

/// Not a time to keep something for.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAKeep;

impl fmt::Display for NotAKeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("give a number of days or hours, such as 30d or 12h, at least 1h; or forever")
    }
}

impl FromStr for Keep {
    type Err = NotAKeep;

    fn from_str(text: &str) -> Result<Self, NotAKeep> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(NotAKeep)?;
        let seconds = match unit {
            "d" => DAY,
            "h" => HOUR,
            "m" => MINUTE,
            _ => return Err(NotAKeep),
        };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotAKeep);
        }
        // Centuries: beyond that, the calendar has no name for the instant.
        let number: u32 = number.parse().map_err(|_| NotAKeep)?;
        let time = Duration::from_secs(u64::from(number.min(1_000_000)) * seconds);
        if time < SHORTEST { Err(NotAKeep) } else { Ok(Self::For(time)) }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("forever"),
            Self::For(time) => match time.as_secs() {
                seconds if seconds.is_multiple_of(DAY) => write!(f, "{}d", seconds / DAY),
                seconds if seconds.is_multiple_of(HOUR) => write!(f, "{}h", seconds / HOUR),
                seconds => write!(f, "{}m", seconds / MINUTE),
            },
        }
    }
}

impl Serialize for Keep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, NotAKeep>) {
        assert_eq!(text.parse::<Keep>().map(|keep| keep.to_string()), expected.map(str::to_owned), "{text}");
    }

    #[test]
    fn times_are_days_hours_and_minutes() {
        check("30d", Ok("30d"));
        check("12h", Ok("12h"));
        check("48h", Ok("2d"));
        check("90m", Ok("90m"));
        check("forever", Ok("forever"));
        check("99999999d", Ok("1000000d"));
        for wrong in ["", "d", "30", "0d", "59m", "-1d", "+1d", "1.5d", "1w", "1 d", "ever", "9999999999999d", "3ä"] {
            check(wrong, Err(NotAKeep));
        }
    }

    #[test]
    fn a_tenant_keeps_nothing_longer_than_the_server() {
        let day = |days: u64| Keep::For(Duration::from_secs(days * DAY));
        let server = Retention { events: day(10), bodies: Keep::Forever, ..Retention::default() };
        let own = OwnRetention { events: Some(day(10)), bodies: Some(day(1)), ..OwnRetention::default() };
        assert_eq!(own.check(&server), Ok(()));
        assert_eq!(own.on(&server), Retention { bodies: day(1), ..server });
        let too_long = OwnRetention { events: Some(day(11)), ..OwnRetention::default() };
        let said = too_long.check(&server).unwrap_err();
        assert_eq!((said.field, said.to_string().contains("keep-events")), ("events", true));
        let forever = OwnRetention { events: Some(Keep::Forever), ..OwnRetention::default() };
        assert!(forever.check(&server).is_err());
        // The server's was made shorter later.
        assert_eq!(too_long.on(&server).events, day(10));
    }
}
