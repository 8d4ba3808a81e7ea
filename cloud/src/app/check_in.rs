//! The check-in of finished glasses: a lensmeter's reading against the order that it names. An
//! optician decides, and may decide otherwise than the numbers say, with a reason.

use super::{
    AppError,
    about::PRESCRIPTION,
    assign,
    order::{awaited, change, is_awaited, json, not_awaited, order_of, reason},
    work::Work,
};
use crate::{
    domain::{
        check_in::{Compared, Tolerances, compare},
        correction::{Correction, Purpose, has_doubtful_base},
        order as rules,
    },
    store::{
        StoreError, Tx,
        audit::About,
        encounter,
        exam::{self, Next, ReadingRow},
        order::{self as store, CheckIn, OrderRow},
        patient,
    },
};
use chiasm_proto::Measured;

/// Files a waiting reading as that of the finished glasses: under the visit of the order, and never
/// as worn (R25).
pub async fn take_reading(
    work: &mut Work,
    id: &str,
    (reading, choice): (&str, &assign::Choice),
) -> Result<(), AppError> {
    let tenant = work.who.tenant.clone();
    let order = store::by_id(&mut work.tx, &tenant, id).await?;
    let order = order.ok_or(AppError::NotFound("order"))?;
    if !is_awaited(&order) {
        return Err(not_awaited(&order));
    }
    let row = work.waiting(reading, choice.version).await?;
    let visit = work.encounter(&order.encounter_id).await?;
    if visit.location_id != row.location_id {
        return Err(AppError::NotFound("reading"));
    }
    if !has_lens(&row) {
        return Err(AppError::Refused("this reading is not of a lensmeter".into()));
    }
    let why = assign::check_identity(work, &row, &visit, choice).await?;
    let mut correction = row.correction().ok_or_else(|| {
        AppError::Refused("a newer version of Chiasm has corrected this reading".into())
    })?;
    correction.purpose = Some(Purpose::OrderCheckIn { order: order.order_number.clone() });
    let column = correction.to_column();
    let why = format!("finished glasses of order {}: {why}", order.order_number);
    let next = Next {
        place: "exam",
        reason: &why,
        encounter_id: Some(&order.encounter_id),
        acceptance: "pending",
        correction: column.as_deref(),
        ..Next::of(&row)
    };
    let about = work.change(&row, next, &why).await?;
    work.audit_about(("check_in_reading_taken", reading), about).await
}

/// Whether a lensmeter measured something in it.
pub fn has_lens(row: &ReadingRow) -> bool {
    let is_lens = |it: &Measured| matches!(it, Measured::Lensometry(_));
    row.reading_as_sent()
        .is_some_and(|it| it.decoded.measurements.iter().any(|it| is_lens(&it.measured)))
}

/// A decision about finished glasses.
#[derive(Debug, Clone, Default)]
pub struct Decision {
    /// Of the order, as the person saw it.
    pub order_version: i64,
    pub reading_version: i64,
    pub accepts: bool,
    /// Needed to send back, and to accept what is not all within tolerance.
    pub reason: String,
}

/// Accepts finished glasses or sends them back.
pub async fn decide(
    work: &mut Work,
    (id, reading): (&str, &str),
    decision: &Decision,
    tolerances: &Tolerances,
) -> Result<(), AppError> {
    let order = awaited(work, id, decision.order_version).await?;
    work.reading(reading, Some(decision.reading_version)).await?;
    let tenant = work.who.tenant.clone();
    let (_, row) = of_order(&mut work.tx, &tenant, (id, reading)).await?;
    let compared = compared(&order, &row, tolerances)?;
    let typed = decision.reason.trim();
    let why = if typed.is_empty() && decision.accepts && compared.is_inside() {
        "all within tolerance".to_owned()
    } else if typed.is_empty() && decision.accepts {
        let message = "not everything is within tolerance: say why the glasses are accepted";
        return Err(AppError::Field("reason", message.into()));
    } else {
        reason(typed)?.to_owned()
    };
    let status = if decision.accepts { "accepted" } else { "sent_back" };
    let new = CheckIn {
        check_in_id: store::new_id(),
        order_id: order.order_id.clone(),
        order_version: order.version,
        reading_id: row.reading_id.clone(),
        reading_version: row.version,
        decision: status.into(),
        decision_reason: why.clone(),
        compared: json(&compared),
        decided_at_us: work.now_us,
        decided_by: work.who.account.clone(),
    };
    store::decide(&mut work.tx, &tenant, &new).await?;
    change(work, &order, (status, &order.body), &why).await?;
    if row.acceptance == "pending" {
        let next = Next { acceptance: "accepted", ..Next::of(&row) };
        work.change(&row, next, "decided with its order").await?;
    }
    let about = About::exam(&order.encounter_id)
        .kinds([PRESCRIPTION])
        .values((&order.order_number, status))
        .why(&why);
    work.audit_about((&format!("glasses_{status}"), &order.order_id), about).await
}

