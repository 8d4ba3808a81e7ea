//! The one place where the cloud reads the time.

use jiff::Timestamp;

/// Now, in microseconds since 1970-01-01 UTC: the form of every `…_at_us` column.
pub fn now_us() -> i64 {
    Timestamp::now().as_microsecond()
}

/// A moment that only counts forward, for what needs no date.
pub fn monotonic() -> std::time::Instant {
    std::time::Instant::now()
}
