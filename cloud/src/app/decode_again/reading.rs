//! A reading's bytes, with the driver of today.

use super::{Outcome, SYSTEM};
use crate::{
    app::{
        AppError,
        about::by_name,
        local_time,
        record::{self, What},
        work::Work,
    },
    domain::{
        again::{self, Refusal},
        correction::{Correction, DecodedAgain},
        difference::{difference, shorten},
        placement::{claimed_id, is_same_id},
    },
    store::{
        decode_again as store,
        exam::{Next, ReadingRow},
        identity, lane_open, notice, patient, signature,
    },
};
use chiasm_drivers::DriverSpec;
use chiasm_proto::{Decoded, DriverRef, Reading};
use std::time::Instant;

/// Longest list of differences in an addendum or a notice, in characters.
const DIFFERENCE_LEN_MAX: usize = 300;

pub async fn again(
    work: &mut Work,
    driver: &'static DriverSpec,
    id: &str,
) -> Result<Outcome, AppError> {
    let row = work.reading(id, None).await?;
    let (Some(before), Some(correction)) = (row.reading_as_decoded(), row.correction()) else {
        return Ok(Outcome::CannotSay); // written by a newer version of Chiasm
    };
    // The text was found somewhere in the document; the driver has to be the reading's own.
    if before.driver.id != driver.id || row.is_manual || !is_newer(driver, &before) {
        return Ok(Outcome::Same);
    }
    match decode(driver, before.clone()).await? {
        Ok(None) => Ok(Outcome::Same),
        Ok(Some(decoded)) => change(work, driver, (&row, &before, correction), decoded).await,
        Err(Refusal::Cut | Refusal::Configured) => Ok(Outcome::CannotSay),
        Err(Refusal::Refused(..) | Refusal::Nothing) => Ok(Outcome::StillRefused),
    }
}

/// Versions are counted up; a build that is older than the gateway's has nothing to say.
fn is_newer(driver: &DriverSpec, before: &Reading) -> bool {
    match (driver.version.parse::<u32>(), before.driver.version.parse::<u32>()) {
        (Ok(today), Ok(then)) => today > then,
        _ => driver.version != before.driver.version,
    }
}

/// A driver may take milliseconds for a long document, in which others want to go on.
async fn decode(
    driver: &'static DriverSpec,
    before: Reading,
) -> Result<Result<Option<Decoded>, Refusal>, AppError> {
    let decode = move || again::of_reading(driver, &before, Instant::now());
    let decoded = tokio::task::spawn_blocking(decode).await;
    decoded.map_err(|error| AppError::Refused(format!("the driver did not end: {error}")))
}

async fn change(
    work: &mut Work,
    driver: &DriverSpec,
    (row, before, correction): (&ReadingRow, &Reading, Correction),
    decoded: Decoded,
) -> Result<Outcome, AppError> {
    let tenant = work.who.tenant.clone();
    let exam = row.encounter_id.as_deref().filter(|_| row.place == "exam");
    if let Some(encounter) = exam {
        signature::lock(&mut work.tx, &tenant, encounter).await?;
        if signature::signer(&mut work.tx, &tenant, encounter).await?.is_some() {
            let text = text(work, driver, (row, before), &decoded).await?;
            let about = (text.as_str(), row.received_at_us);
            record::touch(work, encounter, What::DecodedAgain, about).await?;
            return Ok(Outcome::Signed);
        }
    }
    let person = row.changed_by.as_deref().filter(|by| *by != SYSTEM);
    if person.is_some() || correction.speaks_of_values() {
        if let (Some(encounter), Some(person)) = (exam, person) {
            let text = text(work, driver, (row, before), &decoded).await?;
            let about = (What::DecodedAgain.as_str(), text.as_str());
            let whom = (person, encounter);
            notice::tell(&mut work.tx, &tenant, whom, about, work.now_us).await?;
            work.tell_exam(encounter);
        }
        return Ok(Outcome::LeftToPerson);
    }
    new_version(work, driver, (row, before, correction), decoded).await
}

