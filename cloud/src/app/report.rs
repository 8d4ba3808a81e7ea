//! Reports: the daily counts that a job keeps up to date (docs/adr/0008), and what is read of them.

use super::local_time;
use crate::{
    domain::report::{self, Counts, Fact},
    store::{
        Db, StoreError, Tx,
        report::{self as store, FACTS_MAX},
        site,
    },
};
use chiasm_proto::{Body, Envelope};
use jiff::{ToSpan, civil::Date, tz::TimeZone};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Longest span of a report in days, weeks and months.
pub const DAYS_MAX: i32 = 92;
pub const WEEKS_MAX: i32 = 53;
pub const MONTHS_MAX: i32 = 24;

/// Counts again every day that is marked, a day in each transaction. Gives their number.
pub async fn count_all(db: &Db, now_us: i64) -> Result<usize, StoreError> {
    let mut tx = db.all_tenants_read().await?;
    let locations = store::stale_locations(&mut tx).await?;
    drop(tx);
    let mut days = 0;
    for (tenant, location, zone) in locations {
        let zone = local_time::zone(&zone);
        loop {
            let mut tx = db.tenant(&tenant).await?;
            let counted = count_latest(&mut tx, (&tenant, &location), &zone, now_us).await?;
            if counted == 0 {
                break;
            }
            tx.commit().await?;
            days += counted;
        }
    }
    Ok(days)
}

/// Counts the latest day that is marked; two where an hour lies in both.
async fn count_latest(
    tx: &mut Tx,
    (tenant, location): (&str, &str),
    zone: &TimeZone,
    now_us: i64,
) -> Result<usize, StoreError> {
    if !store::is_stale(tx, tenant, location).await? {
        return Ok(0);
    }
    store::lock(tx, tenant, location, now_us).await?;
    // Looked at again: another replica may have counted while this one waited for the lock.
    let Some(hour_us) = store::latest_mark(tx, tenant, location).await? else { return Ok(0) };
    let days_of = |hour_us| store::ends_of(hour_us).map(|at_us| local_time::date(at_us, zone));
    let days: BTreeSet<Date> = days_of(hour_us).into();
    let (Some(first), Some(last)) = (days.first(), days.last()) else { return Ok(0) };
    let span = (ends(*first, zone).0, ends(*last, zone).1);
    let mut marks = store::marks(tx, tenant, location, span).await?;
    // An hour over midnight belongs to two days; its mark stays until both are counted.
    marks.retain(|(hour_us, _)| days_of(*hour_us).iter().all(|day| days.contains(day)));
    for day in &days {
        count_day(tx, (tenant, location), *day, ends(*day, zone)).await?;
    }
    for mark in &marks {
        store::unmark(tx, tenant, location, mark).await?;
    }
    Ok(days.len())
}

/// The first moment of a day, and the first behind it.
fn ends(day: Date, zone: &TimeZone) -> (i64, i64) {
    let midnight = |day: Date| {
        let at = zone.to_ambiguous_zoned(day.at(0, 0, 0, 0)).compatible();
        at.map_or(0, |at| at.timestamp().as_microsecond())
    };
    (midnight(day), midnight(day.tomorrow().unwrap_or(Date::MAX)))
}

async fn count_day(
    tx: &mut Tx,
    (tenant, location): (&str, &str),
    day: Date,
    (first_us, end_us): (i64, i64),
) -> Result<(), StoreError> {
    let date = day.to_string();
    let mut facts: Vec<Fact> = Vec::new();
    let mut instruments = BTreeSet::new();
    let mut after = (first_us, String::new());
    loop {
        let rows = store::facts(tx, tenant, location, ((after.0, &after.1), end_us)).await?;
        let is_last = (rows.len() as i64) < FACTS_MAX;
        if let Some(last) = rows.last() {
            after = (last.captured_at_us, last.reading_id.clone());
        }
        for row in rows {
            if !row.is_manual {
                let link = (row.gateway_id.clone(), row.link_id.clone());
                instruments.insert((link, (row.vendor.clone(), row.model.clone())));
            }
            facts.push(fact(row));
        }
        if is_last {
            break;
        }
    }
    let mut was: HashMap<String, Vec<(String, Option<String>)>> = HashMap::new();
    let span = (first_us, end_us);
    for (reading, _, place, encounter) in store::earlier_states(tx, tenant, location, span).await? {
        was.entry(reading).or_default().push((place, encounter));
    }
    for fact in &mut facts {
        fact.was = was.remove(&fact.reading_id).unwrap_or_default();
    }
    let check_ins = store::check_ins(tx, tenant, (location, &date), span).await?;
    let day = report::day(&facts, &check_ins.into_iter().collect());
    store::put_day(tx, tenant, (location, &date), &day).await?;
    for ((gateway, link), (vendor, model)) in &instruments {
        store::put_instrument(tx, tenant, (gateway, link), (vendor, model)).await?;
    }
    Ok(())
}

