//! Readings without a certain patient: in a lane's tray, in a location's inbox, or held. Each query
//! names the conditions of its partial index as the index does: SQLite compares them by letter, and
//! would rather read all readings of a location, of which it does not know how many there are.

use super::{StoreError, Tx, batch::Words, exam::READINGS_MAX, exam::ReadingRow};
use crate::{args, reading_rows};

/// Items on one page of a location's inbox.
pub const PAGE_MAX: i64 = 50;
/// Nothing may wait longer without somebody who has taken it upon themselves (C6).
pub const OWNER_WITHIN_US: i64 = 24 * 3600 * 1_000_000;

/// What waits in one lane, oldest first.
pub async fn of_lane(tx: &mut Tx, tenant: &str, lane: &str) -> Result<Vec<ReadingRow>, StoreError> {
    tx.fetch_all(OF_LANE, args![tenant, lane, READINGS_MAX]).await
}

pub const OF_LANE: &str = reading_rows!(
    "WHERE r.tenant_id = $1 AND r.lane_id = $2 AND r.place IN ('tray', 'held')
        AND r.place IN ('tray', 'inbox', 'held') AND r.acceptance <> 'rejected'
    ORDER BY r.captured_at_us, r.seq LIMIT $3"
);

/// Everything that waits in a location, trays included, oldest first.
pub async fn of_location(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
) -> Result<Vec<ReadingRow>, StoreError> {
    tx.fetch_all(OF_LOCATION.of(tx), args![tenant, location, READINGS_MAX]).await
}

pub const OF_LOCATION: Words = reading_rows!(
    by "reading_waiting",
    "WHERE r.tenant_id = $1 AND r.location_id = $2
        AND r.place IN ('tray', 'inbox', 'held') AND r.acceptance <> 'rejected'
    ORDER BY r.captured_at_us, r.reading_id LIMIT $3"
);

/// A place in the list of an inbox: behind everything overdue or not, and by age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub is_overdue: bool,
    pub captured_at_us: i64,
    pub reading_id: String,
}

impl Position {
    /// Before the first item.
    pub fn start() -> Self {
        Self { is_overdue: true, captured_at_us: i64::MIN, reading_id: String::new() }
    }
    fn of(row: &ReadingRow, is_overdue: bool) -> Self {
        let (captured_at_us, reading_id) = (row.captured_at_us, row.reading_id.clone());
        Self { is_overdue, captured_at_us, reading_id }
    }
    /// For the address of the next page.
    pub fn to_text(&self) -> String {
        let overdue = if self.is_overdue { "o" } else { "n" };
        format!("{overdue}_{}_{}", self.captured_at_us, self.reading_id)
    }
    pub fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '_');
        let is_overdue = match parts.next()? {
            "o" => true,
            "n" => false,
            _ => return None,
        };
        let captured_at_us = parts.next()?.parse().ok()?;
        Some(Self { is_overdue, captured_at_us, reading_id: parts.next()?.to_owned() })
    }
}

/// One page of a location's inbox: what has waited too long without an owner first, then the rest,
/// each oldest first; and where the next page begins.
pub async fn page(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
    (after, now_us): (&Position, i64),
) -> Result<(Vec<ReadingRow>, Option<Position>), StoreError> {
    let overdue_us = now_us.saturating_sub(OWNER_WITHIN_US);
    let (at_us, id) = (after.captured_at_us, &after.reading_id);
    let mut rows: Vec<ReadingRow> = Vec::new();
    if after.is_overdue {
        let args = args![tenant, location, overdue_us, at_us, id, PAGE_MAX + 1];
        rows = tx.fetch_all(OVERDUE.of(tx), args).await?;
    }
    let overdue = rows.len();
    if overdue as i64 <= PAGE_MAX {
        let (at_us, id) = if after.is_overdue { (i64::MIN, "") } else { (at_us, id.as_str()) };
        let left = PAGE_MAX + 1 - overdue as i64;
        let args = args![tenant, location, overdue_us, at_us, id, left];
        rows.extend(tx.fetch_all::<ReadingRow>(NOT_OVERDUE.of(tx), args).await?);
    }
    let has_more = rows.len() as i64 > PAGE_MAX;
    rows.truncate(PAGE_MAX as usize);
    let last = rows.last().map(|row| Position::of(row, rows.len() <= overdue));
    Ok((rows, last.filter(|_| has_more)))
}

