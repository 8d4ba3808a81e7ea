//! What a query asks and what the worklist answers: Modality Worklist (PS3.4 K) and Patient Root
//! (PS3.4 C). Pure.

use super::{
    data_set::{DataSet, Element, Value},
    matching::{self, Range, RangeError},
};
use chiasm_proto::{ScheduledVisit, Worklist};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use jiff::civil::{Date, Time};
use std::collections::BTreeSet;

/// Said of a visit whose reason nobody entered: an imager wants some description.
const NO_REASON: &str = "Eye examination";
/// The modality where the imager does not say one: the schedule has none.
const OTHER_MODALITY: &str = "OT";

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The imager's own AE title.
    pub calling_ae: &'a str,
    /// AE titles of all enrolled imagers.
    pub enrolled: &'a [String],
    /// What the imager is called here.
    pub station: &'a str,
    /// This node's AE title, from where images could be had.
    pub own_ae: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    Worklist,
    Patient,
}

/// Why a query has no answer. The text goes to the imager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("{0}")]
    Range(#[from] RangeError),
    #[error("Query/Retrieve Level must be PATIENT, STUDY, SERIES or IMAGE")]
    Level,
}

/// All that match, in the order of the schedule. Each is made when it is asked for.
pub fn answers<'a>(
    model: Model,
    keys: &'a DataSet,
    worklist: &'a Worklist,
    asker: Asker<'a>,
) -> Result<Box<dyn Iterator<Item = DataSet> + Send + 'a>, QueryError> {
    let wanted = Wanted::new(model, keys)?;
    let mut visits: Vec<&ScheduledVisit> =
        worklist.visits.iter().filter(|visit| wanted.holds(visit)).collect();
    visits.sort_by_key(|visit| visit.scheduled_at);
    if model == Model::Worklist {
        // An imager may ask for itself, for any, or for another one of the practice.
        let station = std::iter::once(asker.calling_ae)
            .chain(asker.enrolled.iter().map(String::as_str))
            .find(|ae| matching::any_of(&wanted.station_ae, ae));
        let Some(station) = station else { return Ok(Box::new(std::iter::empty())) };
        return Ok(Box::new(visits.into_iter().map(move |visit| {
            let mut known = of_visit(visit);
            let step = of_step(visit, station, &wanted.modality, worklist, asker);
            known.put_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step]);
            answer(keys, &known, ALWAYS)
        })));
    }
    let level = keys.ascii(tags::QUERY_RETRIEVE_LEVEL);
    match level.as_str() {
        "PATIENT" => {
            let mut seen = BTreeSet::new();
            visits.retain(|visit| seen.insert(visit.chart_number.as_str()));
        }
        "STUDY" => {}
        // What was made of a study is known to the cloud, not here.
        "SERIES" | "IMAGE" => visits.clear(),
        _ => return Err(QueryError::Level),
    }
    Ok(Box::new(visits.into_iter().map(move |visit| {
        let mut known = of_visit(visit);
        known.put(tags::QUERY_RETRIEVE_LEVEL, &level);
        known.put(tags::RETRIEVE_AE_TITLE, asker.own_ae);
        answer(keys, &known, &[tags::QUERY_RETRIEVE_LEVEL, tags::RETRIEVE_AE_TITLE])
    })))
}

/// Given without being asked for: what an imager needs to work, and to file under our identifiers.
const ALWAYS: &[Tag] = &[
    tags::ACCESSION_NUMBER,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::STUDY_INSTANCE_UID,
    tags::REQUESTED_PROCEDURE_ID,
    tags::REQUESTED_PROCEDURE_DESCRIPTION,
    tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE,
    tags::SCHEDULED_STATION_AE_TITLE,
    tags::SCHEDULED_PROCEDURE_STEP_START_DATE,
    tags::SCHEDULED_PROCEDURE_STEP_START_TIME,
    tags::MODALITY,
    tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION,
    tags::SCHEDULED_PROCEDURE_STEP_ID,
];

/// The keys that select.
struct Wanted {
    name: String,
    patient_id: String,
    birth: Range<Date>,
    accession: String,
    procedure: String,
    study: String,
    step: String,
    dates: Range<Date>,
    times: Range<Time>,
    station_ae: String,
    modality: String,
}

impl Wanted {
    fn new(model: Model, keys: &DataSet) -> Result<Self, RangeError> {
        let charset = keys.charset();
        // Universal keys, an empty item and no sequence at all ask the same.
        let empty = DataSet::default();
        let step = keys.items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE).first().unwrap_or(&empty);
        let (dates, times) = match model {
            Model::Worklist => (
                step.ascii(tags::SCHEDULED_PROCEDURE_STEP_START_DATE),
                step.ascii(tags::SCHEDULED_PROCEDURE_STEP_START_TIME),
            ),
            Model::Patient => (keys.ascii(tags::STUDY_DATE), keys.ascii(tags::STUDY_TIME)),
        };
        Ok(Self {
            name: keys.text(tags::PATIENT_NAME, &charset),
            patient_id: keys.text(tags::PATIENT_ID, &charset),
            birth: matching::dates(&keys.ascii(tags::PATIENT_BIRTH_DATE))?,
            accession: keys.ascii(tags::ACCESSION_NUMBER),
            procedure: keys.ascii(tags::REQUESTED_PROCEDURE_ID),
            study: keys.ascii(tags::STUDY_INSTANCE_UID),
            step: step.ascii(tags::SCHEDULED_PROCEDURE_STEP_ID),
            dates: matching::dates(&dates)?,
            times: matching::times(&times)?,
            station_ae: step.ascii(tags::SCHEDULED_STATION_AE_TITLE),
            modality: step.ascii(tags::MODALITY),
        })
    }

    fn holds(&self, visit: &ScheduledVisit) -> bool {
        matching::text(&self.patient_id, &visit.chart_number)
            && matching::text(&self.accession, &visit.accession)
            && matching::text(&self.procedure, &visit.accession)
            && matching::text(&self.step, &visit.accession)
            && matching::any_of(&self.study, &visit.study_instance_uid)
            && self.dates.holds(&visit.scheduled_at.date())
            && self.times.holds(&visit.scheduled_at.time())
            && self.birth.holds(&visit.birth_date)
            && matching::name(&self.name, &visit.family_name, &visit.given_name)
    }
}

