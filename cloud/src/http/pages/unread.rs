//! What a lane's instruments sent a moment ago and nobody could read (T6). It gives no number; a
//! reading that the same instrument sends afterwards ends it.

use super::Fault;
use crate::{
    domain::placement::TRAY_MAX_US,
    http::show,
    store::{Tx, capture},
};
use chiasm_proto::{Body, Envelope};
use jiff::tz::TimeZone;

/// Most captures of a practice that are looked through for one lane.
const CAPTURES_MAX: i64 = 200;

/// One instrument's broken transmission.
pub struct Unread {
    pub link: String,
    pub time: String,
    /// What happened and what to do.
    pub words: &'static str,
}

/// The latest of each link of the lane that no reading has followed, the newest first.
pub async fn of_lane(
    tx: &mut Tx,
    (tenant, lane): (&str, &str),
    (zone, now_us): (&TimeZone, i64),
) -> Result<Vec<Unread>, Fault> {
    let since_us = now_us - TRAY_MAX_US;
    let captures = capture::since(tx, tenant, since_us, CAPTURES_MAX).await?;
    let mut unread: Vec<(i64, Unread)> = Vec::new();
    for row in captures {
        let Ok(envelope) = serde_json::from_str::<Envelope>(&row.body) else { continue };
        let Body::Capture(capture) = envelope.body else { continue };
        let is_known = unread.iter().any(|(_, it)| it.link == capture.link.as_str());
        if capture.lane.as_str() == lane && !is_known {
            let time = show::time(row.captured_at_us, zone);
            let it = Unread { link: capture.link.to_string(), time, words: words(&capture.code) };
            unread.push((row.captured_at_us, it));
        }
    }
    if !unread.is_empty() {
        let read = capture::last_readings(tx, tenant, lane, since_us).await?;
        let is_over = |link: &str, at_us: i64| {
            read.iter().any(|(of, last_us)| of == link && *last_us > at_us)
        };
        unread.retain(|(at_us, it)| !is_over(&it.link, *at_us));
    }
    Ok(unread.into_iter().map(|(_, it)| it).collect())
}

fn words(code: &str) -> &'static str {
    match code {
        "incomplete" => "Incomplete: print again.",
        "checksum" => "Damaged on the way: print again. If it happens again, look at the cable.",
        "noise" => "Something came that is no print. If you pressed Print, press it again.",
        _ => "It could not be read. Print again; if it happens again, tell clinic IT.",
    }
}
