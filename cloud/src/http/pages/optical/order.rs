//! One order: what is made, its history, and the check-in of the finished glasses.

use super::{
    super::{
        Action, Fault, Names, Web, Who, begin,
        frame::{Frame, page},
        visit::Visit,
    },
    glasses::{MeasuredView, WaitingView, measured, waiting_view},
    one::{OrderForm, field_faults},
};
use crate::{
    app::{
        check_in::{self, Decision},
        look,
        order::{self, status_words},
    },
    clock,
    domain::{check_in::Compared, order::Order},
    http::{extract::Form, show},
    store::{
        encounter,
        order::{self as store, OrderRow},
        waiting,
    },
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use chiasm_proto::{Eye, Hundredths};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "optical/order.html")]
struct OrderPage {
    frame: Frame,
    visit: Visit,
    here: String,
    prescription: String,
    number: String,
    version: i64,
    status: &'static str,
    is_awaited: bool,
    is_cancelled: bool,
    order: Order,
    right: String,
    left: String,
    pd: String,
    made: String,
    history: Vec<String>,
    /// Readings that were measured for this order.
    measured: Vec<MeasuredView>,
    /// Readings of this patient whose order number leads elsewhere.
    told: Vec<String>,
    waiting: Vec<WaitingView>,
    decisions: Vec<DecisionView>,
    form: OrderForm,
    reason_fault: String,
}

struct DecisionView {
    words: String,
    reason: String,
    open: Vec<String>,
    is_accepted: bool,
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    render(&web, &who, &id, None, String::new()).await
}

/// The page, with a form as it was typed and what is wrong with a decision's reason.
async fn render(
    web: &Web,
    who: &Who,
    id: &str,
    form: Option<OrderForm>,
    reason_fault: String,
) -> Result<Response, Fault> {
    let tenant = &who.tenant;
    let mut tx = web.core.db.tenant_read(tenant).await?;
    let row = store::by_id(&mut tx, tenant, id).await?;
    let row = row.ok_or_else(|| Fault::not_found("order"))?;
    let visit = encounter::by_id(&mut tx, tenant, &row.encounter_id).await?;
    let visit = visit.ok_or_else(|| Fault::not_found("order"))?;
    let zone = order::zone_of(&mut tx, tenant, &visit.location_id).await?;
    let names = Names::load(&mut tx, tenant).await?;
    let versions = store::versions(&mut tx, tenant, id).await?;
    let check_ins = store::check_ins(&mut tx, tenant, id).await?;
    let (measured, told) =
        measured(&mut tx, (web, who), (&row, &visit.patient_id, &check_ins), &zone).await?;
    let waits = waiting::of_location(&mut tx, tenant, &visit.location_id).await?;
    drop(tx);
    look::look(&web.core.db, who, ("order_seen", id), clock::now_us()).await?;
    let content = order::order_of(&row)?;
    let when = |at_us| show::date_and_time(at_us, &zone);
    let history = versions.iter().map(|it| {
        let (at, by) = (when(it.superseded_at_us), names.of(&it.superseded_by));
        let was: Option<Order> = serde_json::from_str(&it.body).ok();
        let was = was.map(|it| what_words(&it)).unwrap_or_default();
        format!("{at} by {by}: {} (was {}: {was})", it.superseded_why, status_words(&it.status))
    });
    let lens = |eye| content.eye(eye).map_or_else(|| "none".to_owned(), ToString::to_string);
    let decision = |it: &store::CheckIn| DecisionView {
        words: format!(
            "{} {} by {}",
            decision_word(it),
            when(it.decided_at_us),
            names.of(&it.decided_by)
        ),
        reason: it.decision_reason.clone(),
        open: serde_json::from_str::<Compared>(&it.compared)
            .map(|it| it.open())
            .unwrap_or_default(),
        is_accepted: it.decision == "accepted",
    };
    page(OrderPage {
        frame: Frame::new(format!("Order {}", row.order_number), Some(who), "any=1"),
        visit: Visit::new(&visit, &zone),
        here: format!("/orders/{id}"),
        prescription: format!("/optical/{}", row.encounter_id),
        version: row.version,
        status: status_words(&row.status),
        is_awaited: order::is_awaited(&row),
        is_cancelled: row.status == "cancelled",
        right: lens(Eye::Right),
        left: lens(Eye::Left),
        pd: content.pd.to_string(),
        made: format!("{} by {}", when(row.made_at_us), names.of(&row.made_by)),
        history: history.collect(),
        measured,
        told,
        waiting: waits.iter().filter_map(|it| waiting_view(it, &zone)).collect(),
        decisions: check_ins.iter().map(decision).collect(),
        form: form.unwrap_or_else(|| form_of(&row, &content)),
        number: row.order_number.clone(),
        order: content,
        reason_fault,
    })
}

