//! What a gateway reads, for clinic IT (I2, I7): instruments are chosen from the list, what is
//! different is shown before it is sent, and every version says what became of it. The draft travels
//! in the page: nothing is kept of what nobody applied.

mod form;

use super::{
    Fault, Names, Web, Who, begin,
    frame::{Frame, page},
};
use crate::{
    app::{
        AppError, config_csv,
        configure::{self, Draft},
        listen::{self, Target},
        local_time,
    },
    domain::configuration::{self, Difference},
    http::{extract::Form, show},
    store::{
        Tx, fleet_view,
        fleet_view::GatewayRow,
        gateway_config::VersionRow,
        gateway_listening::{self, ListeningRow},
        site,
    },
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use chiasm_proto::{
    LaneId, LinkId,
    config::Document,
    listening::{Heard, PortState, Ports},
};
use form::{DraftForm, Editing, Editor};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "configuration.html")]
struct ConfigurationPage {
    frame: Frame,
    gateway: String,
    name: String,
    location: String,
    is_online: bool,
    state: String,
    /// The newest version was refused or given up.
    is_failed: bool,
    /// The draft or, without one, what stands.
    rows: Vec<Row>,
    lanes: Vec<(String, String)>,
    draft: Carried,
    differences: Vec<Difference>,
    new_lanes: Vec<String>,
    summary: String,
    faults: Vec<String>,
    editor: Option<Editor>,
    vendors: Vec<(&'static str, Vec<(&'static str, String)>)>,
    versions: Vec<VersionView>,
    /// Ports that no link reads.
    ports: Vec<PortState>,
    listening: Option<ListeningView>,
}

/// What is listened to, or was last.
struct ListeningView {
    target: String,
    is_search: bool,
    when: String,
    bytes: u64,
    masked: String,
    verdicts: Vec<String>,
    ended: Option<String>,
    is_waiting: bool,
}

/// What every form of the page carries along.
struct Carried {
    base: i64,
    document: String,
    lanes: String,
    is_changed: bool,
}

/// An instrument or imager.
struct Row {
    id: String,
    lane: String,
    instrument: String,
    attached: &'static str,
    at: String,
    settings: String,
    is_link: bool,
}

struct VersionView {
    number: i64,
    when: String,
    who: String,
    why: String,
    state: &'static str,
    state_word: &'static str,
    detail: String,
    is_in_use: bool,
    is_newest: bool,
    instruments: usize,
}

/// The gateway and its lanes.
struct Place {
    gateway: GatewayRow,
    lanes: Vec<(String, String)>,
}

async fn place(tx: &mut Tx, who: &Who, gateway: &str) -> Result<Place, Fault> {
    let all = fleet_view::gateways(tx, &who.tenant).await?;
    let gateway = all.into_iter().find(|it| it.gateway_id == gateway);
    let gateway = gateway.ok_or_else(|| Fault::not_found("gateway"))?;
    let lanes = site::lanes(tx, &who.tenant).await?;
    let lanes = lanes
        .into_iter()
        .filter(|lane| lane.location_id == gateway.location_id)
        .map(|lane| (lane.lane_id, lane.lane_name))
        .collect();
    Ok(Place { gateway, lanes })
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Path(gateway): Path<String>,
) -> Result<Response, Fault> {
    render(&web, &who, &gateway, None, Editing::Nothing, Vec::new()).await
}

/// A step of a draft: an instrument was put, taken out, or is being looked at.
pub async fn draft(
    State(web): State<Web>,
    who: Who,
    Path(gateway): Path<String>,
    Form(form): Form<DraftForm>,
) -> Result<Response, Fault> {
    let mut draft = form.carried.draft().map_err(refused)?;
    match form.step(&mut draft) {
        Ok(editing) => render(&web, &who, &gateway, Some(draft), editing, Vec::new()).await,
        Err(fault) => {
            let editing = Editing::Again(Box::new(form));
            render(&web, &who, &gateway, Some(draft), editing, vec![fault]).await
        }
    }
}

#[derive(Deserialize)]
pub struct CsvForm {
    #[serde(default)]
    csv: String,
}

/// A file becomes a draft.
pub async fn import(
    State(web): State<Web>,
    who: Who,
    Path(gateway): Path<String>,
    Form(form): Form<CsvForm>,
) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let place = place(&mut tx, &who, &gateway).await?;
    let standing = configure::standing(&mut tx, (&who.tenant, &gateway)).await?;
    drop(tx);
    match config_csv::parse(&form.csv, &standing.document) {
        Ok(imported) => {
            let is_new = |id: &LaneId| !place.lanes.iter().any(|(lane, _)| lane == id.as_str());
            let lanes = imported.lanes.into_iter().filter(|(id, _)| is_new(id)).collect();
            let draft = Draft { base: standing.newest, document: imported.document, lanes };
            render(&web, &who, &gateway, Some(draft), Editing::Nothing, Vec::new()).await
        }
        Err(faults) => render(&web, &who, &gateway, None, Editing::Nothing, faults).await,
    }
}

