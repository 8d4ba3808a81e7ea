//! From a document as sent to what a person sees. Values keep the instrument's sign, notation and
//! step; nothing is computed, averaged or judged here.

pub mod audit;
pub mod drops;
pub mod images;
mod lens;
mod notation;
mod other;
mod refraction;
mod text;
mod values;

use crate::{
    app::local_time,
    domain::{
        correction::{self, Correction, Drops, Purpose},
        optics::Notation,
        sheet::{self, Test},
    },
    store::exam::ReadingRow,
};
use chiasm_proto::{Eye, Measured, Measurement, Reading, RefractionKind};
use jiff::tz::TimeZone;
pub use refraction::power;
pub use text::{age, date, date_and_time, date_of, hours_and_minutes, offset, short, time};

/// Where on the exam page a measurement belongs, in the order of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    Wearing,
    NotWorn,
    Autorefraction,
    Refractor,
    Keratometry,
    Pressure,
    Thickness,
    Biometry,
    Distances,
    Acuity,
    Other,
}

impl Section {
    pub const ALL: [Section; 11] = [
        Section::Wearing,
        Section::NotWorn,
        Section::Autorefraction,
        Section::Refractor,
        Section::Keratometry,
        Section::Pressure,
        Section::Thickness,
        Section::Biometry,
        Section::Distances,
        Section::Acuity,
        Section::Other,
    ];
    pub fn title(self) -> &'static str {
        match self {
            Section::Wearing => "Wearing",
            Section::NotWorn => "Other glasses",
            Section::Autorefraction => "Autorefraction",
            Section::Refractor => "Refractor",
            Section::Keratometry => "Keratometry",
            Section::Pressure => "Eye pressure",
            Section::Thickness => "Corneal thickness",
            Section::Biometry => "Biometry",
            Section::Distances => "Distances",
            Section::Acuity => "Visual acuity",
            Section::Other => "Other tests",
        }
    }
    pub fn remark(self) -> &'static str {
        match self {
            Section::Wearing => "from the lensmeter",
            Section::NotWorn => {
                "checked in for an order, or somebody else's: not what the patient wears"
            }
            Section::Autorefraction => "a starting point, not a prescription",
            Section::Pressure => "by method, as measured",
            Section::Other => "as the instrument sent them",
            Section::Thickness => "central, beside the pressure; nothing is corrected",
            _ => "",
        }
    }
    /// For `id` attributes.
    pub fn slug(self) -> &'static str {
        match self {
            Section::Wearing => "wearing",
            Section::NotWorn => "not-worn",
            Section::Autorefraction => "autorefraction",
            Section::Refractor => "refractor",
            Section::Keratometry => "keratometry",
            Section::Pressure => "pressure",
            Section::Thickness => "thickness",
            Section::Biometry => "biometry",
            Section::Distances => "distances",
            Section::Acuity => "acuity",
            Section::Other => "other",
        }
    }
}

/// A number with its short name before and its unit behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub name: String,
    pub text: String,
    pub unit: &'static str,
}

/// Values that stand on one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    pub name: String,
    pub values: Vec<Value>,
}

/// One repetition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShotLine {
    pub no: String,
    pub text: String,
    /// In the maker's scale: `8 (NIDEK 1-9)`.
    pub confidence: String,
    pub is_low: bool,
    pub error: String,
}

/// What one eye has in one measurement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    /// The first line is the representative value.
    pub lines: Vec<Line>,
    /// What the instrument calls the value: `median`, or `single`, or that it sent none.
    pub label: String,
    pub notes: Vec<String>,
    pub shots: Vec<ShotLine>,
}

impl Cell {
    /// Shots with a value, of all.
    pub fn shots_summary(&self) -> String {
        let with_value = self.shots.iter().filter(|shot| !shot.text.is_empty()).count();
        let low = self.shots.iter().filter(|shot| shot.is_low).count();
        let all = self.shots.len();
        let of = if with_value == all { String::new() } else { format!(" of {all}") };
        let low = if low == 0 { String::new() } else { format!(", {low} low confidence") };
        format!("n = {with_value}{of}{low}")
    }
}

