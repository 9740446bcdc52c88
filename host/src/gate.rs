//! The gate that events pass: how fast a tenant and a source may bring them, and
//! how many in a day and a month. What is refused here leaves nothing behind but
//! a number.
//!
//! In memory, because it is asked about each event; what was counted is written
//! down by upkeep, so that a quota survives a restart. A crash forgets some seconds.
//!
//! Where several hosts share the database, each lets in its part of a rate; days
//! and months are counted by all together, as far as each has written down.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::bucket::{Bucket, Flow};
use crate::domain::host::{Membership, Part};
use crate::domain::id::{SourceId, TenantId};
use crate::domain::limits::{Allowance, month};
use crate::domain::pace::RateLimit;
use crate::domain::time::Timestamp;
use crate::domain::usage::{Counted, Day, day};

/// Beyond this many, sources that were quiet are forgotten: their buckets are
/// full, as those of strangers are.
const SOURCES: usize = 10_000;
/// A host that has no part of a rate yet has one after about this long.
const APART: Duration = Duration::from_secs(2);

/// Clones are the same gate.
#[derive(Clone, Default)]
pub struct Gate {
    state: Arc<Mutex<State>>,
    membership: Membership,
}

#[derive(Default)]
struct State {
    tenants: HashMap<TenantId, Meter>,
    sources: HashMap<SourceId, Bucket>,
}

#[derive(Default)]
struct Meter {
    bucket: Bucket,
    /// Of this month, by all hosts.
    days: BTreeMap<Day, Counted>,
    /// Of that, what was counted here and is not written down.
    unwritten: BTreeMap<Day, Counted>,
    /// Events that have passed and are not stored yet.
    coming: u64,
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

/// Events that may pass. They use up a quota while this is there, and count for
/// good once they are stored.
pub struct Passage {
    gate: Gate,
    tenant: TenantId,
    /// As the day was when they came.
    day: Day,
    /// How many were expected.
    events: u64,
}

impl Passage {
    /// So many events were stored. What a source's pipeline made beyond one
    /// counts against the rate afterwards, which others then wait for.
    pub fn stored(self, events: u64, allowance: &Allowance, now: Timestamp) {
        let part = self.gate.membership.part(now).unwrap_or(Part::WHOLE);
        let mut state = self.gate.lock();
        let meter = state.tenants.entry(self.tenant).or_default();
        meter.count(self.day, Counted { taken: events, refused: 0 });
        let more = u32::try_from(events.saturating_sub(self.events)).unwrap_or(u32::MAX);
        if let (Some(flow), 1..) = (allowance.flow(), more) {
            meter.bucket.take(flow.among(part.of), more, now);
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        if let Some(meter) = self.gate.lock().tenants.get_mut(&self.tenant) {
            meter.coming = meter.coming.saturating_sub(self.events);
        }
    }
}

impl Gate {
    /// With what was counted before this run.
    pub fn remembering(counts: Vec<(TenantId, Day, Counted)>, membership: Membership) -> Self {
        let gate = Self { membership, ..Self::default() };
        gate.hear(counts);
        gate
    }

    /// Whether other hosts count too.
    pub fn is_shared(&self) -> bool {
        !self.membership.is_alone()
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
        let part = self.membership.part(now);
        let mut state = self.lock();
        let State { tenants, sources } = &mut *state;
        if sources.len() > SOURCES {
            sources.retain(|_, bucket| !bucket.is_full(now));
        }
        let meter = tenants.entry(tenant).or_default();
        let own = source.map(|(id, rate)| (sources.entry(id).or_default(), rate));
        let judged = judge(meter, allowance, own.as_ref().map(|(own, rate)| (&**own, *rate)), part, events, now);
        if let Err(refused) = judged {
            meter.count(today, Counted { taken: 0, refused: events.into() });
            return Err(refused);
        }
        let parts = part.unwrap_or(Part::WHOLE).of;
        if let Some((bucket, rate)) = own {
            bucket.take(Flow::of(rate).among(parts), 1, now);
        }
        if let Some(flow) = allowance.flow() {
            meter.bucket.take(flow.among(parts), events, now);
        }
        meter.coming += u64::from(events);
        drop(state);
        Ok(Passage { gate: self.clone(), tenant, day: today, events: events.into() })
    }

    /// What `tenant` has brought in this day and this month.
    pub fn brought(&self, tenant: TenantId, now: Timestamp) -> Brought {
        self.lock().tenants.get(&tenant).map_or_else(Brought::default, |meter| meter.brought(day(now)))
    }

    /// What was counted here since it was last asked for, to be added to what is
    /// written down.
    pub fn take_counts(&self, now: Timestamp) -> Vec<(TenantId, Day, Counted)> {
        let (first, _) = month(day(now));
        let mut state = self.lock();
        let mut taken = Vec::new();
        state.tenants.retain(|tenant, meter| {
            let unwritten = std::mem::take(&mut meter.unwritten);
            taken.extend(unwritten.into_iter().map(|(day, counted)| (*tenant, day, counted)));
            meter.days = meter.days.split_off(&first);
            !(meter.days.is_empty() && meter.coming == 0 && meter.bucket.is_full(now))
        });
        taken
    }

