//! When an instance was acquired, by the imager's clock.

use super::super::data_set::DataSet;
use dicom_dictionary_std::tags;
use jiff::civil::{Date, DateTime, Time};

/// The most exact time that a data set gives: of the acquisition, else of the content, else of the
/// series or the study. Behind it the minutes east of Greenwich, if the imager says.
pub fn acquired(set: &DataSet) -> Option<(DateTime, Option<i16>)> {
    let zone = set.word(tags::TIMEZONE_OFFSET_FROM_UTC).and_then(|zone| offset_min(&zone));
    if let Some(word) = set.word(tags::ACQUISITION_DATE_TIME)
        && let Some((local, offset)) = date_time(&word)
    {
        return Some((local, offset.or(zone)));
    }
    let pairs = [
        (tags::ACQUISITION_DATE, tags::ACQUISITION_TIME),
        (tags::CONTENT_DATE, tags::CONTENT_TIME),
        (tags::SERIES_DATE, tags::SERIES_TIME),
        (tags::STUDY_DATE, tags::STUDY_TIME),
    ];
    pairs.into_iter().find_map(|(date_tag, time_tag)| {
        let date = date(&set.word(date_tag)?)?;
        let time = time(&set.word(time_tag)?)?;
        Some((DateTime::from_parts(date, time), zone))
    })
}

/// `20260901`, or the older `2026.09.01`.
pub fn date(word: &str) -> Option<Date> {
    let digits = match word.len() {
        8 => word.to_owned(),
        10 => word.split('.').collect(),
        _ => return None,
    };
    Date::new(number(digits.get(..4)?)?, number(digits.get(4..6)?)?, number(digits.get(6..8)?)?)
        .ok()
}

/// `091700.25`, with seconds and what is behind them left out at will.
fn time(word: &str) -> Option<Time> {
    let (whole, fraction) = word.split_once('.').unwrap_or((word, ""));
    let whole: String = whole.split(':').collect();
    let part = |at: usize| match whole.get(at..at + 2) {
        Some(two) => number::<i8>(two),
        None if whole.len() <= at => Some(0),
        None => None,
    };
    let nanos = format!("{:0<9}", fraction.get(..9).unwrap_or(fraction));
    // A leap second is shown as the second before it.
    Time::new(part(0)?, part(2)?, part(4)?.min(59), number(&nanos)?).ok()
}

/// `20260901091700.25+0200`.
fn date_time(word: &str) -> Option<(DateTime, Option<i16>)> {
    let (word, offset) = match word.find(['+', '-']) {
        Some(at) => (word.get(..at)?, offset_min(word.get(at..)?)),
        None => (word, None),
    };
    let date = date(word.get(..8)?)?;
    let time = time(word.get(8..)?)?;
    Some((DateTime::from_parts(date, time), offset))
}

/// `+0200` in minutes.
fn offset_min(word: &str) -> Option<i16> {
    let sign = match word.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let hours: i16 = number(word.get(1..3)?)?;
    let minutes: i16 = number(word.get(3..5)?)?;
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

fn number<N: std::str::FromStr>(digits: &str) -> Option<N> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}
