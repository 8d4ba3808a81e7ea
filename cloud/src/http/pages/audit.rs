//! Who saw or changed what, for those who answer for it (C11).

use super::{
    Fault, Web, Who,
    frame::{Frame, page},
};
use crate::{
    app::{
        about,
        audit_list::{self, CHANGED, LOOKED, Page},
        local_time,
    },
    clock,
    http::show,
    store::{
        Tx, account,
        audit_list::{Filter, Listed, Position},
        patient::{self, Patient},
        site::{self, Location},
    },
};
use askama::Template;
use axum::{
    body::Body,
    extract::{Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::TryStreamExt;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Longest text to search for, in characters.
const TEXT_LEN_MAX: usize = 100;

/// The form's fields; all may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Ask {
    /// A chart number or the start of a name.
    q: String,
    /// The patient who was chosen.
    patient: String,
    from: String,
    until: String,
    kind: String,
    only: String,
    account: String,
    location: String,
    before: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    ask: Ask,
    kinds: Vec<(&'static str, String)>,
    people: Vec<(String, String)>,
    locations: Vec<Location>,
    zone: String,
    chosen: Option<Chosen>,
    /// Several people fit what was typed: one has to be chosen.
    candidates: Vec<(String, String)>,
    /// Nobody fits.
    is_nobody: bool,
    fault: String,
    entries: Vec<EntryView>,
    older: String,
    export: String,
}

struct Chosen {
    name: String,
    chart_number: String,
    birth_date: String,
}

struct EntryView {
    day: String,
    time: String,
    person: String,
    role: String,
    mark: &'static str,
    action: String,
    kinds: Vec<String>,
    patient: String,
    patient_id: String,
    chart_number: String,
    exam: String,
    before: String,
    after: String,
    why: String,
    address: String,
}

/// What was asked for, made of the form.
struct Asked {
    filter: Filter,
    zone: TimeZone,
    zone_name: String,
    patient: Option<Patient>,
    candidates: Vec<Patient>,
    is_nobody: bool,
    locations: Vec<Location>,
}

impl Ask {
    fn query(&self) -> String {
        serde_urlencoded::to_string(self).unwrap_or_default()
    }
    fn position(&self) -> Result<Option<Position>, Fault> {
        let wrong = || Fault::bad_request("`before` is not what an earlier page gave.");
        match self.before.as_str() {
            "" => Ok(None),
            text => Position::from_text(text).map(Some).ok_or_else(wrong),
        }
    }

    async fn read(&self, tx: &mut Tx, tenant: &str) -> Result<Asked, Fault> {
        let locations = site::locations(tx, tenant).await?;
        let chosen = locations.iter().find(|it| it.location_id == self.location);
        let zone_name = chosen.or(locations.first()).map_or("UTC", |it| &it.time_zone).to_owned();
        let zone = local_time::zone(&zone_name);
        let (patient, candidates) = self.patients(tx, tenant).await?;
        let is_nobody = !self.q.trim().is_empty() && patient.is_none() && candidates.is_empty();
        let (from_us, until_us) = audit_list::days(&self.from, &self.until, &zone)?;
        audit_list::check_kind(&self.kind)?;
        let filter = Filter {
            patient: patient.as_ref().map(|it| it.patient_id.clone()).unwrap_or_default(),
            account: self.account.clone(),
            from_us,
            until_us,
            kind: self.kind.clone(),
            is_look: audit_list::only(&self.only)?,
        };
        Ok(Asked { filter, zone, zone_name, patient, candidates, is_nobody, locations })
    }

    /// The one that is meant, or those among whom to choose. What was typed counts before the one
    /// who was chosen earlier.
    async fn patients(
        &self,
        tx: &mut Tx,
        tenant: &str,
    ) -> Result<(Option<Patient>, Vec<Patient>), Fault> {
        let typed: String = self.q.trim().chars().take(TEXT_LEN_MAX).collect();
        if !typed.is_empty() {
            if let Some(exact) = patient::by_chart_number(tx, tenant, &typed).await? {
                return Ok((Some(exact), Vec::new()));
            }
            let mut found = patient::find(tx, tenant, &typed, "").await?;
            let only = if found.len() == 1 { found.pop() } else { None };
            return Ok((only, found));
        }
        if self.patient.is_empty() {
            return Ok((None, Vec::new()));
        }
        let found = patient::by_id(tx, tenant, &self.patient).await?;
        Ok((Some(found.ok_or_else(|| Fault::not_found("patient"))?), Vec::new()))
    }
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Query(ask): Query<Ask>,
) -> Result<Response, Fault> {
    let before = ask.position()?;
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let (asked, fault) = match ask.read(&mut tx, &who.tenant).await {
        Ok(asked) => (asked, String::new()),
        Err(fault) if fault.status.is_client_error() && !fault.fields.is_empty() => {
            let plain = Ask { location: ask.location.clone(), ..Ask::default() };
            (plain.read(&mut tx, &who.tenant).await?, fault.message)
        }
        Err(fault) => return Err(fault),
    };
    let people = account::names(&mut tx, &who.tenant).await?;
    drop(tx);
    let asks_for_nothing = !fault.is_empty() || asked.is_nobody || !asked.candidates.is_empty();
    let found = match asks_for_nothing {
        true => Page { entries: Vec::new(), older: None },
        false => {
            let now_us = clock::now_us();
            audit_list::page(&web.core.db, &who, &asked.filter, before.as_ref(), now_us).await?
        }
    };
    let next = Ask {
        q: String::new(),
        patient: asked.filter.patient.clone(),
        before: String::new(),
        ..ask.clone()
    };
    let older = found.older.map(|it| Ask { before: it.to_text(), ..next.clone() }.query());
    let choose = |it: &Patient| {
        let born = show::date(&it.birth_date);
        let text = format!("{}, {}, born {born}", it.family_name, it.given_name);
        let ask = Ask { patient: it.patient_id.clone(), ..next.clone() };
        (format!("{text} \u{b7} chart {}", it.chart_number), ask.query())
    };
    let kinds = about::all_kinds().map(|word| (word, show::audit::kind(word)));
    page(AuditPage {
        frame: Frame::new("Audit", Some(&who), "none"),
        kinds: kinds.collect(),
        people: sorted(people),
        zone: asked.zone_name,
        chosen: asked.patient.map(|it| Chosen {
            name: format!("{}, {}", it.family_name, it.given_name),
            birth_date: show::date(&it.birth_date),
            chart_number: it.chart_number,
        }),
        candidates: asked.candidates.iter().map(choose).collect(),
        is_nobody: asked.is_nobody,
        fault,
        entries: found.entries.into_iter().map(|it| view(it, &asked.zone)).collect(),
        older: older.unwrap_or_default(),
        export: next.query(),
        locations: asked.locations,
        ask: Ask { patient: asked.filter.patient, ..ask },
    })
}

fn sorted(mut people: Vec<(String, String)>) -> Vec<(String, String)> {
    people.sort_by(|a, b| a.1.cmp(&b.1));
    people
}

fn view(it: Listed, zone: &TimeZone) -> EntryView {
    let patient = match (&it.family_name, &it.given_name) {
        (Some(family), Some(given)) => format!("{family}, {given}"),
        _ => String::new(),
    };
    EntryView {
        day: show::date_of(it.at_us, zone),
        time: show::time(it.at_us, zone),
        person: it.account_name.unwrap_or(it.account_id),
        role: show::audit::role(&it.role).to_owned(),
        mark: show::audit::mark(&it.action, it.is_look),
        action: show::audit::action(&it.action),
        kinds: it.kinds.split(' ').filter(|it| !it.is_empty()).map(show::audit::kind).collect(),
        patient,
        patient_id: it.patient_id.unwrap_or_default(),
        chart_number: it.chart_number.unwrap_or_default(),
        exam: it.encounter_id.unwrap_or_default(),
        before: it.value_before,
        after: it.value_after,
        why: it.why,
        address: it.address,
    }
}

/// The same entries, all of them, for a spreadsheet.
pub async fn export(
    State(web): State<Web>,
    who: Who,
    Query(ask): Query<Ask>,
) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let asked = ask.read(&mut tx, &who.tenant).await?;
    drop(tx);
    if asked.is_nobody || !asked.candidates.is_empty() {
        return Err(Fault::bad_request("Choose one patient, then export."));
    }
    let at = (&asked.zone, clock::now_us());
    let lines = audit_list::export(&web.core, &who, &asked.filter, at).await?;
    let lines = lines.inspect_err(|error| tracing::error!(%error, "an export broke off"));
    let name = format!("attachment; filename=\"audit-{}.csv\"", audit_list::day_of(at.1, at.0));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}
