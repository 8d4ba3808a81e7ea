//! The DICOM objects of a reading as it is in the exam.

use crate::{
    app::local_time,
    store::{encounter::Encounter, exam::ReadingRow},
};
use chiasm_drivers::dicom::write::{self, Subject, Written};
use chiasm_proto::Sha256;
use jiff::tz::TimeZone;
use uuid::Uuid;

/// What was made of a reading.
pub struct Made {
    pub objects: Vec<Written>,
    /// Kinds that it holds and of which no object can be made, and why.
    pub left_out: String,
}

/// The objects of a reading under what people said about it. Times are the clinic's; when the values
/// were taken is the gateway's time, for that one orders.
pub fn of(tenant: &str, row: &ReadingRow, visit: &Encounter, zone: &TimeZone) -> Made {
    let Some(reading) = row.reading_of_patient() else {
        let left_out = "this version cannot read the document".to_owned();
        return Made { objects: vec![], left_out };
    };
    let (instrument, measurements) = (&reading.decoded.instrument, &reading.decoded.measurements);
    // The same content of the same visit is the same instance, whatever its version is.
    let content = serde_json::to_vec(&(instrument, measurements)).unwrap_or_default();
    let person = [&visit.chart_number, &visit.family_name, &visit.given_name, &visit.birth_date]
        .map(|it| it.as_str());
    let person = Sha256::of(person.join("\u{1f}").as_bytes());
    let content = Sha256::of(&content);
    let subject = Subject {
        patient_id: visit.chart_number.clone(),
        family_name: visit.family_name.clone(),
        given_name: visit.given_name.clone(),
        birth_date: visit.birth_date.parse().ok(),
        study_uid: study_uid(&visit.encounter_id),
        accession: visit.accession.clone(),
        study_at: local_time::local(visit.scheduled_at_us, zone),
        content_at: local_time::local(row.captured_at_us, zone),
        seed: format!("{tenant}/{}/{}/{person}/{content}", visit.encounter_id, row.reading_id),
    };
    let mut made = Made { objects: vec![], left_out: String::new() };
    let mut whys = vec![];
    for object in write::write(instrument, measurements, &subject) {
        match object {
            Ok(object) => made.objects.push(object),
            Err(it) => whys.push(format!("no {}: {}", it.kind.modality(), it.why)),
        }
    }
    if made.objects.is_empty() && whys.is_empty() {
        whys.push("no refraction, keratometry or lens is in it".into());
    }
    made.left_out = whys.join("; ");
    made
}

/// The study of a visit, as worklists name it: `2.25.` and the encounter's UUID as a number.
fn study_uid(encounter: &str) -> String {
    match Uuid::parse_str(encounter) {
        Ok(uuid) => format!("2.25.{}", uuid.as_u128()),
        Err(_) => write::uid_of(encounter),
    }
}