/// One measurement of both eyes, as one instrument sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub section: Section,
    pub title: String,
    pub notes: Vec<String>,
    /// Shown only when asked for: night values, contact-lens equivalents.
    pub is_minor: bool,
    pub right: Option<Cell>,
    pub left: Option<Cell>,
    /// Of both eyes together.
    pub both: Option<Cell>,
    /// Of a side that the instrument did not send.
    pub no_side: Option<Cell>,
}

/// A reading for people.
#[derive(Debug, Clone)]
pub struct ReadingView {
    pub id: String,
    pub version: i64,
    pub instrument: String,
    pub lane: String,
    pub at_us: i64,
    /// Clinic-local.
    pub time: String,
    pub acceptance: String,
    pub needs_a_look: bool,
    /// What a person has to look at before accepting.
    pub flags: Vec<String>,
    /// What is worth knowing but holds nobody up.
    pub remarks: Vec<String>,
    pub unknown_records: Vec<String>,
    pub sent_count: i64,
    pub place: String,
    pub reason: String,
    pub claimed: String,
    pub source: String,
    pub clock_note: String,
    pub changed: String,
    pub change_reason: String,
    pub may_undo: bool,
    pub groups: Vec<Group>,
    /// The document could not be read by this version.
    pub is_unreadable: bool,
    /// Typed by a person (T11).
    pub is_manual: bool,
    /// What people said about it, in words.
    pub corrected: Vec<String>,
    pub correction: Correction,
    /// Values whose side nobody has said.
    pub lacks_side: bool,
    /// Eyes that can be exchanged.
    pub has_sides: bool,
    /// A lens was measured, which has a purpose.
    pub has_lens: bool,
    /// The test that a person may amend, as it is called in URLs.
    pub amendable: Vec<Test>,
}

impl ReadingView {
    pub fn is(&self, acceptance: &str) -> bool {
        self.acceptance == acceptance
    }
    /// In words, beside a mark that is not only a colour.
    pub fn status(&self) -> &'static str {
        match self.acceptance.as_str() {
            "accepted" if self.is_manual => "Typed",
            "accepted" => "Accepted",
            "rejected" => "Rejected",
            _ => "From device, not accepted",
        }
    }
    /// What was measured, in one line.
    pub fn summary(&self) -> String {
        let mut titles: Vec<&str> = self
            .groups
            .iter()
            .filter(|group| !group.is_minor)
            .map(|it| it.title.as_str())
            .collect();
        titles.dedup();
        if titles.is_empty() { "no values".into() } else { titles.join(", ") }
    }
    pub fn iso(&self) -> String {
        iso(self.at_us)
    }
    pub fn at_ms(&self) -> i64 {
        self.at_us / 1000
    }
}

/// A moment for `datetime` attributes.
pub fn iso(at_us: i64) -> String {
    jiff::Timestamp::from_microsecond(at_us).map_or_else(|_| String::new(), |at| at.to_string())
}

/// Makes a reading's view, every value as sent. `name_of` turns an account into its person's name.
pub fn reading(
    row: &ReadingRow,
    zone: &TimeZone,
    now_us: i64,
    name_of: impl Fn(&str) -> String,
) -> ReadingView {
    reading_in(Notation::AsSent, row, zone, now_us, name_of)
}

/// The same with cylinders in a form of writing (R6).
pub fn reading_in(
    notation: Notation,
    row: &ReadingRow,
    zone: &TimeZone,
    now_us: i64,
    name_of: impl Fn(&str) -> String,
) -> ReadingView {
    let sent = row.reading();
    let changed = match (&row.changed_by, row.changed_at_us) {
        (Some(by), Some(at_us)) => format!("{} {}", name_of(by), hours_and_minutes(at_us, zone)),
        _ => String::new(),
    };
    let accepted = match (&row.accepted_by, row.accepted_at_us) {
        (Some(by), Some(at_us)) => format!("{} {}", name_of(by), hours_and_minutes(at_us, zone)),
        _ => changed.clone(),
    };
    let changed = if row.acceptance == "accepted" { accepted } else { changed };
    let mut view = ReadingView {
        id: row.reading_id.clone(),
        version: row.version,
        instrument: String::new(),
        lane: row.lane_name.clone(),
        at_us: row.captured_at_us,
        time: time(row.captured_at_us, zone),
        acceptance: row.acceptance.clone(),
        needs_a_look: row.needs_a_look,
        flags: Vec::new(),
        remarks: Vec::new(),
        unknown_records: Vec::new(),
        sent_count: row.sent_count,
        place: row.place.clone(),
        reason: row.reason.clone(),
        claimed: row.claimed_patient.clone().unwrap_or_default(),
        source: String::new(),
        clock_note: String::new(),
        changed,
        change_reason: row.change_reason.clone().unwrap_or_default(),
        may_undo: crate::app::accept::may_undo(row, now_us),
        groups: Vec::new(),
        is_unreadable: sent.is_none(),
        is_manual: row.is_manual,
        corrected: Vec::new(),
        correction: row.correction().unwrap_or_default(),
        lacks_side: false,
        has_sides: false,
        has_lens: false,
        amendable: Vec::new(),
    };
    if let Some(sent) = sent {
        view.groups = groups_in(notation, &sent.decoded.measurements);
        fill(&mut view, row, &sent, zone);
    }
    view
}

