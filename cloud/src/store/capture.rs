//! Bytes that gave no reading, as gateways sent them.

use super::{StoreError, Tx};
use crate::args;

crate::row! {
    pub struct CaptureRow {
        pub gateway_id: String,
        pub captured_at_us: i64,
        pub time_zone: String,
        /// JSON of `chiasm_proto::Envelope`.
        pub body: String,
    }
}

/// The latest captures, the newest first.
pub async fn latest(tx: &mut Tx, tenant: &str, count: i64) -> Result<Vec<CaptureRow>, StoreError> {
    let sql = "SELECT d.gateway_id, d.captured_at_us, COALESCE(l.time_zone, 'UTC') AS time_zone,
            d.body
        FROM document d
        LEFT JOIN gateway g ON g.tenant_id = d.tenant_id AND g.gateway_id = d.gateway_id
        LEFT JOIN location l ON l.tenant_id = g.tenant_id AND l.location_id = g.location_id
        WHERE d.tenant_id = $1 AND d.kind = 'capture'
        ORDER BY d.captured_at_us DESC LIMIT $2";
    tx.fetch_all(sql, args![tenant, count]).await
}
