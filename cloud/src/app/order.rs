//! Orders of glasses from signed prescriptions, and the check-in of finished ones. Every change is a
//! version with who, when and why (R35); an optician decides, and may decide otherwise than the
//! numbers say, with a reason.

use super::{
    AppError, REASON_LEN_MAX, accession, assign,
    optical::{self, Signed, bears_on},
    record::What,
    work::Work,
};
use crate::{
    app::local_time,
    domain::{
        check_in::{Compared, Tolerances, compare},
        correction::{Correction, ORDER_LEN_MAX, Purpose, has_doubtful_base},
        order::{self as rules, Choice, Order},
    },
    store::{
        StoreError, Tx, encounter,
        exam::{self, Next, ReadingRow},
        lane_open, optical as handoff,
        order::{self as store, CheckIn, OrderRow},
        patient, signature,
    },
};
use chiasm_proto::Measured;
use jiff::tz::TimeZone;

/// Letters of a number that we make ourselves.
const OWN_NUMBER_LEN: usize = 7;

/// The order of a row.
pub fn order_of(row: &OrderRow) -> Result<Order, StoreError> {
    serde_json::from_str(&row.body).map_err(|_| StoreError::Corrupt {
        table: "optical_order",
        what: "order",
        value: row.order_id.clone(),
    })
}

/// Whether its glasses are awaited.
pub fn is_awaited(row: &OrderRow) -> bool {
    matches!(row.status.as_str(), "open" | "sent_back")
}

/// A status for people.
pub fn status_words(status: &str) -> &'static str {
    match status {
        "open" => "ordered",
        "sent_back" => "sent back, awaited again",
        "accepted" => "glasses accepted",
        "cancelled" => "cancelled",
        _ => "in a state that this version does not know",
    }
}

/// Makes an order of a signed prescription. An empty number lets us make one. Gives the order's id.
pub async fn make(
    work: &mut Work,
    encounter: &str,
    (typed_number, choice): (&str, &Choice),
) -> Result<String, AppError> {
    let (tenant, account, now_us) =
        (work.who.tenant.clone(), work.who.account.clone(), work.now_us);
    let signed = optical::signed(&mut work.tx, &tenant, encounter).await?;
    let content = content(work, encounter, &signed, choice).await?;
    let typed_number = check_number(typed_number)?;
    let mut new = OrderRow {
        order_id: store::new_id(),
        encounter_id: encounter.to_owned(),
        order_number: typed_number.clone().unwrap_or_else(own_number),
        status: "open".into(),
        body: json(&content),
        version: 1,
        made_at_us: now_us,
        made_by: account.clone(),
        changed_at_us: now_us,
        changed_by: account.clone(),
        change_reason: "ordered".into(),
    };
    while !store::insert(&mut work.tx, &tenant, &new).await? {
        if let Some(number) = typed_number {
            let message = format!("there is an order {number} already: give another number");
            return Err(AppError::Field("number", message));
        }
        new.order_number = own_number();
    }
    // Whoever orders has the prescription.
    handoff::receive(&mut work.tx, &tenant, encounter, (&account, now_us)).await?;
    work.tell_exam(encounter);
    work.audit("order_made", &new.order_id).await?;
    Ok(new.order_id)
}

async fn content(
    work: &mut Work,
    encounter: &str,
    signed: &Signed,
    choice: &Choice,
) -> Result<Order, AppError> {
    let tenant = work.who.tenant.clone();
    let rows = exam::readings(&mut work.tx, &tenant, encounter).await?;
    let proposed = optical::proposed_pd(&rows);
    let of = (&signed.rx, signed.snapshot_sha256.as_str());
    rules::order(of, proposed.as_ref().map(|it| &it.pd), choice).map_err(AppError::Fields)
}

fn check_number(text: &str) -> Result<Option<String>, AppError> {
    let number = rules::number(text);
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-./_".contains(it);
    if number.chars().count() > ORDER_LEN_MAX || !number.chars().all(is_plain) {
        let message =
            format!("letters, digits and - . / _ only, at most {ORDER_LEN_MAX} characters");
        return Err(AppError::Field("number", message));
    }
    Ok((!number.is_empty()).then_some(number))
}

fn own_number() -> String {
    accession::generate().chars().take(OWN_NUMBER_LEN).collect()
}

/// Changes what an awaited order says; its number stays.
pub async fn amend(
    work: &mut Work,
    id: &str,
    (version, choice): (i64, &Choice),
    why: &str,
) -> Result<(), AppError> {
    let row = awaited(work, id, version).await?;
    let why = reason(why)?;
    let tenant = work.who.tenant.clone();
    let signed = optical::signed(&mut work.tx, &tenant, &row.encounter_id).await?;
    let body = json(&content(work, &row.encounter_id, &signed, choice).await?);
    if body == row.body {
        return Err(AppError::Refused("nothing was changed".into()));
    }
    change(work, &row, (&row.status, &body), why).await?;
    work.audit("order_amended", id).await
}

