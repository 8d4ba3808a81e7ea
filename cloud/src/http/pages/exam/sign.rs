//! Signing an exam, and adding to a signed one.

use super::{
    super::{
        Fault, Names, Web, Who, begin,
        frame::{Frame, page},
        visit::Visit,
    },
    record::RecordView,
};
use crate::{
    app::{local_time, look, record, sign},
    clock,
    store::{encounter, exam, site},
};
use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "sign.html")]
struct SignPage {
    frame: Frame,
    visit: Visit,
    here: String,
    record: RecordView,
    open: Vec<String>,
    accepted: usize,
    digest: String,
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let found = encounter::by_id(&mut tx, &who.tenant, &id).await?;
    let found = found.ok_or_else(|| Fault::not_found("exam"))?;
    let location = site::location(&mut tx, &who.tenant, &found.location_id).await?;
    let location = location.ok_or_else(|| Fault::not_found("location"))?;
    let zone = local_time::zone(&location.time_zone);
    let names = Names::load(&mut tx, &who.tenant).await?;
    let rows = exam::readings(&mut tx, &who.tenant, &id).await?;
    let record = RecordView::load(&mut tx, &who, (&id, &rows), (&zone, &names)).await?;
    let content = sign::content(&mut tx, &who.tenant, &id, &zone).await?;
    drop(tx);
    if record.signature.is_some() || !record.is_doctor {
        return Ok(Redirect::to(&format!("/exams/{id}")).into_response());
    }
    look::look(&web.core.db, &who, ("exam_seen", &id), clock::now_us()).await?;
    page(SignPage {
        frame: Frame::new("Sign", Some(&who), &format!("encounter={id}")),
        visit: Visit::new(&found, &zone),
        here: format!("/exams/{id}"),
        digest: content.digest(),
        accepted: rows.iter().filter(|row| row.acceptance == "accepted").count(),
        open: content.open,
        record,
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SignForm {
    /// Names what was looked at.
    digest: String,
    text: String,
}

pub async fn sign(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Form(form): Form<SignForm>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    sign::sign(&mut work, &id, &form.digest).await?;
    work.commit().await?;
    Ok(Redirect::to(&format!("/exams/{id}#signature")).into_response())
}

pub async fn add(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Form(form): Form<SignForm>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    record::add(&mut work, &id, &form.text).await?;
    work.commit().await?;
    Ok(Redirect::to(&format!("/exams/{id}#signature")).into_response())
}
