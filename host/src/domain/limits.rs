//! What the operator lets a tenant have: of the sandbox and of the door.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bucket::Flow;
use super::budget::{Ceilings, Excess};
use super::time::Timestamp;
use super::usage::{Day, day};

/// What a tenant's bucket of events holds: as many as come in this time.
const BURST: Duration = Duration::from_secs(5);
const MAX_PER_SECOND: u64 = 1_000_000;
/// More than one server takes in a month.
const MAX_QUOTA: u64 = 1_000_000_000_000;

/// All of a tenant's limits. The API and the store have them side by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Limits {
    /// What its plugins may ask for at most.
    pub ceilings: Ceilings,
    pub intake: Allowance,
}

/// How many events may be published and received together. Nothing said means
/// no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    pub per_second: Option<u32>,
    /// From midnight to midnight, UTC.
    pub per_day: Option<u64>,
    /// Of the calendar, UTC.
    pub per_month: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    fuel: u64,
    memory: u64,
    output: u64,
    log: u64,
    events_per_second: Option<u32>,
    events_per_day: Option<u64>,
    events_per_month: Option<u64>,
}

impl Default for Written {
    fn default() -> Self {
        Limits::default().into()
    }
}

impl From<Written> for Limits {
    fn from(written: Written) -> Self {
        let Written { fuel, memory, output, log, events_per_second, events_per_day, events_per_month } = written;
        let intake = Allowance { per_second: events_per_second, per_day: events_per_day, per_month: events_per_month };
        Self { ceilings: Ceilings { fuel, memory, output, log }, intake }
    }
}

impl From<Limits> for Written {
    fn from(limits: Limits) -> Self {
        let Ceilings { fuel, memory, output, log } = limits.ceilings;
        let Allowance { per_second, per_day, per_month } = limits.intake;
        Self {
            fuel,
            memory,
            output,
            log,
            events_per_second: per_second,
            events_per_day: per_day,
            events_per_month: per_month,
        }
    }
}

impl Limits {
    /// Whether an operator can mean it, or what not. No events at all can be
    /// meant: a tenant that is shut out.
    pub fn check(&self) -> Result<(), Excess> {
        self.ceilings.check()?;
        let Allowance { per_second, per_day, per_month } = self.intake;
        let asked = [
            ("events_per_second", per_second.map(u64::from), MAX_PER_SECOND),
            ("events_per_day", per_day, MAX_QUOTA),
            ("events_per_month", per_month, MAX_QUOTA),
        ];
        let excess = |(field, wanted, allowed): (&'static str, Option<u64>, u64)| {
            wanted.filter(|wanted| *wanted > allowed).map(|wanted| Excess { field, wanted, allowed })
        };
        match self.intake.per_second {
            Some(0) => Err(Excess { field: "events_per_second", wanted: 0, allowed: MAX_PER_SECOND }),
            _ => asked.into_iter().find_map(excess).map_or(Ok(()), Err),
        }
    }
}

impl Allowance {
    pub fn flow(&self) -> Option<Flow> {
        self.per_second.map(|count| Flow::per_second(count, BURST))
    }
}

/// The first day of a day's month, and of the next one.
pub fn month(of: Day) -> (Day, Day) {
    let midnight = |date: jiff::civil::Date| {
        let instant = date.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp().as_millisecond());
        instant.ok().map(|millis| day(Timestamp::from_millis(millis)))
    };
    let date = jiff::Timestamp::from_second(of.saturating_mul(24 * 60 * 60)).ok();
    let first = date.map(|instant| instant.to_zoned(jiff::tz::TimeZone::UTC).date().first_of_month());
    let next = first.and_then(|first| first.checked_add(jiff::Span::new().months(1)).ok());
    // No calendar reaches there: each day is a month.
    let both = first.and_then(midnight).zip(next.and_then(midnight));
    both.unwrap_or((of, of + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_side_by_side() {
        let limits: Limits = serde_json::from_str(r#"{"fuel": 7, "events_per_day": 9}"#).unwrap();
        assert_eq!((limits.ceilings.fuel, limits.ceilings.memory), (7, Ceilings::default().memory));
        assert_eq!(limits.intake, Allowance { per_day: Some(9), ..Allowance::default() });
        let text = serde_json::to_string(&limits).unwrap();
        assert_eq!(serde_json::from_str::<Limits>(&text).unwrap(), limits);
        let wrong = serde_json::from_str::<Limits>(r#"{"events_per_week": 9}"#).unwrap_err();
        assert!(wrong.to_string().contains("unknown field `events_per_week`"), "{wrong}");
    }

    #[test]
    fn a_limit_can_be_meant() {
        let check = |text: &str| serde_json::from_str::<Limits>(text).unwrap().check().map_err(|excess| excess.field);
        assert_eq!(check("{}"), Ok(()));
        assert_eq!(check(r#"{"events_per_second": 1, "events_per_day": 0}"#), Ok(()));
        assert_eq!(check(r#"{"events_per_second": 0}"#), Err("events_per_second"));
        assert_eq!(check(r#"{"events_per_second": 1000001}"#), Err("events_per_second"));
        assert_eq!(check(r#"{"events_per_month": 1000000000001}"#), Err("events_per_month"));
        assert_eq!(check(r#"{"fuel": 0}"#), Err("fuel"));
    }

    #[test]
    fn a_month_is_the_calendars() {
        let day = |text: &str| day(text.parse().unwrap());
        let month = |text: &str| month(day(text));
        let november = (day("2026-11-01T00:00:00Z"), day("2026-12-01T00:00:00Z"));
        assert_eq!(month("2026-11-21T12:00:00Z"), november);
        assert_eq!(month("2026-11-30T23:59:59Z"), november);
        assert_eq!(month("2026-12-31T23:59:59Z"), (november.1, day("2027-01-01T00:00:00Z")));
        assert_eq!(month("2028-02-29T00:00:00Z").1 - month("2028-02-29T00:00:00Z").0, 29);
    }
}
