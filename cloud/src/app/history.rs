//! One patient over all visits, a page of visits at a time.

use super::{AppError, about, look, principal::Principal};
use crate::store::{
    Db,
    audit::About,
    exam::ReadingRow,
    history::{self, Position, READINGS_MAX, Visit},
    patient::{self, Patient},
};

/// Visits with the readings that are in their exams, both latest first; rejected ones are not among
/// them (D6).
#[derive(Debug)]
pub struct Page {
    pub patient: Patient,
    pub visits: Vec<Visit>,
    pub readings: Vec<ReadingRow>,
    /// Where the next page begins, if there are older visits.
    pub older: Option<Position>,
    /// There are more readings than a page is made of: the oldest of them are missing.
    pub is_cut: bool,
}

/// Visits later than today are appointments, not history.
const AHEAD_US: i64 = 24 * 3600 * 1_000_000;

/// The page of visits before a position, or the latest. The look is written down.
pub async fn page(
    db: &Db,
    who: &Principal,
    patient: &str,
    before: Option<Position>,
    now_us: i64,
) -> Result<Page, AppError> {
    let mut tx = db.tenant_read(&who.tenant).await?;
    let found = patient::by_id(&mut tx, &who.tenant, patient).await?;
    let found = found.ok_or(AppError::NotFound("patient"))?;
    let survivor = found.merged_into.clone().unwrap_or_else(|| found.patient_id.clone());
    let before = before.unwrap_or_else(|| Position::at(now_us + AHEAD_US));
    let (visits, has_older) = history::visits(&mut tx, &who.tenant, &survivor, &before).await?;
    let mut readings = Vec::new();
    if let (Some(latest), Some(oldest)) = (visits.first(), visits.last()) {
        let range = (&Position::of(oldest), &Position::of(latest));
        readings = history::readings(&mut tx, &who.tenant, &survivor, range).await?;
    }
    drop(tx);
    let shown = readings.iter().flat_map(|row| about::kinds_of(&row.body));
    let about = About::patient(patient).kinds(shown);
    look::look_at(db, who, ("patient_history_seen", patient), about, now_us).await?;
    let older = visits.last().filter(|_| has_older).map(Position::of);
    let is_cut = readings.len() as i64 >= READINGS_MAX;
    Ok(Page { patient: found, visits, readings, older, is_cut })
}

impl Position {
    /// As it stands in a URL.
    pub fn to_text(&self) -> String {
        format!("{}.{}", self.scheduled_at_us, self.encounter_id)
    }
    pub fn from_text(text: &str) -> Option<Self> {
        let (at_us, encounter_id) = text.split_once('.')?;
        let (scheduled_at_us, encounter_id) = (at_us.parse().ok()?, encounter_id.to_owned());
        Some(Self { scheduled_at_us, encounter_id })
    }
}
