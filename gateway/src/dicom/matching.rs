//! How a key of a query matches (PS3.4 C.2.2.2). Pure. Looser than the standard where imagers are.

use jiff::civil::{Date, Time};

/// Longest text that is compared with a wildcard, in characters: LO has 64, a name's group as many.
const PATTERN_LEN_MAX: usize = 256;

/// Whether a text matches a key with `*` for any and `?` for one character, whatever the case.
/// An empty key matches everything.
pub fn text(key: &str, text: &str) -> bool {
    if key.is_empty() {
        return true;
    }
    let fold = |text: &str| -> Vec<char> {
        text.chars().take(PATTERN_LEN_MAX).flat_map(char::to_lowercase).collect()
    };
    wildcard(&fold(key), &fold(text))
}

/// Whether any of a list's values matches: UIDs and codes may be asked several at once.
pub fn any_of(keys: &str, value: &str) -> bool {
    keys.is_empty() || keys.split('\\').any(|key| text(key.trim(), value))
}

/// Whether a person's name matches. Empty components at the end do not count, only the first group
/// is compared, and a key without components is the family name, as people type it.
pub fn name(key: &str, family: &str, given: &str) -> bool {
    let key = key.split('=').next().unwrap_or("").trim_end_matches(['^', ' ']);
    let whole = format!("{family}^{given}");
    if text(key, whole.trim_end_matches('^')) {
        return true;
    }
    match key.split_once('^') {
        None => text(key, family),
        // Asked with a middle name or a title that nobody here knows: compared as far as we know.
        Some((first, rest)) => {
            let second = rest.split('^').next().unwrap_or("");
            rest.contains('^') && text(first, family) && text(second, given)
        }
    }
}

/// Greedy with one step back: linear in practice, and never worse than the product of the lengths.
fn wildcard(key: &[char], text: &[char]) -> bool {
    let (mut k, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match key.get(k) {
            Some('*') => {
                star = Some((k, t));
                k += 1;
            }
            Some(sign) if *sign == '?' || *sign == text[t] => {
                k += 1;
                t += 1;
            }
            _ => match star {
                Some((star_k, star_t)) => {
                    star = Some((star_k, star_t + 1));
                    k = star_k + 1;
                    t = star_t + 1;
                }
                None => return false,
            },
        }
    }
    key[k..].iter().all(|sign| *sign == '*')
}

/// A date or time key: one value, `from-`, `-to`, `from-to`. Both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range<T> {
    from: Option<T>,
    to: Option<T>,
}

impl<T: PartialOrd> Range<T> {
    pub fn holds(&self, value: &T) -> bool {
        self.from.as_ref().is_none_or(|from| from <= value)
            && self.to.as_ref().is_none_or(|to| value <= to)
    }
}

/// A key that is no date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a date or time that cannot be read")]
pub struct RangeError;

/// Dates `YYYYMMDD`, also with the dots of old versions.
pub fn dates(key: &str) -> Result<Range<Date>, RangeError> {
    range(key, |text, _| {
        let digits: String = text.chars().filter(|sign| *sign != '.').collect();
        if digits.len() != 8 || !digits.is_ascii() {
            return None;
        }
        let (year, rest) = digits.split_at(4);
        let (month, day) = rest.split_at(2);
        Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
    })
}

/// Times `HH[MM[SS[.FFFFFF]]]`, also with colons. What is left out of an upper end is the whole of
/// the last unit that is given.
pub fn times(key: &str) -> Result<Range<Time>, RangeError> {
    range(key, |text, is_end| {
        let digits: String = text.chars().filter(|sign| *sign != ':').collect();
        let digits = digits.split('.').next().unwrap_or("");
        if !digits.is_ascii() {
            return None;
        }
        let part = |at: usize, otherwise: i8| match digits.get(at..at + 2) {
            Some(part) => part.parse::<i8>().ok(),
            None if digits.len() > at => None,
            None => Some(otherwise),
        };
        let last = if is_end { 59 } else { 0 };
        let nanosecond = if is_end { 999_999_999 } else { 0 };
        let (hour, minute, second) = (part(0, 99)?, part(2, last)?, part(4, last)?);
        Time::new(hour, minute, second.min(59), nanosecond).ok()
    })
}

fn range<T: Copy>(
    key: &str,
    parse: impl Fn(&str, bool) -> Option<T>,
) -> Result<Range<T>, RangeError> {
    let key = key.trim();
    let end = |text: &str, is_end: bool| match text.trim() {
        "" => Ok(None),
        text => parse(text, is_end).map(Some).ok_or(RangeError),
    };
    let (from, to) = key.split_once('-').unwrap_or((key, key));
    Ok(Range { from: end(from, false)?, to: end(to, true)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_whatever_the_case() {
        for key in ["", "*", "mül*", "*ler", "M?LLER", "m*l*r", "**", "müller", "*ü*"] {
            assert!(text(key, "Müller"), "{key}");
        }
        for key in ["mül", "ller", "m?ller?", "*x*", "?", "müllers"] {
            assert!(!text(key, "Müller"), "{key}");
        }
        let hostile = "*a".repeat(100);
        assert!(!text(&hostile, &"a".repeat(90)));
    }

    #[test]
    fn names_match_as_people_ask() {
        for key in [
            "",
            "MILLER^ANNA",
            "miller^anna^^^",
            "MILLER",
            "Mil*",
            "mil*^a*",
            "*^Anna",
            "MILLER^ANNA^M^DR",
            "Miller^Anna=x=y",
        ] {
            assert!(name(key, "Miller", "Anna"), "{key}");
        }
        for key in ["ANNA", "MIL", "MILLER^BERTA", "MILLERS*", "MILLER^BERTA^M"] {
            assert!(!name(key, "Miller", "Anna"), "{key}");
        }
    }

    #[test]
    fn dates_are_single_or_ranges() {
        let day: Date = "2026-11-30".parse().unwrap();
        for key in [
            "",
            "20261130",
            "2026.11.30",
            "20261130-",
            "-20261130",
            "20261101-20261130",
            "20261130-20261201",
            "-",
        ] {
            assert!(dates(key).unwrap().holds(&day), "{key}");
        }
        for key in ["20261129", "20261201-", "-20261129"] {
            assert!(!dates(key).unwrap().holds(&day), "{key}");
        }
        for key in ["today", "20261332", "2026", "2026113é"] {
            assert_eq!(dates(key), Err(RangeError), "{key}");
        }
    }

    #[test]
    fn times_are_as_exact_as_they_are_written() {
        let time: Time = "09:15:00".parse().unwrap();
        for key in ["", "0915", "091500", "09", "0800-1000", "-0915", "09:15-", "000000-235959"] {
            assert!(times(key).unwrap().holds(&time), "{key}");
        }
        for key in ["0916-", "10", "-0914", "091501"] {
            assert!(!times(key).unwrap().holds(&time), "{key}");
        }
        assert_eq!(times("9"), Err(RangeError));
    }
}
