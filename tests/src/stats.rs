//! Percentiles of measured durations.

use std::time::Duration;

/// Middle, tail and worst of a set of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub count: usize,
    pub p50: Duration,
    pub p99: Duration,
    pub max: Duration,
}

impl Summary {
    /// None of nothing. A percentile is the smallest value that so many are not above.
    pub fn of(durations: &[Duration]) -> Option<Self> {
        let mut sorted = durations.to_vec();
        sorted.sort();
        let rank = |percent: usize| {
            let position = (sorted.len() * percent).div_ceil(100).max(1);
            sorted.get(position - 1).copied()
        };
        Some(Self {
            count: sorted.len(),
            p50: rank(50)?,
            p99: rank(99)?,
            max: sorted.last().copied()?,
        })
    }

    /// p50, p99 and max in milliseconds.
    pub fn cells(&self) -> Vec<String> {
        [self.p50, self.p99, self.max].map(millis).to_vec()
    }
}

/// Milliseconds with two decimals.
pub fn millis(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let durations: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        let summary = Summary::of(&durations).unwrap();
        assert_eq!(summary.p50, Duration::from_millis(100));
        assert_eq!(summary.p99, Duration::from_millis(198));
        assert_eq!(summary.max, Duration::from_millis(200));
        assert_eq!(Summary::of(&[]), None);
    }
}
