//! Charge proposals of an exam or a day, derived anew each time, and what people say about them.

use super::{
    AppError, REASON_LEN_MAX,
    image_evidence::of_images,
    local_time,
    optical::{self, Signed},
    principal::Role,
    work::Work,
};
use crate::{
    domain::{
        charges::{Evidence, Kind, Mark, Proposal, Say, State, kinds_of, proposals, rule},
        prescription::Prescription,
    },
    store::{
        Tx,
        audit::About,
        charge::{self as store, MarkRow},
        encounter::{self, Encounter},
        exam::{self, ReadingRow},
        instance, optical as prescriptions, patient,
    },
};
use chiasm_proto::Eye;
use jiff::tz::TimeZone;
use std::collections::HashMap;

/// The proposals of one exam.
pub async fn of_exam(
    tx: &mut Tx,
    tenant: &str,
    visit: &Encounter,
    zone: &TimeZone,
) -> Result<Vec<Proposal>, AppError> {
    let rows = exam::readings(tx, tenant, &visit.encounter_id).await?;
    let signed = optical::signed_if_any(tx, tenant, &visit.encounter_id).await?;
    of_rows(tx, tenant, visit, (&rows, signed.as_ref(), zone)).await
}

/// The same where readings and prescription were read already.
pub async fn of_rows(
    tx: &mut Tx,
    tenant: &str,
    visit: &Encounter,
    (rows, signed, zone): (&[ReadingRow], Option<&Signed>, &TimeZone),
) -> Result<Vec<Proposal>, AppError> {
    let id = &visit.encounter_id;
    let accepted = rows.iter().filter(|row| row.acceptance == "accepted");
    let mut evidence: Vec<Evidence> = accepted.flat_map(|row| of_reading(row, zone)).collect();
    evidence.extend(of_images(&instance::of_encounter(tx, tenant, id).await?));
    evidence.extend(signed.map(|signed| of_prescription(&signed.rx)));
    let survivor = patient::survivor(tx, tenant, &visit.patient_id).await?;
    let person = (survivor.as_str(), visit.visit_date.as_str());
    let marks = store::of_person_and_day(tx, tenant, person).await?;
    let (own, others): (Vec<MarkRow>, Vec<MarkRow>) =
        marks.into_iter().partition(|mark| mark.encounter_id == *id);
    Ok(proposals(&evidence, &marks_of(&own), &billed(&others)))
}

/// The proposals of every visit of a day, by visit in the order of the schedule; visits without any
/// are left out.
pub async fn of_day(
    tx: &mut Tx,
    tenant: &str,
    (location, date): (&str, &str),
    zone: &TimeZone,
) -> Result<Vec<(Encounter, Vec<Proposal>)>, AppError> {
    let visits = encounter::of_day(tx, tenant, location, date).await?;
    let marks = store::of_day(tx, tenant, (location, date)).await?;
    let rows = store::accepted_of_day(tx, tenant, (location, date)).await?;
    let signed = prescriptions::of_day(tx, tenant, (location, date)).await?;
    let mut evidence: HashMap<&str, Vec<Evidence>> = HashMap::new();
    for row in &rows {
        let Some(encounter) = row.encounter_id.as_deref() else { continue };
        evidence.entry(encounter).or_default().extend(of_reading(row, zone));
    }
    let images = instance::of_day(tx, tenant, (location, date)).await?;
    for of_one in images.chunk_by(|a, b| a.encounter_id == b.encounter_id) {
        let Some(encounter) = of_one[0].encounter_id.as_deref() else { continue };
        evidence.entry(encounter).or_default().extend(of_images(of_one));
    }
    for it in &signed {
        let rx: Option<Prescription> = serde_json::from_str(&it.body).ok();
        if let Some(rx) = rx.filter(|rx| !rx.is_empty()) {
            evidence.entry(&it.encounter_id).or_default().push(of_prescription(&rx));
        }
    }
    let mut found = Vec::new();
    for visit in visits {
        let of_visit = |id: &str| -> Vec<MarkRow> {
            marks.iter().filter(|mark| mark.encounter_id == id).cloned().collect()
        };
        let own = of_visit(&visit.encounter_id);
        let evidence = evidence.remove(visit.encounter_id.as_str()).unwrap_or_default();
        if own.is_empty() && evidence.is_empty() {
            continue;
        }
        let survivor = patient::survivor(tx, tenant, &visit.patient_id).await?;
        let others = store::of_person_and_day(tx, tenant, (&survivor, date)).await?;
        let others: Vec<MarkRow> =
            others.into_iter().filter(|it| it.encounter_id != visit.encounter_id).collect();
        let all = proposals(&evidence, &marks_of(&own), &billed(&others));
        if !all.is_empty() {
            found.push((visit, all));
        }
    }
    Ok(found)
}

fn of_reading(row: &ReadingRow, zone: &TimeZone) -> Vec<Evidence> {
    let Some(reading) = row.reading() else { return vec![] };
    let instrument = &reading.decoded.instrument;
    let at = local_time::local(row.captured_at_us, zone).strftime("%H:%M");
    let words = format!("{} {}, {at}", instrument.vendor, instrument.model);
    let kinds = kinds_of(&reading.decoded.measurements).into_iter();
    let evidence =
        |(kind, eyes)| Evidence { kind, id: row.reading_id.clone(), eyes, words: words.clone() };
    kinds.map(evidence).collect()
}

