//! Merges of two charts of one person. Nothing is moved; the merged chart points to the survivor.

use super::{StoreError, Tx};
use crate::args;

crate::row! {
    pub struct Merge {
        pub patient_merge_id: String,
        pub survivor_id: String,
        pub merged_id: String,
        pub merged_at_us: i64,
        pub merged_by: String,
        pub merged_why: String,
    }
}

/// Notes the merge and points the chart to its survivor; `false` when either of them was merged
/// meanwhile.
pub async fn insert(tx: &mut Tx, tenant: &str, it: &Merge) -> Result<bool, StoreError> {
    // The survivor is looked at in the same statement: two people who merge two charts into each
    // other at once must not make a circle.
    let lock = "UPDATE patient SET merged_into = merged_into WHERE tenant_id = $1
        AND patient_id IN ($2, $3) AND merged_into IS NULL";
    if tx.execute(lock, args![tenant, &it.survivor_id, &it.merged_id]).await? != 2 {
        return Ok(false);
    }
    let point = "UPDATE patient SET merged_into = $3
        WHERE tenant_id = $1 AND patient_id = $2 AND merged_into IS NULL
            AND NOT EXISTS (SELECT 1 FROM patient p
                WHERE p.tenant_id = $1 AND p.merged_into = $2)";
    if tx.execute(point, args![tenant, &it.merged_id, &it.survivor_id]).await? != 1 {
        return Ok(false);
    }
    let sql = "INSERT INTO patient_merge (tenant_id, patient_merge_id, survivor_id, merged_id,
            merged_at_us, merged_by, merged_why) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let Merge { patient_merge_id, survivor_id, merged_id, merged_at_us, merged_by, merged_why } =
        it;
    let args = args![
        tenant,
        patient_merge_id,
        survivor_id,
        merged_id,
        *merged_at_us,
        merged_by,
        merged_why
    ];
    tx.execute(sql, args).await?;
    Ok(true)
}

pub async fn by_id(tx: &mut Tx, tenant: &str, merge: &str) -> Result<Option<Merge>, StoreError> {
    let sql = "SELECT patient_merge_id, survivor_id, merged_id, merged_at_us, merged_by, merged_why
        FROM patient_merge WHERE tenant_id = $1 AND patient_merge_id = $2";
    tx.fetch_optional(sql, args![tenant, merge]).await
}

/// Merges into a chart that stand, oldest first.
pub async fn into(tx: &mut Tx, tenant: &str, survivor: &str) -> Result<Vec<Merge>, StoreError> {
    let sql = "SELECT patient_merge_id, survivor_id, merged_id, merged_at_us, merged_by, merged_why
        FROM patient_merge
        WHERE tenant_id = $1 AND survivor_id = $2 AND undone_at_us IS NULL
        ORDER BY merged_at_us, patient_merge_id";
    tx.fetch_all(sql, args![tenant, survivor]).await
}

/// Takes a merge back; `false` when it was taken back before.
pub async fn undo(
    tx: &mut Tx,
    tenant: &str,
    merge: &Merge,
    (by, why, now_us): (&str, &str, i64),
) -> Result<bool, StoreError> {
    let sql = "UPDATE patient_merge SET undone_at_us = $3, undone_by = $4, undone_why = $5
        WHERE tenant_id = $1 AND patient_merge_id = $2 AND undone_at_us IS NULL";
    let args = args![tenant, &merge.patient_merge_id, now_us, by, why];
    if tx.execute(sql, args).await? != 1 {
        return Ok(false);
    }
    let free = "UPDATE patient SET merged_into = NULL
        WHERE tenant_id = $1 AND patient_id = $2 AND merged_into = $3";
    tx.execute(free, args![tenant, &merge.merged_id, &merge.survivor_id]).await?;
    Ok(true)
}
