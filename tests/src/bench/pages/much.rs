//! Years of a practice, made inside the database: a few million readings would take longer to send
//! than to measure. The documents are what real drivers made of simulated prints.
//!
//! A location has the same busy day however much data there is; more data means more locations and
//! more years, as it does in a practice.

use crate::cloud::TENANT;
use anyhow::{Context, Result};
use chiasm_drivers::{DriverOptions, Event, registry, sim};
use chiasm_proto::{
    Body, ClockState, DriverRef, Envelope, Epoch, GatewayId, LaneId, LinkId, Raw, Reading,
    ReadingId, TenantId,
};
use jiff::Timestamp;
use std::time::Instant;
use uuid::Uuid;

/// Visits of one location in one day, and readings of one visit.
pub const VISITS_A_DAY: i64 = 40;
pub const READINGS_A_VISIT: i64 = 10;
pub const LANES: i64 = 3;
/// Visits of one patient over all years.
const VISITS_A_PATIENT: i64 = 5;
/// At a size of 100.
const PATIENTS_MAX: i64 = 100_000;
const LOCATIONS_MAX: i64 = 12;
/// Days that are left to the product's own job to count for the reports.
pub const DAYS_TO_COUNT: i64 = 35;

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub struct Much {
    /// 1, 10, 100.
    pub size: i64,
    pub patients: i64,
    pub locations: i64,
    pub days: i64,
}

impl Much {
    pub fn of(size: i64) -> Self {
        let patients = PATIENTS_MAX * size / 100;
        let locations = (LOCATIONS_MAX * size).div_euclid(100).max(1);
        let days = (patients * VISITS_A_PATIENT).div_euclid(locations * VISITS_A_DAY).max(1);
        Self { size, patients, locations, days }
    }
    pub fn visits(&self) -> i64 {
        self.days * self.locations * VISITS_A_DAY
    }
    pub fn readings(&self) -> i64 {
        self.visits() * READINGS_A_VISIT
    }
}

/// A print of one kind of instrument, as it stands in the ledger.
pub struct Sample {
    pub vendor: String,
    pub model: String,
    pub body: String,
}

/// Documents of this many days are as long as they come; of older ones only short prints are used,
/// or five million of them would fill a disk of 50 GB.
const LONG_FOR_DAYS: i64 = 60;
/// Longest document of older days, in bytes.
const SHORT_MAX: usize = 2_000;

/// What a visit measures: several prints of each of these, all different.
const MODELS: [&str; 4] = ["LM-7P", "ARK-1a", "NT-530", "CT-1P"];
const OF_EACH: u64 = 8;

/// The prints that the documents are made of.
pub fn samples() -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for seed in 0..OF_EACH {
        for model in MODELS {
            samples.push(sample(model, seed)?);
        }
    }
    samples.sort_by_key(|sample| sample.body.len());
    Ok(samples)
}

/// How many of the samples, from the first, are short.
pub fn short(samples: &[Sample]) -> i64 {
    samples.iter().filter(|sample| sample.body.len() <= SHORT_MAX).count().max(1) as i64
}

fn sample(model: &str, seed: u64) -> Result<Sample> {
    let simulator = sim::find(model).with_context(|| format!("nothing simulates a {model}"))?;
    let spec = registry::find(simulator.driver).context("a simulator names its driver")?;
    let print = (simulator.print)(seed, &sim::Knobs::default());
    let mut decoder = (spec.new)(&DriverOptions::default());
    decoder.handle_input(Instant::now(), &print.bytes);
    decoder.handle_end(Instant::now());
    let Some(Event::Decoded { decoded, raw, .. }) = decoder.poll_event() else {
        anyhow::bail!("the print of a {model} is not read");
    };
    let reading = Reading {
        link: LinkId::new("link")?,
        lane: LaneId::new("lane-0-0")?,
        lane_session: None,
        is_lane_empty: false,
        clock: ClockState::Synced,
        driver: DriverRef { id: spec.id.into(), version: spec.version.into() },
        decoded: *decoded,
        raw: Raw::new(raw),
    };
    let instrument = reading.decoded.instrument.clone();
    let names = (TenantId::new(TENANT)?, GatewayId::new("gw-0")?);
    let number = (Epoch(Uuid::nil()), 1);
    let (id, body) = (ReadingId(Uuid::nil()), Body::Reading(Box::new(reading)));
    let envelope = Envelope::new((&names.0, &names.1), number, id, Timestamp::now(), body);
    let body = serde_json::to_string(&envelope)?;
    Ok(Sample { vendor: instrument.vendor, model: instrument.model, body })
}

