//! What people say about a reading beyond what the instrument sent: each a new version with who,
//! when and why, the earlier one readable (R35).

use super::{AppError, accept::of_exam, reason, work::Work};
use crate::{
    domain::{
        correction::{Correction, Drops, ORDER_LEN_MAX, PAIRS_MAX, Purpose},
        sheet::{self, Test, Typed},
    },
    store::exam::{Next, ReadingRow},
};
use chiasm_proto::{Eye, Measured, Reading};

/// Which reading, and the version that the person saw.
#[derive(Debug, Clone, Copy)]
pub struct Of<'a> {
    pub encounter: &'a str,
    pub reading: &'a str,
    pub version: Option<i64>,
}

/// Exchanges OD and OS in the whole reading (R4). A second time takes it back.
pub async fn swap_eyes(work: &mut Work, of: Of<'_>, why: &str) -> Result<(), AppError> {
    let why = reason(why)?.to_owned();
    let (row, sent) = open(work, of).await?;
    let has_sides = sent.decoded.measurements.iter().any(|it| it.eye != Eye::NotGiven);
    if !has_sides {
        return Err(AppError::Refused("this reading has no sides: state them instead".into()));
    }
    let mut correction = of_row(&row)?;
    correction.is_swapped = !correction.is_swapped;
    let why = format!("eyes exchanged: {why}");
    save(work, &row, &sent, (&correction, &why)).await
}

/// Says which side a lens without one is of (R1, T10).
pub async fn state_eye(work: &mut Work, of: Of<'_>, eye: Eye) -> Result<(), AppError> {
    let (row, sent) = open(work, of).await?;
    if !matches!(eye, Eye::Right | Eye::Left) {
        return Err(AppError::Refused("choose the right or the left eye".into()));
    }
    let mut sides = sent.decoded.measurements.iter().map(|it| it.eye);
    if !sides.any(|side| side == Eye::NotGiven) {
        return Err(AppError::Refused("the instrument gave the side of every value".into()));
    }
    let mut correction = of_row(&row)?;
    correction.stated_eye = Some(eye);
    let why = format!("side stated: {}", eye.abbreviation());
    save(work, &row, &sent, (&correction, &why)).await
}

/// Says what a lens was measured for (R25, T10).
pub async fn set_purpose(work: &mut Work, of: Of<'_>, purpose: Purpose) -> Result<(), AppError> {
    let purpose = check_purpose(purpose)?;
    let (row, sent) = open(work, of).await?;
    let mut measured = sent.decoded.measurements.iter().map(|it| &it.measured);
    if !measured.any(|it| matches!(it, Measured::Lensometry(_))) {
        return Err(AppError::Refused("only a lensmeter's reading has a purpose".into()));
    }
    let mut correction = of_row(&row)?;
    let why = format!("measured for: {}", purpose.label());
    correction.purpose = Some(purpose);
    save(work, &row, &sent, (&correction, &why)).await
}

/// A purpose that makes sense.
pub fn check_purpose(purpose: Purpose) -> Result<Purpose, AppError> {
    match purpose {
        Purpose::Presenting { pair, .. } if !(1..=PAIRS_MAX).contains(&pair) => {
            Err(AppError::Refused(format!("pairs are counted 1 to {PAIRS_MAX}")))
        }
        Purpose::OrderCheckIn { order } => {
            let order = order.trim().to_owned();
            if order.is_empty() || order.chars().count() > ORDER_LEN_MAX {
                let message =
                    format!("give the order's number, at most {ORDER_LEN_MAX} characters");
                return Err(AppError::Refused(message));
            }
            Ok(Purpose::OrderCheckIn { order })
        }
        other => Ok(other),
    }
}

/// Says whether drops were in the eyes (R11).
pub async fn set_drops(work: &mut Work, of: Of<'_>, drops: Drops) -> Result<(), AppError> {
    let (row, sent) = open(work, of).await?;
    let mut correction = of_row(&row)?;
    correction.drops = Some(drops);
    let why = match drops {
        Drops::Before => "measured before drops",
        Drops::After => "measured after drops",
    };
    save(work, &row, &sent, (&correction, why)).await
}

/// Puts typed values in the place of wrong ones.
pub async fn amend(
    work: &mut Work,
    of: Of<'_>,
    (test, typed): (Test, &Typed),
    why: &str,
) -> Result<(), AppError> {
    let why = reason(why)?.to_owned();
    let (row, sent) = open(work, of).await?;
    let mut correction = of_row(&row)?;
    // The form showed the sides as they are now; the layer holds them as they were sent.
    let mut shown = sent.clone();
    correction.apply(&mut shown);
    let mut amended =
        sheet::amend(test, &shown.decoded.measurements, typed).map_err(AppError::Fields)?;
    if amended == shown.decoded.measurements {
        return Err(AppError::Refused("nothing was changed".into()));
    }
    let before = correction.amended.as_ref().unwrap_or(&sent.decoded.measurements);
    for (amended, before) in amended.iter_mut().zip(before) {
        amended.eye = before.eye;
    }
    if correction.is_swapped {
        undo_swap_of_distances(&mut amended);
    }
    correction.amended = Some(amended);
    let why = format!("{} amended: {why}", test.title());
    save(work, &row, &sent, (&correction, &why)).await
}

/// A binocular distance names both sides in itself.
fn undo_swap_of_distances(measurements: &mut [chiasm_proto::Measurement]) {
    for measurement in measurements.iter_mut().filter(|it| it.eye == Eye::Both) {
        if let Measured::PupillaryDistance(it) = &mut measurement.measured {
            std::mem::swap(&mut it.right_mm, &mut it.left_mm);
            std::mem::swap(&mut it.near_right_mm, &mut it.near_left_mm);
        }
    }
}

async fn open(work: &mut Work, of: Of<'_>) -> Result<(ReadingRow, Reading), AppError> {
    let row = of_exam(work, of.encounter, of.reading, of.version).await?;
    if row.acceptance == "rejected" {
        return Err(AppError::Refused("this reading is rejected".into()));
    }
    let sent = row.reading_as_decoded();
    let sent = sent.ok_or_else(|| AppError::Refused("this version cannot read it".into()))?;
    Ok((row, sent))
}

fn of_row(row: &ReadingRow) -> Result<Correction, AppError> {
    row.correction().ok_or_else(|| {
        AppError::Refused("a newer version of Chiasm has corrected this reading".into())
    })
}

async fn save(
    work: &mut Work,
    row: &ReadingRow,
    sent: &Reading,
    (correction, why): (&Correction, &str),
) -> Result<(), AppError> {
    let column = correction.to_column();
    let needs_a_look = correction.needs_a_look(sent);
    let next = Next { correction: column.as_deref(), needs_a_look, ..Next::of(row) };
    let about = work.change(row, next, why).await?;
    work.audit_about(("reading_corrected", &row.reading_id), about).await
}
