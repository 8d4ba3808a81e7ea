//! Importing a day's schedule from CSV. Importing the same file again changes nothing; a line that
//! cannot be taken is named, and the others are taken.

use super::{AppError, accession, csv, local_time, work::Work};
use crate::store::{
    audit::About,
    live::{Kind, NewEvent},
    patient::{self, Patient},
    schedule::{self, Appointment},
    site,
};
use jiff::{Timestamp, civil};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use utoipa::ToSchema;
use uuid::Uuid;

/// The columns, in any order, by their names in the first line.
pub const COLUMNS: [&str; 8] = [
    "appointment_key",
    "location",
    "scheduled_at",
    "chart_number",
    "family_name",
    "given_name",
    "birth_date",
    "reason",
];
/// Most lines of one file.
pub const LINES_MAX: usize = 5_000;
/// Longest field, in characters.
const FIELD_LEN_MAX: usize = 200;
/// Most faults that are listed.
const FAULTS_MAX: usize = 100;

/// What an import did.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Imported {
    pub patients_added: usize,
    pub appointments_added: usize,
    pub appointments_changed: usize,
    pub appointments_unchanged: usize,
    /// Lines that were not taken, at most the first hundred.
    pub faults: Vec<Fault>,
}

impl Imported {
    fn taken(&self) -> usize {
        self.appointments_added + self.appointments_changed
    }
}

/// Why a line was not taken.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LineFault)]
pub struct Fault {
    /// Counted from 1; the line of column names is 1.
    pub line: usize,
    pub message: String,
}

/// Takes a CSV file into patients and encounters.
pub async fn import(work: &mut Work, text: &str) -> Result<Imported, AppError> {
    let records = csv::parse(text, LINES_MAX).map_err(AppError::Refused)?;
    let mut records = records.into_iter();
    let (_, header) =
        records.next().ok_or_else(|| AppError::Refused("the file is empty".into()))?;
    let columns = columns(&header)?;
    let tenant = work.who.tenant.clone();
    let locations = site::locations(&mut work.tx, &tenant).await?;
    let zones: HashMap<String, String> =
        locations.into_iter().map(|it| (it.location_id, it.time_zone)).collect();
    let mut imported = Imported::default();
    let mut changed: BTreeSet<String> = BTreeSet::new();
    for (line, record) in records {
        if record.len() == 1 && record[0].trim().is_empty() {
            continue;
        }
        let taken = match parse_line(&columns, &record, &zones) {
            Ok(parsed) => {
                let (location, before) = (parsed.appointment.location_id.clone(), imported.taken());
                let taken = take(work, parsed, &mut imported).await?;
                if imported.taken() > before {
                    changed.insert(location);
                }
                taken
            }
            Err(message) => Err(message),
        };
        if let Err(message) = taken
            && imported.faults.len() < FAULTS_MAX
        {
            imported.faults.push(Fault { line, message });
        }
    }
    // Lanes that show the day's patients.
    for location in changed {
        work.tell_schedule(&location);
        let event = NewEvent::new(work.now_us, Kind::VisitChanged);
        work.tell(NewEvent { location_id: Some(location), ..event });
    }
    let counts = format!(
        "{} patients added, {} appointments added, {} changed",
        imported.patients_added, imported.appointments_added, imported.appointments_changed
    );
    let about = About::default().values(("", &counts));
    work.audit_about(("schedule_imported", &tenant), about).await?;
    Ok(imported)
}

fn columns(header: &[String]) -> Result<[usize; 8], AppError> {
    let mut at = [0; 8];
    for (slot, name) in at.iter_mut().zip(COLUMNS) {
        let position = header.iter().position(|column| column.trim() == name);
        *slot = position.ok_or_else(|| {
            AppError::Refused(format!(
                "the first line has no column `{name}`; it must name {}",
                COLUMNS.join(",")
            ))
        })?;
    }
    Ok(at)
}

#[derive(Debug)]
struct Line {
    patient: Patient,
    appointment: Appointment,
}

