//! A patient over all visits: what the history page shows, with every measurement as it was sent.

use super::{Fault, Params, Web, Who};
use crate::{
    app::{
        history::{self, Page},
        local_time,
    },
    clock,
    http::{
        extract::{ID_LEN_MAX, text},
        show,
    },
    store::{exam::ReadingRow, history::Position, history::Visit},
};
use axum::{
    Json,
    extract::{Path, State},
};
use chiasm_proto::{Instrument, Measurement};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Ask {
    /// `older` of the page before; empty for the latest visits.
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    #[param(max_length = 200)]
    pub before: String,
}

impl Ask {
    /// The position that was asked for, if it makes sense.
    pub fn position(&self) -> Result<Option<Position>, Fault> {
        if self.before.is_empty() {
            return Ok(None);
        }
        let wrong =
            || Fault::bad_request("`before` is not what `older` of an earlier answer gave.");
        Position::from_text(&self.before).map(Some).ok_or_else(wrong)
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = History)]
pub struct HistoryJson {
    patient_id: String,
    chart_number: String,
    family_name: String,
    given_name: String,
    birth_date: String,
    visits: Vec<VisitJson>,
    /// Give it as `before` for the next older visits; `null` at the end.
    older: Option<String>,
    /// There were more readings than one answer holds: the oldest of them are missing.
    is_cut: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = HistoryVisit)]
struct VisitJson {
    encounter_id: String,
    location_id: String,
    visit_date: String,
    scheduled_at_us: i64,
    reason: String,
    /// Of the chart that the visit was made under.
    chart_number: String,
    readings: Vec<ReadingJson>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = HistoryReading)]
struct ReadingJson {
    reading_id: String,
    captured_at_us: i64,
    /// Clinic-local time of day with its offset.
    captured_local: String,
    acceptance: String,
    needs_a_look: bool,
    /// `null` together with no measurements: this version cannot read the document.
    #[schema(value_type = Option<Object>)]
    instrument: Option<Instrument>,
    #[schema(value_type = Vec<Object>)]
    measurements: Vec<Measurement>,
}

/// A patient over all visits of all locations, latest first.
#[utoipa::path(get, path = "/api/v1/patients/{patient}/history", params(Ask),
    responses((status = 200, body = HistoryJson)))]
pub async fn one(
    State(web): State<Web>,
    who: Who,
    Path(patient): Path<String>,
    Params(ask): Params<Ask>,
) -> Result<Json<HistoryJson>, Fault> {
    let before = ask.position()?;
    let page = history::page(&web.core.db, &who, &patient, before, clock::now_us()).await?;
    let Page { patient, visits, readings, older, is_cut } = page;
    Ok(Json(HistoryJson {
        patient_id: patient.patient_id,
        chart_number: patient.chart_number,
        family_name: patient.family_name,
        given_name: patient.given_name,
        birth_date: patient.birth_date,
        visits: visits.into_iter().map(|it| visit(it, &readings)).collect(),
        older: older.map(|position| position.to_text()),
        is_cut,
    }))
}

fn visit(it: Visit, readings: &[ReadingRow]) -> VisitJson {
    let zone = local_time::zone(&it.time_zone);
    let is_its = |row: &&ReadingRow| row.encounter_id.as_deref() == Some(&it.encounter_id);
    let readings = readings.iter().filter(is_its).map(|row| {
        let sent = row.reading();
        let at_us = row.captured_at_us;
        let instrument = sent.as_ref().map(|sent| sent.decoded.instrument.clone());
        ReadingJson {
            reading_id: row.reading_id.clone(),
            captured_at_us: at_us,
            captured_local: format!("{} {}", show::time(at_us, &zone), show::offset(at_us, &zone)),
            acceptance: row.acceptance.clone(),
            needs_a_look: row.needs_a_look,
            instrument,
            measurements: sent.map(|sent| sent.decoded.measurements).unwrap_or_default(),
        }
    });
    let readings = readings.collect();
    VisitJson {
        encounter_id: it.encounter_id,
        location_id: it.location_id,
        visit_date: it.visit_date,
        scheduled_at_us: it.scheduled_at_us,
        reason: it.reason,
        chart_number: it.chart_number,
        readings,
    }
}