/// Cancels an order; it stays readable.
pub async fn cancel(work: &mut Work, id: &str, version: i64, why: &str) -> Result<(), AppError> {
    let row = current(work, id, version).await?;
    let why = reason(why)?;
    if row.status == "cancelled" {
        return Err(AppError::Refused("this order is cancelled already".into()));
    }
    change(work, &row, ("cancelled", &row.body), why).await?;
    work.audit("order_cancelled", id).await
}

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
    work.change(&row, next, &why).await?;
    work.audit("check_in_reading_taken", reading).await
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
    work.audit(&format!("glasses_{status}"), &order.order_id).await
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

/// What a doctor is told of glasses when a reading of a signed exam changes that its prescription
/// rests on (D9); empty where there is nothing to tell.
pub(super) async fn words_for_notice(
    work: &mut Work,
    encounter: &str,
    (what, row): (What, &ReadingRow),
    zone: &TimeZone,
) -> Result<String, AppError> {
    let tenant = work.who.tenant.clone();
    if !matches!(what, What::Corrected | What::Rejected | What::MovedOut)
        || signature::signer(&mut work.tx, &tenant, encounter).await?.is_none()
    {
        return Ok(String::new());
    }
    let signed = match optical::signed(&mut work.tx, &tenant, encounter).await {
        Ok(signed) if bears_on(&signed.rx, row) => signed,
        Ok(_) | Err(AppError::NotYet(_)) => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    drop(signed);
    let orders = store::of_exam(&mut work.tx, &tenant, encounter).await?;
    let time = |at_us| local_time::local(at_us, zone).strftime("%-d %b %Y, %H:%M").to_string();
    if orders.is_empty() {
        let received = handoff::handoff(&mut work.tx, &tenant, encounter).await?;
        return Ok(received.map_or_else(String::new, |(at_us, _)| {
            let when = time(at_us);
            format!(". Optical received the prescription {when} and has not ordered yet")
        }));
    }
    let words = |order: &OrderRow| {
        let (status, when) = (status_words(&order.status), time(order.changed_at_us));
        format!("order {} {status}, {when}", order.order_number)
    };
    Ok(format!(". Optical: {}", orders.iter().map(words).collect::<Vec<_>>().join("; ")))
}

/// An order in the version that the person saw.
async fn current(work: &mut Work, id: &str, version: i64) -> Result<OrderRow, AppError> {
    let tenant = work.who.tenant.clone();
    let found = store::by_id(&mut work.tx, &tenant, id).await?;
    let row = found.ok_or(AppError::NotFound("order"))?;
    if row.version != version {
        return Err(changed_meanwhile());
    }
    Ok(row)
}

async fn awaited(work: &mut Work, id: &str, version: i64) -> Result<OrderRow, AppError> {
    let row = current(work, id, version).await?;
    if is_awaited(&row) { Ok(row) } else { Err(not_awaited(&row)) }
}

async fn change(
    work: &mut Work,
    row: &OrderRow,
    next: (&str, &str),
    why: &str,
) -> Result<(), AppError> {
    let (tenant, account) = (work.who.tenant.clone(), work.who.account.clone());
    let by = (account.as_str(), why, work.now_us);
    if !store::change(&mut work.tx, &tenant, row, next, by).await? {
        return Err(changed_meanwhile());
    }
    work.tell_exam(&row.encounter_id);
    Ok(())
}

fn changed_meanwhile() -> AppError {
    AppError::Stale("somebody else changed this order just now: look at it again".into())
}

fn not_awaited(row: &OrderRow) -> AppError {
    let status = status_words(&row.status);
    AppError::Refused(format!("this order is done ({status}): make a new one"))
}

/// A reason that a person typed: trimmed, not empty, not endless.
fn reason(text: &str) -> Result<&str, AppError> {
    let text = text.trim();
    if text.is_empty() {
        let message = "say why: the reason stays with the order";
        return Err(AppError::Field("reason", message.into()));
    }
    if text.chars().count() > REASON_LEN_MAX {
        let message = format!("the reason is longer than {REASON_LEN_MAX} characters");
        return Err(AppError::Field("reason", message));
    }
    Ok(text)
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data always serialises")
}

/// Whether a state of a reading is that of finished glasses, which are no part of the exam.
pub(crate) fn is_check_in(correction: Option<&str>) -> bool {
    let purpose = Correction::parse(correction).ok().and_then(|it| it.purpose);
    matches!(purpose, Some(Purpose::OrderCheckIn { .. }))
}

/// The clinic's time zone of an encounter.
pub async fn zone_of(tx: &mut Tx, tenant: &str, location: &str) -> Result<TimeZone, StoreError> {
    let zone = lane_open::time_zone(tx, tenant, location).await?;
    Ok(local_time::zone(zone.as_deref().unwrap_or("UTC")))
}