fn fact(row: store::FactRow) -> Fact {
    let reading = match serde_json::from_str::<Envelope>(&row.body).map(|it| it.body) {
        Ok(Body::Reading(reading)) => Some(*reading),
        _ => None,
    };
    Fact {
        confidence: reading.as_ref().and_then(report::confidence),
        is_pretest: reading.as_ref().is_some_and(report::is_pretest),
        reading_id: row.reading_id,
        lane_id: row.lane_id,
        vendor: row.vendor,
        model: row.model,
        captured_at_us: row.captured_at_us,
        place: row.place,
        acceptance: row.acceptance,
        encounter_id: row.encounter_id,
        is_manual: row.is_manual,
        was: Vec::new(),
    }
}

/// How a report is divided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unit {
    #[default]
    Day,
    Week,
    Month,
}

impl Unit {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "day" => Some(Unit::Day),
            "week" => Some(Unit::Week),
            "month" => Some(Unit::Month),
            _ => None,
        }
    }
    pub fn as_str(self) -> &'static str {
        match self {
            Unit::Day => "day",
            Unit::Week => "week",
            Unit::Month => "month",
        }
    }
    /// The first day of the period that a day lies in; weeks begin on Monday.
    pub fn start(self, day: Date) -> Date {
        match self {
            Unit::Day => day,
            Unit::Week => {
                let since = day.weekday().to_monday_zero_offset();
                day.checked_sub(i32::from(since).days()).unwrap_or(day)
            }
            Unit::Month => day.first_of_month(),
        }
    }
    fn next(self, start: Date) -> Option<Date> {
        match self {
            Unit::Day => start.tomorrow().ok(),
            Unit::Week => start.checked_add(1.week()).ok(),
            Unit::Month => start.checked_add(1.month()).ok(),
        }
    }
    /// Longest span in days.
    fn days_max(self) -> i32 {
        match self {
            Unit::Day => DAYS_MAX,
            Unit::Week => WEEKS_MAX * 7,
            Unit::Month => MONTHS_MAX * 31,
        }
    }
    /// Where a report begins if nobody says it.
    fn usual(self, to: Date) -> Date {
        let from = match self {
            Unit::Day => to.checked_sub(29.days()),
            Unit::Week => to.checked_sub(12.weeks()),
            Unit::Month => to.checked_sub(11.months()),
        };
        self.start(from.unwrap_or(to))
    }
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// All locations if empty.
    pub location: String,
    pub unit: Unit,
    pub from: Option<Date>,
    /// Included.
    pub to: Option<Date>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("location")]
    Location,
    #[error("{0}")]
    Span(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Numbers of a part of the report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    pub counts: Counts,
    /// Exams with at least one reading.
    pub exams: i64,
    /// Exams by minutes from check-in to the last pretest reading.
    pub minutes: BTreeMap<i64, i64>,
}

impl Group {
    fn add(&mut self, counts: &Counts) {
        self.counts.add(counts);
    }
    fn add_minutes(&mut self, minutes: i64, exams: i64) {
        *self.minutes.entry(minutes).or_default() += exams;
    }
    /// Median and 90th percentile, in minutes.
    pub fn minutes(&self) -> Option<(i64, i64)> {
        let of = |percent| report::percentile(&self.minutes, percent);
        Some((of(50)?, of(90)?))
    }
}

/// A report: every part has the same readings, divided in another way.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub from: Date,
    pub to: Date,
    pub unit: Unit,
    pub total: Group,
    /// Every period, also those without readings.
    pub periods: BTreeMap<Date, Group>,
    /// By vendor and model.
    pub instruments: BTreeMap<(String, String), Group>,
    /// By location and lane.
    pub lanes: BTreeMap<(String, String), Group>,
    pub locations: BTreeMap<String, Group>,
    /// The rows that all of it is made of, by location.
    pub days: Vec<(String, store::DayRow)>,
    /// When the location that was counted longest ago was counted.
    pub counted_at_us: Option<i64>,
    /// Something came or changed since.
    pub is_behind: bool,
    /// The locations that could be asked for.
    pub known: Vec<site::Location>,
}

