//! What people say about readings and visits beyond what instruments sent.

use super::{Body, Fault, Web, Who, begin};
use crate::{
    app::{
        REASON_LEN_MAX,
        correct::{self, Of},
        merge,
        type_in::{self, Entry, INSTRUMENT_LEN_MAX},
        visit_note::{self, AGENT_LEN_MAX},
    },
    domain::{
        correction::{Drops, ORDER_LEN_MAX, PairUse, Purpose},
        sheet::{Test, Typed},
    },
    http::extract::{ID_LEN_MAX, text},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use chiasm_proto::Eye;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A change that needs its reason.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithReason {
    /// The version of the reading that was seen; another one is refused with 409.
    #[serde(default)]
    version: Option<i64>,
    #[serde(deserialize_with = "text::<REASON_LEN_MAX, _>")]
    #[schema(max_length = 300)]
    reason: String,
}

/// Exchanges OD and OS in the whole reading; a second time takes it back.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/readings/{reading}/swap",
    request_body = WithReason, responses((status = 204)))]
pub async fn swap(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading)): Path<(String, String)>,
    Body(change): Body<WithReason>,
) -> Result<StatusCode, Fault> {
    let of = Of { encounter: &encounter, reading: &reading, version: change.version };
    let mut work = begin(&web, &who).await?;
    correct::swap_eyes(&mut work, of, &change.reason).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The side of what was sent without one.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
pub enum Side {
    #[serde(rename = "OD")]
    Right,
    #[serde(rename = "OS")]
    Left,
}

impl From<Side> for Eye {
    fn from(side: Side) -> Self {
        match side {
            Side::Right => Eye::Right,
            Side::Left => Eye::Left,
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StateSide {
    #[serde(default)]
    version: Option<i64>,
    eye: Side,
}

/// Says which eye a value without a side is of.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/readings/{reading}/side",
    request_body = StateSide, responses((status = 204)))]
pub async fn side(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading)): Path<(String, String)>,
    Body(change): Body<StateSide>,
) -> Result<StatusCode, Fault> {
    let of = Of { encounter: &encounter, reading: &reading, version: change.version };
    let mut work = begin(&web, &who).await?;
    correct::state_eye(&mut work, of, change.eye.into()).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a lens is measured for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LensPurpose {
    /// Glasses that the patient brought.
    Presenting {
        #[schema(minimum = 1, maximum = 3)]
        pair: u8,
        #[serde(default)]
        used_for: Option<UsedFor>,
    },
    SomebodyElse,
    /// Finished glasses, against their order.
    OrderCheckIn {
        #[serde(deserialize_with = "text::<ORDER_LEN_MAX, _>")]
        #[schema(max_length = 40)]
        order: String,
    },
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsedFor {
    Distance,
    Reading,
    Sun,
}

impl From<LensPurpose> for Purpose {
    fn from(it: LensPurpose) -> Self {
        match it {
            LensPurpose::Presenting { pair, used_for } => {
                let used_for = used_for.map(|it| match it {
                    UsedFor::Distance => PairUse::Distance,
                    UsedFor::Reading => PairUse::Reading,
                    UsedFor::Sun => PairUse::Sun,
                });
                Purpose::Presenting { pair, used_for }
            }
            LensPurpose::SomebodyElse => Purpose::SomebodyElse,
            LensPurpose::OrderCheckIn { order } => Purpose::OrderCheckIn { order },
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPurpose {
    #[serde(default)]
    version: Option<i64>,
    purpose: LensPurpose,
}

/// Says what a lensmeter's reading was taken for.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/readings/{reading}/purpose",
    request_body = SetPurpose, responses((status = 204)))]
pub async fn purpose(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading)): Path<(String, String)>,
    Body(change): Body<SetPurpose>,
) -> Result<StatusCode, Fault> {
    let of = Of { encounter: &encounter, reading: &reading, version: change.version };
    let mut work = begin(&web, &who).await?;
    correct::set_purpose(&mut work, of, change.purpose.into()).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DropsState {
    Before,
    After,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetDrops {
    #[serde(default)]
    version: Option<i64>,
    drops: DropsState,
}

/// Says whether a reading was taken before or after drops.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/readings/{reading}/drops",
    request_body = SetDrops, responses((status = 204)))]
pub async fn drops(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading)): Path<(String, String)>,
    Body(change): Body<SetDrops>,
) -> Result<StatusCode, Fault> {
    let drops = match change.drops {
        DropsState::Before => Drops::Before,
        DropsState::After => Drops::After,
    };
    let of = Of { encounter: &encounter, reading: &reading, version: change.version };
    let mut work = begin(&web, &who).await?;
    correct::set_drops(&mut work, of, drops).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A test whose values can be typed.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TestName {
    Lensometry,
    Autorefraction,
    Keratometry,
    Tonometry,
    Pachymetry,
    PupillaryDistance,
}

impl From<TestName> for Test {
    fn from(it: TestName) -> Self {
        match it {
            TestName::Lensometry => Test::Lensometry,
            TestName::Autorefraction => Test::Autorefraction,
            TestName::Keratometry => Test::Keratometry,
            TestName::Tonometry => Test::Tonometry,
            TestName::Pachymetry => Test::Pachymetry,
            TestName::PupillaryDistance => Test::PupillaryDistance,
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Amend {
    #[serde(default)]
    version: Option<i64>,
    test: TestName,
    /// Text by field, as the form names them: `od_sphere`, `os_iop`, `method`.
    values: BTreeMap<String, String>,
    #[serde(deserialize_with = "text::<REASON_LEN_MAX, _>")]
    #[schema(max_length = 300)]
    reason: String,
}

/// Puts typed values in the place of wrong ones; what was sent stays readable.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/readings/{reading}/amend",
    request_body = Amend, responses((status = 204)))]
pub async fn amend(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading)): Path<(String, String)>,
    Body(change): Body<Amend>,
) -> Result<StatusCode, Fault> {
    let typed: Typed = change.values;
    let of = Of { encounter: &encounter, reading: &reading, version: change.version };
    let mut work = begin(&web, &who).await?;
    correct::amend(&mut work, of, (change.test.into(), &typed), &change.reason).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TypeIn {
    test: TestName,
    #[serde(deserialize_with = "text::<INSTRUMENT_LEN_MAX, _>")]
    #[schema(max_length = 80)]
    vendor: String,
    #[serde(deserialize_with = "text::<INSTRUMENT_LEN_MAX, _>")]
    #[schema(max_length = 80)]
    model: String,
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    #[schema(max_length = 200)]
    lane_id: String,
    /// Text by field, as the form names them: `od_sphere`, `os_iop`, `method`.
    values: BTreeMap<String, String>,
}

#[derive(Serialize, ToSchema)]
pub struct TypedReading {
    reading_id: String,
}

/// Files typed values of an instrument without a data port, marked as typed.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/readings",
    request_body = TypeIn, responses((status = 200, body = TypedReading)))]
