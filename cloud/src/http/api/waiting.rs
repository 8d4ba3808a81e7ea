//! Readings without a certain patient.

use super::{Body, Fault, Params, ReadingChange, Web, Who, begin, exam::ReadingJson};
use crate::{
    app::{assign, look, reject},
    clock,
    http::extract::{ID_LEN_MAX, maybe_text},
    store::{site, waiting},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use utoipa::IntoParams;

/// Give one of them.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Where {
    /// Everything that waits at this location.
    #[serde(default, deserialize_with = "maybe_text::<ID_LEN_MAX, _>")]
    #[param(max_length = 200)]
    location: Option<String>,
    /// What waits in this lane.
    #[serde(default, deserialize_with = "maybe_text::<ID_LEN_MAX, _>")]
    #[param(max_length = 200)]
    lane: Option<String>,
}

/// What waits in a lane (tray and held) or a location (inbox as well), oldest first.
///
/// Give either `location` or `lane`.
#[utoipa::path(get, path = "/api/v1/waiting", params(Where),
    responses((status = 200, body = Vec<ReadingJson>), (status = 404)))]
pub async fn list(
    State(web): State<Web>,
    who: Who,
    Params(of): Params<Where>,
) -> Result<Json<Vec<ReadingJson>>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let (rows, subject) = match (of.lane, of.location) {
        (Some(lane), None) => {
            let found = site::lane(&mut tx, &who.tenant, &lane).await?;
            found.ok_or_else(|| Fault::not_found("lane"))?;
            (waiting::of_lane(&mut tx, &who.tenant, &lane).await?, lane)
        }
        (None, Some(location)) => {
            let found = site::location(&mut tx, &who.tenant, &location).await?;
            found.ok_or_else(|| Fault::not_found("location"))?;
            (waiting::of_location(&mut tx, &who.tenant, &location).await?, location)
        }
        _ => return Err(Fault::bad_request("Give either `lane` or `location`.")),
    };
    drop(tx);
    look::look(&web.core.db, &who, ("waiting_seen", &subject), clock::now_us()).await?;
    Ok(Json(rows.into_iter().map(ReadingJson::new).collect::<Result<_, _>>()?))
}

/// Gives a reading that waits to a patient's exam.
#[utoipa::path(post, path = "/api/v1/waiting/{reading}/assign",
    request_body = ReadingChange, responses((status = 204)))]
pub async fn assign(
    State(web): State<Web>,
    who: Who,
    Path(reading): Path<String>,
    Body(change): Body<ReadingChange>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    assign::assign(&mut work, &reading, &change.into()).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rejects a reading that waits, with a reason.
#[utoipa::path(post, path = "/api/v1/waiting/{reading}/reject",
    request_body = ReadingChange, responses((status = 204)))]
pub async fn reject(
    State(web): State<Web>,
    who: Who,
    Path(reading): Path<String>,
    Body(change): Body<ReadingChange>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    reject::reject_waiting(&mut work, &reading, (&change.reason, change.version)).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
