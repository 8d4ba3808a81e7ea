//! Giving images that wait to a patient, and taking them out of an exam again, by a person's
//! explicit choice. What is decided together is what came together: the instances of one study that
//! say the same of the patient. Bytes are never touched.

use super::{
    AppError,
    assign::Choice,
    intake::words_of,
    reason,
    record::{self, What},
    work::Work,
};
use crate::{
    domain::placement::{claimed_id, is_same_id},
    store::{
        audit::About,
        encounter::Encounter,
        instance::{self, InstanceRow},
        live::{Kind, NewEvent},
        patient, signature,
    },
};

/// An instance of the person's tenant, in the version that the person saw.
async fn instance(
    work: &mut Work,
    id: &str,
    version: Option<i64>,
) -> Result<InstanceRow, AppError> {
    let tenant = work.who.tenant.clone();
    let found = instance::by_id(&mut work.tx, &tenant, id).await?;
    let row = found.ok_or(AppError::NotFound("image"))?;
    match version {
        Some(version) if version != row.version => Err(AppError::Conflict),
        _ => Ok(row),
    }
}

/// One that waits for a patient.
async fn waiting(work: &mut Work, id: &str, version: Option<i64>) -> Result<InstanceRow, AppError> {
    let row = instance(work, id, version).await?;
    match row.place.as_str() {
        "inbox" | "held" | "quarantined" => Ok(row),
        _ => Err(AppError::Conflict),
    }
}

/// Files what waits into the exam of a visit of the same location. What the data says of the
/// patient is checked again (R33).
pub async fn assign(work: &mut Work, id: &str, choice: &Choice) -> Result<(), AppError> {
    let row = waiting(work, id, choice.version).await?;
    let visit = work.encounter(&choice.encounter_id).await?;
    if visit.location_id != row.location_id {
        return Err(AppError::NotFound("encounter"));
    }
    let why = check_identity(work, &row, &visit, choice).await?;
    let tenant = work.who.tenant.clone();
    signature::lock(&mut work.tx, &tenant, &visit.encounter_id).await?;
    let signer = signature::signer(&mut work.tx, &tenant, &visit.encounter_id).await?;
    let to = ("exam", Some(visit.encounter_id.as_str()), signer.is_some());
    let count = change_together(work, &row, to, &why).await?;
    let by = &work.who.name;
    let text = format!("{} filed into this exam by {by} ({why})", counted(&row, count));
    let about = (text.as_str(), row.received_at_us);
    record::touch(work, &visit.encounter_id, What::MovedIn, about).await?;
    let about = About::exam(&visit.encounter_id).values((&row.place, "exam")).why(&why);
    work.audit_about(("image_assigned", &row.instance_id), about).await
}

/// Out of an exam, back into the location's inbox.
pub async fn take_out(
    work: &mut Work,
    (encounter, id): (&str, &str),
    (why, version): (&str, Option<i64>),
) -> Result<(), AppError> {
    let row = instance(work, id, version).await?;
    if row.place != "exam" || row.encounter_id.as_deref() != Some(encounter) {
        return Err(AppError::NotFound("image in this exam"));
    }
    let why = reason(why)?;
    let count = change_together(work, &row, ("inbox", None, false), why).await?;
    let by = &work.who.name;
    let text = format!("{} moved out of this exam by {by} ({why})", counted(&row, count));
    let known = (text.as_str(), row.received_at_us);
    record::touch(work, encounter, What::MovedOut, known).await?;
    work.tell_exam(encounter);
    let about = About::exam(encounter).values(("exam", "inbox")).why(why);
    work.audit_about(("image_moved_out", &row.instance_id), about).await
}

/// Nobody's: it is kept and waits no longer.
pub async fn reject(
    work: &mut Work,
    id: &str,
    (why, version): (&str, Option<i64>),
) -> Result<(), AppError> {
    let row = waiting(work, id, version).await?;
    let why = reason(why)?;
    change_together(work, &row, ("rejected", None, false), why).await?;
    let about = About::default().values((&row.place, "rejected")).why(why);
    work.audit_about(("image_rejected", &row.instance_id), about).await
}

fn counted(row: &InstanceRow, count: usize) -> String {
    match count {
        1 => words_of(row),
        more => format!("{} and {} more of its study", words_of(row), more - 1),
    }
}

async fn change_together(
    work: &mut Work,
    row: &InstanceRow,
    to: (&str, Option<&str>, bool),
    why: &str,
) -> Result<usize, AppError> {
    let tenant = work.who.tenant.clone();
    let account = work.who.account.clone();
    let all = instance::together(&mut work.tx, &tenant, row).await?;
    for one in &all {
        let by = (account.as_str(), why, work.now_us);
        if !instance::change(&mut work.tx, &tenant, one, to, by).await? {
            return Err(AppError::Conflict);
        }
    }
    work.tell(NewEvent {
        location_id: Some(row.location_id.clone()),
        encounter_id: to.1.map(ToOwned::to_owned),
        subject: Some(row.instance_id.clone()),
        ..NewEvent::new(work.now_us, Kind::ImageFiled)
    });
    Ok(all.len())
}

/// The words that stay with the images, if they may be filed.
async fn check_identity(
    work: &mut Work,
    row: &InstanceRow,
    visit: &Encounter,
    choice: &Choice,
) -> Result<String, AppError> {
    let typed = choice.reason.trim();
    let claimed = claimed_id(Some(&row.patient_id));
    let is_other_id = match claimed {
        Some(claimed) => !is_of_visit(work, claimed, visit).await?,
        None => false,
    };
    let is_other_birth = row.birth_date.as_ref().is_some_and(|it| *it != visit.birth_date);
    if !is_other_id && !is_other_birth {
        let agrees = if claimed.is_some() { "; the id in the data agrees" } else { "" };
        let typed = if typed.is_empty() { "chosen by a person" } else { reason(typed)? };
        return Ok(format!("{typed}{agrees}"));
    }
    if !choice.although_ids_differ {
        let birth = row.birth_date.as_deref().unwrap_or("without birth date");
        return Err(AppError::IdsDiffer {
            claimed: format!("{} ({birth})", claimed.unwrap_or("none")),
            chart_number: format!("{} ({})", visit.chart_number, visit.birth_date),
        });
    }
    Ok(format!("{} (filed although the ids differ)", reason(typed)?))
}

async fn is_of_visit(work: &mut Work, claimed: &str, visit: &Encounter) -> Result<bool, AppError> {
    let is_own = visit.accession.as_deref().is_some_and(|own| is_same_id(claimed, own));
    if is_own || is_same_id(claimed, &visit.chart_number) {
        return Ok(true);
    }
    let tenant = work.who.tenant.clone();
    let charts = patient::family(&mut work.tx, &tenant, &visit.patient_id).await?;
    Ok(charts.iter().any(|chart| is_same_id(claimed, &chart.chart_number)))
}
