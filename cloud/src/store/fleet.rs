//! Practices, locations, lanes and gateways.

use super::{StoreError, Tx, batch};
use crate::args;
use std::collections::HashMap;

/// Adds a practice, or gives an existing one this name.
pub async fn put_tenant(
    tx: &mut Tx,
    tenant: &str,
    name: &str,
    at_us: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO tenant (tenant_id, name, created_at_us) VALUES ($1, $2, $3)
         ON CONFLICT (tenant_id) DO UPDATE SET name = excluded.name",
        args![tenant, name, at_us],
    )
    .await?;
    Ok(())
}

pub async fn tenant_exists(tx: &mut Tx, tenant: &str) -> Result<bool, StoreError> {
    let sql = "SELECT tenant_id FROM tenant WHERE tenant_id = $1";
    let row: Option<(String,)> = tx.fetch_optional(sql, args![tenant]).await?;
    Ok(row.is_some())
}

/// Adds a location, or changes its name and zone.
pub async fn put_location(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
    name: &str,
    time_zone: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO location (tenant_id, location_id, name, time_zone) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id, location_id)
         DO UPDATE SET name = excluded.name, time_zone = excluded.time_zone",
        args![tenant, location, name, time_zone],
    )
    .await?;
    Ok(())
}

pub async fn location_exists(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
) -> Result<bool, StoreError> {
    let sql = "SELECT location_id FROM location WHERE tenant_id = $1 AND location_id = $2";
    let row: Option<(String,)> = tx.fetch_optional(sql, args![tenant, location]).await?;
    Ok(row.is_some())
}

/// Adds a lane, or changes its name. A lane stays in its location: readings hang on it.
pub async fn put_lane(
    tx: &mut Tx,
    tenant: &str,
    lane: &str,
    location: &str,
    name: &str,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO lane (tenant_id, lane_id, location_id, name) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id, lane_id) DO UPDATE SET name = excluded.name",
        args![tenant, lane, location, name],
    )
    .await?;
    Ok(())
}

/// Adds a gateway, or changes its name and takes back a revocation (it has to enrol again). Gives
/// its location, which never changes.
pub async fn put_gateway(
    tx: &mut Tx,
    tenant: &str,
    gateway: &str,
    location: &str,
    name: &str,
    at_us: i64,
) -> Result<String, StoreError> {
    let sql = "INSERT INTO gateway (tenant_id, gateway_id, location_id, name, created_at_us)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, gateway_id)
         DO UPDATE SET name = excluded.name, revoked_at_us = NULL
         RETURNING location_id";
    let (location,): (String,) =
        tx.fetch_one(sql, args![tenant, gateway, location, name, at_us]).await?;
    Ok(location)
}

/// Revokes a gateway; gives whether there was one to revoke.
pub async fn revoke_gateway(
    tx: &mut Tx,
    tenant: &str,
    gateway: &str,
    at_us: i64,
) -> Result<bool, StoreError> {
    let touched = tx
        .execute(
            "UPDATE gateway SET revoked_at_us = $3, certificate_serial = NULL,
                 next_certificate_serial = NULL
             WHERE tenant_id = $1 AND gateway_id = $2 AND revoked_at_us IS NULL",
            args![tenant, gateway, at_us],
        )
        .await?;
    Ok(touched > 0)
}

/// A gateway as the fleet sees it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Gateway {
    pub gateway_id: String,
    pub location_id: String,
    pub name: String,
    pub enrolled_at_us: Option<i64>,
    pub revoked: bool,
    pub certificate_expires_at_us: Option<i64>,
    /// `never_seen`, `online`, `stopped`, `lost`.
    pub status: String,
    pub status_detail: Option<String>,
    pub status_at_us: Option<i64>,
    /// The last [`chiasm_proto::fleet::Telemetry`] as JSON.
    pub telemetry: Option<String>,
    pub telemetry_at_us: Option<i64>,
}

type GatewayRow = (
    String,
    String,
    String,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    String,
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<i64>,
);

/// All gateways of a practice, by name of their location and their own.
pub async fn gateways(tx: &mut Tx, tenant: &str) -> Result<Vec<Gateway>, StoreError> {
    let rows: Vec<GatewayRow> = tx
        .fetch_all(
            "SELECT gateway_id, location_id, name, enrolled_at_us, revoked_at_us,
                 certificate_expires_at_us, status, status_detail, status_at_us, telemetry,
                 telemetry_at_us
             FROM gateway WHERE tenant_id = $1 ORDER BY location_id, gateway_id",
            args![tenant],
        )
        .await?;
    Ok(rows.into_iter().map(Gateway::from).collect())
}

impl From<GatewayRow> for Gateway {
    fn from(row: GatewayRow) -> Self {
        Self {
            gateway_id: row.0,
            location_id: row.1,
            name: row.2,
            enrolled_at_us: row.3,
            revoked: row.4.is_some(),
            certificate_expires_at_us: row.5,
            status: row.6,
            status_detail: row.7,
            status_at_us: row.8,
            telemetry: row.9,
            telemetry_at_us: row.10,
        }
    }
}

/// Where each of these gateways stands; those that are not known or revoked are left out.
pub async fn gateway_locations(
    tx: &mut Tx,
    tenant: &str,
    gateways: &[&str],
) -> Result<HashMap<String, String>, StoreError> {
    Ok(batch::gateway_locations(tx, tenant, gateways).await?.into_iter().collect())
}

/// A gateway's state as it told it. One that a broker sends late, of a connection before the newest
/// birth, changes nothing. Gives whether anything changed.
pub async fn put_state(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    status: &str,
    session: &str,
    detail: Option<&str>,
    at_us: i64,
) -> Result<bool, StoreError> {
    let touched = tx
        .execute(
            "UPDATE gateway SET status = $3, status_session = $4, status_detail = $5,
                 status_at_us = $6
             WHERE tenant_id = $1 AND gateway_id = $2
                 AND ($3 = 'online' OR status_session IS NULL OR status_session = $4)
                 AND (status <> $3 OR status_session IS NULL OR status_session <> $4)",
            args![tenant, gateway, status, session, detail, at_us],
        )
        .await?;
    Ok(touched == 1)
}

pub async fn put_telemetry(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    telemetry: &str,
    at_us: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE gateway SET telemetry = $3, telemetry_at_us = $4
         WHERE tenant_id = $1 AND gateway_id = $2
             AND (telemetry_at_us IS NULL OR telemetry_at_us <= $4)",
        args![tenant, gateway, telemetry, at_us],
    )
    .await?;
    Ok(())
}
