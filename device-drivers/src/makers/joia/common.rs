//! `nsCommon:Common`: which instrument, when, and whose measurement it claims to be. Names, birth
//! date and the rest of the patient's data are never read.

use super::ns::Ns;
use crate::{
    DecodeError, DriverOptions,
    format::xml::{
        El,
        patient::{patient, refuse_second},
    },
};
use chiasm_proto::{ClaimedPatient, Decoded, FlagCode, Instrument, InstrumentTime, Integrity};
use jiff::civil;

const NS: Ns = Ns::Common;
/// Known and of no use here. `MachineNo` is set by the user, `Version` says nothing reliable.
const UNUSED: [&str; 3] = ["MachineNo", "Version", "Operator"];
/// Topcon's additions without namespace.
const UNUSED_TOPCON: [&str; 2] = ["Duration", "DateFormat"];
/// Longest patient id, in characters.
const ID_LEN_MAX: usize = 128;
/// What a CL-300 writes whose clock was never set.
const CLOCK_NEVER_SET: (&str, &str) = ("2012-01-01", "12:34:56");

/// The document's head, still without measurements.
pub fn decode(root: El, options: &DriverOptions) -> Result<Decoded, DecodeError> {
    let configured = options.model.clone().unwrap_or_default();
    let instrument =
        Instrument { vendor: "TOPCON".into(), model: configured, serial: None, software: None };
    let mut decoded = Decoded::new(instrument, Integrity::Structure);
    refuse_second(root, (NS, "Common"))?;
    let Some(common) = root.enter((NS, "Common")) else { return Ok(decoded) };
    common.ignore(UNUSED.map(|name| (NS, name)));
    common.ignore(UNUSED_TOPCON.map(|name| (Ns::None, name)));
    let instrument = &mut decoded.instrument;
    if let Some(company) = common.text_of((NS, "Company")) {
        instrument.vendor = company;
    }
    if let Some(model) = common.text_of((NS, "ModelName")) {
        instrument.model = model;
    }
    instrument.software = common.text_of((NS, "ROMVersion"));
    decoded.instrument_time = time(common);
    if let Some(patient) = patient(common, (NS, "Patient"), (NS, "ID"))? {
        let (running_number, claimed_patient) = patient_of(patient)?;
        decoded.running_number = running_number;
        decoded.claimed_patient = claimed_patient;
    }
    Ok(decoded)
}

fn time(common: El) -> Option<InstrumentTime> {
    let date = common.text_of((NS, "Date"));
    let time = common.text_of((NS, "Time"));
    if (date.as_deref(), time.as_deref()) == (Some(CLOCK_NEVER_SET.0), Some(CLOCK_NEVER_SET.1)) {
        common.tree().flag(FlagCode::ClockUnset, "the instrument's clock was never set");
    }
    let local = date.as_deref().zip(time.as_deref()).and_then(|(date, time)| {
        let date: civil::Date = date.parse().ok()?;
        let time: civil::Time = time.parse().ok()?;
        Some(date.to_datetime(time))
    });
    let as_sent = [date, time].into_iter().flatten().collect::<Vec<_>>().join(" ");
    (!as_sent.is_empty()).then_some(InstrumentTime { as_sent, local })
}

/// The running number, and the id if it is one: with nothing entered Topcon's instruments repeat
/// their running number there, and Canon's are said to write a dash.
fn patient_of(patient: El) -> Result<(Option<String>, Option<ClaimedPatient>), DecodeError> {
    let running_number = patient.text_of((NS, "No."));
    let id = patient.leaf((NS, "ID"));
    if let Some(id) = id
        && id.text().chars().count() > ID_LEN_MAX
    {
        return Err(id.malformed(format!("a patient id of more than {ID_LEN_MAX} characters")));
    }
    let claimed = id
        .map(|id| id.text())
        .filter(|id| !is_same_number(id, running_number.as_deref().unwrap_or("")))
        .filter(|id| id.bytes().any(|byte| byte != b'-'))
        .map(|id| ClaimedPatient { id: id.to_owned(), found_in: "nsCommon:Patient/ID".into() });
    patient.ignore_whole();
    Ok((running_number, claimed))
}

/// The same text, or the same number padded otherwise.
fn is_same_number(id: &str, running_number: &str) -> bool {
    let bare = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.trim_start_matches('0').to_owned())
    };
    id == running_number || (bare(id).is_some() && bare(id) == bare(running_number))
}
