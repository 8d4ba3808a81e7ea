//! Who is signed in, patients and the schedule.

use super::{Fault, Params, Web, Who, begin};
use crate::{
    app::{
        import_schedule::{self, Imported},
        local_time, look,
    },
    clock,
    http::extract::{ID_LEN_MAX, Text, maybe_text, text},
    store::{encounter, patient, site},
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Longest text to search for, in characters.
pub const SEARCH_LEN_MAX: usize = 100;

/// Who is signed in.
#[derive(Serialize, ToSchema)]
pub struct Me {
    tenant_id: String,
    account_id: String,
    display_name: String,
    /// `technician`, `doctor`, `optician`, `clinic_it` or `cloud_staff`.
    role: &'static str,
    /// For changes by cookie.
    csrf_token: String,
}

/// Who is signed in.
#[utoipa::path(get, path = "/api/v1/me", responses((status = 200, body = Me)))]
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

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Search {
    /// A chart number, or the start of a family or given name.
    #[serde(deserialize_with = "text::<SEARCH_LEN_MAX, _>")]
    #[param(min_length = 1, max_length = 100)]
    q: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Patient)]
pub struct PatientJson {
    patient_id: String,
    chart_number: String,
    family_name: String,
    given_name: String,
    /// `YYYY-MM-DD`.
    birth_date: String,
}

/// Finds patients by chart number or the start of a name.
#[utoipa::path(get, path = "/api/v1/patients", params(Search),
    responses((status = 200, body = Vec<PatientJson>)))]
pub async fn search(
    State(web): State<Web>,
    who: Who,
    Params(search): Params<Search>,
) -> Result<Json<Vec<PatientJson>>, Fault> {
    let text = search.q.trim();
    if text.is_empty() {
        let message = "`q` is empty: give a chart number or the start of a name.";
        return Err(Fault::bad_request(message).at_field("q"));
    }
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let found = patient::find(&mut tx, &who.tenant, text, "").await?;
    drop(tx);
    look::searched(&web.core.db, &who, (text, ""), clock::now_us()).await?;
    let to_json = |it: patient::Patient| PatientJson {
        patient_id: it.patient_id,
        chart_number: it.chart_number,
        family_name: it.family_name,
        given_name: it.given_name,
        birth_date: it.birth_date,
    };
    Ok(Json(found.into_iter().map(to_json).collect()))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Day {
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    #[param(max_length = 200)]
    location: String,
    /// `YYYY-MM-DD`; today at the location if left out.
    #[serde(default, deserialize_with = "maybe_text::<ID_LEN_MAX, _>")]
    #[param(format = Date)]
    date: Option<String>,
}

/// A visit of a patient.
#[derive(Serialize, ToSchema)]
#[schema(as = Encounter)]
pub struct EncounterJson {
    pub encounter_id: String,
    pub location_id: String,
    /// Clinic-local, `YYYY-MM-DD`.
    pub visit_date: String,
    pub scheduled_at_us: i64,
    pub reason: String,
    pub patient_id: String,
    pub chart_number: String,
    pub family_name: String,
    pub given_name: String,
    pub birth_date: String,
    /// Readings in the exam that nobody has accepted.
    pub pending: i64,
    /// Readings in the exam that are not rejected.
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

/// The visits of a location on one day, by time.
#[utoipa::path(get, path = "/api/v1/schedule", params(Day),
    responses((status = 200, body = Vec<EncounterJson>), (status = 404)))]
pub async fn schedule(
    State(web): State<Web>,
    who: Who,
    Params(day): Params<Day>,
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

/// Takes a schedule in, as CSV.
///
/// The first line names the columns: `appointment_key`, `location`, `scheduled_at`, `chart_number`,
/// `family_name`, `given_name`, `birth_date`, `reason`. Lines that cannot be taken are named in
/// the answer, and the others are taken; the same file again changes nothing.
#[utoipa::path(post, path = "/api/v1/schedule/import",
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, body = Imported)))]
pub async fn import(
    State(web): State<Web>,
    who: Who,
    Text(text): Text,
) -> Result<Json<Imported>, Fault> {
    let mut work = begin(&web, &who).await?;
    let imported = import_schedule::import(&mut work, &text).await?;
    work.commit().await?;
    Ok(Json(imported))
}