async fn new_version(
    work: &mut Work,
    driver: &DriverSpec,
    (row, before, mut correction): (&ReadingRow, &Reading, Correction),
    decoded: Decoded,
) -> Result<Outcome, AppError> {
    let id = |it: &Decoded| it.claimed_patient.as_ref().map(|claimed| claimed.id.clone());
    let (claimed_before, claimed) = (id(&before.decoded), id(&decoded));
    let held = match claimed_before == claimed {
        true => None,
        false => held(work, row, claimed.as_deref()).await?,
    };
    let reference = DriverRef { id: driver.id.into(), version: driver.version.into() };
    let why = format!("decoded again with {} version {}", reference.id, reference.version);
    correction.decoded_again = Some(Box::new(DecodedAgain { driver: reference, decoded }));
    let column = correction.to_column();
    // It is another value than the one that stood there: one tap for all does not accept it.
    let mut next = Next { correction: column.as_deref(), needs_a_look: true, ..Next::of(row) };
    if let Some(reason) = &held {
        next = Next { place: "held", reason, encounter_id: None, ..next };
    }
    let about = work.change(row, next, &why).await?;
    if claimed_before != claimed {
        let tenant = work.who.tenant.clone();
        let claimed = claimed.as_deref();
        store::set_claimed(&mut work.tx, &tenant, &row.reading_id, claimed).await?;
    }
    work.audit_about(("reading_decoded_again", &row.reading_id), about).await?;
    Ok(Outcome::NewVersion)
}

/// Why a reading cannot stay in its exam: the identity that is read in it now is not that of the
/// exam's patient (R31).
async fn held(
    work: &mut Work,
    row: &ReadingRow,
    claimed: Option<&str>,
) -> Result<Option<String>, AppError> {
    let (Some(encounter), "exam") = (&row.encounter_id, row.place.as_str()) else {
        return Ok(None);
    };
    let Some(claimed) = claimed_id(claimed) else {
        let by_id_alone = row.lane_session_id.is_none();
        let reason = "decoded again: the data carries no identifier of a visit";
        return Ok(by_id_alone.then(|| reason.to_owned()));
    };
    let tenant = work.who.tenant.clone();
    let visit = work.encounter(encounter).await?;
    let here = (visit.location_id.as_str(), visit.visit_date.as_str());
    let identity = identity::of(&mut work.tx, &tenant, here, claimed).await?;
    let known = identity.known();
    let agrees = match known.visit {
        Some(named) => named.encounter_id == encounter,
        None => {
            let patient = patient::by_id(&mut work.tx, &tenant, &visit.patient_id).await?;
            let chart = patient.map(|it| it.chart_number).unwrap_or_default();
            is_same_id(claimed, &chart) || known.also.iter().any(|it| is_same_id(it, &chart))
        }
    };
    let reason =
        || format!("decoded again: the data says patient {claimed}, the exam is another's");
    Ok((!agrees).then(reason))
}

/// What is told to those whose word stands.
async fn text(
    work: &mut Work,
    driver: &DriverSpec,
    (row, before): (&ReadingRow, &Reading),
    decoded: &Decoded,
) -> Result<String, AppError> {
    let zone = lane_open::time_zone(&mut work.tx, &work.who.tenant, &row.location_id).await?;
    let zone = local_time::zone(zone.as_deref().unwrap_or("UTC"));
    let at = local_time::local(row.captured_at_us, &zone).strftime("%H:%M");
    let (old, new) =
        difference(&by_name(&before.decoded.measurements), &by_name(&decoded.measurements));
    let (old, new) = (shorten(&old, DIFFERENCE_LEN_MAX), shorten(&new, DIFFERENCE_LEN_MAX));
    let instrument = &before.decoded.instrument;
    Ok(format!(
        "{} {} of {at}: {} version {} reads it otherwise than version {} did ({} is now {}); {}",
        instrument.vendor,
        instrument.model,
        driver.id,
        driver.version,
        before.driver.version,
        if old.is_empty() { "nothing" } else { &old },
        if new.is_empty() { "nothing" } else { &new },
        What::DecodedAgain.words(),
    ))
}
