//! The charts of one person: merging and taking it back (D10).

use super::{
    Fault, Names, Web, Who, begin,
    frame::{Frame, page},
};
use crate::http::extract::Form;
use crate::{
    app::{local_time, look, merge},
    clock,
    http::show,
    store::{patient, patient_merge, site},
};
use askama::Template;
use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use jiff::tz::TimeZone;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "charts.html")]
struct ChartsPage {
    frame: Frame,
    patient_id: String,
    charts: Vec<Chart>,
}

struct Chart {
    name: String,
    birth_date: String,
    chart_number: String,
    is_survivor: bool,
    /// The merge that can be taken back, with who did it, when and why.
    merge: Option<(String, String)>,
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let family = patient::family(&mut tx, &who.tenant, &id).await?;
    let Some(survivor) = family.first() else { return Err(Fault::not_found("patient")) };
    let mut merges = Vec::new();
    for chart in &family {
        merges.extend(patient_merge::into(&mut tx, &who.tenant, &chart.patient_id).await?);
    }
    let names = Names::load(&mut tx, &who.tenant).await?;
    let locations = site::locations(&mut tx, &who.tenant).await?;
    drop(tx);
    let (zone, zone_name) = common_zone(&locations);
    look::look(&web.core.db, &who, ("patient_seen", &id), clock::now_us()).await?;
    let chart = |it: &patient::Patient| Chart {
        name: format!("{}, {}", it.family_name, it.given_name),
        birth_date: show::date(&it.birth_date),
        chart_number: it.chart_number.clone(),
        is_survivor: it.merged_into.is_none(),
        merge: merges.iter().find(|merge| merge.merged_id == it.patient_id).map(|merge| {
            let at = show::date_and_time(merge.merged_at_us, &zone);
            let by = names.of(&merge.merged_by);
            let words = format!("{at}{zone_name}, {by}: {}", merge.merged_why);
            (merge.patient_merge_id.clone(), words)
        }),
    };
    page(ChartsPage {
        frame: Frame::new("Charts", Some(&who), "none"),
        patient_id: survivor.patient_id.clone(),
        charts: family.iter().map(chart).collect(),
    })
}

/// The clock of the practice if all its locations have the same one; otherwise one that says its
/// name, because a merge happens at no location.
fn common_zone(locations: &[site::Location]) -> (TimeZone, &'static str) {
    match locations {
        [first, others @ ..] if others.iter().all(|it| it.time_zone == first.time_zone) => {
            (local_time::zone(&first.time_zone), "")
        }
        _ => (TimeZone::UTC, " UTC"),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct MergeForm {
    chart_number: String,
    reason: String,
}

pub async fn merge(
    State(web): State<Web>,
    who: Who,
    Path(survivor): Path<String>,
    Form(form): Form<MergeForm>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    merge::merge(&mut work, &survivor, &form.chart_number, &form.reason).await?;
    work.commit().await?;
    Ok(Redirect::to(&format!("/patients/{survivor}/charts")).into_response())
}

pub async fn unmerge(
    State(web): State<Web>,
    who: Who,
    Path((patient, merge)): Path<(String, String)>,
    Form(form): Form<MergeForm>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    merge::unmerge(&mut work, &merge, &form.reason).await?;
    work.commit().await?;
    Ok(Redirect::to(&format!("/patients/{patient}/charts")).into_response())
}