pub const OVERDUE: Words = reading_rows!(
    by "reading_waiting",
    "WHERE r.tenant_id = $1 AND r.location_id = $2
        AND r.place IN ('tray', 'inbox', 'held') AND r.acceptance <> 'rejected'
        AND r.captured_at_us < $3 AND r.owned_by IS NULL
        AND (r.captured_at_us, r.reading_id) > ($4, $5)
    ORDER BY r.captured_at_us, r.reading_id LIMIT $6"
);
pub const NOT_OVERDUE: Words = reading_rows!(
    by "reading_waiting",
    "WHERE r.tenant_id = $1 AND r.location_id = $2
        AND r.place IN ('tray', 'inbox', 'held') AND r.acceptance <> 'rejected'
        AND (r.captured_at_us >= $3 OR r.owned_by IS NOT NULL)
        AND (r.captured_at_us, r.reading_id) > ($4, $5)
    ORDER BY r.captured_at_us, r.reading_id LIMIT $6"
);

/// Whether a reading has waited too long without an owner (C6).
pub fn is_overdue(row: &ReadingRow, now_us: i64) -> bool {
    row.owned_by.is_none() && row.captured_at_us < now_us.saturating_sub(OWNER_WITHIN_US)
}

/// Takes a reading that waits upon an account, or gives it back; `false` when it waits no longer or
/// somebody else has changed that.
pub async fn set_owner(
    tx: &mut Tx,
    tenant: &str,
    row: &ReadingRow,
    owner: Option<(&str, i64)>,
) -> Result<bool, StoreError> {
    let sql = "UPDATE reading SET owned_by = $3, owned_at_us = $4
        WHERE tenant_id = $1 AND reading_id = $2 AND version = $5
            AND place IN ('tray', 'inbox', 'held') AND acceptance <> 'rejected'
            AND COALESCE(owned_by, '') = $6";
    let (account, at_us) = owner.unzip();
    let before = row.owned_by.clone().unwrap_or_default();
    let args = args![tenant, &row.reading_id, account, at_us, row.version, before];
    Ok(tx.execute(sql, args).await? == 1)
}

/// What a lane session of the encounter measured, but is held because its data names another
/// patient.
pub async fn held_of_encounter(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Vec<ReadingRow>, StoreError> {
    let sql = reading_rows!(
        from "lane_session s CROSS JOIN reading r",
        "WHERE s.tenant_id = $1 AND s.encounter_id = $2 AND r.tenant_id = $1
            AND r.lane_session_id = s.lane_session_id
            AND r.place = 'held' AND r.acceptance <> 'rejected'
        ORDER BY r.captured_at_us, r.seq LIMIT $3"
    );
    tx.fetch_all(sql, args![tenant, encounter, READINGS_MAX]).await
}

crate::row! {
    /// How much waits at a location.
    pub struct Count {
        pub location_id: String,
        /// In its inbox or held.
        pub waiting: i64,
        /// Everything, trays included.
        pub listed: i64,
        /// Of everything: too long without an owner.
        pub overdue: i64,
        pub oldest_at_us: i64,
    }
}

/// How much waits at each location where anything does.
pub async fn counts(tx: &mut Tx, tenant: &str, now_us: i64) -> Result<Vec<Count>, StoreError> {
    tx.fetch_all(COUNTS.of(tx), args![tenant, now_us.saturating_sub(OWNER_WITHIN_US)]).await
}

/// The same statement on the readings, for which SQLite has to use an index.
macro_rules! on_readings {
    (by $index:literal, $select:literal, $rest:literal) => {
        Words {
            sqlite: concat!($select, " FROM reading INDEXED BY ", $index, " ", $rest),
            postgres: concat!($select, " FROM reading ", $rest),
        }
    };
}
pub(super) use on_readings;

pub const COUNTS: Words = on_readings!(
    by "reading_waiting",
    "SELECT location_id, COUNT(CASE WHEN place <> 'tray' THEN 1 END) AS waiting,
        COUNT(*) AS listed,
        COUNT(CASE WHEN captured_at_us < $2 AND owned_by IS NULL THEN 1 END) AS overdue,
        MIN(captured_at_us) AS oldest_at_us",
    "WHERE tenant_id = $1 AND place IN ('tray', 'inbox', 'held') AND acceptance <> 'rejected'
    GROUP BY location_id"
);

/// How many items wait in each lane's tray.
pub async fn in_trays(tx: &mut Tx, tenant: &str) -> Result<Vec<(String, i64)>, StoreError> {
    tx.fetch_all(IN_TRAYS.of(tx), args![tenant]).await
}

pub const IN_TRAYS: Words = on_readings!(
    by "reading_waiting_lane",
    "SELECT lane_id, COUNT(*)",
    "WHERE tenant_id = $1 AND place = 'tray' AND place IN ('tray', 'inbox', 'held')
        AND acceptance <> 'rejected'
    GROUP BY lane_id"
);
