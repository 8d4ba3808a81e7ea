//! How the work goes: instruments, lanes and locations over days, weeks or months. No patients in it,
//! and no people.

use super::{
    Fault, Web, Who,
    frame::{Frame, page},
};
use crate::{
    app::{
        local_time,
        report::{self, Ask, Group, Report, ReportError, Unit},
    },
    clock,
    http::{
        locale,
        plot::{Bar, Bars},
        show,
    },
    store::site,
};
use askama::Template;
use axum::{
    extract::{Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use jiff::civil::Date;
use serde::Deserialize;
use std::{collections::HashMap, fmt::Write};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AskForm {
    location: String,
    by: String,
    from: String,
    to: String,
}

impl AskForm {
    /// What was asked; the error is for people.
    pub fn read(&self) -> Result<Ask, String> {
        let date = |text: &str| match text.trim() {
            "" => Ok(None),
            text => text
                .parse::<Date>()
                .map(Some)
                .map_err(|_| "Give the days as year-month-day, such as 2026-11-30.".to_owned()),
        };
        let unit = Unit::parse(&self.by);
        Ok(Ask {
            location: self.location.clone(),
            unit: unit.ok_or("Divide by day, week or month.")?,
            from: date(&self.from)?,
            to: date(&self.to)?,
        })
    }
}

#[derive(Template)]
#[template(path = "reports.html")]
struct ReportsPage {
    frame: Frame,
    location: String,
    by: &'static str,
    from: String,
    to: String,
    fault: String,
    /// Query of the same report, for the file.
    query: String,
    locations: Vec<site::Location>,
    counted: String,
    is_behind: bool,
    total: Line,
    bars: Option<Bars>,
    tables: Vec<Table>,
}

struct Table {
    slug: &'static str,
    title: &'static str,
    first: &'static str,
    remark: &'static str,
    has_minutes: bool,
    lines: Vec<Line>,
}

/// One line: a number that nobody measured is empty.
#[derive(Default)]
struct Line {
    name: String,
    sub: String,
    readings: i64,
    per_exam: String,
    repeats: String,
    low: String,
    graded: i64,
    typed: String,
    by_itself: String,
    from_tray: String,
    from_inbox: String,
    moved: String,
    waiting: String,
    rejected: String,
    median: String,
    p90: String,
}

impl Line {
    fn new(name: String, sub: String, of: &Group) -> Self {
        let it = &of.counts;
        let share = |part: i64| percent(part, it.readings);
        let (median, p90) = of.minutes().unzip();
        let minutes = |it: Option<i64>| it.map(|it| it.to_string()).unwrap_or_default();
        Self {
            name,
            sub,
            readings: it.readings,
            per_exam: match of.exams {
                0 => String::new(),
                exams => format!("{:.1}", it.in_exams() as f64 / exams as f64),
            },
            repeats: share(it.repeats),
            low: percent(it.low_confidence, it.graded),
            graded: it.graded,
            typed: percent(it.typed, it.typed + it.readings),
            by_itself: share(it.by_itself),
            from_tray: share(it.from_tray),
            from_inbox: share(it.from_inbox),
            moved: share(it.moved),
            waiting: share(it.waiting),
            rejected: share(it.rejected),
            median: minutes(median),
            p90: minutes(p90),
        }
    }
}

/// A share in whole per cent; one decimal below ten, so that little is told from nothing.
fn percent(part: i64, of: i64) -> String {
    if of == 0 {
        return String::new();
    }
    let share = part as f64 * 100.0 / of as f64;
    match part {
        0 => "0 %".into(),
        _ if share < 9.95 => format!("{share:.1} %"),
        _ => format!("{share:.0} %"),
    }
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Query(form): Query<AskForm>,
) -> Result<Response, Fault> {
    let now_us = clock::now_us();
    let asked = form.read();
    let ask = asked.clone().unwrap_or_default();
    let report = report::report(&web.core.db, &who.tenant, &ask, now_us).await;
    let (report, fault) = match (report, asked) {
        (Ok(report), Ok(_)) => (report, String::new()),
        (Ok(_), Err(fault)) | (Err(ReportError::Span(fault)), _) => {
            let usual = Ask { from: None, to: None, ..ask };
            let usual = report::report(&web.core.db, &who.tenant, &usual, now_us).await;
            (usual.map_err(refused)?, fault)
        }
        (Err(error), _) => return Err(refused(error)),
    };
    let mut lanes = HashMap::new();
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    for lane in site::lanes(&mut tx, &who.tenant).await? {
        lanes.insert(lane.lane_id, lane.lane_name);
    }
    drop(tx);
    let zone = report.known.iter().find(|it| it.location_id == form.location);
    let zone = zone.or(report.known.first()).map_or("UTC", |it| &it.time_zone);
    let zone = local_time::zone(zone);
    let counted = report.counted_at_us.map(|at_us| show::date_and_time(at_us, &zone));
    page(ReportsPage {
        frame: Frame::new("Reports", Some(&who), ""),
        by: report.unit.as_str(),
        from: report.from.to_string(),
        to: report.to.to_string(),
        fault,
        query: query(&form.location, &report),
        counted: counted.unwrap_or_default(),
        is_behind: report.is_behind,
        total: Line::new("All".into(), String::new(), &report.total),
        bars: (report.total.counts.readings > 0).then(|| bars(&report)),
        tables: tables(&report, &lanes, form.location.is_empty()),
        location: form.location,
        locations: report.known,
    })
}

fn query(location: &str, report: &Report) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("location", location).append_pair("by", report.unit.as_str());
    query.append_pair("from", &report.from.to_string());
    query.append_pair("to", &report.to.to_string()).finish()
}

pub fn refused(error: ReportError) -> Fault {
    match error {
        ReportError::Location => Fault::not_found("location"),
        ReportError::Span(message) => Fault::bad_request(message),
        ReportError::Store(error) => error.into(),
    }
}

fn period_name(unit: Unit, start: Date) -> String {
    match unit {
        Unit::Day => format!("{} {}", start.strftime("%a"), locale::date(start)),
        Unit::Week => format!("Week of {}", locale::date(start)),
        Unit::Month => start.strftime("%B %Y").to_string(),
    }
}

fn bars(report: &Report) -> Bars {
    let bar = |(start, group): (&Date, &Group)| {
        let it = &group.counts;
        let name = period_name(report.unit, *start);
        Bar {
            name: match report.unit {
                Unit::Month => start.strftime("%b %Y").to_string(),
                Unit::Day | Unit::Week => locale::day(*start),
            },
            lower: it.by_itself,
            upper: it.readings - it.by_itself,
            label: format!("{name}: {} readings, {} by itself", it.readings, it.by_itself),
        }
    };
    Bars {
        id: "readings".into(),
        title: format!("Readings by {}", report.unit.as_str()),
        lower_name: "found its exam by itself".into(),
        upper_name: "a person decided, or it waits".into(),
        bars: report.periods.iter().map(bar).collect(),
    }
}

fn tables(report: &Report, lanes: &HashMap<String, String>, has_locations: bool) -> Vec<Table> {
    let location = |id: &str| {
        let found = report.known.iter().find(|it| it.location_id == id);
        found.map_or_else(|| id.to_owned(), |it| it.name.clone())
    };
    let periods = report.periods.iter().rev();
    let mut tables = vec![Table {
        slug: "periods",
        title: match report.unit {
            Unit::Day => "By day",
            Unit::Week => "By week",
            Unit::Month => "By month",
        },
        first: "When",
        remark: "What has no readings is left out.",
        has_minutes: true,
        lines: periods
            .filter(|(_, it)| it.counts.readings + it.counts.typed > 0)
            .map(|(at, it)| Line::new(period_name(report.unit, *at), String::new(), it))
            .collect(),
    }];
    let mut instruments: Vec<_> = report.instruments.iter().collect();
    instruments.sort_by_key(|(_, it)| std::cmp::Reverse(it.counts.readings + it.counts.typed));
    tables.push(Table {
        slug: "instruments",
        title: "By instrument",
        first: "Instrument",
        remark: "For a lensmeter a second pair of glasses counts as repeated as well.",
        has_minutes: false,
        lines: instruments
            .into_iter()
            .map(|((vendor, model), it)| Line::new(model.clone(), vendor.clone(), it))
            .collect(),
    });
    tables.push(Table {
        slug: "lanes",
        title: "By lane",
        first: "Lane",
        remark: "",
        has_minutes: false,
        lines: report
            .lanes
            .iter()
            .map(|((of, lane), it)| {
                let name = lanes.get(lane).cloned().unwrap_or_else(|| lane.clone());
                Line::new(name, location(of), it)
            })
            .collect(),
    });
    if has_locations && report.locations.len() > 1 {
        tables.push(Table {
            slug: "locations",
            title: "By location",
            first: "Location",
            remark: "",
            has_minutes: true,
            lines: report
                .locations
                .iter()
                .map(|(id, it)| Line::new(location(id), String::new(), it))
                .collect(),
        });
    }
    tables.retain(|table| !table.lines.is_empty());
    tables
}

/// The rows behind the report, one for each day, lane and instrument.
pub async fn csv(
    State(web): State<Web>,
    who: Who,
    Query(form): Query<AskForm>,
) -> Result<Response, Fault> {
    let ask = form.read().map_err(Fault::bad_request)?;
    let report = report::report(&web.core.db, &who.tenant, &ask, clock::now_us()).await;
    let report = report.map_err(refused)?;
    let mut text = String::from(
        "day,location,lane,vendor,model,readings,second_prints,typed,exams,repeats,graded,\
         low_confidence,by_itself,from_tray,from_inbox,moved,waiting,rejected\r\n",
    );
    for (location, row) in &report.days {
        let it = row.counts();
        let names = [&row.day, location, &row.lane_id, &row.vendor, &row.model].map(|it| cell(it));
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{}\r\n",
            names.join(","),
            it.readings,
            it.second_prints,
            it.typed,
            it.exams,
            it.repeats,
            it.graded,
            it.low_confidence,
            it.by_itself,
            it.from_tray,
            it.from_inbox,
            it.moved,
            it.waiting,
            it.rejected,
        );
    }
    let name = format!("attachment; filename=\"readings-{}-{}.csv\"", report.from, report.to);
    let kind = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((kind, text).into_response())
}

/// A text in a cell: quoted, and never a formula. Instruments name themselves.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if is_formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}
