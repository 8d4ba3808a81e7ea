//! Clocks of instruments that write a date as three numbers in an order of their own choice.

use crate::DateOrder;
use jiff::civil;

/// A date of three numbers with a year of four digits, and a time `HH:MM` or `HH:MM:SS`. Nothing
/// if the order is not known or the numbers are no date in it. A year that stands first needs no
/// order: the month follows.
pub fn local(date: &str, time: &str, order: Option<DateOrder>) -> Option<civil::DateTime> {
    let parts: Vec<&str> = date.trim().split(['/', '.', '-']).collect();
    let [first, second, third] = parts[..] else { return None };
    let order = if first.len() == 4 { DateOrder::YearFirst } else { order? };
    let (year, month, day) = match order {
        DateOrder::DayFirst => (third, second, first),
        DateOrder::MonthFirst => (third, first, second),
        DateOrder::YearFirst => (first, second, third),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if year.len() != 4 || !parts.iter().all(|part| is_digits(part)) {
        return None;
    }
    let date = civil::Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let time: civil::Time = time.trim().parse().ok()?;
    Some(date.ok()?.to_datetime(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_sites() {
        let at = civil::date(2026, 4, 3).at(9, 41, 0, 0);
        assert_eq!(local("03/04/2026", "09:41", Some(DateOrder::DayFirst)), Some(at));
        assert_eq!(local("4/3/2026", "09:41:00", Some(DateOrder::MonthFirst)), Some(at));
        assert_eq!(local("2026-04-03", "09:41", Some(DateOrder::YearFirst)), Some(at));
        assert_eq!(local("2026-04-03", "09:41", None), Some(at));
        assert_eq!(local("2026-04-03", "09:41", Some(DateOrder::MonthFirst)), Some(at));
        assert_eq!(local("03/04/2026", "09:41", None), None);
        for text in ["14/03/26", "03/14/2026", "+3/04/2026", "", "1/2/3/2026"] {
            assert_eq!(local(text, "09:41", Some(DateOrder::DayFirst)), None, "{text}");
        }
    }
}
