//! One signed prescription: what it says, what the patient wears, where lenses are centred, and the
//! orders made from it.

use super::{
    super::{
        Action, Fault, Names, Web, Who, begin,
        frame::{Frame, page},
        visit::Visit,
    },
    received_words,
    rows::{self, EyeRows},
};
use crate::{
    app::{
        AppError, local_time, look,
        optical::{self, ProposedPd, Signed},
        order::{self, status_words},
    },
    clock,
    domain::{
        optics::Power,
        order::{Choice, LensUse},
        prescription::EyeRx,
        sheet::FieldFault,
    },
    http::{extract::Form, show},
    store::{
        encounter,
        exam::{self, ReadingRow},
        history, optical as store, order as orders, patient, site,
    },
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use jiff::tz::TimeZone;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "optical/one.html")]
struct OnePage {
    frame: Frame,
    visit: Visit,
    here: String,
    /// Where the exam is, for those who may see it.
    exam: Option<String>,
    signed: String,
    /// Empty as long as it is not received.
    received: String,
    eyes: [EyeRows; 2],
    /// Where each pair of old glasses was measured.
    sources: Vec<String>,
    vertex: String,
    note: String,
    addenda: usize,
    is_changed: bool,
    pd: Option<PdView>,
    orders: Vec<OrderView>,
    form: OrderForm,
}

/// A proposal, with where it is from.
pub struct PdView {
    pub words: String,
    pub near: String,
    pub source: String,
    pub is_inconsistent: bool,
}

struct OrderView {
    id: String,
    number: String,
    status: &'static str,
    is_done: bool,
    what: String,
    when: String,
}

/// The form of an order, as it was typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct OrderForm {
    pub number: String,
    pub lens_use: String,
    pub eyes: String,
    pub pd_both: String,
    pub pd_right: String,
    pub pd_left: String,
    /// `1` where the measured distances are taken over.
    pub takes_proposed: String,
    pub note: String,
    /// To change an order.
    pub version: i64,
    pub reason: String,
    #[serde(skip)]
    pub faults: Vec<FieldFault>,
}

impl OrderForm {
    pub fn choice(&self) -> Choice {
        Choice {
            lens_use: self.lens_use.clone(),
            eyes: self.eyes.clone(),
            pd_both: self.pd_both.clone(),
            pd_right: self.pd_right.clone(),
            pd_left: self.pd_left.clone(),
            takes_proposed: !self.takes_proposed.is_empty(),
            note: self.note.clone(),
        }
    }
    pub fn fault(&self, field: &str) -> &str {
        let found = self.faults.iter().find(|fault| fault.field == field);
        found.map_or("", |fault| &fault.message)
    }
    pub fn uses(&self) -> [LensUse; 3] {
        LensUse::ALL
    }
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    render(&web, &who, &id, OrderForm { eyes: "both".into(), ..OrderForm::default() }).await
}

