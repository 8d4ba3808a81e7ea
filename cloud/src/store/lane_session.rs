//! Lane sessions: "this lane now measures this patient's encounter".

use super::{StoreError, Tx};
use crate::args;

/// Opens a session; `false` when somebody else has just opened one in this lane.
pub async fn insert(
    tx: &mut Tx,
    tenant: &str,
    lane_session: &str,
    (lane, encounter): (&str, &str),
    (account, now_us): (&str, i64),
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO lane_session (tenant_id, lane_session_id, lane_id, encounter_id,
            opened_at_us, opened_by) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    let args = args![tenant, lane_session, lane, encounter, now_us, account];
    Ok(tx.execute(sql, args).await? == 1)
}

/// The session that is open in a lane, if it is of this encounter.
pub async fn open_of(
    tx: &mut Tx,
    tenant: &str,
    lane: &str,
    encounter: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT lane_session_id FROM lane_session
        WHERE tenant_id = $1 AND lane_id = $2 AND encounter_id = $3 AND closed_at_us IS NULL";
    let row: Option<(String,)> = tx.fetch_optional(sql, args![tenant, lane, encounter]).await?;
    Ok(row.map(|(session,)| session))
}

/// Says what the lensmeter measures next in a lane's open session; `false` when none is open.
pub async fn set_lens_purpose(
    tx: &mut Tx,
    tenant: &str,
    lane: &str,
    purpose: Option<&str>,
) -> Result<bool, StoreError> {
    let sql = "UPDATE lane_session SET lens_purpose = $3
        WHERE tenant_id = $1 AND lane_id = $2 AND closed_at_us IS NULL";
    Ok(tx.execute(sql, args![tenant, lane, purpose]).await? == 1)
}

/// Closes the session that is open in a lane; `false` when none was.
pub async fn close(
    tx: &mut Tx,
    tenant: &str,
    lane: &str,
    (account, now_us, reason): (&str, i64, &str),
) -> Result<bool, StoreError> {
    let sql = "UPDATE lane_session SET closed_at_us = $3, closed_by = $4, close_reason = $5
        WHERE tenant_id = $1 AND lane_id = $2 AND closed_at_us IS NULL";
    Ok(tx.execute(sql, args![tenant, lane, now_us, account, reason]).await? > 0)
}

crate::row! {
    /// A session of a lane that lasts beyond a moment.
    pub struct Lasting {
        pub lane_session_id: String,
        pub encounter_id: String,
        pub opened_at_us: i64,
        pub closed_at_us: Option<i64>,
    }
}

/// The sessions of a lane that last beyond a moment.
pub async fn lasting(
    tx: &mut Tx,
    tenant: &str,
    lane: &str,
    at_us: i64,
) -> Result<Vec<Lasting>, StoreError> {
    let sql = "SELECT lane_session_id, encounter_id, opened_at_us, closed_at_us FROM lane_session
        WHERE tenant_id = $1 AND lane_id = $2 AND (closed_at_us IS NULL OR closed_at_us > $3)
        ORDER BY opened_at_us";
    tx.fetch_all(sql, args![tenant, lane, at_us]).await
}

/// A session that was opened at a gateway's page; `end` if it does not go on here. `false` when it
/// is known, or the lane has an open session meanwhile.
pub async fn insert_of_gateway(
    tx: &mut Tx,
    tenant: &str,
    (lane_session, gateway): (&str, &str),
    (lane, encounter): (&str, &str),
    (account, at_us): (&str, i64),
    end: Option<(i64, &str)>,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO lane_session (tenant_id, lane_session_id, lane_id, encounter_id,
            opened_at_us, opened_by, gateway_id, closed_at_us, closed_by, close_reason)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
    let closed_by = end.map(|_| "system");
    let (closed_at_us, why) = (end.map(|(at_us, _)| at_us), end.map(|(_, why)| why));
    let args = args![
        tenant,
        lane_session,
        lane,
        encounter,
        at_us,
        account,
        gateway,
        closed_at_us,
        closed_by,
        why
    ];
    Ok(tx.execute(sql, args).await? == 1)
}

/// Ends a session at a moment that may have passed; `false` when it had ended by then, or is not of
/// this lane.
pub async fn close_at(
    tx: &mut Tx,
    tenant: &str,
    (lane, lane_session): (&str, &str),
    (account, at_us, reason): (&str, i64, &str),
) -> Result<bool, StoreError> {
    let sql = "UPDATE lane_session SET closed_by = $5, close_reason = $6,
            closed_at_us = CASE WHEN opened_at_us > $4 THEN opened_at_us ELSE $4 END
        WHERE tenant_id = $1 AND lane_id = $2 AND lane_session_id = $3
            AND (closed_at_us IS NULL OR closed_at_us > $4)";
    let args = args![tenant, lane, lane_session, at_us, account, reason];
    Ok(tx.execute(sql, args).await? == 1)
}
