//! One patient over all visits: plots and tables by section, a page of visits at a time.

pub mod plots;
mod tables;

use super::{
    Fault, Names, Web, Who,
    frame::{Frame, page},
    preferences,
};
use crate::{
    app::{history, local_time},
    clock,
    domain::optics::Notation,
    http::{
        api::history::Ask,
        plot::Plot,
        show::{self, ReadingView},
    },
    store::{exam::ReadingRow, history::Visit},
};
use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use jiff::tz::TimeZone;
use std::collections::HashMap;
use tables::Table;

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryPage {
    frame: Frame,
    here: String,
    name: String,
    birth_date: String,
    age: String,
    chart_number: String,
    notation: Notation,
    visits: Vec<VisitView>,
    /// The `before` of the next older page.
    older: Option<String>,
    /// This is not the latest page.
    is_older: bool,
    is_cut: bool,
    parts: Vec<Part>,
}

struct VisitView {
    encounter_id: String,
    date: String,
    location: String,
    reason: String,
    /// Where it is not the patient's own: charts were merged.
    other_chart: String,
    filed: i64,
    pending: i64,
}

/// A section of the page: what is drawn, and the same values as a table.
struct Part {
    slug: &'static str,
    title: &'static str,
    remark: &'static str,
    /// Values that are written once beside the plots.
    beside: Vec<String>,
    plots: Vec<Plot>,
    table: Table,
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Path(patient): Path<String>,
    Query(ask): Query<Ask>,
) -> Result<Response, Fault> {
    let now_us = clock::now_us();
    let before = ask.position()?;
    let is_older = before.is_some();
    let found = history::page(&web.core.db, &who, &patient, before, now_us).await?;
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let names = Names::load(&mut tx, &who.tenant).await?;
    let notation = preferences::notation(&mut tx, &who).await?;
    drop(tx);
    let zones = Zones::of(&found.visits);
    let name_of = |account: &str| names.of(account);
    let view =
        |row: &ReadingRow| show::reading_in(notation, row, zones.of_row(row), now_us, name_of);
    let views: Vec<ReadingView> = found.readings.iter().map(view).collect();
    let items = plots::items(&found.readings, &zones);
    let it = &found.patient;
    let today = local_time::date(now_us, zones.first());
    let name = format!("{}, {}", it.family_name, it.given_name);
    let visit = |visit: &Visit| visit_view(visit, &it.chart_number);
    page(HistoryPage {
        frame: Frame::new(format!("{name}: all visits"), Some(&who), ""),
        here: format!("/patients/{patient}"),
        birth_date: show::date(&it.birth_date),
        age: show::age(&it.birth_date, today).map(|age| age.to_string()).unwrap_or_default(),
        chart_number: it.chart_number.clone(),
        notation,
        visits: found.visits.iter().map(visit).collect(),
        older: found.older.map(|position| position.to_text()),
        is_older,
        is_cut: found.is_cut,
        parts: parts(&items, &views, &found.readings, &zones),
        name,
    })
}

fn visit_view(it: &Visit, chart_number: &str) -> VisitView {
    let is_other = it.chart_number != chart_number;
    VisitView {
        encounter_id: it.encounter_id.clone(),
        date: show::date(&it.visit_date),
        location: it.location_name.clone(),
        reason: it.reason.clone(),
        other_chart: if is_other { it.chart_number.clone() } else { String::new() },
        filed: it.filed,
        pending: it.pending,
    }
}

fn parts(
    items: &[plots::Item],
    views: &[ReadingView],
    rows: &[ReadingRow],
    zones: &Zones,
) -> Vec<Part> {
    let zone = zones.first();
    let drawn = |plots: Vec<Plot>| plots.into_iter().filter(Plot::has_points).collect();
    let part = |section: &tables::Part, plots: Vec<Plot>, beside: Vec<String>| Part {
        slug: section.slug,
        title: section.title,
        remark: section.remark,
        beside,
        plots: drawn(plots),
        table: tables::table(section, views, rows, zones),
    };
    let all = tables::PARTS.iter().map(|section| match section.slug {
        "pressure" => {
            let by_time = plots::pressure_by_time_of_day(items);
            part(section, vec![plots::pressure(items, zone), by_time], plots::thickness(items))
        }
        "refraction" => part(section, plots::refraction(items, zone), vec![]),
        "keratometry" => part(section, vec![plots::keratometry(items, zone)], vec![]),
        _ => part(section, vec![], vec![]),
    });
    all.filter(|part| !part.table.rows.is_empty()).collect()
}

/// Each location's own time.
pub struct Zones {
    by_location: HashMap<String, TimeZone>,
    first: TimeZone,
}

impl Zones {
    fn of(visits: &[Visit]) -> Self {
        let pairs = visits.iter().map(|it| (it.location_id.clone(), it.time_zone.as_str()));
        Self::new(pairs)
    }
    /// `(location, name of its zone)`, the first being the one of axes.
    pub fn new<'a>(pairs: impl Iterator<Item = (String, &'a str)>) -> Self {
        let mut first = None;
        let mut by_location = HashMap::new();
        for (location, name) in pairs {
            let zone = by_location.entry(location).or_insert_with(|| local_time::zone(name));
            first.get_or_insert_with(|| zone.clone());
        }
        Self { by_location, first: first.unwrap_or(TimeZone::UTC) }
    }
    pub fn first(&self) -> &TimeZone {
        &self.first
    }
    /// Of where a reading was taken.
    pub fn of_row(&self, row: &ReadingRow) -> &TimeZone {
        self.by_location.get(&row.location_id).unwrap_or(&self.first)
    }
}