fn fill(view: &mut ReadingView, row: &ReadingRow, sent: &Reading, zone: &TimeZone) {
    let instrument = &sent.decoded.instrument;
    view.instrument = format!("{} {}", instrument.vendor, instrument.model);
    for flag in &sent.decoded.flags {
        let list = if flag.code.needs_a_look() { &mut view.flags } else { &mut view.remarks };
        list.push(flag.detail.clone());
    }
    view.unknown_records =
        sent.decoded.unknown_records.iter().map(|record| record.text.clone()).collect();
    fill_correction(view, sent);
    let is_worn = view.correction.purpose.as_ref().is_none_or(Purpose::is_wearing);
    for group in view.groups.iter_mut().filter(|group| group.section == Section::Wearing) {
        match &view.correction.purpose {
            Some(purpose) => group.notes.insert(0, purpose.label()),
            None => group.notes.insert(0, "purpose not stated".into()),
        }
        if !is_worn {
            group.section = Section::NotWorn;
        }
    }
    view.clock_note = clock_note(sent, row.captured_at_us, zone);
    let serial =
        instrument.serial.as_ref().map_or_else(String::new, |serial| format!(" #{serial}"));
    let mut parts = vec![format!("{}{serial}", view.instrument), view.lane.clone()];
    parts.push(view.time.clone());
    parts.extend(confidence(&view.groups));
    parts.extend(count(&view.groups));
    if view.is_manual {
        parts.push(format!("typed by {}", view.changed));
    } else if view.is("accepted") {
        parts.push(format!("accepted {}", view.changed));
    } else if view.is("rejected") {
        parts.push(format!("rejected {}: {}", view.changed, view.change_reason));
    } else {
        parts.push("not accepted".into());
    }
    parts.push(format!("driver {} {}", sent.driver.id, sent.driver.version));
    let hash: String = sent.raw.sha256.to_string().chars().take(12).collect();
    parts.push(format!("sha256 {hash}\u{2026}"));
    view.source = parts.join(" \u{b7} ");
}

/// What a person said, and what a person may say.
fn fill_correction(view: &mut ReadingView, shown: &Reading) {
    let measurements = &shown.decoded.measurements;
    view.lacks_side = measurements.iter().any(|it| it.eye == Eye::NotGiven);
    view.has_sides = measurements.iter().any(|it| matches!(it.eye, Eye::Right | Eye::Left));
    view.has_lens = measurements.iter().any(|it| matches!(it.measured, Measured::Lensometry(_)));
    let has_values = |test: &Test| !sheet::typed_of(*test, measurements).is_empty();
    view.amendable = Test::ALL.into_iter().filter(has_values).collect();
    let correction = &view.correction;
    if let Some(again) = &correction.decoded_again {
        let (id, version) = (&again.driver.id, &again.driver.version);
        view.corrected.push(format!("its bytes decoded again, with {id} version {version}"));
    }
    if correction.is_swapped {
        view.corrected.push("OD and OS exchanged by a person".into());
    }
    if let Some(eye) = correction.stated_eye {
        view.corrected.push(format!("side stated by a person: {}", eye.abbreviation()));
    }
    if correction.amended.is_some() {
        view.corrected.push("values amended by a person".into());
    }
    match correction.drops {
        Some(Drops::Before) => view.corrected.push("before drops".into()),
        Some(Drops::After) => view.corrected.push("after drops".into()),
        None => {}
    }
    if correction::has_doubtful_base(correction, shown) {
        let flag = "the prism's base, in or out, is as the instrument sent it for the other side: \
            measure the prism again before it is used";
        view.flags.push(flag.into());
    }
}