/// An order and a reading that was measured for it.
pub async fn of_order(
    tx: &mut Tx,
    tenant: &str,
    (id, reading): (&str, &str),
) -> Result<(OrderRow, ReadingRow), AppError> {
    let order = store::by_id(tx, tenant, id).await?.ok_or(AppError::NotFound("order"))?;
    let row = exam::reading(tx, tenant, reading).await?;
    let row = row.ok_or(AppError::NotFound("reading"))?;
    let is_of_order = matches!(named(tx, tenant, &row).await?,
        Named::Order(named) if named.order_id == order.order_id);
    if !is_of_order {
        let message = "this reading was not measured for this order: say on its exam which order \
            it is for";
        return Err(AppError::Refused(message.into()));
    }
    if row.place != "exam" || row.acceptance == "rejected" {
        return Err(AppError::Refused("this reading is rejected or in no exam".into()));
    }
    Ok((order, row))
}

/// The comparison of a reading with an order.
pub fn compared(
    order: &OrderRow,
    row: &ReadingRow,
    tolerances: &Tolerances,
) -> Result<Compared, AppError> {
    let content = order_of(order)?;
    let (reading, correction) = row
        .reading()
        .zip(row.correction())
        .ok_or_else(|| AppError::Refused("this version cannot read this reading".into()))?;
    let is_doubtful = has_doubtful_base(&correction, &reading);
    Ok(compare(&content, &reading.decoded.measurements, is_doubtful, tolerances))
}

/// What the order number of a reading names.
#[derive(Debug, Clone)]
pub enum Named {
    /// Nothing was measured for an order.
    Nothing,
    Order(Box<OrderRow>),
    NoSuchOrder(String),
    /// The order is of another person than the exam in which the reading is.
    OtherPatient(String),
}

impl Named {
    /// What is wrong, for people; nothing is guessed.
    pub fn fault(&self) -> Option<String> {
        match self {
            Named::Nothing | Named::Order(_) => None,
            Named::NoSuchOrder(number) => Some(format!(
                "These glasses were measured for order {number}, but there is no such order. \
                 Correct the number under \u{201c}Purpose\u{201d}."
            )),
            Named::OtherPatient(number) => Some(format!(
                "These glasses were measured for order {number}, which is of another patient. Move \
                 the reading to that patient, or correct the number under \u{201c}Purpose\u{201d}."
            )),
        }
    }
}

pub async fn named(tx: &mut Tx, tenant: &str, row: &ReadingRow) -> Result<Named, StoreError> {
    let Some(number) = row.order_number() else { return Ok(Named::Nothing) };
    let found = store::by_number(tx, tenant, &rules::number(&number)).await?;
    let Some(order) = found else { return Ok(Named::NoSuchOrder(number)) };
    let of_order = survivor_of(tx, tenant, Some(&order.encounter_id)).await?;
    let of_reading = survivor_of(tx, tenant, row.encounter_id.as_deref()).await?;
    Ok(if of_order.is_some() && of_order == of_reading {
        Named::Order(Box::new(order))
    } else {
        Named::OtherPatient(number)
    })
}

/// The person of an encounter, over merges.
async fn survivor_of(
    tx: &mut Tx,
    tenant: &str,
    encounter: Option<&str>,
) -> Result<Option<String>, StoreError> {
    let Some(encounter) = encounter else { return Ok(None) };
    let Some(visit) = encounter::by_id(tx, tenant, encounter).await? else { return Ok(None) };
    patient::survivor(tx, tenant, &visit.patient_id).await.map(Some)
}

/// Whether a state of a reading is that of finished glasses, which are no part of the exam.
pub(crate) fn is_check_in(correction: Option<&str>) -> bool {
    let purpose = Correction::parse(correction).ok().and_then(|it| it.purpose);
    matches!(purpose, Some(Purpose::OrderCheckIn { .. }))
}
