//! When a location is open (C2): hours of the week and holidays.

use super::{
    Fault, Web, Who, begin,
    frame::{Frame, page},
};
use crate::{
    app::{AppError, watch_fleet},
    domain::opening::{self, weekday_name, weekday_word},
    http::extract::{Form, ID_LEN_MAX, text},
    store::{fleet_watch, site},
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use std::collections::HashMap;

#[derive(Template)]
#[template(path = "opening.html")]
struct OpeningPage {
    frame: Frame,
    location: site::Location,
    week: Vec<DayView>,
    holidays: Vec<(String, String)>,
    is_known: bool,
    fault: String,
}

struct DayView {
    word: &'static str,
    name: &'static str,
    opens: String,
    closes: String,
}

/// From and to of each weekday; empty is closed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct HoursForm {
    mon_from: String,
    mon_to: String,
    tue_from: String,
    tue_to: String,
    wed_from: String,
    wed_to: String,
    thu_from: String,
    thu_to: String,
    fri_from: String,
    fri_to: String,
    sat_from: String,
    sat_to: String,
    sun_from: String,
    sun_to: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct HolidayForm {
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    day: String,
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    name: String,
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Path(location): Path<String>,
) -> Result<Response, Fault> {
    opening_page(&web, &who, &location, String::new()).await
}

async fn opening_page(
    web: &Web,
    who: &Who,
    location: &str,
    fault: String,
) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let found = site::location(&mut tx, &who.tenant, location).await?;
    let location = found.ok_or(AppError::NotFound("location"))?;
    let key = (who.tenant.as_str(), location.location_id.as_str());
    let hours = fleet_watch::hours_of(&mut tx, key).await?;
    let holidays = fleet_watch::holidays_of(&mut tx, key).await?;
    drop(tx);
    let by_day: HashMap<i64, (i64, i64)> =
        hours.into_iter().map(|(day, opens, closes)| (day, (opens, closes))).collect();
    let day = |weekday| {
        let hours = by_day.get(&weekday);
        DayView {
            word: weekday_word(weekday),
            name: weekday_name(weekday),
            opens: hours.map(|it| opening::time(it.0)).unwrap_or_default(),
            closes: hours.map(|it| opening::time(it.1)).unwrap_or_default(),
        }
    };
    page(OpeningPage {
        frame: Frame::new(format!("Opening hours of {}", location.name), Some(who), "none"),
        week: (1..=7).map(day).collect(),
        is_known: !by_day.is_empty(),
        holidays,
        location,
        fault,
    })
}

/// The page again, with what is wrong if something is.
async fn answer(
    web: &Web,
    who: &Who,
    location: &str,
    done: Result<(), AppError>,
) -> Result<Response, Fault> {
    match done {
        Ok(()) => Ok(Redirect::to(&format!("/locations/{location}/hours")).into_response()),
        Err(error @ AppError::Refused(_)) => {
            let message = Fault::from(error).message;
            let body = opening_page(web, who, location, message).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, body).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

pub async fn save(
    State(web): State<Web>,
    who: Who,
    Path(location): Path<String>,
    Form(it): Form<HoursForm>,
) -> Result<Response, Fault> {
    let week = [
        (&*it.mon_from, &*it.mon_to),
        (&*it.tue_from, &*it.tue_to),
        (&*it.wed_from, &*it.wed_to),
        (&*it.thu_from, &*it.thu_to),
        (&*it.fri_from, &*it.fri_to),
        (&*it.sat_from, &*it.sat_to),
        (&*it.sun_from, &*it.sun_to),
    ];
    let mut work = begin(&web, &who).await?;
    let done = match watch_fleet::set_hours(&mut work, &location, week).await {
        Ok(()) => work.commit().await,
        Err(error) => Err(error),
    };
    answer(&web, &who, &location, done).await
}

pub async fn add_holiday(
    State(web): State<Web>,
    who: Who,
    Path(location): Path<String>,
    Form(form): Form<HolidayForm>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    let holiday = (form.day.as_str(), form.name.as_str());
    let done = match watch_fleet::add_holiday(&mut work, &location, holiday).await {
        Ok(()) => work.commit().await,
        Err(error) => Err(error),
    };
    answer(&web, &who, &location, done).await
}

pub async fn remove_holiday(
    State(web): State<Web>,
    who: Who,
    Path(location): Path<String>,
    Form(form): Form<HolidayForm>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    let done = match watch_fleet::remove_holiday(&mut work, &location, &form.day).await {
        Ok(()) => work.commit().await,
        Err(error) => Err(error),
    };
    answer(&web, &who, &location, done).await
}
