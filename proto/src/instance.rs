//! DICOM instances on their way from a gateway to the cloud: offered, sent in parts, filed.
//!
//! Over HTTPS on the cloud's gateway endpoint, with the gateway's certificate:
//!
//! ```text
//! POST {INSTANCES_PATH}                      InstanceOffer  -> InstanceProgress
//! PUT  {INSTANCES_PATH}/{sha256}/{offset}    bytes          -> InstanceProgress
//! ```
//!
//! An offer may be repeated at any time and says how far the cloud has come; a part goes to the
//! offset that the cloud named. Only [`InstanceStatus::Filed`] lets the gateway forget the bytes: it
//! is said after the object is durable and its row is committed.

use crate::{ClockState, LaneId, LaneSessionId, LinkId, Sha256};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Path of an offer, and the beginning of a part's.
pub const INSTANCES_PATH: &str = "/instances/v1";
/// Longest part, in bytes.
pub const PART_LEN_MAX: usize = 4 * 1024 * 1024;
/// Longest instance, in bytes, as a DICOM file.
pub const INSTANCE_LEN_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// Header that carries the SHA-256 of a part, in hexadecimal.
pub const PART_SHA256_HEADER: &str = "chiasm-part-sha256";

/// One instance that a gateway holds: a DICOM file with the data set exactly as it was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceOffer {
    /// Of the whole file.
    pub sha256: Sha256,
    pub len_bytes: u64,
    /// The imager it came from, and the lane that it is fixed to by configuration.
    pub link: LinkId,
    pub lane: LaneId,
    /// The lane session that was open when it had arrived, as far as the gateway knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane_session: Option<LaneSessionId>,
    /// When its last byte arrived, by the gateway's clock.
    pub received_at: Timestamp,
    pub clock: ClockState,
    pub calling_ae: String,
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    pub transfer_syntax_uid: String,
    /// Another instance with the same UID and other content came before it.
    #[serde(default)]
    pub contradicts_earlier: bool,
}

/// How far the cloud has come with an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceProgress {
    pub status: InstanceStatus,
    /// So many bytes are on the cloud's disk; the next part begins here.
    pub offset: u64,
    /// Why it was refused, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceStatus {
    /// Parts are missing.
    Incomplete,
    /// Durable and committed, whether it lies in an exam, in an inbox or in quarantine.
    Filed,
    /// What came is not what was offered; it has to be sent again from the beginning.
    Damaged,
}
