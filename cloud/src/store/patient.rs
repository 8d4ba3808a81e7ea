//! Patients of a tenant.

use super::{StoreError, Tx};
use crate::args;

/// Most patients that one search lists.
pub const FOUND_MAX: i64 = 50;

crate::row! {
    pub struct Patient {
        pub patient_id: String,
        pub chart_number: String,
        pub family_name: String,
        pub given_name: String,
        /// `YYYY-MM-DD`.
        pub birth_date: String,
        /// The chart that this one is merged into.
        pub merged_into: Option<String>,
    }
}

/// Patients whose chart number is the text or whose names begin with it.
pub async fn search(tx: &mut Tx, tenant: &str, text: &str) -> Result<Vec<Patient>, StoreError> {
    let sql = "SELECT patient_id, chart_number, family_name, given_name, birth_date,
            merged_into FROM patient
        WHERE tenant_id = $1 AND (chart_number = $2 OR LOWER(family_name) LIKE $3 ESCAPE '\\'
            OR LOWER(given_name) LIKE $3 ESCAPE '\\')
        ORDER BY family_name, given_name, patient_id LIMIT $4";
    let escaped = text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    tx.fetch_all(sql, args![tenant, text, format!("{escaped}%"), FOUND_MAX]).await
}

pub async fn by_chart_number(
    tx: &mut Tx,
    tenant: &str,
    chart_number: &str,
) -> Result<Option<Patient>, StoreError> {
    let sql = "SELECT patient_id, chart_number, family_name, given_name, birth_date,
            merged_into FROM patient
        WHERE tenant_id = $1 AND chart_number = $2";
    tx.fetch_optional(sql, args![tenant, chart_number]).await
}

pub async fn by_id(
    tx: &mut Tx,
    tenant: &str,
    patient: &str,
) -> Result<Option<Patient>, StoreError> {
    let sql = "SELECT patient_id, chart_number, family_name, given_name, birth_date,
            merged_into FROM patient WHERE tenant_id = $1 AND patient_id = $2";
    tx.fetch_optional(sql, args![tenant, patient]).await
}

/// All charts of a person: the one that survives its merges first, then those merged into it. The
/// same list for each of them (D10).
pub async fn family(tx: &mut Tx, tenant: &str, patient: &str) -> Result<Vec<Patient>, StoreError> {
    let sql = "WITH RECURSIVE up(patient_id, merged_into) AS (
            SELECT patient_id, merged_into FROM patient
            WHERE tenant_id = $1 AND patient_id = $2
            UNION
            SELECT p.patient_id, p.merged_into FROM patient p
            JOIN up ON p.tenant_id = $1 AND p.patient_id = up.merged_into
        ), down(patient_id) AS (
            SELECT patient_id FROM up WHERE merged_into IS NULL
            UNION
            SELECT p.patient_id FROM patient p
            JOIN down ON p.tenant_id = $1 AND p.merged_into = down.patient_id
        )
        SELECT p.patient_id, p.chart_number, p.family_name, p.given_name, p.birth_date,
            p.merged_into
        FROM patient p JOIN down ON p.patient_id = down.patient_id
        WHERE p.tenant_id = $1
        ORDER BY CASE WHEN p.merged_into IS NULL THEN 0 ELSE 1 END, p.patient_id";
    tx.fetch_all(sql, args![tenant, patient]).await
}

pub async fn insert(
    tx: &mut Tx,
    tenant: &str,
    patient: &Patient,
    now_us: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO patient (tenant_id, patient_id, chart_number, family_name, given_name,
            birth_date, created_at_us) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let Patient { patient_id, chart_number, family_name, given_name, birth_date, .. } = patient;
    let args = args![tenant, patient_id, chart_number, family_name, given_name, birth_date, now_us];
    tx.execute(sql, args).await?;
    Ok(())
}
