//! Who is signed in, patients and the schedule.

use super::{Fault, Web, Who, begin};
use crate::{
    app::{
        import_schedule::{self, Imported},
        local_time, look,
    },
    clock,
    store::{encounter, patient, site},
};
use axum::{
    Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
pub struct Me {
    tenant_id: String,
    account_id: String,
    display_name: String,
    role: &'static str,
    csrf_token: String,
}

pub async fn me(who: Who) -> Json<Me> {
    let who = who.0;
    Json(Me {
        tenant_id: who.tenant,
        account_id: who.account,
        display_name: who.name,
        role: who.role.as_str(),
        csrf_token: who.csrf_token,
    })
}

#[derive(Deserialize)]
pub struct Search {
    q: String,
}

#[derive(Serialize)]
pub struct PatientJson {
    patient_id: String,
    chart_number: String,
    family_name: String,
    given_name: String,
    birth_date: String,
}

pub async fn search(
    State(web): State<Web>,
    who: Who,
    Query(search): Query<Search>,
) -> Result<Json<Vec<PatientJson>>, Fault> {
    let text = search.q.trim();
    if text.is_empty() {
        return Err(Fault::bad_request(
            "`q` is empty: give a chart number or the start of a name.",
        ));
    }
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let found = patient::search(&mut tx, &who.tenant, text).await?;
    drop(tx);
    look::look(&web.core.db, &who, ("patients_searched", &who.tenant), clock::now_us()).await?;
    let to_json = |it: patient::Patient| PatientJson {
        patient_id: it.patient_id,
        chart_number: it.chart_number,
        family_name: it.family_name,
        given_name: it.given_name,
        birth_date: it.birth_date,
    };
    Ok(Json(found.into_iter().map(to_json).collect()))
}

#[derive(Deserialize)]
pub struct Day {
    location: String,
    /// `YYYY-MM-DD`; today at the location if left out.
    date: Option<String>,
}

#[derive(Serialize)]
pub struct EncounterJson {
    pub encounter_id: String,
    pub location_id: String,
    pub visit_date: String,
    pub scheduled_at_us: i64,
    pub reason: String,
    pub patient_id: String,
    pub chart_number: String,
    pub family_name: String,
    pub given_name: String,
    pub birth_date: String,
    pub pending: i64,
    pub filed: i64,
}

impl From<encounter::Encounter> for EncounterJson {
    fn from(it: encounter::Encounter) -> Self {
        Self {
            encounter_id: it.encounter_id,
            location_id: it.location_id,
            visit_date: it.visit_date,
            scheduled_at_us: it.scheduled_at_us,
            reason: it.reason,
            patient_id: it.patient_id,
            chart_number: it.chart_number,
            family_name: it.family_name,
            given_name: it.given_name,
            birth_date: it.birth_date,
            pending: it.pending,
            filed: it.filed,
        }
    }
}

pub async fn schedule(
    State(web): State<Web>,
    who: Who,
    Query(day): Query<Day>,
) -> Result<Json<Vec<EncounterJson>>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let location = site::location(&mut tx, &who.tenant, &day.location).await?;
    let location = location.ok_or_else(|| Fault::not_found("location"))?;
    let today = || {
        let zone = local_time::zone(&location.time_zone);
        local_time::date(clock::now_us(), &zone).to_string()
    };
    let date = day.date.unwrap_or_else(today);
    let found = encounter::of_day(&mut tx, &who.tenant, &location.location_id, &date).await?;
    drop(tx);
    let subject = (("schedule_seen"), location.location_id.as_str());
    look::look(&web.core.db, &who, subject, clock::now_us()).await?;
    Ok(Json(found.into_iter().map(EncounterJson::from).collect()))
}

/// `POST` of the CSV text itself.
pub async fn import(
    State(web): State<Web>,
    who: Who,
    text: String,
) -> Result<Json<Imported>, Fault> {
    let mut work = begin(&web, &who).await?;
    let imported = import_schedule::import(&mut work, &text).await?;
    work.commit().await?;
    Ok(Json(imported))
}
