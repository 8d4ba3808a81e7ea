//! Which instrument, when, and whose measurement it claims to be. Names, birth date and address
//! are never read.

use crate::{
    DecodeError, DriverOptions,
    format::xml::{El, patient::patient},
};
use chiasm_proto::{ClaimedPatient, Decoded, Instrument, InstrumentTime, Integrity};
use jiff::civil;

/// Longest patient id, in characters.
const ID_LEN_MAX: usize = 128;
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The document's head, still without measurements.
pub fn decode(exam: El, options: &DriverOptions) -> Result<Decoded, DecodeError> {
    let configured = || options.model.clone().unwrap_or_default();
    let instrument = Instrument {
        vendor: exam.text_of(["company", "compagny"]).unwrap_or_else(|| "Visionix".into()),
        model: exam.text_of("model_name").unwrap_or_else(configured),
        serial: exam.text_of("machine_no"),
        software: exam.text_of("version"),
    };
    let mut decoded = Decoded::new(instrument, Integrity::Structure);
    decoded.instrument_time = time(exam);
    if let Some(patient) = patient(exam, "patient", "ID")? {
        decoded.claimed_patient = claim(patient)?;
    }
    Ok(decoded)
}

fn claim(patient: El) -> Result<Option<ClaimedPatient>, DecodeError> {
    let id = patient.leaf("ID");
    if let Some(id) = id
        && id.text().chars().count() > ID_LEN_MAX
    {
        return Err(id.malformed(format!("a patient id of more than {ID_LEN_MAX} characters")));
    }
    patient.ignore_whole();
    Ok(id.map(|id| ClaimedPatient { id: id.text().to_owned(), found_in: "patient/ID".into() }))
}

fn time(exam: El) -> Option<InstrumentTime> {
    let date = exam.text_of("date");
    let time = exam.text_of("time");
    let local = date.as_deref().zip(time.as_deref()).and_then(|(day, clock)| {
        let date = date_of(day)?;
        Some(date.to_datetime(clock.parse().ok()?))
    });
    let as_sent = [date, time].into_iter().flatten().collect::<Vec<_>>().join(" ");
    (!as_sent.is_empty()).then_some(InstrumentTime { as_sent, local })
}

/// `14/03/2026` or `14/Mar/2026`: always the day first.
pub(super) fn date_of(text: &str) -> Option<civil::Date> {
    let parts: Vec<&str> = text.split('/').collect();
    let [day, month, year] = parts[..] else { return None };
    let is_digits = |text: &str, len: usize| {
        text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !is_digits(day, 2) || !is_digits(year, 4) {
        return None;
    }
    let word = month.to_ascii_lowercase();
    let month = match MONTHS.iter().zip(1..).find(|(name, _)| **name == word) {
        Some((_, month)) => month,
        None if is_digits(month, 2) => month.parse().ok()?,
        None => return None,
    };
    civil::Date::new(year.parse().ok()?, month, day.parse().ok()?).ok()
}