fn of_prescription(rx: &Prescription) -> Evidence {
    let eyes = [(Eye::Right, &rx.right), (Eye::Left, &rx.left)].into_iter();
    Evidence {
        kind: Kind::FinalPrescription,
        id: "final".into(),
        eyes: eyes.filter(|(_, rx)| !rx.is_empty()).map(|(eye, _)| eye).collect(),
        words: "signed final prescription".into(),
    }
}

/// Marks of a newer version that this one does not know are left out.
fn marks_of(rows: &[MarkRow]) -> Vec<Mark> {
    let mark = |row: &MarkRow| {
        Some(Mark {
            code: row.code.clone(),
            say: Say::parse(&row.mark)?,
            note: row.note.clone(),
            evidence: row.evidence.clone(),
            at_us: row.marked_at_us,
            by: row.marked_by.clone(),
        })
    };
    rows.iter().filter_map(mark).collect()
}

/// The codes that stand as billed, by the last word of each visit.
fn billed(rows: &[MarkRow]) -> Vec<String> {
    let mut last: HashMap<(&str, &str), &str> = HashMap::new();
    for row in rows.iter().filter(|row| matches!(&*row.mark, "billed" | "dismissed" | "reopened")) {
        last.insert((&row.encounter_id, &row.code), &row.mark);
    }
    let billed = last.into_iter().filter(|(_, mark)| *mark == "billed");
    billed.map(|((_, code), _)| code.to_owned()).collect()
}

/// Says something about a proposal of an exam.
pub async fn say(
    work: &mut Work,
    (encounter, code): (&str, &str),
    (say, note): (&str, &str),
) -> Result<(), AppError> {
    let visit = work.encounter(encounter).await?;
    let rule = rule(code).ok_or(AppError::NotFound("code"))?;
    let say = Say::parse(say).ok_or_else(|| {
        AppError::Field("mark", "say ordered, reported, dismissed, billed or reopened".into())
    })?;
    let note = note.trim();
    if note.chars().count() > REASON_LEN_MAX {
        let message = format!("at most {REASON_LEN_MAX} characters");
        return Err(AppError::Field("note", message));
    }
    if say == Say::Reported && work.who.role != Role::Doctor {
        return Err(AppError::WrongRole("only a doctor says that the report is written"));
    }
    let tenant = work.who.tenant.clone();
    let all = of_exam(&mut work.tx, &tenant, &visit, &TimeZone::UTC).await?;
    let found = all.into_iter().find(|it| it.rule.code == rule.code);
    let found = found.ok_or(AppError::NotFound("proposal"))?;
    check(&found, say, note)?;
    let new = MarkRow {
        encounter_id: encounter.to_owned(),
        code: rule.code.to_owned(),
        mark: say.as_str().to_owned(),
        note: note.to_owned(),
        evidence: found.evidence_names(),
        marked_at_us: work.now_us,
        marked_by: work.who.account.clone(),
    };
    store::insert(&mut work.tx, &tenant, &new).await?;
    work.tell_exam(encounter);
    let about = About::exam(encounter).values(("", rule.code)).why(note);
    work.audit_about((&format!("charge_{}", say.as_str()), encounter), about).await
}

/// Whether it can be said now, and if not, what to do.
fn check(found: &Proposal, say: Say, note: &str) -> Result<(), AppError> {
    let refused = |message: String| Err(AppError::Refused(message));
    match (say, found.state) {
        (Say::Reopened, _) if found.marks.is_empty() => {
            refused("nothing was said about it yet".into())
        }
        (Say::Reopened, _) => Ok(()),
        (_, State::Withdrawn) => refused(
            "what it was proposed for is no longer in this exam: open it again first".into(),
        ),
        (_, State::Billed) => refused("it is billed already: open it again first".into()),
        (_, State::Dismissed) => refused("it is dismissed: open it again first".into()),
        (Say::Dismissed, _) if note.is_empty() => {
            Err(AppError::Field("note", "say why it is not charged".into()))
        }
        (Say::Billed, _) if !found.missing.is_empty() => {
            refused(format!("not billable yet: {}", found.missing.join(", ")))
        }
        (Say::Ordered | Say::Reported, _) if found.has(say) => {
            refused("that is noted already".into())
        }
        _ => Ok(()),
    }
}

/// A day's proposals as a file for whoever bills: one line each.
pub fn csv(days: &[(Encounter, Vec<Proposal>)]) -> String {
    let mut text = String::from(
        "visit_date,chart_number,family_name,given_name,birth_date,code,name,state,eyes,evidence,\
         missing,conflicts,warning,encounter_id\r\n",
    );
    for (visit, all) in days {
        for it in all {
            let evidence: Vec<&str> = it.evidence.iter().map(|it| it.words.as_str()).collect();
            let fields = [
                visit.visit_date.as_str(),
                &visit.chart_number,
                &visit.family_name,
                &visit.given_name,
                &visit.birth_date,
                it.rule.code,
                it.rule.name,
                it.state.as_str(),
                &it.eyes(),
                &evidence.join("; "),
                &it.missing.join("; "),
                &it.conflicts.join("; "),
                it.warning.as_deref().unwrap_or(""),
                &visit.encounter_id,
            ];
            let fields: Vec<String> = fields.iter().map(|it| field(it)).collect();
            text.push_str(&fields.join(","));
            text.push_str("\r\n");
        }
    }
    text
}

/// Quoted; what a spreadsheet would take for a formula is made text.
fn field(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_runs_nothing() {
        assert_eq!(field("=1+1"), "\"'=1+1\"");
        assert_eq!(field("O\"Neill, S"), "\"O\"\"Neill, S\"");
    }
}
