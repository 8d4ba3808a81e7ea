//! Rejecting a reading with a reason. It stays where it was, greyed, with the name of who did it
//! (D6); one that waits leaves the list.

use super::{AppError, accept::of_exam, reason, work::Work};
use crate::store::exam::{Next, ReadingRow};

/// Rejects a reading of an exam.
pub async fn reject_in_exam(
    work: &mut Work,
    encounter: &str,
    reading: &str,
    (why, version): (&str, Option<i64>),
) -> Result<(), AppError> {
    let row = of_exam(work, encounter, reading, version).await?;
    reject(work, &row, why).await
}

/// Rejects a reading that waits for a patient.
pub async fn reject_waiting(
    work: &mut Work,
    reading: &str,
    (why, version): (&str, Option<i64>),
) -> Result<(), AppError> {
    let row = work.waiting(reading, version).await?;
    reject(work, &row, why).await
}

async fn reject(work: &mut Work, row: &ReadingRow, why: &str) -> Result<(), AppError> {
    let why = reason(why)?;
    if row.acceptance == "rejected" {
        return Err(AppError::Refused("this reading is already rejected".into()));
    }
    let next = Next { acceptance: "rejected", ..Next::of(row) };
    let about = work.change(row, next, why).await?;
    work.audit_about(("reading_rejected", &row.reading_id), about).await
}
