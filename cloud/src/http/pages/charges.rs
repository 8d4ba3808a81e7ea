//! Charge proposals of a day, and what people say about one. Nothing here is a charge.

use super::{
    Fault, Names, Web, Who, begin,
    frame::{Frame, page},
    visit::Visit,
};
use crate::{
    app::{charges, local_time, look},
    clock,
    domain::charges::{Proposal, Say, State},
    http::{extract::Form, show},
    store::{Tx, encounter::Encounter, site},
};
use askama::Template;
use axum::{
    extract::{Path, Query, State as Shared},
    http::header,
    response::{IntoResponse, Response},
};
use jiff::{civil, tz::TimeZone};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ask {
    location: String,
    /// `YYYY-MM-DD`.
    day: String,
}

#[derive(Template)]
#[template(path = "charges.html")]
struct ChargesPage {
    frame: Frame,
    locations: Vec<site::Location>,
    location_id: String,
    day: String,
    day_words: String,
    visits: Vec<(Visit, Vec<ChargeView>)>,
    proposed: usize,
    complete: usize,
    warnings: usize,
}

/// A proposal for people.
pub struct ChargeView {
    pub code: &'static str,
    pub name: &'static str,
    pub state: &'static str,
    /// `good`, `look` or nothing.
    pub look: &'static str,
    pub eyes: String,
    pub is_once_for_both: bool,
    pub evidence: String,
    pub missing: Vec<String>,
    pub conflicts: Vec<String>,
    pub notes: &'static [&'static str],
    pub warning: String,
    /// What was said, in words.
    pub said: Vec<String>,
    pub is_open: bool,
    pub is_billable: bool,
    pub may_order: bool,
    pub may_report: bool,
    pub may_reopen: bool,
}

impl ChargeView {
    pub(super) fn new(it: &Proposal, is_doctor: bool, (zone, names): (&TimeZone, &Names)) -> Self {
        let is_open = it.state == State::Proposed;
        let said = it.marks.iter().map(|mark| {
            let note =
                if mark.note.is_empty() { String::new() } else { format!(": {}", mark.note) };
            let when = show::date_and_time(mark.at_us, zone);
            format!("{} {when} by {}{note}", mark.say.as_str(), names.of(&mark.by))
        });
        Self {
            code: it.rule.code,
            name: it.rule.name,
            state: it.state.as_str(),
            look: match it.state {
                State::Billed => "good",
                State::Proposed if it.missing.is_empty() => "good",
                State::Proposed | State::Withdrawn => "look",
                State::Dismissed => "",
            },
            eyes: it.eyes(),
            is_once_for_both: it.rule.is_once_for_both,
            evidence: it.evidence.iter().map(|it| it.words.as_str()).collect::<Vec<_>>().join("; "),
            missing: it.missing.clone(),
            conflicts: it.conflicts.clone(),
            notes: it.rule.notes,
            warning: it.warning.clone().unwrap_or_default(),
            said: said.collect(),
            is_open,
            is_billable: is_open && it.missing.is_empty(),
            may_order: is_open && it.rule.needs_order && !it.has(Say::Ordered),
            may_report: is_open && is_doctor && it.rule.needs_report && !it.has(Say::Reported),
            may_reopen: !it.marks.is_empty(),
        }
    }
}

/// A day of a location.
pub struct Day {
    pub locations: Vec<site::Location>,
    pub location: site::Location,
    pub day: String,
    pub zone: TimeZone,
    pub visits: Vec<(Encounter, Vec<Proposal>)>,
}

impl Day {
    /// The first location and today where nothing is asked for.
    pub async fn load(
        tx: &mut Tx,
        who: &Who,
        (location, day): (&str, &str),
    ) -> Result<Self, Fault> {
        let locations = site::locations(tx, &who.tenant).await?;
        let found = match location {
            "" => locations.first(),
            id => locations.iter().find(|it| it.location_id == id),
        };
        let location = found.cloned().ok_or_else(|| Fault::not_found("location"))?;
        let zone = local_time::zone(&location.time_zone);
        let day: civil::Date = match day.trim() {
            "" => local_time::date(clock::now_us(), &zone),
            text => text
                .parse()
                .map_err(|_| Fault::bad_request("Give the day as year-month-day: 2026-11-23."))?,
        };
        let day = day.to_string();
        let of = (location.location_id.as_str(), day.as_str());
        let visits = charges::of_day(tx, &who.tenant, of, &zone).await?;
        Ok(Self { locations, location, day, zone, visits })
    }
}

pub async fn show(
    Shared(web): Shared<Web>,
    who: Who,
    Query(ask): Query<Ask>,
) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let day = Day::load(&mut tx, &who, (&ask.location, &ask.day)).await?;
    let names = Names::load(&mut tx, &who.tenant).await?;
    drop(tx);
    let what = ("charges_seen", day.location.location_id.as_str());
    look::look(&web.core.db, &who, what, clock::now_us()).await?;
    let all = day.visits.iter().flat_map(|(_, all)| all);
    let proposed = all.clone().filter(|it| it.state == State::Proposed);
    let view = |it: &Proposal| ChargeView::new(it, false, (&day.zone, &names));
    page(ChargesPage {
        frame: Frame::new("Charges", Some(&who), "any=1"),
        location_id: day.location.location_id.clone(),
        day_words: show::date(&day.day),
        proposed: proposed.clone().count(),
        complete: proposed.filter(|it| it.missing.is_empty()).count(),
        warnings: all.filter(|it| it.warning.is_some()).count(),
        visits: day
            .visits
            .iter()
            .map(|(visit, all)| (Visit::new(visit, &day.zone), all.iter().map(view).collect()))
            .collect(),
        day: day.day,
        locations: day.locations,
    })
}

/// The same as a file.
pub async fn csv(
    Shared(web): Shared<Web>,
    who: Who,
    Query(ask): Query<Ask>,
) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let day = Day::load(&mut tx, &who, (&ask.location, &ask.day)).await?;
    drop(tx);
    let what = ("charges_exported", day.location.location_id.as_str());
    look::look(&web.core.db, &who, what, clock::now_us()).await?;
    let name = format!("attachment; filename=\"charges-{}.csv\"", day.day);
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, charges::csv(&day.visits)).into_response())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SayForm {
    mark: String,
    note: String,
    back: String,
}

pub async fn say(
    Shared(web): Shared<Web>,
    who: Who,
    Path((encounter, code)): Path<(String, String)>,
    Form(form): Form<SayForm>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    charges::say(&mut work, (&encounter, &code), (&form.mark, &form.note)).await?;
    work.commit().await?;
    Ok(super::back_to(&form.back, &format!("/exams/{encounter}#charges")))
}
