//! A gateway's state as it tells it, and what the cloud tells a gateway about its lanes.

use crate::{ClockState, Epoch, LaneId, LaneSessionId, LinkId, ReadingId, Seq};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Published on `…/state`: at connect (`online`), at a clean stop (`stopped`), and by the broker as
/// the last will (`lost`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// One connection of one process. A will that comes late carries an older session than the
    /// newest birth and is ignored.
    pub session: Uuid,
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Absent in a will: the broker sends it long after it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Online,
    Stopped,
    Lost,
}

/// Published on `…/up/telemetry` at intervals and inside a birth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telemetry {
    pub time: Timestamp,
    pub software_version: String,
    pub started_at: Timestamp,
    pub clock: ClockState,
    pub spool: SpoolState,
    #[serde(default)]
    pub links: Vec<LinkState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_free_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expires_at: Option<Timestamp>,
    /// It serves a page of its own and wants to know who may use it.
    #[serde(default, skip_serializing_if = "crate::is_false")]
    pub has_lane_page: bool,
}

/// The gateway's side of the conservation equation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpoolState {
    pub epoch: Epoch,
    /// Highest number given out so far; 0 before the first.
    pub last_seq: Seq,
    /// Documents that the cloud has not acknowledged.
    pub depth: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_at: Option<Timestamp>,
    pub quarantined: u64,
}

/// One link and the instrument behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    pub link: LinkId,
    pub lane: LaneId,
    pub driver: String,
    /// What the link is fixed to, for people: `/dev/serial/by-id/…`, `0.0.0.0:4001`.
    pub endpoint: String,
    pub status: LinkStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_reading_at: Option<Timestamp>,
    /// Since the process started.
    pub readings: u64,
    pub failures: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkStatus {
    Up,
    /// Tried again with back-off.
    Down,
}

/// Published on `…/down/session`: which session each lane of the gateway has open now. It is the
/// whole truth each time; a lane that is not listed has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    pub sessions: Vec<OpenSession>,
    /// The last of the gateway's own acts about the session of each lane that this takes into
    /// account. Until its newest one stands here, what the gateway knows of the lane counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<HeardAct>,
}

/// A [`crate::LaneAct`] that the cloud has carried out, or has refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeardAct {
    pub lane: LaneId,
    /// The document's `id`.
    pub act: ReadingId,
}

/// An open lane session. Carries no personal data: the gateway needs none to stamp a reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSession {
    pub lane: LaneId,
    pub session: LaneSessionId,
    pub opened_at: Timestamp,
    /// Ends by itself so many seconds after the last reading or its opening (T1).
    pub idle_timeout_s: u32,
}
