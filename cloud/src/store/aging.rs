//! What changes because time has passed.

use super::{
    StoreError, Tx,
    batch::Words,
    live::{Kind, NewEvent},
    report::{self, Stale},
    waiting::on_readings,
};
use crate::args;

/// Readings of one tenant that change in one transaction; the rest follows in the next.
const ROWS_MAX: i64 = 200;

/// Tenants with readings in a tray since before the moment.
pub async fn tenants_with_old_tray(tx: &mut Tx, before_us: i64) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = tx.fetch_all(OLD_TRAYS.of(tx), args![before_us]).await?;
    Ok(rows.into_iter().map(|(tenant,)| tenant).collect())
}

pub const OLD_TRAYS: Words = on_readings!(
    by "reading_waiting_tray",
    "SELECT DISTINCT tenant_id",
    "WHERE place = 'tray' AND acceptance <> 'rejected' AND received_at_us <= $1"
);
pub const OLD_IN_TRAY: Words = on_readings!(
    by "reading_waiting_tray",
    "SELECT reading_id, location_id, lane_id, gateway_id, version, captured_at_us",
    "WHERE tenant_id = $1 AND place = 'tray' AND acceptance <> 'rejected'
        AND received_at_us <= $2
    ORDER BY received_at_us LIMIT $3"
);

/// Moves readings from trays to the location's inbox, each as a new version.
pub async fn tray_to_inbox(
    tx: &mut Tx,
    tenant: &str,
    before_us: i64,
    now_us: i64,
) -> Result<Vec<NewEvent>, StoreError> {
    let rows: Vec<(String, String, String, String, i64, i64)> =
        tx.fetch_all(OLD_IN_TRAY.of(tx), args![tenant, before_us, ROWS_MAX]).await?;
    let mut events = Vec::with_capacity(rows.len());
    let mut stale = Stale::default();
    for (reading, location, lane, gateway, version, captured_at_us) in rows {
        if !to_inbox(tx, tenant, &reading, version, now_us).await? {
            continue;
        }
        stale.add(&location, captured_at_us);
        events.push(NewEvent {
            location_id: Some(location),
            lane_id: Some(lane),
            gateway_id: Some(gateway),
            subject: Some(reading),
            ..NewEvent::new(now_us, Kind::ReadingChanged)
        });
    }
    report::mark(tx, tenant, &stale).await?;
    Ok(events)
}

/// False if somebody else changed the reading meanwhile.
async fn to_inbox(
    tx: &mut Tx,
    tenant: &str,
    reading: &str,
    version: i64,
    now_us: i64,
) -> Result<bool, StoreError> {
    let why = "nobody took it from the lane's tray in time";
    let kept = tx
        .execute(
            "INSERT INTO reading_version (tenant_id, reading_id, version, place, reason,
                 encounter_id, acceptance, superseded_at_us, superseded_by, superseded_why,
                 correction)
             SELECT tenant_id, reading_id, version, place, reason, encounter_id, acceptance, $4,
                 'system', $5, correction
             FROM reading
             WHERE tenant_id = $1 AND reading_id = $2 AND version = $3 AND place = 'tray'",
            args![tenant, reading, version, now_us, why],
        )
        .await?;
    if kept != 1 {
        return Ok(false);
    }
    tx.execute(
        "UPDATE reading SET place = 'inbox', version = version + 1, changed_at_us = $3,
             changed_by = 'system', change_reason = $4
         WHERE tenant_id = $1 AND reading_id = $2",
        args![tenant, reading, now_us, why],
    )
    .await?;
    Ok(true)
}

/// Tenants with open sessions that had no reading since the moment.
pub async fn tenants_with_idle_sessions(
    tx: &mut Tx,
    idle_since_us: i64,
) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = tx
        .fetch_all(
            "SELECT DISTINCT tenant_id FROM lane_session
             WHERE closed_at_us IS NULL AND opened_at_us <= $1
                 AND COALESCE(last_reading_at_us, opened_at_us) <= $1",
            args![idle_since_us],
        )
        .await?;
    Ok(rows.into_iter().map(|(tenant,)| tenant).collect())
}

macro_rules! close_idle {
    ($index:literal) => {
        concat!(
            "UPDATE lane_session",
            $index,
            " SET closed_at_us = $3, closed_by = 'system', close_reason = 'time'
            WHERE tenant_id = $1 AND closed_at_us IS NULL AND opened_at_us <= $2
                AND COALESCE(last_reading_at_us, opened_at_us) <= $2
            RETURNING lane_session_id, lane_id, encounter_id"
        )
    };
}
const CLOSE_IDLE: Words =
    Words { sqlite: close_idle!(" INDEXED BY lane_session_open"), postgres: close_idle!("") };

/// Ends lane sessions that had no reading since the moment.
pub async fn close_idle(
    tx: &mut Tx,
    tenant: &str,
    idle_since_us: i64,
    now_us: i64,
) -> Result<Vec<NewEvent>, StoreError> {
    let rows: Vec<(String, String, String)> =
        tx.fetch_all(CLOSE_IDLE.of(tx), args![tenant, idle_since_us, now_us]).await?;
    Ok(rows.into_iter().map(|row| closed(row, now_us)).collect())
}

/// Ends every open lane session at the moment: who sat where is not known of a database that was
/// restored, and what was measured since must not go to who sat there then.
pub async fn end_all_sessions(
    tx: &mut Tx,
    tenant: &str,
    at_us: i64,
    now_us: i64,
) -> Result<Vec<NewEvent>, StoreError> {
    let sql = "UPDATE lane_session SET closed_by = 'system', close_reason = 'restored',
            closed_at_us = CASE WHEN opened_at_us > $2 THEN opened_at_us ELSE $2 END
        WHERE tenant_id = $1 AND closed_at_us IS NULL
        RETURNING lane_session_id, lane_id, encounter_id";
    let rows: Vec<(String, String, String)> = tx.fetch_all(sql, args![tenant, at_us]).await?;
    Ok(rows.into_iter().map(|row| closed(row, now_us)).collect())
}

fn closed((session, lane, encounter): (String, String, String), now_us: i64) -> NewEvent {
    NewEvent {
        lane_id: Some(lane),
        encounter_id: Some(encounter),
        subject: Some(session),
        ..NewEvent::new(now_us, Kind::SessionClosed)
    }
}
