//! Charge proposals of a visit and of a day. Never charges.

use super::{Body, Fault, Params, Web, Who, begin};
use crate::{
    app::{REASON_LEN_MAX, charges, local_time, look},
    clock,
    domain::charges::Proposal,
    http::{
        extract::{ID_LEN_MAX, text},
        pages::charges::Day,
    },
    store::{encounter, site},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Longest word for what is said, in characters.
const MARK_LEN_MAX: usize = 20;
/// Longest date, in characters.
const DAY_LEN_MAX: usize = 10;

/// What could be charged for a visit, and what is missing.
#[derive(Serialize, ToSchema)]
#[schema(as = ChargeProposal)]
pub struct ProposalJson {
    code: &'static str,
    name: &'static str,
    /// `proposed`, `dismissed`, `billed`, or `withdrawn` when its evidence is gone.
    state: &'static str,
    evidence: Vec<EvidenceJson>,
    /// Why it is not billable yet.
    missing: Vec<String>,
    /// What stands in its way on this day.
    conflicts: Vec<String>,
    notes: Vec<&'static str>,
    /// It was billed for something that the exam no longer holds.
    warning: Option<String>,
    marks: Vec<MarkJson>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChargeEvidence)]
pub struct EvidenceJson {
    /// The reading, or `final` for the signed final prescription.
    id: String,
    /// `OD`, `OS`, `OU`, or a dash where the instrument did not say.
    eyes: Vec<&'static str>,
    words: String,
}

/// What a person said since it was last opened again.
#[derive(Serialize, ToSchema)]
#[schema(as = ChargeMark)]
pub struct MarkJson {
    mark: &'static str,
    note: String,
    marked_at_us: i64,
    marked_by: String,
}

impl From<&Proposal> for ProposalJson {
    fn from(it: &Proposal) -> Self {
        let evidence = it.evidence.iter().map(|it| EvidenceJson {
            id: it.id.clone(),
            eyes: it.eyes.iter().map(|eye| eye.abbreviation()).collect(),
            words: it.words.clone(),
        });
        let marks = it.marks.iter().map(|it| MarkJson {
            mark: it.say.as_str(),
            note: it.note.clone(),
            marked_at_us: it.at_us,
            marked_by: it.by.clone(),
        });
        Self {
            code: it.rule.code,
            name: it.rule.name,
            state: it.state.as_str(),
            evidence: evidence.collect(),
            missing: it.missing.clone(),
            conflicts: it.conflicts.clone(),
            notes: it.rule.notes.to_vec(),
            warning: it.warning.clone(),
            marks: marks.collect(),
        }
    }
}

/// The charge proposals of a visit.
#[utoipa::path(get, path = "/api/v1/encounters/{encounter}/charges",
    responses((status = 200, body = Vec<ProposalJson>)))]
pub async fn of_exam(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<Vec<ProposalJson>>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let visit = encounter::by_id(&mut tx, &who.tenant, &id).await?;
    let visit = visit.ok_or_else(|| Fault::not_found("encounter"))?;
    let location = site::location(&mut tx, &who.tenant, &visit.location_id).await?;
    let zone = local_time::zone(location.as_ref().map_or("UTC", |it| it.time_zone.as_str()));
    let all = charges::of_exam(&mut tx, &who.tenant, &visit, &zone).await?;
    drop(tx);
    look::look(&web.core.db, &who, ("exam_seen", &id), clock::now_us()).await?;
    Ok(Json(all.iter().map(Into::into).collect()))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OfDay {
    /// By default the first location.
    #[serde(default, deserialize_with = "text::<ID_LEN_MAX, _>")]
    #[param(max_length = 200)]
    location: String,
    /// `YYYY-MM-DD`, by default today.
    #[serde(default, deserialize_with = "text::<DAY_LEN_MAX, _>")]
    #[param(max_length = 10)]
    day: String,
}

/// A visit with its proposals.
#[derive(Serialize, ToSchema)]
#[schema(as = ChargesOfVisit)]
pub struct OfVisitJson {
    encounter_id: String,
    visit_date: String,
    chart_number: String,
    proposals: Vec<ProposalJson>,
}

/// The charge proposals of a day of a location, by visit; visits without any are left out.
#[utoipa::path(get, path = "/api/v1/charges", params(OfDay),
    responses((status = 200, body = Vec<OfVisitJson>), (status = 404)))]
pub async fn of_day(
    State(web): State<Web>,
    who: Who,
    Params(ask): Params<OfDay>,
) -> Result<Json<Vec<OfVisitJson>>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let day = Day::load(&mut tx, &who, (&ask.location, &ask.day)).await?;
    drop(tx);
    let what = ("charges_seen", day.location.location_id.as_str());
    look::look(&web.core.db, &who, what, clock::now_us()).await?;
    let json = |(visit, all): &(encounter::Encounter, Vec<Proposal>)| OfVisitJson {
        encounter_id: visit.encounter_id.clone(),
        visit_date: visit.visit_date.clone(),
        chart_number: visit.chart_number.clone(),
        proposals: all.iter().map(Into::into).collect(),
    };
    Ok(Json(day.visits.iter().map(json).collect()))
}

/// What is said about a proposal.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Said {
    /// `ordered`, `reported` (doctors only), `dismissed`, `billed`, or `reopened` to take back what
    /// was said.
    #[serde(deserialize_with = "text::<MARK_LEN_MAX, _>")]
    #[schema(max_length = 20)]
    mark: String,
    /// Needed to dismiss.
    #[serde(deserialize_with = "text::<REASON_LEN_MAX, _>")]
    #[schema(max_length = 300)]
    note: String,
}

/// Says something about a proposal. Billed is refused while something is missing.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/charges/{code}",
    request_body = Said, responses((status = 204)))]
pub async fn say(
    State(web): State<Web>,
    who: Who,
    Path((encounter, code)): Path<(String, String)>,
    Body(said): Body<Said>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    charges::say(&mut work, (&encounter, &code), (&said.mark, &said.note)).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
