//! What plugins use, counted per tenant, plugin version and day.

use std::collections::HashMap;

use serde::Serialize;

use super::id::TenantId;
use super::pipeline::{StepOutcome, StepReport};
use super::plugin::PluginName;
use super::time::Timestamp;

/// What the calls of one plugin version came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    pub calls: u64,
    /// Of these, those in which the plugin declined.
    pub refused: u64,
    /// And those in which it misbehaved.
    pub faulted: u64,
    pub fuel: u64,
    pub duration_us: u64,
    /// The most bytes that one call had.
    pub memory: u64,
}

/// Days since 1970, in UTC.
pub type Day = i64;

/// The day of an instant.
pub fn day(at: Timestamp) -> Day {
    at.as_millis().div_euclid(24 * 60 * 60 * 1000)
}

/// Events on their way in, in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    pub taken: u64,
    /// By a limit. A request to a source is one.
    pub refused: u64,
}

impl Counted {
    pub fn add(&mut self, other: &Self) {
        self.taken += other.taken;
        self.refused += other.refused;
    }
}

/// One tenant's use of one plugin version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginUse {
    pub tenant: TenantId,
    pub plugin: PluginName,
    pub version: u32,
    pub usage: Usage,
}

impl Usage {
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.refused += other.refused;
        self.faulted += other.faulted;
        self.fuel += other.fuel;
        self.duration_us += other.duration_us;
        self.memory = self.memory.max(other.memory);
    }

    fn of(report: &StepReport) -> Self {
        Self {
            calls: 1,
            refused: matches!(report.outcome, StepOutcome::Refused { .. }).into(),
            faulted: matches!(report.outcome, StepOutcome::Faulted { .. }).into(),
            fuel: report.fuel,
            duration_us: report.duration_us,
            memory: report.memory,
        }
    }
}

/// What was used and is not written down yet.
#[derive(Default)]
pub struct Tally {
    uses: HashMap<TenantId, HashMap<(PluginName, u32), Usage>>,
    /// Of all since the start, written down or not.
    total: Usage,
}

impl Tally {
    pub fn add(&mut self, tenant: TenantId, reports: &[StepReport]) {
        if reports.is_empty() {
            return;
        }
        let plugins = self.uses.entry(tenant).or_default();
        for report in reports {
            let usage = Usage::of(report);
            plugins.entry((report.plugin.clone(), report.version)).or_default().add(&usage);
            self.total.add(&usage);
        }
    }

    /// All that was used since the start.
    pub fn total(&self) -> Usage {
        self.total
    }

    /// All of it; the tally begins anew.
    pub fn take(&mut self) -> Vec<PluginUse> {
        let all = std::mem::take(&mut self.uses);
        all.into_iter().flat_map(|(tenant, plugins)| uses(tenant, plugins)).collect()
    }

    /// One tenant's part of it, which stays.
    pub fn of(&self, tenant: TenantId) -> Vec<PluginUse> {
        self.uses.get(&tenant).cloned().into_iter().flat_map(|plugins| uses(tenant, plugins)).collect()
    }

    /// Puts back what could not be written down.
    pub fn put_back(&mut self, uses: Vec<PluginUse>) {
        for PluginUse { tenant, plugin, version, usage } in uses {
            self.uses.entry(tenant).or_default().entry((plugin, version)).or_default().add(&usage);
        }
    }
}

fn uses(tenant: TenantId, plugins: HashMap<(PluginName, u32), Usage>) -> impl Iterator<Item = PluginUse> {
    plugins.into_iter().map(move |((plugin, version), usage)| PluginUse { tenant, plugin, version, usage })
}

#[cfg(test)]
mod tests {
    use super::super::plugin::Job;
    use super::*;

    fn report(outcome: StepOutcome, fuel: u64, memory: u64) -> StepReport {
        StepReport {
            plugin: "a".parse().unwrap(),
            version: 2,
            job: Job::Filter,
            outcome,
            on_failure: None,
            log: Vec::new(),
            fuel,
            duration_us: 5,
            memory,
        }
    }

    #[test]
    fn every_call_is_counted_once() {
        let (one, other) = (TenantId::floor(Timestamp::from_millis(1)), TenantId::floor(Timestamp::from_millis(2)));
        let refused = StepOutcome::Refused { code: String::new(), message: String::new() };
        let mut tally = Tally::default();
        tally.add(one, &[report(StepOutcome::Kept, 10, 100), report(refused, 20, 50)]);
        tally.add(other, &[report(StepOutcome::Kept, 1, 1)]);
        let usage = Usage { calls: 2, refused: 1, faulted: 0, fuel: 30, duration_us: 10, memory: 100 };
        assert_eq!(tally.of(one), [PluginUse { tenant: one, plugin: "a".parse().unwrap(), version: 2, usage }]);

        let taken = tally.take();
        assert_eq!((taken.len(), tally.of(one).len()), (2, 0));
        tally.put_back(taken);
        assert_eq!(tally.of(one)[0].usage, usage);
        assert_eq!((tally.total().calls, tally.total().fuel), (3, 31), "what is put back is not counted again");
    }

    #[test]
    fn a_day_begins_at_midnight() {
        let day = |millis| day(Timestamp::from_millis(millis));
        assert_eq!((day(0), day(86_399_999), day(86_400_000), day(-1)), (0, 0, 1, -1));
    }
}
