//! What an audit entry says about a patient's data: whose, which exam and reading, which kinds of
//! values, and what they were before and after.

use super::principal::Principal;
use crate::{
    domain::{
        correction::Correction,
        difference::{difference, shorten},
        sheet::Test,
    },
    store::{
        StoreError, Tx,
        audit::{About, Entry},
        audit_about,
        exam::{Next, ReadingRow},
        order,
    },
};
use chiasm_proto::{Measured, Measurement};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The kind of a final prescription, which no instrument measures.
pub const PRESCRIPTION: &str = "prescription";
/// The kind of pictures and documents.
pub const IMAGE: &str = "image";
/// Longest reason and longest state that an entry holds, in characters.
const TEXT_LEN_MAX: usize = 400;

/// Every kind that an entry can name.
pub fn all_kinds() -> impl Iterator<Item = &'static str> {
    Measured::TYPE_NAMES.into_iter().chain([PRESCRIPTION, IMAGE])
}

impl About {
    pub fn patient(patient: &str) -> Self {
        Self { patient_id: Some(patient.to_owned()), ..Self::default() }
    }
    pub fn exam(encounter: &str) -> Self {
        Self { encounter_id: Some(encounter.to_owned()), ..Self::default() }
    }
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.kinds = join(kinds);
        self
    }
    pub fn values(mut self, (before, after): (&str, &str)) -> Self {
        self.value_before = shorten(before, TEXT_LEN_MAX);
        self.value_after = shorten(after, TEXT_LEN_MAX);
        self
    }
    pub fn why(mut self, why: &str) -> Self {
        self.why = shorten(why, TEXT_LEN_MAX);
        self
    }
    /// A reading that goes from one state to another.
    pub fn change(row: &ReadingRow, next: &Next<'_>, why: &str) -> Self {
        let encounter = next.encounter_id.map(ToOwned::to_owned);
        let (before, after) = states(row, next);
        Self {
            encounter_id: encounter.or_else(|| row.encounter_id.clone()),
            reading_id: Some(row.reading_id.clone()),
            ..Self::default()
        }
        .kinds(kinds_of(&row.body))
        .values((&before, &after))
        .why(why)
    }
}

/// An entry in a person's name.
pub fn entry(who: &Principal, (action, subject): (&str, &str), about: About, now_us: i64) -> Entry {
    Entry {
        at_us: now_us,
        account_id: who.account.clone(),
        role: who.role.as_str().to_owned(),
        address: who.address.clone(),
        is_look: false,
        action: action.to_owned(),
        subject: subject.to_owned(),
        about,
    }
}

fn join(kinds: impl IntoIterator<Item = impl Into<String>>) -> String {
    let kinds: BTreeSet<String> = kinds.into_iter().map(Into::into).collect();
    kinds.into_iter().collect::<Vec<_>>().join(" ")
}

/// The kinds of values in a reading's document. Reads nothing else of it.
pub fn kinds_of(document: &str) -> BTreeSet<String> {
    #[derive(Deserialize)]
    struct Document {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        #[serde(default)]
        measurements: Vec<Typed>,
    }
    #[derive(Deserialize)]
    struct Typed {
        r#type: String,
    }
    let document: Option<Document> = serde_json::from_str(document).ok();
    let measurements = document.map(|it| it.data.measurements).unwrap_or_default();
    measurements.into_iter().map(|it| it.r#type).collect()
}

/// The kind of what is typed into an exam under a word of `prescribe::Kind`.
pub fn kind_of_entry(word: &str) -> &'static str {
    match word {
        "acuity" => "visual_acuity",
        "subjective" => "refraction",
        _ => PRESCRIPTION,
    }
}

/// The kind of what a form asks for.
pub fn kind_of_test(test: Test) -> &'static str {
    match test {
        Test::Lensometry => "lensometry",
        Test::Autorefraction => "refraction",
        Test::Keratometry => "keratometry",
        Test::Tonometry => "tonometry",
        Test::Pachymetry => "pachymetry",
        Test::PupillaryDistance => "pupillary_distance",
    }
}

/// Old and new of two JSON documents.
pub fn json_difference(before: Option<&str>, after: &str) -> (String, String) {
    let parse = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    difference(&before.map_or(Value::Null, parse), &parse(after))
}

