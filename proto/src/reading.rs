//! What a driver makes of one transmission, and what a gateway adds to it before it sends it.

use crate::{LaneId, LaneSessionId, LinkId, Measurement, Raw, Sha256};
use jiff::civil;
use serde::{Deserialize, Serialize};

/// What a driver understood of one transmission: one instrument, one print, any number of
/// measurements. Knows nothing of gateways, lanes or patients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decoded {
    pub instrument: Instrument,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instrument_time: Option<InstrumentTime>,
    /// The instrument's own counter of prints; wraps, is reset, and identifies no patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_number: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_patient: Option<ClaimedPatient>,
    pub integrity: Integrity,
    pub measurements: Vec<Measurement>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Flag>,
    /// Well-formed records of unknown kind, kept as text for a person to see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_records: Vec<UnknownRecord>,
}

impl Decoded {
    /// A reading in which nothing was measured yet.
    pub fn new(instrument: Instrument, integrity: Integrity) -> Self {
        Self {
            instrument,
            instrument_time: None,
            running_number: None,
            claimed_patient: None,
            integrity,
            measurements: vec![],
            flags: vec![],
            unknown_records: vec![],
        }
    }

    /// A hash over everything but the instrument's time, by which a second print of the same
    /// measurement is known (T5).
    pub fn content_sha256(&self) -> Sha256 {
        let timeless = Self { instrument_time: None, ..self.clone() };
        let json = serde_json::to_vec(&timeless).expect("plain data always serialises");
        Sha256::of(&json)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Instrument {
    pub vendor: String,
    /// As the instrument names itself, or as configured.
    pub model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software: Option<String>,
}

/// The instrument's wall clock: text as sent, and what it says if it could be read. It has no zone
/// and is evidence only; the gateway's time orders (R38).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstrumentTime {
    pub as_sent: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<civil::DateTime>,
}

/// A patient identity found inside the data (R31 a).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimedPatient {
    pub id: String,
    /// Where it stood: `IP record`, `nsCommon:Patient/ID`.
    pub found_in: String,
}

/// Whether the transmission carries a checksum that proves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Integrity {
    /// A checksum was sent and is right.
    Checksum,
    /// The format has one but this transmission was sent without.
    None,
    /// A closed document, such as XML whose root element ends.
    Structure,
}

/// Something a person should look at. Flags drop nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    pub code: FlagCode,
    /// In words, for people: `left sphere -22.00 D is beyond the usual range`.
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlagCode {
    /// At least one shot failed.
    ShotFailed,
    /// The instrument calls a shot unsure.
    LowConfidence,
    /// Beyond what is usual; look again.
    Unusual,
    /// Beyond what is plausible; enters the exam only by a person's explicit acceptance.
    Implausible,
    /// The side of a value was not sent.
    SideNotGiven,
    /// A record of unknown kind is kept as text.
    UnknownRecord,
    /// Values sent twice in different form do not agree.
    Inconsistent,
    /// The instrument's clock was never set.
    ClockUnset,
    /// The direction of a prism is not documented.
    PrismDirectionUnverified,
    /// Several shots but no value that the instrument declares for the eye.
    NoRepresentative,
    /// The instrument reported an error.
    InstrumentError,
    /// No checksum proves the transmission.
    NoChecksum,
    /// A value was sent in another unit than it is kept in; the detail says how it was sent.
    Converted,
}

impl FlagCode {
    /// Whether one tap for all may accept a reading with this flag (T3), or a person has to look
    /// at it by itself.
    pub fn needs_a_look(self) -> bool {
        !matches!(
            self,
            FlagCode::NoChecksum
                | FlagCode::ClockUnset
                | FlagCode::NoRepresentative
                | FlagCode::Converted
        )
    }
}

/// A record that is well-formed but not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownRecord {
    /// Position of its first byte in the capture.
    pub offset: usize,
    pub text: String,
}

/// Which driver, in which version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DriverRef {
    pub id: String,
    pub version: String,
}

/// How far the gateway's clock can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockState {
    Synced,
    Unsynced,
}

/// A reading as a gateway sends it (`data` of an [`crate::Envelope`] whose `time` is the moment of
/// capture by the gateway's clock).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    pub link: LinkId,
    /// The lane that the link is fixed to by configuration.
    pub lane: LaneId,
    /// The lane session that was open when the last byte arrived, as far as the gateway knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane_session: Option<LaneSessionId>,
    /// Nobody was in the lane, by what people had done at the gateway's page: what the cloud knows of
    /// the lane may be older than that, and must not decide (T12).
    #[serde(default, skip_serializing_if = "crate::is_false")]
    pub is_lane_empty: bool,
    pub clock: ClockState,
    pub driver: DriverRef,
    #[serde(flatten)]
    pub decoded: Decoded,
    pub raw: Raw,
}

/// Most raw bytes of a capture; of longer ones the beginning is sent.
pub const CAPTURE_LEN_MAX: usize = 64 * 1024;

/// Bytes that did not become a reading: kept, explained, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    pub link: LinkId,
    pub lane: LaneId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<DriverRef>,
    /// Short and stable, for counting: `checksum`, `incomplete`, `noise`, `too_long`.
    pub code: String,
    /// For people: link, driver, field and position.
    pub detail: String,
    /// Offset of the first offending byte, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    pub clock: ClockState,
    pub raw: Raw,
}

/// Something that happened at a gateway and has to be kept: a new epoch, a link that went away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayEvent {
    /// Short and stable: `epoch_started`, `link_lost`, `link_up`.
    pub code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkId>,
    pub detail: String,
}
