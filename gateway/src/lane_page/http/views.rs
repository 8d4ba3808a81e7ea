//! What the pages show.

use super::Page;
use crate::{
    clock,
    lane_page::{
        board::{Board, Entry},
        desk::{Desk, InLane},
        show::Row,
        sign_in::Person,
    },
    spool::SpoolError,
};
use askama::Template;
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use chiasm_proto::{LaneId, ScheduledVisit, Seq, lane_page::PIN_LEN_MAX};
use jiff::{Timestamp, civil, tz::TimeZone};
use std::collections::BTreeSet;

/// What stands above everything else, such as why something was not done.
#[derive(Default)]
pub(super) struct Notice {
    pub(super) text: String,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    fault: String,
}

#[derive(Template)]
#[template(path = "lanes.html")]
struct LanesPage {
    frame: Frame,
    lanes: Vec<LaneCard>,
}

#[derive(Template)]
#[template(path = "lane.html")]
struct LanePageView {
    frame: Frame,
    notice: String,
    lane: LaneCard,
    readings: Vec<ReadingView>,
    acceptable: usize,
    tray: Vec<ReadingView>,
    visits: Vec<VisitView>,
    today: String,
}

/// What every page has: where the truth is at the moment, and who looks.
struct Frame {
    title: String,
    person: Option<Person>,
    is_connected: bool,
    may_work: bool,
    is_switched: bool,
    /// `09:10`
    since: String,
    waiting: u64,
    cloud_pages: Option<String>,
}

struct LaneCard {
    id: String,
    name: String,
    visit: Option<VisitView>,
    is_chosen_in_cloud: bool,
    /// Somebody is in it whose visit is not on the schedule any more.
    is_unknown: bool,
    opened: String,
    tray: usize,
}

struct VisitView {
    accession: String,
    time: String,
    name: String,
    birth_date: String,
    chart_number: String,
    reason: String,
    is_here: bool,
}

struct ReadingView {
    id: String,
    instrument: String,
    time: String,
    rows: Vec<Row>,
    flags: Vec<String>,
    accepted: String,
    is_accepted: bool,
    claimed: String,
}

impl Frame {
    async fn new(page: &Page, title: &str, person: Option<&Person>) -> Result<Self, SpoolError> {
        let (desk, now) = (&page.desk, clock::wall());
        let reached = desk.reached();
        let waiting = match person {
            Some(_) => desk.spool.state().await?.depth,
            None => 0,
        };
        Ok(Self {
            title: title.to_owned(),
            person: person.cloned(),
            is_connected: reached.is_connected,
            may_work: desk.may_work(now),
            is_switched: desk.is_switched(),
            since: time(reached.since, &desk.zone()),
            waiting,
            cloud_pages: page.cloud_pages.clone(),
        })
    }

    fn csrf(&self) -> &str {
        self.person.as_ref().map_or("", |person| &person.csrf)
    }
}

pub(super) fn sign_in(page: &Page, fault: &str, status: StatusCode) -> Response {
    let reached = page.desk.reached();
    let frame = Frame {
        title: "Sign in".into(),
        person: None,
        is_connected: reached.is_connected,
        may_work: false,
        is_switched: false,
        since: time(reached.since, &page.desk.zone()),
        waiting: 0,
        cloud_pages: page.cloud_pages.clone(),
    };
    (status, html(&SignInPage { frame, fault: fault.to_owned() })).into_response()
}

pub(super) async fn lanes(page: &Page, person: &Person) -> Response {
    answer(lanes_view(page, person).await)
}

async fn lanes_view(page: &Page, person: &Person) -> Result<LanesPage, SpoolError> {
    let now = clock::wall();
    let pending = page.desk.pending().await?;
    let board = page.desk.board().await?;
    let card = |lane: &LaneId| lane_card(&page.desk, (&board, &pending), lane, now);
    let lanes = page.desk.own_lanes.iter().map(card).collect();
    drop(board);
    Ok(LanesPage { frame: Frame::new(page, "Lanes", Some(person)).await?, lanes })
}

pub(super) async fn lane(page: &Page, person: &Person, lane: &LaneId, notice: Notice) -> Response {
    answer(lane_view(page, person, lane, notice).await)
}

