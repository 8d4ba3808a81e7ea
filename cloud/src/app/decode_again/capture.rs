//! A capture that gave no reading, with the driver of today. What it says now is filed as if it came
//! now, under a name that no gateway can have: the capture's own number stays the capture's.

use super::Outcome;
use crate::{
    app::{AppError, check_in, local_time, record, work::Work},
    domain::{
        again::{self, Refusal},
        placement::{self, DUPLICATE_WITHIN_US, Facts, Known, Place, Placement},
    },
    store::{
        StoreError, Tx,
        audit::About,
        document::{self, AGAIN_GATEWAY, NewDocument, NewReading},
        identity, lane_act,
        lane_open::{self, Lane},
        live::{Kind, NewEvent},
        parse_failure::{self, CaptureRow},
    },
};
use chiasm_drivers::DriverSpec;
use chiasm_proto::{
    Body, Capture, Decoded, DriverRef, Envelope, Epoch, Measured, Raw, Reading, ReadingId, Sha256,
    TenantId,
};
use std::time::Instant;
use uuid::Uuid;

/// How far back the link's last reading is looked for, which says what instrument it is.
const LAST_READING_WITHIN_US: i64 = 90 * 24 * 3600 * 1_000_000;

pub async fn again(
    work: &mut Work,
    driver: &'static DriverSpec,
    id: &str,
) -> Result<Outcome, AppError> {
    let tenant = work.who.tenant.clone();
    let row = parse_failure::capture(&mut work.tx, &tenant, id).await?;
    let row = row.ok_or(AppError::NotFound("capture"))?;
    let Ok(Envelope { body: Body::Capture(capture), id, .. }) = serde_json::from_str(&row.body)
    else {
        return Ok(Outcome::CannotSay);
    };
    let model = model(&mut work.tx, &tenant, (&row, &capture)).await?;
    let bytes = capture.raw.bytes.clone();
    let decode = move || again::of_capture(driver, &bytes, model.as_deref(), Instant::now());
    let decoded = tokio::task::spawn_blocking(decode).await;
    let decoded =
        decoded.map_err(|error| AppError::Refused(format!("the driver did not end: {error}")))?;
    let found = match decoded {
        Ok(found) => found,
        Err(Refusal::Cut | Refusal::Configured) => return Ok(Outcome::CannotSay),
        Err(Refusal::Refused(..) | Refusal::Nothing) => return Ok(Outcome::StillRefused),
    };
    let at_us = row.captured_at_us;
    // The same span as that of ingest.
    let until = at_us.saturating_add(placement::CLOCK_BEHIND_MAX_US).max(work.now_us);
    let lane = capture.lane.as_str();
    let lane = lane_open::lane_between(&mut work.tx, &tenant, lane, (at_us, until)).await?;
    let Some(lane) = lane else { return Ok(Outcome::CannotSay) };
    for (index, (decoded, raw)) in (1_u64..).zip(found) {
        let reading = Reading {
            link: capture.link.clone(),
            lane: capture.lane.clone(),
            lane_session: None,
            is_lane_empty: false,
            clock: capture.clock,
            driver: DriverRef { id: driver.id.into(), version: driver.version.into() },
            decoded,
            raw: Raw::new(raw),
        };
        file(work, (&row, Epoch(id.0), index), &lane, reading).await?;
    }
    parse_failure::note_read(&mut work.tx, &tenant, &row.document_id, work.now_us).await?;
    Ok(Outcome::Read)
}

/// What the link's last reading was of: some instruments do not name themselves.
async fn model(
    tx: &mut Tx,
    tenant: &str,
    (row, capture): (&CaptureRow, &Capture),
) -> Result<Option<String>, StoreError> {
    let link = (row.location_id.as_str(), row.gateway_id.as_str(), capture.link.as_str());
    let since_us = row.captured_at_us - LAST_READING_WITHIN_US;
    let body = parse_failure::last_reading(tx, tenant, link, since_us).await?;
    let envelope = body.and_then(|body| serde_json::from_str::<Envelope>(&body).ok());
    Ok(match envelope.map(|it| it.body) {
        Some(Body::Reading(it)) => Some(it.decoded.instrument.model),
        _ => None,
    })
}

