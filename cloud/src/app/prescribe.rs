//! Writing acuities, the subjective refraction and the final prescription (D5). Every save is a
//! version; who wrote meanwhile is not overwritten.

use super::{AppError, about, principal::Role, work::Work};
use crate::{
    domain::prescription::{self, Draft, EyeRx, FieldFault, Prescription},
    store::{
        audit::About,
        exam::{self, ReadingRow},
        exam_entry::{self, Entry, NewEntry},
        signature,
    },
};
use chiasm_proto::{Eye, Measured, RefractionKind, RefractionValue, Vision, refraction::Light};
use std::collections::BTreeMap;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Acuity,
    Subjective,
    Final,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Acuity, Kind::Subjective, Kind::Final];
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Acuity => "acuity",
            Kind::Subjective => "subjective",
            Kind::Final => "final",
        }
    }
}

/// Why something was not saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// Fields cannot be taken as typed.
    #[error("some fields cannot be taken as they are")]
    Fields(Vec<FieldFault>),
    /// Somebody else saved first; this is what they saved.
    #[error("somebody else saved this meanwhile: look at both and save again")]
    Meanwhile(Option<Entry>),
    #[error(transparent)]
    App(#[from] AppError),
}

impl From<crate::store::StoreError> for SaveError {
    fn from(error: crate::store::StoreError) -> Self {
        SaveError::App(error.into())
    }
}

/// Saves what was typed. `seen_version` is the one that the form began with, 0 for none.
pub async fn save(
    work: &mut Work,
    encounter: &str,
    kind: Kind,
    draft: &Draft,
    seen_version: i64,
) -> Result<(), SaveError> {
    let current = open(work, encounter, kind, Some(seen_version)).await?;
    let body = match kind {
        Kind::Acuity => json(&prescription::acuities(draft).map_err(SaveError::Fields)?),
        Kind::Subjective | Kind::Final => {
            let mut rx = prescription::read(draft).map_err(SaveError::Fields)?;
            if let Some(before) = current.as_ref().and_then(prescription_of) {
                let is_refined = |eye| {
                    let field = if eye == Eye::Right { "right_refined" } else { "left_refined" };
                    draft.contains_key(field)
                };
                rx.carry_origin(&before, is_refined);
                rx.based_on = before.based_on;
            }
            json(&rx)
        }
    };
    put(work, encounter, kind, (current.as_ref(), &body, "typed")).await
}

/// Puts the autorefractor's values of an eye, or of both, as a start of the subjective refraction.
/// An eye with values of its own is replaced only on request.
pub async fn start_from_autorefraction(
    work: &mut Work,
    encounter: &str,
    eyes: &[Eye],
    (does_replace, seen_version): (bool, i64),
) -> Result<(), SaveError> {
    let kind = Kind::Subjective;
    // What replaces nothing cannot be too late: one eye may be tapped right after the other.
    let seen_version = does_replace.then_some(seen_version);
    let current = open(work, encounter, kind, seen_version).await?;
    let mut rx = current.as_ref().and_then(prescription_of).unwrap_or_default();
    let tenant = work.who.tenant.clone();
    let rows = exam::readings(&mut work.tx, &tenant, encounter).await?;
    for eye in eyes {
        let Some((value, row)) = autorefraction(&rows, *eye) else {
            let message = format!(
                "there is no autorefraction of {} that the instrument declared a value for",
                eye.abbreviation()
            );
            return Err(AppError::Refused(message).into());
        };
        let has_own = rx.eye(*eye).is_some_and(EyeRx::has_refined);
        if has_own && !does_replace {
            let message = format!(
                "{} has values already: choose to replace them, or leave them",
                eye.abbreviation()
            );
            return Err(AppError::Refused(message).into());
        }
        rx.start_from(*eye, value, (&row.reading_id, row.version));
    }
    let why = "start from the autorefractor, not refined";
    put(work, encounter, kind, (current.as_ref(), &json(&rx), why)).await
}

/// Takes the subjective refraction over as the final prescription. Refused while an eye is still
/// the autorefractor's.
pub async fn finalise(
    work: &mut Work,
    encounter: &str,
    seen_version: i64,
) -> Result<(), SaveError> {
    let current = open(work, encounter, Kind::Final, Some(seen_version)).await?;
    let tenant = work.who.tenant.clone();
    let key = (encounter, Kind::Subjective.as_str());
    let subjective = exam_entry::current(&mut work.tx, &tenant, key).await?;
    let found = subjective.as_ref().and_then(|entry| Some((entry, prescription_of(entry)?)));
    let Some((entry, rx)) = found.filter(|(_, rx)| !rx.is_empty()) else {
        let message = "there is no subjective refraction to take over";
        return Err(AppError::Refused(message.into()).into());
    };
    let rx = rx.to_final(entry.version).map_err(|eyes| {
        AppError::Refused(format!(
            "these values are still the autorefractor's, not refined: {}. Change them, or confirm \
             that the eye is refined",
            eyes.join("; ")
        ))
    })?;
    let why = "taken over from the subjective refraction";
    put(work, encounter, Kind::Final, (current.as_ref(), &json(&rx), why)).await
}