pub async fn export(
    State(web): State<Web>,
    who: Who,
    Path(gateway): Path<String>,
) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let place = place(&mut tx, &who, &gateway).await?;
    let standing = configure::standing(&mut tx, (&who.tenant, &gateway)).await?;
    let text = config_csv::export(&standing.document, &place.lanes);
    let disposition = format!("attachment; filename=\"{}.csv\"", place.gateway.gateway_id);
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, text).into_response())
}

#[derive(Deserialize)]
pub struct ApplyForm {
    #[serde(flatten)]
    carried: form::CarriedForm,
    #[serde(default)]
    why: String,
}

pub async fn apply(
    State(web): State<Web>,
    who: Who,
    Path(gateway): Path<String>,
    Form(form): Form<ApplyForm>,
) -> Result<Response, Fault> {
    let draft = form.carried.draft().map_err(refused)?;
    let mut work = begin(&web, &who).await?;
    match configure::apply(&mut work, &gateway, &draft, &form.why).await {
        Ok(_) => work.commit().await?,
        Err(AppError::Refused(fault)) => {
            drop(work);
            return render(&web, &who, &gateway, Some(draft), Editing::Nothing, vec![fault]).await;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(back(&gateway))
}

pub async fn restore(
    State(web): State<Web>,
    who: Who,
    Path((gateway, version)): Path<(String, i64)>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    configure::restore(&mut work, &gateway, version).await?;
    work.commit().await?;
    Ok(back(&gateway))
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ListenForm {
    link: String,
    port: String,
}

/// Shows what comes over a link, or searches driver and line settings of a port.
pub async fn listen(
    State(web): State<Web>,
    who: Who,
    Path(gateway): Path<String>,
    Form(form): Form<ListenForm>,
) -> Result<Response, Fault> {
    let target = match form.link.is_empty() {
        true => Target::Port(&form.port),
        false => Target::Link(&form.link),
    };
    let mut work = begin(&web, &who).await?;
    listen::begin(&mut work, &gateway, target).await?;
    work.commit().await?;
    Ok(back(&gateway))
}

fn back(gateway: &str) -> Response {
    Redirect::to(&format!("/fleet/gateways/{gateway}/configuration")).into_response()
}

fn refused(message: String) -> Fault {
    Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message)
}

async fn render(
    web: &Web,
    who: &Who,
    gateway: &str,
    draft: Option<Draft>,
    editing: Editing,
    mut faults: Vec<String>,
) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let place = place(&mut tx, who, gateway).await?;
    let standing = configure::standing(&mut tx, (&who.tenant, gateway)).await?;
    let names = Names::load(&mut tx, &who.tenant).await?;
    let now = Draft { base: standing.newest, document: standing.document, lanes: Vec::new() };
    let draft = draft.unwrap_or_else(|| now.clone());
    let differences = configuration::difference(&now.document, &draft.document);
    let is_changed = !differences.is_empty() || !draft.lanes.is_empty();
    if is_changed && faults.is_empty() {
        let location = (who.tenant.as_str(), place.gateway.location_id.as_str());
        faults = configure::faults(&mut tx, location, &draft).await?;
    }
    let listening = gateway_listening::get(&mut tx, (&who.tenant, gateway)).await?;
    let ports = gateway_listening::ports(&mut tx, (&who.tenant, gateway)).await?;
    drop(tx);
    let mut lanes = place.lanes;
    lanes.extend(draft.lanes.iter().map(|(id, name)| (id.to_string(), name.clone())));
    let editor = form::editor(editing, &draft, &lanes);
    let is_draft = is_changed || editor.is_some();
    let zone = local_time::zone(&place.gateway.time_zone);
    let version = |row: &VersionRow| version_view(row, standing.newest, &names, &zone);
    let is_online = place.gateway.status == "online" && place.gateway.revoked_at_us.is_none();
    page(ConfigurationPage {
        // A draft that somebody types into is not fetched anew.
        frame: Frame::new(
            format!("Instruments of {}", place.gateway.name),
            Some(who),
            if is_draft { "none" } else { "any=1" },
        ),
        gateway: gateway.to_owned(),
        name: place.gateway.name,
        location: place.gateway.location_name,
        is_online,
        state: standing_in_words(&standing.rows, is_online),
        is_failed: standing
            .rows
            .first()
            .is_some_and(|row| matches!(row.state.as_str(), "refused" | "reverted")),
        rows: rows(&draft.document),
        lanes,
        summary: configure::in_words(&differences),
        differences,
        new_lanes: draft.lanes.iter().map(|(_, name)| name.clone()).collect(),
        draft: Carried {
            base: draft.base,
            document: draft.document.to_json(),
            lanes: serde_json::to_string(&draft.lanes).unwrap_or_default(),
            is_changed,
        },
        faults,
        editor,
        vendors: form::vendors(),
        versions: standing.rows.iter().map(version).collect(),
        ports: free_ports(ports.as_deref()),
        listening: listening.map(|row| listening_view(row, &zone)),
    })
}

fn free_ports(told: Option<&str>) -> Vec<PortState> {
    let told: Ports = told.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    told.ports.into_iter().filter(|port| port.link.is_none()).collect()
}

fn listening_view(row: ListeningRow, zone: &jiff::tz::TimeZone) -> ListeningView {
    let heard = row.heard.as_deref().and_then(|json| serde_json::from_str::<Heard>(json).ok());
    let is_waiting = heard.is_none();
    let (bytes, masked, verdicts, ended) = heard
        .map(|heard| (heard.bytes, heard.masked, heard.verdicts, heard.ended))
        .unwrap_or_default();
    ListeningView {
        target: row.target,
        is_search: row.is_search,
        when: show::date_and_time(row.asked_at_us, zone),
        bytes,
        masked,
        verdicts,
        ended,
        is_waiting,
    }
}

fn standing_in_words(rows: &[VersionRow], is_online: bool) -> String {
    let Some(newest) = rows.first() else {
        return "The gateway has not told yet what it reads. What is set up here reaches it when it \
                connects."
            .into();
    };
    match newest.state.as_str() {
        "waiting" | "sent" if !is_online => {
            format!("Version {} waits until the gateway connects.", newest.version)
        }
        "waiting" | "sent" => format!("Version {} is on its way to the gateway.", newest.version),
        "applied" => format!("The gateway tries version {}.", newest.version),
        "refused" => {
            format!("The gateway refused version {}: {}", newest.version, newest.state_detail)
        }
        "reverted" => {
            format!(
                "The gateway went back from version {}: {}",
                newest.version, newest.state_detail
            )
        }
        _ if newest.version == 0 => "The gateway reads what stands in its own file.".into(),
        _ => format!("The gateway uses version {}.", newest.version),
    }
}

fn version_view(
    row: &VersionRow,
    newest: i64,
    names: &Names,
    zone: &jiff::tz::TimeZone,
) -> VersionView {
    let (state, state_word) = match row.state.as_str() {
        "waiting" => ("off", "Not sent yet"),
        "sent" => ("off", "Sent"),
        "applied" => ("look", "On trial"),
        "confirmed" => ("good", "Confirmed"),
        "refused" => ("bad", "Refused"),
        "reverted" => ("bad", "Given up"),
        _ => ("off", "Unknown"),
    };
    let document = Document::from_json(&row.document).unwrap_or_default();
    VersionView {
        number: row.version,
        when: show::date_and_time(row.made_at_us, zone),
        who: if row.made_by == "gateway" {
            "The gateway itself".into()
        } else {
            names.of(&row.made_by)
        },
        why: if row.version == 0 { "Its own file".into() } else { row.why.clone() },
        state,
        state_word,
        detail: row.state_detail.clone(),
        is_in_use: row.is_in_use,
        is_newest: row.version == newest,
        instruments: document.link.len() + document.imager.len(),
    }
}

fn rows(document: &Document) -> Vec<Row> {
    let links = document.link.iter().map(|link| {
        let (attached, at) = link
            .attached()
            .into_iter()
            .next()
            .map_or(("nothing", String::new()), |(how, at)| (form::in_words(how), at));
        Row {
            id: link.id.to_string(),
            lane: link.lane.to_string(),
            instrument: form::instrument(&link.driver, link.model.as_deref()),
            attached,
            at,
            settings: link.serial.as_ref().map(form::settings).unwrap_or_default(),
            is_link: true,
        }
    });
    let imagers = document.imager.iter().map(|imager| Row {
        id: imager.id.to_string(),
        lane: imager.lane.to_string(),
        instrument: "Imager".into(),
        attached: "DICOM, calls as",
        at: imager.calling_ae.clone(),
        settings: imager.address.clone().unwrap_or_default(),
        is_link: false,
    });
    links.chain(imagers).collect()
}

/// The link of this name is not in it any more.
fn remove(document: &mut Document, id: &LinkId) {
    document.link.retain(|link| link.id != *id);
    document.imager.retain(|imager| imager.id != *id);
}
