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

/// Patients by the start of a name or a chart number, by birth date, or by both; the part that is
/// empty is not asked for.
pub async fn find(
    tx: &mut Tx,
    tenant: &str,
    text: &str,
    birth_date: &str,
) -> Result<Vec<Patient>, StoreError> {
    let sql = "SELECT patient_id, chart_number, family_name, given_name, birth_date,
            merged_into FROM patient
        WHERE tenant_id = $1 AND ($2 = '' OR chart_number = $2
                OR LOWER(family_name) LIKE $3 ESCAPE '\\'
                OR LOWER(given_name) LIKE $3 ESCAPE '\\'
                OR family_name LIKE $4 ESCAPE '\\')
            AND ($5 = '' OR birth_date = $5)
        ORDER BY family_name, given_name, patient_id LIMIT $6";
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    // SQLite lowers ASCII only: a capital such as in Özil is found as it was typed.
    let (lower, typed) = (format!("{}%", escaped.to_lowercase()), format!("{escaped}%"));
    tx.fetch_all(sql, args![tenant, text, lower, typed, birth_date, FOUND_MAX]).await
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

/// The chart that a person's charts are merged into; the chart itself where it is not merged.
pub async fn survivor(tx: &mut Tx, tenant: &str, patient: &str) -> Result<String, StoreError> {
    let found = by_id(tx, tenant, patient).await?;
    Ok(found.and_then(|it| it.merged_into).unwrap_or_else(|| patient.to_owned()))
}

/// All charts of a person: the one that survives its merges first, then those merged into it. The
/// same list for each of them (D10). A chart into which others are merged is merged into none, so
/// one step leads to all.
pub async fn family(tx: &mut Tx, tenant: &str, patient: &str) -> Result<Vec<Patient>, StoreError> {
    let survivor = survivor(tx, tenant, patient).await?;
    let sql = "SELECT patient_id, chart_number, family_name, given_name, birth_date, merged_into
        FROM patient WHERE tenant_id = $1 AND (patient_id = $2 OR merged_into = $2)
        ORDER BY CASE WHEN merged_into IS NULL THEN 0 ELSE 1 END, patient_id";
    tx.fetch_all(sql, args![tenant, survivor]).await
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
