//! Orders of glasses from signed prescriptions. Every change is a version with who, when and why
//! (R35).

use super::{
    AppError, REASON_LEN_MAX,
    about::PRESCRIPTION,
    accession,
    optical::{self, Signed, bears_on},
    record::What,
    work::Work,
};
use crate::{
    app::local_time,
    domain::{
        correction::ORDER_LEN_MAX,
        order::{self as rules, Choice, Order},
    },
    store::{
        StoreError, Tx,
        audit::About,
        exam::{self, ReadingRow},
        lane_open, optical as handoff,
        order::{self as store, OrderRow},
        signature,
    },
};
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
    let about = About::exam(encounter).kinds([PRESCRIPTION]).values(("", &new.order_number));
    work.audit_about(("order_made", &new.order_id), about).await?;
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
    work.audit_about(("order_amended", id), about_change(&row, why)).await
}

/// Cancels an order; it stays readable.
pub async fn cancel(work: &mut Work, id: &str, version: i64, why: &str) -> Result<(), AppError> {
    let row = current(work, id, version).await?;
    let why = reason(why)?;
    if row.status == "cancelled" {
        return Err(AppError::Refused("this order is cancelled already".into()));
    }
    change(work, &row, ("cancelled", &row.body), why).await?;
    work.audit_about(("order_cancelled", id), about_change(&row, why)).await
}

fn about_change(row: &OrderRow, why: &str) -> About {
    let number = row.order_number.as_str();
    About::exam(&row.encounter_id).kinds([PRESCRIPTION]).values((number, number)).why(why)
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
    let signed = optical::signed_if_any(&mut work.tx, &tenant, encounter).await?;
    if signed.is_none_or(|signed| !bears_on(&signed.rx, row)) {
        return Ok(String::new());
    }
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

pub(super) async fn awaited(work: &mut Work, id: &str, version: i64) -> Result<OrderRow, AppError> {
    let row = current(work, id, version).await?;
    if is_awaited(&row) { Ok(row) } else { Err(not_awaited(&row)) }
}

pub(super) async fn change(
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

pub(super) fn not_awaited(row: &OrderRow) -> AppError {
    let status = status_words(&row.status);
    AppError::Refused(format!("this order is done ({status}): make a new one"))
}

/// A reason that a person typed: trimmed, not empty, not endless.
pub(super) fn reason(text: &str) -> Result<&str, AppError> {
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

pub(super) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data always serialises")
}

/// The clinic's time zone of an encounter.
pub async fn zone_of(tx: &mut Tx, tenant: &str, location: &str) -> Result<TimeZone, StoreError> {
    let zone = lane_open::time_zone(tx, tenant, location).await?;
    Ok(local_time::zone(zone.as_deref().unwrap_or("UTC")))
}
