//! What people say about a reading: its eyes, its side, its purpose, drops.

use super::super::{Action, Fault, Web, Who, begin, empty_is_none};
use crate::http::extract::Form;
use crate::{
    app::correct::{self, Of},
    domain::correction::{Drops, PairUse, Purpose},
};
use axum::{
    extract::{Path, State},
    response::Response,
};
use chiasm_proto::Eye;
use serde::Deserialize;

fn of<'a>((encounter, reading): &'a (String, String), version: Option<i64>) -> Of<'a> {
    Of { encounter, reading, version }
}

pub async fn swap(
    State(web): State<Web>,
    who: Who,
    Path(path): Path<(String, String)>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    correct::swap_eyes(&mut work, of(&path, form.version), &form.reason).await?;
    work.commit().await?;
    Ok(form.done(&format!("/exams/{}", path.0)))
}

/// A choice of one thing about a reading.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Said {
    #[serde(deserialize_with = "empty_is_none")]
    version: Option<i64>,
    eye: String,
    drops: String,
    #[serde(flatten)]
    purpose: PurposeForm,
    back: String,
}

impl Said {
    fn done(&self, encounter: &str) -> Response {
        super::super::back_to(&self.back, &format!("/exams/{encounter}"))
    }
}

/// What a lens is measured for, as forms ask it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PurposeForm {
    /// `1`, `2`, `3`, `somebody_else` or `order`.
    pub purpose: String,
    pub used_for: String,
    pub order: String,
}

impl PurposeForm {
    pub fn read(&self) -> Result<Purpose, Fault> {
        match self.purpose.as_str() {
            "somebody_else" => Ok(Purpose::SomebodyElse),
            "order" => Ok(Purpose::OrderCheckIn { order: self.order.clone() }),
            pair => {
                let pair = pair.parse().map_err(|_| {
                    Fault::bad_request("Choose which pair, or say that it is another lens.")
                })?;
                Ok(Purpose::Presenting { pair, used_for: PairUse::parse(&self.used_for) })
            }
        }
    }
}

pub async fn side(
    State(web): State<Web>,
    who: Who,
    Path(path): Path<(String, String)>,
    Form(form): Form<Said>,
) -> Result<Response, Fault> {
    let eye = match form.eye.as_str() {
        "OD" => Eye::Right,
        "OS" => Eye::Left,
        _ => return Err(Fault::bad_request("Choose the right or the left eye.")),
    };
    let mut work = begin(&web, &who).await?;
    correct::state_eye(&mut work, of(&path, form.version), eye).await?;
    work.commit().await?;
    Ok(form.done(&path.0))
}

pub async fn purpose(
    State(web): State<Web>,
    who: Who,
    Path(path): Path<(String, String)>,
    Form(form): Form<Said>,
) -> Result<Response, Fault> {
    let purpose = form.purpose.read()?;
    let mut work = begin(&web, &who).await?;
    correct::set_purpose(&mut work, of(&path, form.version), purpose).await?;
    work.commit().await?;
    Ok(form.done(&path.0))
}

pub async fn drops(
    State(web): State<Web>,
    who: Who,
    Path(path): Path<(String, String)>,
    Form(form): Form<Said>,
) -> Result<Response, Fault> {
    let drops = match form.drops.as_str() {
        "before" => Drops::Before,
        "after" => Drops::After,
        _ => return Err(Fault::bad_request("Choose before or after drops.")),
    };
    let mut work = begin(&web, &who).await?;
    correct::set_drops(&mut work, of(&path, form.version), drops).await?;
    work.commit().await?;
    Ok(form.done(&path.0))
}
