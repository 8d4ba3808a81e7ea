//! One instance on the page: its picture with what has to be known to read it.

use super::{Ask, Image, stack::Stack, store};
use crate::{
    http::{Fault, Web, Who, show},
    imaging::{
        Header,
        header::{PixelFormat, Window},
        pictures::ViewError,
    },
};
use chiasm_proto::Eye;
use std::collections::HashSet;

pub struct Pane {
    pub id: String,
    /// `OD`, `OS`, `OU`, or `–`.
    pub eye: &'static str,
    /// The eye in words, for those who listen.
    pub eye_words: &'static str,
    pub title: String,
    /// When, where, by what.
    pub facts: Vec<String>,
    /// What has to be known before the picture is trusted.
    pub marks: Vec<String>,
    /// Why there is no picture.
    pub trouble: Option<String>,
    pub is_document: bool,
    pub frames: usize,
    /// The frame that is shown first, from 1.
    pub frame: usize,
    /// Path of frames; the number goes behind it.
    pub frames_path: String,
    /// Query of the window that was asked for, with its question mark.
    pub query: String,
    pub columns: u32,
    pub rows: u32,
    /// Size of the picture with square pixels, in its rows' heights.
    pub wide: String,
    pub high: String,
    pub window: Option<WindowView>,
    pub map: Option<Map>,
}

/// The window as it stands in the inputs.
pub struct WindowView {
    pub center: String,
    pub width: String,
    /// Of the instance as it is meant.
    pub first_center: String,
    pub first_width: String,
}

/// The picture of the fundus on which the scans lie.
pub struct Map {
    pub id: String,
    pub title: String,
    pub wide: String,
    pub high: String,
    /// For every displayed frame its points as `x,y x,y`, separated by `|`.
    pub lines: String,
    /// All lines as paths, faint.
    pub all: Vec<String>,
    /// The shown one.
    pub line: String,
}

/// Another instance of the visit, as a link with its picture.
pub struct Shelf {
    pub id: String,
    pub label: String,
    pub eye: &'static str,
    pub has_picture: bool,
    pub is_document: bool,
    pub is_shown: bool,
}

/// What is most often wanted beside an image.
pub struct Quick {
    pub id: String,
    pub label: &'static str,
}

/// Most faint lines on a map; more would hide it.
const FAINT_LINES_MAX: usize = 64;

impl Pane {
    pub async fn load(
        web: &Web,
        who: &Who,
        id: &str,
        (images, ask): (&[Image], &Ask),
    ) -> Result<Self, Fault> {
        let stack = Stack::load(web, who, id).await?;
        let opened = &stack.parts[0].opened;
        let header = &opened.header;
        let frames = stack.frames();
        let frame = ask.frame.unwrap_or(frames / 2 + 1).clamp(1, frames.max(1));
        let asked = ask.window()?;
        let store = store(web)?;
        let pictures = &web.core.pictures;
        // Made now, so that the page says what is wrong and the browser finds the picture ready.
        let made = match &header.document {
            Some(_) if header.pixels.is_none() => None,
            _ => {
                let (part, place) = stack.find(frame).unwrap_or((&stack.parts[0], frame));
                let name = (who.tenant.as_str(), part.id.as_str());
                let window = stack.window(web, asked).await.unwrap_or(asked);
                Some(pictures.frame(&store, name, &part.opened, (place, window)).await)
            }
        };
        let trouble = match &made {
            Some(Err(error @ ViewError::NotShown(_))) => Some(error.to_string()),
            Some(Err(error)) => {
                tracing::warn!(error = %error, "no picture of an instance");
                Some("The picture could not be made just now. Try again.".to_owned())
            }
            _ => None,
        };
        let window = match (&trouble, &header.pixels) {
            (None, Some(_)) => {
                let first = pictures.first_window(&store, opened).await?;
                Some(WindowView::new(asked.unwrap_or(first), first))
            }
            _ => None,
        };
        let format = header.pixels.clone().unwrap_or_default();
        let (wide, high) = size(header, &format);
        Ok(Pane {
            id: id.to_owned(),
            eye: header.laterality.eye.abbreviation(),
            eye_words: eye_words(header.laterality.eye),
            title: title(header),
            facts: facts(header, frames),
            marks: stack
                .what_is_missing()
                .into_iter()
                .chain(marks(header, trouble.is_none()))
                .collect(),
            is_document: header.document.is_some(),
            frames: if trouble.is_some() { 0 } else { frames },
            frame,
            frames_path: match stack.parts.len() {
                1 => format!("/instances/{id}/frames/"),
                parts => format!("/instances/{id}/frames/{parts}-"),
            },
            query: asked
                .map(|it| format!("?center={}&width={}", it.center, it.width))
                .unwrap_or_default(),
            columns: format.columns.into(),
            rows: format.rows.into(),
            wide: short(wide),
            high: short(high),
            window,
            map: map(&stack, images, frame),
            trouble,
        })
    }

