//! Readings without a certain patient: in a lane's tray, in a location's inbox, or held.

use super::{StoreError, Tx, exam::READINGS_MAX, exam::ReadingRow};
use crate::{args, reading_rows};

/// What waits in one lane, oldest first.
pub async fn of_lane(tx: &mut Tx, tenant: &str, lane: &str) -> Result<Vec<ReadingRow>, StoreError> {
    let sql = reading_rows!(
        "WHERE r.tenant_id = $1 AND r.lane_id = $2 AND r.place IN ('tray', 'held')
            AND r.acceptance <> 'rejected'
        ORDER BY r.captured_at_us, r.seq LIMIT $3"
    );
    tx.fetch_all(sql, args![tenant, lane, READINGS_MAX]).await
}

/// Everything that waits in a location, trays included, oldest first.
pub async fn of_location(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
) -> Result<Vec<ReadingRow>, StoreError> {
    let sql = reading_rows!(
        "WHERE r.tenant_id = $1 AND r.location_id = $2
            AND r.place IN ('tray', 'inbox', 'held') AND r.acceptance <> 'rejected'
        ORDER BY r.captured_at_us, r.seq LIMIT $3"
    );
    tx.fetch_all(sql, args![tenant, location, READINGS_MAX]).await
}

/// What a lane session of the encounter measured, but is held because its data names another
/// patient.
pub async fn held_of_encounter(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Vec<ReadingRow>, StoreError> {
    let sql = reading_rows!(
        "JOIN lane_session s ON s.tenant_id = r.tenant_id AND s.lane_session_id = r.lane_session_id
        WHERE r.tenant_id = $1 AND s.encounter_id = $2 AND r.place IN ('tray', 'inbox', 'held')
            AND r.place = 'held' AND r.acceptance <> 'rejected'
        ORDER BY r.captured_at_us, r.seq LIMIT $3"
    );
    tx.fetch_all(sql, args![tenant, encounter, READINGS_MAX]).await
}

/// How many items wait in each location's inbox or are held there.
pub async fn counts(tx: &mut Tx, tenant: &str) -> Result<Vec<(String, i64)>, StoreError> {
    let sql = "SELECT location_id, COUNT(*) FROM reading
        WHERE tenant_id = $1 AND place IN ('inbox', 'held') AND acceptance <> 'rejected'
        GROUP BY location_id";
    tx.fetch_all(sql, args![tenant]).await
}

/// How many items wait in each lane's tray.
pub async fn in_trays(tx: &mut Tx, tenant: &str) -> Result<Vec<(String, i64)>, StoreError> {
    let sql = "SELECT lane_id, COUNT(*) FROM reading
        WHERE tenant_id = $1 AND place = 'tray' AND acceptance <> 'rejected' GROUP BY lane_id";
    tx.fetch_all(sql, args![tenant]).await
}
