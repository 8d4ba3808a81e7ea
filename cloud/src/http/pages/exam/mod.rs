//! The doctor's exam: every value with its source, by section and by eye.

pub mod actions;
mod carry;
mod compare;
pub mod correct;
pub mod images;
pub mod letter;
pub mod notes;
pub mod record;
pub mod refraction;
pub mod sheet;
pub mod sign;

use super::{
    Fault, Names, Web, Who,
    frame::{Frame, page},
    history::{Zones, plots},
    preferences,
    visit::Visit,
};
use crate::{
    app::{about, local_time, look},
    clock,
    domain::{optics::Notation, sheet::Test},
    http::plot::Plot,
    http::show::{self, Group, ReadingView, Section},
    store::{
        audit::About, encounter, exam, exam_entry, history, patient, site, visit_note, waiting,
    },
};
use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use jiff::tz::TimeZone;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "exam.html")]
struct ExamPage {
    frame: Frame,
    visit: Visit,
    location_name: String,
    here: String,
    sections: Vec<SectionView>,
    /// Distances and the like that come without a section of their own stay in `sections`; what
    /// has no values at all is listed here.
    readings: Vec<ReadingView>,
    pending: usize,
    acceptable: usize,
    others: Vec<Visit>,
    location_id: String,
    not_taken: Vec<Note>,
    drops: Vec<Note>,
    tests: [Test; 6],
    accession: String,
    patient_id: String,
    notation: Notation,
    compare: compare::Comparison,
    /// Pressures of this and the last visits.
    trend: Option<Plot>,
    /// Measured while this patient was in the lane, but not filed here: shown without its values.
    held: Vec<ReadingView>,
    history: Vec<String>,
    record: record::RecordView,
    carry: carry::CarryView,
    pictures: images::ImagesView,
}

struct SectionView {
    section: Section,
    /// What is offered first: of each kind and method the latest that is not rejected.
    current: Vec<Entry>,
    minor: Vec<Entry>,
    earlier: Vec<Entry>,
}

/// A note of the visit in words.
struct Note {
    id: String,
    text: String,
}

