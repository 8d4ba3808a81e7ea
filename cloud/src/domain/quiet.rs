//! How much an instrument usually sends by this hour, and whether its silence is unusual (C2).

use super::opening::{Opening, minute};
use jiff::civil::{Date, DateTime};
use std::collections::BTreeMap;

/// How many weeks back one looks.
pub const WEEKS: i64 = 8;
/// Open days of the same weekday that have to be known before anything is usual.
pub const DAYS_MIN: usize = 3;
/// So many readings are usual by now before none at all is a note: with fewer, chance is enough.
pub const USUAL_MIN: u64 = 5;

/// Readings of one link in one hour, by when the hour began in the location's time.
pub type Hours = BTreeMap<DateTime, u64>;

/// A link's day so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// Readings since midnight.
    pub today: u64,
    /// What half of the same weekdays had by the beginning of this hour, where enough are known and
    /// the location is open today.
    pub usual: Option<u64>,
    /// Usually there are some by now, and today there are none, in opening hours.
    pub is_quiet: bool,
}

/// Looks at a link's hours. Days on which the location was closed, and days on which the link sent
/// nothing at all (the instrument was away), say nothing about what is usual.
pub fn look(hours: &Hours, opening: &Opening, now: DateTime) -> Day {
    let today = sum(hours, now.date(), i64::MAX);
    let Some((opens, _)) = opening.on(now.date()) else {
        return Day { today, usual: None, is_quiet: false };
    };
    let until = minute(now) / 60 * 60;
    let days = (1..=WEEKS).filter_map(|weeks| {
        let day = now.date().checked_sub(jiff::Span::new().weeks(weeks)).ok()?;
        (opening.on(day).is_some() && sum(hours, day, i64::MAX) > 0).then_some(day)
    });
    let mut counts: Vec<u64> = days.map(|day| sum(hours, day, until)).collect();
    counts.sort_unstable();
    // The lower median: half of the days had at least so many.
    let usual = (counts.len() >= DAYS_MIN).then(|| counts[(counts.len() - 1) / 2]);
    let is_due = until > opens && opening.is_open(now);
    let is_quiet = is_due && today == 0 && usual.is_some_and(|usual| usual >= USUAL_MIN);
    Day { today, usual, is_quiet }
}

/// Readings of the hours of a day that began before a minute of it.
fn sum(hours: &Hours, day: Date, before: i64) -> u64 {
    let first = day.at(0, 0, 0, 0);
    let of_day = hours.range(first..).take_while(|(at, _)| at.date() == day);
    of_day.filter(|(at, _)| minute(**at) < before).map(|(_, count)| count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::{ToSpan, civil::date};
    use proptest::prelude::*;

    /// Monday.
    const TODAY: Date = date(2026, 11, 30);

    fn open_all_week() -> Opening {
        Opening { week: (1..=7).map(|day| (day, (480, 1080))).collect(), ..Opening::default() }
    }

    /// Six readings in each of the hours from eight, on the Mondays of the last weeks.
    fn mondays(weeks: std::ops::RangeInclusive<i64>) -> Hours {
        let mut hours = Hours::new();
        for week in weeks {
            let day = TODAY.checked_sub(week.weeks()).unwrap();
            for hour in 8..18 {
                hours.insert(day.at(hour, 0, 0, 0), 6);
            }
        }
        hours
    }

    #[test]
    fn eighteen_by_eleven_and_none_today_is_quiet() {
        let day = look(&mondays(1..=6), &open_all_week(), TODAY.at(11, 5, 0, 0));
        assert_eq!(day, Day { today: 0, usual: Some(18), is_quiet: true });
        let early = look(&mondays(1..=6), &open_all_week(), TODAY.at(8, 59, 0, 0));
        assert_eq!(early, Day { today: 0, usual: Some(0), is_quiet: false });
    }

    #[test]
    fn no_note_when_it_cannot_be_known() {
        let now = TODAY.at(11, 5, 0, 0);
        let is_quiet = |hours: &Hours, opening: &Opening, now| look(hours, opening, now).is_quiet;
        let week = open_all_week();
        assert!(!is_quiet(&mondays(1..=2), &week, now), "too little history");
        assert!(!is_quiet(&mondays(1..=6), &Opening::default(), now), "hours not known");
        assert!(!is_quiet(&mondays(1..=6), &week, TODAY.at(18, 0, 0, 0)), "closed by now");
        assert!(!is_quiet(&mondays(1..=6), &week, date(2026, 12, 1).at(11, 5, 0, 0)), "Tuesday");
        let mut holiday = week.clone();
        holiday.holidays.insert(TODAY);
        assert!(!is_quiet(&mondays(1..=6), &holiday, now), "holiday");
        let mut one = mondays(1..=6);
        one.insert(TODAY.at(10, 0, 0, 0), 1);
        assert!(!is_quiet(&one, &week, now), "it has sent");
    }

    #[test]
    fn closed_days_of_the_past_do_not_count() {
        let mut hours = mondays(1..=6);
        // Somebody tried the instrument on three Mondays that were holidays.
        let mut opening = open_all_week();
        for week in 1..=3 {
            let day = TODAY.checked_sub(week.weeks()).unwrap();
            hours.retain(|at, _| at.date() != day);
            hours.insert(day.at(9, 0, 0, 0), 1);
            opening.holidays.insert(day);
        }
        assert_eq!(look(&hours, &opening, TODAY.at(11, 0, 0, 0)).usual, Some(18));
    }

    proptest! {
        /// Whatever was counted: a note only on an open day, in opening hours, with history, with
        /// nothing sent; and one more reading takes it away.
        #[test]
        fn a_note_has_its_reasons(
            counts in proptest::collection::vec((0..60_i64, 0..24_i8, 0..40_u64), 0..300),
            week in proptest::collection::btree_map(1..=7_i64, (0..720_i64, 721..1440_i64), 0..7),
            holidays in proptest::collection::btree_set(0..60_i64, 0..10),
            (hour, minute) in (0..24_i8, 0..60_i8),
        ) {
            let day = |ago: i64| TODAY.checked_sub(ago.days()).unwrap();
            let mut hours = Hours::new();
            for (ago, hour, count) in counts {
                hours.insert(day(ago).at(hour, 0, 0, 0), count);
            }
            let holidays = holidays.into_iter().map(day).collect();
            let opening = Opening { week, holidays };
            let now = TODAY.at(hour, minute, 0, 0);
            let seen = look(&hours, &opening, now);
            if seen.is_quiet {
                prop_assert!(opening.is_open(now) && seen.today == 0);
                let same = |at: &DateTime| at.date() != TODAY && at.weekday() == TODAY.weekday();
                let sent = hours.iter().filter(|(at, n)| same(at) && **n > 0);
                let days: std::collections::BTreeSet<Date> = sent.map(|it| it.0.date()).collect();
                prop_assert!(days.len() >= DAYS_MIN);
                hours.insert(TODAY.at(0, 0, 0, 0), 1);
                prop_assert!(!look(&hours, &opening, now).is_quiet);
            }
        }
    }
}
