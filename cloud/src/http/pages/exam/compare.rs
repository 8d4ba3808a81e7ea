//! What the patient wears, what was measured and what was found, side by side in one notation (D3),
//! and what differs from the last visit (D11).

use crate::{
    domain::{
        comparison::{self, Vertex},
        optics::Notation,
        prescription::Prescription,
        sample::{Kind, Lens, Sample, Value, samples},
    },
    http::{
        pages::Names,
        show::{self, ReadingView},
    },
    store::{encounter::Encounter, exam::ReadingRow, exam_entry::Found},
};
use chiasm_proto::Eye;
use jiff::tz::TimeZone;

/// One refraction of one eye, wherever it comes from: an instrument, or what a person typed.
#[derive(Debug, Clone)]
pub struct Source {
    /// `autorefraction`: for links and for choosing the base.
    pub key: String,
    /// `Autorefraction`.
    pub title: String,
    /// The visit; values of different visits never stand in one column.
    pub encounter_id: String,
    pub is_of_this_visit: bool,
    pub at_us: i64,
    /// `NIDEK ARK-1a`.
    pub from: String,
    pub is_accepted: bool,
    pub eye: Eye,
    pub lens: Lens,
}

/// What the panel shows. No columns: there is nothing to compare.
#[derive(Debug, Default)]
pub struct Comparison {
    pub columns: Vec<Column>,
    /// The key of the column that the others are measured against.
    pub base: String,
    pub base_title: String,
    pub notation: &'static str,
    /// The person reads values as sent, which cannot be compared.
    pub is_forced: bool,
}

#[derive(Debug)]
pub struct Column {
    pub key: String,
    pub title: String,
    pub date: String,
    pub from: String,
    pub is_accepted: bool,
    pub is_base: bool,
    pub right: Option<Entry>,
    pub left: Option<Entry>,
}

#[derive(Debug)]
pub struct Entry {
    pub text: String,
    pub add: String,
    /// From 4 D on: the distance in front of the eye, or that none was sent.
    pub vertex: String,
    pub sent_as: String,
    pub delta: Option<DeltaView>,
    lens: Lens,
}

/// In words, each with its unit.
#[derive(Debug)]
pub struct DeltaView {
    pub sphere: String,
    pub cylinder: String,
    pub axis: String,
    pub length: String,
    pub note: String,
}

/// The refractions of some rows. A value that stands beside others which the instrument did not
/// choose among is left out: it would stand for the eye.
pub fn sources(rows: &[ReadingRow], this_visit: &str) -> Vec<Source> {
    let rows = rows.iter().filter(|row| row.acceptance != "rejected");
    rows.flat_map(|row| {
        let sent = row.reading_of_patient();
        let measurements = sent.iter().flat_map(|it| samples(&it.decoded.measurements));
        let instrument = sent.as_ref().map(|it| it.decoded.instrument.clone()).unwrap_or_default();
        let from = format!("{} {}", instrument.vendor, instrument.model);
        measurements.filter_map(|it| source(row, &from, this_visit, it)).collect::<Vec<_>>()
    })
    .collect()
}

fn source(row: &ReadingRow, from: &str, this_visit: &str, sample: Sample) -> Option<Source> {
    let Value::Lens(lens) = sample.value else { return None };
    let (key, title) = name(sample.kind)?;
    let encounter_id = row.encounter_id.clone()?;
    if sample.standing.is_shot() {
        return None;
    }
    Some(Source {
        key: key.into(),
        title: title.into(),
        is_of_this_visit: encounter_id == this_visit,
        encounter_id,
        at_us: row.captured_at_us,
        from: from.to_owned(),
        is_accepted: row.acceptance == "accepted",
        eye: sample.eye,
        lens,
    })
}