/// Which of the two says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    /// Rows of one column `n` from one number up to another, without it.
    fn numbers(self, from: i64, to: i64) -> String {
        match self {
            Kind::Sqlite => format!(
                "WITH RECURSIVE numbers(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM numbers
                 WHERE n + 1 < {to})"
            ),
            Kind::Postgres => format!(
                "WITH numbers AS (SELECT n::BIGINT FROM generate_series({from}, {to} - 1) AS s(n))"
            ),
        }
    }
    /// A number as text with leading zeros.
    fn padded(self, number: &str, width: usize) -> String {
        match self {
            Kind::Sqlite => format!("printf('%0{width}d', {number})"),
            Kind::Postgres => format!("lpad(({number})::TEXT, {width}, '0')"),
        }
    }
    /// A number's own noise, as long as a hash.
    fn hash(self, number: &str) -> String {
        match self {
            Kind::Sqlite => "lower(hex(randomblob(32)))".into(),
            Kind::Postgres => format!("encode(sha256(({number})::TEXT::bytea), 'hex')"),
        }
    }
    /// The date of a moment in UTC.
    pub fn date(self, us: &str) -> String {
        match self {
            Kind::Sqlite => format!("date(({us}) / 1000000, 'unixepoch')"),
            Kind::Postgres => {
                format!("to_char(to_timestamp(({us}) / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD')")
            }
        }
    }
    fn letters(self, number: &str) -> String {
        // Some twenty beginnings, and names that differ behind them.
        let begin = "('Abe','Ber','Cos','Dan','Erl','Fis','Gar','Hol','Iba','Jan')";
        let cases: String = begin
            .trim_matches(['(', ')'])
            .split(',')
            .enumerate()
            .map(|(index, word)| format!(" WHEN {index} THEN {word}"))
            .collect();
        format!("(CASE ({number}) % 10{cases} END) || {}", self.padded(number, 6))
    }
}

/// Statements that make everything but readings. `midnight_us` is that of today.
pub fn set_up(kind: Kind, much: &Much, midnight_us: i64) -> Vec<String> {
    let Much { patients, locations, days, .. } = *much;
    let (t, now) = (TENANT, midnight_us);
    let mut all = vec![
        format!(
            "{} INSERT INTO location (tenant_id, location_id, name, time_zone)
             SELECT '{t}', 'loc-' || n, 'Location ' || n, 'UTC' FROM numbers",
            kind.numbers(0, locations)
        ),
        format!(
            "{} INSERT INTO lane (tenant_id, lane_id, location_id, name)
             SELECT '{t}', 'lane-' || (n / {LANES}) || '-' || (n % {LANES}), 'loc-' || (n / {LANES}),
                 'Lane ' || (n % {LANES}) FROM numbers",
            kind.numbers(0, locations * LANES)
        ),
        format!(
            "{} INSERT INTO gateway (tenant_id, gateway_id, location_id, name, created_at_us,
                 status, status_at_us)
             SELECT '{t}', 'gw-' || n, 'loc-' || n, 'Gateway ' || n, 1, 'online', {now} FROM numbers",
            kind.numbers(0, locations)
        ),
        format!(
            "{} INSERT INTO stream (tenant_id, gateway_id, epoch, upto, highest, first_at_us,
                 last_at_us)
             SELECT '{t}', 'gw-' || n, 'epoch-' || n, {of_each}, {of_each}, 1, {now} FROM numbers",
            kind.numbers(0, locations),
            of_each = days * VISITS_A_DAY * READINGS_A_VISIT
        ),
    ];
    let name = kind.letters("n * 7919 % 1000003");
    let given = kind.letters("n * 104729 % 1000003");
    all.push(format!(
        "{} INSERT INTO patient (tenant_id, patient_id, chart_number, family_name, given_name,
             birth_date, created_at_us, family_name_folded, given_name_folded)
         SELECT '{t}', 'patient-' || n, 'A-' || n, {name}, {given},
             {}, 1, LOWER({name}), LOWER({given}) FROM numbers",
        kind.numbers(0, patients),
        kind.date("n % 30000 * 86400000000"),
    ));
    all
}

