//! The way from stored moments to clinic-local dates and times.

use jiff::{Timestamp, civil, tz::TimeZone};

/// A location's zone; UTC where the name is not known on this machine.
pub fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// A stored moment in a zone. What lies outside jiff's years shows as 1970.
pub fn local(at_us: i64, zone: &TimeZone) -> civil::DateTime {
    let timestamp = Timestamp::from_microsecond(at_us).unwrap_or(Timestamp::UNIX_EPOCH);
    zone.to_datetime(timestamp)
}

/// The clinic-local date of a moment.
pub fn date(at_us: i64, zone: &TimeZone) -> civil::Date {
    local(at_us, zone).date()
}

/// A stored moment with the zone's offset, to the second: `2026-11-23T10:31:00-05:00`.
pub fn with_offset(at_us: i64, zone: &TimeZone) -> String {
    let timestamp = Timestamp::from_microsecond(at_us).unwrap_or(Timestamp::UNIX_EPOCH);
    timestamp.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