/// The page with the form as given.
async fn render(web: &Web, who: &Who, id: &str, form: OrderForm) -> Result<Response, Fault> {
    let tenant = &who.tenant;
    let mut tx = web.core.db.tenant_read(tenant).await?;
    let visit = encounter::by_id(&mut tx, tenant, id).await?;
    let visit = visit.ok_or_else(|| Fault::not_found("prescription"))?;
    let signed = optical::signed(&mut tx, tenant, id).await?;
    let location = site::location(&mut tx, tenant, &visit.location_id).await?;
    let zone = local_time::zone(location.as_ref().map_or("UTC", |it| it.time_zone.as_str()));
    let names = Names::load(&mut tx, tenant).await?;
    let mut rows = exam::readings(&mut tx, tenant, id).await?;
    let pd = optical::proposed_pd(&rows).map(|it| pd_view(&it, &rows, &zone));
    if rows::old_glasses(&rows).is_empty() {
        // Nobody brought glasses today: what was worn at an earlier visit.
        let survivor = patient::survivor(&mut tx, tenant, &visit.patient_id).await?;
        let before = history::Position {
            scheduled_at_us: visit.scheduled_at_us,
            encounter_id: visit.encounter_id.clone(),
        };
        rows = history::earlier(&mut tx, tenant, &survivor, &before).await?;
    }
    let received = store::handoff(&mut tx, tenant, id).await?;
    let is_changed = optical::changed_since(&mut tx, tenant, (id, &signed)).await?;
    let made = orders::of_exam(&mut tx, tenant, id).await?;
    drop(tx);
    look::look(&web.core.db, who, ("prescription_seen", id), clock::now_us()).await?;
    let old = rows::old_glasses(&rows);
    let order_view = |row: &orders::OrderRow| OrderView {
        id: row.order_id.clone(),
        number: row.order_number.clone(),
        status: status_words(&row.status),
        is_done: !order::is_awaited(row),
        what: order::order_of(row).map(|it| it.lens_use.label().to_owned()).unwrap_or_default(),
        when: format!(
            "{} by {}",
            show::date_and_time(row.changed_at_us, &zone),
            names.of(&row.changed_by)
        ),
    };
    page(OnePage {
        frame: Frame::new("Prescription", Some(who), "any=1"),
        here: format!("/optical/{id}"),
        exam: who.role.is_clinical().then(|| format!("/exams/{id}")),
        signed: format!(
            "Signed by {}, {}",
            names.of(&signed.signed_by),
            show::date_and_time(signed.signed_at_us, &zone)
        ),
        received: received
            .map(|(at_us, by)| received_words(at_us, &by, &zone, &names))
            .unwrap_or_default(),
        eyes: rows::tables(&signed.rx, &old),
        sources: old.iter().map(|it| source(&it.label, it.row, &zone)).collect(),
        vertex: vertex(&signed),
        note: signed.rx.note.clone(),
        addenda: signed.addenda.len(),
        is_changed,
        pd,
        orders: made.iter().map(order_view).collect(),
        visit: Visit::new(&visit, &zone),
        form,
    })
}

fn pd_view(it: &ProposedPd, rows: &[ReadingRow], zone: &TimeZone) -> PdView {
    PdView {
        words: it.pd.to_string(),
        near: it.near_mm.map(|mm| format!("{mm} mm")).unwrap_or_default(),
        source: source("Measured by", &rows[it.row], zone),
        is_inconsistent: it.is_inconsistent,
    }
}

/// `Old glasses: NIDEK LM-1800P, 23 Nov 2026, 10:03, not accepted`.
fn source(label: &str, row: &ReadingRow, zone: &TimeZone) -> String {
    let instrument = row.reading().map(|it| it.decoded.instrument).unwrap_or_default();
    let when = show::date_and_time(row.captured_at_us, zone);
    let accepted = if row.acceptance == "accepted" { "" } else { ", not accepted by anybody" };
    format!("{label}: {} {}, {when}{accepted}", instrument.vendor, instrument.model)
}

/// From 4 D on the distance in front of the eye matters (R10); weaker lenses need none.
fn vertex(signed: &Signed) -> String {
    let strong = |rx: &EyeRx| {
        let sphere = rx.sphere.unwrap_or_default();
        Power::new(sphere, rx.cylinder.unwrap_or_default(), rx.axis_deg).is_strong()
    };
    match signed.rx.vertex_distance_mm {
        _ if !strong(&signed.rx.right) && !strong(&signed.rx.left) => String::new(),
        Some(mm) => format!("{mm} mm, because a lens has 4 D or more"),
        None => "not written, although a lens has 4 D or more: ask the doctor".into(),
    }
}

pub async fn receive(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    optical::receive(&mut work, &id).await?;
    work.commit().await?;
    Ok(form.done(&format!("/optical/{id}")))
}

pub async fn make(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Form(mut form): Form<OrderForm>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    match order::make(&mut work, &id, (&form.number, &form.choice())).await {
        Ok(order) => {
            work.commit().await?;
            Ok(Redirect::to(&format!("/orders/{order}")).into_response())
        }
        Err(error) => {
            drop(work);
            form.faults = field_faults(error)?;
            let body = render(&web, &who, &id, form).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, body).into_response())
        }
    }
}

/// What is wrong with fields of a form; other errors stay errors.
pub fn field_faults(error: AppError) -> Result<Vec<FieldFault>, Fault> {
    match error {
        AppError::Fields(faults) => Ok(faults),
        AppError::Field(field, message) => Ok(vec![FieldFault { field: field.into(), message }]),
        error => Err(error.into()),
    }
}
