//! From a decoder's event to a document.

use super::Shared;
use crate::{
    binding::Stamp,
    clock,
    config::Link,
    journal::Arrival,
    spool::{BODY_LEN_MAX, Document},
};
use chiasm_drivers::{DecodeError, DriverSpec, ErrorCode, Event};
use chiasm_proto::{
    Body, CAPTURE_LEN_MAX, Capture, Decoded, DriverRef, LaneId, LinkId, Raw, Reading, raw,
};
use std::sync::PoisonError;

/// Longest explanation of a capture, in bytes.
const DETAIL_LEN_MAX: usize = 1024;
const DRIVER_FAULT: &str = "the driver failed on these bytes; this is a defect of the driver";

/// Where bytes come from, and which driver has read them.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) link: &'a LinkId,
    pub(crate) lane: &'a LaneId,
    pub(crate) driver: &'static DriverSpec,
}

impl<'a> From<&'a Link> for Source<'a> {
    fn from(link: &'a Link) -> Self {
        Self { link: &link.id, lane: &link.lane, driver: link.driver }
    }
}

/// Bytes that arrive now.
pub(super) fn now() -> Arrival {
    Arrival { at: clock::wall(), clock: clock::state(), may_bind: true }
}

/// What becomes of an event, if it is to be kept.
pub(crate) fn from_event(
    source: Source<'_>,
    shared: &Shared,
    arrival: Arrival,
    event: Event,
) -> Option<Document> {
    let body = match event {
        Event::Decoded { decoded, context, raw } => {
            let raw = [context, raw].concat();
            decoded_body(source, shared, arrival, *decoded, raw)
        }
        Event::Rejected { error, raw } => {
            shared.health.failure(source.link);
            let code = if is_driver_fault(&error) { "driver_fault" } else { error.code.as_str() };
            let offset = Some(error.offset);
            capture(source, arrival, code, error.to_string(), offset, raw)
        }
        Event::Control { .. } | Event::Overflow { .. } => return None,
    };
    Some(Document::new(arrival.at, body))
}

fn decoded_body(
    source: Source<'_>,
    shared: &Shared,
    arrival: Arrival,
    decoded: Decoded,
    raw: Vec<u8>,
) -> Body {
    let stamp = arrival
        .may_bind
        .then(|| shared.lanes.lock().unwrap_or_else(PoisonError::into_inner))
        .map(|mut lanes| lanes.stamp(source.lane, arrival.at));
    let Stamp { session: lane_session, is_lane_empty } = stamp.unwrap_or_default();
    let reading = Reading {
        link: source.link.clone(),
        lane: source.lane.clone(),
        lane_session,
        is_lane_empty,
        clock: arrival.clock,
        driver: driver_ref(source.driver),
        decoded,
        raw: Raw::new(raw),
    };
    let body = Body::Reading(Box::new(reading));
    let len = serde_json::to_vec(&body).map_or(usize::MAX, |json| json.len());
    if len <= BODY_LEN_MAX {
        shared.health.reading(source.link, arrival.at);
        return body;
    }
    shared.health.failure(source.link);
    let Body::Reading(reading) = body else { unreachable!("the body was made here") };
    let why = format!("a reading of {len} bytes; at most {BODY_LEN_MAX} can be sent");
    capture(source, arrival, ErrorCode::TooLong.as_str(), why, None, reading.raw.bytes)
}

fn capture(
    source: Source<'_>,
    arrival: Arrival,
    code: &str,
    why: String,
    offset: Option<usize>,
    mut raw: Vec<u8>,
) -> Body {
    let mut detail = format!("link {}, driver {}: {why}", source.link, source.driver.id);
    detail.truncate(detail.floor_char_boundary(DETAIL_LEN_MAX));
    tracing::warn!(link = %source.link, driver = source.driver.id, code, bytes = raw.len(), detail,
        "bytes gave no reading");
    if raw.len() > CAPTURE_LEN_MAX {
        detail = format!("{detail}; {} bytes, the first {CAPTURE_LEN_MAX} are kept", raw.len());
        raw.truncate(CAPTURE_LEN_MAX);
    }
    Body::Capture(Capture {
        link: source.link.clone(),
        lane: source.lane.clone(),
        driver: Some(driver_ref(source.driver)),
        code: code.into(),
        detail,
        offset,
        clock: arrival.clock,
        raw: raw::Raw::new(raw),
    })
}

/// A capture without bytes, for a file that was not read.
pub(super) fn refused_file(link: &Link, code: &str, why: String) -> Body {
    capture(link.into(), now(), code, why, None, Vec::new())
}

fn driver_ref(driver: &DriverSpec) -> DriverRef {
    DriverRef { id: driver.id.into(), version: driver.version.into() }
}

/// What becomes of the bytes that a driver failed on.
pub(crate) fn driver_fault(raw: Vec<u8>) -> Event {
    Event::Rejected { error: DecodeError::new(ErrorCode::Malformed, 0, DRIVER_FAULT), raw }
}

fn is_driver_fault(error: &DecodeError) -> bool {
    error.message == DRIVER_FAULT
}
