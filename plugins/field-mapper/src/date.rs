//! Dates, as people's systems write them, to RFC 3339 in UTC. A time without a
//! zone is taken to be UTC.

use jiff::civil::DateTime;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Numbers from here on are milliseconds: as seconds they would be after the
/// year 5138.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// The instant in RFC 3339, or why it is none.
pub(crate) fn to_rfc3339(text: &str) -> Result<String, String> {
    let text = text.trim();
    let instant = match text.strip_prefix('-').unwrap_or(text).bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        true => unix(text),
        false => written(text),
    };
    instant
        .map(|instant| instant.to_string())
        .ok_or_else(|| "neither RFC 3339, RFC 2822, YYYY-MM-DD, YYYY-MM-DD HH:MM:SS nor Unix time".to_owned())
}

fn written(text: &str) -> Option<Timestamp> {
    static RFC_2822: DateTimeParser = DateTimeParser::new();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    if let Ok(civil) = text.parse::<DateTime>() {
        return civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    }
    RFC_2822.parse_timestamp(text).ok()
}

/// Seconds or milliseconds, with or without a fraction.
fn unix(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = whole.parse().ok()?;
    if whole.abs() >= MILLISECONDS_FROM {
        return Timestamp::from_millisecond(whole).ok();
    }
    let nanoseconds: i64 = match fraction.get(..9).unwrap_or(fraction) {
        "" => 0,
        digits => digits.parse::<i64>().ok()? * 10_i64.pow(9 - u32::try_from(digits.len()).ok()?),
    };
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let since = SignedDuration::from_secs(whole) + SignedDuration::from_nanos(sign * nanoseconds);
    Timestamp::from_duration(since).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(to_rfc3339(text).unwrap_or_else(|_| "no".to_owned()), expected, "{text}");
    }

    #[test]
    fn dates() {
        check("2026-11-21T08:30:00Z", "2026-11-21T08:30:00Z");
        check("2026-11-21T08:30:00.125+02:00", "2026-11-21T06:30:00.125Z");
        check("2026-11-21t08:30:00z", "2026-11-21T08:30:00Z");
        check("2026-11-21", "2026-11-21T00:00:00Z");
        check("2026-11-21 08:30:00", "2026-11-21T08:30:00Z");
        check("2026-11-21T08:30:00", "2026-11-21T08:30:00Z");
        check("Sat, 21 Nov 2026 08:30:00 +0100", "2026-11-21T07:30:00Z");
        check("Sat, 21 Nov 2026 08:30:00 GMT", "2026-11-21T08:30:00Z");
        check("1795249800", "2026-11-21T08:30:00Z");
        check("1795249800123", "2026-11-21T08:30:00.123Z");
        check("1503435956.000247", "2017-08-22T21:05:56.000247Z");
        check("-1.5", "1969-12-31T23:59:58.5Z");
        check("0", "1970-01-01T00:00:00Z");
        check("2026-02-30", "no");
        check("21.11.2026", "no");
        check("tomorrow", "no");
        check("", "no");
        check("99999999999999999999", "no");
    }
}
