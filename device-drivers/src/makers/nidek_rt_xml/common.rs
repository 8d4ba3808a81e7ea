//! `Common`: which instrument, when, and whose measurement it claims to be. Names, birth date and
//! the rest of the patient's data are never read.

use crate::{
    DecodeError, DriverOptions,
    format::xml::{
        El,
        patient::{patient, refuse_second},
    },
    makers::nidek_xml::values::number_is_same,
};
use chiasm_proto::{ClaimedPatient, Decoded, Instrument, InstrumentTime, Integrity};
use jiff::civil;

/// Known and of no use here. `MachineNo` is set by the user.
const UNUSED: [&str; 3] = ["MachineNo", "Version", "Operator"];
/// Longest patient id, in characters.
const ID_LEN_MAX: usize = 128;

/// The document's head, still without measurements.
pub fn decode(root: El, options: &DriverOptions) -> Result<Decoded, DecodeError> {
    let configured = options.model.clone().unwrap_or_default();
    let instrument =
        Instrument { vendor: "NIDEK".into(), model: configured, serial: None, software: None };
    let mut decoded = Decoded::new(instrument, Integrity::Structure);
    refuse_second(root, "Common")?;
    let Some(common) = root.enter("Common") else { return Ok(decoded) };
    common.ignore(UNUSED);
    let instrument = &mut decoded.instrument;
    if let Some(company) = common.text_of("Company") {
        instrument.vendor = company;
    }
    if let Some(model) = common.text_of("ModelName") {
        instrument.model = model;
    }
    instrument.software = common.text_of("ROMVersion");
    let as_sent = [common.text_of("Date"), common.text_of("Time")];
    decoded.instrument_time = time(as_sent);
    if let Some(patient) = patient(common, "Patient", "ID")? {
        let (running_number, claimed_patient) = patient_of(patient)?;
        decoded.running_number = running_number;
        decoded.claimed_patient = claimed_patient;
    }
    Ok(decoded)
}

/// The year comes first, so the order is no question. Between the parts of the time stand dashes.
fn time([date, time]: [Option<String>; 2]) -> Option<InstrumentTime> {
    let local = date.as_deref().zip(time.as_deref()).and_then(|(date, time)| {
        let [year, month, day] = parts(date, ['-', '/', '.'], [4, 2, 2])?;
        let [hour, minute, second] = parts(time, ['-', ':', '.'], [2, 2, 2])?;
        let small = |number: i16| i8::try_from(number).ok();
        let date = civil::Date::new(year, small(month)?, small(day)?).ok()?;
        let time = civil::Time::new(small(hour)?, small(minute)?, small(second)?, 0).ok()?;
        Some(date.to_datetime(time))
    });
    let as_sent = [date, time].into_iter().flatten().collect::<Vec<_>>().join(" ");
    (!as_sent.is_empty()).then_some(InstrumentTime { as_sent, local })
}

/// Three numbers of these lengths with the same mark between them.
fn parts(text: &str, marks: [char; 3], lens: [usize; 3]) -> Option<[i16; 3]> {
    let mark = marks.into_iter().find(|mark| text.contains(*mark))?;
    let words: Vec<&str> = text.split(mark).collect();
    let is_fitting = |(word, len): (&&str, usize)| {
        word.len() == len && word.bytes().all(|byte| byte.is_ascii_digit())
    };
    if words.len() != 3 || !words.iter().zip(lens).all(is_fitting) {
        return None;
    }
    Some([words[0].parse().ok()?, words[1].parse().ok()?, words[2].parse().ok()?])
}

/// The running number, and the id if it is another one.
fn patient_of(patient: El) -> Result<(Option<String>, Option<ClaimedPatient>), DecodeError> {
    let running_number = patient.text_of(["No", "No."]);
    let id = patient.leaf("ID");
    if let Some(id) = id
        && id.text().chars().count() > ID_LEN_MAX
    {
        return Err(id.malformed(format!("a patient id of more than {ID_LEN_MAX} characters")));
    }
    let claimed = id
        .map(El::text)
        .filter(|id| !number_is_same(id, running_number.as_deref().unwrap_or("")))
        .map(|id| ClaimedPatient { id: id.to_owned(), found_in: "Common/Patient/ID".into() });
    patient.ignore_whole();
    Ok((running_number, claimed))
}