pub(super) fn decision_word(it: &store::CheckIn) -> &'static str {
    if it.decision == "accepted" { "Accepted" } else { "Sent back" }
}

/// What is made, in a line.
fn what_words(order: &Order) -> String {
    let eye = |name: &str, eye| order.eye(eye).map(|lens| format!("{name} {lens}"));
    let eyes = [eye("OD", Eye::Right), eye("OS", Eye::Left)].into_iter().flatten();
    let eyes: Vec<String> = eyes.collect();
    format!("{}; {}; PD {}", order.lens_use.label(), eyes.join("; "), order.pd)
}

fn form_of(row: &OrderRow, order: &Order) -> OrderForm {
    let mm = |it: Option<Hundredths>| it.map(|it| it.to_string()).unwrap_or_default();
    OrderForm {
        version: row.version,
        lens_use: order.lens_use.as_str().into(),
        eyes: match (&order.right, &order.left) {
            (Some(_), None) => "right".into(),
            (None, Some(_)) => "left".into(),
            _ => "both".into(),
        },
        pd_both: mm(order.pd.both_mm),
        pd_right: mm(order.pd.right_mm),
        pd_left: mm(order.pd.left_mm),
        note: order.note.clone(),
        ..OrderForm::default()
    }
}

pub async fn amend(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Form(mut form): Form<OrderForm>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    let change = (form.version, &form.choice());
    match order::amend(&mut work, &id, change, &form.reason).await {
        Ok(()) => {
            work.commit().await?;
            Ok(Redirect::to(&format!("/orders/{id}")).into_response())
        }
        Err(error) => {
            drop(work);
            form.faults = field_faults(error)?;
            let body = render(&web, &who, &id, Some(form), String::new()).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, body).into_response())
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Why {
    version: i64,
    reason: String,
}

pub async fn cancel(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Form(form): Form<Why>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    order::cancel(&mut work, &id, form.version, &form.reason).await?;
    work.commit().await?;
    Ok(Redirect::to(&format!("/orders/{id}")).into_response())
}

pub async fn take(
    State(web): State<Web>,
    who: Who,
    Path((id, reading)): Path<(String, String)>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    check_in::take_reading(&mut work, &id, (&reading, &form.choice())).await?;
    work.commit().await?;
    Ok(Redirect::to(&format!("/orders/{id}#check-in")).into_response())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DecisionForm {
    order_version: i64,
    reading_version: i64,
    /// `accept` or `send_back`.
    decision: String,
    reason: String,
}

pub async fn decide(
    State(web): State<Web>,
    who: Who,
    Path((id, reading)): Path<(String, String)>,
    Form(form): Form<DecisionForm>,
) -> Result<Response, Fault> {
    let accepts = match form.decision.as_str() {
        "accept" => true,
        "send_back" => false,
        _ => return Err(Fault::bad_request("Choose to accept the glasses or to send them back.")),
    };
    let decision = Decision {
        order_version: form.order_version,
        reading_version: form.reading_version,
        accepts,
        reason: form.reason,
    };
    let mut work = begin(&web, &who).await?;
    let tolerances = &web.core.config.optical.tolerances;
    match check_in::decide(&mut work, (&id, &reading), &decision, tolerances).await {
        Ok(()) => {
            work.commit().await?;
            Ok(Redirect::to(&format!("/orders/{id}#check-in")).into_response())
        }
        Err(error) => {
            drop(work);
            let faults = field_faults(error)?;
            let message = faults.into_iter().map(|it| it.message).collect::<Vec<_>>().join(" ");
            let body = render(&web, &who, &id, None, message).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, body).into_response())
        }
    }
}
