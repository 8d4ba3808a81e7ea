//! Lanes of instruments that several other lanes share (T9).

use super::{StoreError, Tx};
use crate::args;

/// The lanes that share this one; none for an ordinary lane.
pub async fn sharers(tx: &mut Tx, tenant: &str, shared: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT lane_id FROM shared_lane WHERE tenant_id = $1 AND shared_lane_id = $2
        ORDER BY lane_id";
    ids(tx.fetch_all(sql, args![tenant, shared]).await)
}

/// The shared lanes whose prints are asked about in this lane.
pub async fn shared_by(tx: &mut Tx, tenant: &str, lane: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT shared_lane_id FROM shared_lane WHERE tenant_id = $1 AND lane_id = $2
        ORDER BY shared_lane_id";
    ids(tx.fetch_all(sql, args![tenant, lane]).await)
}

fn ids(rows: Result<Vec<(String,)>, StoreError>) -> Result<Vec<String>, StoreError> {
    Ok(rows?.into_iter().map(|(id,)| id).collect())
}

/// Says which lanes share one, instead of those that did.
pub async fn put(
    tx: &mut Tx,
    tenant: &str,
    shared: &str,
    lanes: &[String],
) -> Result<(), StoreError> {
    let sql = "DELETE FROM shared_lane WHERE tenant_id = $1 AND shared_lane_id = $2";
    tx.execute(sql, args![tenant, shared]).await?;
    let sql = "INSERT INTO shared_lane (tenant_id, shared_lane_id, lane_id) VALUES ($1, $2, $3)";
    for lane in lanes {
        tx.execute(sql, args![tenant, shared, lane]).await?;
    }
    Ok(())
}
