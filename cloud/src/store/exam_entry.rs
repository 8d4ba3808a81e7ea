//! What people type into an exam, with every earlier version.

use super::{StoreError, Tx, history::Position};
use crate::args;

/// Most refractions and prescriptions that one exam is compared with.
pub const FOUND_MAX: i64 = 24;

crate::row! {
    /// An entry as it is now.
    pub struct Entry {
        pub kind: String,
        pub version: i64,
        /// JSON of `domain::prescription`.
        pub body: String,
        pub changed_at_us: i64,
        pub changed_by: String,
        pub change_reason: String,
    }
}

/// The entry of a kind, if anything was typed.
pub async fn current(
    tx: &mut Tx,
    tenant: &str,
    (encounter, kind): (&str, &str),
) -> Result<Option<Entry>, StoreError> {
    let sql = "SELECT kind, version, body, changed_at_us, changed_by, change_reason
        FROM exam_entry WHERE tenant_id = $1 AND encounter_id = $2 AND kind = $3";
    tx.fetch_optional(sql, args![tenant, encounter, kind]).await
}

/// All entries of an exam, by kind.
pub async fn all(tx: &mut Tx, tenant: &str, encounter: &str) -> Result<Vec<Entry>, StoreError> {
    let sql = "SELECT kind, version, body, changed_at_us, changed_by, change_reason
        FROM exam_entry WHERE tenant_id = $1 AND encounter_id = $2 ORDER BY kind";
    tx.fetch_all(sql, args![tenant, encounter]).await
}

crate::row! {
    /// What a person found in one of a patient's exams, as it is now.
    pub struct Found {
        pub encounter_id: String,
        pub kind: String,
        pub version: i64,
        pub body: String,
        pub changed_at_us: i64,
        pub changed_by: String,
        pub change_reason: String,
        pub is_signed: bool,
    }
}

/// Refractions and prescriptions that were written for a person (see
/// [`patient::survivor`](super::patient::survivor)) up to a visit and in it, latest visit first.
pub async fn found_until(
    tx: &mut Tx,
    tenant: &str,
    patient: &str,
    until: &Position,
) -> Result<Vec<Found>, StoreError> {
    let sql = "SELECT x.encounter_id, x.kind, x.version, x.body, x.changed_at_us, x.changed_by,
            x.change_reason, EXISTS (SELECT 1 FROM exam_signature s
                WHERE s.tenant_id = x.tenant_id AND s.encounter_id = x.encounter_id) AS is_signed
        FROM encounter e CROSS JOIN exam_entry x
        WHERE x.tenant_id = e.tenant_id AND x.encounter_id = e.encounter_id
            AND e.tenant_id = $1 AND e.patient_id IN
                (SELECT c.patient_id FROM patient c
                    WHERE c.tenant_id = $1 AND c.patient_id = $2
                UNION ALL SELECT m.patient_id FROM patient m
                    WHERE m.tenant_id = $1 AND m.merged_into = $2)
            AND (e.scheduled_at_us, e.encounter_id) <= ($3, $4)
            AND x.kind IN ('subjective', 'final')
        ORDER BY e.scheduled_at_us DESC, e.encounter_id DESC, x.kind LIMIT $5";
    let Position { scheduled_at_us, encounter_id } = until;
    tx.fetch_all(sql, args![tenant, patient, *scheduled_at_us, encounter_id, FOUND_MAX]).await
}

/// Every superseded version of an exam's entries, oldest first.
pub async fn earlier(tx: &mut Tx, tenant: &str, encounter: &str) -> Result<Vec<Entry>, StoreError> {
    let sql = "SELECT kind, version, body, changed_at_us, changed_by, change_reason
        FROM exam_entry_version WHERE tenant_id = $1 AND encounter_id = $2
        ORDER BY kind, version LIMIT $3";
    tx.fetch_all(sql, args![tenant, encounter, super::exam::READINGS_MAX]).await
}

/// What is to be kept.
#[derive(Debug, Clone, Copy)]
pub struct NewEntry<'a> {
    pub kind: &'a str,
    pub body: &'a str,
    pub why: &'a str,
    /// The version that the writer saw; 0 where there was none.
    pub seen_version: i64,
}

/// Puts the next version and archives the one before. `false` when somebody else was faster.
pub async fn put(
    tx: &mut Tx,
    (tenant, encounter): (&str, &str),
    new: NewEntry<'_>,
    (account, now_us): (&str, i64),
) -> Result<bool, StoreError> {
    let NewEntry { kind, body, why, seen_version } = new;
    if seen_version == 0 {
        let sql = "INSERT INTO exam_entry (tenant_id, encounter_id, kind, version, body,
                changed_at_us, changed_by, change_reason) VALUES ($1, $2, $3, 1, $4, $5, $6, $7)
            ON CONFLICT (tenant_id, encounter_id, kind) DO NOTHING";
        let args = args![tenant, encounter, kind, body, now_us, account, why];
        return Ok(tx.execute(sql, args).await? == 1);
    }
    let keep = "INSERT INTO exam_entry_version (tenant_id, encounter_id, kind, version, body,
            changed_at_us, changed_by, change_reason, superseded_at_us, superseded_by,
            superseded_why)
        SELECT tenant_id, encounter_id, kind, version, body, changed_at_us, changed_by,
            change_reason, $5, $6, $7
        FROM exam_entry
        WHERE tenant_id = $1 AND encounter_id = $2 AND kind = $3 AND version = $4";
    let args = args![tenant, encounter, kind, seen_version, now_us, account, why];
    if tx.execute(keep, args).await? != 1 {
        return Ok(false);
    }
    let update = "UPDATE exam_entry SET version = version + 1, body = $5, changed_at_us = $6,
            changed_by = $7, change_reason = $8
        WHERE tenant_id = $1 AND encounter_id = $2 AND kind = $3 AND version = $4";
    let args = args![tenant, encounter, kind, seen_version, body, now_us, account, why];
    Ok(tx.execute(update, args).await? == 1)
}
