//! The only place that reads a clock: wall time, monotonic time, and whether wall time is right.

use chiasm_proto::ClockState;
use jiff::Timestamp;
use std::time::Instant;

/// No gateway runs before this code was written: an earlier time is an unset clock.
const EARLIEST: &str = "2026-01-01T00:00:00Z";

/// The wall clock.
pub fn wall() -> Timestamp {
    Timestamp::now()
}

/// The monotonic clock. Follows tokio's paused time in tests.
pub fn monotonic() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Whether the kernel says that something keeps its clock in time.
pub fn state() -> ClockState {
    let earliest: Timestamp = EARLIEST.parse().expect("the constant is a timestamp");
    if wall() < earliest || !kernel_is_synced() { ClockState::Unsynced } else { ClockState::Synced }
}

fn kernel_is_synced() -> bool {
    // SAFETY: `timex` is plain numbers, for which zero is valid; with `modes` 0 the call only
    // writes to the structure that it was given.
    let (code, status) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut timex), timex.status)
    };
    code >= 0 && code != libc::TIME_ERROR && status & libc::STA_UNSYNC == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_the_kernel_without_a_fault() {
        assert!(matches!(state(), ClockState::Synced | ClockState::Unsynced));
        assert!(wall() > EARLIEST.parse().unwrap());
    }
}