    pub fn is_stack(&self) -> bool {
        self.frames > 1
    }
}

impl WindowView {
    fn new(now: Window, first: Window) -> Self {
        WindowView {
            center: short(now.center),
            width: short(now.width),
            first_center: short(first.center),
            first_width: short(first.width),
        }
    }
}

/// Width and height with square pixels.
fn size(header: &Header, format: &PixelFormat) -> (f64, f64) {
    (f64::from(format.columns) * header.pixel_aspect(), f64::from(format.rows))
}

fn eye_words(eye: Eye) -> &'static str {
    match eye {
        Eye::Right => "right eye",
        Eye::Left => "left eye",
        Eye::Both => "both eyes",
        Eye::NotGiven => "eye not given",
    }
}

/// `OD OCT volume Macula cube`.
pub fn name(header: &Header) -> String {
    let eye = header.laterality.eye.abbreviation();
    format!(
        "{eye} {}{}",
        title(header),
        acquired(header).map_or(String::new(), |at| format!(", {at}"))
    )
}

fn title(header: &Header) -> String {
    let described = header.series_description.as_deref().or(header.protocol.as_deref());
    match described {
        Some(described) => format!("{} · {described}", header.kind.label()),
        None => header.kind.label().to_owned(),
    }
}

fn acquired(header: &Header) -> Option<String> {
    let at = header.acquired_at?;
    Some(format!("{} {:02}:{:02}", show::date(&at.date().to_string()), at.hour(), at.minute()))
}