/// What people wrote: a refraction that nobody has refined says so, a prescription that is not
/// signed is not accepted.
pub fn typed_sources(found: &[Found], this_visit: &str, names: &Names) -> Vec<Source> {
    let mut sources = Vec::new();
    for row in found {
        let Ok(rx) = serde_json::from_str::<Prescription>(&row.body) else { continue };
        let is_final = row.kind == "final";
        for (eye, of_eye) in [(Eye::Right, &rx.right), (Eye::Left, &rx.left)] {
            let Some(lens) = of_eye.lens(rx.vertex_distance_mm) else { continue };
            let mut from = format!("written by {}", names.of(&row.changed_by));
            if !of_eye.untouched().is_empty() {
                from.push_str(", from the autorefractor and not refined");
            }
            sources.push(Source {
                key: row.kind.clone(),
                title: if is_final { "Final" } else { "Subjective" }.into(),
                is_of_this_visit: row.encounter_id == this_visit,
                encounter_id: row.encounter_id.clone(),
                at_us: row.changed_at_us,
                from,
                is_accepted: row.is_signed || !is_final,
                eye,
                lens,
            });
        }
    }
    sources
}

fn name(kind: Kind) -> Option<(&'static str, &'static str)> {
    match kind {
        Kind::Wearing => Some(("wearing", "Wearing")),
        Kind::Autorefraction => Some(("autorefraction", "Autorefraction")),
        Kind::Subjective => Some(("subjective", "Subjective")),
        Kind::Final => Some(("final", "Final")),
        _ => None,
    }
}

/// The key of an autorefraction after drops: another type of reading than one before (R11).
pub const AFTER_DROPS: &str = "autorefraction-after-drops";

/// In the order of the table: this visit's values, and the last ones of what may have been found
/// earlier. A column is chosen as base in the order of [`BASES`] if the person chose none.
const COLUMNS: [(&str, bool); 9] = [
    ("wearing", true),
    ("autorefraction", true),
    (AFTER_DROPS, true),
    ("subjective", true),
    ("final", true),
    ("autorefraction", false),
    (AFTER_DROPS, false),
    ("subjective", false),
    ("final", false),
];
const BASES: [&str; 4] = ["last-final", "last-subjective", "wearing", "last-wearing"];

/// `chosen` is the key of the base column that the person asked for.
pub fn comparison(
    sources: &[Source],
    notation: Notation,
    zone: &TimeZone,
    chosen: &str,
) -> Comparison {
    let common = comparison::common(notation);
    let mut columns: Vec<Column> = Vec::new();
    for (key, of_this) in COLUMNS {
        columns.extend(column(sources, (key, of_this), common, zone));
    }
    if !columns.iter().any(|column| column.key == "wearing") {
        columns.splice(0..0, column(sources, ("wearing", false), common, zone));
    }
    let is_there = |key: &str| columns.iter().any(|column| column.key == key);
    let base = [chosen].into_iter().chain(BASES).find(|key| is_there(key));
    let first = columns.first().map(|column| column.key.clone()).unwrap_or_default();
    let base = base.map_or(first, ToOwned::to_owned);
    let mut it = Comparison {
        base_title: String::new(),
        base,
        notation: common.label(),
        is_forced: notation == Notation::AsSent,
        columns,
    };
    mark_base(&mut it, common);
    it
}

fn mark_base(it: &mut Comparison, notation: Notation) {
    let Some(base) = it.columns.iter_mut().find(|column| column.key == it.base) else { return };
    base.is_base = true;
    it.base_title = format!("{}, {}", base.title, base.date);
    let lens = |entry: &Option<Entry>| entry.as_ref().map(|entry| entry.lens);
    let (right, left) = (lens(&base.right), lens(&base.left));
    for column in it.columns.iter_mut().filter(|column| !column.is_base) {
        for (entry, base) in [(&mut column.right, right), (&mut column.left, left)] {
            if let (Some(entry), Some(base)) = (entry, base) {
                entry.delta = Some(delta(base, entry.lens, notation));
            }
        }
    }
}

