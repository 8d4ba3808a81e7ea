//! The location's inbox: readings without a certain patient, and mismatches that are held.

use super::{
    Action, Fault, Names, Web, Who, begin,
    frame::{Frame, page},
    lane::Waiting,
    visit::Visit,
};
use crate::{
    app::{assign, inbox_owner, local_time, look, reject, work::Work},
    clock,
    http::{
        extract::Form,
        show::{
            self,
            images::{self, SeriesView},
        },
    },
    store::{
        encounter,
        exam::ReadingRow,
        instance, site,
        waiting::{self, Position},
    },
};
use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage {
    frame: Frame,
    location_id: String,
    location_name: String,
    /// Everything that waits here, on whatever page.
    listed: i64,
    overdue: i64,
    items: Vec<Item>,
    days: Vec<Day>,
    /// Images, on the first page.
    pictures: Vec<SeriesView>,
    /// Not the first page.
    is_later: bool,
    /// Where the next page begins.
    next: Option<String>,
}

/// The visits of a day on which something that waits was measured, or of today.
struct Day {
    date: String,
    words: String,
    is_today: bool,
    visits: Vec<Visit>,
}

/// A reading that waits, and who sees to it.
struct Item {
    waiting: Waiting,
    /// Of the measurement: the visits of this day are offered first.
    date: String,
    owner: String,
    is_mine: bool,
    /// Too long without an owner (C6).
    is_overdue: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ask {
    /// Where the page begins, as the page before said.
    after: String,
}

#[derive(Template)]
#[template(path = "inboxes.html")]
struct InboxesPage {
    frame: Frame,
    inboxes: Vec<Inbox>,
    overdue: i64,
}

/// One location's inbox, as people choose among them.
struct Inbox {
    location: site::Location,
    waiting: i64,
    overdue: i64,
    oldest_ms: Option<i64>,
}

/// The only location's inbox at once, or a choice.
pub async fn choose(State(web): State<Web>, who: Who) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let locations = site::locations(&mut tx, &who.tenant).await?;
    let counts = waiting::counts(&mut tx, &who.tenant, clock::now_us()).await?;
    drop(tx);
    if let [only] = &locations[..] {
        return Ok(Redirect::to(&format!("/inbox/{}", only.location_id)).into_response());
    }
    let inbox = |location: site::Location| {
        let count = counts.iter().find(|it| it.location_id == location.location_id);
        Inbox {
            location,
            waiting: count.map_or(0, |it| it.listed),
            overdue: count.map_or(0, |it| it.overdue),
            oldest_ms: count.map(|it| it.oldest_at_us / 1000),
        }
    };
    let mut inboxes: Vec<Inbox> = locations.into_iter().map(inbox).collect();
    // What is overdue comes first, and stays in the order of names otherwise.
    inboxes.sort_by_key(|it| std::cmp::Reverse(it.overdue));
    let overdue = inboxes.iter().map(|it| it.overdue).sum();
    page(InboxesPage { frame: Frame::new("Inbox", Some(&who), "any=1"), inboxes, overdue })
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Query(ask): Query<Ask>,
) -> Result<Response, Fault> {
    let after = match ask.after.as_str() {
        "" => Position::start(),
        text => Position::from_text(text).ok_or_else(|| {
            Fault::bad_request("This address of a page is not one of ours: open the inbox again.")
        })?,
    };
    let now_us = clock::now_us();
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let location = site::location(&mut tx, &who.tenant, &id).await?;
    let location = location.ok_or_else(|| Fault::not_found("location"))?;
    let zone = local_time::zone(&location.time_zone);
    let names = Names::load(&mut tx, &who.tenant).await?;
    let (rows, next) = waiting::page(&mut tx, &who.tenant, &id, (&after, now_us)).await?;
    let counts = waiting::counts(&mut tx, &who.tenant, now_us).await?;
    let count = counts.iter().find(|it| it.location_id == id);
    let date = |at_us| local_time::date(at_us, &zone).to_string();
    let mut pictures = Vec::new();
    if after == Position::start() {
        pictures = images::series(&instance::waiting(&mut tx, &who.tenant, &id).await?);
    }
    let mut dates: Vec<String> = rows.iter().map(|row| date(row.captured_at_us)).collect();
    dates.extend(pictures.iter().map(|it| date(it.received_at_us)));
    let today = date(now_us);
    dates.push(today.clone());
    dates.sort_unstable();
    dates.dedup();
    let mut days = Vec::new();
    for date in dates.into_iter().rev() {
        let of_day = encounter::of_day(&mut tx, &who.tenant, &id, &date).await?;
        let visits = of_day.iter().map(|it| Visit::new(it, &zone)).collect();
        days.push(Day { words: show::date(&date), is_today: date == today, date, visits });
    }
    drop(tx);
    look::look(&web.core.db, &who, ("inbox_seen", &id), now_us).await?;
    let item = |row: &ReadingRow| {
        let view = show::reading(row, &zone, now_us, |account| names.of(account));
        Item {
            waiting: Waiting::new(row, view, None),
            date: date(row.captured_at_us),
            owner: row.owned_by.as_deref().map(|it| names.of(it)).unwrap_or_default(),
            is_mine: row.owned_by.as_deref() == Some(&who.account),
            is_overdue: waiting::is_overdue(row, now_us),
        }
    };
    page(InboxPage {
        frame: Frame::new("Inbox", Some(&who), &format!("location={id}")),
        location_id: id,
        location_name: location.name,
        listed: count.map_or(0, |it| it.listed),
        overdue: count.map_or(0, |it| it.overdue),
        is_later: after != Position::start(),
        next: next.map(|it| it.to_text()),
        items: rows.iter().map(item).collect(),
        days,
        pictures,
    })
}

/// A reading that waits at the location that the address names.
async fn waiting_at(
    work: &mut Work,
    location: &str,
    reading: &str,
    version: Option<i64>,
) -> Result<ReadingRow, Fault> {
    let row = work.waiting(reading, version).await?;
    if row.location_id != location {
        return Err(Fault::not_found("reading at this location"));
    }
    Ok(row)
}

/// "I see to it" (C6).
pub async fn take(
    State(web): State<Web>,
    who: Who,
    Path((location, reading)): Path<(String, String)>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    let row = waiting_at(&mut work, &location, &reading, form.version).await?;
    inbox_owner::take(&mut work, &row).await?;
    work.commit().await?;
    Ok(form.done(&format!("/inbox/{location}")))
}

pub async fn give_back(
    State(web): State<Web>,
    who: Who,
    Path((location, reading)): Path<(String, String)>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    let row = waiting_at(&mut work, &location, &reading, form.version).await?;
    inbox_owner::give_back(&mut work, &row).await?;
    work.commit().await?;
    Ok(form.done(&format!("/inbox/{location}")))
}

pub async fn assign(
    State(web): State<Web>,
    who: Who,
    Path((location, reading)): Path<(String, String)>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    waiting_at(&mut work, &location, &reading, form.version).await?;
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
    waiting_at(&mut work, &location, &reading, form.version).await?;
    reject::reject_waiting(&mut work, &reading, (&form.reason, form.version)).await?;
    work.commit().await?;
    Ok(form.done(&format!("/inbox/{location}")))
}
