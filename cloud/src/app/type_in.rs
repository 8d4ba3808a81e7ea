//! Typing values of an instrument that has no data port or is broken (T11): a reading like any
//! other, marked as typed, with who and when.

use super::{AppError, about, work::Work};
use crate::{
    domain::{
        difference::difference,
        sheet::{self, FieldFault, Test, Typed},
    },
    store::{
        audit::About,
        document::{self, NewDocument, NewReading},
        lane_session,
        live::{Kind, NewEvent},
        site,
    },
};
use chiasm_proto::{
    Body, ClockState, Decoded, DriverRef, Envelope, Epoch, GatewayId, Instrument, Integrity,
    LaneId, LinkId, Raw, Reading, ReadingId, Sha256, TenantId,
};
use jiff::Timestamp;
use uuid::Uuid;

/// The gateway column of typed readings.
pub const GATEWAY: &str = document::TYPED_GATEWAY;
/// Longest name of an instrument, in characters.
pub const INSTRUMENT_LEN_MAX: usize = 80;

/// What was typed, and on which instrument it was read.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    pub test: Test,
    pub typed: &'a Typed,
    pub vendor: &'a str,
    pub model: &'a str,
    pub lane: &'a str,
}

/// Files what was typed into the exam, accepted by the person who typed it. Gives the reading's id.
pub async fn type_in(
    work: &mut Work,
    encounter: &str,
    entry: &Entry<'_>,
) -> Result<String, AppError> {
    let visit = work.encounter(encounter).await?;
    let tenant = work.who.tenant.clone();
    let mut faults = Vec::new();
    let instrument = instrument(entry, &mut faults);
    let measurements = match sheet::parse(entry.test, entry.typed) {
        Ok(measurements) => measurements,
        Err(more) => {
            faults.extend(more);
            Vec::new()
        }
    };
    let lane = site::lane(&mut work.tx, &tenant, entry.lane).await?;
    let lane = lane.filter(|lane| lane.location_id == visit.location_id);
    if lane.is_none() {
        faults.push(FieldFault { field: "lane".into(), message: "choose the lane".into() });
    }
    let (Some(lane), true) = (lane, faults.is_empty()) else {
        return Err(AppError::Fields(faults));
    };
    let mut decoded = Decoded::new(instrument, Integrity::Structure);
    decoded.measurements = measurements;
    let id = ReadingId(Uuid::now_v7());
    let session = lane_session::open_of(&mut work.tx, &tenant, &lane.lane_id, encounter).await?;
    let envelope = envelope(work, (id, &lane.lane_id), entry, decoded.clone())?;
    let body = serde_json::to_string(&envelope).expect("plain data always serialises");
    let epoch = envelope.epoch.to_string();
    let (reading_id, sha256) = (id.to_string(), Sha256::of(body.as_bytes()).to_string());
    let document = NewDocument {
        gateway_id: GATEWAY,
        epoch: epoch.clone(),
        seq: 1,
        document_id: &reading_id,
        kind: "reading",
        sha256: &sha256,
        captured_at_us: work.now_us,
        received_at_us: work.now_us,
        body: &body,
    };
    let reading = NewReading {
        reading_id: reading_id.clone(),
        gateway_id: GATEWAY.into(),
        epoch,
        seq: 1,
        location_id: visit.location_id.clone(),
        lane_id: lane.lane_id.clone(),
        link_id: entry.test.as_str().into(),
        vendor: decoded.instrument.vendor.clone(),
        model: decoded.instrument.model.clone(),
        content_sha256: decoded.content_sha256().to_string(),
        captured_at_us: work.now_us,
        received_at_us: work.now_us,
        claimed_patient: None,
        lane_session_id: session,
        place: crate::domain::placement::Place::Exam,
        reason: "typed by a person into this exam".into(),
        encounter_id: Some(encounter.to_owned()),
        needs_a_look: false,
        duplicate_of: None,
        correction: None,
    };
    document::insert(&mut work.tx, &tenant, &[document], &[reading]).await?;
    let by = (work.who.account.clone(), work.now_us);
    document::mark_manual(&mut work.tx, &tenant, &reading_id, (&by.0, by.1)).await?;
    work.counts(&visit.location_id, work.now_us);
    work.tell(NewEvent {
        location_id: Some(visit.location_id),
        lane_id: Some(lane.lane_id),
        encounter_id: Some(encounter.to_owned()),
        subject: Some(reading_id.clone()),
        ..NewEvent::new(work.now_us, Kind::ReadingFiled)
    });
    let about = About { reading_id: Some(reading_id.clone()), ..About::exam(encounter) };
    let values = about::by_name(&decoded.measurements);
    let values = difference(&serde_json::Value::Null, &values);
    let about = about.kinds([about::kind_of_test(entry.test)]).values((&values.0, &values.1));
    work.audit_about(("reading_typed", &reading_id), about).await?;
    Ok(reading_id)
}

/// The instrument must be named (T11).
fn instrument(entry: &Entry<'_>, faults: &mut Vec<FieldFault>) -> Instrument {
    for (field, text) in [("vendor", entry.vendor), ("model", entry.model)] {
        let length = text.trim().chars().count();
        if length == 0 || length > INSTRUMENT_LEN_MAX {
            let message = format!("name the instrument, at most {INSTRUMENT_LEN_MAX} characters");
            faults.push(FieldFault { field: field.into(), message });
        }
    }
    Instrument {
        vendor: entry.vendor.trim().into(),
        model: entry.model.trim().into(),
        ..Instrument::default()
    }
}

/// The document: its raw bytes are what stood in the fields.
fn envelope(
    work: &Work,
    (id, lane): (ReadingId, &str),
    entry: &Entry<'_>,
    decoded: Decoded,
) -> Result<Envelope, AppError> {
    let fields = entry.test.form_fields();
    let lines = fields.iter().filter_map(|(name, _)| {
        let text = entry.typed.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())?;
        Some(format!("{name}: {text}\r\n"))
    });
    let raw: String = lines.collect();
    let slug = |error: chiasm_proto::ids::SlugError| AppError::Refused(error.to_string());
    let reading = Reading {
        link: LinkId::new(entry.test.as_str().replace('_', "-")).map_err(slug)?,
        lane: LaneId::new(lane).map_err(slug)?,
        lane_session: None,
        is_lane_empty: false,
        clock: ClockState::Synced,
        driver: DriverRef { id: "typed".into(), version: "1".into() },
        decoded,
        raw: Raw::new(raw.into_bytes()),
    };
    let names = (
        TenantId::new(work.who.tenant.clone()).map_err(slug)?,
        GatewayId::new("manual").map_err(slug)?,
    );
    let time = Timestamp::from_microsecond(work.now_us).unwrap_or(Timestamp::UNIX_EPOCH);
    let body = Body::Reading(Box::new(reading));
    // An epoch of its own, so that no number has to be given out.
    Ok(Envelope::new((&names.0, &names.1), (Epoch(id.0), 1), id, time, body))
}
