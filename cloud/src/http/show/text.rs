//! Numbers, dates and times as clinics write them.

use crate::{app::local_time, http::locale};
use chiasm_proto::Hundredths;
use jiff::{civil, tz::TimeZone};

/// `10:03:14` at the clinic.
pub fn time(at_us: i64, zone: &TimeZone) -> String {
    local_time::local(at_us, zone).strftime("%H:%M:%S").to_string()
}

/// `10:03` at the clinic.
pub fn hours_and_minutes(at_us: i64, zone: &TimeZone) -> String {
    local_time::local(at_us, zone).strftime("%H:%M").to_string()
}

/// `23 Nov 2026, 10:03` at the clinic.
pub fn date_and_time(at_us: i64, zone: &TimeZone) -> String {
    let at = local_time::local(at_us, zone);
    format!("{}, {}", locale::date(at.date()), at.strftime("%H:%M"))
}

/// `23 Nov 2026` at the clinic.
pub fn date_of(at_us: i64, zone: &TimeZone) -> String {
    locale::date(local_time::date(at_us, zone))
}

/// How far the clinic's time was from UTC at a moment: `UTC-05:00`.
pub fn offset(at_us: i64, zone: &TimeZone) -> String {
    let at = jiff::Timestamp::from_microsecond(at_us).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.to_zoned(zone.clone()).strftime("UTC%:z").to_string()
}

pub(super) fn civil(at: civil::DateTime) -> String {
    format!("{} {}", locale::date(at.date()), at.strftime("%H:%M"))
}

/// `23 Nov 2026` from `2026-11-23`; another text stays as it is. The month as a word, because
/// 03/04 is another day on each side of the Atlantic.
pub fn date(iso: &str) -> String {
    iso.parse::<civil::Date>().map_or_else(|_| iso.to_owned(), locale::date)
}

/// Full years of age on a day.
pub fn age(birth_date: &str, on: civil::Date) -> Option<i16> {
    let born: civil::Date = birth_date.parse().ok()?;
    let had_birthday = (on.month(), on.day()) >= (born.month(), born.day());
    let years = on.year() - born.year() - i16::from(!had_birthday);
    (0..=130).contains(&years).then_some(years)
}

/// Without decimals that are zero: `17`, `62.5`.
pub fn short(number: Hundredths) -> String {
    let text = number.to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// An axis in three digits. 0 is shown as 180 where there is a cylinder (R7).
pub fn axis(axis_deg: i16, cylinder: Hundredths) -> String {
    match axis_deg {
        0 if !cylinder.is_zero() => "180".into(),
        axis if axis < 0 => format!("-{:03}", axis.unsigned_abs()),
        axis => format!("{axis:03}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_numbers_as_clinics_write_them() {
        assert_eq!(short(Hundredths(1700)), "17");
        assert_eq!(short(Hundredths(6250)), "62.5");
        assert_eq!(short(Hundredths(0)), "0");
        assert_eq!(short(Hundredths(10000)), "100");
        assert_eq!(axis(0, Hundredths(-75)), "180");
        assert_eq!(axis(0, Hundredths(0)), "000");
        assert_eq!(axis(5, Hundredths(-75)), "005");
        assert_eq!(axis(-12, Hundredths(-75)), "-012");
    }

    #[test]
    fn counts_full_years() {
        let on = civil::date(2026, 11, 23);
        assert_eq!(age("1961-11-23", on), Some(65));
        assert_eq!(age("1961-11-24", on), Some(64));
        assert_eq!(age("2027-01-01", on), None);
        assert_eq!(age("soon", on), None);
        assert_eq!(date("1961-03-04"), "4 Mar 1961");
    }
}
