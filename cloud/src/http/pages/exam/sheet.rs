//! The form in which values are typed: of an instrument without a data port, or in the place of
//! wrong ones (T11). What was typed stays in the fields until it can be taken.

use super::super::{
    Fault, Web, Who, begin,
    frame::{Frame, page},
    visit::Visit,
};
use crate::http::extract::Form;
use crate::{
    app::{
        AppError,
        accept::of_exam,
        correct::{self, Of},
        local_time, look,
        type_in::{self, Entry},
    },
    clock,
    domain::sheet::{self, Field, FieldFault, Kind, Test, Typed},
    store::{encounter, site},
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use std::collections::BTreeMap;

#[derive(Template)]
#[template(path = "sheet.html")]
struct SheetPage {
    frame: Frame,
    visit: Visit,
    test: Test,
    here: String,
    back: String,
    /// Empty where values are typed anew.
    amends: String,
    version: String,
    eyes: Vec<EyeFields>,
    common: Vec<FieldView>,
    lanes: Vec<(String, String, bool)>,
    vendor: FieldView,
    model: FieldView,
    reason: FieldView,
    faults: Vec<FieldFault>,
}

/// The fields of one eye.
struct EyeFields {
    title: &'static str,
    fields: Vec<FieldView>,
}

/// A field with what stands in it and what is wrong with it.
struct FieldView {
    name: String,
    label: &'static str,
    unit: &'static str,
    options: Vec<(&'static str, &'static str)>,
    text: String,
    fault: String,
}

impl FieldView {
    fn new(name: String, field: &Field, typed: &Typed, faults: &[FieldFault]) -> Self {
        let options = match field.kind {
            Kind::Choice(options) => options.to_vec(),
            _ => Vec::new(),
        };
        let mut view = Self::text(&name, field.label, typed, faults);
        (view.unit, view.options) = (field.unit, options);
        view
    }
    fn text(name: &str, label: &'static str, typed: &Typed, faults: &[FieldFault]) -> Self {
        let fault = faults.iter().find(|fault| fault.field == name);
        Self {
            name: name.to_owned(),
            label,
            unit: "",
            options: Vec::new(),
            text: typed.get(name).cloned().unwrap_or_default(),
            fault: fault.map(|fault| fault.message.clone()).unwrap_or_default(),
        }
    }
}

/// Where a sheet is: a new reading of an exam, or one that is amended.
struct Sheet {
    encounter: String,
    test: Test,
    /// Reading and version that are amended.
    amends: Option<(String, i64)>,
}

pub async fn show_new(
    State(web): State<Web>,
    who: Who,
    Path((encounter, test)): Path<(String, String)>,
) -> Result<Response, Fault> {
    let test = Test::parse(&test).ok_or_else(|| Fault::not_found("test"))?;
    let sheet = Sheet { encounter, test, amends: None };
    render(&web, &who, &sheet, &Typed::new(), Vec::new()).await
}

pub async fn save_new(
    State(web): State<Web>,
    who: Who,
    Path((encounter, test)): Path<(String, String)>,
    Form(typed): Form<BTreeMap<String, String>>,
) -> Result<Response, Fault> {
    let test = Test::parse(&test).ok_or_else(|| Fault::not_found("test"))?;
    let text = |name: &str| typed.get(name).map_or("", String::as_str);
    let entry = Entry {
        test,
        typed: &typed,
        vendor: text("vendor"),
        model: text("model"),
        lane: text("lane"),
    };
    let mut work = begin(&web, &who).await?;
    match type_in::type_in(&mut work, &encounter, &entry).await {
        Ok(_) => {
            work.commit().await?;
            Ok(Redirect::to(&format!("/exams/{encounter}")).into_response())
        }
        Err(AppError::Fields(faults)) => {
            drop(work);
            let sheet = Sheet { encounter, test, amends: None };
            refused(render(&web, &who, &sheet, &typed, faults).await)
        }
        Err(error) => Err(error.into()),
    }
}

pub async fn show_amend(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading, test)): Path<(String, String, String)>,
) -> Result<Response, Fault> {
    let test = Test::parse(&test).ok_or_else(|| Fault::not_found("test"))?;
    let mut work = begin(&web, &who).await?;
    let row = of_exam(&mut work, &encounter, &reading, None).await?;
    drop(work);
    let shown = row.reading().ok_or_else(|| Fault::not_found("reading"))?;
    let typed = sheet::typed_of(test, &shown.decoded.measurements);
    let sheet = Sheet { encounter, test, amends: Some((reading, row.version)) };
    render(&web, &who, &sheet, &typed, Vec::new()).await
}