/// A group of a reading.
#[derive(Clone)]
struct Entry {
    key: String,
    group: Group,
    reading: ReadingView,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ask {
    /// The column that the comparison measures against.
    base: String,
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Query(ask): Query<Ask>,
) -> Result<Response, Fault> {
    let now_us = clock::now_us();
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let found = encounter::by_id(&mut tx, &who.tenant, &id).await?;
    let found = found.ok_or_else(|| Fault::not_found("exam"))?;
    let location = site::location(&mut tx, &who.tenant, &found.location_id).await?;
    let location = location.ok_or_else(|| Fault::not_found("location"))?;
    let zone = local_time::zone(&location.time_zone);
    let names = Names::load(&mut tx, &who.tenant).await?;
    let rows = exam::readings(&mut tx, &who.tenant, &id).await?;
    let moved_out = exam::moved_out(&mut tx, &who.tenant, &id).await?;
    let versions = exam::versions(&mut tx, &who.tenant, &id).await?;
    let held = waiting::held_of_encounter(&mut tx, &who.tenant, &id).await?;
    let not_taken = visit_note::not_taken(&mut tx, &who.tenant, &id).await?;
    let drops = visit_note::drops(&mut tx, &who.tenant, &id).await?;
    let position =
        history::Position { scheduled_at_us: found.scheduled_at_us, encounter_id: id.clone() };
    let survivor = patient::survivor(&mut tx, &who.tenant, &found.patient_id).await?;
    let earlier = history::earlier(&mut tx, &who.tenant, &survivor, &position).await?;
    let written = exam_entry::found_until(&mut tx, &who.tenant, &survivor, &position).await?;
    let notation = preferences::notation(&mut tx, &who).await?;
    let locations = site::locations(&mut tx, &who.tenant).await?;
    let of_day = encounter::of_day(&mut tx, &who.tenant, &found.location_id, &found.visit_date);
    let of_day = of_day.await?;
    let record = record::RecordView::load(&mut tx, &who, (&id, &rows), (&zone, &names)).await?;
    let pictures = images::ImagesView::load(&mut tx, &who, &id, &zone).await?;
    let carry = carry::CarryView::load(&mut tx, &who, (&found, &rows), (&zone, &names)).await?;
    drop(tx);
    let typed = record.kinds();
    let shown = rows.iter().chain(&earlier).flat_map(|row| about::kinds_of(&row.body)).chain(typed);
    let shown = shown.chain(pictures.kind());
    let about = About::exam(&id).kinds(shown);
    look::look_at(&web.core.db, &who, ("exam_seen", &id), about, now_us).await?;
    let view = |row| {
        let name_of = |account: &str| names.of(account);
        let mut view = show::reading_in(notation, row, &zone, now_us, name_of);
        show::drops::mark(&mut view, &drops, &zone);
        view
    };
    let mut readings: Vec<ReadingView> = rows.iter().map(view).collect();
    compare::note_differences(&mut readings, &rows, &earlier, (&found, &zone), notation);
    let mut sources = compare::sources(&rows, &id);
    sources.extend(compare::sources(&earlier, &id));
    sources.extend(compare::typed_sources(&written, &id, &names));
    // Axes are in the time of the place of this visit.
    let here = (found.location_id.clone(), location.time_zone.as_str());
    let others = locations.iter().map(|it| (it.location_id.clone(), it.time_zone.as_str()));
    let zones = Zones::new([here].into_iter().chain(others));
    let changes = changes(&moved_out, &versions, &id, (&zone, &names));
    let pending = readings.iter().filter(|reading| reading.is("pending"));
    let others = of_day.iter().filter(|it| it.encounter_id != id);
    page(ExamPage {
        frame: Frame::new("Exam", Some(&who), &format!("encounter={id}")),
        visit: Visit::new(&found, &zone),
        location_name: location.name,
        here: format!("/exams/{id}"),
        sections: sections(&readings),
        pending: pending.clone().count(),
        acceptable: pending.filter(|reading| !reading.needs_a_look).count(),
        location_id: found.location_id.clone(),
        held: held.iter().map(view).collect(),
        others: others.map(|it| Visit::new(it, &zone)).collect(),
        patient_id: survivor,
        notation,
        compare: compare::comparison(&sources, notation, &zone, &ask.base),
        trend: plots::pressure_beside(&rows, &earlier, &zones),
        readings,
        history: changes,
        not_taken: not_taken.iter().map(|it| not_taken_note(it, &zone, &names)).collect(),
        drops: drops.iter().map(|it| drops_note(it, &zone, &names)).collect(),
        tests: Test::ALL,
        accession: found.accession.clone().unwrap_or_default(),
        record,
        carry,
        pictures,
    })
}

fn not_taken_note(it: &visit_note::NotTaken, zone: &TimeZone, names: &Names) -> Note {
    let test = Test::parse(&it.test).map_or_else(|| it.test.clone(), |test| test.title().into());
    let (time, by) = (show::hours_and_minutes(it.noted_at_us, zone), names.of(&it.noted_by));
    let text = format!("{test} {} not taken: {} ({by} {time})", it.eye, it.reason);
    Note { id: it.not_taken_id.clone(), text }
}

fn drops_note(it: &visit_note::Drops, zone: &TimeZone, names: &Names) -> Note {
    let time = show::hours_and_minutes(it.given_at_us, zone);
    let text = format!("{} given {time} (noted by {})", it.agent, names.of(&it.noted_by));
    Note { id: it.drops_id.clone(), text }
}

fn sections(readings: &[ReadingView]) -> Vec<SectionView> {
    let mut sections = Vec::new();
    for section in Section::ALL {
        let mut view = SectionView { section, current: vec![], minor: vec![], earlier: vec![] };
        for reading in readings {
            let groups = reading.groups.iter().enumerate();
            for (index, group) in groups.filter(|(_, group)| group.section == section) {
                let key = format!("{}-{index}", reading.id);
                let entry = Entry { key, group: group.clone(), reading: reading.clone() };
                // Readings come latest first, so the first of a title is the one to offer.
                let has_newer = view
                    .current
                    .iter()
                    .any(|it| it.group.title == group.title && it.reading.id != reading.id);
                if group.is_minor {
                    view.minor.push(entry);
                } else if has_newer || reading.is("rejected") {
                    view.earlier.push(entry);
                } else {
                    view.current.push(entry);
                }
            }
        }
        if !(view.current.is_empty() && view.earlier.is_empty() && view.minor.is_empty()) {
            sections.push(view);
        }
    }
    sections
}

/// What was moved, filed by hand and taken back, in words and in order.
fn changes(
    moved_out: &[(String, String, i64, String, String)],
    versions: &[exam::Version],
    encounter: &str,
    (zone, names): (&TimeZone, &Names),
) -> Vec<String> {
    let mut lines: Vec<(i64, String)> = Vec::new();
    for (_, model, at_us, by, why) in moved_out {
        let time = show::hours_and_minutes(*at_us, zone);
        lines.push((*at_us, format!("{model} moved out {time} by {}: {why}", names.of(by))));
    }
    for version in versions {
        let is_leaving = version.encounter_id.as_deref() == Some(encounter);
        let was_in_this = is_leaving && version.place == "exam";
        let was_moved_out = moved_out.iter().any(|(id, ..)| *id == version.reading_id);
        if was_moved_out {
            continue;
        }
        let (time, by) = (
            show::hours_and_minutes(version.superseded_at_us, zone),
            names.of(&version.superseded_by),
        );
        let why = &version.superseded_why;
        let line = match (was_in_this, version.place.as_str()) {
            (true, _) => format!("{time} {by}: {why} (was {})", version.acceptance),
            (false, "exam") => format!("{time} {by} moved a reading in: {why}"),
            (false, place) => format!("{time} {by} filed a reading from the {place}: {why}"),
        };
        lines.push((version.superseded_at_us, line));
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}
