//! What people did at gateways' own pages, until it is carried out.

use super::{StoreError, Tx, exam::ReadingRow};
use crate::{args, reading_rows};

/// Acts that are looked at in one round of one practice.
pub const ACTS_MAX: i64 = 200;
/// Readings of one session that are placed again.
const READINGS_MAX: i64 = 500;

/// An act as it is filed.
#[derive(Debug)]
pub struct NewAct<'a> {
    pub document_id: &'a str,
    pub gateway_id: &'a str,
    pub epoch: String,
    pub seq: i64,
    pub location_id: String,
    pub lane_id: &'a str,
    pub lane_session_id: Option<String>,
    pub received_at_us: i64,
}

crate::row! {
    /// An act that waits, with the document that it came in.
    pub struct Act {
        pub document_id: String,
        pub gateway_id: String,
        pub location_id: String,
        pub lane_id: String,
        pub received_at_us: i64,
        /// Every document of the gateway with a lower number is here.
        pub is_next: bool,
        pub body: String,
    }
}

/// Whether a lane was ever opened or ended at this gateway's page: what the cloud knows of who was in
/// it may then not be all.
pub async fn has_any(
    tx: &mut Tx,
    tenant: &str,
    (gateway, lane): (&str, &str),
) -> Result<bool, StoreError> {
    let sql = "SELECT document_id FROM lane_act WHERE tenant_id = $1 AND gateway_id = $2
        AND lane_id = $3 AND lane_session_id IS NOT NULL LIMIT 1";
    let found: Option<(String,)> = tx.fetch_optional(sql, args![tenant, gateway, lane]).await?;
    Ok(found.is_some())
}

pub async fn insert(tx: &mut Tx, tenant: &str, act: &NewAct<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO lane_act (tenant_id, document_id, gateway_id, epoch, seq, location_id,
            lane_id, lane_session_id, received_at_us)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let args = args![
        tenant,
        act.document_id,
        act.gateway_id,
        &act.epoch,
        act.seq,
        &act.location_id,
        act.lane_id,
        act.lane_session_id.clone(),
        act.received_at_us,
    ];
    tx.execute(sql, args).await?;
    Ok(())
}

/// Practices with acts that wait, or with readings in a tray that may have come while the opening of
/// their session was carried out. Needs a transaction over all tenants.
pub async fn tenants_with_waiting(tx: &mut Tx) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT DISTINCT tenant_id FROM lane_act WHERE state = 'waiting'
        UNION SELECT r.tenant_id FROM reading r JOIN lane_session s
            ON s.tenant_id = r.tenant_id AND s.lane_session_id = r.lane_session_id
        WHERE r.place = 'tray' AND r.acceptance <> 'rejected' AND s.gateway_id IS NOT NULL";
    let rows: Vec<(String,)> = tx.fetch_all(sql, args![]).await?;
    Ok(rows.into_iter().map(|(tenant,)| tenant).collect())
}

/// Acts that wait, each gateway's in its order.
pub async fn waiting(tx: &mut Tx, tenant: &str) -> Result<Vec<Act>, StoreError> {
    let sql = "SELECT a.document_id, a.gateway_id, a.location_id, a.lane_id, a.received_at_us,
            COALESCE(s.upto, 0) >= a.seq AS is_next, d.body
        FROM lane_act a
        JOIN document d ON d.tenant_id = a.tenant_id AND d.gateway_id = a.gateway_id
            AND d.epoch = a.epoch AND d.seq = a.seq
        LEFT JOIN stream s ON s.tenant_id = a.tenant_id AND s.gateway_id = a.gateway_id
            AND s.epoch = a.epoch
        WHERE a.tenant_id = $1 AND a.state = 'waiting'
        ORDER BY a.gateway_id, a.epoch, a.seq LIMIT $2";
    tx.fetch_all(sql, args![tenant, ACTS_MAX]).await
}

/// Settles an act; `false` when another replica has done so.
pub async fn settle(
    tx: &mut Tx,
    tenant: &str,
    document: &str,
    (state, outcome): (&str, &str),
    now_us: i64,
) -> Result<bool, StoreError> {
    let sql = "UPDATE lane_act SET state = $3, outcome = $4, settled_at_us = $5
        WHERE tenant_id = $1 AND document_id = $2 AND state = 'waiting'";
    Ok(tx.execute(sql, args![tenant, document, state, outcome, now_us]).await? == 1)
}

/// Why the opening of a session was refused, if it was.
pub async fn refusal(
    tx: &mut Tx,
    tenant: &str,
    lane_session: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT outcome FROM lane_act
        WHERE tenant_id = $1 AND lane_session_id = $2 AND state = 'refused'
            AND NOT EXISTS (SELECT 1 FROM lane_session s
                WHERE s.tenant_id = $1 AND s.lane_session_id = $2)
        ORDER BY seq LIMIT 1";
    let row: Option<(String,)> = tx.fetch_optional(sql, args![tenant, lane_session]).await?;
    Ok(row.map(|(outcome,)| outcome))
}

/// Lane and document of the last act about each lane's session that is settled.
pub async fn heard(
    tx: &mut Tx,
    tenant: &str,
    gateway: &str,
) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT a.lane_id, a.document_id FROM lane_act a
        WHERE a.tenant_id = $1 AND a.gateway_id = $2 AND a.lane_session_id IS NOT NULL
            AND a.state <> 'waiting' AND NOT EXISTS (SELECT 1 FROM lane_act b
                WHERE b.tenant_id = $1 AND b.gateway_id = $2 AND b.lane_id = a.lane_id
                    AND b.lane_session_id IS NOT NULL AND b.state <> 'waiting'
                    AND (b.epoch > a.epoch OR (b.epoch = a.epoch AND b.seq > a.seq)))";
    tx.fetch_all(sql, args![tenant, gateway]).await
}

crate::row! {
    /// A session of a gateway's page with readings in a tray.
    pub struct Overtaken {
        pub lane_session_id: String,
        pub gateway_id: String,
        pub location_id: String,
        pub lane_id: String,
        pub opened_by: String,
    }
}

/// Sessions of gateways' pages whose readings came while their opening was carried out.
pub async fn overtaken(tx: &mut Tx, tenant: &str) -> Result<Vec<Overtaken>, StoreError> {
    let sql =
        "SELECT DISTINCT s.lane_session_id, s.gateway_id, r.location_id, s.lane_id, s.opened_by
        FROM reading r JOIN lane_session s
            ON s.tenant_id = r.tenant_id AND s.lane_session_id = r.lane_session_id
                AND s.lane_id = r.lane_id
        WHERE r.tenant_id = $1 AND r.place = 'tray' AND r.acceptance <> 'rejected'
            AND s.gateway_id IS NOT NULL LIMIT $2";
    tx.fetch_all(sql, args![tenant, ACTS_MAX]).await
}

/// Readings that wait with this session stamped on them, and that no person has touched.
pub async fn waiting_readings(
    tx: &mut Tx,
    tenant: &str,
    lane_session: &str,
) -> Result<Vec<ReadingRow>, StoreError> {
    let sql = reading_rows!(
        "WHERE r.tenant_id = $1 AND r.lane_session_id = $2
            AND r.place IN ('tray', 'inbox', 'held') AND r.acceptance = 'pending'
            AND COALESCE(r.changed_by, 'system') = 'system'
        ORDER BY r.captured_at_us, r.seq LIMIT $3"
    );
    tx.fetch_all(sql, args![tenant, lane_session, READINGS_MAX]).await
}
