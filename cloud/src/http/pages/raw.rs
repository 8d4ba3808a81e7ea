//! The bytes of a reading, as the port gave them.

use super::{
    Fault, Web, Who,
    frame::{Frame, page},
};
use crate::{app::look, clock, store::exam};
use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use chiasm_proto::{Body, Envelope};

/// Bytes on one line.
pub(super) const LINE_LEN: usize = 16;
/// Bytes shown at most; the hash covers all of them.
pub(super) const SHOWN_MAX: usize = 64 * 1024;

#[derive(Template)]
#[template(path = "raw.html")]
struct RawPage {
    frame: Frame,
    instrument: String,
    driver: String,
    link: String,
    sha256: String,
    is_intact: bool,
    len: usize,
    shown: usize,
    back: String,
    lines: Vec<HexLine>,
}

pub(super) struct HexLine {
    pub(super) offset: String,
    pub(super) hex: String,
    pub(super) text: String,
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let row = exam::reading(&mut tx, &who.tenant, &id).await?;
    drop(tx);
    let row = row.ok_or_else(|| Fault::not_found("reading"))?;
    let envelope: Envelope =
        serde_json::from_str(&row.body).map_err(|error| Fault::ours(&error))?;
    let Body::Reading(reading) = envelope.body else { return Err(Fault::not_found("reading")) };
    look::look(&web.core.db, &who, ("raw_seen", &id), clock::now_us()).await?;
    let bytes = &reading.raw.bytes;
    let shown = &bytes[..bytes.len().min(SHOWN_MAX)];
    let instrument = &reading.decoded.instrument;
    let back = match (&row.encounter_id, row.place.as_str()) {
        (Some(encounter), "exam") => format!("/exams/{encounter}"),
        _ => format!("/inbox/{}", row.location_id),
    };
    page(RawPage {
        frame: Frame::new("Raw bytes", Some(&who), "none"),
        instrument: format!("{} {}", instrument.vendor, instrument.model),
        driver: format!("{} {}", reading.driver.id, reading.driver.version),
        link: reading.link.to_string(),
        sha256: reading.raw.sha256.to_string(),
        is_intact: reading.raw.is_intact(),
        len: bytes.len(),
        shown: shown.len(),
        back,
        lines: hex_lines(shown),
    })
}

pub(super) fn hex_lines(bytes: &[u8]) -> Vec<HexLine> {
    bytes.chunks(LINE_LEN).enumerate().map(hex_line).collect()
}

fn hex_line((index, bytes): (usize, &[u8])) -> HexLine {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    HexLine {
        offset: format!("{:06x}", index * LINE_LEN),
        hex: hex.join(" "),
        text: bytes.iter().map(|&byte| visible(byte)).collect(),
    }
}

/// Control characters by their pictures, so that STX and CR are seen.
fn visible(byte: u8) -> char {
    match byte {
        0x20..=0x7e => char::from(byte),
        0x00..=0x1f => char::from_u32(0x2400 + u32::from(byte)).unwrap_or('.'),
        0x7f => '\u{2421}',
        _ => '\u{b7}',
    }
}