/// What a look shows, found by its action and subject.
pub async fn of_look(
    tx: &mut Tx,
    tenant: &str,
    (action, subject): (&str, &str),
) -> Result<About, StoreError> {
    match action {
        "exam_seen" | "letter_seen" => of_exam(tx, tenant, subject).await,
        "prescription_printed" | "prescription_seen" | "vision_prescription_read" => {
            Ok(About::exam(subject).kinds([PRESCRIPTION]).of_patient(tx, tenant).await?)
        }
        "slip_seen" => About::exam(subject).of_patient(tx, tenant).await,
        "patient_seen" | "patient_history_seen" => Ok(About::patient(subject)),
        "order_seen" => match order::by_id(tx, tenant, subject).await? {
            Some(it) => {
                let about = About::exam(&it.encounter_id).kinds([PRESCRIPTION]);
                about.of_patient(tx, tenant).await
            }
            None => Ok(About::default()),
        },
        "raw_seen" => {
            let found = audit_about::reading(tx, tenant, subject).await?;
            let (encounter_id, document) = found.unwrap_or_default();
            let reading_id = Some(subject.to_owned());
            let about = About { encounter_id, reading_id, ..About::default() };
            about.kinds(kinds_of(&document)).of_patient(tx, tenant).await
        }
        _ => Ok(About::default()),
    }
}

async fn of_exam(tx: &mut Tx, tenant: &str, encounter: &str) -> Result<About, StoreError> {
    let documents = audit_about::documents(tx, tenant, encounter).await?;
    let mut kinds: BTreeSet<String> = documents.iter().flat_map(|it| kinds_of(it)).collect();
    let typed = audit_about::entry_kinds(tx, tenant, encounter).await?;
    kinds.extend(typed.iter().map(|kind| kind_of_entry(kind).to_owned()));
    About::exam(encounter).kinds(kinds).of_patient(tx, tenant).await
}

impl About {
    /// With the patient of its exam, if it has one.
    pub async fn of_patient(mut self, tx: &mut Tx, tenant: &str) -> Result<Self, StoreError> {
        if let (None, Some(encounter)) = (&self.patient_id, &self.encounter_id) {
            self.patient_id = audit_about::patient_of(tx, tenant, encounter).await?;
        }
        Ok(self)
    }
}

/// Where a reading was and what was said about it, and what is different now.
fn states(row: &ReadingRow, next: &Next<'_>) -> (String, String) {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut note = |old: &str, new: &str| {
        before.extend((!old.is_empty()).then(|| old.to_owned()));
        after.extend((!new.is_empty()).then(|| new.to_owned()));
    };
    let place = |place: &str, encounter: Option<&str>| match (place, encounter) {
        ("exam", Some(encounter)) => format!("exam {encounter}"),
        (place, _) => place.to_owned(),
    };
    let old_place = place(&row.place, row.encounter_id.as_deref());
    let new_place = place(next.place, next.encounter_id);
    if old_place != new_place {
        note(&old_place, &new_place);
    }
    if row.acceptance != next.acceptance {
        note(&row.acceptance, next.acceptance);
    }
    if row.correction.as_deref() != next.correction {
        let (old, new) = corrections(row, next.correction);
        note(&old, &new);
    }
    (before.join("; "), after.join("; "))
}

fn corrections(row: &ReadingRow, next: Option<&str>) -> (String, String) {
    let (old, new) = (row.correction().unwrap_or_default(), Correction::parse(next));
    let new = new.unwrap_or_default();
    let said = |it: &Correction| {
        let said = Correction { amended: None, decoded_again: None, ..it.clone() };
        serde_json::to_value(&said).unwrap_or(Value::Null)
    };
    let (mut before, mut after) = difference(&said(&old), &said(&new));
    if (old.amended != new.amended || old.decoded_again != new.decoded_again)
        && let Some(sent) = row.reading_as_sent()
    {
        let sent = &sent.decoded.measurements;
        let values = |it: &Correction| {
            let decoded = it.decoded_again.as_ref().map_or(sent, |it| &it.decoded.measurements);
            by_name(it.amended.as_ref().unwrap_or(decoded))
        };
        let (old, new) = difference(&values(&old), &values(&new));
        let join = |said: String, values: String| match said.is_empty() {
            true => values,
            false => format!("{said}, {values}"),
        };
        (before, after) = (join(before, old), join(after, new));
    }
    (before, after)
}

/// Measurements under names such as `OD tonometry`.
pub(super) fn by_name(measurements: &[Measurement]) -> Value {
    let mut named = Map::new();
    for it in measurements {
        let plain = format!("{} {}", it.eye.abbreviation(), it.measured.type_name());
        let mut name = plain.clone();
        let mut times = 1;
        while named.contains_key(&name) {
            times += 1;
            name = format!("{plain} {times}");
        }
        named.insert(name, serde_json::to_value(&it.measured).unwrap_or(Value::Null));
    }
    Value::Object(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_a_document_is_named() {
        let document = include_str!("../../../proto/fixtures/v1/reading_tonometry.json");
        assert_eq!(kinds_of(document), BTreeSet::from(["tonometry".to_owned()]));
        assert!(kinds_of("no document").is_empty());
        assert_eq!(About::default().kinds(["b", "a", "b"]).kinds, "a b");
        for test in Test::ALL {
            assert!(all_kinds().any(|kind| kind == kind_of_test(test)), "{test:?}");
        }
    }
}
