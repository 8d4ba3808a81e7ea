//! What every object says about patient, instrument, time and side.

use crate::{DecodeError, DriverOptions, ErrorCode, dicom::Node};
use chiasm_proto::{ClaimedPatient, Eye, FlagCode, Instrument, InstrumentTime};
use dicom_dictionary_std::tags;
use jiff::civil;

/// Stands where an object does not name its maker.
const VENDOR_NOT_GIVEN: &str = "not given";

/// The class in the data set has to be the one of the head.
pub fn check_class(root: Node, class_uid: &str) -> Result<(), DecodeError> {
    let own = root.need(tags::SOP_CLASS_UID, root.text(tags::SOP_CLASS_UID)?)?;
    if own != class_uid {
        let what = "another class than in the head of the file";
        return Err(root.refuse(tags::SOP_CLASS_UID, ErrorCode::Malformed, what));
    }
    Ok(())
}

pub fn instrument(root: Node, options: &DriverOptions) -> Result<Instrument, DecodeError> {
    let software = root.texts(tags::SOFTWARE_VERSIONS)?.join(" ").trim().to_owned();
    let model = root.text(tags::MANUFACTURER_MODEL_NAME)?.or_else(|| options.model.clone());
    Ok(Instrument {
        vendor: root.text(tags::MANUFACTURER)?.unwrap_or_else(|| VENDOR_NOT_GIVEN.into()),
        model: model.unwrap_or_else(|| "DICOM".into()),
        serial: root.text(tags::DEVICE_SERIAL_NUMBER)?,
        software: Some(software).filter(|text| !text.is_empty()),
    })
}

pub fn patient(root: Node) -> Result<Option<ClaimedPatient>, DecodeError> {
    let id = root.text(tags::PATIENT_ID)?;
    Ok(id.map(|id| ClaimedPatient { id, found_in: "(0010,0020) PatientID".into() }))
}

/// Content Date and Time: measurements have no other.
pub fn time(root: Node) -> Result<Option<InstrumentTime>, DecodeError> {
    let Some(date) = root.text(tags::CONTENT_DATE)? else { return Ok(None) };
    let time = root.text(tags::CONTENT_TIME)?;
    let local = local(&date, time.as_deref());
    let as_sent = time.map_or_else(|| date.clone(), |time| format!("{date} {time}"));
    Ok(Some(InstrumentTime { as_sent, local }))
}

/// `20260901`, `091805.25`: minutes and seconds may be missing.
fn local(date: &str, time: Option<&str>) -> Option<civil::DateTime> {
    let date = civil::Date::strptime("%Y%m%d", date).ok()?;
    let (whole, fraction) = time?.split_once('.').unwrap_or((time?, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let pair = |at: usize| whole.get(at..at + 2).map_or(Some(0), |text| text.parse().ok());
    if !matches!(whole.len(), 2 | 4 | 6) {
        return None;
    }
    let nanos = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let time = civil::Time::new(pair(0)?, pair(2)?, pair(4)?, nanos).ok()?;
    Some(date.to_datetime(time))
}

/// The side that the object as a whole claims: the measurement's, else the series'. One that
/// contradicts the other is flagged, and the measurement's holds.
pub fn laterality(root: Node) -> Result<Option<Eye>, DecodeError> {
    let eye = |word: &str| match word {
        "R" => Eye::Right,
        "L" => Eye::Left,
        _ => Eye::Both,
    };
    let measured = root.word(tags::MEASUREMENT_LATERALITY, &["R", "L", "B"])?.map(eye);
    let series = root.word(tags::LATERALITY, &["R", "L", "B"])?.map(eye);
    if let (Some(measured), Some(series)) = (measured, series)
        && measured != series
    {
        let what = "measurement and series name different sides";
        root.tree().flag(FlagCode::Inconsistent, what);
    }
    Ok(measured.or(series))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_may_be_cut_short_and_have_fractions() {
        for (time, expected) in [
            ("091805", Some("2026-09-01T09:18:05")),
            ("0918", Some("2026-09-01T09:18:00")),
            ("09", Some("2026-09-01T09:00:00")),
            ("091805.25", Some("2026-09-01T09:18:05.25")),
            ("246100", None),
            ("9:18", None),
            ("09180", None),
        ] {
            let found = local("20260901", Some(time)).map(|time| time.to_string());
            assert_eq!(found.as_deref(), expected, "{time}");
        }
        assert_eq!(local("2026-09-01", Some("09")), None);
    }
}
