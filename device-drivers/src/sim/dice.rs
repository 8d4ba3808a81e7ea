//! Reproducible chance, without a dependency: the SplitMix64 sequence.

/// A sequence of numbers that its seed determines.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i32, high: i32) -> i32 {
        let span = u64::from(low.abs_diff(high)) + 1;
        let step = u32::try_from(self.next() % span).expect("a span of i32 fits");
        low.wrapping_add_unsigned(step)
    }

    /// A multiple of `step` from `low` to `high`.
    pub fn stepped(&mut self, low: i32, high: i32, step: i32) -> i32 {
        self.between(low / step, high / step) * step
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: i32) -> bool {
        self.between(1, n) == 1
    }
}
