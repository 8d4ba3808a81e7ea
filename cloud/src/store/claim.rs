//! Claim codes: kept as hashes, spent once.

use super::{StoreError, Tx};
use crate::args;

/// A claim code as it stands in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub tenant: String,
    pub gateway: String,
    pub expires_at_us: i64,
    pub used_at_us: Option<i64>,
}

/// Adds a code for a gateway. Older unused ones of the same gateway stop to work.
pub async fn add(
    tx: &mut Tx,
    tenant: &str,
    gateway: &str,
    code_sha256: &str,
    (now_us, expires_at_us): (i64, i64),
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM claim WHERE tenant_id = $1 AND gateway_id = $2 AND used_at_us IS NULL",
        args![tenant, gateway],
    )
    .await?;
    tx.execute(
        "INSERT INTO claim (tenant_id, gateway_id, code_sha256, created_at_us, expires_at_us)
         VALUES ($1, $2, $3, $4, $5)",
        args![tenant, gateway, code_sha256, now_us, expires_at_us],
    )
    .await?;
    Ok(())
}

/// Looks a code up over all tenants: the code is all that the gateway has.
pub async fn find(tx: &mut Tx, code_sha256: &str) -> Result<Option<Claim>, StoreError> {
    let row: Option<(String, String, i64, Option<i64>)> = tx
        .fetch_optional(
            "SELECT tenant_id, gateway_id, expires_at_us, used_at_us FROM claim
             WHERE code_sha256 = $1",
            args![code_sha256],
        )
        .await?;
    Ok(row.map(|(tenant, gateway, expires_at_us, used_at_us)| Claim {
        tenant,
        gateway,
        expires_at_us,
        used_at_us,
    }))
}

/// Spends the code; false if somebody else was faster.
pub async fn spend(
    tx: &mut Tx,
    tenant: &str,
    code_sha256: &str,
    at_us: i64,
) -> Result<bool, StoreError> {
    let touched = tx
        .execute(
            "UPDATE claim SET used_at_us = $3
             WHERE tenant_id = $1 AND code_sha256 = $2 AND used_at_us IS NULL",
            args![tenant, code_sha256, at_us],
        )
        .await?;
    Ok(touched == 1)
}
