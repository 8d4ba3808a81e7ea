//! What the audit says of an exam, a reading or a lane beyond its identifier.

use super::{StoreError, Tx, exam::READINGS_MAX};
use crate::args;

pub async fn patient_of(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT patient_id FROM encounter WHERE tenant_id = $1 AND encounter_id = $2";
    let row: Option<(String,)> = tx.fetch_optional(sql, args![tenant, encounter]).await?;
    Ok(row.map(|(patient,)| patient))
}

/// The documents of an exam's readings.
pub async fn documents(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT d.body FROM reading r JOIN document d ON d.tenant_id = r.tenant_id
            AND d.gateway_id = r.gateway_id AND d.epoch = r.epoch AND d.seq = r.seq
        WHERE r.tenant_id = $1 AND r.encounter_id = $2 AND r.place = 'exam' LIMIT $3";
    let rows: Vec<(String,)> = tx.fetch_all(sql, args![tenant, encounter, READINGS_MAX]).await?;
    Ok(rows.into_iter().map(|(body,)| body).collect())
}

/// Kinds of what was typed into an exam, as `exam_entry` names them.
pub async fn entry_kinds(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT kind FROM exam_entry WHERE tenant_id = $1 AND encounter_id = $2";
    let rows: Vec<(String,)> = tx.fetch_all(sql, args![tenant, encounter]).await?;
    Ok(rows.into_iter().map(|(kind,)| kind).collect())
}

/// The exam that a reading is in, if any, and its document.
pub async fn reading(
    tx: &mut Tx,
    tenant: &str,
    reading: &str,
) -> Result<Option<(Option<String>, String)>, StoreError> {
    let sql = "SELECT r.encounter_id, d.body FROM reading r JOIN document d
            ON d.tenant_id = r.tenant_id AND d.gateway_id = r.gateway_id AND d.epoch = r.epoch
            AND d.seq = r.seq
        WHERE r.tenant_id = $1 AND r.reading_id = $2";
    tx.fetch_optional(sql, args![tenant, reading]).await
}