/// How far the instrument's clock is from the gateway's, which orders (R38).
fn clock_note(sent: &Reading, at_us: i64, zone: &TimeZone) -> String {
    let Some(time) = &sent.decoded.instrument_time else { return String::new() };
    let Some(local) = time.local else {
        return format!("instrument's clock as sent: {}", time.as_sent);
    };
    let captured = local_time::local(at_us, zone);
    let seconds = captured.duration_since(local).as_secs();
    if seconds.abs() <= 120 {
        return String::new();
    }
    let (minutes, word) = (seconds.abs() / 60, if seconds > 0 { "behind" } else { "ahead" });
    if minutes > 24 * 60 {
        return format!("instrument's clock says {}", text::civil(local));
    }
    format!("instrument's clock is {minutes} min {word}")
}

fn confidence(groups: &[Group]) -> Option<String> {
    let cells = groups.iter().filter(|group| !group.is_minor).flat_map(cells);
    let mut seen: Vec<&str> = cells
        .flat_map(|cell| cell.shots.iter().map(|shot| shot.confidence.as_str()))
        .filter(|confidence| !confidence.is_empty())
        .collect();
    seen.sort_unstable();
    seen.dedup();
    match seen[..] {
        [] => None,
        [one] => Some(format!("conf {one}")),
        _ => Some("conf per shot".into()),
    }
}

fn count(groups: &[Group]) -> Option<String> {
    let mut cells = groups.iter().filter(|group| !group.is_minor).flat_map(cells);
    let cell = cells.find(|cell| !cell.shots.is_empty())?;
    Some(cell.shots_summary().replace(" = ", "="))
}

fn cells(group: &Group) -> impl Iterator<Item = &Cell> {
    [&group.right, &group.left, &group.both, &group.no_side].into_iter().flatten()
}

/// Puts the eyes of each test side by side, as sent.
pub fn groups(measurements: &[Measurement]) -> Vec<Group> {
    groups_in(Notation::AsSent, measurements)
}

/// The same with cylinders in a form of writing.
pub fn groups_in(notation: Notation, measurements: &[Measurement]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for measurement in measurements {
        let (measured, transposed) = notation::written_in(notation, &measurement.measured);
        let (mut group, mut cell) = values::cell(&measured, measurement.eye);
        cell.notes.extend(transposed);
        if let (Eye::NotGiven, Some(token)) = (measurement.eye, &measurement.eye_as_sent) {
            cell.notes.push(format!("sent as {token}"));
        }
        group.notes.extend(measurement.data_set.clone());
        if measurement.relayed {
            group.notes.push("passed on from another instrument".into());
        }
        let slot = |group: &Group| match measurement.eye {
            Eye::Right => group.right.is_none(),
            Eye::Left => group.left.is_none(),
            Eye::Both => group.both.is_none(),
            Eye::NotGiven => group.no_side.is_none(),
        };
        let same = groups.iter().position(|it| {
            (it.section, &it.title, &it.notes) == (group.section, &group.title, &group.notes)
                && slot(it)
        });
        let target = match same {
            Some(index) => &mut groups[index],
            None => {
                group.is_minor = measurement.relayed || is_minor(&measurement.measured);
                groups.push(group);
                groups.last_mut().expect("one was pushed")
            }
        };
        match measurement.eye {
            Eye::Right => target.right = Some(cell),
            Eye::Left => target.left = Some(cell),
            Eye::Both => target.both = Some(cell),
            Eye::NotGiven => target.no_side = Some(cell),
        }
    }
    groups.sort_by_key(|group| (group.section, group.is_minor));
    groups
}

fn is_minor(measured: &Measured) -> bool {
    match measured {
        Measured::Refraction(it) => {
            let is_derived = matches!(
                it.kind,
                RefractionKind::ContactLensEquivalent
                    | RefractionKind::TrialLens
                    | RefractionKind::NightMinusDay
            );
            is_derived || it.light == chiasm_proto::refraction::Light::Night
        }
        _ => false,
    }
}
