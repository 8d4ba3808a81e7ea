//! Signed prescriptions as opticians see them: the list of a location, one prescription, one order.
//! Only what glasses need, never the chart.

mod glasses;
pub mod one;
pub mod order;
mod rows;

use super::{
    Fault, Names, Web, Who,
    frame::{Frame, page},
};
use crate::{
    app::{local_time, look, order::status_words},
    clock,
    domain::prescription::Prescription,
    http::show,
    store::{
        Tx,
        optical::{self as store, Prescribed},
        order as orders, site,
    },
};
use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use jiff::{ToSpan, civil, tz::TimeZone};
use serde::Deserialize;
use std::collections::HashMap;

/// Longest text to search for, in characters.
const TEXT_LEN_MAX: usize = 100;
/// Prescriptions of so many days before stay in the list until they are received.
const EARLIER_DAYS: i64 = 30;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ask {
    location: String,
    /// `YYYY-MM-DD`.
    day: String,
    q: String,
}

#[derive(Template)]
#[template(path = "optical/list.html")]
struct ListPage {
    frame: Frame,
    locations: Vec<site::Location>,
    location_id: String,
    day: String,
    day_words: String,
    q: String,
    /// What was searched for, or what is of the day.
    items: Vec<Item>,
    earlier: Vec<Item>,
}

struct Item {
    encounter_id: String,
    name: String,
    birth_date: String,
    chart_number: String,
    visit_date: String,
    right: String,
    left: String,
    signed: String,
    /// Empty as long as it is not received.
    received: String,
    orders: Vec<OrderItem>,
}

struct OrderItem {
    id: String,
    number: String,
    status: &'static str,
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Query(ask): Query<Ask>,
) -> Result<Response, Fault> {
    let now_us = clock::now_us();
    let tenant = &who.tenant;
    let mut tx = web.core.db.tenant_read(tenant).await?;
    let locations = site::locations(&mut tx, tenant).await?;
    let location = match ask.location.as_str() {
        "" => locations.first(),
        id => locations.iter().find(|it| it.location_id == id),
    };
    let Some(location) = location.cloned() else {
        return Err(Fault::not_found("location"));
    };
    let zone = local_time::zone(&location.time_zone);
    let names = Names::load(&mut tx, tenant).await?;
    let today = local_time::date(now_us, &zone);
    let day: civil::Date = match ask.day.trim() {
        "" => today,
        text => text
            .parse()
            .map_err(|_| Fault::bad_request("Give the day as year-month-day: 2026-11-23."))?,
    };
    let q: String = ask.q.trim().chars().take(TEXT_LEN_MAX).collect();
    let from = day.checked_sub(EARLIER_DAYS.days()).unwrap_or(day);
    let (from, day) = (from.to_string(), day.to_string());
    let id = location.location_id.as_str();
    let (found, earlier) = if q.is_empty() {
        let of_day = store::of_day(&mut tx, tenant, (id, &day)).await?;
        (of_day, store::not_received(&mut tx, tenant, id, (&from, &day)).await?)
    } else {
        (store::find(&mut tx, tenant, id, &q).await?, vec![])
    };
    let items = with_orders(&mut tx, &who, &found, id, (&zone, &names)).await?;
    let earlier = with_orders(&mut tx, &who, &earlier, id, (&zone, &names)).await?;
    drop(tx);
    look::look(&web.core.db, &who, ("prescriptions_listed", id), now_us).await?;
    page(ListPage {
        frame: Frame::new("Optical", Some(&who), "any=1"),
        location_id: id.to_owned(),
        locations,
        day_words: show::date(&day),
        day,
        q,
        items,
        earlier,
    })
}

async fn with_orders(
    tx: &mut Tx,
    who: &Who,
    found: &[Prescribed],
    location: &str,
    (zone, names): (&TimeZone, &Names),
) -> Result<Vec<Item>, Fault> {
    let days = found.iter().map(|it| it.visit_date.as_str());
    let mut by_visit: HashMap<String, Vec<OrderItem>> = HashMap::new();
    if let (Some(first), Some(last)) = (days.clone().min(), days.max()) {
        for (encounter, id, number, status) in
            orders::of_visits(tx, &who.tenant, location, (first, last)).await?
        {
            by_visit.entry(encounter).or_default().push(OrderItem {
                id,
                number,
                status: status_words(&status),
            });
        }
    }
    let item = |it: &Prescribed| {
        let rx: Prescription = serde_json::from_str(&it.body).ok()?;
        let received = it.received_at_us.zip(it.received_by.as_ref());
        (!rx.is_empty()).then(|| Item {
            encounter_id: it.encounter_id.clone(),
            name: format!("{}, {}", it.family_name, it.given_name),
            birth_date: show::date(&it.birth_date),
            chart_number: it.chart_number.clone(),
            visit_date: show::date(&it.visit_date),
            right: rows::eye_words(&rx.right),
            left: rows::eye_words(&rx.left),
            signed: format!(
                "{} {}",
                names.of(&it.signed_by),
                show::date_and_time(it.signed_at_us, zone)
            ),
            received: received
                .map(|(at, by)| received_words(at, by, zone, names))
                .unwrap_or_default(),
            orders: by_visit.remove(&it.encounter_id).unwrap_or_default(),
        })
    };
    let mut item = item;
    Ok(found.iter().filter_map(&mut item).collect())
}

/// `Received by optical at 10:31 by Nils Aalto`, with the date where it was on another day.
pub(super) fn received_words(at_us: i64, by: &str, zone: &TimeZone, names: &Names) -> String {
    let is_today = local_time::date(at_us, zone) == local_time::date(clock::now_us(), zone);
    let when = if is_today { show::hours_and_minutes } else { show::date_and_time };
    format!("Received by optical at {} by {}", when(at_us, zone), names.of(by))
}
