//! Merging two charts of one person, and taking it back (D10). Nothing is moved: the merged chart
//! points to the survivor, so every reading keeps its own chart number and taking it back is exact.

use super::{AppError, reason, work::Work};
use crate::store::{
    audit::About,
    encounter,
    patient::{self, Patient},
    patient_merge::{self, Merge},
};
use uuid::Uuid;

/// Charts of one person at most.
pub const CHARTS_MAX: usize = 20;

/// Merges the patient with the chart number into the survivor. Gives the merge's id.
pub async fn merge(
    work: &mut Work,
    survivor: &str,
    merged_chart_number: &str,
    why: &str,
) -> Result<String, AppError> {
    let why = reason(why)?.to_owned();
    let tenant = work.who.tenant.clone();
    let survivor = of_id(work, survivor).await?;
    if survivor.merged_into.is_some() {
        let message = "this chart is merged into another one: merge into that one";
        return Err(AppError::Refused(message.into()));
    }
    let chart_number = merged_chart_number.trim();
    let merged = patient::by_chart_number(&mut work.tx, &tenant, chart_number).await?;
    let merged = merged.ok_or(AppError::NotFound("chart number"))?;
    if merged.patient_id == survivor.patient_id {
        return Err(AppError::Refused("this is the same chart".into()));
    }
    if merged.merged_into.is_some() {
        return Err(AppError::Refused("that chart is merged already: take it back first".into()));
    }
    if merged.birth_date != survivor.birth_date {
        let message = "the two charts have different birth dates: correct one of them first";
        return Err(AppError::Refused(message.into()));
    }
    let family = patient::family(&mut work.tx, &tenant, &survivor.patient_id).await?;
    let joining = patient::family(&mut work.tx, &tenant, &merged.patient_id).await?;
    if joining.len() > 1 {
        let message = "other charts are merged into that one: take those merges back, and merge \
            each into this chart";
        return Err(AppError::Refused(message.into()));
    }
    if family.len() + joining.len() > CHARTS_MAX {
        let message = format!("more than {CHARTS_MAX} charts of one person");
        return Err(AppError::Refused(message));
    }
    let merge = Merge {
        patient_merge_id: Uuid::now_v7().to_string(),
        survivor_id: survivor.patient_id.clone(),
        merged_id: merged.patient_id.clone(),
        merged_at_us: work.now_us,
        merged_by: work.who.account.clone(),
        merged_why: why,
    };
    if !patient_merge::insert(&mut work.tx, &tenant, &merge).await? {
        return Err(AppError::Conflict);
    }
    tell(work, &[survivor.patient_id.as_str(), merged.patient_id.as_str()]).await?;
    for (chart, change) in [
        (&survivor, format!("chart {chart_number} merged in")),
        (&merged, format!("merged into chart {}", survivor.chart_number)),
    ] {
        let about = About::patient(&chart.patient_id).values(("", &change)).why(&merge.merged_why);
        work.audit_about(("patients_merged", &merge.patient_merge_id), about).await?;
    }
    Ok(merge.patient_merge_id)
}

/// Takes a merge back: what came from each chart is that chart's again.
pub async fn unmerge(work: &mut Work, merge: &str, why: &str) -> Result<(), AppError> {
    let why = reason(why)?.to_owned();
    let (tenant, by) = (work.who.tenant.clone(), work.who.account.clone());
    let found = patient_merge::by_id(&mut work.tx, &tenant, merge).await?;
    let found = found.ok_or(AppError::NotFound("merge"))?;
    let undone = (by.as_str(), why.as_str(), work.now_us);
    if !patient_merge::undo(&mut work.tx, &tenant, &found, undone).await? {
        return Err(AppError::Refused("this merge is taken back already".into()));
    }
    tell(work, &[found.survivor_id.as_str(), found.merged_id.as_str()]).await?;
    for chart in [&found.survivor_id, &found.merged_id] {
        let about = About::patient(chart).why(&why);
        work.audit_about(("patients_unmerged", merge), about).await?;
    }
    Ok(())
}

async fn of_id(work: &mut Work, id: &str) -> Result<Patient, AppError> {
    let found = patient::by_id(&mut work.tx, &work.who.tenant.clone(), id).await?;
    found.ok_or(AppError::NotFound("patient"))
}

/// Pages of the latest visits of both charts are told.
async fn tell(work: &mut Work, patients: &[&str]) -> Result<(), AppError> {
    let tenant = work.who.tenant.clone();
    for patient in patients {
        let visits = encounter::of_patient(&mut work.tx, &tenant, patient).await?;
        if let Some((encounter, ..)) = visits.first() {
            work.tell_visit(&encounter.clone()).await?;
        }
    }
    Ok(())
}