/// Visits `from` to `to`, oldest first, with their lane sessions.
pub fn visits(kind: Kind, much: &Much, midnight_us: i64, (from, to): (i64, i64)) -> Vec<String> {
    let Much { patients, locations, days, .. } = *much;
    let t = TENANT;
    let place = Place::of("n", locations, days);
    let scheduled = place.scheduled(midnight_us);
    let numbers = kind.numbers(from, to);
    vec![
        format!(
            "{numbers} INSERT INTO encounter (tenant_id, encounter_id, patient_id, location_id,
                 visit_date, scheduled_at_us, reason, appointment_key, created_at_us)
             SELECT '{t}', {id}, 'patient-' || (n * 7919 % {patients}), 'loc-' || {location},
                 {date}, {scheduled}, 'Annual exam', 'key-' || n, 1 FROM numbers",
            id = visit_id(kind, "n"),
            location = place.location,
            date = kind.date(&scheduled),
        ),
        format!(
            "{numbers} INSERT INTO lane_session (tenant_id, lane_session_id, lane_id, encounter_id,
                 opened_at_us, opened_by, last_reading_at_us, closed_at_us, closed_by, close_reason)
             SELECT '{t}', 'session-' || n, 'lane-' || {location} || '-' || {lane}, {id},
                 {scheduled} + 120000000, 'technician', {scheduled} + 660000000,
                 {scheduled} + 700000000, 'technician', 'ended' FROM numbers",
            id = visit_id(kind, "n"),
            location = place.location,
            lane = place.lane,
        ),
    ]
}

fn visit_id(kind: Kind, number: &str) -> String {
    format!("'visit-' || {}", kind.padded(number, 30))
}

/// Where and when a visit is, as SQL of its number.
struct Place {
    /// Days ago.
    ago: String,
    location: String,
    /// Its place in the day.
    slot: String,
    lane: String,
}

impl Place {
    fn of(visit: &str, locations: i64, days: i64) -> Self {
        let slot = format!("({visit} % {VISITS_A_DAY})");
        Self {
            ago: format!("({days} - 1 - {visit} / {})", locations * VISITS_A_DAY),
            location: format!("({visit} / {VISITS_A_DAY} % {locations})"),
            lane: format!("({slot} % {LANES})"),
            slot,
        }
    }
    /// From eight o'clock, every twelve minutes.
    fn scheduled(&self, midnight_us: i64) -> String {
        let Self { ago, slot, .. } = self;
        format!("({midnight_us} - {ago} * 86400000000 + 28800000000 + {slot} * 720000000)")
    }
}

/// Readings `from` to `to`, oldest first, with their documents. `samples` are in a table `sample`
/// (n, vendor, model, body), the `short` ones first.
pub fn readings(
    kind: Kind,
    much: &Much,
    (midnight_us, samples, short): (i64, i64, i64),
    (from, to): (i64, i64),
) -> Vec<String> {
    let Much { locations, days, .. } = *much;
    let t = TENANT;
    let place = Place::of("(numbers.n / 10)", locations, days);
    let Place { ago, location, slot, lane } = &place;
    let captured =
        format!("({} + 180000000 + numbers.n % 10 * 50000000)", place.scheduled(midnight_us));
    let a_day = VISITS_A_DAY * READINGS_A_VISIT;
    let seq = format!("(({days} - 1 - {ago}) * {a_day} + {slot} * 10 + numbers.n % 10 + 1)");
    // One in forty of the last days waits; one in five hundred was rejected where it waited.
    let waits = format!("(numbers.n % 40 = 3 AND {ago} < 5)");
    let refused = "(numbers.n % 500 = 9)";
    let sample = format!(
        "(CASE WHEN {ago} < {LONG_FOR_DAYS} THEN numbers.n % {samples} ELSE numbers.n % {short} END)"
    );
    let numbers = kind.numbers(from, to);
    let id = format!("'reading-' || {}", kind.padded("numbers.n", 28));
    vec![
        format!(
            "{numbers} INSERT INTO document (tenant_id, gateway_id, epoch, seq, document_id, kind,
                 sha256, captured_at_us, received_at_us, body)
             SELECT '{t}', 'gw-' || {location}, 'epoch-' || {location}, {seq}, {id}, 'reading',
                 {hash}, {captured}, {captured} + 400000, sample.body
             FROM numbers JOIN sample ON sample.n = {sample} WHERE TRUE",
            hash = kind.hash("numbers.n"),
        ),
        format!(
            "{numbers} INSERT INTO reading (tenant_id, reading_id, gateway_id, epoch, seq,
                 location_id, lane_id, link_id, vendor, model, content_sha256, captured_at_us,
                 received_at_us, lane_session_id, place, reason, encounter_id, acceptance,
                 needs_a_look)
             SELECT '{t}', {id}, 'gw-' || {location}, 'epoch-' || {location}, {seq},
                 'loc-' || {location}, 'lane-' || {location} || '-' || {lane},
                 'link-' || (numbers.n % 4), sample.vendor, sample.model, {hash}, {captured},
                 {captured} + 400000, 'session-' || (numbers.n / 10),
                 CASE WHEN {waits} OR {refused} THEN 'inbox' ELSE 'exam' END, 'bench',
                 CASE WHEN {waits} OR {refused} THEN NULL ELSE {visit} END,
                 CASE WHEN {refused} THEN 'rejected' WHEN {ago} > 0 AND NOT {waits} THEN 'accepted'
                     ELSE 'pending' END,
                 FALSE
             FROM numbers JOIN sample ON sample.n = {sample} WHERE TRUE",
            hash = kind.hash("numbers.n + 1000000000"),
            visit = visit_id(kind, "(numbers.n / 10)"),
        ),
    ]
}

