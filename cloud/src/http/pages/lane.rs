//! The lane's screen: today's patients, the running session, what arrives, what waits.

use super::{
    Action, Fault, Names, Web, Who, begin,
    exam::correct::PurposeForm,
    frame::{Frame, page},
    unread::{self, Unread},
    visit::Visit,
};
use crate::http::extract::Form;
use crate::{
    app::{AppError, about, assign, local_time, look, session},
    clock,
    domain::correction::Purpose,
    domain::placement::{SESSION_IDLE_MAX_US, SESSION_WARN_AFTER_US, claimed_id, is_same_id},
    http::show::{self, ReadingView},
    store::{
        Tx, audit::About, encounter, exam, exam::ReadingRow, shared_lane, site, visit_note, waiting,
    },
};
use askama::Template;
use axum::{
    extract::{Path, State},
    response::{Redirect, Response},
};
use jiff::tz::TimeZone;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "lane.html")]
struct LanePage {
    frame: Frame,
    lane_id: String,
    lane_name: String,
    location_id: String,
    location_name: String,
    today: String,
    session: Option<Session>,
    visits: Vec<Visit>,
    tray: Vec<Waiting>,
    unread: Vec<Unread>,
    /// The lanes that share this one's instrument; none for an ordinary lane (T9).
    sharing: Vec<Sharing>,
    here: String,
}

/// A lane that shares an instrument, and who sits there.
struct Sharing {
    lane_id: String,
    lane_name: String,
    visit: Option<Visit>,
}

struct Session {
    visit: Visit,
    opened_by: String,
    opened_ms: i64,
    /// The session ends by itself at this moment if nothing arrives.
    ends_ms: i64,
    /// From this moment on the page warns.
    warns_ms: i64,
    readings: Vec<ReadingView>,
    acceptable: usize,
    /// What the lensmeter measures next, if somebody said it.
    lens_purpose: String,
    exam: String,
    /// What a look at the page shows of the patient, for the audit.
    about: About,
}

/// A reading that waits, and what speaks for or against a patient.
pub struct Waiting {
    pub view: ReadingView,
    pub lane_id: String,
    pub since_ms: i64,
    pub is_held: bool,
    /// The id in the data is the chart number of the patient in the lane.
    pub agrees: bool,
    pub differs: bool,
}

impl Waiting {
    pub fn new(row: &ReadingRow, view: ReadingView, chart_number: Option<&str>) -> Self {
        let same = claimed_id(row.claimed_patient.as_deref())
            .zip(chart_number)
            .map(|(claimed, chart_number)| is_same_id(claimed, chart_number));
        Self {
            view,
            lane_id: row.lane_id.clone(),
            since_ms: row.captured_at_us / 1000,
            is_held: row.place == "held",
            agrees: same == Some(true),
            differs: same == Some(false),
        }
    }
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Path(lane): Path<String>,
) -> Result<Response, Fault> {
    let now_us = clock::now_us();
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let lane = site::lane(&mut tx, &who.tenant, &lane).await?;
    let lane = lane.ok_or_else(|| Fault::not_found("lane"))?;
    let zone = local_time::zone(&lane.time_zone);
    let names = Names::load(&mut tx, &who.tenant).await?;
    let today = local_time::date(now_us, &zone).to_string();
    let of_day = encounter::of_day(&mut tx, &who.tenant, &lane.location_id, &today).await?;
    let session = open_session(&mut tx, &who, &lane, (&zone, now_us), &names).await?;
    let sharing = sharing(&mut tx, &who, &lane.lane_id, &zone).await?;
    let mut rows = waiting::of_lane(&mut tx, &who.tenant, &lane.lane_id).await?;
    let when = (&zone, now_us);
    let mut unread = unread::of_lane(&mut tx, (&who.tenant, &lane.lane_id), when).await?;
    for shared in shared_lane::shared_by(&mut tx, &who.tenant, &lane.lane_id).await? {
        rows.extend(waiting::of_lane(&mut tx, &who.tenant, &shared).await?);
        unread.extend(unread::of_lane(&mut tx, (&who.tenant, &shared), when).await?);
    }
    rows.sort_by_key(|row| row.captured_at_us);
    drop(tx);
    let about = session.as_ref().map(|session| session.about.clone()).unwrap_or_default();
    // The next patient in the same lane is another look.
    let seen = about.encounter_id.clone().unwrap_or_else(|| lane.lane_id.clone());
    look::look_at(&web.core.db, &who, ("lane_seen", &seen), about, now_us).await?;
    let chart_number = session.as_ref().map(|session| session.visit.chart_number.as_str());
    let tray = rows.iter().map(|row| {
        let view = show::reading(row, &zone, now_us, |account| names.of(account));
        Waiting::new(row, view, chart_number)
    });
    let tray = tray.collect();
    let live = format!("location={}", lane.location_id);
    page(LanePage {
        frame: Frame::new(lane.lane_name.clone(), Some(&who), &live),
        here: format!("/lanes/{}", lane.lane_id),
        lane_id: lane.lane_id,
        lane_name: lane.lane_name,
        location_id: lane.location_id,
        location_name: lane.location_name,
        today: show::date(&today),
        visits: of_day.iter().map(|it| Visit::new(it, &zone)).collect(),
        session,
        tray,
        unread,
        sharing,
    })
}

