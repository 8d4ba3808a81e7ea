//! What the cloud answers after its database has committed.

use crate::{Epoch, Seq};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

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
    /// Of the documents with every number up to `upto` but for `missing`. Absent where the list of
    /// missing numbers is not complete, or the cloud does not know. A gateway whose own documents
    /// have another one gave the same numbers out twice, because its disk was put back to an
    /// earlier state: what the cloud speaks of is not what it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<IdDigest>,
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

/// Code of a document that is filed under another number, and so need not be filed under this one.
pub const FILED_BEFORE: &str = "filed_before";

/// Which documents a set holds, whatever their order: their identifiers, exclusive or. On the wire
/// 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct IdDigest(u128);

impl IdDigest {
    /// Of a set with this document more, or, if it held it, without it.
    #[must_use]
    pub fn with(self, document: Uuid) -> Self {
        Self(self.0 ^ document.as_u128())
    }
}

impl fmt::Display for IdDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// No 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest of identifiers has 32 hexadecimal digits")]
pub struct IdDigestError;

impl FromStr for IdDigest {
    type Err = IdDigestError;
    fn from_str(text: &str) -> Result<Self, IdDigestError> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        number.map(Self).ok_or(IdDigestError)
    }
}

impl TryFrom<String> for IdDigest {
    type Error = IdDigestError;
    fn try_from(text: String) -> Result<Self, IdDigestError> {
        text.parse()
    }
}

impl From<IdDigest> for String {
    fn from(digest: IdDigest) -> Self {
        digest.to_string()
    }
}

/// Why one document was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    pub seq: Seq,
    /// Short and stable: `malformed`, `content_differs`, `hash_mismatch`, `unknown_lane`, and
    /// [`FILED_BEFORE`].
    pub code: String,
    pub detail: String,
}
