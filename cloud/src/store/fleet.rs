//! Practices, locations, lanes and gateways.

use super::{StoreError, Tx};
use crate::args;

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

/// Adds a gateway, or changes its name and takes back a revocation (it has to enrol again).
pub async fn put_gateway(
    tx: &mut Tx,
    tenant: &str,
    gateway: &str,
    location: &str,
    name: &str,
    at_us: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO gateway (tenant_id, gateway_id, location_id, name, created_at_us)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, gateway_id)
         DO UPDATE SET name = excluded.name, revoked_at_us = NULL",
        args![tenant, gateway, location, name, at_us],
    )
    .await?;
    Ok(())
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
            "UPDATE gateway SET revoked_at_us = $3, certificate_serial = NULL
             WHERE tenant_id = $1 AND gateway_id = $2 AND revoked_at_us IS NULL",
            args![tenant, gateway, at_us],
        )
        .await?;
    Ok(touched > 0)
}
