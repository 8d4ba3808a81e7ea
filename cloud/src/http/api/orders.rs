//! The hand-off to opticians, orders of glasses and the check-in of finished ones.

use super::{Body, Fault, Params, ReadingChange, Web, Who, begin};
use crate::{
    app::{
        AppError, REASON_LEN_MAX,
        check_in::{self, Decision},
        local_time, look, optical, order,
    },
    clock,
    domain::{
        correction::ORDER_LEN_MAX,
        order::{Choice, NOTE_LEN_MAX},
    },
    http::extract::{ID_LEN_MAX, text},
    store::{
        optical::{self as prescriptions, Prescribed},
        order::{self as store, OrderRow},
        site,
    },
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

/// Longest date, and longest distance as typed, in characters.
const SHORT_LEN_MAX: usize = 10;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OfDay {
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    #[param(max_length = 200)]
    location: String,
    /// `YYYY-MM-DD`, by default today.
    #[serde(default, deserialize_with = "text::<SHORT_LEN_MAX, _>")]
    #[param(max_length = 10)]
    day: String,
}

/// A signed prescription and whether optical has it.
#[derive(Serialize, ToSchema)]
#[schema(as = Prescribed)]
pub struct PrescribedJson {
    encounter_id: String,
    visit_date: String,
    chart_number: String,
    family_name: String,
    given_name: String,
    birth_date: String,
    signed_at_us: i64,
    signed_by: String,
    /// Absent as long as nobody of optical has received it.
    received_at_us: Option<i64>,
    received_by: Option<String>,
}

impl From<Prescribed> for PrescribedJson {
    fn from(it: Prescribed) -> Self {
        Self {
            encounter_id: it.encounter_id,
            visit_date: it.visit_date,
            chart_number: it.chart_number,
            family_name: it.family_name,
            given_name: it.given_name,
            birth_date: it.birth_date,
            signed_at_us: it.signed_at_us,
            signed_by: it.signed_by,
            received_at_us: it.received_at_us,
            received_by: it.received_by,
        }
    }
}

/// The signed prescriptions of a day of a location, what is not received first.
#[utoipa::path(get, path = "/api/v1/optical", params(OfDay),
    responses((status = 200, body = Vec<PrescribedJson>), (status = 404)))]
pub async fn list(
    State(web): State<Web>,
    who: Who,
    Params(ask): Params<OfDay>,
) -> Result<Json<Vec<PrescribedJson>>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let location = site::location(&mut tx, &who.tenant, &ask.location).await?;
    let location = location.ok_or_else(|| Fault::not_found("location"))?;
    let zone = local_time::zone(&location.time_zone);
    let day = match ask.day.as_str() {
        "" => local_time::date(clock::now_us(), &zone),
        text => text
            .parse()
            .map_err(|_| Fault::bad_request("Give the day as year-month-day: 2026-11-23."))?,
    };
    let of = (location.location_id.as_str(), day.to_string());
    let found = prescriptions::of_day(&mut tx, &who.tenant, (of.0, &of.1)).await?;
    drop(tx);
    look::look(&web.core.db, &who, ("prescriptions_listed", of.0), clock::now_us()).await?;
    Ok(Json(found.into_iter().map(Into::into).collect()))
}

/// Says that optical has the signed prescription.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/optical/received",
    responses((status = 204)))]
pub async fn receive(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    optical::receive(&mut work, &id).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the glasses are for.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LensUse {
    Distance,
    Multifocal,
    Reading,
}

/// Which lenses are made.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
pub enum Eyes {
    #[serde(rename = "OU")]
    Both,
    #[serde(rename = "OD")]
    Right,
    #[serde(rename = "OS")]
    Left,
}

/// What is ordered. The powers are those of the signed prescription.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WhatIsOrdered {
    lens_use: LensUse,
    eyes: Eyes,
    /// Millimetres as typed, such as `62.5`: both together, or each side.
    #[serde(default, deserialize_with = "text::<SHORT_LEN_MAX, _>")]
    #[schema(max_length = 10)]
    pd_both: String,
    #[serde(default, deserialize_with = "text::<SHORT_LEN_MAX, _>")]
    #[schema(max_length = 10)]
    pd_right: String,
    #[serde(default, deserialize_with = "text::<SHORT_LEN_MAX, _>")]
    #[schema(max_length = 10)]
    pd_left: String,
    /// The distance that an instrument measured is right, and is taken where none is given.
    #[serde(default)]
    takes_proposed: bool,
    #[serde(default, deserialize_with = "text::<NOTE_LEN_MAX, _>")]
    #[schema(max_length = 500)]
    note: String,
}

