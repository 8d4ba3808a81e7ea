//! Gateways, worst first, with the proof that nothing is lost (C1, C5).

use super::{
    Fault, Web, Who, begin,
    frame::{Frame, page},
};
use crate::http::extract::Form;
use crate::{
    app::{AppError, enrol_gateway, local_time, principal::Role},
    clock,
    fleet::{
        self,
        reconcile::{self, Numbers},
    },
    http::show,
    pki::Authority,
    store::{
        StoreError, Tx, fleet_view, fleet_view::GatewayRow, fleet_watch, fleet_watch::LinkWatch,
        site, unknown_gap, wipe,
    },
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Redirect, Response},
};
use chiasm_proto::{
    ClockState,
    fleet::{LinkState, LinkStatus},
    wipe::Lost,
};
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::collections::HashMap;

/// The oldest unsent document may be so old before the gateway counts as behind.
const BEHIND_AFTER_US: i64 = 5 * 60 * 1_000_000;

/// How long it is shown that a machine was replaced and what it may have taken with it.
const GAPS_SHOWN_US: i64 = 30 * 24 * 3600 * 1_000_000;

#[derive(Template)]
#[template(path = "fleet.html")]
struct FleetPage {
    frame: Frame,
    gateways: Vec<GatewayCard>,
    locations: Vec<site::Location>,
    may_enrol: bool,
    enrolled: Option<Enrolled>,
}

/// What is shown once after a claim code was made.
struct Enrolled {
    gateway: String,
    code: String,
    command: String,
}

struct GatewayCard {
    id: String,
    name: String,
    location: String,
    /// Sorts: 0 is the worst.
    rank: u8,
    state: &'static str,
    state_word: String,
    last_seen_ms: Option<i64>,
    version: String,
    clock_unsynced: bool,
    disk_free: String,
    certificate: String,
    spool_depth: u64,
    oldest_ms: Option<i64>,
    quarantined: u64,
    numbers: Numbers,
    links: Vec<LinkRow>,
    refusals: Vec<String>,
    gaps: Vec<GapCard>,
    location_id: String,
    is_revoked: bool,
    wiped: Option<Wiped>,
}

/// The gateway, or a machine before it, was wiped (I9).
struct Wiped {
    at: String,
    by: String,
    lost: String,
}

/// A time of which nobody knows what the gateway measured (I5).
struct GapCard {
    from: String,
    to: String,
    waiting: i64,
    sessions: Vec<String>,
}

/// By gateway and link.
#[derive(Default)]
struct Known {
    /// Vendor and model.
    instruments: HashMap<(String, String), String>,
    watched: HashMap<(String, String), LinkWatch>,
}

struct LinkRow {
    link: String,
    lane: String,
    instrument: String,
    endpoint: String,
    is_up: bool,
    detail: String,
    last_reading: String,
    readings: u64,
    failures: u64,
    today: String,
    is_quiet: bool,
}

pub async fn show(State(web): State<Web>, who: Who) -> Result<Response, Fault> {
    fleet_page(&web, &who, None).await
}

async fn fleet_page(web: &Web, who: &Who, enrolled: Option<Enrolled>) -> Result<Response, Fault> {
    let now_us = clock::now_us();
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let rows = fleet_view::gateways(&mut tx, &who.tenant).await?;
    let refusals = fleet_view::refusals(&mut tx, &who.tenant).await?;
    let known = known(&mut tx, &who.tenant).await?;
    let mut gaps = gaps(&mut tx, who, &rows, now_us).await?;
    let wipes = wipe::newest(&mut tx, &who.tenant).await?;
    let mut numbers = reconcile::numbers(&mut tx, &who.tenant).await?;
    let locations = site::locations(&mut tx, &who.tenant).await?;
    drop(tx);
    let mut gateways: Vec<GatewayCard> = rows
        .iter()
        .map(|row| {
            let numbers = numbers.remove(&row.gateway_id).unwrap_or_default();
            let gaps = gaps.remove(&row.gateway_id).unwrap_or_default();
            let mut card = card(row, (numbers, gaps), &refusals, &known, now_us);
            let wipe = wipes.iter().find(|wipe| wipe.gateway_id == row.gateway_id);
            card.wiped = wipe.map(|wipe| wiped(wipe, &local_time::zone(&row.time_zone)));
            if card.is_revoked && card.wiped.is_some() {
                card.state_word = "Wiped".into();
            }
            card
        })
        .collect();
    gateways.sort_by(|a, b| (a.rank, &a.name).cmp(&(b.rank, &b.name)));
    page(FleetPage {
        frame: Frame::new("Fleet", Some(who), "any=1"),
        gateways,
        locations,
        may_enrol: matches!(who.role, Role::ClinicIt | Role::CloudStaff),
        enrolled,
    })
}