pub async fn save_amend(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading, test)): Path<(String, String, String)>,
    Form(typed): Form<BTreeMap<String, String>>,
) -> Result<Response, Fault> {
    let test = Test::parse(&test).ok_or_else(|| Fault::not_found("test"))?;
    let version = typed.get("version").and_then(|version| version.parse().ok());
    let why = typed.get("reason").map_or("", String::as_str);
    let of = Of { encounter: &encounter, reading: &reading, version };
    let mut work = begin(&web, &who).await?;
    let faults = match correct::amend(&mut work, of, (test, &typed), why).await {
        Ok(()) => {
            work.commit().await?;
            return Ok(Redirect::to(&format!("/exams/{encounter}")).into_response());
        }
        Err(AppError::Fields(faults)) => faults,
        Err(AppError::Field(field, message)) => vec![FieldFault { field: field.into(), message }],
        Err(AppError::Refused(message)) => vec![FieldFault { field: "reason".into(), message }],
        Err(error) => return Err(error.into()),
    };
    drop(work);
    let sheet = Sheet { encounter, test, amends: Some((reading, version.unwrap_or_default())) };
    refused(render(&web, &who, &sheet, &typed, faults).await)
}

fn refused(page: Result<Response, Fault>) -> Result<Response, Fault> {
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page?).into_response())
}

async fn render(
    web: &Web,
    who: &Who,
    of: &Sheet,
    typed: &Typed,
    faults: Vec<FieldFault>,
) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let found = encounter::by_id(&mut tx, &who.tenant, &of.encounter).await?;
    let found = found.ok_or_else(|| Fault::not_found("exam"))?;
    let location = site::location(&mut tx, &who.tenant, &found.location_id).await?;
    let zone = local_time::zone(location.as_ref().map_or("UTC", |it| &it.time_zone));
    let lanes = site::lanes(&mut tx, &who.tenant).await?;
    drop(tx);
    look::look(&web.core.db, who, ("exam_seen", &of.encounter), clock::now_us()).await?;
    let chosen = typed.get("lane").cloned();
    let lanes = lanes.into_iter().filter(|lane| lane.location_id == found.location_id);
    let lanes = lanes.map(|lane| {
        let is_here = lane.encounter_id.as_deref() == Some(found.encounter_id.as_str());
        let is_chosen = chosen.as_ref().map_or(is_here, |chosen| *chosen == lane.lane_id);
        (lane.lane_id, lane.lane_name, is_chosen)
    });
    let sides: &[(&str, &str)] = match of.test.is_per_eye() {
        true => &[("od_", "OD right eye"), ("os_", "OS left eye")],
        false => &[("", "Both eyes")],
    };
    let view = |prefix: &str, field: &Field| {
        FieldView::new(format!("{prefix}{}", field.name), field, typed, &faults)
    };
    let eyes = sides.iter().map(|(prefix, title)| EyeFields {
        title,
        fields: of.test.fields().iter().map(|field| view(prefix, field)).collect(),
    });
    let exam = format!("/exams/{}", of.encounter);
    let here = match &of.amends {
        None => format!("{exam}/type/{}", of.test.as_str()),
        Some((reading, _)) => format!("{exam}/readings/{reading}/amend/{}", of.test.as_str()),
    };
    page(SheetPage {
        frame: Frame::new(of.test.title(), Some(who), "none"),
        visit: Visit::new(&found, &zone),
        test: of.test,
        here,
        back: exam,
        amends: of.amends.as_ref().map(|(id, _)| id.clone()).unwrap_or_default(),
        version: of.amends.as_ref().map(|(_, it)| it.to_string()).unwrap_or_default(),
        eyes: eyes.collect(),
        common: of.test.common().iter().map(|field| view("", field)).collect(),
        lanes: lanes.collect(),
        vendor: FieldView::text("vendor", "Maker", typed, &faults),
        model: FieldView::text("model", "Model", typed, &faults),
        reason: FieldView::text("reason", "Why", typed, &faults),
        faults,
    })
}
