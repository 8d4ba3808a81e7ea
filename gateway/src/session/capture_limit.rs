//! How many captures one link may make: an instrument that has gone wrong, or is not what it should
//! be, must not fill the disk with what it sends.

use std::time::{Duration, Instant};

/// Captures that are kept at once.
pub const CAPTURES_BURST_MAX: u32 = 1000;
/// After a burst, one more is kept in this time.
pub const CAPTURE_INTERVAL: Duration = Duration::from_secs(60);
/// It is said so often at most that captures are not kept.
pub const SAY_INTERVAL: Duration = Duration::from_secs(3600);

/// What to do with bytes that gave no reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    /// Not kept, and people are to know.
    Say {
        dropped: u64,
    },
    Drop,
}

/// Pure: the time is given.
#[derive(Debug)]
pub(super) struct CaptureLimit {
    left: u32,
    refilled_at: Instant,
    said_at: Option<Instant>,
    dropped: u64,
}

impl CaptureLimit {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: CAPTURES_BURST_MAX, refilled_at: now, said_at: None, dropped: 0 }
    }

    pub(super) fn take(&mut self, now: Instant) -> Verdict {
        let intervals = now.duration_since(self.refilled_at).as_secs() / CAPTURE_INTERVAL.as_secs();
        let more = u32::try_from(intervals).unwrap_or(CAPTURES_BURST_MAX).min(CAPTURES_BURST_MAX);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(CAPTURES_BURST_MAX);
            self.refilled_at = now;
        }
        if self.left > 0 {
            self.left -= 1;
            return Verdict::Keep;
        }
        self.dropped += 1;
        if self.said_at.is_some_and(|at| now.duration_since(at) < SAY_INTERVAL) {
            return Verdict::Drop;
        }
        self.said_at = Some(now);
        Verdict::Say { dropped: self.dropped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A day of endless rubbish, a thousand pieces a second.
    #[test]
    fn a_day_of_rubbish_is_kept_in_a_bounded_part_and_said() {
        let begin = Instant::now();
        let mut limit = CaptureLimit::new(begin);
        let (mut kept, mut said, mut asked) = (0_u32, 0, 0_u64);
        for second in 0..24 * 3600 {
            for _ in 0..10 {
                asked += 1;
                match limit.take(begin + Duration::from_secs(second)) {
                    Verdict::Keep => kept += 1,
                    Verdict::Say { dropped } => {
                        assert!(dropped > 0);
                        said += 1;
                    }
                    Verdict::Drop => {}
                }
            }
        }
        assert_eq!(asked, 864_000);
        assert!((CAPTURES_BURST_MAX..=CAPTURES_BURST_MAX + 24 * 60).contains(&kept), "{kept}");
        assert!((23..=24).contains(&said), "{said}");
    }

    #[test]
    fn after_a_quiet_time_there_is_room_again() {
        let begin = Instant::now();
        let mut limit = CaptureLimit::new(begin);
        while limit.take(begin) == Verdict::Keep {}
        assert_eq!(limit.take(begin), Verdict::Drop);
        let later = begin + CAPTURE_INTERVAL * (CAPTURES_BURST_MAX * 2);
        let kept = (0..2 * CAPTURES_BURST_MAX).filter(|_| limit.take(later) == Verdict::Keep);
        assert_eq!(kept.count(), CAPTURES_BURST_MAX as usize);
    }
}