/// Reads a report of a tenant.
pub async fn report(db: &Db, tenant: &str, ask: &Ask, now_us: i64) -> Result<Report, ReportError> {
    let mut tx = db.tenant_read(tenant).await?;
    let known = site::locations(&mut tx, tenant).await?;
    let is_asked = |it: &&site::Location| ask.location.is_empty() || it.location_id == ask.location;
    let locations: Vec<_> = known.iter().filter(is_asked).cloned().collect();
    if locations.is_empty() && !ask.location.is_empty() {
        return Err(ReportError::Location);
    }
    let zone = local_time::zone(locations.first().map_or("UTC", |it| &it.time_zone));
    let mut report = span(ask, local_time::date(now_us, &zone))?;
    let counted = store::counted(&mut tx, tenant).await?;
    for location in &locations {
        let id = &location.location_id;
        report.read(&mut tx, tenant, id).await?;
        report.is_behind |= store::is_stale(&mut tx, tenant, id).await?;
        let at_us = counted.iter().find(|(of, _)| of == id).map(|(_, at_us)| *at_us);
        report.counted_at_us = report.counted_at_us.into_iter().chain(at_us).min();
    }
    report.add_up();
    report.known = known;
    Ok(report)
}

/// An empty report of the span that is asked for.
fn span(ask: &Ask, today: Date) -> Result<Report, ReportError> {
    let to = ask.to.unwrap_or(today);
    let from = ask.from.unwrap_or_else(|| ask.unit.usual(to));
    if from > to {
        return Err(ReportError::Span("The first day lies behind the last one.".into()));
    }
    let days = to.since(from).map_or(i32::MAX, |span| span.get_days());
    if days >= ask.unit.days_max() {
        let message = format!(
            "Ask for at most {DAYS_MAX} days, {WEEKS_MAX} weeks or {MONTHS_MAX} months at once."
        );
        return Err(ReportError::Span(message));
    }
    let mut report = Report { from, to, unit: ask.unit, ..Report::default() };
    let mut start = Some(ask.unit.start(from));
    while let Some(at) = start.filter(|at| *at <= to) {
        report.periods.insert(at, Group::default());
        start = ask.unit.next(at);
    }
    Ok(report)
}

impl Report {
    fn period(&mut self, day: &str) -> &mut Group {
        let start = self.unit.start(day.parse().unwrap_or(self.from));
        self.periods.entry(start).or_default()
    }

    async fn read(&mut self, tx: &mut Tx, tenant: &str, location: &str) -> Result<(), StoreError> {
        let (from, to) = (self.from.to_string(), self.to.to_string());
        let span = (from.as_str(), to.as_str());
        let of_location = location.to_owned();
        self.locations.entry(of_location.clone()).or_default();
        let days = store::days(tx, tenant, location, span).await?;
        self.days.extend(days.into_iter().map(|row| (of_location.clone(), row)));
        for (day, lane, there, begun) in store::exams(tx, tenant, location, span).await? {
            self.total.exams += begun;
            self.period(&day).exams += begun;
            self.lanes.entry((of_location.clone(), lane)).or_default().exams += there;
            self.locations.entry(of_location.clone()).or_default().exams += begun;
        }
        for (day, minutes, exams) in store::minutes(tx, tenant, location, span).await? {
            self.total.add_minutes(minutes, exams);
            self.period(&day).add_minutes(minutes, exams);
            self.locations.entry(of_location.clone()).or_default().add_minutes(minutes, exams);
        }
        Ok(())
    }
    /// Adds the rows up. Some makers mark only what is low: a reading without a mark was graded where
    /// the instrument is known to mark at all.
    fn add_up(&mut self) {
        let marks = |(_, row): &&(String, store::DayRow)| row.graded > 0;
        let instrument =
            |(_, row): &(String, store::DayRow)| (row.vendor.clone(), row.model.clone());
        let graded: BTreeSet<_> = self.days.iter().filter(marks).map(instrument).collect();
        let mut days = std::mem::take(&mut self.days);
        for day in &mut days {
            day.1.graded = if graded.contains(&instrument(day)) { day.1.readings } else { 0 };
            let (location, row) = &*day;
            let counts = row.counts();
            self.total.add(&counts);
            self.period(&row.day).add(&counts);
            let of_instrument = self.instruments.entry(instrument(day)).or_default();
            of_instrument.add(&counts);
            of_instrument.exams += counts.exams;
            let lane = (location.clone(), row.lane_id.clone());
            self.lanes.entry(lane).or_default().add(&counts);
            self.locations.entry(location.clone()).or_default().add(&counts);
        }
        self.days = days;
    }
}