async fn file(
    work: &mut Work,
    (capture, epoch, index): (&CaptureRow, Epoch, u64),
    lane: &Lane,
    sent: Reading,
) -> Result<(), AppError> {
    let tenant = work.who.tenant.clone();
    let placed = place(&mut work.tx, &tenant, (capture, &sent), lane).await?;
    let content_sha256 = sent.decoded.content_sha256().to_string();
    let first = first_print(work, (capture, &sent), (&content_sha256, &placed)).await?;
    if let Some(first) = &first {
        document::count_sent_again(&mut work.tx, &tenant, first).await?;
    }
    let has_lens = |it: &Decoded| {
        it.measurements.iter().any(|it| matches!(it.measured, Measured::Lensometry(_)))
    };
    let correction = match (placed.place, &placed.lane_session_id) {
        (Place::Exam, Some(session)) if has_lens(&sent.decoded) => lane.correction_of(session),
        _ => None,
    };
    let id = ReadingId(Uuid::now_v7());
    let reading_id = id.to_string();
    let instrument = sent.decoded.instrument.clone();
    let reading = NewReading {
        reading_id: reading_id.clone(),
        gateway_id: AGAIN_GATEWAY.into(),
        epoch: epoch.to_string(),
        seq: i64::try_from(index).unwrap_or(i64::MAX),
        location_id: lane.location_id.clone(),
        lane_id: sent.lane.to_string(),
        link_id: sent.link.to_string(),
        vendor: column(&instrument.vendor),
        model: column(&instrument.model),
        content_sha256,
        captured_at_us: capture.captured_at_us,
        received_at_us: work.now_us,
        claimed_patient: sent.decoded.claimed_patient.as_ref().map(|it| column(&it.id)),
        lane_session_id: placed.lane_session_id,
        place: if first.is_some() { Place::Duplicate } else { placed.place },
        reason: match &first {
            Some(_) => "printed again".into(),
            None => format!("{}; decoded again from a capture", placed.reason),
        },
        encounter_id: if first.is_some() { None } else { placed.encounter_id },
        // It comes late, and somebody may have measured again since.
        needs_a_look: true,
        duplicate_of: first,
        correction,
    };
    let envelope = envelope(&tenant, (capture, epoch, index), id, sent)?;
    let body = serde_json::to_string(&envelope).expect("plain data always serialises");
    let sha256 = Sha256::of(body.as_bytes()).to_string();
    let document = NewDocument {
        gateway_id: AGAIN_GATEWAY,
        epoch: reading.epoch.clone(),
        seq: reading.seq,
        document_id: &reading_id,
        kind: "reading",
        sha256: &sha256,
        captured_at_us: capture.captured_at_us,
        received_at_us: work.now_us,
        body: &body,
    };
    let readings = std::slice::from_ref(&reading);
    document::insert(&mut work.tx, &tenant, &[document], readings).await?;
    tell(work, (capture, &reading), lane, &body).await
}

/// Addendum, reports, pages and audit.
async fn tell(
    work: &mut Work,
    (capture, reading): (&CaptureRow, &NewReading),
    lane: &Lane,
    body: &str,
) -> Result<(), AppError> {
    let tenant = work.who.tenant.clone();
    if let Some(encounter) = &reading.encounter_id
        && lane.signed.contains(encounter)
        && !check_in::is_check_in(reading.correction.as_deref())
    {
        let instrument = format!("{} {}", reading.vendor, reading.model);
        let late = (encounter.as_str(), instrument.as_str());
        record::arrived_late(&mut work.tx, &tenant, late, work.now_us).await?;
    }
    work.counts(&reading.location_id, reading.captured_at_us);
    work.tell(NewEvent {
        location_id: Some(reading.location_id.clone()),
        lane_id: Some(reading.lane_id.clone()),
        encounter_id: reading.encounter_id.clone(),
        gateway_id: Some(capture.gateway_id.clone()),
        subject: Some(reading.reading_id.clone()),
        ..NewEvent::new(work.now_us, Kind::ReadingFiled)
    });
    let about = About {
        encounter_id: reading.encounter_id.clone(),
        reading_id: Some(reading.reading_id.clone()),
        ..About::default()
    };
    let about = about.kinds(crate::app::about::kinds_of(body)).why(&reading.reason);
    work.audit_about(("capture_decoded_again", &capture.document_id), about).await
}