pub async fn type_in(
    State(web): State<Web>,
    who: Who,
    Path(encounter): Path<String>,
    Body(typed): Body<TypeIn>,
) -> Result<Json<TypedReading>, Fault> {
    let TypeIn { test, vendor, model, lane_id, values } = typed;
    let entry =
        Entry { test: test.into(), typed: &values, vendor: &vendor, model: &model, lane: &lane_id };
    let mut work = begin(&web, &who).await?;
    let reading_id = type_in::type_in(&mut work, &encounter, &entry).await?;
    work.commit().await?;
    Ok(Json(TypedReading { reading_id }))
}

/// Which eyes a note is about.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
pub enum Eyes {
    #[serde(rename = "OU")]
    Both,
    #[serde(rename = "OD")]
    Right,
    #[serde(rename = "OS")]
    Left,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotTaken {
    test: TestName,
    eyes: Eyes,
    #[serde(deserialize_with = "text::<REASON_LEN_MAX, _>")]
    #[schema(max_length = 300)]
    reason: String,
}

#[derive(Serialize, ToSchema)]
pub struct Noted {
    note_id: String,
}

/// Notes that a test was not taken, with the reason.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/not-taken",
    request_body = NotTaken, responses((status = 200, body = Noted)))]
pub async fn not_taken(
    State(web): State<Web>,
    who: Who,
    Path(encounter): Path<String>,
    Body(note): Body<NotTaken>,
) -> Result<Json<Noted>, Fault> {
    let eye = match note.eyes {
        Eyes::Both => "OU",
        Eyes::Right => "OD",
        Eyes::Left => "OS",
    };
    let mut work = begin(&web, &who).await?;
    let of = (note.test.into(), eye);
    let note_id = visit_note::not_taken(&mut work, &encounter, of, &note.reason).await?;
    work.commit().await?;
    Ok(Json(Noted { note_id }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GiveDrops {
    /// Name of the drops.
    #[serde(deserialize_with = "text::<AGENT_LEN_MAX, _>")]
    #[schema(max_length = 80)]
    agent: String,
    /// When they were given; now if left out, at most a day ago.
    #[serde(default)]
    given_at_us: Option<i64>,
}

/// Notes that drops were given: what is measured after them is another kind of reading.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/drops",
    request_body = GiveDrops, responses((status = 200, body = Noted)))]
pub async fn give_drops(
    State(web): State<Web>,
    who: Who,
    Path(encounter): Path<String>,
    Body(drops): Body<GiveDrops>,
) -> Result<Json<Noted>, Fault> {
    let mut work = begin(&web, &who).await?;
    let given_at_us = drops.given_at_us.unwrap_or(work.now_us);
    let note_id = visit_note::give_drops(&mut work, &encounter, &drops.agent, given_at_us).await?;
    work.commit().await?;
    Ok(Json(Noted { note_id }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MergeCharts {
    /// Of the chart that is merged into the patient's.
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    #[schema(max_length = 200)]
    chart_number: String,
    #[serde(deserialize_with = "text::<REASON_LEN_MAX, _>")]
    #[schema(max_length = 300)]
    reason: String,
}

#[derive(Serialize, ToSchema)]
pub struct Merged {
    patient_merge_id: String,
}

/// Merges another chart of the same person into this one; nothing is moved.
#[utoipa::path(post, path = "/api/v1/patients/{patient}/merges",
    request_body = MergeCharts, responses((status = 200, body = Merged)))]
pub async fn merge(
    State(web): State<Web>,
    who: Who,
    Path(patient): Path<String>,
    Body(charts): Body<MergeCharts>,
) -> Result<Json<Merged>, Fault> {
    let mut work = begin(&web, &who).await?;
    let MergeCharts { chart_number, reason } = charts;
    let patient_merge_id = merge::merge(&mut work, &patient, &chart_number, &reason).await?;
    work.commit().await?;
    Ok(Json(Merged { patient_merge_id }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Unmerge {
    #[serde(deserialize_with = "text::<REASON_LEN_MAX, _>")]
    #[schema(max_length = 300)]
    reason: String,
}

/// Takes a merge back: what came from each chart is that chart's again.
#[utoipa::path(post, path = "/api/v1/patients/{patient}/merges/{merge}/undo",
    request_body = Unmerge, responses((status = 204)))]
pub async fn unmerge(
    State(web): State<Web>,
    who: Who,
    Path((_, merge)): Path<(String, String)>,
    Body(change): Body<Unmerge>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    merge::unmerge(&mut work, &merge, &change.reason).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
