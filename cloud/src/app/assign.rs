//! Giving a reading that waits to a patient, by a person's explicit choice.

use super::{AppError, reason, work::Work};
use crate::{
    domain::placement::{claimed_id, is_same_id},
    store::{
        encounter::Encounter,
        exam::{Next, ReadingRow},
    },
};

/// What a person chose.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    pub encounter_id: String,
    /// The reading's version that the person saw.
    pub version: Option<i64>,
    /// The explicit "file although the ids differ".
    pub although_ids_differ: bool,
    /// Why; needed when the ids differ.
    pub reason: String,
}

/// Files a waiting reading into the exam of an encounter of the same location. An identity inside
/// the data is checked against the patient again (R33).
pub async fn assign(work: &mut Work, reading: &str, choice: &Choice) -> Result<(), AppError> {
    let row = work.waiting(reading, choice.version).await?;
    let encounter = work.encounter(&choice.encounter_id).await?;
    if encounter.location_id != row.location_id {
        return Err(AppError::NotFound("encounter"));
    }
    let why = check_identity(&row, &encounter, choice)?;
    let next = Next {
        place: "exam",
        reason: &why,
        encounter_id: Some(&encounter.encounter_id),
        acceptance: "pending",
    };
    work.change(&row, next, &why).await?;
    work.audit("reading_assigned", &row.reading_id).await
}

/// "Not of the patient in the lane": a reading leaves the tray for the location's inbox.
pub async fn send_to_inbox(
    work: &mut Work,
    lane: &str,
    reading: &str,
    version: Option<i64>,
) -> Result<(), AppError> {
    let row = work.waiting(reading, version).await?;
    if row.lane_id != lane || row.place == "inbox" {
        return Err(AppError::NotFound("reading in this lane"));
    }
    let why = "not of the patient in the lane";
    let next = Next { place: "inbox", reason: why, encounter_id: None, acceptance: "pending" };
    work.change(&row, next, why).await?;
    work.audit("reading_to_inbox", &row.reading_id).await
}

/// The words that stay with the reading, if it may be filed.
pub(super) fn check_identity(
    row: &ReadingRow,
    encounter: &Encounter,
    choice: &Choice,
) -> Result<String, AppError> {
    let typed = choice.reason.trim();
    let Some(claimed) = claimed_id(row.claimed_patient.as_deref()) else {
        let why = if typed.is_empty() { "chosen by a person" } else { reason(typed)? };
        return Ok(why.to_owned());
    };
    if is_same_id(claimed, &encounter.chart_number) {
        return Ok(match typed {
            "" => "chosen by a person; the id in the data agrees".to_owned(),
            typed => format!("{}; the id in the data agrees", reason(typed)?),
        });
    }
    if !choice.although_ids_differ {
        return Err(AppError::IdsDiffer {
            claimed: claimed.to_owned(),
            chart_number: encounter.chart_number.clone(),
        });
    }
    Ok(format!("{} (filed although the ids differ)", reason(typed)?))
}
