//! Counters that only grow and histograms with fixed bounds, for those who watch
//! the server. Counting takes no lock and allocates nothing.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often something happened since the start.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often something was how large since the start.
pub struct Histogram {
    bounds: &'static [f64],
    /// Each within its bound and not within the one before; the last beyond all.
    counts: Box<[AtomicU64]>,
    millionths: AtomicU64,
}

/// What a histogram has at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    pub bounds: &'static [f64],
    pub counts: Vec<u64>,
    pub sum: f64,
}

impl Histogram {
    /// The bounds grow.
    pub fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, millionths: AtomicU64::new(0) }
    }

    pub fn note(&self, value: f64) {
        let at = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        self.counts[at].fetch_add(1, Ordering::Relaxed);
        self.millionths.fetch_add((value * 1e6) as u64, Ordering::Relaxed);
    }

    pub fn read(&self) -> Distribution {
        Distribution {
            bounds: self.bounds,
            counts: self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum: self.millionths.load(Ordering::Relaxed) as f64 / 1e6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_within_its_bound() {
        let histogram = Histogram::new(&[1.0, 2.5]);
        [0.5, 1.0, 2.0, 3.0].into_iter().for_each(|value| histogram.note(value));
        assert_eq!(histogram.read(), Distribution { bounds: &[1.0, 2.5], counts: vec![2, 1, 1], sum: 6.5 });
    }
}
