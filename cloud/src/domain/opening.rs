//! When a location is open, in its own time.

use jiff::civil::{Date, DateTime, Weekday};
use std::collections::{BTreeMap, BTreeSet};

/// Minutes of a day.
pub const DAY_MINUTES: i64 = 24 * 60;

/// Opening hours of a week, and the days on which nobody comes all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opening {
    /// First and last minute by weekday, 1 is Monday. A weekday that is not there is closed.
    pub week: BTreeMap<i64, (i64, i64)>,
    pub holidays: BTreeSet<Date>,
}

impl Opening {
    /// Whether anybody has said when it is open.
    pub fn is_known(&self) -> bool {
        !self.week.is_empty()
    }
    /// From when to when it is open on a day.
    pub fn on(&self, day: Date) -> Option<(i64, i64)> {
        if self.holidays.contains(&day) {
            return None;
        }
        self.week.get(&i64::from(day.weekday().to_monday_one_offset())).copied()
    }
    pub fn is_open(&self, at: DateTime) -> bool {
        self.on(at.date()).is_some_and(|(opens, closes)| (opens..closes).contains(&minute(at)))
    }
}

/// Minutes since local midnight.
pub fn minute(at: DateTime) -> i64 {
    i64::from(at.hour()) * 60 + i64::from(at.minute())
}

/// Why opening hours cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    #[error("`{0}` is not a weekday: use mon, tue, wed, thu, fri, sat, sun, or a span as mon-fri")]
    Weekday(String),
    #[error("`{0}` is not a time of day: use HH:MM")]
    Time(String),
    #[error("`{0}` is no span of time: use 08:00-18:00, or `closed`")]
    Span(String),
    #[error("{0} does not end after it begins")]
    Backwards(String),
}

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The word for a weekday, 1 is Monday.
pub fn weekday_word(weekday: i64) -> &'static str {
    usize::try_from(weekday - 1).ok().and_then(|it| WEEKDAYS.get(it)).copied().unwrap_or("?")
}

/// The name of a weekday, 1 is Monday.
pub fn weekday_name(weekday: i64) -> &'static str {
    let day = i8::try_from(weekday).ok().and_then(|it| Weekday::from_monday_one_offset(it).ok());
    match day {
        Some(Weekday::Monday) => "Monday",
        Some(Weekday::Tuesday) => "Tuesday",
        Some(Weekday::Wednesday) => "Wednesday",
        Some(Weekday::Thursday) => "Thursday",
        Some(Weekday::Friday) => "Friday",
        Some(Weekday::Saturday) => "Saturday",
        Some(Weekday::Sunday) => "Sunday",
        None => "?",
    }
}

/// A weekday and the minutes from and to which it is open, if it is.
pub type DayHours = (i64, Option<(i64, i64)>);

/// Weekdays with their hours from `mon-fri=08:00-18:00`; `sat=closed` has none.
pub fn parse_days(text: &str) -> Result<Vec<DayHours>, HoursError> {
    let (days, hours) = text.split_once('=').ok_or_else(|| HoursError::Span(text.into()))?;
    let (first, last) = days.split_once('-').unwrap_or((days, days));
    let (first, last) = (parse_weekday(first)?, parse_weekday(last)?);
    if last < first {
        return Err(HoursError::Weekday(days.into()));
    }
    let hours = match hours.trim() {
        "closed" => None,
        hours => Some(parse_hours(hours)?),
    };
    Ok((first..=last).map(|day| (day, hours)).collect())
}

fn parse_weekday(text: &str) -> Result<i64, HoursError> {
    let text = text.trim().to_lowercase();
    let found = WEEKDAYS.iter().zip(1..).find(|(word, _)| **word == text);
    found.map(|(_, number)| number).ok_or(HoursError::Weekday(text))
}

fn parse_hours(text: &str) -> Result<(i64, i64), HoursError> {
    let (opens, closes) = text.split_once('-').ok_or_else(|| HoursError::Span(text.into()))?;
    span(opens, closes)
}

/// Two times of day, the second behind the first. `24:00` is the end of the day.
pub fn span(opens: &str, closes: &str) -> Result<(i64, i64), HoursError> {
    let (opens, closes) = (parse_time(opens)?, parse_time(closes)?);
    if opens >= closes {
        return Err(HoursError::Backwards(format!("{}-{}", time(opens), time(closes))));
    }
    Ok((opens, closes))
}

fn parse_time(text: &str) -> Result<i64, HoursError> {
    let text = text.trim();
    let wrong = || HoursError::Time(text.to_owned());
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let is_digits =
        |it: &str| (1..=2).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(hour) || !is_digits(minute) {
        return Err(wrong());
    }
    let (hour, minute): (i64, i64) =
        (hour.parse().map_err(|_| wrong())?, minute.parse().map_err(|_| wrong())?);
    let minutes = hour * 60 + minute;
    if minute > 59 || minutes > DAY_MINUTES { Err(wrong()) } else { Ok(minutes) }
}

/// Minutes of a day as people write them.
pub fn time(minutes: i64) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn reads_what_people_write() {
        let week = parse_days("mon-fri=08:00-18:30").unwrap();
        assert_eq!(week.len(), 5);
        assert_eq!(week[4], (5, Some((480, 1110))));
        assert_eq!(parse_days("sun=closed").unwrap(), [(7, None)]);
        assert_eq!(parse_days("sat=0:00-24:00").unwrap(), [(6, Some((0, 1440)))]);
        for wrong in [
            "mon",
            "fri-mon=1:00-2:00",
            "mo=1:00-2:00",
            "mon=9-10",
            "mon=10:00-10:00",
            "mon=+9:00-10:00",
            "mon=09:60-10:00",
            "mon=09:00-24:01",
            "mon=09:00",
            "=",
            "mon=-",
        ] {
            assert!(parse_days(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn is_open_in_its_hours_and_not_on_holidays() {
        let monday = date(2026, 11, 30);
        let mut opening = Opening::default();
        assert!(!opening.is_known() && !opening.is_open(monday.at(10, 0, 0, 0)));
        opening.week.insert(1, (480, 1080));
        assert!(opening.is_open(monday.at(8, 0, 0, 0)));
        assert!(opening.is_open(monday.at(17, 59, 59, 0)));
        assert!(!opening.is_open(monday.at(7, 59, 0, 0)));
        assert!(!opening.is_open(monday.at(18, 0, 0, 0)));
        assert!(!opening.is_open(date(2026, 12, 1).at(10, 0, 0, 0)));
        opening.holidays.insert(monday);
        assert!(!opening.is_open(monday.at(10, 0, 0, 0)));
    }
}
