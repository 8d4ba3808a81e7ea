//! Moving a reading from one exam to another patient's (T8).

use super::{
    AppError,
    accept::of_exam,
    assign::{Choice, check_identity},
    reason,
    work::Work,
};
use crate::store::{audit::About, exam::Next};

/// Takes a reading out of one exam and puts it, not accepted, into another of the same location.
/// Both exams show it.
pub async fn move_reading(
    work: &mut Work,
    encounter: &str,
    reading: &str,
    choice: &Choice,
) -> Result<(), AppError> {
    let row = of_exam(work, encounter, reading, choice.version).await?;
    let to = work.encounter(&choice.encounter_id).await?;
    if to.location_id != row.location_id {
        return Err(AppError::NotFound("encounter"));
    }
    if to.encounter_id == encounter {
        return Err(AppError::Refused("the reading is already in this exam".into()));
    }
    reason(&choice.reason)?;
    let why = check_identity(work, &row, &to, choice).await?;
    let next = Next {
        place: "exam",
        reason: &why,
        encounter_id: Some(&to.encounter_id),
        acceptance: "pending",
        ..Next::of(&row)
    };
    let moved_in = work.change(&row, next, &why).await?;
    let moved_out = About { encounter_id: Some(encounter.to_owned()), ..moved_in.clone() };
    work.tell_reading(&row, Some(encounter));
    work.audit_about(("reading_moved_out", &row.reading_id), moved_out).await?;
    work.audit_about(("reading_moved_in", &row.reading_id), moved_in).await
}