fn column(
    sources: &[Source],
    (key, of_this): (&str, bool),
    notation: Notation,
    zone: &TimeZone,
) -> Option<Column> {
    let of_kind = || sources.iter().filter(|it| it.key == key && it.is_of_this_visit == of_this);
    let newest = of_kind().max_by_key(|it| it.at_us)?;
    let of_eye = |eye| {
        let same = of_kind().filter(|it| it.encounter_id == newest.encounter_id && it.eye == eye);
        same.max_by_key(|it| it.at_us)
    };
    let (right, left) = (of_eye(Eye::Right), of_eye(Eye::Left));
    let used: Vec<&Source> = [right, left].into_iter().flatten().collect();
    let first = used.first()?;
    let mut from: Vec<&str> = used.iter().map(|it| it.from.as_str()).collect();
    from.dedup();
    let title = if of_this { first.title.clone() } else { format!("Last {}", first.title) };
    let is_accepted = used.iter().all(|it| it.is_accepted);
    Some(Column {
        key: if of_this { key.into() } else { format!("last-{key}") },
        title,
        date: show::date_of(first.at_us, zone),
        from: from.join(", "),
        is_accepted,
        is_base: false,
        right: right.map(|it| entry(it.lens, notation)),
        left: left.map(|it| entry(it.lens, notation)),
    })
}

fn entry(lens: Lens, notation: Notation) -> Entry {
    let (power, is_turned) = lens.power.written_in(notation);
    let vertex = match lens.vertex_distance_mm {
        _ if !power.is_strong() => String::new(),
        Some(mm) => format!("VD {} mm", show::short(mm)),
        None => "VD not given".into(),
    };
    let sent_as = if is_turned { show::power(lens.power) } else { String::new() };
    Entry {
        text: show::power(power),
        add: lens.add.map(|add| format!("{add:+}")).unwrap_or_default(),
        vertex,
        sent_as,
        delta: None,
        lens,
    }
}

fn delta(base: Lens, other: Lens, notation: Notation) -> DeltaView {
    let delta = comparison::delta(base, other, notation);
    let mm = show::short;
    DeltaView {
        sphere: format!("{:+}", delta.sphere),
        cylinder: format!("{:+}", delta.cylinder),
        axis: delta.axis_deg.map_or_else(|| "\u{2013}".into(), |axis| format!("{axis}\u{b0}")),
        length: delta.length.map_or_else(|| "\u{2013}".into(), |length| format!("{length:.2}")),
        note: match delta.vertex {
            Vertex::Alike => String::new(),
            Vertex::Converted { from_mm, to_mm } => {
                format!("converted from VD {} to {} mm", mm(from_mm), mm(to_mm))
            }
            Vertex::NotKnown => "VD not given: compared as it stands".into(),
        },
    }
}

/// Notes at values of this visit that are [`comparison::DIFFERS_FROM`] or more away from the last
/// visit's of the same type: two facts, nothing more (D11).
pub fn note_differences(
    views: &mut [ReadingView],
    rows: &[ReadingRow],
    earlier: &[ReadingRow],
    (it, zone): (&Encounter, &TimeZone),
    notation: Notation,
) {
    let earlier = sources(earlier, &it.encounter_id);
    for (view, row) in views.iter_mut().zip(rows) {
        for now in sources(std::slice::from_ref(row), &it.encounter_id) {
            let same = earlier.iter().filter(|was| was.key == now.key && was.eye == now.eye);
            let Some(was) = same.max_by_key(|was| was.at_us) else { continue };
            if !comparison::differs(was.lens, now.lens) {
                continue;
            }
            let value = show::power(was.lens.power.written_in(notation).0);
            let date = show::date_of(was.at_us, zone);
            let title = if now.key == "wearing" { "Lensmeter" } else { now.title.as_str() };
            let group = view.groups.iter_mut().find(|group| group.title == title);
            let cell = group.and_then(|group| match now.eye {
                Eye::Right => group.right.as_mut(),
                Eye::Left => group.left.as_mut(),
                _ => None,
            });
            if let Some(cell) = cell {
                cell.notes.push(format!("differs from {date} (then {value})"));
            }
        }
    }
}