    /// They could not be written down.
    pub fn put_back(&self, counts: Vec<(TenantId, Day, Counted)>) {
        let mut state = self.lock();
        for (tenant, day, counted) in counts {
            state.tenants.entry(tenant).or_default().unwritten.entry(day).or_default().add(&counted);
        }
    }

    /// Takes up what is written down by now, by all hosts.
    pub fn hear(&self, counts: Vec<(TenantId, Day, Counted)>) {
        let mut state = self.lock();
        for (tenant, day, mut counted) in counts {
            let meter = state.tenants.entry(tenant).or_default();
            if let Some(unwritten) = meter.unwritten.get(&day) {
                counted.add(unwritten);
            }
            meter.days.insert(day, counted);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn judge(
    meter: &Meter,
    allowance: &Allowance,
    source: Option<(&Bucket, RateLimit)>,
    part: Option<Part>,
    events: u32,
    now: Timestamp,
) -> Result<(), Refused> {
    let admits = |bucket: &Bucket, flow: Flow, count| match part {
        Some(part) => bucket.admits(flow.among(part.of), count, now),
        None => Err(APART),
    };
    if let Some((bucket, rate)) = source {
        admits(bucket, Flow::of(rate), 1).map_err(|wait| Refused::SourceTooFast { rate, wait })?;
    }
    if let (Some(flow), Some(per_second)) = (allowance.flow(), allowance.per_second) {
        let admitted = admits(&meter.bucket, flow, events);
        admitted.map_err(|wait| Refused::TenantTooFast { per_second, wait })?;
    }
    let today = day(now);
    let brought = meter.brought(today);
    let coming = meter.coming + u64::from(events);
    let spent = |quota: Option<u64>, taken: u64| quota.filter(|quota| taken + coming > *quota);
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

    fn count(&mut self, day: Day, more: Counted) {
        self.days.entry(day).or_default().add(&more);
        self.unwritten.entry(day).or_default().add(&more);
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
        let again = Gate::remembering(gate.take_counts(start()), Membership::default());
        assert_eq!(again.admit(tenant(1), &allowance, None, 1, start()).err(), Some(spent));
        let december = start() + 12 * HOUR;
        assert!(again.admit(tenant(1), &allowance, None, 5, december).is_ok());
        // What is over is forgotten, once it was given away.
        again.take_counts(december);
        assert_eq!(again.brought(tenant(1), start()), Brought::default());
    }

    /// The gate of one of so many hosts.
    fn of_a_host(rank: u32, of: u32) -> Gate {
        let membership = Membership::outside();
        membership.set_part(Some(Part { rank, of }), start() + HOUR);
        Gate::remembering(Vec::new(), membership)
    }

    #[test]
    fn a_day_is_counted_by_all_hosts() {
        let (here, there) = (of_a_host(0, 2), of_a_host(1, 2));
        let allowance = Allowance { per_day: Some(10), ..Allowance::default() };
        let bring = |gate: &Gate, events: u32| {
            let passage = gate.admit(tenant(1), &allowance, None, events, start())?;
            passage.stored(events.into(), &allowance, start());
            Ok::<(), Refused>(())
        };
        bring(&here, 4).unwrap();
        bring(&there, 3).unwrap();
        let mut written = Counted::default();
        let mut write = |gate: &Gate| gate.take_counts(start()).iter().for_each(|(.., more)| written.add(more));
        write(&here);
        write(&there);
        bring(&here, 1).unwrap();
        let told = vec![(tenant(1), day(start()), Counted { taken: 7, refused: 0 })];
        assert_eq!(written, told[0].2);
        here.hear(told.clone());
        there.hear(told);
        assert_eq!(here.brought(tenant(1), start()).today.taken, 8, "what is not written down counts as well");
        assert!(bring(&here, 3).is_err() && bring(&here, 2).is_ok());
        assert!(bring(&there, 4).is_err() && bring(&there, 3).is_ok(), "it does not know better yet");
        // Of each what is new, once.
        let new = |gate: &Gate| gate.take_counts(start()).iter().map(|(.., more)| more.taken).sum::<u64>();
        assert_eq!((new(&here), new(&there), new(&here)), (3, 3, 0));
    }

    #[test]
    fn a_host_lets_in_its_part_of_a_rate_while_it_is_counted() {
        let gate = of_a_host(1, 4);
        let allowance = Allowance { per_second: Some(100), ..Allowance::default() };
        let admit = |events, now| gate.admit(tenant(1), &allowance, None, events, now);
        let passage = admit(125, start()).expect("a quarter of what may come at once");
        let refused = admit(1, start()).err().expect("the rest is the others'");
        assert_eq!(
            (refused.wait(), refused.to_string().contains("100 events a second")),
            (Duration::from_millis(40), true)
        );
        drop(passage);
        assert_eq!(admit(1, start() + HOUR).err().map(|refused| refused.wait()), Some(APART));
        let unlimited = Allowance::default();
        assert!(gate.admit(tenant(1), &unlimited, None, 1, start() + HOUR).is_ok());
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