/// As ingest would place it: see `ingest/reading.rs`. The gateway stamped no session on it.
async fn place(
    tx: &mut Tx,
    tenant: &str,
    (capture, sent): (&CaptureRow, &Reading),
    lane: &Lane,
) -> Result<Placement, StoreError> {
    let claimed = sent.decoded.claimed_patient.as_ref().map(|it| it.id.as_str());
    // A capture has no stamp: where lanes are opened at a page that may be without the cloud, only an
    // identity in the data decides.
    let own = (capture.gateway_id.as_str(), sent.lane.as_str());
    let mut facts = Facts {
        captured_at_us: capture.captured_at_us,
        clock: sent.clock,
        stamped: None,
        is_lane_empty: lane_act::has_any(tx, tenant, own).await?,
        claimed,
        known: Known::default(),
    };
    let placed = placement::place(facts, &lane.sessions);
    let Some(claimed) = placement::claimed_id(claimed).filter(|_| placed.place != Place::Exam)
    else {
        return Ok(placed);
    };
    let zone = lane_open::time_zone(tx, tenant, &lane.location_id).await?;
    let zone = local_time::zone(zone.as_deref().unwrap_or("UTC"));
    let date = local_time::date(capture.captured_at_us, &zone).to_string();
    let here = (lane.location_id.as_str(), date.as_str());
    let identity = identity::of(tx, tenant, here, claimed).await?;
    facts.known = identity.known();
    Ok(placement::place(facts, &lane.sessions))
}

/// The reading that this one repeats: somebody may have printed again when nothing came (T5).
async fn first_print(
    work: &mut Work,
    (capture, sent): (&CaptureRow, &Reading),
    (content, placed): (&str, &Placement),
) -> Result<Option<String>, StoreError> {
    if placed.lane_session_id.is_none() {
        return Ok(None);
    }
    let at_us = capture.captured_at_us;
    let between = (at_us - DUPLICATE_WITHIN_US, at_us + DUPLICATE_WITHIN_US);
    let tenant = work.who.tenant.clone();
    let prints = document::prints(&mut work.tx, &tenant, &[content], between).await?;
    let same = |first: &&document::Print| {
        (first.gateway_id == capture.gateway_id || first.gateway_id == AGAIN_GATEWAY)
            && first.link_id == sent.link.as_str()
            && first.lane_session_id == placed.lane_session_id
            && first.encounter_id == placed.encounter_id
    };
    let first = prints.get(content).and_then(|prints| prints.iter().find(same));
    Ok(first.map(|first| first.reading_id.clone()))
}

fn envelope(
    tenant: &str,
    (capture, epoch, index): (&CaptureRow, Epoch, u64),
    id: ReadingId,
    reading: Reading,
) -> Result<Envelope, AppError> {
    let slug = |error: chiasm_proto::ids::SlugError| AppError::Refused(error.to_string());
    let names = (TenantId::new(tenant).map_err(slug)?, capture.gateway_id.parse().map_err(slug)?);
    let time = jiff::Timestamp::from_microsecond(capture.captured_at_us).unwrap_or_default();
    let body = Body::Reading(Box::new(reading));
    Ok(Envelope::new((&names.0, &names.1), (epoch, index), id, time, body))
}

/// Text that every database takes, as ingest cuts it.
fn column(text: &str) -> String {
    const COLUMN_LEN_MAX: usize = 200;
    text.chars().take(COLUMN_LEN_MAX).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
}
