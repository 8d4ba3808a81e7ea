//! The readings of an encounter, and what people do with them.

use super::{Fault, ReadingChange, Web, Who, begin};
use crate::{
    app::{accept, look, move_reading, reject},
    clock,
    store::{encounter, exam},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;
use serde_json::value::RawValue;

/// A reading where it is now. `document` is what the gateway sent, byte for byte.
#[derive(Serialize)]
pub struct ReadingJson {
    reading_id: String,
    gateway_id: String,
    seq: i64,
    location_id: String,
    lane_id: String,
    captured_at_us: i64,
    received_at_us: i64,
    claimed_patient: Option<String>,
    lane_session_id: Option<String>,
    place: String,
    reason: String,
    encounter_id: Option<String>,
    acceptance: String,
    needs_a_look: bool,
    sent_count: i64,
    version: i64,
    changed_at_us: Option<i64>,
    changed_by: Option<String>,
    change_reason: Option<String>,
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
            document,
        })
    }
}

/// All readings in the exam, latest first.
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
    look::look(&web.core.db, &who, ("exam_seen", &id), clock::now_us()).await?;
    Ok(Json(rows.into_iter().map(ReadingJson::new).collect::<Result<_, _>>()?))
}

#[derive(Serialize)]
pub struct Accepted {
    accepted: usize,
}

/// Accepts every pending reading that needs no look of its own.
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

pub async fn accept(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading)): Path<(String, String)>,
    change: Option<Json<ReadingChange>>,
) -> Result<StatusCode, Fault> {
    let version = change.and_then(|Json(change)| change.version);
    let mut work = begin(&web, &who).await?;
    accept::accept(&mut work, &encounter, &reading, version).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn undo(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading)): Path<(String, String)>,
    change: Option<Json<ReadingChange>>,
) -> Result<StatusCode, Fault> {
    let version = change.and_then(|Json(change)| change.version);
    let mut work = begin(&web, &who).await?;
    accept::undo(&mut work, &encounter, &reading, version).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn reject(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading)): Path<(String, String)>,
    Json(change): Json<ReadingChange>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    let why = (change.reason.as_str(), change.version);
    reject::reject_in_exam(&mut work, &encounter, &reading, why).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn move_out(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading)): Path<(String, String)>,
    Json(change): Json<ReadingChange>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    move_reading::move_reading(&mut work, &encounter, &reading, &change.into()).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