/// The entry that a change begins with, if the person may make it and has seen the latest.
async fn open(
    work: &mut Work,
    encounter: &str,
    kind: Kind,
    seen_version: Option<i64>,
) -> Result<Option<Entry>, SaveError> {
    work.encounter(encounter).await?;
    if kind == Kind::Final && work.who.role != Role::Doctor {
        return Err(AppError::WrongRole("only a doctor writes the final prescription").into());
    }
    let tenant = work.who.tenant.clone();
    signature::lock(&mut work.tx, &tenant, encounter).await?;
    if signature::signer(&mut work.tx, &tenant, encounter).await?.is_some() {
        let message = "this exam is signed and stays as it is: write an addendum instead";
        return Err(AppError::Refused(message.into()).into());
    }
    let key = (encounter, kind.as_str());
    let current = exam_entry::current(&mut work.tx, &tenant, key).await?;
    let version = current.as_ref().map_or(0, |entry| entry.version);
    if seen_version.is_some_and(|seen| seen != version) {
        return Err(SaveError::Meanwhile(current));
    }
    Ok(current)
}

async fn put(
    work: &mut Work,
    encounter: &str,
    kind: Kind,
    (current, body, why): (Option<&Entry>, &str, &str),
) -> Result<(), SaveError> {
    if current.is_some_and(|entry| entry.body == body) {
        return Ok(());
    }
    let tenant = work.who.tenant.clone();
    let new = NewEntry {
        kind: kind.as_str(),
        body,
        why,
        seen_version: current.map_or(0, |entry| entry.version),
    };
    let by = (work.who.account.clone(), work.now_us);
    let by = (by.0.as_str(), by.1);
    if !exam_entry::put(&mut work.tx, (&tenant, encounter), new, by).await? {
        let key = (encounter, kind.as_str());
        let saved = exam_entry::current(&mut work.tx, &tenant, key).await?;
        return Err(SaveError::Meanwhile(saved));
    }
    work.tell_exam(encounter);
    let (before, after) = about::json_difference(current.map(|entry| entry.body.as_str()), body);
    let kinds = [about::kind_of_entry(kind.as_str())];
    let about = About::exam(encounter).kinds(kinds).values((&before, &after)).why(why);
    work.audit_about((&format!("{}_saved", kind.as_str()), encounter), about).await?;
    Ok(())
}

/// The prescription of an entry; none if this version cannot read it.
pub fn prescription_of(entry: &Entry) -> Option<Prescription> {
    serde_json::from_str(&entry.body).ok()
}

/// The acuities of an entry by field name.
pub fn acuities_of(entry: &Entry) -> BTreeMap<String, String> {
    serde_json::from_str(&entry.body).unwrap_or_default()
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data always serialises")
}

/// What an autorefractor declared for an eye, from the latest reading that nobody rejected; one
/// that was taken with drops only where there is no other (R11). `rows` come latest first.
pub fn autorefraction(rows: &[ReadingRow], eye: Eye) -> Option<(RefractionValue, &ReadingRow)> {
    let mut after_drops = None;
    for row in rows.iter().filter(|row| row.acceptance != "rejected") {
        let Some(reading) = row.reading() else { continue };
        for measurement in &reading.decoded.measurements {
            let Measured::Refraction(it) = &measurement.measured else { continue };
            let is_plain = it.kind == RefractionKind::Autorefraction
                && it.light == Light::Day
                && it.vision == Vision::Far;
            if measurement.eye != eye || measurement.relayed || !is_plain {
                continue;
            }
            let single = match &it.shots[..] {
                [only] => only.value,
                _ => None,
            };
            let declared = it.representative.as_ref().map(|it| it.value).or(single);
            let Some(value) = declared else { continue };
            if !is_after_drops(measurement.data_set.as_deref()) {
                return Some((value, row));
            }
            after_drops.get_or_insert((value, row));
        }
    }
    after_drops
}

/// Whether the instrument's own name of the set says that drops were in the eye.
fn is_after_drops(data_set: Option<&str>) -> bool {
    data_set.is_some_and(|name| name.to_lowercase().contains("cyclopleg"))
}
