//! How long calls took.

use std::time::Duration;

/// In milliseconds, sorted.
pub(crate) struct Latencies(Vec<f64>);

impl Latencies {
    pub(crate) fn of(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut all: Vec<f64> = durations.into_iter().map(|duration| duration.as_secs_f64() * 1e3).collect();
        all.sort_by(f64::total_cmp);
        Self(all)
    }

    pub(crate) fn together<'a>(parts: impl Iterator<Item = &'a Self>) -> Self {
        let mut all: Vec<f64> = parts.flat_map(|part| part.0.iter().copied()).collect();
        all.sort_by(f64::total_cmp);
        Self(all)
    }

    /// The percentile that is `share` of all.
    pub(crate) fn at(&self, share: f64) -> f64 {
        self.0[((self.0.len() as f64 * share) as usize).min(self.0.len() - 1)]
    }
}
