//! What people wrote into an exam, its signature, addenda and notices, as the exam page shows them.

use super::super::{Fault, Names, Who};
use crate::{
    app::{
        about,
        prescribe::{self, Kind},
        principal::Role,
    },
    domain::prescription::{EyeRx, Field, Prescription, base_word},
    http::show,
    store::{
        Tx,
        exam::ReadingRow,
        exam_entry::{self, Entry},
        notice, signature,
    },
};
use chiasm_proto::{Eye, PrismComponent, RefractionValue};
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Everything beside the readings.
pub struct RecordView {
    pub is_doctor: bool,
    pub subjective: Option<RxView>,
    pub final_rx: Option<RxView>,
    pub acuities: Vec<AcuityRow>,
    pub acuity_by: String,
    /// What the autorefractor offers as a start, by eye.
    pub start_right: Option<String>,
    pub start_left: Option<String>,
    pub subjective_version: i64,
    pub final_version: i64,
    /// Eyes whose values nobody has refined.
    pub untouched: Vec<String>,
    pub signature: Option<SignatureView>,
    pub addenda: Vec<AddendumView>,
    /// What this person was told about this exam and has not seen.
    pub notices: Vec<NoticeView>,
}

impl RecordView {
    /// Kinds of what is shown, for the audit.
    pub fn kinds(&self) -> Vec<String> {
        let kind =
            |is_shown: bool, kind: Kind| is_shown.then(|| about::kind_of_entry(kind.as_str()));
        let kinds = [
            kind(!self.acuities.is_empty(), Kind::Acuity),
            kind(self.subjective.is_some(), Kind::Subjective),
            kind(self.final_rx.is_some(), Kind::Final),
        ];
        kinds.into_iter().flatten().map(ToOwned::to_owned).collect()
    }
}

/// A prescription for people.
#[derive(Debug, Clone)]
pub struct RxView {
    pub right: EyeView,
    pub left: EyeView,
    pub both_acuity: String,
    pub vertex_distance: String,
    pub note: String,
    pub version: i64,
    /// `Dr. Okafor 10:31`.
    pub by: String,
}

#[derive(Debug, Clone, Default)]
pub struct EyeView {
    pub sphere: String,
    pub cylinder: String,
    pub axis: String,
    pub add: String,
    pub prism: String,
    pub acuity: String,
    pub near_acuity: String,
    pub sphere_is_ar: bool,
    pub cylinder_is_ar: bool,
    pub axis_is_ar: bool,
    /// Something here is a person's own.
    pub has_refined: bool,
}

/// One line of the acuities: `Unaided, far`.
pub struct AcuityRow {
    pub label: &'static str,
    pub right: String,
    pub left: String,
    pub both: String,
}

pub struct SignatureView {
    pub text: String,
    pub hash: String,
    /// Readings that are not as they were signed, or came since.
    pub differs: usize,
}

pub struct AddendumView {
    pub id: String,
    pub when: String,
    pub by: String,
    pub is_automatic: bool,
    pub text: String,
}

pub struct NoticeView {
    pub id: String,
    pub when: String,
    pub text: String,
}

impl EyeView {
    pub fn new(rx: &EyeRx) -> Self {
        Self {
            sphere: rx.sphere.map(|it| format!("{it:+}")).unwrap_or_default(),
            cylinder: rx.cylinder.map(|it| format!("{it:+}")).unwrap_or_default(),
            axis: rx.axis_deg.map(|it| format!("{it:03}")).unwrap_or_default(),
            add: rx.add.map(|it| format!("{it:+}")).unwrap_or_default(),
            prism: prism(rx.prism_horizontal, rx.prism_vertical),
            acuity: rx.acuity.clone(),
            near_acuity: rx.near_acuity.clone(),
            sphere_is_ar: rx.is_untouched(Field::Sphere),
            cylinder_is_ar: rx.is_untouched(Field::Cylinder),
            axis_is_ar: rx.is_untouched(Field::Axis),
            has_refined: rx.has_refined(),
        }
    }
    pub fn has_ar(&self) -> bool {
        self.sphere_is_ar || self.cylinder_is_ar || self.axis_is_ar
    }
}

/// `2.50 base in, 2.00 base down`.
fn prism(horizontal: Option<PrismComponent>, vertical: Option<PrismComponent>) -> String {
    let words: Vec<String> = [horizontal, vertical]
        .into_iter()
        .flatten()
        .map(|it| format!("{} base {}", it.amount, base_word(it.base)))
        .collect();
    words.join(", ")
}

impl RxView {
    fn new(rx: &Prescription, entry: &Entry, (zone, names): (&TimeZone, &Names)) -> Self {
        let vertex_distance = rx.vertex_distance_mm.map(|mm| format!("{mm} mm"));
        Self {
            right: EyeView::new(&rx.right),
            left: EyeView::new(&rx.left),
            both_acuity: rx.both_acuity.clone(),
            vertex_distance: vertex_distance.unwrap_or_default(),
            note: rx.note.clone(),
            version: entry.version,
            by: by(entry, zone, names),
        }
    }
    pub fn has_near(&self) -> bool {
        !self.right.near_acuity.is_empty() || !self.left.near_acuity.is_empty()
    }
    pub fn has_prism(&self) -> bool {
        !self.right.prism.is_empty() || !self.left.prism.is_empty()
    }
}

pub(super) fn by(entry: &Entry, zone: &TimeZone, names: &Names) -> String {
    let time = show::hours_and_minutes(entry.changed_at_us, zone);
    format!("{} {time}", names.of(&entry.changed_by))
}

