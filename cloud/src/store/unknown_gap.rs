//! Times of which nobody knows what a gateway measured, because its machine was replaced (I5).

use super::{StoreError, Tx};
use crate::args;

/// Lane sessions that are listed of one gap.
const SESSIONS_MAX: i64 = 200;

crate::row! {
    pub struct Gap {
        pub gateway_id: String,
        pub replaced_at_us: i64,
        /// What was captured before is here.
        pub since_us: i64,
        pub waiting: i64,
        pub epoch: String,
    }
}

crate::row! {
    pub struct GapSession {
        pub lane_id: String,
        pub opened_at_us: i64,
        pub closed_at_us: Option<i64>,
    }
}

pub async fn add(tx: &mut Tx, tenant: &str, gap: &Gap) -> Result<(), StoreError> {
    let sql = "INSERT INTO unknown_gap (tenant_id, gateway_id, replaced_at_us, since_us, waiting,
            epoch) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    let Gap { gateway_id, replaced_at_us, since_us, waiting, epoch } = gap;
    tx.execute(sql, args![tenant, gateway_id, *replaced_at_us, *since_us, *waiting, epoch]).await?;
    Ok(())
}

/// All of a practice, newest first, since a moment.
pub async fn since(tx: &mut Tx, tenant: &str, at_us: i64) -> Result<Vec<Gap>, StoreError> {
    let sql = "SELECT gateway_id, replaced_at_us, since_us, waiting, epoch FROM unknown_gap
        WHERE tenant_id = $1 AND replaced_at_us >= $2 ORDER BY replaced_at_us DESC";
    tx.fetch_all(sql, args![tenant, at_us]).await
}

/// The lane sessions of the gateway's location that were open in the gap.
pub async fn sessions(tx: &mut Tx, tenant: &str, gap: &Gap) -> Result<Vec<GapSession>, StoreError> {
    let sql = "SELECT s.lane_id, s.opened_at_us, s.closed_at_us FROM lane_session s
        JOIN lane l ON l.tenant_id = s.tenant_id AND l.lane_id = s.lane_id
        JOIN gateway g ON g.tenant_id = l.tenant_id AND g.location_id = l.location_id
        WHERE s.tenant_id = $1 AND g.gateway_id = $2 AND s.opened_at_us < $4
            AND (s.closed_at_us IS NULL OR s.closed_at_us > $3)
        ORDER BY s.opened_at_us LIMIT $5";
    let args = args![tenant, &gap.gateway_id, gap.since_us, gap.replaced_at_us, SESSIONS_MAX];
    tx.fetch_all(sql, args).await
}
