//! How fast an endpoint is sent to: what its owner asks for.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::claim::LONGEST_DEADLINE;
use super::event::Event;
use super::host::Part;
use super::time::Timestamp;

/// Requests in flight to one endpoint at once, unless its owner says otherwise.
pub const USUAL_IN_FLIGHT: u16 = 64;
const MAX_IN_FLIGHT: u16 = 256;
const MAX_RATE: u32 = 10_000;
/// Microseconds from one request to the next that one host can easily keep to
/// for all.
const SLOW: i64 = 1_000_000;

/// What an owner may say. Nothing said means as fast as the receiver takes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pace {
    pub rate_limit: Option<RateLimit>,
    pub max_in_flight: Option<u16>,
    /// Of one attempt, over everything from resolving to the end of the answer.
    pub timeout_seconds: Option<u64>,
    pub ordered: Order,
}

/// First in, first out: whether a delivery waits until the one before it has
/// come to rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "OrderText", into = "OrderText")]
pub enum Order {
    #[default]
    None,
    /// All of the endpoint's are one line.
    Endpoint,
    /// Each subject's are a line. Events without a subject wait for nobody.
    Subject,
}

/// As the API and the store spell it.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "true, false, \"endpoint\" (as true) or \"subject\"")]
enum OrderText {
    Is(bool),
    Of(OrderOf),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OrderOf {
    Endpoint,
    Subject,
}

impl From<OrderText> for Order {
    fn from(text: OrderText) -> Self {
        match text {
            OrderText::Is(false) => Self::None,
            OrderText::Is(true) | OrderText::Of(OrderOf::Endpoint) => Self::Endpoint,
            OrderText::Of(OrderOf::Subject) => Self::Subject,
        }
    }
}

impl From<Order> for OrderText {
    fn from(order: Order) -> Self {
        match order {
            Order::None => Self::Is(false),
            Order::Endpoint => Self::Is(true),
            Order::Subject => Self::Of(OrderOf::Subject),
        }
    }
}

impl Order {
    /// The line that an event waits in.
    pub fn line(self, event: &Event) -> Option<String> {
        match self {
            Self::None => None,
            Self::Endpoint => Some(String::new()),
            Self::Subject => event.subject.clone(),
        }
    }
}

/// At most so many requests in each second, minute or hour. They are spread
/// evenly over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    pub limit: u32,
    pub per: Period,
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, per } = self;
        let per = match per {
            Period::Second => "a second",
            Period::Minute => "a minute",
            Period::Hour => "an hour",
        };
        let requests = if *limit == 1 { "request" } else { "requests" };
        write!(f, "{limit} {requests} {per}")
    }
}

/// What a rate is counted over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    Second,
    Minute,
    Hour,
}

/// A pace, as one host keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostPace {
    /// Requests at once, one at least.
    pub in_flight: u16,
    pub spacing: Option<Spacing>,
}

/// Microseconds from one request to the next, one at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spacing(i64);

/// A field is out of bounds.
#[derive(Debug, PartialEq, Eq)]
pub struct BadPace {
    pub field: &'static str,
    pub problem: String,
}

impl Pace {
    pub fn check(self) -> Result<Self, BadPace> {
        let bad = |field, problem| Err(BadPace { field, problem });
        self.rate_limit.map(RateLimit::check).transpose()?;
        if self.max_in_flight.is_some_and(|most| !(1..=MAX_IN_FLIGHT).contains(&most)) {
            return bad("max_in_flight", format!("give 1 to {MAX_IN_FLIGHT}"));
        }
        let longest = LONGEST_DEADLINE.as_secs();
        if self.timeout_seconds.is_some_and(|seconds| !(1..=longest).contains(&seconds)) {
            return bad("timeout_seconds", format!("give 1 to {longest}"));
        }
        Ok(self)
    }

    /// What one of the hosts that share a database may make of it: its part of the
    /// places, and of the rate. Nothing where others have all of it.
    pub fn of(&self, part: Part) -> Option<HostPace> {
        let in_flight = match self.ordered {
            // Of a line only the first is ever due, whoever takes it.
            Order::Endpoint => 1,
            Order::None | Order::Subject => part.at_once(self.max_in_flight.unwrap_or(USUAL_IN_FLIGHT)),
        };
        let spacing = match self.rate_limit {
            None => None,
            Some(rate) => Some(rate.of(part)?),
        };
        (in_flight > 0).then_some(HostPace { in_flight, spacing })
    }

    pub fn timeout(&self) -> Option<Duration> {
        self.timeout_seconds.map(Duration::from_secs)
    }
}

impl RateLimit {
    pub fn check(self) -> Result<Self, BadPace> {
        match self.limit {
            1..=MAX_RATE => Ok(self),
            _ => Err(BadPace {
                field: "rate_limit",
                problem: format!("give a limit of 1 to {MAX_RATE} per second, minute or hour"),
            }),
        }
    }

    /// Rounded down, one at least.
    pub fn per_minute(self) -> u32 {
        match self.per {
            Period::Second => self.limit.saturating_mul(60),
            Period::Minute => self.limit,
            Period::Hour => (self.limit / 60).max(1),
        }
    }

