//! Gateways, their instruments and their refusals, for the fleet page.

use super::{StoreError, Tx};
use crate::args;

crate::row! {
    pub struct GatewayRow {
        pub gateway_id: String,
        pub location_id: String,
        pub location_name: String,
        pub time_zone: String,
        pub name: String,
        pub enrolled_at_us: Option<i64>,
        pub revoked_at_us: Option<i64>,
        pub certificate_expires_at_us: Option<i64>,
        pub status: String,
        pub status_detail: Option<String>,
        pub status_at_us: Option<i64>,
        /// JSON of `chiasm_proto::fleet::Telemetry`.
        pub telemetry: Option<String>,
        pub telemetry_at_us: Option<i64>,
    }
}

crate::row! {
    pub struct RefusalRow {
        pub gateway_id: String,
        pub action: String,
        pub times: i64,
        pub last_at_us: i64,
    }
}

pub async fn gateways(tx: &mut Tx, tenant: &str) -> Result<Vec<GatewayRow>, StoreError> {
    let sql = "SELECT g.gateway_id, g.location_id, COALESCE(l.name, g.location_id)
            AS location_name, COALESCE(l.time_zone, 'UTC') AS time_zone, g.name,
            g.enrolled_at_us, g.revoked_at_us, g.certificate_expires_at_us, g.status,
            g.status_detail, g.status_at_us, g.telemetry, g.telemetry_at_us
        FROM gateway g LEFT JOIN location l
            ON l.tenant_id = g.tenant_id AND l.location_id = g.location_id
        WHERE g.tenant_id = $1 ORDER BY g.gateway_id";
    tx.fetch_all(sql, args![tenant]).await
}

/// Instruments that a gateway has sent readings of: gateway, link, vendor, model.
pub async fn instruments(
    tx: &mut Tx,
    tenant: &str,
) -> Result<Vec<(String, String, String, String)>, StoreError> {
    let sql = "SELECT gateway_id, link_id, vendor, model FROM instrument WHERE tenant_id = $1";
    tx.fetch_all(sql, args![tenant]).await
}

pub async fn refusals(tx: &mut Tx, tenant: &str) -> Result<Vec<RefusalRow>, StoreError> {
    let sql = "SELECT gateway_id, action, CAST(SUM(times) AS BIGINT) AS times,
            MAX(last_at_us) AS last_at_us
        FROM refusal WHERE tenant_id = $1 GROUP BY gateway_id, action ORDER BY gateway_id";
    tx.fetch_all(sql, args![tenant]).await
}

/// What a gateway last told of itself.
pub async fn telemetry(
    tx: &mut Tx,
    tenant: &str,
    gateway: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT telemetry FROM gateway WHERE tenant_id = $1 AND gateway_id = $2";
    let row: Option<(Option<String>,)> = tx.fetch_optional(sql, args![tenant, gateway]).await?;
    Ok(row.and_then(|(telemetry,)| telemetry))
}
