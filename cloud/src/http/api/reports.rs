//! How the work goes: the numbers of the reports page.

use super::{Fault, Params, Web, Who};
use crate::{
    app::report::{self, Ask, Group, Report, Unit},
    clock,
    http::{
        extract::{ID_LEN_MAX, maybe_text, text},
        pages::reports::refused,
    },
};
use axum::{Json, extract::State};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AskParams {
    /// One location; all of them if left out.
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    #[param(max_length = 200)]
    location: String,
    /// `day` (if left out), `week` (from Monday) or `month`.
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    #[param(max_length = 200)]
    by: String,
    /// First day, clinic-local.
    #[serde(deserialize_with = "maybe_text::<ID_LEN_MAX, _>")]
    #[param(format = Date)]
    from: Option<String>,
    /// Last day, included; today if left out.
    #[serde(deserialize_with = "maybe_text::<ID_LEN_MAX, _>")]
    #[param(format = Date)]
    to: Option<String>,
}

/// Numbers of a part of the report. The ways (`by_itself` to `rejected`) add up to `readings`.
#[derive(Serialize, ToSchema)]
#[schema(as = ReportNumbers)]
pub struct NumbersJson {
    /// What instruments sent, without second prints.
    readings: i64,
    second_prints: i64,
    /// Typed by people; not among `readings`.
    typed: i64,
    /// Exams with at least one reading that is not rejected.
    exams: i64,
    /// Readings of an instrument that had measured in the same exam before.
    repeats: i64,
    /// Readings of instruments whose maker says what low confidence is.
    graded: i64,
    low_confidence: i64,
    by_itself: i64,
    from_tray: i64,
    from_inbox: i64,
    moved: i64,
    waiting: i64,
    rejected: i64,
    /// Minutes from check-in to the last pretest reading; `null` where they are not counted.
    minutes_median: Option<i64>,
    minutes_p90: Option<i64>,
}

impl From<&Group> for NumbersJson {
    fn from(it: &Group) -> Self {
        let (minutes_median, minutes_p90) = it.minutes().unzip();
        let (exams, it) = (it.exams, &it.counts);
        Self {
            readings: it.readings,
            second_prints: it.second_prints,
            typed: it.typed,
            exams,
            repeats: it.repeats,
            graded: it.graded,
            low_confidence: it.low_confidence,
            by_itself: it.by_itself,
            from_tray: it.from_tray,
            from_inbox: it.from_inbox,
            moved: it.moved,
            waiting: it.waiting,
            rejected: it.rejected,
            minutes_median,
            minutes_p90,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = ReportPeriod)]
pub struct PeriodJson {
    /// Its first day.
    start: String,
    numbers: NumbersJson,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ReportInstrument)]
pub struct InstrumentJson {
    vendor: String,
    model: String,
    numbers: NumbersJson,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ReportLane)]
pub struct LaneJson {
    location_id: String,
    lane_id: String,
    numbers: NumbersJson,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ReportLocation)]
pub struct LocationJson {
    location_id: String,
    numbers: NumbersJson,
}

/// The same readings, divided in four ways.
#[derive(Serialize, ToSchema)]
#[schema(as = Report)]
pub struct ReportJson {
    from: String,
    to: String,
    by: &'static str,
    /// When it was counted; `is_behind` says that something came or changed since.
    counted_at_us: Option<i64>,
    is_behind: bool,
    total: NumbersJson,
    periods: Vec<PeriodJson>,
    instruments: Vec<InstrumentJson>,
    lanes: Vec<LaneJson>,
    locations: Vec<LocationJson>,
}

impl From<Report> for ReportJson {
    fn from(it: Report) -> Self {
        let period = |(start, of): (&Date, &Group)| PeriodJson {
            start: start.to_string(),
            numbers: of.into(),
        };
        let instrument = |((vendor, model), of): (&(String, String), &Group)| InstrumentJson {
            vendor: vendor.clone(),
            model: model.clone(),
            numbers: of.into(),
        };
        let lane = |((location, lane), of): (&(String, String), &Group)| LaneJson {
            location_id: location.clone(),
            lane_id: lane.clone(),
            numbers: of.into(),
        };
        let location = |(location, of): (&String, &Group)| LocationJson {
            location_id: location.clone(),
            numbers: of.into(),
        };
        Self {
            from: it.from.to_string(),
            to: it.to.to_string(),
            by: it.unit.as_str(),
            counted_at_us: it.counted_at_us,
            is_behind: it.is_behind,
            total: (&it.total).into(),
            periods: it.periods.iter().map(period).collect(),
            instruments: it.instruments.iter().map(instrument).collect(),
            lanes: it.lanes.iter().map(lane).collect(),
            locations: it.locations.iter().map(location).collect(),
        }
    }
}

/// Use of instruments, how readings found their exams, and how long pretests take.
///
/// From counts by day that follow every change within a minute.
#[utoipa::path(get, path = "/api/v1/reports", params(AskParams),
    responses((status = 200, body = ReportJson), (status = 404)))]
pub async fn show(
    State(web): State<Web>,
    who: Who,
    Params(params): Params<AskParams>,
) -> Result<Json<ReportJson>, Fault> {
    let unit = Unit::parse(&params.by);
    let unit = unit.ok_or_else(|| {
        Fault::bad_request("`by` is not `day`, `week` or `month`.").at_field("by")
    })?;
    let date = |text: &Option<String>, field: &str| {
        text.as_deref().map(str::parse::<Date>).transpose().map_err(|_| {
            Fault::bad_request(format!("`{field}` is not YYYY-MM-DD.")).at_field(field)
        })
    };
    let ask = Ask {
        location: params.location.clone(),
        unit,
        from: date(&params.from, "from")?,
        to: date(&params.to, "to")?,
    };
    let report = report::report(&web.core.db, &who.tenant, &ask, clock::now_us()).await;
    Ok(Json(report.map_err(refused)?.into()))
}
