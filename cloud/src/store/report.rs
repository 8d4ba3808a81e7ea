//! The daily counts behind the reports, and the marks that say which of them are no longer right.

use super::{StoreError, Tx, batch::Words};
use crate::{
    args,
    domain::report::{Counts, Day},
};
use std::collections::BTreeSet;
use uuid::Uuid;

const HOUR_US: i64 = 3600 * 1_000_000;
/// Readings that are looked at together.
pub const FACTS_MAX: i64 = 1_000;
/// Marks that one count takes away; more are taken by the next.
pub const MARKS_MAX: i64 = 5_000;

/// Hours of locations in which something came or changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stale(BTreeSet<(String, i64)>);

impl Stale {
    /// A reading of this location and moment came or changed.
    pub fn add(&mut self, location: &str, captured_at_us: i64) {
        let hour_us = captured_at_us.saturating_sub(captured_at_us.rem_euclid(HOUR_US));
        self.0.insert((location.to_owned(), hour_us));
    }
}

/// Marks what has to be counted again, in the transaction that changes it. Only adds rows, so that
/// nobody waits for a count that is under way, and a count takes away only marks that it has seen.
pub async fn mark(tx: &mut Tx, tenant: &str, stale: &Stale) -> Result<(), StoreError> {
    let sql = "INSERT INTO report_stale (tenant_id, location_id, hour_us, mark_id)
        VALUES ($1, $2, $3, $4)";
    for (location, hour_us) in &stale.0 {
        let id = Uuid::now_v7().to_string();
        tx.execute(sql, args![tenant, location, *hour_us, id]).await?;
    }
    Ok(())
}

/// Tenant, location and time zone of every location with marks. Needs all tenants.
pub async fn stale_locations(tx: &mut Tx) -> Result<Vec<(String, String, String)>, StoreError> {
    let sql = "SELECT l.tenant_id, l.location_id, l.time_zone FROM location l
        WHERE EXISTS (SELECT 1 FROM report_stale s
            WHERE s.tenant_id = l.tenant_id AND s.location_id = l.location_id)
        ORDER BY l.tenant_id, l.location_id";
    tx.fetch_all(sql, args![]).await
}

/// Whether anything of a location is still to be counted.
pub async fn is_stale(tx: &mut Tx, tenant: &str, location: &str) -> Result<bool, StoreError> {
    Ok(latest_mark(tx, tenant, location).await?.is_some())
}

/// Takes the location for one count: another replica waits until the commit.
pub async fn lock(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
    now_us: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO report_counted (tenant_id, location_id, counted_at_us)
        VALUES ($1, $2, $3)
        ON CONFLICT (tenant_id, location_id) DO UPDATE SET counted_at_us = excluded.counted_at_us";
    tx.execute(sql, args![tenant, location, now_us]).await?;
    Ok(())
}

/// When each location was last counted.
pub async fn counted(tx: &mut Tx, tenant: &str) -> Result<Vec<(String, i64)>, StoreError> {
    let sql = "SELECT location_id, counted_at_us FROM report_counted WHERE tenant_id = $1";
    tx.fetch_all(sql, args![tenant]).await
}

/// The latest hour that is marked: people ask for today first.
pub async fn latest_mark(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT hour_us FROM report_stale WHERE tenant_id = $1 AND location_id = $2
        ORDER BY hour_us DESC LIMIT 1";
    let row: Option<(i64,)> = tx.fetch_optional(sql, args![tenant, location]).await?;
    Ok(row.map(|(hour_us,)| hour_us))
}

/// Marks of a location whose hours touch a span of time: hour and id.
pub async fn marks(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
    (first_us, end_us): (i64, i64),
) -> Result<Vec<(i64, String)>, StoreError> {
    let sql = "SELECT hour_us, mark_id FROM report_stale
        WHERE tenant_id = $1 AND location_id = $2 AND hour_us > $3 AND hour_us < $4
        ORDER BY hour_us, mark_id LIMIT $5";
    tx.fetch_all(sql, args![tenant, location, first_us - HOUR_US, end_us, MARKS_MAX]).await
}

/// First and last moment of an hour.
pub fn ends_of(hour_us: i64) -> [i64; 2] {
    [hour_us, hour_us.saturating_add(HOUR_US - 1)]
}

/// Takes a mark away.
pub async fn unmark(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
    (hour_us, id): &(i64, String),
) -> Result<(), StoreError> {
    let sql = "DELETE FROM report_stale
        WHERE tenant_id = $1 AND location_id = $2 AND hour_us = $3 AND mark_id = $4";
    tx.execute(sql, args![tenant, location, *hour_us, id]).await?;
    Ok(())
}

