//! What a world draws: all of it from one seed, so that a run can be repeated.

use hookyard_tests::seed::Seed;

pub(super) struct Chance(Seed);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(Seed::new(seed))
    }

    /// From `low` to `high`, both of them too.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = usize::try_from(high - low + 1).expect("low is not above high");
        low + i64::try_from(self.0.below(span)).expect("it is below a span")
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0.below(limit)
    }

    /// Never, where `count` is 0.
    pub(super) fn one_in(&mut self, count: usize) -> bool {
        count > 0 && self.0.below(count) == 0
    }

    pub(super) fn bits(&mut self) -> u32 {
        u32::try_from(self.0.below(1 << 32)).expect("32 bits")
    }
}
