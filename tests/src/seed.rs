//! Chance that can be repeated: tests that draw print their seed.

/// SplitMix64: small, and good enough to choose moments.
pub struct Seed(u64);

impl Seed {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// What `HOOKYARD_SEED` says, so that a run can be repeated, or a fresh one;
    /// printed in either case.
    pub fn given() -> Self {
        let fresh = || u64::from(u32::from_le_bytes(hookyard::clock::random()));
        let seed = crate::setting("HOOKYARD_SEED").unwrap_or_else(fresh);
        // Shown by the test runner when the test fails.
        #[expect(clippy::print_stdout, reason = "a failed test says with what seed it failed")]
        {
            println!("HOOKYARD_SEED={seed}");
        }
        Self(seed)
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("a small number");
        usize::try_from(self.draw() % limit).expect("it is below a usize")
    }

    pub fn coin(&mut self) -> bool {
        self.draw() & 1 == 1
    }
}
