//! The fleet: what runs by the clock, and the proof that nothing is lost.

pub mod jobs;
pub mod reconcile;

use chiasm_proto::fleet::Telemetry;

/// What a gateway said of itself last, if it can be read.
pub fn telemetry(json: Option<&str>) -> Option<Telemetry> {
    serde_json::from_str(json?).ok()
}
