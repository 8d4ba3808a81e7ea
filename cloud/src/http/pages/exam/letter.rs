//! Pages for paper: the letter of an exam, and the final prescription of a signed one.

use super::{
    super::{
        Fault, Names, Web, Who,
        frame::{Frame, page},
        visit::Visit,
    },
    record::RecordView,
};
use crate::{
    app::{local_time, look},
    clock,
    http::show::{
        self, Cell, Group, ReadingView, Section,
        images::{self, SeriesView},
    },
    store::{encounter, exam, instance, site},
};
use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};

#[derive(Template)]
#[template(path = "letter.html")]
struct LetterPage {
    frame: Frame,
    visit: Visit,
    here: String,
    location_name: String,
    record: RecordView,
    measured: Vec<Measured>,
    /// Refractions of instruments: words in a line, never the shape of a prescription (R12).
    refractions: Vec<Measured>,
    left_out: usize,
    /// As a list: pictures are looked at on the screen.
    images: Vec<SeriesView>,
}

#[derive(Template)]
#[template(path = "prescription.html")]
struct PrescriptionPage {
    frame: Frame,
    visit: Visit,
    here: String,
    location_name: String,
    record: RecordView,
}

/// One test of one accepted reading.
struct Measured {
    title: String,
    right: String,
    left: String,
    both: String,
    source: String,
}

async fn load(
    web: &Web,
    who: &Who,
    id: &str,
) -> Result<(Visit, String, RecordView, Vec<ReadingView>), Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let found = encounter::by_id(&mut tx, &who.tenant, id).await?;
    let found = found.ok_or_else(|| Fault::not_found("exam"))?;
    let location = site::location(&mut tx, &who.tenant, &found.location_id).await?;
    let location = location.ok_or_else(|| Fault::not_found("location"))?;
    let zone = local_time::zone(&location.time_zone);
    let names = Names::load(&mut tx, &who.tenant).await?;
    let rows = exam::readings(&mut tx, &who.tenant, id).await?;
    let record = RecordView::load(&mut tx, who, (id, &rows), (&zone, &names)).await?;
    drop(tx);
    let now_us = clock::now_us();
    let view = |row| show::reading(row, &zone, now_us, |account| names.of(account));
    let readings = rows.iter().map(view).collect();
    Ok((Visit::new(&found, &zone), location.name, record, readings))
}

pub async fn letter(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let (visit, location_name, record, readings) = load(&web, &who, &id).await?;
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let images = images::series(&instance::of_encounter(&mut tx, &who.tenant, &id).await?);
    drop(tx);
    look::look(&web.core.db, &who, ("letter_seen", &id), clock::now_us()).await?;
    let accepted = readings.iter().filter(|reading| reading.is("accepted"));
    let mut lines: Vec<(Section, Measured)> = Vec::new();
    for reading in accepted.clone() {
        // Glasses that are not the patient's own are nobody's business there (R25).
        let is_own = |group: &&Group| !group.is_minor && group.section != Section::NotWorn;
        for group in reading.groups.iter().filter(is_own) {
            lines.push((group.section, measured(group, reading)));
        }
    }
    lines.sort_by_key(|(section, _)| *section);
    let is_refraction =
        |section: Section| matches!(section, Section::Autorefraction | Section::Refractor);
    let (refractions, measured): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|(section, _)| is_refraction(*section));
    page(LetterPage {
        frame: Frame::new("Letter", Some(&who), "none"),
        visit,
        here: format!("/exams/{id}"),
        location_name,
        record,
        measured: measured.into_iter().map(|(_, it)| it).collect(),
        refractions: refractions.into_iter().map(|(_, it)| it).collect(),
        left_out: readings.len() - accepted.count(),
        images,
    })
}

pub async fn prescription(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let (visit, location_name, record, _) = load(&web, &who, &id).await?;
    if record.signature.is_none() || record.final_rx.is_none() {
        let message = "There is no signed final prescription in this exam. A doctor writes it and \
            signs the exam; then it can be printed.";
        return Err(Fault::new(axum::http::StatusCode::NOT_FOUND, "not_signed", message));
    }
    look::look(&web.core.db, &who, ("prescription_printed", &id), clock::now_us()).await?;
    let frame = Frame::new("Prescription", Some(&who), "none");
    page(PrescriptionPage { frame, visit, here: format!("/exams/{id}"), location_name, record })
}

fn measured(group: &Group, reading: &ReadingView) -> Measured {
    let text = |cell: &Option<Cell>| cell.as_ref().map(words).unwrap_or_default();
    let notes: String = group.notes.iter().map(|note| format!(", {note}")).collect();
    let both = if group.both.is_some() { &group.both } else { &group.no_side };
    let side =
        if group.both.is_none() && group.no_side.is_some() { ", side not given" } else { "" };
    Measured {
        title: format!("{}{notes}{side}", group.title),
        right: text(&group.right),
        left: text(&group.left),
        both: text(both),
        source: format!("{} {}", reading.instrument, reading.time),
    }
}

/// What an instrument declared for an eye, in one line.
fn words(cell: &Cell) -> String {
    let line = |line: &show::Line| {
        let values = line.values.iter().map(|it| format!("{} {} {}", it.name, it.text, it.unit));
        let parts: Vec<String> = std::iter::once(line.name.clone()).chain(values).collect();
        parts.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let lines: Vec<String> = cell.lines.iter().map(line).collect();
    if lines.is_empty() { cell.label.clone() } else { lines.join(", ") }
}
