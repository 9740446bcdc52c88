//! The gate that events pass: how fast a tenant and a source may bring them, and
//! how many in a day and a month. What is refused here leaves nothing behind but
//! a number.
//!
//! In memory, because it is asked about each event; the counts are written down
//! by upkeep, so that a quota survives a restart. A crash forgets some seconds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::bucket::{Bucket, Flow};
use crate::domain::id::{SourceId, TenantId};
use crate::domain::limits::{Allowance, month};
use crate::domain::pace::RateLimit;
use crate::domain::time::Timestamp;
use crate::domain::usage::{Counted, Day, day};

/// Beyond this many, sources that were quiet are forgotten: their buckets are
/// full, as those of strangers are.
const SOURCES: usize = 10_000;

/// Clones are the same gate.
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    tenants: HashMap<TenantId, Meter>,
    sources: HashMap<SourceId, Bucket>,
}

#[derive(Default)]
struct Meter {
    bucket: Bucket,
    /// Of this month.
    days: BTreeMap<Day, Counted>,
    /// Of these, the ones that changed since they were written down.
    changed: BTreeSet<Day>,
}

/// What a source's requests have to pass beside their tenant's limits.
pub type SourceRate = Option<(SourceId, RateLimit)>;

/// Why nothing passes, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    TenantTooFast { per_second: u32, wait: Duration },
    SourceTooFast { rate: RateLimit, wait: Duration },
    DaySpent { quota: u64, wait: Duration },
    MonthSpent { quota: u64, wait: Duration },
}

impl Refused {
    pub fn wait(&self) -> Duration {
        match self {
            Self::TenantTooFast { wait, .. }
            | Self::SourceTooFast { wait, .. }
            | Self::DaySpent { wait, .. }
            | Self::MonthSpent { wait, .. } => *wait,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TenantTooFast { per_second, .. } => {
                write!(f, "{per_second} events a second may come in, published and received together")
            }
            Self::SourceTooFast { rate, .. } => write!(f, "this source takes {rate}"),
            Self::DaySpent { quota, .. } => write!(f, "of {quota} events a day too few are left; midnight is UTC's"),
            Self::MonthSpent { quota, .. } => write!(f, "of {quota} events a month too few are left"),
        }
    }
}

/// What a tenant has brought in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Brought {
    pub today: Counted,
    pub month: Counted,
}

/// Events that may pass. They count while this is there, and for good once they
/// are stored.
pub struct Passage {
    gate: Gate,
    tenant: TenantId,
    /// As the day was when they came.
    day: Day,
    /// What is counted until it is known how many there are.
    events: u64,
}

impl Passage {
    /// So many events were stored. What a source's pipeline made beyond one
    /// counts against the rate afterwards, which others then wait for.
    pub fn stored(mut self, events: u64, allowance: &Allowance, now: Timestamp) {
        let expected = std::mem::take(&mut self.events);
        let mut state = self.gate.lock();
        let meter = state.tenants.entry(self.tenant).or_default();
        meter.count(self.day, |count| count.taken = (count.taken + events).saturating_sub(expected));
        let more = u32::try_from(events.saturating_sub(expected)).unwrap_or(u32::MAX);
        if let (Some(flow), 1..) = (allowance.flow(), more) {
            meter.bucket.take(flow, more, now);
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        if self.events > 0 {
            let mut state = self.gate.lock();
            let meter = state.tenants.entry(self.tenant).or_default();
            meter.count(self.day, |count| count.taken = count.taken.saturating_sub(self.events));
        }
    }
}

impl Gate {
    /// With what was counted before this run.
    pub fn remembering(counts: Vec<(TenantId, Day, Counted)>) -> Self {
        let gate = Self::default();
        let mut state = gate.lock();
        for (tenant, day, counted) in counts {
            state.tenants.entry(tenant).or_default().days.insert(day, counted);
        }
        drop(state);
        gate
    }