impl From<WhatIsOrdered> for Choice {
    fn from(it: WhatIsOrdered) -> Self {
        let lens_use = match it.lens_use {
            LensUse::Distance => "distance",
            LensUse::Multifocal => "multifocal",
            LensUse::Reading => "reading",
        };
        let eyes = match it.eyes {
            Eyes::Both => "both",
            Eyes::Right => "right",
            Eyes::Left => "left",
        };
        Self {
            lens_use: lens_use.into(),
            eyes: eyes.into(),
            pd_both: it.pd_both,
            pd_right: it.pd_right,
            pd_left: it.pd_left,
            takes_proposed: it.takes_proposed,
            note: it.note,
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// Of the laboratory or your own; empty lets one be made.
    #[serde(default, deserialize_with = "text::<ORDER_LEN_MAX, _>")]
    #[schema(max_length = 40)]
    number: String,
    what: WhatIsOrdered,
}

/// An order as it is now.
#[derive(Serialize, ToSchema)]
#[schema(as = Order)]
pub struct OrderJson {
    order_id: String,
    encounter_id: String,
    number: String,
    /// `open`, `sent_back`, `accepted` or `cancelled`.
    status: String,
    version: i64,
    made_at_us: i64,
    made_by: String,
    changed_at_us: i64,
    changed_by: String,
    change_reason: String,
    /// What is made, with the powers of the signed prescription.
    #[schema(value_type = Object)]
    what: Box<RawValue>,
}

impl OrderJson {
    fn new(it: OrderRow) -> Result<Self, Fault> {
        let what = RawValue::from_string(it.body).map_err(|error| Fault::ours(&error))?;
        Ok(Self {
            order_id: it.order_id,
            encounter_id: it.encounter_id,
            number: it.order_number,
            status: it.status,
            version: it.version,
            made_at_us: it.made_at_us,
            made_by: it.made_by,
            changed_at_us: it.changed_at_us,
            changed_by: it.changed_by,
            change_reason: it.change_reason,
            what,
        })
    }
}

/// Orders glasses from the signed prescription; that says as well that optical has it.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/orders",
    request_body = NewOrder, responses((status = 200, body = OrderJson)))]
pub async fn make(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Body(new): Body<NewOrder>,
) -> Result<Json<OrderJson>, Fault> {
    let mut work = begin(&web, &who).await?;
    let made = order::make(&mut work, &id, (&new.number, &new.what.into())).await?;
    let row = store::by_id(&mut work.tx, &who.tenant, &made).await?;
    work.commit().await?;
    OrderJson::new(row.ok_or(AppError::NotFound("order"))?).map(Json)
}

/// The orders of a visit, oldest first.
#[utoipa::path(get, path = "/api/v1/encounters/{encounter}/orders",
    responses((status = 200, body = Vec<OrderJson>),
        (status = 409, description = "The exam is not signed, or without a prescription.")))]
pub async fn of_exam(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<Vec<OrderJson>>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    optical::signed(&mut tx, &who.tenant, &id).await?;
    let rows = store::of_exam(&mut tx, &who.tenant, &id).await?;
    drop(tx);
    look::look(&web.core.db, &who, ("prescription_seen", &id), clock::now_us()).await?;
    rows.into_iter().map(OrderJson::new).collect::<Result<_, _>>().map(Json)
}

/// One order.
#[utoipa::path(get, path = "/api/v1/orders/{order}", responses((status = 200, body = OrderJson)))]
pub async fn one(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<OrderJson>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let row = store::by_id(&mut tx, &who.tenant, &id).await?;
    drop(tx);
    let row = row.ok_or(AppError::NotFound("order"))?;
    look::look(&web.core.db, &who, ("order_seen", &id), clock::now_us()).await?;
    OrderJson::new(row).map(Json)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AmendOrder {
    /// The version that was seen; another one is refused with 409.
    version: i64,
    #[serde(deserialize_with = "text::<REASON_LEN_MAX, _>")]
    #[schema(max_length = 300)]
    reason: String,
    what: WhatIsOrdered,
}

/// Changes what an awaited order says.
#[utoipa::path(post, path = "/api/v1/orders/{order}/amend",
    request_body = AmendOrder, responses((status = 204)))]