async fn lane_view(
    page: &Page,
    person: &Person,
    lane: &LaneId,
    notice: Notice,
) -> Result<LanePageView, SpoolError> {
    let (desk, now) = (&page.desk, clock::wall());
    let zone = desk.zone();
    let pending = desk.pending().await?;
    let board = desk.board().await?;
    let card = lane_card(desk, (&board, &pending), lane, now);
    let here = card.visit.as_ref().map(|visit| visit.accession.clone());
    let readings: Vec<&Entry> = match &here {
        Some(accession) => board.of_visit(lane, accession, now).collect(),
        None => Vec::new(),
    };
    let acceptable = readings.iter().filter(|it| it.accepted.is_none() && !it.needs_a_look).count();
    let view = |entry: &Entry| reading_view(desk, entry, &zone);
    let visits = desk.visits(now).into_iter().map(|visit| {
        let is_here = here.as_deref() == Some(&visit.accession);
        VisitView { is_here, ..visit_view(visit) }
    });
    let view = LanePageView {
        notice: notice.text,
        readings: readings.into_iter().map(view).collect(),
        acceptable,
        tray: board.tray(lane, &pending, now).map(view).collect(),
        visits: visits.collect(),
        today: date(zone.to_datetime(now).date()),
        frame: Frame::new(page, &card.name, Some(person)).await?,
        lane: card,
    };
    Ok(view)
}

fn lane_card(
    desk: &Desk,
    (board, pending): (&Board, &BTreeSet<Seq>),
    lane: &LaneId,
    now: Timestamp,
) -> LaneCard {
    let in_lane = desk.in_lane(lane, now);
    let zone = desk.zone();
    let mut card = LaneCard {
        id: lane.to_string(),
        name: desk.name_of(lane),
        visit: None,
        is_chosen_in_cloud: false,
        is_unknown: false,
        opened: String::new(),
        tray: board.tray(lane, pending, now).count(),
    };
    match in_lane {
        InLane::Nobody => {}
        InLane::ChosenInCloud => card.is_chosen_in_cloud = true,
        InLane::Visit { visit, session } => {
            let by = desk.name_of_account(&session.account);
            card.opened = format!("by {by} at {}", time(session.open.opened_at, &zone));
            card.is_unknown = visit.is_none();
            card.visit = visit.map(|visit| visit_view(*visit));
        }
    }
    card
}

fn visit_view(visit: ScheduledVisit) -> VisitView {
    VisitView {
        accession: visit.accession,
        time: visit.scheduled_at.strftime("%H:%M").to_string(),
        name: format!("{}, {}", visit.family_name, visit.given_name),
        birth_date: date(visit.birth_date),
        chart_number: visit.chart_number,
        reason: visit.reason,
        is_here: false,
    }
}

fn reading_view(desk: &Desk, entry: &Entry, zone: &TimeZone) -> ReadingView {
    let accepted = entry.accepted.as_ref().map(|(account, at)| {
        format!("accepted by {} at {}", desk.name_of_account(account), time(*at, zone))
    });
    ReadingView {
        id: entry.id.to_string(),
        instrument: entry.instrument.trim().to_owned(),
        time: zone.to_datetime(entry.at).strftime("%H:%M:%S").to_string(),
        rows: entry.rows.clone(),
        flags: entry.flags.clone(),
        is_accepted: accepted.is_some(),
        accepted: accepted.unwrap_or_default(),
        claimed: entry.claimed.clone().unwrap_or_default(),
    }
}

fn time(at: Timestamp, zone: &TimeZone) -> String {
    zone.to_datetime(at).strftime("%H:%M").to_string()
}

/// The month as a word, because 03/04 is another day on each side of the Atlantic.
fn date(date: civil::Date) -> String {
    date.strftime("%-d %b %Y").to_string()
}

fn answer(view: Result<impl Template, SpoolError>) -> Response {
    match view {
        Ok(view) => html(&view),
        Err(error) => {
            tracing::error!(%error, "the lane page cannot be shown");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            (status, "The gateway cannot read its spool. Try again.").into_response()
        }
    }
}

fn html(view: &impl Template) -> Response {
    match view.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered; this is a defect");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
