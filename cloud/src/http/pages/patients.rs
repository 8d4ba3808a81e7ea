//! Looking a patient up by chart number, birth date and name. A name alone leads to a list, never
//! to a filing (R32).

use super::{
    Fault, Web, Who,
    frame::{Frame, page},
};
use crate::{
    app::look,
    clock,
    http::show,
    store::patient::{self, FOUND_MAX, Patient},
};
use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use jiff::civil;
use serde::Deserialize;

/// Longest text to search for, in characters.
const TEXT_LEN_MAX: usize = 100;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Search {
    q: String,
    /// `YYYY-MM-DD`.
    born: String,
}

#[derive(Template)]
#[template(path = "patients.html")]
struct PatientsPage {
    frame: Frame,
    q: String,
    born: String,
    /// What is wrong with the birth date.
    born_fault: String,
    was_asked: bool,
    found: Vec<Found>,
    /// More would fit than are listed.
    is_cut: bool,
    found_max: i64,
}

struct Found {
    patient_id: String,
    name: String,
    chart_number: String,
    birth_date: String,
}

impl From<Patient> for Found {
    fn from(it: Patient) -> Self {
        Self {
            name: format!("{}, {}", it.family_name, it.given_name),
            birth_date: show::date(&it.birth_date),
            patient_id: it.patient_id,
            chart_number: it.chart_number,
        }
    }
}

pub async fn search(
    State(web): State<Web>,
    who: Who,
    Query(search): Query<Search>,
) -> Result<Response, Fault> {
    let q: String = search.q.trim().chars().take(TEXT_LEN_MAX).collect();
    let born = search.born.trim().to_owned();
    let is_date = born.is_empty() || born.parse::<civil::Date>().is_ok();
    let was_asked = (!q.is_empty() || !born.is_empty()) && is_date;
    let mut found = Vec::new();
    if was_asked {
        let mut tx = web.core.db.tenant_read(&who.tenant).await?;
        found = patient::find(&mut tx, &who.tenant, &q, &born).await?;
        drop(tx);
        look::searched(&web.core.db, &who, (&q, &born), clock::now_us()).await?;
    }
    let born_fault = "Give the birth date as year-month-day, such as 1961-03-04.";
    page(PatientsPage {
        frame: Frame::new("Patients", Some(&who), ""),
        q,
        born,
        born_fault: if is_date { String::new() } else { born_fault.into() },
        was_asked,
        is_cut: found.len() as i64 >= FOUND_MAX,
        found: found.into_iter().map(Found::from).collect(),
        found_max: FOUND_MAX,
    })
}
