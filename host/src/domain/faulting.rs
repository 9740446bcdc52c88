//! Plugins that keep failing, and the notice that tells their tenant.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use serde_json::value::to_raw_value;

use super::event::Draft;
use super::id::TenantId;
use super::pipeline::{StepOutcome, StepReport};
use super::place::PlaceId;
use super::plugin::PluginName;
use super::time::Timestamp;

/// The type of the notice.
pub const FAULTING: &str = "plugin.faulting";

/// Failures in a row after which the tenant is told.
const KEEPS_FAILING: u32 = 5;
/// Nothing is told again within this time.
const QUIET: Duration = Duration::from_secs(60 * 60);
/// Who has not failed for this long is not failing any more, called or not.
const FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);
/// Plugins that are failing at the moment; more are not watched.
const WATCHED: usize = 10_000;

/// At most this many characters of a failure are remembered.
const REMEMBERED: usize = 500;

/// Who failed how often without a success between.
#[derive(Default)]
pub struct Streaks(HashMap<(TenantId, PluginName, u32), Streak>);

#[derive(Default)]
struct Streak {
    failures: u32,
    failed_at: Option<Timestamp>,
    told_at: Option<Timestamp>,
    /// What the last failure said.
    last: String,
}

impl Streak {
    fn is_quiet(&self, now: Timestamp) -> bool {
        self.told_at.is_some_and(|told| now < told + QUIET)
    }

    fn is_failing(&self, now: Timestamp) -> bool {
        self.failures > 0 && self.failed_at.is_some_and(|failed| now < failed + FORGOTTEN)
    }
}

impl Streaks {
    /// Takes note of a step's report. Answers how many failures in a row there
    /// were, when its tenant is to be told.
    pub fn note(&mut self, tenant: TenantId, report: &StepReport, now: Timestamp) -> Option<u32> {
        // Nearly always: nobody fails.
        if self.0.is_empty() && !report.outcome.is_failure() {
            return None;
        }
        let key = (tenant, report.plugin.clone(), report.version);
        if !report.outcome.is_failure() {
            if let Some(streak) = self.0.get_mut(&key) {
                streak.failures = 0;
            }
            return None;
        }
        if self.0.len() >= WATCHED && !self.0.contains_key(&key) {
            self.0.retain(|_, streak| streak.is_failing(now) || streak.is_quiet(now));
            if self.0.len() >= WATCHED {
                return None;
            }
        }
        let streak = self.0.entry(key).or_default();
        streak.failures += 1;
        streak.failed_at = Some(now);
        streak.last = report.outcome.failure().unwrap_or_default().chars().take(REMEMBERED).collect();
        if streak.failures < KEEPS_FAILING || streak.is_quiet(now) {
            return None;
        }
        streak.told_at = Some(now);
        Some(streak.failures)
    }
}

impl Streaks {
    /// The plugins of one tenant that keep failing, by name and version.
    pub fn failing(&self, tenant: TenantId, now: Timestamp) -> Vec<KeepsFailing> {
        let theirs = self.0.iter().filter(|((owner, ..), streak)| {
            *owner == tenant && streak.failures >= KEEPS_FAILING && streak.is_failing(now)
        });
        let failing = |((_, name, version), streak): (&(TenantId, PluginName, u32), &Streak)| KeepsFailing {
            name: name.clone(),
            version: *version,
            failures: streak.failures,
            last_error: streak.last.clone(),
        };
        let mut failing: Vec<KeepsFailing> = theirs.map(failing).collect();
        failing.sort_by(|one, other| (&one.name, one.version).cmp(&(&other.name, other.version)));
        failing
    }
}

/// A plugin that has failed some times in a row and not succeeded since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeepsFailing {
    pub name: PluginName,
    pub version: u32,
    /// In a row.
    pub failures: u32,
    pub last_error: String,
}

/// A plugin keeps failing.
#[derive(Clone, Debug)]
pub struct Faulting {
    pub tenant: TenantId,
    /// Whose step it is.
    pub whose: PlaceId,
    /// The event or request that it failed at last.
    pub about: String,
    pub failures: u32,
    /// The last failure.
    pub report: StepReport,
}