/// Rows of acuities in the order of the form.
pub const ACUITY_ROWS: [(&str, &str); 5] = [
    ("unaided_far", "Unaided, distance"),
    ("unaided_near", "Unaided, near"),
    ("wearing_far", "With own glasses, distance"),
    ("wearing_near", "With own glasses, near"),
    ("pinhole_far", "Pinhole, distance"),
];

fn acuity_rows(typed: &BTreeMap<String, String>) -> Vec<AcuityRow> {
    let text = |name: &str, eye| typed.get(&format!("{name}_{eye}")).cloned().unwrap_or_default();
    ACUITY_ROWS
        .into_iter()
        .map(|(name, label)| AcuityRow {
            label,
            right: text(name, "right"),
            left: text(name, "left"),
            both: text(name, "both"),
        })
        .filter(|row| !(row.right.is_empty() && row.left.is_empty() && row.both.is_empty()))
        .collect()
}

/// `-2.25 -0.75 × 178` of what an autorefractor sent.
pub fn value_words(value: &RefractionValue) -> String {
    let mut text = format!("{:+}", value.sphere);
    if !value.cylinder.is_zero() {
        text.push_str(&format!(" {:+}", value.cylinder));
        if let Some(axis) = value.axis_deg {
            text.push_str(&format!(" \u{d7} {:03}", if axis == 0 { 180 } else { axis }));
        }
    }
    text
}

/// What the start would be, with its instrument.
pub fn start_words(rows: &[ReadingRow], eye: Eye) -> Option<String> {
    prescribe::autorefraction(rows, eye).map(|(value, _)| value_words(&value))
}

impl RecordView {
    pub(super) async fn load(
        tx: &mut Tx,
        who: &Who,
        (encounter, rows): (&str, &[ReadingRow]),
        (zone, names): (&TimeZone, &Names),
    ) -> Result<Self, Fault> {
        let tenant = &who.tenant;
        let entries = exam_entry::all(tx, tenant, encounter).await?;
        let signed = signature::of(tx, tenant, encounter).await?;
        let addenda = signature::addenda(tx, tenant, encounter).await?;
        let notices = notice::unseen_of_exam(tx, tenant, (&who.account, encounter)).await?;
        let entry = |kind: Kind| entries.iter().find(|entry| entry.kind == kind.as_str());
        let version = |kind| entry(kind).map_or(0, |entry| entry.version);
        let rx = |kind| {
            let entry = entry(kind)?;
            Some((prescribe::prescription_of(entry)?, entry))
        };
        let view = |kind| {
            let (rx, entry) = rx(kind)?;
            (!rx.is_empty()).then(|| RxView::new(&rx, entry, (zone, names)))
        };
        let typed = entry(Kind::Acuity).map(prescribe::acuities_of).unwrap_or_default();
        let when = |at_us| show::date_and_time(at_us, zone);
        Ok(Self {
            is_doctor: who.role == Role::Doctor,
            subjective: view(Kind::Subjective),
            final_rx: view(Kind::Final),
            acuities: acuity_rows(&typed),
            acuity_by: entry(Kind::Acuity).map(|it| by(it, zone, names)).unwrap_or_default(),
            start_right: start_words(rows, Eye::Right),
            start_left: start_words(rows, Eye::Left),
            subjective_version: version(Kind::Subjective),
            final_version: version(Kind::Final),
            untouched: rx(Kind::Subjective).map(|(rx, _)| rx.untouched()).unwrap_or_default(),
            signature: signed.map(|it| SignatureView {
                differs: differing(&it.snapshot, rows),
                text: it.signature_text,
                hash: it.snapshot_sha256.chars().take(12).collect(),
            }),
            addenda: addenda
                .into_iter()
                .map(|it| AddendumView {
                    id: it.addendum_id,
                    when: when(it.added_at_us),
                    by: names.of(&it.added_by),
                    is_automatic: it.is_automatic,
                    text: it.addendum_text,
                })
                .collect(),
            notices: notices
                .into_iter()
                .map(|it| NoticeView {
                    id: it.notice_id,
                    when: when(it.noticed_at_us),
                    text: it.notice_text,
                })
                .collect(),
        })
    }

    pub fn may_start(&self) -> bool {
        self.signature.is_none() && (self.start_right.is_some() || self.start_left.is_some())
    }
    pub fn may_finalise(&self) -> bool {
        self.signature.is_none() && self.is_doctor && self.subjective.is_some()
    }
    /// Whether an eye has values of its own, which a start would replace.
    pub fn has_own(&self, is_right: bool) -> bool {
        self.subjective.as_ref().is_some_and(|rx| {
            let eye = if is_right { &rx.right } else { &rx.left };
            eye.has_refined
        })
    }
}

#[derive(Deserialize)]
struct Signed {
    readings: Vec<SignedVersion>,
}
#[derive(Deserialize)]
struct SignedVersion {
    reading_id: String,
    version: i64,
}

/// Readings that are not in the version that was signed, are gone, or came since.
fn differing(snapshot: &str, rows: &[ReadingRow]) -> usize {
    let Ok(signed) = serde_json::from_str::<Signed>(snapshot) else { return 0 };
    let signed: BTreeMap<String, i64> =
        signed.readings.into_iter().map(|it| (it.reading_id, it.version)).collect();
    // Finished glasses are measured after the signature and are no part of what was signed.
    let is_part =
        |row: &&ReadingRow| signed.contains_key(&row.reading_id) || row.order_number().is_none();
    let rows: Vec<_> = rows.iter().filter(is_part).collect();
    let now = rows.iter().filter(|row| signed.get(&row.reading_id) != Some(&row.version)).count();
    let gone = |id: &&String| !rows.iter().any(|row| row.reading_id == **id);
    now + signed.keys().filter(gone).count()
}