/// What is known of a visit, at the top level of either model.
fn of_visit(visit: &ScheduledVisit) -> DataSet {
    let mut set = DataSet::default();
    set.put(tags::ACCESSION_NUMBER, &visit.accession);
    set.put(tags::STUDY_INSTANCE_UID, &visit.study_instance_uid);
    set.put(tags::STUDY_ID, &visit.accession);
    set.put(tags::STUDY_DATE, &visit.scheduled_at.strftime("%Y%m%d").to_string());
    set.put(tags::STUDY_TIME, &visit.scheduled_at.strftime("%H%M%S").to_string());
    set.put(tags::STUDY_DESCRIPTION, reason(visit));
    set.put(tags::REQUESTED_PROCEDURE_ID, &visit.accession);
    set.put(tags::REQUESTED_PROCEDURE_DESCRIPTION, reason(visit));
    set.put(tags::ADMISSION_ID, &visit.accession);
    set.put(tags::PATIENT_NAME, &format!("{}^{}", visit.family_name, visit.given_name));
    set.put(tags::PATIENT_ID, &visit.chart_number);
    set.put(tags::PATIENT_BIRTH_DATE, &visit.birth_date.strftime("%Y%m%d").to_string());
    set
}

fn of_step(
    visit: &ScheduledVisit,
    station_ae: &str,
    modality: &str,
    worklist: &Worklist,
    asker: Asker<'_>,
) -> DataSet {
    // Asked for a modality, an imager wants it back: OP where a schedule would say OPT.
    let asked = modality.split('\\').next().unwrap_or("");
    let is_certain = !asked.is_empty() && !asked.contains(['*', '?']);
    let mut step = DataSet::default();
    step.put(tags::SCHEDULED_STATION_AE_TITLE, station_ae);
    step.put(
        tags::SCHEDULED_PROCEDURE_STEP_START_DATE,
        &visit.scheduled_at.strftime("%Y%m%d").to_string(),
    );
    step.put(
        tags::SCHEDULED_PROCEDURE_STEP_START_TIME,
        &visit.scheduled_at.strftime("%H%M%S").to_string(),
    );
    step.put(tags::MODALITY, if is_certain { asked } else { OTHER_MODALITY });
    step.put(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION, reason(visit));
    step.put(tags::SCHEDULED_PROCEDURE_STEP_ID, &visit.accession);
    step.put(tags::SCHEDULED_STATION_NAME, asker.station);
    step.put(tags::SCHEDULED_PROCEDURE_STEP_LOCATION, &worklist.location);
    step.put(tags::SCHEDULED_PROCEDURE_STEP_STATUS, "SCHEDULED");
    step
}

fn reason(visit: &ScheduledVisit) -> &str {
    if visit.reason.is_empty() { NO_REASON } else { &visit.reason }
}

/// An answer, with its character set where ASCII does not do.
fn answer(keys: &DataSet, known: &DataSet, always: &[Tag]) -> DataSet {
    let mut answer = narrowed(keys, known, always);
    if has_other_than_ascii(&answer) {
        answer.put(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192");
    }
    answer
}

/// What was asked for and what is always given; asked and unknown comes back empty.
fn narrowed(keys: &DataSet, known: &DataSet, always: &[Tag]) -> DataSet {
    let mut answer = DataSet::default();
    for (tag, element) in known.iter() {
        if keys.get(tag).is_none() && !always.contains(&tag) {
            continue;
        }
        match &element.value {
            Value::Bytes(_) => answer.put_element(tag, element.clone()),
            Value::Items(items) => {
                let asked = keys.items(tag).first().cloned().unwrap_or_default();
                let items = items.iter().map(|item| narrowed(&asked, item, always));
                answer.put_items(tag, items.collect());
            }
        }
    }
    for (tag, element) in keys.iter() {
        let is_key = tag.1 != 0 && tag != tags::SPECIFIC_CHARACTER_SET;
        if is_key && answer.get(tag).is_none() {
            answer.put_empty(tag, element.vr);
        }
    }
    answer
}

fn has_other_than_ascii(set: &DataSet) -> bool {
    set.iter().any(|(_, Element { vr, value })| match value {
        Value::Bytes(bytes) => *vr != VR::US && !bytes.is_ascii(),
        Value::Items(items) => items.iter().any(has_other_than_ascii),
    })
}

#[cfg(test)]
mod tests;