impl Faulting {
    /// The event that tells of it.
    pub fn draft(&self) -> Draft {
        let StepReport { plugin, version, job, outcome, log, fuel, .. } = &self.report;
        let (error, backtrace) = match outcome {
            StepOutcome::Faulted { limit, message, backtrace } => {
                (json!({"kind": "fault", "limit": limit, "message": message}), backtrace.as_slice())
            }
            StepOutcome::Refused { code, message } => {
                (json!({"kind": "refusal", "code": code, "message": message}), [].as_slice())
            }
            _ => (json!(null), [].as_slice()),
        };
        let data = json!({
            "plugin": plugin, "version": version, "job": job, "whose": self.whose, "about": self.about,
            "failures_in_a_row": self.failures, "error": error, "backtrace": backtrace, "log": log, "fuel": fuel,
        });
        Draft {
            event_type: FAULTING.parse().expect("it is a type"),
            occurred_at: None,
            deliver_at: None,
            subject: Some(plugin.to_string()),
            account: None,
            tags: Vec::new(),
            data: to_raw_value(&data).expect("it is JSON").into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::plugin::Job;
    use super::*;

    fn report(fails: bool) -> StepReport {
        let failed = StepOutcome::Refused { code: "no".to_owned(), message: "no".to_owned() };
        StepReport {
            plugin: "a".parse().unwrap(),
            version: 1,
            job: Job::Filter,
            outcome: if fails { failed } else { StepOutcome::Kept },
            on_failure: None,
            log: Vec::new(),
            fuel: 0,
            duration_us: 0,
            memory: 0,
        }
    }

    /// `f` fails, `k` keeps, a digit lets that many times ten minutes pass; what
    /// is told is told by the place in the text.
    #[track_caller]
    fn check(history: &str, told: &[usize]) {
        let mut streaks = Streaks::default();
        let tenant = TenantId::floor(Timestamp::from_millis(1));
        let mut now = Timestamp::from_millis(0);
        let mut found = Vec::new();
        for (at, what) in history.chars().enumerate() {
            match what.to_digit(10) {
                Some(minutes) => now = now + Duration::from_secs(600 * u64::from(minutes)),
                None => found.extend(streaks.note(tenant, &report(what == 'f'), now).map(|_| at)),
            }
        }
        assert_eq!(found, told, "{history}");
    }

    #[test]
    fn who_keeps_failing_is_told_once_an_hour() {
        check("ffff", &[]);
        check("fffff", &[4]);
        check("ffffkffff", &[]);
        check("ffffkfffff", &[9]);
        check("fffffffff", &[4]);
        check("fffff5f", &[4]);
        check("fffff6f", &[4, 6]);
        check("fffffkfffff", &[4]);
        check("fffff9kfffff", &[4, 11]);
    }

    #[test]
    fn who_keeps_failing_is_named_until_it_succeeds() {
        let (mut streaks, now) = (Streaks::default(), Timestamp::from_millis(0));
        let (one, other) = (TenantId::floor(now), TenantId::floor(now + QUIET));
        for _ in 0..4 {
            streaks.note(one, &report(true), now);
        }
        assert_eq!(streaks.failing(one, now), []);
        streaks.note(one, &report(true), now);
        let failing = streaks.failing(one, now);
        let expected = report(true);
        let last_error = expected.outcome.failure().unwrap().to_owned();
        assert_eq!(
            failing,
            [KeepsFailing { name: expected.plugin, version: expected.version, failures: 5, last_error }]
        );
        assert_eq!((streaks.failing(other, now), streaks.failing(one, now + FORGOTTEN)), (Vec::new(), Vec::new()));
        streaks.note(one, &report(false), now);
        assert_eq!(streaks.failing(one, now), []);
    }

    #[test]
    fn who_failed_long_ago_gives_place_to_who_fails_now() {
        let mut streaks = Streaks::default();
        let tenant = |number: usize| TenantId::floor(Timestamp::from_millis(i64::try_from(number).unwrap()));
        let start = Timestamp::from_millis(0);
        for number in 0..WATCHED {
            streaks.note(tenant(number), &report(true), start);
        }
        let mut told = |now| (0..5).find_map(|_| streaks.note(tenant(WATCHED), &report(true), now));
        assert_eq!(told(start + Duration::from_secs(23 * 60 * 60)), None, "all are failing, and there are enough");
        assert_eq!(told(start + FORGOTTEN), Some(5));
    }
}