fn facts(header: &Header, frames: usize) -> Vec<String> {
    let by = [&header.manufacturer, &header.model].map(|it| it.as_deref().unwrap_or(""));
    let by = by.join(" ").trim().to_owned();
    let size = header.pixels.as_ref().map(|format| {
        let what = if frames > 1 { format!("{frames} frames of ") } else { String::new() };
        format!("{what}{} × {} pixels", format.columns, format.rows)
    });
    let extent = header.spacing.zip(header.pixels.as_ref()).map(|(spacing, format)| {
        let wide = spacing.column_mm * f64::from(format.columns);
        let high = spacing.row_mm * f64::from(format.rows);
        format!("{wide:.1} × {high:.1} mm")
    });
    [
        acquired(header).map(|at| format!("{at} by the imager's clock")),
        (!by.is_empty()).then_some(by),
        header.region.clone(),
        size,
        extent,
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn marks(header: &Header, is_shown: bool) -> Vec<String> {
    let mut marks = Vec::new();
    match &header.laterality.disagreement {
        Some(what) => marks.push(format!("It contradicts itself about the eye: {what}.")),
        None if header.laterality.eye == Eye::NotGiven => {
            marks.push("It does not say which eye it shows.".to_owned());
        }
        None => {}
    }
    if header.lossy == Some(true) {
        marks.push("Compressed with loss by the imager: fine detail may be missing.".to_owned());
    }
    if header.burned_in == Some(true) {
        marks.push("Names or dates may be written into the picture itself.".to_owned());
    }
    if is_shown && header.kind.is_oct() && header.spacing.is_none() {
        marks.push(
            "The size of its pixels is not given: heights and widths are not to scale.".to_owned(),
        );
    }
    marks
}

/// The picture among the patient's images on which most of the frames lie.
fn map(stack: &Stack, images: &[Image], frame: usize) -> Option<Map> {
    let locations = stack.parts.iter().flat_map(|part| &part.opened.header.frame_locations);
    let found = locations.into_iter().find_map(|location| {
        let on = &location.sop_instance_uid;
        images.iter().find(|(row, header)| row.sop_instance_uid == *on && header.pixels.is_some())
    });
    let (row, header) = found?;
    let format = header.pixels.as_ref()?;
    let (wide, high) = size(header, format);
    let aspect = header.pixel_aspect();
    // Stored as row and column of the pixel's middle, drawn as x and y.
    let path = |points: &[f32]| {
        let pairs = points.as_chunks::<2>().0.iter();
        let pair = |[row, column]: &[f32; 2]| {
            format!(
                "{},{}",
                short((f64::from(*column) + 0.5) * aspect),
                short(f64::from(*row) + 0.5)
            )
        };
        pairs.map(pair).collect::<Vec<_>>().join(" ")
    };
    let lines: Vec<String> = stack.lines_on(&row.sop_instance_uid).into_iter().map(path).collect();
    let step = lines.len().div_ceil(FAINT_LINES_MAX).max(1);
    Some(Map {
        id: row.instance_id.clone(),
        title: title(header),
        wide: short(wide),
        high: short(high),
        all: lines.iter().step_by(step).filter(|line| !line.is_empty()).cloned().collect(),
        line: lines.get(frame - 1).cloned().unwrap_or_default(),
        lines: lines.join("|"),
    })
}

/// The images of one visit.
pub fn shelf(images: &[Image], encounter: &str, shown: &str) -> Vec<Shelf> {
    let stack_of = |header: &Header| header.concatenation_uid.clone();
    let shown_stack = images.iter().find(|(row, _)| row.instance_id == shown);
    let shown_stack = shown_stack.and_then(|(_, header)| stack_of(header));
    let mut stacks = HashSet::new();
    images
        .iter()
        .filter(|(row, _)| row.encounter_id == encounter)
        // Parts of a concatenation are one image.
        .filter(|(_, header)| stack_of(header).is_none_or(|uid| stacks.insert(uid)))
        .map(|(row, header)| Shelf {
            id: row.instance_id.clone(),
            label: title(header),
            eye: header.laterality.eye.abbreviation(),
            has_picture: crate::imaging::pictures::why_not(header).is_none()
                && header.pixels.is_some(),
            is_document: header.document.is_some(),
            is_shown: row.instance_id == shown
                || (shown_stack.is_some() && stack_of(header) == shown_stack),
        })
        .collect()
}

/// The other eye of the same visit, and the same eye of the visit before, of the same kind.
pub fn quick(images: &[Image], shown: &str) -> Vec<Quick> {
    let Some(at) = images.iter().position(|(row, _)| row.instance_id == shown) else {
        return Vec::new();
    };
    let (row, header) = &images[at];
    let is_like = |(_, other): &&Image| other.kind == header.kind && other.pixels.is_some();
    let (eye, of_visit) = (header.laterality.eye, row.encounter_id.as_str());
    let fellow = match eye {
        Eye::Right => Some(Eye::Left),
        Eye::Left => Some(Eye::Right),
        _ => None,
    };
    let is_of = |eye| move |(_, other): &&Image| other.laterality.eye == eye;
    let of_fellow = fellow.and_then(|fellow| {
        let same_visit = |(row, _): &&Image| row.encounter_id == of_visit;
        images.iter().filter(same_visit).filter(is_like).find(is_of(fellow))
    });
    // The latest visit stands first.
    let before = |(row, _): &&Image| row.encounter_id != of_visit;
    let of_last = images[at..].iter().filter(before).filter(is_like).find(is_of(eye));
    [("Beside the other eye", of_fellow), ("Beside the last visit", of_last)]
        .into_iter()
        .filter_map(|(label, found)| Some(Quick { id: found?.0.instance_id.clone(), label }))
        .collect()
}

/// Without digits that nobody reads.
fn short(number: f64) -> String {
    let rounded = (number * 100.0).round() / 100.0;
    rounded.to_string()
}