async fn known(tx: &mut Tx, tenant: &str) -> Result<Known, StoreError> {
    let mut known = Known::default();
    for (gateway, link, vendor, model) in fleet_view::instruments(tx, tenant).await? {
        known.instruments.insert((gateway, link), format!("{vendor} {model}"));
    }
    for link in fleet_watch::links_of(tx, tenant).await? {
        known.watched.insert((link.gateway_id.clone(), link.link_id.clone()), link);
    }
    Ok(known)
}

/// Gaps of the last weeks, by gateway. A gateway that goes on in the spool of before lost nothing.
async fn gaps(
    tx: &mut Tx,
    who: &Who,
    rows: &[GatewayRow],
    now_us: i64,
) -> Result<HashMap<String, Vec<GapCard>>, StoreError> {
    let mut cards: HashMap<String, Vec<GapCard>> = HashMap::new();
    for gap in unknown_gap::since(tx, &who.tenant, now_us - GAPS_SHOWN_US).await? {
        let Some(row) = rows.iter().find(|row| row.gateway_id == gap.gateway_id) else { continue };
        let told = fleet::telemetry(row.telemetry.as_deref());
        let is_new = row.telemetry_at_us.is_some_and(|at_us| at_us > gap.replaced_at_us);
        if is_new && told.is_some_and(|told| told.spool.epoch.to_string() == gap.epoch) {
            continue;
        }
        let zone = local_time::zone(&row.time_zone);
        let when = |at_us| show::date_and_time(at_us, &zone);
        let session = |it: unknown_gap::GapSession| {
            let end = it.closed_at_us.map_or_else(|| "still open".into(), when);
            format!("{}, {} to {end}", it.lane_id, when(it.opened_at_us))
        };
        let sessions = unknown_gap::sessions(tx, &who.tenant, &gap).await?;
        cards.entry(gap.gateway_id.clone()).or_default().push(GapCard {
            from: when(gap.since_us),
            to: when(gap.replaced_at_us),
            waiting: gap.waiting,
            sessions: sessions.into_iter().map(session).collect(),
        });
    }
    Ok(cards)
}

fn card(
    row: &GatewayRow,
    (numbers, gaps): (Numbers, Vec<GapCard>),
    refusals: &[fleet_view::RefusalRow],
    known: &Known,
    now_us: i64,
) -> GatewayCard {
    let zone = local_time::zone(&row.time_zone);
    let telemetry = fleet::telemetry(row.telemetry.as_deref());
    let spool = telemetry.as_ref().map(|telemetry| &telemetry.spool);
    let oldest_us = spool.and_then(|spool| spool.oldest_at).map(|at| at.as_microsecond());
    let is_behind = oldest_us.is_some_and(|at_us| now_us - at_us > BEHIND_AFTER_US);
    let links = telemetry.as_ref().map_or(&[][..], |telemetry| &telemetry.links);
    let has_down_link = links.iter().any(|link| link.status == LinkStatus::Down);
    let of_gateway = refusals.iter().filter(|refusal| refusal.gateway_id == row.gateway_id);
    let refusals: Vec<String> = of_gateway.map(|it| refusal(it, &zone)).collect();
    let (rank, state, state_word) = match (row.revoked_at_us, row.status.as_str()) {
        (Some(_), _) => (5, "off", "Revoked".to_owned()),
        (_, "lost") => (0, "bad", "Offline: the connection was lost".to_owned()),
        (_, "stopped") => (1, "look", "Stopped by somebody".to_owned()),
        (_, "online")
            if numbers.needs_a_look() || is_behind || has_down_link || !refusals.is_empty() =>
        {
            (2, "look", "Online, needs a look".to_owned())
        }
        (_, "online") => (4, "good", "Online".to_owned()),
        _ => (3, "off", "Never connected".to_owned()),
    };
    let seen = [row.status_at_us, row.telemetry_at_us].into_iter().flatten().max();
    GatewayCard {
        id: row.gateway_id.clone(),
        name: row.name.clone(),
        location: row.location_name.clone(),
        rank,
        state,
        state_word,
        last_seen_ms: seen.map(|at_us| at_us / 1000),
        version: telemetry.as_ref().map(|it| it.software_version.clone()).unwrap_or_default(),
        clock_unsynced: telemetry.as_ref().is_some_and(|it| it.clock == ClockState::Unsynced),
        disk_free: telemetry
            .as_ref()
            .and_then(|it| it.disk_free_bytes)
            .map_or_else(String::new, |bytes| format!("{:.1} GB free", bytes as f64 / 1e9)),
        certificate: row
            .certificate_expires_at_us
            .map(|at_us| format!("certificate until {}", show::date_and_time(at_us, &zone)))
            .unwrap_or_default(),
        spool_depth: spool.map_or(0, |spool| spool.depth),
        oldest_ms: oldest_us.map(|at_us| at_us / 1000),
        quarantined: spool.map_or(0, |spool| spool.quarantined),
        numbers,
        links: links.iter().map(|link| link_row(row, link, known, &zone)).collect(),
        refusals,
        gaps,
        location_id: row.location_id.clone(),
        is_revoked: row.revoked_at_us.is_some(),
        wiped: None,
    }
}

