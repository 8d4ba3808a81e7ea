//! A gateway's ports, and what was listened to there last.

use super::{StoreError, Tx};
use crate::args;

crate::row! {
    pub struct ListeningRow {
        pub listening_id: String,
        pub target: String,
        pub is_search: bool,
        pub asked_at_us: i64,
        pub is_sent: bool,
        /// JSON of `chiasm_proto::listening::Heard`.
        pub heard: Option<String>,
    }
}

/// Begins anew; what was heard before is forgotten.
pub async fn begin(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    (listening_id, target, is_search): (&str, &str, bool),
    (asked_by, asked_at_us): (&str, i64),
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO gateway_listening (tenant_id, gateway_id, listening_id, target, is_search,
             asked_by, asked_at_us) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (tenant_id, gateway_id) DO UPDATE SET listening_id = excluded.listening_id,
             target = excluded.target, is_search = excluded.is_search,
             asked_by = excluded.asked_by, asked_at_us = excluded.asked_at_us, is_sent = FALSE,
             heard = NULL",
        args![tenant, gateway, listening_id, target, is_search, asked_by, asked_at_us],
    )
    .await?;
    Ok(())
}

pub async fn get(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
) -> Result<Option<ListeningRow>, StoreError> {
    let sql = "SELECT listening_id, target, is_search, asked_at_us, is_sent, heard
        FROM gateway_listening WHERE tenant_id = $1 AND gateway_id = $2";
    tx.fetch_optional(sql, args![tenant, gateway]).await
}

pub async fn sent(tx: &mut Tx, (tenant, gateway): (&str, &str)) -> Result<(), StoreError> {
    let sql =
        "UPDATE gateway_listening SET is_sent = TRUE WHERE tenant_id = $1 AND gateway_id = $2";
    tx.execute(sql, args![tenant, gateway]).await?;
    Ok(())
}

/// What a gateway heard; false if nobody asks for it any more.
pub async fn put_heard(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    listening_id: &str,
    heard: &str,
) -> Result<bool, StoreError> {
    let sql = "UPDATE gateway_listening SET heard = $4
        WHERE tenant_id = $1 AND gateway_id = $2 AND listening_id = $3";
    Ok(tx.execute(sql, args![tenant, gateway, listening_id, heard]).await? == 1)
}

pub async fn put_ports(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    ports: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE gateway SET ports = $3 WHERE tenant_id = $1 AND gateway_id = $2";
    tx.execute(sql, args![tenant, gateway, ports]).await?;
    Ok(())
}

pub async fn ports(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT ports FROM gateway WHERE tenant_id = $1 AND gateway_id = $2";
    let row: Option<(Option<String>,)> = tx.fetch_optional(sql, args![tenant, gateway]).await?;
    Ok(row.and_then(|(ports,)| ports))
}
