//! What is wrong with gateways, open first (C3).

use super::{
    Fault, Names, Web, Who, begin,
    frame::{Frame, page},
};
use crate::{
    app::{local_time, watch_fleet},
    clock,
    domain::incident::{Kind, Phase},
    http::show,
    store::{fleet_view, incident, incident::IncidentRow},
};
use askama::Template;
use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use jiff::tz::TimeZone;
use std::collections::HashMap;

/// How long an incident is listed that is over.
const CLOSED_SHOWN_US: i64 = 30 * 24 * 3600 * 1_000_000;

#[derive(Template)]
#[template(path = "incidents.html")]
struct IncidentsPage {
    frame: Frame,
    open: Vec<Card>,
    closed: Vec<Card>,
}

struct Card {
    id: String,
    rank: usize,
    title: &'static str,
    gateway: String,
    place: String,
    detail: String,
    since_ms: i64,
    began: String,
    /// How it stands now, for people.
    state: &'static str,
    mark: &'static str,
    times: i64,
    bad_for: String,
    raised: String,
    acknowledged: String,
    ended: String,
}

pub async fn show(State(web): State<Web>, who: Who) -> Result<Response, Fault> {
    let now_us = clock::now_us();
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let rows = incident::list(&mut tx, &who.tenant, now_us - CLOSED_SHOWN_US).await?;
    let gateways = fleet_view::gateways(&mut tx, &who.tenant).await?;
    let names = Names::load(&mut tx, &who.tenant).await?;
    drop(tx);
    let gateways: HashMap<&str, &fleet_view::GatewayRow> =
        gateways.iter().map(|it| (it.gateway_id.as_str(), it)).collect();
    let cards = |is_open: bool| {
        let of = rows.iter().filter(move |row| row.closed_at_us.is_none() == is_open);
        of.map(|row| card(row, gateways.get(row.gateway_id.as_str()).copied(), &names, now_us))
    };
    let mut open: Vec<Card> = cards(true).collect();
    // What is bad just now comes before what is being watched, and the worst kind first.
    open.sort_by_key(|card| (card.mark != "bad", card.rank, card.since_ms));
    let closed = cards(false).collect();
    page(IncidentsPage { frame: Frame::new("Incidents", Some(&who), "any=1"), open, closed })
}

fn card(
    row: &IncidentRow,
    gateway: Option<&fleet_view::GatewayRow>,
    names: &Names,
    now_us: i64,
) -> Card {
    let zone = gateway.map_or(TimeZone::UTC, |it| local_time::zone(&it.time_zone));
    let when = |at_us| show::date_and_time(at_us, &zone);
    let kind = Kind::parse(&row.kind);
    let incident = row.incident();
    let (state, mark) = match incident.phase {
        _ if row.closed_at_us.is_some() => ("Over", "off"),
        Phase::Bad { .. } => ("Now", "bad"),
        Phase::Good { .. } => ("Well for now, watched", "look"),
        Phase::Unseen => ("Cannot be seen just now", "off"),
    };
    let bad_us = match incident.phase {
        Phase::Bad { since_us } if row.closed_at_us.is_none() => {
            row.bad_us.saturating_add(now_us - since_us)
        }
        _ => row.bad_us,
    };
    Card {
        id: row.incident_id.clone(),
        rank: kind.map_or(usize::MAX, Kind::rank),
        title: kind.map_or("Trouble", Kind::label),
        gateway: gateway.map_or_else(|| row.gateway_id.clone(), |it| it.name.clone()),
        place: match gateway {
            Some(it) => format!("{} · {}", it.gateway_id, it.location_name),
            None => row.gateway_id.clone(),
        },
        detail: row.detail.clone(),
        since_ms: row.opened_at_us / 1000,
        began: when(row.opened_at_us),
        state,
        mark,
        times: row.times,
        bad_for: duration(bad_us),
        raised: row.raised_at_us.map(when).unwrap_or_default(),
        acknowledged: match (&row.acknowledged_by, row.acknowledged_at_us) {
            (Some(by), Some(at_us)) => format!("{}, {}", names.of(by), when(at_us)),
            _ => String::new(),
        },
        ended: row.closed_at_us.map(when).unwrap_or_default(),
    }
}

/// `7 min`, `3 h 20 min`, `2 days`.
fn duration(us: i64) -> String {
    let minutes = us.max(0) / 60_000_000;
    match minutes {
        0 => "less than a minute".to_owned(),
        1..60 => format!("{minutes} min"),
        60..2880 => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} days", minutes / (24 * 60)),
    }
}

pub async fn acknowledge(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    watch_fleet::acknowledge(&mut work, &id).await?;
    work.commit().await?;
    Ok(Redirect::to("/incidents").into_response())
}