fn wiped(wipe: &wipe::Wipe, zone: &TimeZone) -> Wiped {
    let lost = wipe.lost.as_deref().and_then(|json| serde_json::from_str::<Lost>(json).ok());
    let lost = match lost {
        Some(lost) if lost.is_nothing() => "Everything it held was here.".to_owned(),
        Some(lost) => format!(
            "Not here were {} documents, {} DICOM instances and {} bytes of transmissions.",
            lost.documents, lost.instances, lost.journal_bytes
        ),
        None => "What was not here is not known.".to_owned(),
    };
    Wiped { at: show::date_and_time(wipe.wiped_at_us, zone), by: wipe.wiped_by.clone(), lost }
}

fn refusal(it: &fleet_view::RefusalRow, zone: &TimeZone) -> String {
    let what = match it.action.as_str() {
        "publish" => "tried to publish outside its own topics",
        "subscribe" => "tried to subscribe outside its own topics",
        "connect" => "was refused at the door",
        other => other,
    };
    format!("{what} {}\u{d7}, last {}", it.times, show::date_and_time(it.last_at_us, zone))
}

fn link_row(row: &GatewayRow, link: &LinkState, known: &Known, zone: &TimeZone) -> LinkRow {
    let key = (row.gateway_id.clone(), link.link.to_string());
    let instrument = known.instruments.get(&key).cloned();
    let (today, is_quiet) = known.watched.get(&key).map_or_else(Default::default, today);
    let last = link.last_reading_at.map(|at| show::date_and_time(at.as_microsecond(), zone));
    LinkRow {
        link: link.link.to_string(),
        lane: link.lane.to_string(),
        instrument: instrument.unwrap_or_else(|| format!("{} (no reading yet)", link.driver)),
        endpoint: link.endpoint.clone(),
        is_up: link.status == LinkStatus::Up,
        detail: link.detail.clone().unwrap_or_default(),
        last_reading: last.unwrap_or_else(|| "none".into()),
        readings: link.readings,
        failures: link.failures,
        today,
        is_quiet,
    }
}

/// The signed record of a gateway's last wipe, with the authority that proves its certificate.
pub async fn wipe_record(
    State(web): State<Web>,
    who: Who,
    Path(gateway): Path<String>,
) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let wipes = wipe::newest(&mut tx, &who.tenant).await?;
    drop(tx);
    let wipe = wipes.into_iter().find(|wipe| wipe.gateway_id == gateway);
    let wipe = wipe.ok_or(AppError::NotFound("record of a wipe"))?;
    let mut record: serde_json::Value =
        serde_json::from_str(&wipe.signed).map_err(|error| Fault::ours(&error))?;
    let authority = authority(&web).await?;
    record["authority_pem"] = authority.certificate_pem().into();
    let name = format!("attachment; filename=\"wiped-{}.json\"", wipe.gateway_id);
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, format!("{record:#}")).into_response())
}

async fn authority(web: &Web) -> Result<Authority, Fault> {
    let data_dir = web.core.config.data_dir.clone();
    let authority = tokio::task::spawn_blocking(move || Authority::load_or_make(&data_dir)).await;
    let authority = authority.map_err(|error| Fault::ours(&error))?;
    authority.map_err(|error| Fault::ours(&error))
}

/// Readings of today against what is usual by now, and whether its silence is noted (C2).
fn today(link: &LinkWatch) -> (String, bool) {
    let text = match link.usual {
        Some(usual) => format!("{}, usually {usual} by now", link.today),
        None => link.today.to_string(),
    };
    (text, link.quiet_since_us.is_some())
}

#[derive(Deserialize)]
pub struct EnrolForm {
    gateway: String,
    location: String,
    name: String,
}

pub async fn enrol(
    State(web): State<Web>,
    who: Who,
    Form(form): Form<EnrolForm>,
) -> Result<Response, Fault> {
    let authority = authority(&web).await?;
    let mut work = begin(&web, &who).await?;
    let claim = enrol_gateway::enrol(&mut work, &form.gateway, &form.location, &form.name).await?;
    work.commit().await?;
    let endpoint = &web.core.config.gateway_endpoint;
    let name = endpoint.names.first().map_or("localhost", String::as_str);
    let url = format!("https://{name}:{}", endpoint.listen.port());
    let command = format!(
        "chiasm-gateway enrol --cloud {url} --authority-sha256 {} --code {}",
        authority.sha256(),
        claim.code
    );
    let enrolled = Enrolled { gateway: form.gateway.trim().to_owned(), code: claim.code, command };
    fleet_page(&web, &who, Some(enrolled)).await
}

pub async fn revoke(
    State(web): State<Web>,
    who: Who,
    Path(gateway): Path<String>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    enrol_gateway::revoke(&mut work, &gateway).await?;
    work.commit().await?;
    Ok(Redirect::to("/fleet").into_response())
}
