//! Images as pages list them: by series, in plain words, with what is only expected or arriving.

use super::{date_and_time, hours_and_minutes};
use crate::{
    imaging::{Header, header::ImageKind},
    store::{instance::InstanceRow, procedure_step::StepRow, upload::UploadRow},
};
use jiff::{civil::DateTime, tz::TimeZone};
use std::collections::{HashMap, HashSet};

/// Tiles of one series; the viewer leads to the others.
const TILES_MAX: usize = 12;

/// A series, or what of it lies in one place for one reason.
#[derive(Debug, Clone)]
pub struct SeriesView {
    /// Identifier of its first instance.
    pub id: String,
    pub version: i64,
    /// `OCT volume`, with the description that the instrument gave.
    pub title: String,
    pub description: String,
    /// `OD`, `OS`, `OU`, or empty.
    pub eye: &'static str,
    pub disagreement: String,
    /// By the imager's clock.
    pub acquired: String,
    pub instrument: String,
    /// `128 frames`, `3 images`.
    pub amount: String,
    pub is_late: bool,
    pub is_lossy: bool,
    pub is_burned_in: bool,
    pub contradicts: bool,
    pub place: String,
    pub reason: String,
    /// What the data says of the patient.
    pub claimed: String,
    pub birth_date: String,
    pub received_at_us: i64,
    pub tiles: Vec<Tile>,
    /// Instances without a tile.
    pub more: usize,
}

#[derive(Debug, Clone)]
pub struct Tile {
    pub id: String,
    pub has_picture: bool,
    /// For those who do not see the picture.
    pub label: String,
}

impl SeriesView {
    pub fn is_held(&self) -> bool {
        self.place == "held"
    }
    pub fn is_quarantined(&self) -> bool {
        self.place == "quarantined"
    }
    /// One line for paper.
    pub fn line(&self) -> String {
        let parts =
            [&self.title, &self.description, &self.acquired, &self.amount, &self.instrument];
        let parts: Vec<&str> =
            parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        parts.join(", ")
    }
}

/// What an imager or a gateway has told of, and the exam does not hold yet (D7).
#[derive(Debug, Clone)]
pub struct Expected {
    pub id: String,
    pub words: String,
    pub link: String,
}

/// Rows by series, in the order in which each began. What people decide about separately stands
/// apart.
pub fn series(rows: &[InstanceRow]) -> Vec<SeriesView> {
    let mut places: HashMap<_, usize> = HashMap::new();
    let mut groups: Vec<Vec<InstanceRow>> = Vec::new();
    for row in rows {
        let of_itself = (row.place == "quarantined").then_some(&row.instance_id);
        let patient = (&row.patient_id, &row.birth_date);
        let key = (&row.series_instance_uid, &row.place, row.is_late, patient, of_itself);
        let at = *places.entry(key).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[at].push(row.clone());
    }
    groups.iter().filter_map(|group| view(group)).collect()
}

fn view(rows: &[InstanceRow]) -> Option<SeriesView> {
    let first = rows.first()?;
    let headers: Vec<Header> =
        rows.iter().map(|row| serde_json::from_str(&row.header).unwrap_or_default()).collect();
    let header = headers.first()?;
    let title = match first.place.as_str() {
        "quarantined" => "Unreadable object".to_owned(),
        _ => header.kind.label().to_owned(),
    };
    let any = |is: fn(&Header) -> Option<bool>| headers.iter().any(|it| is(it) == Some(true));
    let instrument = [&header.manufacturer, &header.model].map(|it| it.as_deref().unwrap_or(""));
    let instrument = instrument.join(" ").trim().to_owned();
    let images = images(rows);
    let shown: Vec<_> = rows
        .iter()
        .zip(&headers)
        .filter(|(row, _)| images.iter().any(|it| *it == row.instance_id))
        .collect();
    let tiles = shown.iter().take(TILES_MAX).enumerate();
    let tiles = tiles.map(|(at, (row, header))| Tile {
        id: row.instance_id.clone(),
        has_picture: header.pixels.is_some() && row.place != "quarantined",
        label: format!("{} {} of {}", eye(&first.eye), at + 1, shown.len()).trim().to_owned(),
    });
    Some(SeriesView {
        id: first.instance_id.clone(),
        version: first.version,
        title,
        description: header.series_description.clone().unwrap_or_default(),
        eye: eye(&first.eye),
        disagreement: rows.iter().find_map(|row| row.eye_disagreement.clone()).unwrap_or_default(),
        acquired: first.acquired_at.as_deref().map(acquired).unwrap_or_default(),
        instrument: if instrument.is_empty() { first.calling_ae.clone() } else { instrument },
        amount: amount(rows, header.kind),
        is_late: first.is_late,
        is_lossy: any(|it| it.lossy),
        is_burned_in: any(|it| it.burned_in),
        contradicts: rows.iter().any(|row| row.contradicts.is_some()),
        place: first.place.clone(),
        reason: first.reason.clone(),
        claimed: first.patient_id.clone(),
        birth_date: first.birth_date.as_deref().map(super::date).unwrap_or_default(),
        received_at_us: first.received_at_us,
        tiles: tiles.collect(),
        more: shown.len().saturating_sub(TILES_MAX),
    })
}