crate::row! {
    /// A reading as the counts need it.
    pub struct FactRow {
        pub reading_id: String,
        pub gateway_id: String,
        pub link_id: String,
        pub lane_id: String,
        pub vendor: String,
        pub model: String,
        pub captured_at_us: i64,
        pub place: String,
        pub acceptance: String,
        pub encounter_id: Option<String>,
        pub is_manual: bool,
        pub body: String,
    }
}

/// Up to [`FACTS_MAX`] readings of a location behind a moment and an id, in the order of capture.
pub async fn facts(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
    (after, end_us): ((i64, &str), i64),
) -> Result<Vec<FactRow>, StoreError> {
    tx.fetch_all(FACTS, args![tenant, location, after.0, after.1, end_us, FACTS_MAX]).await
}

pub const FACTS: &str =
    "SELECT r.reading_id, r.gateway_id, r.link_id, r.lane_id, r.vendor, r.model,
        r.captured_at_us, r.place, r.acceptance, r.encounter_id, r.is_manual, d.body
    FROM reading r JOIN document d ON d.tenant_id = r.tenant_id
        AND d.gateway_id = r.gateway_id AND d.epoch = r.epoch AND d.seq = r.seq
    WHERE r.tenant_id = $1 AND r.location_id = $2 AND r.captured_at_us >= $3
        AND r.captured_at_us < $5 AND (r.captured_at_us > $3 OR r.reading_id > $4)
    ORDER BY r.captured_at_us, r.reading_id LIMIT $6";

macro_rules! earlier_states {
    ($readings:literal) => {
        concat!(
            "SELECT v.reading_id, v.version, v.place, v.encounter_id FROM ",
            $readings,
            " JOIN reading_version v
                ON v.tenant_id = r.tenant_id AND v.reading_id = r.reading_id
            WHERE r.tenant_id = $1 AND r.location_id = $2 AND r.captured_at_us >= $3
                AND r.captured_at_us < $4 AND r.version > 1"
        )
    };
}

/// Reading, version, place and encounter of every earlier state of a location's readings.
pub async fn earlier_states(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
    (first_us, end_us): (i64, i64),
) -> Result<Vec<(String, i64, String, Option<String>)>, StoreError> {
    let sql = EARLIER_STATES.of(tx);
    let mut states: Vec<(String, i64, String, Option<String>)> =
        tx.fetch_all(sql, args![tenant, location, first_us, end_us]).await?;
    // Asked for in this order, both databases would read every earlier state there is.
    states.sort_unstable();
    Ok(states)
}

pub const EARLIER_STATES: Words = Words {
    sqlite: earlier_states!("reading r INDEXED BY reading_day"),
    postgres: earlier_states!("reading r"),
};

/// When the visits of a day began: the first lane session, or when they were scheduled.
pub async fn check_ins(
    tx: &mut Tx,
    tenant: &str,
    (location, day): (&str, &str),
    (first_us, end_us): (i64, i64),
) -> Result<Vec<(String, i64)>, StoreError> {
    let scheduled = "SELECT encounter_id, scheduled_at_us FROM encounter
        WHERE tenant_id = $1 AND location_id = $2 AND visit_date = $3";
    let mut all: Vec<(String, i64)> = tx.fetch_all(scheduled, args![tenant, location, day]).await?;
    let opened = "SELECT s.encounter_id, MIN(s.opened_at_us) FROM lane CROSS JOIN lane_session s
        WHERE lane.tenant_id = $1 AND lane.location_id = $2 AND s.tenant_id = $1
            AND s.lane_id = lane.lane_id
            AND s.opened_at_us >= $3 AND s.opened_at_us < $4
        GROUP BY s.encounter_id";
    // What comes later counts.
    all.extend(
        tx.fetch_all::<(String, i64)>(opened, args![tenant, location, first_us, end_us]).await?,
    );
    Ok(all)
}

