//! Signed exams and what was added to them.

use super::{StoreError, Tx};
use crate::args;
use uuid::Uuid;

/// Most addenda that one exam shows.
pub const ADDENDA_MAX: i64 = 500;

crate::row! {
    pub struct Signature {
        pub encounter_id: String,
        pub signed_at_us: i64,
        pub signed_by: String,
        pub signature_text: String,
        /// JSON of `domain::signature::Snapshot`.
        pub snapshot: String,
        pub snapshot_sha256: String,
    }
}

crate::row! {
    pub struct Addendum {
        pub addendum_id: String,
        pub added_at_us: i64,
        pub added_by: String,
        pub is_automatic: bool,
        pub addendum_text: String,
    }
}

/// Makes whoever signs an exam and whoever changes it wait for each other until the commit.
pub async fn lock(tx: &mut Tx, tenant: &str, encounter: &str) -> Result<(), StoreError> {
    let sql = "UPDATE encounter SET reason = reason WHERE tenant_id = $1 AND encounter_id = $2";
    tx.execute(sql, args![tenant, encounter]).await?;
    Ok(())
}

pub async fn of(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Option<Signature>, StoreError> {
    let sql = "SELECT encounter_id, signed_at_us, signed_by, signature_text, snapshot,
            snapshot_sha256
        FROM exam_signature WHERE tenant_id = $1 AND encounter_id = $2";
    tx.fetch_optional(sql, args![tenant, encounter]).await
}

/// Who has signed, if anybody.
pub async fn signer(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT signed_by FROM exam_signature WHERE tenant_id = $1 AND encounter_id = $2";
    let row: Option<(String,)> = tx.fetch_optional(sql, args![tenant, encounter]).await?;
    Ok(row.map(|(signer,)| signer))
}

/// `false` when the exam is signed already.
pub async fn insert(tx: &mut Tx, tenant: &str, new: &Signature) -> Result<bool, StoreError> {
    let sql = "INSERT INTO exam_signature (tenant_id, encounter_id, signed_at_us, signed_by,
            signature_text, snapshot, snapshot_sha256) VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (tenant_id, encounter_id) DO NOTHING";
    let Signature { encounter_id, signed_at_us, signed_by, .. } = new;
    let args = args![
        tenant,
        encounter_id,
        *signed_at_us,
        signed_by,
        &new.signature_text,
        &new.snapshot,
        &new.snapshot_sha256,
    ];
    Ok(tx.execute(sql, args).await? == 1)
}

pub async fn add(
    tx: &mut Tx,
    (tenant, encounter): (&str, &str),
    (account, is_automatic): (&str, bool),
    text: &str,
    now_us: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO addendum (tenant_id, addendum_id, encounter_id, added_at_us, added_by,
            is_automatic, addendum_text) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let id = Uuid::now_v7().to_string();
    let args = args![tenant, id, encounter, now_us, account, is_automatic, text];
    tx.execute(sql, args).await?;
    Ok(())
}

/// What was added to an exam, oldest first.
pub async fn addenda(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Vec<Addendum>, StoreError> {
    let sql = "SELECT addendum_id, added_at_us, added_by, is_automatic, addendum_text
        FROM addendum WHERE tenant_id = $1 AND encounter_id = $2
        ORDER BY added_at_us, addendum_id LIMIT $3";
    tx.fetch_all(sql, args![tenant, encounter, ADDENDA_MAX]).await
}
