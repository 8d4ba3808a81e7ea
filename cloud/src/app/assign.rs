//! Giving a reading that waits to a patient, by a person's explicit choice.

use super::{AppError, reason, work::Work};
use crate::{
    domain::placement::{claimed_id, is_same_id},
    store::{
        encounter::Encounter,
        exam::{Next, ReadingRow},
        patient, shared_lane,
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
    let why = check_identity(work, &row, &encounter, choice).await?;
    let next = Next {
        place: "exam",
        reason: &why,
        encounter_id: Some(&encounter.encounter_id),
        acceptance: "pending",
        ..Next::of(&row)
    };
    let about = work.change(&row, next, &why).await?;
    work.audit_about(("reading_assigned", &row.reading_id), about).await
}

/// Whether a lane's tray shows a reading: it is the lane's own, or of an instrument that the lane
/// shares with others (T9).
pub async fn is_asked_in(work: &mut Work, lane: &str, row: &ReadingRow) -> Result<bool, AppError> {
    if row.lane_id == lane {
        return Ok(true);
    }
    let tenant = work.who.tenant.clone();
    let sharers = shared_lane::sharers(&mut work.tx, &tenant, &row.lane_id).await?;
    Ok(sharers.iter().any(|it| it == lane))
}

/// "Not of the patient in the lane": a reading leaves the tray for the location's inbox.
pub async fn send_to_inbox(
    work: &mut Work,
    lane: &str,
    reading: &str,
    version: Option<i64>,
) -> Result<(), AppError> {
    let row = work.waiting(reading, version).await?;
    if row.place == "inbox" || !is_asked_in(work, lane, &row).await? {
        return Err(AppError::NotFound("reading in this lane"));
    }
    let why = "not of the patient in the lane";
    let next = Next {
        place: "inbox",
        reason: why,
        encounter_id: None,
        acceptance: "pending",
        ..Next::of(&row)
    };
    let about = work.change(&row, next, why).await?;
    work.audit_about(("reading_to_inbox", &row.reading_id), about).await
}

/// Whether an identity inside the data is that of the visit: the identifier that we issued for it, or
/// one of the person's chart numbers (R33, D10).
async fn is_of_visit(
    work: &mut Work,
    claimed: &str,
    encounter: &Encounter,
) -> Result<bool, AppError> {
    let is_own = encounter.accession.as_deref().is_some_and(|own| is_same_id(claimed, own));
    if is_own || is_same_id(claimed, &encounter.chart_number) {
        return Ok(true);
    }
    let tenant = work.who.tenant.clone();
    let charts = patient::family(&mut work.tx, &tenant, &encounter.patient_id).await?;
    Ok(charts.iter().any(|chart| is_same_id(claimed, &chart.chart_number)))
}

/// The words that stay with the reading, if it may be filed.
pub(super) async fn check_identity(
    work: &mut Work,
    row: &ReadingRow,
    encounter: &Encounter,
    choice: &Choice,
) -> Result<String, AppError> {
    let typed = choice.reason.trim();
    let Some(claimed) = claimed_id(row.claimed_patient.as_deref()) else {
        let why = if typed.is_empty() { "chosen by a person" } else { reason(typed)? };
        return Ok(why.to_owned());
    };
    if is_of_visit(work, claimed, encounter).await? {
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