fn parse_line(
    columns: &[usize; 8],
    record: &[String],
    zones: &HashMap<String, String>,
) -> Result<Line, String> {
    let mut fields = [""; 8];
    for ((field, &column), name) in fields.iter_mut().zip(columns).zip(COLUMNS) {
        *field = record.get(column).map_or("", |text| text.trim());
        if field.is_empty() && name != "reason" {
            return Err(format!("`{name}` is empty"));
        }
        if field.chars().count() > FIELD_LEN_MAX {
            return Err(format!("`{name}` is longer than {FIELD_LEN_MAX} characters"));
        }
    }
    let [key, location, scheduled_at, chart_number, family_name, given_name, birth, reason] =
        fields;
    let zone = zones.get(location).ok_or_else(|| {
        format!("there is no location `{location}`: add it with `admin location add`")
    })?;
    let zone = local_time::zone(zone);
    let scheduled_at_us = moment(scheduled_at, &zone)?;
    let birth_date: civil::Date =
        birth.parse().map_err(|_| format!("`birth_date` {birth} is not YYYY-MM-DD"))?;
    let patient = Patient {
        patient_id: Uuid::now_v7().to_string(),
        chart_number: chart_number.to_owned(),
        family_name: family_name.to_owned(),
        given_name: given_name.to_owned(),
        birth_date: birth_date.to_string(),
        merged_into: None,
    };
    let appointment = Appointment {
        encounter_id: Uuid::now_v7().to_string(),
        patient_id: String::new(),
        location_id: location.to_owned(),
        visit_date: local_time::date(scheduled_at_us, &zone).to_string(),
        scheduled_at_us,
        reason: reason.to_owned(),
        appointment_key: key.to_owned(),
        accession: Some(accession::generate()),
    };
    Ok(Line { patient, appointment })
}

/// `2026-11-23T10:00:00-05:00`, or local to the clinic without the offset.
fn moment(text: &str, zone: &jiff::tz::TimeZone) -> Result<i64, String> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp.as_microsecond());
    }
    // A date alone would be midnight, and a zone in brackets would not be looked at.
    let has_time = text.contains(':') && !text.contains('[');
    let local = has_time.then(|| text.parse::<civil::DateTime>().ok()).flatten();
    let local = local.ok_or_else(|| {
        format!("`scheduled_at` {text} is neither YYYY-MM-DDTHH:MM nor that with an offset")
    })?;
    let zoned = zone.to_ambiguous_zoned(local).unambiguous();
    zoned.map(|zoned| zoned.timestamp().as_microsecond()).map_err(|_| {
        format!(
            "`scheduled_at` {text} does not exist in the clinic's time zone, or exists twice, \
             because clocks are changed: give it with its offset"
        )
    })
}

/// What tells two people with the same chart number apart. A name that is only written in other
/// letters' case is the same.
fn difference(known: &Patient, given: &Patient) -> Option<&'static str> {
    let is_same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
    if known.birth_date != given.birth_date {
        Some("birth date")
    } else if !is_same(&known.family_name, &given.family_name) {
        Some("family name")
    } else if !is_same(&known.given_name, &given.given_name) {
        Some("given name")
    } else {
        None
    }
}

/// Takes one line. The inner error is the line's own fault, the outer one ends the import.
async fn take(
    work: &mut Work,
    line: Line,
    imported: &mut Imported,
) -> Result<Result<(), String>, AppError> {
    let tenant = work.who.tenant.clone();
    let Line { patient, mut appointment } = line;
    let known = patient::by_chart_number(&mut work.tx, &tenant, &patient.chart_number).await?;
    let is_new = known.is_none();
    if let Some(known) = &known
        && let Some(what) = difference(known, &patient)
    {
        return Ok(Err(format!(
            "chart number {} is known with another {what}: one of them is wrong",
            patient.chart_number
        )));
    }
    appointment.patient_id = known.map_or(patient.patient_id.clone(), |known| known.patient_id);
    let same_key = schedule::by_key(&mut work.tx, &tenant, &appointment.appointment_key).await?;
    if let Some(before) = &same_key
        && before.patient_id != appointment.patient_id
    {
        return Ok(Err(format!(
            "appointment {} is already that of another patient: use a new key",
            appointment.appointment_key
        )));
    }
    if is_new {
        patient::insert(&mut work.tx, &tenant, &patient, work.now_us).await?;
        imported.patients_added += 1;
    }
    match same_key {
        Some(before) if before.says_the_same(&appointment) => {
            imported.appointments_unchanged += 1;
        }
        Some(before) => {
            schedule::update(&mut work.tx, &tenant, &before.encounter_id, &appointment).await?;
            imported.appointments_changed += 1;
        }
        None => {
            schedule::insert(&mut work.tx, &tenant, &appointment, work.now_us).await?;
            imported.appointments_added += 1;
        }
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_certain_or_refused() {
        let zone = local_time::zone("Europe/Berlin");
        let utc = |text: &str| {
            moment(text, &zone).map(|at_us| Timestamp::from_microsecond(at_us).unwrap().to_string())
        };
        assert_eq!(utc("2026-07-01T09:00").unwrap(), "2026-07-01T07:00:00Z");
        assert_eq!(utc("2026-01-02 09:00").unwrap(), "2026-01-02T08:00:00Z");
        assert_eq!(utc("2026-10-25T02:30:00+01:00").unwrap(), "2026-10-25T01:30:00Z");
        for unclear in [
            "2026-03-29T02:30",
            "2026-10-25T02:30",
            "2026-10-25",
            "2026-07-01T09:00[America/New_York]",
            "9 o'clock",
        ] {
            utc(unclear).unwrap_err();
        }
    }
}
