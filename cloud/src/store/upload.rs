//! Uploads of instances that have begun and are not filed yet.

use super::{StoreError, Tx};
use crate::args;

/// Most uploads of one exam that its page shows.
const SHOWN_MAX: i64 = 50;

crate::row! {
    pub struct UploadRow {
        pub sha256: String,
        pub gateway_id: String,
        /// JSON of `chiasm_proto::instance::InstanceOffer`.
        pub offer: String,
        pub len_bytes: i64,
        pub received_bytes: i64,
        pub sop_instance_uid: String,
        /// The visit of the lane session that was open when it arrived at the gateway.
        pub encounter_id: Option<String>,
        pub offered_at_us: i64,
    }
}

pub async fn get(tx: &mut Tx, tenant: &str, sha256: &str) -> Result<Option<UploadRow>, StoreError> {
    let sql = "SELECT sha256, gateway_id, offer, len_bytes, received_bytes, sop_instance_uid,
            encounter_id, offered_at_us
        FROM instance_upload WHERE tenant_id = $1 AND sha256 = $2";
    tx.fetch_optional(sql, args![tenant, sha256]).await
}

/// How many uploads of a gateway are not finished.
pub async fn count(tx: &mut Tx, tenant: &str, gateway: &str) -> Result<i64, StoreError> {
    let sql = "SELECT COUNT(*) FROM instance_upload WHERE tenant_id = $1 AND gateway_id = $2";
    Ok(tx.fetch_one::<(i64,)>(sql, args![tenant, gateway]).await?.0)
}

/// Notes an upload, or the newer offer of one that is known.
pub async fn put(tx: &mut Tx, tenant: &str, row: &UploadRow) -> Result<(), StoreError> {
    let sql = "INSERT INTO instance_upload (tenant_id, sha256, gateway_id, offer, len_bytes,
            received_bytes, sop_instance_uid, encounter_id, offered_at_us, moved_at_us)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
        ON CONFLICT (tenant_id, sha256) DO UPDATE SET gateway_id = excluded.gateway_id,
            offer = excluded.offer, len_bytes = excluded.len_bytes,
            received_bytes = excluded.received_bytes, moved_at_us = excluded.moved_at_us";
    let UploadRow { sha256, gateway_id, offer, sop_instance_uid, .. } = row;
    let args = args![
        tenant,
        sha256,
        gateway_id,
        offer,
        row.len_bytes,
        row.received_bytes,
        sop_instance_uid,
        row.encounter_id.clone(),
        row.offered_at_us,
    ];
    tx.execute(sql, args).await?;
    Ok(())
}

/// Notes how far an upload has come.
pub async fn moved(
    tx: &mut Tx,
    tenant: &str,
    sha256: &str,
    (received_bytes, now_us): (i64, i64),
) -> Result<(), StoreError> {
    let sql = "UPDATE instance_upload SET received_bytes = $3, moved_at_us = $4
        WHERE tenant_id = $1 AND sha256 = $2";
    tx.execute(sql, args![tenant, sha256, received_bytes, now_us]).await?;
    Ok(())
}

pub async fn remove(tx: &mut Tx, tenant: &str, sha256: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM instance_upload WHERE tenant_id = $1 AND sha256 = $2";
    tx.execute(sql, args![tenant, sha256]).await?;
    Ok(())
}

/// What has not moved since a moment: tenant and hash. Its gateway offers it again if it still has
/// it.
pub async fn abandoned(
    tx: &mut Tx,
    before_us: i64,
    limit: i64,
) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT tenant_id, sha256 FROM instance_upload WHERE moved_at_us < $1 LIMIT $2";
    tx.fetch_all(sql, args![before_us, limit]).await
}

/// What is arriving for a visit: by the lane session at the imager, or because the imager has said
/// that it belongs to it.
pub async fn of_encounter(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Vec<UploadRow>, StoreError> {
    let sql = "SELECT sha256, gateway_id, offer, len_bytes, received_bytes, sop_instance_uid,
            encounter_id, offered_at_us
        FROM instance_upload WHERE tenant_id = $1 AND encounter_id = $2
        ORDER BY offered_at_us, sha256 LIMIT $3";
    tx.fetch_all(sql, args![tenant, encounter, SHOWN_MAX]).await
}
