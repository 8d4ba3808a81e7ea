//! Notes of the visit: tests that were not taken, and drops.

use super::super::{Fault, Web, Who, begin};
use crate::http::extract::Form;
use crate::{app::visit_note, domain::sheet::Test};
use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

const MINUTE_US: i64 = 60 * 1_000_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NotTakenForm {
    test: String,
    eye: String,
    reason: String,
}

pub async fn not_taken(
    State(web): State<Web>,
    who: Who,
    Path(encounter): Path<String>,
    Form(form): Form<NotTakenForm>,
) -> Result<Response, Fault> {
    let test = Test::parse(&form.test);
    let test = test.ok_or_else(|| Fault::bad_request("Choose which test was not taken."))?;
    let mut work = begin(&web, &who).await?;
    visit_note::not_taken(&mut work, &encounter, (test, &form.eye), &form.reason).await?;
    work.commit().await?;
    Ok(to_exam(&encounter))
}

pub async fn withdraw_not_taken(
    State(web): State<Web>,
    who: Who,
    Path((encounter, note)): Path<(String, String)>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    visit_note::withdraw_not_taken(&mut work, &encounter, &note).await?;
    work.commit().await?;
    Ok(to_exam(&encounter))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DropsForm {
    agent: String,
    minutes_ago: String,
}

pub async fn drops(
    State(web): State<Web>,
    who: Who,
    Path(encounter): Path<String>,
    Form(form): Form<DropsForm>,
) -> Result<Response, Fault> {
    let minutes_ago: u16 = match form.minutes_ago.trim() {
        "" => 0,
        text => text.parse().map_err(|_| Fault::bad_request("Give whole minutes, such as 5."))?,
    };
    let mut work = begin(&web, &who).await?;
    let given_at_us = work.now_us - i64::from(minutes_ago) * MINUTE_US;
    visit_note::give_drops(&mut work, &encounter, &form.agent, given_at_us).await?;
    work.commit().await?;
    Ok(to_exam(&encounter))
}

pub async fn withdraw_drops(
    State(web): State<Web>,
    who: Who,
    Path((encounter, drops)): Path<(String, String)>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    visit_note::withdraw_drops(&mut work, &encounter, &drops).await?;
    work.commit().await?;
    Ok(to_exam(&encounter))
}

fn to_exam(encounter: &str) -> Response {
    Redirect::to(&format!("/exams/{encounter}")).into_response()
}