    /// What one host has of it: the same part as every other, or where it is slow all
    /// or nothing. Parts of a slow rate would be kept by each host and not by all:
    /// of one request an hour, three hosts would send three in the same minute.
    pub fn of(self, part: Part) -> Option<Spacing> {
        let period = match self.per {
            Period::Second => 1,
            Period::Minute => 60,
            Period::Hour => 3600,
        };
        let all = (period * 1_000_000 / i64::from(self.limit.max(1))).max(1);
        match all < SLOW {
            true => Some(Spacing(all.saturating_mul(part.of.into()))),
            false => (part.rank == 0).then_some(Spacing(all)),
        }
    }
}

impl Spacing {
    /// How many requests fit into `time`, one at least.
    pub fn within(self, time: Duration) -> usize {
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        usize::try_from(micros / self.0).unwrap_or(usize::MAX).max(1)
    }
}

/// Whose turn comes when: the generic cell rate algorithm (ITU-T I.371) without a
/// burst. What is remembered is the last turn, so that another rate holds at
/// once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// Microseconds since 1970: a thousand turns may be in a millisecond.
    last: Option<i64>,
}

impl Turns {
    /// When the next turn is, which is not before `now`.
    pub fn next(&self, spacing: Spacing, now: Timestamp) -> Timestamp {
        // Rounded up: not a request too early.
        Timestamp::from_millis(self.micros(spacing, now).saturating_add(999) / 1000)
    }

    /// Takes the next turn and says when it is.
    pub fn take(&mut self, spacing: Spacing, now: Timestamp) -> Timestamp {
        let turn = self.next(spacing, now);
        self.last = Some(self.micros(spacing, now));
        turn
    }

    fn micros(&self, spacing: Spacing, now: Timestamp) -> i64 {
        let now = now.as_millis().saturating_mul(1000);
        self.last.map_or(now, |last| last.saturating_add(spacing.0).max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(limit: u32, per: Period) -> Spacing {
        RateLimit { limit, per }.of(Part::WHOLE).unwrap()
    }

    #[test]
    fn turns_are_spread_over_the_period() {
        let mut turns = Turns::default();
        let rate = whole(3, Period::Second);
        let mut take = |at| turns.take(rate, Timestamp::from_millis(at)).as_millis();
        assert_eq!([take(1000), take(1000), take(1000), take(1000)], [1000, 1334, 1667, 2000]);
        assert_eq!(take(9000), 9000, "what was not used is not saved up");
        assert_eq!(take(9001), 9334);
        let hourly = whole(1, Period::Hour);
        let at = Timestamp::from_millis(9_400);
        assert_eq!(turns.next(hourly, at).as_millis(), 3_609_334, "another rate holds at once");
        assert_eq!(turns.next(rate, at).as_millis(), 9_667);
    }

    #[test]
    fn a_rate_fills_a_time() {
        assert_eq!(whole(10, Period::Second).within(Duration::from_secs(5)), 50);
        assert_eq!(whole(30, Period::Minute).within(Duration::from_secs(5)), 2);
        assert_eq!(whole(1, Period::Hour).within(Duration::from_secs(5)), 1);
    }

    #[test]
    fn hosts_divide_a_pace() {
        let pace = |limit, per, max_in_flight| Pace {
            rate_limit: Some(RateLimit { limit, per }),
            max_in_flight: Some(max_in_flight),
            ..Pace::default()
        };
        let parts = |pace: &Pace| [0, 1, 2].map(|rank| pace.of(Part { rank, of: 3 }));
        let has = |in_flight, spacing| Some(HostPace { in_flight, spacing: Some(Spacing(spacing)) });
        assert_eq!(parts(&pace(100, Period::Second, 5)), [has(2, 30_000), has(2, 30_000), has(1, 30_000)]);
        assert_eq!(parts(&pace(100, Period::Second, 2)), [has(1, 30_000), has(1, 30_000), None]);
        // One host keeps to a slow rate.
        assert_eq!(parts(&pace(60, Period::Minute, 5)), [has(2, 1_000_000), None, None]);
        assert_eq!(parts(&pace(1, Period::Hour, 1)), [has(1, 3_600_000_000), None, None]);
        let line = Pace { ordered: Order::Endpoint, ..Pace::default() };
        assert_eq!(parts(&line), [Some(HostPace { in_flight: 1, spacing: None }); 3]);
    }

    #[test]
    fn a_pace_has_bounds() {
        let check = |pace: Pace| pace.check().map_err(|bad| format!("{}: {}", bad.field, bad.problem));
        let rate = |limit| Pace { rate_limit: Some(RateLimit { limit, per: Period::Minute }), ..Pace::default() };
        assert!(check(rate(1)).is_ok() && check(rate(10_000)).is_ok());
        assert_eq!(check(rate(0)).unwrap_err(), "rate_limit: give a limit of 1 to 10000 per second, minute or hour");
        assert!(check(rate(10_001)).is_err());
        let pace = |max_in_flight, timeout_seconds| Pace { max_in_flight, timeout_seconds, ..Pace::default() };
        assert!(check(pace(Some(256), Some(30))).is_ok());
        assert_eq!(check(pace(Some(0), None)).unwrap_err(), "max_in_flight: give 1 to 256");
        assert_eq!(check(pace(None, Some(31))).unwrap_err(), "timeout_seconds: give 1 to 30");
    }
}
