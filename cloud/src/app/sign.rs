//! Signing an exam (D8): with what is open, by name, and what was signed kept for ever.

use super::{AppError, accession, intake, local_time, prescribe, principal::Role, work::Work};
use crate::{
    domain::signature::{
        self as rules, Content, SignedEntry, SignedImage, SignedReading, Snapshot,
    },
    store::{
        StoreError, Tx,
        audit::About,
        exam::{self, ReadingRow},
        exam_entry,
        instance::{self, InstanceRow},
        lane_open, procedure_step,
        signature::{self, Signature},
        waiting,
    },
};
use chiasm_proto::Sha256;
use jiff::tz::TimeZone;
use serde_json::value::RawValue;

/// What would be signed now.
pub async fn content(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
    zone: &TimeZone,
) -> Result<Content, StoreError> {
    let rows = exam::readings(tx, tenant, encounter).await?;
    let held = waiting::held_of_encounter(tx, tenant, encounter).await?;
    let entries = exam_entry::all(tx, tenant, encounter).await?;
    let readings: Vec<SignedReading> = rows
        .iter()
        .map(|row| SignedReading {
            reading_id: row.reading_id.clone(),
            version: row.version,
            acceptance: row.acceptance.clone(),
            document_sha256: Sha256::of(row.body.as_bytes()).to_string(),
            name: name(row, zone),
        })
        .collect();
    let held: Vec<String> = held.iter().map(|row| name(row, zone)).collect();
    let prescription = |kind: prescribe::Kind| {
        let entry = entries.iter().find(|entry| entry.kind == kind.as_str())?;
        prescribe::prescription_of(entry)
    };
    let subjective = prescription(prescribe::Kind::Subjective);
    let final_rx = prescription(prescribe::Kind::Final);
    let mut open = rules::open_items(&readings, &held, subjective.as_ref(), final_rx.as_ref());
    let images = instance::of_encounter(tx, tenant, encounter).await?;
    open.extend(open_images(tx, tenant, encounter, (&images, zone)).await?);
    let images = images.into_iter().map(|row| SignedImage {
        instance_id: row.instance_id,
        version: row.version,
        sha256: row.sha256,
    });
    let mut signed = Vec::with_capacity(entries.len());
    for entry in entries {
        let corrupt = |_| StoreError::Corrupt {
            table: "exam_entry",
            what: "JSON document",
            value: entry.kind.clone(),
        };
        let body = RawValue::from_string(entry.body.clone()).map_err(corrupt)?;
        signed.push(SignedEntry { kind: entry.kind, version: entry.version, body });
    }
    let images = images.collect();
    Ok(Content { encounter_id: encounter.to_owned(), readings, images, entries: signed, open })
}

/// Images that are held, and those that imagers have told of and that are not there (D7).
async fn open_images(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
    (there, zone): (&[InstanceRow], &TimeZone),
) -> Result<Vec<String>, StoreError> {
    let study = accession::study_uid(encounter).unwrap_or_default();
    let held = instance::held_of_visit(tx, tenant, (encounter, &study)).await?;
    let steps = procedure_step::of_encounter(tx, tenant, encounter).await?;
    let mut open: Vec<String> = held
        .iter()
        .map(|row| format!("held, names another patient: {}", intake::words_of(row)))
        .collect();
    for step in steps.iter().filter(|step| step.is_waited_for(there)) {
        let at = local_time::local(step.begun_at_us, zone).strftime("%H:%M");
        open.push(format!("images expected: {}, {at}", step.link_id));
    }
    open.dedup();
    Ok(open)
}

/// `NIDEK ARK-1a, 10:03:14, Lane 2`.
pub fn name(row: &ReadingRow, zone: &TimeZone) -> String {
    let time = local_time::local(row.captured_at_us, zone).strftime("%H:%M:%S");
    let instrument = row.reading().map_or_else(
        || "a reading that cannot be shown".to_owned(),
        |it| {
            let instrument = &it.decoded.instrument;
            format!("{} {}", instrument.vendor, instrument.model)
        },
    );
    format!("{instrument}, {time}, {}", row.lane_name)
}

/// Signs what was seen: `digest` is that of the content that the doctor looked at.
pub async fn sign(work: &mut Work, encounter: &str, digest: &str) -> Result<(), AppError> {
    let visit = work.encounter(encounter).await?;
    if work.who.role != Role::Doctor {
        return Err(AppError::WrongRole("only a doctor signs an exam"));
    }
    let tenant = work.who.tenant.clone();
    signature::lock(&mut work.tx, &tenant, encounter).await?;
    if signature::signer(&mut work.tx, &tenant, encounter).await?.is_some() {
        return Err(AppError::Refused("this exam is already signed".into()));
    }
    let zone = lane_open::time_zone(&mut work.tx, &tenant, &visit.location_id).await?;
    let zone = local_time::zone(zone.as_deref().unwrap_or("UTC"));
    let content = content(&mut work.tx, &tenant, encounter, &zone).await?;
    if content.digest() != digest {
        let message = "something came or changed since you looked: look at the exam again, then \
            sign";
        return Err(AppError::Stale(message.into()));
    }
    let (account, now_us) = (work.who.account.clone(), work.now_us);
    let snapshot = Snapshot { content: &content, signed_by: &account, signed_at_us: now_us };
    let (snapshot, snapshot_sha256) = snapshot.seal();
    let when = local_time::local(now_us, &zone).strftime("%-d %b %Y, %H:%M").to_string();
    let signature_text = rules::text(&work.who.name, &when, &content.open);
    let new = Signature {
        encounter_id: encounter.to_owned(),
        signed_at_us: now_us,
        signed_by: account,
        signature_text,
        snapshot,
        snapshot_sha256,
    };
    if !signature::insert(&mut work.tx, &tenant, &new).await? {
        return Err(AppError::Refused("this exam is already signed".into()));
    }
    work.tell_exam(encounter);
    let about = About::exam(encounter).values(("", &format!("sha256 {}", new.snapshot_sha256)));
    work.audit_about(("exam_signed", encounter), about).await
}
