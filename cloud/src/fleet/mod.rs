//! The fleet: what runs by the clock, and the proof that nothing is lost.

pub mod jobs;
pub mod notices;
pub mod reconcile;
pub mod volume;
pub mod watch;

use chiasm_proto::fleet::Telemetry;

/// What a gateway said of itself last, if it can be read.
pub fn telemetry(json: Option<&str>) -> Option<Telemetry> {
    serde_json::from_str(json?).ok()
}