/// `OD` for the standard's letter.
pub fn eye(letter: &str) -> &'static str {
    match letter {
        "R" => "OD",
        "L" => "OS",
        "B" => "OU",
        _ => "",
    }
}

/// As the imager's clock said it: `23 Nov 2026, 10:03`.
fn acquired(text: &str) -> String {
    let parsed: Result<DateTime, _> = text.parse();
    parsed.map_or_else(|_| text.to_owned(), |at| at.strftime("%-d %b %Y, %H:%M").to_string())
}

/// The instances that stand for an image each: parts of a concatenation are one.
fn images(rows: &[InstanceRow]) -> Vec<&str> {
    let mut seen = HashSet::new();
    rows.iter()
        .filter(|row| seen.insert(row.concatenation_uid.as_deref().unwrap_or(&row.instance_id)))
        .map(|row| row.instance_id.as_str())
        .collect()
}

fn amount(rows: &[InstanceRow], kind: ImageKind) -> String {
    let frames: i64 = rows.iter().map(|row| row.frames).sum();
    let many = |count: i64, one: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    };
    let images = i64::try_from(images(rows).len()).unwrap_or(i64::MAX);
    match (frames, images) {
        (0, _) if kind == ImageKind::Pdf => many(images, "document"),
        (0, _) => many(images, "object"),
        (frames, images) if frames > images => match images {
            1 => many(frames, "frame"),
            images => format!("{} in {}", many(frames, "frame"), many(images, "image")),
        },
        (_, images) => many(images, "image"),
    }
}

/// What is expected by the word of imagers, but for what is there already.
pub fn expected(steps: &[StepRow], rows: &[InstanceRow], zone: &TimeZone) -> Vec<Expected> {
    let view = |step: &StepRow| Expected {
        id: step.step_uid.clone(),
        words: match step.status.as_str() {
            "completed" => format!(
                "Expected \u{2013} acquired {}, waiting",
                hours_and_minutes(step.said_at_us, zone)
            ),
            _ => format!(
                "Expected \u{2013} being acquired since {}",
                hours_and_minutes(step.begun_at_us, zone)
            ),
        },
        link: step.link_id.clone(),
    };
    steps.iter().filter(|step| step.is_waited_for(rows)).map(view).collect()
}

/// What is on its way from a gateway.
pub fn arriving(uploads: &[UploadRow], zone: &TimeZone) -> Vec<Expected> {
    let view = |row: &UploadRow| {
        let percent = row.received_bytes.saturating_mul(100) / row.len_bytes.max(1);
        let offer: Option<chiasm_proto::InstanceOffer> = serde_json::from_str(&row.offer).ok();
        let at_us = offer.as_ref().map(|it| it.received_at.as_microsecond());
        Expected {
            id: row.sha256.chars().take(12).collect(),
            words: format!(
                "Arriving, {percent} % of {} MB; at the gateway since {}. Whose it is, is not \
                 certain before it is here.",
                row.len_bytes / 1_000_000,
                date_and_time(at_us.unwrap_or(row.offered_at_us), zone)
            ),
            link: offer.map(|it| it.link.to_string()).unwrap_or_default(),
        }
    };
    uploads.iter().map(view).collect()
}
