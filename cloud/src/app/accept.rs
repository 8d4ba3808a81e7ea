//! Accepting readings: one by one, all that need no look of their own, and taking it back (T3).

use super::{AppError, work::Work};
use crate::store::exam::{self, Next, ReadingRow};

/// An acceptance may be taken back for this long.
pub const UNDO_MAX_S: i64 = 10 * 60;

/// Accepts one reading of an exam.
pub async fn accept(
    work: &mut Work,
    encounter: &str,
    reading: &str,
    version: Option<i64>,
) -> Result<(), AppError> {
    let row = of_exam(work, encounter, reading, version).await?;
    if row.acceptance != "pending" {
        return Err(AppError::Refused(format!("this reading is already {}", row.acceptance)));
    }
    set_acceptance(work, &row, "accepted", "accepted").await
}

/// Accepts every pending reading of an exam that needs no look of its own; gives their number.
pub async fn accept_all_unflagged(work: &mut Work, encounter: &str) -> Result<usize, AppError> {
    work.encounter(encounter).await?;
    let tenant = work.who.tenant.clone();
    let rows = exam::readings(&mut work.tx, &tenant, encounter).await?;
    let rows = rows.iter().filter(|row| row.acceptance == "pending" && !row.needs_a_look);
    let mut count = 0;
    for row in rows {
        set_acceptance(work, row, "accepted", "accepted with all unflagged").await?;
        count += 1;
    }
    Ok(count)
}

/// Takes an acceptance back, as a version of its own.
pub async fn undo(
    work: &mut Work,
    encounter: &str,
    reading: &str,
    version: Option<i64>,
) -> Result<(), AppError> {
    let row = of_exam(work, encounter, reading, version).await?;
    if row.acceptance != "accepted" {
        return Err(AppError::Refused("this reading is not accepted".into()));
    }
    if !may_undo(&row, work.now_us) {
        let message = format!(
            "it was accepted more than {} minutes ago: reject it with a reason instead",
            UNDO_MAX_S / 60
        );
        return Err(AppError::Refused(message));
    }
    set_acceptance(work, &row, "pending", "acceptance taken back").await
}

/// Whether an accepted reading's acceptance is recent enough to be taken back.
pub fn may_undo(row: &ReadingRow, now_us: i64) -> bool {
    row.acceptance == "accepted"
        && row.accepted_at_us.is_some_and(|at_us| now_us - at_us <= UNDO_MAX_S * 1_000_000)
}

/// A reading that really is in the exam named beside it.
pub async fn of_exam(
    work: &mut Work,
    encounter: &str,
    reading: &str,
    version: Option<i64>,
) -> Result<ReadingRow, AppError> {
    let row = work.reading(reading, version).await?;
    if row.place != "exam" || row.encounter_id.as_deref() != Some(encounter) {
        return Err(AppError::NotFound("reading"));
    }
    Ok(row)
}

async fn set_acceptance(
    work: &mut Work,
    row: &ReadingRow,
    acceptance: &str,
    why: &str,
) -> Result<(), AppError> {
    let next = Next { acceptance, ..Next::of(row) };
    let about = work.change(row, next, why).await?;
    work.audit_about((&format!("reading_{acceptance}"), &row.reading_id), about).await
}
