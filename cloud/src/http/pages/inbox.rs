//! The location's inbox: readings without a certain patient, and mismatches that are held.

use super::{
    Action, Fault, Names, Web, Who, begin,
    frame::{Frame, page},
    lane::Waiting,
    visit::Visit,
};
use crate::http::extract::Form;
use crate::{
    app::{assign, local_time, look, reject},
    clock,
    http::show,
    store::{encounter, site, waiting},
};
use askama::Template;
use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage {
    frame: Frame,
    location_id: String,
    location_name: String,
    items: Vec<Waiting>,
    visits: Vec<Visit>,
}

#[derive(Template)]
#[template(path = "inboxes.html")]
struct InboxesPage {
    frame: Frame,
    locations: Vec<(site::Location, i64)>,
}

/// The only location's inbox at once, or a choice.
pub async fn choose(State(web): State<Web>, who: Who) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let locations = site::locations(&mut tx, &who.tenant).await?;
    let counts = waiting::counts(&mut tx, &who.tenant).await?;
    drop(tx);
    if let [only] = &locations[..] {
        return Ok(Redirect::to(&format!("/inbox/{}", only.location_id)).into_response());
    }
    let count = |it: &site::Location| {
        counts.iter().find(|(of, _)| *of == it.location_id).map_or(0, |(_, count)| *count)
    };
    let locations = locations.into_iter().map(|it| (it.clone(), count(&it))).collect();
    page(InboxesPage { frame: Frame::new("Inbox", Some(&who), "any=1"), locations })
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let now_us = clock::now_us();
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let location = site::location(&mut tx, &who.tenant, &id).await?;
    let location = location.ok_or_else(|| Fault::not_found("location"))?;
    let zone = local_time::zone(&location.time_zone);
    let names = Names::load(&mut tx, &who.tenant).await?;
    let rows = waiting::of_location(&mut tx, &who.tenant, &id).await?;
    let today = local_time::date(now_us, &zone).to_string();
    let of_day = encounter::of_day(&mut tx, &who.tenant, &id, &today).await?;
    drop(tx);
    look::look(&web.core.db, &who, ("inbox_seen", &id), now_us).await?;
    let item = |row| {
        let view = show::reading(row, &zone, now_us, |account| names.of(account));
        Waiting::new(row, view, None)
    };
    page(InboxPage {
        frame: Frame::new("Inbox", Some(&who), &format!("location={id}")),
        location_id: id,
        location_name: location.name,
        items: rows.iter().map(item).collect(),
        visits: of_day.iter().map(|it| Visit::new(it, &zone)).collect(),
    })
}

pub async fn assign(
    State(web): State<Web>,
    who: Who,
    Path((location, reading)): Path<(String, String)>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    let row = work.waiting(&reading, form.version).await?;
    if row.location_id != location {
        return Err(Fault::not_found("reading at this location"));
    }
    assign::assign(&mut work, &reading, &form.choice()).await?;
    work.commit().await?;
    Ok(form.done(&format!("/inbox/{location}")))
}

pub async fn reject(
    State(web): State<Web>,
    who: Who,
    Path((location, reading)): Path<(String, String)>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    let row = work.waiting(&reading, form.version).await?;
    if row.location_id != location {
        return Err(Fault::not_found("reading at this location"));
    }
    reject::reject_waiting(&mut work, &reading, (&form.reason, form.version)).await?;
    work.commit().await?;
    Ok(form.done(&format!("/inbox/{location}")))
}
