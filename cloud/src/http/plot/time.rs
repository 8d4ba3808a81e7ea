//! Ticks on axes of time.

use crate::http::locale;
use jiff::{Timestamp, ToSpan, civil, tz::TimeZone};

/// Most ticks of an axis of days.
const TICKS_MAX: usize = 6;

/// Range and ticks for moments in microseconds: the first of months, or days where all of it is
/// within few weeks. Both ends have some room.
pub fn day_ticks(first_us: i64, last_us: i64, zone: &TimeZone) -> (f64, f64, Vec<(f64, String)>) {
    let day_us = 86_400_000_000_i64;
    let room = ((last_us - first_us) / 16).max(day_us * 2);
    let (min, max) = (first_us - room, last_us + room);
    let of = |us: i64| {
        let at = Timestamp::from_microsecond(us).unwrap_or(Timestamp::UNIX_EPOCH);
        zone.to_datetime(at).date()
    };
    let (from, to) = (of(min), of(max));
    let days = (max - min) / day_us;
    let ticks = if days <= 60 { by_day(from, to, days) } else { by_month(from, to) };
    let place = |date: civil::Date| {
        let at = zone.to_ambiguous_zoned(date.at(0, 0, 0, 0)).compatible().ok()?;
        let us = at.timestamp().as_microsecond();
        (min..=max).contains(&us).then_some(us as f64)
    };
    let ticks = ticks.into_iter().filter_map(|(date, text)| Some((place(date)?, text)));
    (min as f64, max as f64, ticks.collect())
}

fn by_day(from: civil::Date, to: civil::Date, days: i64) -> Vec<(civil::Date, String)> {
    let step = (days / TICKS_MAX as i64 + 1).max(1);
    let mut ticks = Vec::new();
    let mut date = from;
    while date <= to && ticks.len() <= TICKS_MAX * 2 {
        ticks.push((date, locale::day(date)));
        let Ok(next) = date.checked_add(step.days()) else { break };
        date = next;
    }
    ticks
}

fn by_month(from: civil::Date, to: civil::Date) -> Vec<(civil::Date, String)> {
    let months = i64::from(to.year() - from.year()) * 12 + i64::from(to.month() - from.month());
    let steps = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600];
    let step = steps.into_iter().find(|step| months / step < TICKS_MAX as i64).unwrap_or(1200);
    let number = i64::from(from.year()) * 12 + i64::from(from.month()) - 1;
    let mut month = number.div_euclid(step) * step;
    let mut ticks = Vec::new();
    while ticks.len() <= TICKS_MAX * 2 {
        let (year, of_year) = (month.div_euclid(12), month.rem_euclid(12) + 1);
        let date = i16::try_from(year).ok().zip(i8::try_from(of_year).ok());
        let date = date.and_then(|(year, month)| civil::Date::new(year, month, 1).ok());
        let Some(date) = date.filter(|date| *date <= to) else { break };
        let form = if step >= 12 { "%Y" } else { "%b %Y" };
        ticks.push((date, date.strftime(form).to_string()));
        month += step;
    }
    ticks
}

/// Range and ticks for hours of the day: opening hours, and more where a value lies outside.
pub fn hour_ticks(hours: impl Iterator<Item = f64>) -> (f64, f64, Vec<(f64, String)>) {
    let (mut min, mut max) = (8.0_f64, 18.0_f64);
    for hour in hours {
        min = min.min(hour.floor());
        max = max.max(hour.ceil());
    }
    let step = if max - min > 14.0 { 4 } else { 2 };
    let ticks = (min as i32..=max as i32).filter(|hour| hour % step == 0);
    (min, max, ticks.map(|hour| (f64::from(hour), format!("{hour}:00"))).collect())
}
