//! The readings of an encounter, and what people do with them.

use super::{Body, Fault, ReadingChange, Web, Who, begin};
use crate::{
    app::{about, accept, look, move_reading, reject},
    clock,
    store::{audit::About, encounter, exam},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A reading where it is now.
#[derive(Serialize, ToSchema)]
#[schema(as = Reading)]
pub struct ReadingJson {
    reading_id: String,
    gateway_id: String,
    seq: i64,
    location_id: String,
    lane_id: String,
    captured_at_us: i64,
    received_at_us: i64,
    /// The identifier inside the data, if the instrument sent one.
    claimed_patient: Option<String>,
    lane_session_id: Option<String>,
    /// `exam`, `tray`, `inbox`, `held` or `duplicate`.
    place: String,
    /// Why it is there.
    reason: String,
    encounter_id: Option<String>,
    /// `pending`, `accepted` or `rejected`.
    acceptance: String,
    needs_a_look: bool,
    /// How often the same was sent.
    sent_count: i64,
    /// Counts the changes of this reading; give it back with a change.
    version: i64,
    changed_at_us: Option<i64>,
    changed_by: Option<String>,
    change_reason: Option<String>,
    /// Who sees to it while it waits, and since when.
    owned_by: Option<String>,
    owned_at_us: Option<i64>,
    /// What the gateway sent, byte for byte.
    #[schema(value_type = Object)]
    document: Box<RawValue>,
}

impl ReadingJson {
    pub fn new(it: exam::ReadingRow) -> Result<Self, Fault> {
        let document = RawValue::from_string(it.body).map_err(|error| Fault::ours(&error))?;
        Ok(Self {
            reading_id: it.reading_id,
            gateway_id: it.gateway_id,
            seq: it.seq,
            location_id: it.location_id,
            lane_id: it.lane_id,
            captured_at_us: it.captured_at_us,
            received_at_us: it.received_at_us,
            claimed_patient: it.claimed_patient,
            lane_session_id: it.lane_session_id,
            place: it.place,
            reason: it.reason,
            encounter_id: it.encounter_id,
            acceptance: it.acceptance,
            needs_a_look: it.needs_a_look,
            sent_count: it.sent_count,
            version: it.version,
            changed_at_us: it.changed_at_us,
            changed_by: it.changed_by,
            change_reason: it.change_reason,
            owned_by: it.owned_by,
            owned_at_us: it.owned_at_us,
            document,
        })
    }
}

/// All readings in the exam, latest first.
#[utoipa::path(get, path = "/api/v1/encounters/{encounter}/readings",
    responses((status = 200, body = Vec<ReadingJson>)))]
pub async fn readings(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<Vec<ReadingJson>>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let encounter = encounter::by_id(&mut tx, &who.tenant, &id).await?;
    encounter.ok_or_else(|| Fault::not_found("encounter"))?;
    let rows = exam::readings(&mut tx, &who.tenant, &id).await?;
    drop(tx);
    let about = About::exam(&id).kinds(rows.iter().flat_map(|row| about::kinds_of(&row.body)));
    look::look_at(&web.core.db, &who, ("exam_seen", &id), about, clock::now_us()).await?;
    Ok(Json(rows.into_iter().map(ReadingJson::new).collect::<Result<_, _>>()?))
}

#[derive(Serialize, ToSchema)]
pub struct Accepted {
    accepted: usize,
}

/// Accepts every pending reading that needs no look of its own.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/accept",
    responses((status = 200, body = Accepted)))]
pub async fn accept_all(
    State(web): State<Web>,
    who: Who,
    Path(encounter): Path<String>,
) -> Result<Json<Accepted>, Fault> {
    let mut work = begin(&web, &who).await?;
    let accepted = accept::accept_all_unflagged(&mut work, &encounter).await?;
    work.commit().await?;
    Ok(Json(Accepted { accepted }))
}

/// Accepts one reading.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/readings/{reading}/accept",
    request_body = Option<ReadingChange>, responses((status = 204)))]
pub async fn accept(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading)): Path<(String, String)>,
    change: Option<Body<ReadingChange>>,
) -> Result<StatusCode, Fault> {
    let version = change.and_then(|Body(change)| change.version);
    let mut work = begin(&web, &who).await?;
    accept::accept(&mut work, &encounter, &reading, version).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes back an acceptance of the last ten minutes.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/readings/{reading}/undo",
    request_body = Option<ReadingChange>, responses((status = 204)))]
pub async fn undo(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading)): Path<(String, String)>,
    change: Option<Body<ReadingChange>>,
) -> Result<StatusCode, Fault> {
    let version = change.and_then(|Body(change)| change.version);
    let mut work = begin(&web, &who).await?;
    accept::undo(&mut work, &encounter, &reading, version).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rejects one reading, with a reason. It stays in the exam and shows as rejected.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/readings/{reading}/reject",
    request_body = ReadingChange, responses((status = 204)))]
pub async fn reject(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading)): Path<(String, String)>,
    Body(change): Body<ReadingChange>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    let why = (change.reason.as_str(), change.version);
    reject::reject_in_exam(&mut work, &encounter, &reading, why).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Moves one reading into another exam of the same location, with a reason.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/readings/{reading}/move",
    request_body = ReadingChange, responses((status = 204)))]
pub async fn move_out(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading)): Path<(String, String)>,
    Body(change): Body<ReadingChange>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    move_reading::move_reading(&mut work, &encounter, &reading, &change.into()).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