/// Puts a day's counts in the place of those before.
pub async fn put_day(
    tx: &mut Tx,
    tenant: &str,
    (location, date): (&str, &str),
    day: &Day,
) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM report_day WHERE tenant_id = $1 AND location_id = $2 AND day = $3",
        "DELETE FROM report_exams WHERE tenant_id = $1 AND location_id = $2 AND day = $3",
        "DELETE FROM report_minutes WHERE tenant_id = $1 AND location_id = $2 AND day = $3",
    ] {
        tx.execute(sql, args![tenant, location, date]).await?;
    }
    let counts = "INSERT INTO report_day (tenant_id, location_id, day, lane_id, vendor, model,
            readings, second_prints, typed, exams, repeats, graded, low_confidence, by_itself,
            from_tray, from_inbox, moved, rejected, waiting)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
            $19)";
    for ((lane, vendor, model), it) in &day.counts {
        let args = args![
            tenant,
            location,
            date,
            lane,
            vendor,
            model,
            it.readings,
            it.second_prints,
            it.typed,
            it.exams,
            it.repeats,
            it.graded,
            it.low_confidence,
            it.by_itself,
            it.from_tray,
            it.from_inbox,
            it.moved,
            it.rejected,
            it.waiting,
        ];
        tx.execute(counts, args).await?;
    }
    let exams = "INSERT INTO report_exams (tenant_id, location_id, day, lane_id, exams, begun)
        VALUES ($1, $2, $3, $4, $5, $6)";
    for (lane, (there, begun)) in &day.exams {
        tx.execute(exams, args![tenant, location, date, lane, *there, *begun]).await?;
    }
    let minutes = "INSERT INTO report_minutes (tenant_id, location_id, day, minutes, exams)
        VALUES ($1, $2, $3, $4, $5)";
    for (many, exams) in &day.minutes {
        tx.execute(minutes, args![tenant, location, date, *many, *exams]).await?;
    }
    Ok(())
}

/// Notes that an instrument has sent over a link.
pub async fn put_instrument(
    tx: &mut Tx,
    tenant: &str,
    (gateway, link): (&str, &str),
    (vendor, model): (&str, &str),
) -> Result<(), StoreError> {
    let sql = "INSERT INTO instrument (tenant_id, gateway_id, link_id, vendor, model)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    tx.execute(sql, args![tenant, gateway, link, vendor, model]).await?;
    Ok(())
}

crate::row! {
    /// One day of one instrument in one lane.
    pub struct DayRow {
        pub day: String,
        pub lane_id: String,
        pub vendor: String,
        pub model: String,
        pub readings: i64,
        pub second_prints: i64,
        pub typed: i64,
        pub exams: i64,
        pub repeats: i64,
        pub graded: i64,
        pub low_confidence: i64,
        pub by_itself: i64,
        pub from_tray: i64,
        pub from_inbox: i64,
        pub moved: i64,
        pub rejected: i64,
        pub waiting: i64,
    }
}

impl DayRow {
    pub fn counts(&self) -> Counts {
        Counts {
            readings: self.readings,
            second_prints: self.second_prints,
            typed: self.typed,
            exams: self.exams,
            repeats: self.repeats,
            graded: self.graded,
            low_confidence: self.low_confidence,
            by_itself: self.by_itself,
            from_tray: self.from_tray,
            from_inbox: self.from_inbox,
            moved: self.moved,
            rejected: self.rejected,
            waiting: self.waiting,
        }
    }
}

/// The counts of a location from one day to another, both included.
pub async fn days(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
    (from, to): (&str, &str),
) -> Result<Vec<DayRow>, StoreError> {
    let sql = "SELECT day, lane_id, vendor, model, readings, second_prints, typed, exams, repeats,
            graded, low_confidence, by_itself, from_tray, from_inbox, moved, rejected, waiting
        FROM report_day WHERE tenant_id = $1 AND location_id = $2 AND day >= $3 AND day <= $4
        ORDER BY day, lane_id, vendor, model";
    tx.fetch_all(sql, args![tenant, location, from, to]).await
}

/// Day, lane, exams there, exams that began there.
pub async fn exams(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
    (from, to): (&str, &str),
) -> Result<Vec<(String, String, i64, i64)>, StoreError> {
    let sql = "SELECT day, lane_id, exams, begun FROM report_exams
        WHERE tenant_id = $1 AND location_id = $2 AND day >= $3 AND day <= $4";
    tx.fetch_all(sql, args![tenant, location, from, to]).await
}

/// Day, minutes, exams.
pub async fn minutes(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
    (from, to): (&str, &str),
) -> Result<Vec<(String, i64, i64)>, StoreError> {
    let sql = "SELECT day, minutes, exams FROM report_minutes
        WHERE tenant_id = $1 AND location_id = $2 AND day >= $3 AND day <= $4";
    tx.fetch_all(sql, args![tenant, location, from, to]).await
}