pub async fn amend(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Body(change): Body<AmendOrder>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    let (version, what) = (change.version, change.what.into());
    order::amend(&mut work, &id, (version, &what), &change.reason).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelOrder {
    version: i64,
    #[serde(deserialize_with = "text::<REASON_LEN_MAX, _>")]
    #[schema(max_length = 300)]
    reason: String,
}

/// Cancels an order; it stays readable.
#[utoipa::path(post, path = "/api/v1/orders/{order}/cancel",
    request_body = CancelOrder, responses((status = 204)))]
pub async fn cancel(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Body(change): Body<CancelOrder>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    order::cancel(&mut work, &id, change.version, &change.reason).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Files a lensmeter's waiting reading as that of the finished glasses. It is never worn.
#[utoipa::path(post, path = "/api/v1/orders/{order}/readings/{reading}/take",
    request_body = Option<ReadingChange>, responses((status = 204)))]
pub async fn take(
    State(web): State<Web>,
    who: Who,
    Path((id, reading)): Path<(String, String)>,
    change: Option<Body<ReadingChange>>,
) -> Result<StatusCode, Fault> {
    let change = change.map(|Body(change)| change).unwrap_or_default();
    let mut work = begin(&web, &who).await?;
    check_in::take_reading(&mut work, &id, (&reading, &change.into())).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Finished glasses beside their order, in dioptres, prism dioptres and degrees.
#[derive(Serialize, ToSchema)]
#[schema(as = ComparedGlasses)]
pub struct ComparedJson {
    /// Everything was measured and is within tolerance.
    is_inside: bool,
    /// What is not, in words.
    open: Vec<String>,
    order_version: i64,
    reading_version: i64,
    /// By eye: what is compared, ordered, measured, difference, tolerance and verdict.
    #[schema(value_type = Object)]
    compared: serde_json::Value,
}

/// Compares a reading of finished glasses with the order that it names.
#[utoipa::path(get, path = "/api/v1/orders/{order}/readings/{reading}",
    responses((status = 200, body = ComparedJson),
        (status = 422, description = "The reading was measured for something else.")))]
pub async fn compared(
    State(web): State<Web>,
    who: Who,
    Path((id, reading)): Path<(String, String)>,
) -> Result<Json<ComparedJson>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let (row, reading) = check_in::of_order(&mut tx, &who.tenant, (&id, &reading)).await?;
    drop(tx);
    look::look(&web.core.db, &who, ("order_seen", &id), clock::now_us()).await?;
    let compared = check_in::compared(&row, &reading, &web.core.config.optical.tolerances)?;
    Ok(Json(ComparedJson {
        is_inside: compared.is_inside(),
        open: compared.open(),
        order_version: row.version,
        reading_version: reading.version,
        compared: serde_json::to_value(&compared).map_err(|error| Fault::ours(&error))?,
    }))
}

/// Accepts or sends back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideGlasses {
    order_version: i64,
    reading_version: i64,
    accepts: bool,
    /// Needed to send back, and to accept what is not all within tolerance.
    #[serde(default, deserialize_with = "text::<REASON_LEN_MAX, _>")]
    #[schema(max_length = 300)]
    reason: String,
}

/// Accepts finished glasses or sends them back; the optician decides.
#[utoipa::path(post, path = "/api/v1/orders/{order}/readings/{reading}/decide",
    request_body = DecideGlasses, responses((status = 204)))]
pub async fn decide(
    State(web): State<Web>,
    who: Who,
    Path((id, reading)): Path<(String, String)>,
    Body(it): Body<DecideGlasses>,
) -> Result<StatusCode, Fault> {
    let DecideGlasses { order_version, reading_version, accepts, reason } = it;
    let decision = Decision { order_version, reading_version, accepts, reason };
    let mut work = begin(&web, &who).await?;
    let tolerances = &web.core.config.optical.tolerances;
    check_in::decide(&mut work, (&id, &reading), &decision, tolerances).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
