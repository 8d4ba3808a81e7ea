//! Readings without a certain patient.

use super::{Fault, ReadingChange, Web, Who, begin, exam::ReadingJson};
use crate::{
    app::{assign, look, reject},
    clock,
    store::{site, waiting},
};
use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::Deserialize;

/// Give one of them.
#[derive(Deserialize)]
pub struct Where {
    location: Option<String>,
    lane: Option<String>,
}

/// What waits in a lane (tray and held) or a location (inbox as well), oldest first.
pub async fn list(
    State(web): State<Web>,
    who: Who,
    Query(of): Query<Where>,
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

pub async fn assign(
    State(web): State<Web>,
    who: Who,
    Path(reading): Path<String>,
    Json(change): Json<ReadingChange>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    assign::assign(&mut work, &reading, &change.into()).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn reject(
    State(web): State<Web>,
    who: Who,
    Path(reading): Path<String>,
    Json(change): Json<ReadingChange>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    reject::reject_waiting(&mut work, &reading, (&change.reason, change.version)).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
