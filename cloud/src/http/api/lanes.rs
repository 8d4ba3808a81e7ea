//! Lanes and their sessions.

use super::{Body, Fault, Web, Who, begin};
use crate::{
    app::session,
    http::extract::{ID_LEN_MAX, text},
    store::site,
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A lane and, if one is open, its session.
#[derive(Serialize, ToSchema)]
#[schema(as = Lane)]
pub struct LaneJson {
    lane_id: String,
    name: String,
    location_id: String,
    location_name: String,
    time_zone: String,
    session: Option<SessionJson>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LaneSession)]
pub struct SessionJson {
    lane_session_id: String,
    encounter_id: String,
    opened_at_us: i64,
    opened_by: String,
}

impl From<site::Lane> for LaneJson {
    fn from(it: site::Lane) -> Self {
        let session = match (it.lane_session_id, it.encounter_id, it.opened_at_us, it.opened_by) {
            (Some(lane_session_id), Some(encounter_id), Some(opened_at_us), Some(opened_by)) => {
                Some(SessionJson { lane_session_id, encounter_id, opened_at_us, opened_by })
            }
            _ => None,
        };
        Self {
            lane_id: it.lane_id,
            name: it.lane_name,
            location_id: it.location_id,
            location_name: it.location_name,
            time_zone: it.time_zone,
            session,
        }
    }
}

/// The lanes of the practice.
#[utoipa::path(get, path = "/api/v1/lanes", responses((status = 200, body = Vec<LaneJson>)))]
pub async fn list(State(web): State<Web>, who: Who) -> Result<Json<Vec<LaneJson>>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let lanes = site::lanes(&mut tx, &who.tenant).await?;
    Ok(Json(lanes.into_iter().map(LaneJson::from).collect()))
}

/// One lane.
#[utoipa::path(get, path = "/api/v1/lanes/{lane}", responses((status = 200, body = LaneJson)))]
pub async fn one(
    State(web): State<Web>,
    who: Who,
    Path(lane): Path<String>,
) -> Result<Json<LaneJson>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let lane = site::lane(&mut tx, &who.tenant, &lane).await?;
    Ok(Json(lane.ok_or_else(|| Fault::not_found("lane"))?.into()))
}

/// For whom a lane is opened.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OpenSession)]
pub struct Open {
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    #[schema(max_length = 200)]
    encounter_id: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SessionOpened)]
pub struct Opened {
    lane_session_id: String,
}

/// Opens a session; the lane's previous one ends.
#[utoipa::path(post, path = "/api/v1/lanes/{lane}/session",
    request_body = Open, responses((status = 200, body = Opened)))]
pub async fn open(
    State(web): State<Web>,
    who: Who,
    Path(lane): Path<String>,
    Body(open): Body<Open>,
) -> Result<Json<Opened>, Fault> {
    let mut work = begin(&web, &who).await?;
    let lane_session_id = session::open(&mut work, &lane, &open.encounter_id).await?;
    work.commit().await?;
    Ok(Json(Opened { lane_session_id }))
}

/// Ends the session. Nothing happens when none is open.
#[utoipa::path(post, path = "/api/v1/lanes/{lane}/session/end", responses((status = 204)))]
pub async fn close(
    State(web): State<Web>,
    who: Who,
    Path(lane): Path<String>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    session::close(&mut work, &lane).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
