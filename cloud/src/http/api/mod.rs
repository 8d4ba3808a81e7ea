//! `/api/v1`: the same use cases as the pages, in JSON. Signed in by the pages' cookie (changes
//! then need the header `x-csrf-token`) or by `Authorization: Bearer` with a token of
//! `POST /api/v1/sign-in`. Moments are microseconds since 1970 UTC (`…_at_us`).
//!
//! **A new route** is four things:
//!
//! 1. its line in `http/routes.rs`, with the roles;
//! 2. on the handler, `#[utoipa::path(get, path = "/api/v1/…", responses((status = 200, body =
//!    Vec<ThingJson>)))]` below a doc comment whose first line says what it does; `params(Query)`
//!    for a query (`IntoParams`), `request_body = Change` for a body. Nothing else is written
//!    there: path parameters, roles, the sign-in and the refusals are added from the table by
//!    [`openapi`], a further one (`(status = 404)`) only where nothing in the path shows it;
//! 3. one line in the list of [`openapi`];
//! 4. on what it sends, `derive(Serialize, ToSchema)` with `#[schema(as = Thing)]`; on what it
//!    takes, `derive(Deserialize, ToSchema)` with `#[serde(deny_unknown_fields)]` and
//!    `#[serde(deserialize_with = "text::<REASON_LEN_MAX, _>")]` on every text.
//!
//! Bodies are taken by [`Body`], queries by [`Params`], text by `extract::Text`: what does not fit is
//! refused with the field's name, and NUL never reaches the database. A refusal about a field is
//! `Fault::…(…).at_field("reason")`, from below `AppError::Field("reason", message)`. `cloud/tests/
//! openapi.rs` fails for a route that the document does not describe.

pub mod audit;
pub mod charges;
pub mod corrections;
pub mod docs;
pub mod exam;
pub mod fleet;
pub mod history;
pub mod inboxes;
pub mod lanes;
pub mod openapi;
pub mod optical;
pub mod orders;
pub mod patients;
pub mod record;
pub mod reports;
pub mod waiting;

pub use super::extract::{Body, Params};
use super::{
    Fault, Web, Who,
    extract::{ID_LEN_MAX, text},
};
use crate::{
    app::{REASON_LEN_MAX, work::Work},
    clock,
};
use serde::Deserialize;
use utoipa::ToSchema;

/// Begins a change in the name of who asks.
pub async fn begin(web: &Web, who: &Who) -> Result<Work, Fault> {
    Ok(Work::begin(&web.core, who, clock::now_us()).await?)
}

/// The body of a change of one reading; every part may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReadingChange {
    /// The version that was seen; another one is refused with 409.
    pub version: Option<i64>,
    /// Why. Needed to reject, to move, and to file although the ids differ.
    #[serde(deserialize_with = "text::<REASON_LEN_MAX, _>")]
    #[schema(max_length = 300)]
    pub reason: String,
    /// Where to, for assign and move.
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    #[schema(max_length = 200)]
    pub encounter_id: String,
    /// The explicit "file although the ids differ".
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
