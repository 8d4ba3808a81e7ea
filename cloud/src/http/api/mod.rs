//! `/api/v1`: the same use cases as the pages, in JSON. Signed in by the pages' cookie (changes
//! then need the header `x-csrf-token`) or by `Authorization: Bearer` with a token of
//! `POST /api/v1/sign-in`. Moments are microseconds since 1970 UTC (`…_at_us`).

pub mod exam;
pub mod fleet;
pub mod history;
pub mod lanes;
pub mod patients;
pub mod waiting;

use super::{Fault, Web, Who};
use crate::{app::work::Work, clock};
use serde::Deserialize;

/// Begins a change in the name of who asks.
pub async fn begin(web: &Web, who: &Who) -> Result<Work, Fault> {
    Ok(Work::begin(&web.core, who, clock::now_us()).await?)
}

/// The body of a change of one reading; every part may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ReadingChange {
    /// The version that was seen; another one is refused with 409.
    pub version: Option<i64>,
    pub reason: String,
    /// Where to, for assign and move.
    pub encounter_id: String,
    pub although_ids_differ: bool,
}

impl From<ReadingChange> for crate::app::assign::Choice {
    fn from(it: ReadingChange) -> Self {
        Self {
            encounter_id: it.encounter_id,
            version: it.version,
            although_ids_differ: it.although_ids_differ,
            reason: it.reason,
        }
    }
}
