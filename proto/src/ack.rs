//! What the cloud answers after its database has committed.

use crate::{Epoch, Seq};
use serde::{Deserialize, Serialize};

/// Most sequence numbers that one acknowledgement lists as missing.
pub const MISSING_MAX: usize = 256;

/// "Of this epoch, everything up to `upto` is in the database, but for `missing`." Cumulative, so it
/// may be repeated and any later one covers an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    pub epoch: Epoch,
    /// Highest number that the cloud has seen; every number up to it that is not in `missing` is
    /// filed or rejected.
    pub upto: Seq,
    /// Numbers below `upto` that have not arrived. At most [`MISSING_MAX`]: where there are more,
    /// `upto` is lowered so that the list is complete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Seq>,
    /// Numbers that cannot be filed and must not be sent again: quarantined on both sides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<Rejection>,
}

/// Why one document was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    pub seq: Seq,
    /// Short and stable: `malformed`, `content_differs`, `hash_mismatch`, `unknown_lane`.
    pub code: String,
    pub detail: String,
}
