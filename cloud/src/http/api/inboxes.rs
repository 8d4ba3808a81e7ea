//! What waits, by location and a page at a time, and who sees to it (C6).

use super::{Body, Fault, Params, ReadingChange, Web, Who, begin, exam::ReadingJson};
use crate::{
    app::{inbox_owner, look},
    clock,
    http::extract::{ID_LEN_MAX, text},
    store::{
        site,
        waiting::{self, Position},
    },
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How much waits at a location.
#[derive(Serialize, ToSchema)]
#[schema(as = Inbox)]
pub struct InboxJson {
    location_id: String,
    name: String,
    /// Everything, trays included.
    waiting: i64,
    /// Of them: for more than 24 hours without anybody who sees to it.
    overdue: i64,
    oldest_at_us: Option<i64>,
}

/// How much waits at each location.
#[utoipa::path(get, path = "/api/v1/inboxes", responses((status = 200, body = Vec<InboxJson>)))]
pub async fn list(State(web): State<Web>, who: Who) -> Result<Json<Vec<InboxJson>>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let locations = site::locations(&mut tx, &who.tenant).await?;
    let counts = waiting::counts(&mut tx, &who.tenant, clock::now_us()).await?;
    let to_json = |it: site::Location| {
        let count = counts.iter().find(|count| count.location_id == it.location_id);
        InboxJson {
            location_id: it.location_id,
            name: it.name,
            waiting: count.map_or(0, |it| it.listed),
            overdue: count.map_or(0, |it| it.overdue),
            oldest_at_us: count.map(|it| it.oldest_at_us),
        }
    };
    Ok(Json(locations.into_iter().map(to_json).collect()))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Ask {
    /// `next` of the page before; empty for the first page.
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    #[param(max_length = 200)]
    after: String,
}

/// One page of what waits at a location.
#[derive(Serialize, ToSchema)]
#[schema(as = InboxPage)]
pub struct PageJson {
    items: Vec<ReadingJson>,
    /// Give it as `after` for the next page; `null` at the end.
    next: Option<String>,
}

/// What waits at a location, a page at a time: overdue first, then by age.
#[utoipa::path(get, path = "/api/v1/inboxes/{location}", params(Ask),
    responses((status = 200, body = PageJson)))]
pub async fn one(
    State(web): State<Web>,
    who: Who,
    Path(location): Path<String>,
    Params(ask): Params<Ask>,
) -> Result<Json<PageJson>, Fault> {
    let after = match ask.after.as_str() {
        "" => Position::start(),
        text => Position::from_text(text).ok_or_else(|| {
            Fault::bad_request("`after` is not what `next` of an earlier answer gave.")
        })?,
    };
    let now_us = clock::now_us();
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let found = site::location(&mut tx, &who.tenant, &location).await?;
    found.ok_or_else(|| Fault::not_found("location"))?;
    let (rows, next) = waiting::page(&mut tx, &who.tenant, &location, (&after, now_us)).await?;
    drop(tx);
    look::look(&web.core.db, &who, ("waiting_seen", &location), now_us).await?;
    let items = rows.into_iter().map(ReadingJson::new).collect::<Result<_, _>>()?;
    Ok(Json(PageJson { items, next: next.map(|it| it.to_text()) }))
}

/// Says that one sees to a reading that waits, whoever did before.
#[utoipa::path(post, path = "/api/v1/waiting/{reading}/take",
    request_body = Option<ReadingChange>, responses((status = 204)))]
pub async fn take(
    State(web): State<Web>,
    who: Who,
    Path(reading): Path<String>,
    change: Option<Body<ReadingChange>>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    let row = work.waiting(&reading, change.and_then(|it| it.0.version)).await?;
    inbox_owner::take(&mut work, &row).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a reading that waits back to everybody.
#[utoipa::path(post, path = "/api/v1/waiting/{reading}/give-back",
    request_body = Option<ReadingChange>, responses((status = 204)))]
pub async fn give_back(
    State(web): State<Web>,
    who: Who,
    Path(reading): Path<String>,
    change: Option<Body<ReadingChange>>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    let row = work.waiting(&reading, change.and_then(|it| it.0.version)).await?;
    inbox_owner::give_back(&mut work, &row).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