    /// Whether `events` of `tenant` may pass, all of them or none.
    pub fn admit(
        &self,
        tenant: TenantId,
        allowance: &Allowance,
        source: SourceRate,
        events: u32,
        now: Timestamp,
    ) -> Result<Passage, Refused> {
        let today = day(now);
        let mut state = self.lock();
        let State { tenants, sources } = &mut *state;
        if sources.len() > SOURCES {
            sources.retain(|_, bucket| !bucket.is_full(now));
        }
        let meter = tenants.entry(tenant).or_default();
        let own = source.map(|(id, rate)| (sources.entry(id).or_default(), rate));
        if let Err(refused) = judge(meter, allowance, own.as_ref().map(|(own, rate)| (&**own, *rate)), events, now) {
            meter.count(today, |count| count.refused += u64::from(events));
            return Err(refused);
        }
        if let Some((bucket, rate)) = own {
            bucket.take(Flow::of(rate), 1, now);
        }
        if let Some(flow) = allowance.flow() {
            meter.bucket.take(flow, events, now);
        }
        meter.count(today, |count| count.taken += u64::from(events));
        drop(state);
        Ok(Passage { gate: self.clone(), tenant, day: today, events: events.into() })
    }

    /// What `tenant` has brought in this day and this month.
    pub fn brought(&self, tenant: TenantId, now: Timestamp) -> Brought {
        self.lock().tenants.get(&tenant).map_or_else(Brought::default, |meter| meter.brought(day(now)))
    }

    /// The counts that changed since they were last asked for.
    pub fn take_counts(&self, now: Timestamp) -> Vec<(TenantId, Day, Counted)> {
        let (first, _) = month(day(now));
        let mut state = self.lock();
        let mut taken = Vec::new();
        state.tenants.retain(|tenant, meter| {
            let changed = std::mem::take(&mut meter.changed);
            let counts = changed.into_iter().filter_map(|day| Some((*tenant, day, *meter.days.get(&day)?)));
            taken.extend(counts);
            meter.days = meter.days.split_off(&first);
            !(meter.days.is_empty() && meter.bucket.is_full(now))
        });
        taken
    }

