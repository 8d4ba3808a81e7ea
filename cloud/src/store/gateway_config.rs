//! Versions of what gateways read.

use super::{StoreError, Tx};
use crate::args;

/// Versions that are looked at together.
pub const VERSIONS_MAX: i64 = 50;

crate::row! {
    pub struct VersionRow {
        pub version: i64,
        /// JSON of `chiasm_proto::config::Document`.
        pub document: String,
        pub sha256: String,
        pub made_at_us: i64,
        /// The account, or `gateway`.
        pub made_by: String,
        pub why: String,
        /// `waiting`, `sent`, `applied`, `confirmed`, `refused`, `reverted`.
        pub state: String,
        pub state_detail: String,
        pub state_at_us: i64,
        pub is_in_use: bool,
    }
}

/// One text for both queries: only whole statements are taken.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT version, document, sha256, made_at_us, made_by, why, state, state_detail,
                 state_at_us, is_in_use
             FROM gateway_config WHERE tenant_id = $1 AND gateway_id = $2 ",
            $rest
        )
    };
}

/// The newest versions of a gateway, newest first.
pub async fn versions(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
) -> Result<Vec<VersionRow>, StoreError> {
    let sql = select!("ORDER BY version DESC LIMIT $3");
    tx.fetch_all(sql, args![tenant, gateway, VERSIONS_MAX]).await
}

pub async fn version(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    version: i64,
) -> Result<Option<VersionRow>, StoreError> {
    let sql = select!("AND version = $3");
    tx.fetch_optional(sql, args![tenant, gateway, version]).await
}

/// Adds a version; false if there is one with this number.
pub async fn insert(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    row: &VersionRow,
) -> Result<bool, StoreError> {
    let added = tx
        .execute(
            "INSERT INTO gateway_config (tenant_id, gateway_id, version, document, sha256,
                 made_at_us, made_by, why, state, state_detail, state_at_us, is_in_use)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             ON CONFLICT (tenant_id, gateway_id, version) DO NOTHING",
            args![
                tenant,
                gateway,
                row.version,
                &row.document,
                &row.sha256,
                row.made_at_us,
                &row.made_by,
                &row.why,
                &row.state,
                &row.state_detail,
                row.state_at_us,
                row.is_in_use
            ],
        )
        .await?;
    Ok(added == 1)
}

/// The gateway's own file has another content than before.
pub async fn replace_own(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    (document, sha256): (&str, &str),
    at_us: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE gateway_config SET document = $3, sha256 = $4, made_at_us = $5, state_at_us = $5
         WHERE tenant_id = $1 AND gateway_id = $2 AND version = 0 AND sha256 <> $4",
        args![tenant, gateway, document, sha256, at_us],
    )
    .await?;
    Ok(())
}

/// What became of a version with this content; false if that was known.
pub async fn set_state(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    (version, sha256): (i64, &str),
    (state, detail): (&str, &str),
    at_us: i64,
) -> Result<bool, StoreError> {
    let changed = tx
        .execute(
            "UPDATE gateway_config SET state = $5, state_detail = $6, state_at_us = $7
             WHERE tenant_id = $1 AND gateway_id = $2 AND version = $3 AND sha256 = $4
                 AND (state <> $5 OR state_detail <> $6)",
            args![tenant, gateway, version, sha256, state, detail, at_us],
        )
        .await?;
    Ok(changed == 1)
}

/// The one that the gateway uses; false if that was known.
pub async fn set_in_use(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    version: i64,
) -> Result<bool, StoreError> {
    let changed = tx
        .execute(
            "UPDATE gateway_config SET is_in_use = (version = $3)
             WHERE tenant_id = $1 AND gateway_id = $2 AND is_in_use <> (version = $3)",
            args![tenant, gateway, version],
        )
        .await?;
    Ok(changed > 0)
}

/// Tenant and gateway of every version that has not left yet, of gateways that are connected.
pub async fn waiting(tx: &mut Tx) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT DISTINCT c.tenant_id, c.gateway_id FROM gateway_config c
        JOIN gateway g ON g.tenant_id = c.tenant_id AND g.gateway_id = c.gateway_id
        WHERE c.state = 'waiting' AND g.status = 'online' AND g.revoked_at_us IS NULL";
    tx.fetch_all(sql, args![]).await
}
