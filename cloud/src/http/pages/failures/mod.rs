//! What instruments sent and no driver understood, by what it has in common (C4). No patient is on
//! these pages: of bytes only their structure is shown.

pub mod sample;

use super::{
    Fault, Web, Who, begin,
    frame::{Frame, page},
};
use crate::{
    app::decode_again::{self, Outcome},
    clock,
    http::{
        extract::{Form, ID_LEN_MAX, text},
        show,
    },
    store::{
        StoreError, Tx, decode_again as store,
        parse_failure::{self, Alike},
    },
};
use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use chiasm_drivers::{DriverSpec, registry};
use chiasm_proto::{Body, Envelope};
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// How far back failures are shown.
const SHOWN_DAYS: i64 = 90;
const SHOWN_US: i64 = SHOWN_DAYS * 24 * 3600 * 1_000_000;
/// Links whose instrument is looked up.
const LINKS_MAX: usize = 200;

#[derive(Template)]
#[template(path = "failures.html")]
struct FailuresPage {
    frame: Frame,
    days: i64,
    groups: Vec<Group>,
    drivers: Vec<Driver>,
}

/// Failures that are alike.
struct Group {
    instrument: String,
    software: String,
    driver: String,
    version: String,
    code: String,
    first_byte: Option<i64>,
    count: i64,
    /// Of which a later driver has made readings.
    read: i64,
    first: String,
    last: String,
    gateways: Vec<String>,
    sample: String,
}

/// A driver whose bytes can be decoded again.
struct Driver {
    id: &'static str,
    version: &'static str,
    asked_by: String,
    asked: String,
    is_running: bool,
    outcomes: Vec<(i64, &'static str)>,
}

pub async fn show(State(web): State<Web>, who: Who) -> Result<Response, Fault> {
    let since_us = clock::now_us() - SHOWN_US;
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let rows = parse_failure::alike(&mut tx, &who.tenant, since_us).await?;
    let instruments = instruments(&mut tx, &who.tenant, &rows, since_us).await?;
    let ids: BTreeSet<&str> = rows.iter().map(|row| row.driver_id.as_str()).collect();
    let names = super::Names::load(&mut tx, &who.tenant).await?;
    let mut drivers = Vec::new();
    for spec in ids.into_iter().filter_map(registry::find) {
        drivers.push(driver(&mut tx, &who.tenant, spec, &names).await?);
    }
    drop(tx);
    page(FailuresPage {
        frame: Frame::new("What could not be read", Some(&who), "any=1"),
        days: SHOWN_DAYS,
        groups: groups(&rows, &instruments),
        drivers,
    })
}

/// Instrument and software by location, gateway and link, as the link's last reading names them.
type Instruments<'r> = BTreeMap<(&'r str, &'r str, &'r str), (String, String)>;

async fn instruments<'r>(
    tx: &mut Tx,
    tenant: &str,
    rows: &'r [Alike],
    since_us: i64,
) -> Result<Instruments<'r>, StoreError> {
    let link = |row: &'r Alike| (&*row.location_id, &*row.gateway_id, &*row.link_id);
    let links: BTreeSet<_> = rows.iter().map(link).collect();
    let mut instruments = Instruments::new();
    for link in links.into_iter().take(LINKS_MAX) {
        let body = parse_failure::last_reading(tx, tenant, link, since_us).await?;
        let envelope = body.and_then(|body| serde_json::from_str::<Envelope>(&body).ok());
        if let Some(Body::Reading(reading)) = envelope.map(|it| it.body) {
            let it = reading.decoded.instrument;
            let name = format!("{} {}", it.vendor, it.model);
            instruments.insert(link, (name, it.software.unwrap_or_default()));
        }
    }
    Ok(instruments)
}

/// One group for what differs in the gateway or the link only.
fn groups(rows: &[Alike], instruments: &Instruments<'_>) -> Vec<Group> {
    let mut groups: BTreeMap<_, (Group, (i64, i64))> = BTreeMap::new();
    for row in rows {
        let link = (&*row.location_id, &*row.gateway_id, &*row.link_id);
        let (instrument, software) = instruments.get(&link).cloned().unwrap_or_default();
        let alike = (&row.driver_id, &row.driver_version, &row.code, row.position());
        let key = (instrument.clone(), software.clone(), alike);
        let times = (row.first_at_us, row.last_at_us);
        let (group, between) =
            groups.entry(key).or_insert_with(|| (group(row, instrument, software), times));
        *between = (between.0.min(times.0), between.1.max(times.1));
        group.count += row.count;
        group.read += row.read;
        if !group.gateways.contains(&row.gateway_id) {
            group.gateways.push(row.gateway_id.clone());
        }
        if row.sample > group.sample {
            group.sample.clone_from(&row.sample);
        }
    }
    // The gateways may be of several zones.
    let when = |at_us| show::date_and_time(at_us, &TimeZone::UTC);
    let mut groups: Vec<Group> = groups
        .into_values()
        .map(|(group, (first, last))| Group { first: when(first), last: when(last), ..group })
        .collect();
    groups.sort_by_key(|group| (group.count == group.read, -group.count));
    groups
}

fn group(row: &Alike, instrument: String, software: String) -> Group {
    Group {
        instrument,
        software,
        driver: row.driver_id.clone(),
        version: row.driver_version.clone(),
        code: row.code.replace('_', " "),
        first_byte: row.position(),
        count: 0,
        read: 0,
        first: String::new(),
        last: String::new(),
        gateways: vec![],
        sample: String::new(),
    }
}

async fn driver(
    tx: &mut Tx,
    tenant: &str,
    spec: &'static DriverSpec,
    names: &super::Names,
) -> Result<Driver, StoreError> {
    let run = store::run(tx, tenant, spec).await?;
    let outcomes = store::outcomes(tx, tenant, spec).await?;
    let words = |(word, count): (String, i64)| {
        let outcome = Outcome::ALL.into_iter().find(|it| it.as_str() == word)?;
        Some((count, outcome.words()))
    };
    let when = |at_us| show::date_and_time(at_us, &TimeZone::UTC);
    Ok(Driver {
        id: spec.id,
        version: spec.version,
        asked: run.as_ref().map(|run| when(run.asked_at_us)).unwrap_or_default(),
        is_running: run.as_ref().is_some_and(|run| run.finished_at_us.is_none()),
        asked_by: run.map(|run| names.of(&run.asked_by)).unwrap_or_default(),
        outcomes: outcomes.into_iter().filter_map(words).collect(),
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AgainForm {
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    driver: String,
}

pub async fn decode_again(
    State(web): State<Web>,
    who: Who,
    Form(form): Form<AgainForm>,
) -> Result<Response, Fault> {
    let driver = registry::find(&form.driver).ok_or_else(|| Fault::not_found("driver"))?;
    let mut work = begin(&web, &who).await?;
    decode_again::ask(&mut work, driver).await?;
    work.commit().await?;
    Ok(Redirect::to("/fleet/failures").into_response())
}
