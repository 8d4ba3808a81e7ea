//! What the cloud answers after its database has committed.

use crate::{Epoch, Seq};
use serde::{Deserialize, Serialize};

/// Most sequence numbers that one acknowledgement lists as missing.
pub const MISSING_MAX: usize = 256;
/// Most ranges beyond `upto` that one acknowledgement lists.
pub const ABOVE_MAX: usize = 64;

/// "Of this epoch, everything up to `upto` is in the database, but for `missing`." Cumulative, so
/// it may be repeated and any later one covers an earlier one.
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
    /// First and last number of ranges beyond `upto` that are settled all the same: live documents
    /// overtake a backlog. At most [`ABOVE_MAX`], the highest ones; never the only word on a
    /// number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub above: Vec<(Seq, Seq)>,
    /// Numbers that cannot be filed and must not be sent again: quarantined on both sides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<Rejection>,
}

impl Ack {
    /// Whether the cloud has this number, filed or refused for good.
    pub fn settles(&self, seq: Seq) -> bool {
        (seq <= self.upto && !self.missing.contains(&seq))
            || self.above.iter().any(|(first, last)| (*first..=*last).contains(&seq))
            || self.rejected.iter().any(|rejection| rejection.seq == seq)
    }
}

/// Why one document was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    pub seq: Seq,
    /// Short and stable: `malformed`, `content_differs`, `hash_mismatch`, `unknown_lane`.
    pub code: String,
    pub detail: String,
}