/// The lanes that share this one, with their patients of now.
async fn sharing(
    tx: &mut Tx,
    who: &Who,
    lane: &str,
    zone: &TimeZone,
) -> Result<Vec<Sharing>, Fault> {
    let mut sharing = Vec::new();
    for id in shared_lane::sharers(tx, &who.tenant, lane).await? {
        let Some(lane) = site::lane(tx, &who.tenant, &id).await? else { continue };
        let visit = match &lane.encounter_id {
            Some(id) => encounter::by_id(tx, &who.tenant, id).await?,
            None => None,
        };
        let visit = visit.map(|it| Visit::new(&it, zone));
        sharing.push(Sharing { lane_id: id, lane_name: lane.lane_name, visit });
    }
    Ok(sharing)
}

async fn open_session(
    tx: &mut Tx,
    who: &Who,
    lane: &site::Lane,
    (zone, now_us): (&TimeZone, i64),
    names: &Names,
) -> Result<Option<Session>, Fault> {
    let (Some(id), Some(opened_at_us)) = (&lane.encounter_id, lane.opened_at_us) else {
        return Ok(None);
    };
    let encounter = encounter::by_id(tx, &who.tenant, id).await?;
    let encounter = encounter.ok_or(AppError::NotFound("encounter"))?;
    let rows = exam::readings(tx, &who.tenant, id).await?;
    let drops = visit_note::drops(tx, &who.tenant, id).await?;
    let view = |row| {
        let mut view = show::reading(row, zone, now_us, |account| names.of(account));
        show::drops::mark(&mut view, &drops, zone);
        view
    };
    let readings: Vec<ReadingView> = rows.iter().map(view).collect();
    let purpose = lane.lens_purpose.as_deref().map(serde_json::from_str::<Purpose>);
    let pending = readings.iter().filter(|reading| reading.is("pending"));
    let used_at_us = lane.last_reading_at_us.unwrap_or(0).max(opened_at_us);
    Ok(Some(Session {
        visit: Visit::new(&encounter, zone),
        opened_by: names.of(lane.opened_by.as_deref().unwrap_or("")),
        opened_ms: opened_at_us / 1000,
        ends_ms: (used_at_us + SESSION_IDLE_MAX_US) / 1000,
        warns_ms: (used_at_us + SESSION_WARN_AFTER_US) / 1000,
        acceptable: pending.filter(|reading| !reading.needs_a_look).count(),
        readings,
        lens_purpose: purpose.and_then(Result::ok).map(|it| it.label()).unwrap_or_default(),
        exam: format!("/exams/{id}"),
        about: About::exam(id).kinds(rows.iter().flat_map(|row| about::kinds_of(&row.body))),
    }))
}

#[derive(Deserialize)]
pub struct OpenForm {
    encounter: String,
}

pub async fn open(
    State(web): State<Web>,
    who: Who,
    Path(lane): Path<String>,
    Form(form): Form<OpenForm>,
) -> Result<Redirect, Fault> {
    let mut work = begin(&web, &who).await?;
    session::open(&mut work, &lane, &form.encounter).await?;
    work.commit().await?;
    Ok(Redirect::to(&format!("/lanes/{lane}")))
}

pub async fn close(
    State(web): State<Web>,
    who: Who,
    Path(lane): Path<String>,
) -> Result<Redirect, Fault> {
    let mut work = begin(&web, &who).await?;
    session::close(&mut work, &lane).await?;
    work.commit().await?;
    Ok(Redirect::to(&format!("/lanes/{lane}")))
}

/// What the lensmeter measures next, said before the print (T10).
pub async fn lens_purpose(
    State(web): State<Web>,
    who: Who,
    Path(lane): Path<String>,
    Form(form): Form<PurposeForm>,
) -> Result<Redirect, Fault> {
    let purpose = form.read()?;
    let mut work = begin(&web, &who).await?;
    session::set_lens_purpose(&mut work, &lane, purpose).await?;
    work.commit().await?;
    Ok(Redirect::to(&format!("/lanes/{lane}")))
}

/// "Yes, it belongs to the patient in the lane."
pub async fn assign(
    State(web): State<Web>,
    who: Who,
    Path((lane, reading)): Path<(String, String)>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    let row = work.waiting(&reading, form.version).await?;
    if !assign::is_asked_in(&mut work, &lane, &row).await? {
        return Err(Fault::not_found("reading in this lane"));
    }
    assign::assign(&mut work, &reading, &form.choice()).await?;
    work.commit().await?;
    Ok(form.done(&format!("/lanes/{lane}")))
}

/// "No": it goes to the location's inbox.
pub async fn to_inbox(
    State(web): State<Web>,
    who: Who,
    Path((lane, reading)): Path<(String, String)>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    assign::send_to_inbox(&mut work, &lane, &reading, form.version).await?;
    work.commit().await?;
    Ok(form.done(&format!("/lanes/{lane}")))
}
