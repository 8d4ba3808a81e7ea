//! What people do with the readings of an exam.

use super::super::{Action, Fault, Web, Who, begin};
use crate::app::{accept, move_reading, reject};
use crate::http::extract::Form;
use axum::{
    extract::{Path, State},
    response::Response,
};

pub async fn accept_all(
    State(web): State<Web>,
    who: Who,
    Path(encounter): Path<String>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    accept::accept_all_unflagged(&mut work, &encounter).await?;
    work.commit().await?;
    Ok(form.done(&format!("/exams/{encounter}")))
}

pub async fn accept(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading)): Path<(String, String)>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    accept::accept(&mut work, &encounter, &reading, form.version).await?;
    work.commit().await?;
    Ok(form.done(&format!("/exams/{encounter}")))
}

pub async fn undo(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading)): Path<(String, String)>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    accept::undo(&mut work, &encounter, &reading, form.version).await?;
    work.commit().await?;
    Ok(form.done(&format!("/exams/{encounter}")))
}

pub async fn reject(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading)): Path<(String, String)>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    let why = (form.reason.as_str(), form.version);
    reject::reject_in_exam(&mut work, &encounter, &reading, why).await?;
    work.commit().await?;
    Ok(form.done(&format!("/exams/{encounter}")))
}

pub async fn move_out(
    State(web): State<Web>,
    who: Who,
    Path((encounter, reading)): Path<(String, String)>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    move_reading::move_reading(&mut work, &encounter, &reading, &form.choice()).await?;
    work.commit().await?;
    Ok(form.done(&format!("/exams/{encounter}")))
}