    /// They could not be written down.
    pub fn put_back(&self, counts: Vec<(TenantId, Day, Counted)>) {
        let mut state = self.lock();
        for (tenant, day, counted) in counts {
            let meter = state.tenants.entry(tenant).or_default();
            meter.days.entry(day).or_insert(counted);
            meter.changed.insert(day);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn judge(
    meter: &Meter,
    allowance: &Allowance,
    source: Option<(&Bucket, RateLimit)>,
    events: u32,
    now: Timestamp,
) -> Result<(), Refused> {
    if let Some((bucket, rate)) = source {
        bucket.admits(Flow::of(rate), 1, now).map_err(|wait| Refused::SourceTooFast { rate, wait })?;
    }
    if let (Some(flow), Some(per_second)) = (allowance.flow(), allowance.per_second) {
        let admitted = meter.bucket.admits(flow, events, now);
        admitted.map_err(|wait| Refused::TenantTooFast { per_second, wait })?;
    }
    let today = day(now);
    let brought = meter.brought(today);
    let spent = |quota: Option<u64>, taken: u64| quota.filter(|quota| taken + u64::from(events) > *quota);
    if let Some(quota) = spent(allowance.per_month, brought.month.taken) {
        return Err(Refused::MonthSpent { quota, wait: midnight(month(today).1).since(now) });
    }
    match spent(allowance.per_day, brought.today.taken) {
        Some(quota) => Err(Refused::DaySpent { quota, wait: midnight(today + 1).since(now) }),
        None => Ok(()),
    }
}

fn midnight(day: Day) -> Timestamp {
    Timestamp::from_millis(day.saturating_mul(24 * 60 * 60 * 1000))
}

impl Meter {
    fn brought(&self, today: Day) -> Brought {
        let (first, next) = month(today);
        let mut brought = Brought { today: self.days.get(&today).copied().unwrap_or_default(), ..Brought::default() };
        self.days.range(first..next).for_each(|(_, counted)| brought.month.add(counted));
        brought
    }

    fn count(&mut self, day: Day, change: impl FnOnce(&mut Counted)) {
        change(self.days.entry(day).or_default());
        self.changed.insert(day);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn start() -> Timestamp {
        "2026-11-30T12:00:00Z".parse().unwrap()
    }

    fn tenant(number: i64) -> TenantId {
        TenantId::floor(Timestamp::from_millis(number))
    }

    #[test]
    fn what_is_not_stored_does_not_count() {
        let gate = Gate::default();
        let allowance = Allowance { per_day: Some(10), ..Allowance::default() };
        let admit = |events| gate.admit(tenant(1), &allowance, None, events, start());
        let waiting = admit(9).unwrap();
        let refused = admit(2).err().unwrap();
        assert_eq!(refused, Refused::DaySpent { quota: 10, wait: 12 * HOUR });
        drop(waiting);
        admit(10).unwrap().stored(10, &allowance, start());
        assert!(admit(1).is_err());
        let brought = gate.brought(tenant(1), start()).today;
        assert_eq!((brought.taken, brought.refused), (10, 3));
        assert!(gate.admit(tenant(2), &allowance, None, 10, start()).is_ok(), "another tenant's is another");
    }

    #[test]
    fn a_quota_begins_anew_at_midnight_and_survives() {
        let gate = Gate::default();
        let allowance = Allowance { per_day: Some(5), per_month: Some(6), ..Allowance::default() };
        let yesterday = Timestamp::from_millis(start().as_millis() - 24 * 3_600_000);
        gate.admit(tenant(1), &allowance, None, 5, yesterday).unwrap().stored(5, &allowance, yesterday);
        gate.admit(tenant(1), &allowance, None, 1, start()).unwrap().stored(1, &allowance, start());
        let spent = Refused::MonthSpent { quota: 6, wait: 12 * HOUR };
        assert_eq!(gate.admit(tenant(1), &allowance, None, 1, start()).err(), Some(spent));

        let counts = gate.take_counts(start());
        assert_eq!(counts.len(), 2);
        assert!(gate.take_counts(start()).is_empty());
        gate.put_back(counts);
        let again = Gate::remembering(gate.take_counts(start()));
        assert_eq!(again.admit(tenant(1), &allowance, None, 1, start()).err(), Some(spent));
        let december = start() + 12 * HOUR;
        assert!(again.admit(tenant(1), &allowance, None, 5, december).is_ok());
        // What is over is forgotten, once it was given away.
        again.take_counts(december);
        assert_eq!(again.brought(tenant(1), start()), Brought::default());
    }

    #[test]
    fn what_a_pipeline_makes_beyond_one_is_owed() {
        let gate = Gate::default();
        let allowance = Allowance { per_second: Some(2), ..Allowance::default() };
        let admit = || gate.admit(tenant(1), &allowance, None, 1, start());
        admit().unwrap().stored(10, &allowance, start());
        assert_eq!(admit().err().map(|refused| refused.wait()), Some(Duration::from_millis(500)));
        assert_eq!(gate.brought(tenant(1), start()).today.taken, 10);
    }

    #[test]
    fn a_source_has_a_rate_of_its_own() {
        use crate::domain::pace::Period;
        let gate = Gate::default();
        let rate = RateLimit { limit: 2, per: Period::Minute };
        let [one, other] = [1, 2].map(|number| SourceId::floor(Timestamp::from_millis(number)));
        let admit = |source| gate.admit(tenant(1), &Allowance::default(), Some((source, rate)), 1, start());
        assert!(admit(one).is_ok() && admit(one).is_ok());
        let refused = admit(one).err().unwrap();
        assert_eq!(refused.to_string(), "this source takes 2 requests a minute");
        assert_eq!(refused.wait(), Duration::from_secs(30));
        assert!(admit(other).is_ok());
    }
}