/// Counts for the reports of all days but the latest, and the marks of those, which the product
/// counts itself.
pub fn reports(kind: Kind, much: &Much, midnight_us: i64) -> Vec<String> {
    let Much { locations, days, .. } = *much;
    let (t, first) = (TENANT, DAYS_TO_COUNT.min(days));
    let rows = (days - first).max(0) * locations * LANES;
    let (ago, location, lane) = (
        format!("({first} + n / {})", locations * LANES),
        format!("(n / {LANES} % {locations})"),
        format!("(n % {LANES})"),
    );
    let mut all = vec![format!(
        "INSERT INTO report_stale (tenant_id, location_id, hour_us, mark_id)
         SELECT DISTINCT tenant_id, location_id, captured_at_us - captured_at_us % 3600000000, 'b'
         FROM reading WHERE captured_at_us >= {}",
        midnight_us - (first - 1) * 86_400_000_000
    )];
    if rows == 0 {
        return all;
    }
    let day = kind.date(&format!("{midnight_us} - {ago} * 86400000000"));
    all.push(format!(
        "{} INSERT INTO report_day (tenant_id, location_id, day, lane_id, vendor, model, readings,
             second_prints, typed, exams, repeats, graded, low_confidence, by_itself, from_tray,
             from_inbox, moved, rejected, waiting)
         SELECT '{t}', 'loc-' || {location}, {day}, 'lane-' || {location} || '-' || {lane}, m.vendor,
             m.model, 33, 0, 0, 13, 20, 33, 2, 31, 1, 1, 0, 0, 0
         FROM numbers CROSS JOIN (SELECT DISTINCT vendor, model FROM sample) AS m",
        kind.numbers(0, rows)
    ));
    all.push(format!(
        "{} INSERT INTO report_exams (tenant_id, location_id, day, lane_id, exams, begun)
         SELECT '{t}', 'loc-' || {location}, {day}, 'lane-' || {location} || '-' || {lane}, 13, 13
         FROM numbers",
        kind.numbers(0, rows)
    ));
    all
}

/// A text in a statement.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_is_what_is_promised() {
        let much = Much::of(100);
        assert_eq!((much.patients, much.locations), (100_000, 12));
        assert!((4_900_000..=5_000_000).contains(&much.readings()), "{much:?}");
        assert!(much.days > 900, "several years: {much:?}");
        assert_eq!(Much::of(1).locations, 1);
    }

    #[test]
    fn samples_are_of_several_instruments() {
        let samples = samples().unwrap();
        let models: std::collections::BTreeSet<_> = samples.iter().map(|it| &it.model).collect();
        assert!(models.len() >= MODELS.len(), "{models:?}");
        assert!(short(&samples) > 1 && short(&samples) < samples.len() as i64);
    }
}
