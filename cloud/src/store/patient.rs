//! Patients of a tenant.

use super::{Db, StoreError, Tx, batch::Words};
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

/// The columns of [`Patient`]. A macro, because queries are literals.
macro_rules! patients {
    ($rest:literal) => {
        concat!(
            "SELECT patient_id, chart_number, family_name, given_name, birth_date, merged_into
            FROM patient ",
            $rest
        )
    };
    (by $index:literal) => {
        concat!(
            "SELECT patient_id, chart_number, family_name, given_name, birth_date, merged_into
            FROM patient",
            $index,
            "WHERE tenant_id = $1 AND birth_date = $5 AND ($2 = '' OR chart_number = $6
                OR (family_name_folded >= $2 AND family_name_folded < $3)
                OR (given_name_folded >= $2 AND given_name_folded < $3))
            ORDER BY family_name_folded, given_name_folded, patient_id LIMIT $4"
        )
    };
}

/// The start of a family name, as a range of the index: each database has another opinion of LIKE.
pub const BY_FAMILY_NAME: &str = patients!(
    "WHERE tenant_id = $1 AND family_name_folded >= $2 AND family_name_folded < $3
    ORDER BY family_name_folded, given_name_folded, patient_id LIMIT $4"
);
/// The start of a given name.
pub const BY_GIVEN_NAME: &str = patients!(
    "WHERE tenant_id = $1 AND given_name_folded >= $2 AND given_name_folded < $3
    ORDER BY given_name_folded, family_name_folded, patient_id LIMIT $4"
);
/// A birth date, with the start of a name or a chart number where one is given. SQLite would read
/// everybody by name, because that is the order that is asked for.
pub const BY_BIRTH_DATE: Words =
    Words { sqlite: patients!(by " INDEXED BY patient_birth_date "), postgres: patients!(by " ") };

/// A name as it is searched for.
pub fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Patients by the start of a name or a chart number, by birth date, or by both; the part that is
/// empty is not asked for. The chart comes first, then family names, then given names.
pub async fn find(
    tx: &mut Tx,
    tenant: &str,
    text: &str,
    birth_date: &str,
) -> Result<Vec<Patient>, StoreError> {
    let start = folded(text);
    // Behind everything that begins so: no letter comes after this one.
    let end = format!("{start}\u{10FFFF}");
    if !birth_date.is_empty() {
        let args = args![tenant, &start, &end, FOUND_MAX, birth_date, text];
        return tx.fetch_all(BY_BIRTH_DATE.of(tx), args).await;
    }
    let mut found: Vec<Patient> = Vec::new();
    if start.is_empty() {
        return Ok(found);
    }
    found.extend(by_chart_number(tx, tenant, text).await?);
    for sql in [BY_FAMILY_NAME, BY_GIVEN_NAME] {
        let more: Vec<Patient> = tx.fetch_all(sql, args![tenant, &start, &end, FOUND_MAX]).await?;
        let is_new = |it: &Patient| found.iter().all(|known| known.patient_id != it.patient_id);
        let more: Vec<_> = more.into_iter().filter(is_new).collect();
        found.extend(more);
    }
    found.truncate(FOUND_MAX as usize);
    Ok(found)
}

/// Patients whose names are folded in one transaction.
const FOLDED_AT_ONCE_MAX: i64 = 1_000;

/// Folds the names that an earlier version has written. Run after every migration and by the hour:
/// a replica of the earlier version may still be at work.
pub async fn fold_all(db: &Db) -> Result<(), StoreError> {
    loop {
        let mut tx = db.all_tenants().await?;
        let sql = "SELECT tenant_id, patient_id, family_name, given_name FROM patient
            WHERE family_name_folded IS NULL LIMIT $1";
        let rows: Vec<(String, String, String, String)> =
            tx.fetch_all(sql, args![FOLDED_AT_ONCE_MAX]).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let update = "UPDATE patient SET family_name_folded = $3, given_name_folded = $4
            WHERE tenant_id = $1 AND patient_id = $2";
        for (tenant, patient, family, given) in rows {
            let args = args![tenant, patient, folded(&family), folded(&given)];
            tx.execute(update, args).await?;
        }
        tx.commit().await?;
    }
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
        FROM patient WHERE tenant_id = $1 AND patient_id IN (
            SELECT c.patient_id FROM patient c WHERE c.tenant_id = $1 AND c.patient_id = $2
            UNION ALL SELECT m.patient_id FROM patient m
                WHERE m.tenant_id = $1 AND m.merged_into = $2)
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
            birth_date, created_at_us, family_name_folded, given_name_folded)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let Patient { patient_id, chart_number, family_name, given_name, birth_date, .. } = patient;
    let args = args![
        tenant,
        patient_id,
        chart_number,
        family_name,
        given_name,
        birth_date,
        now_us,
        folded(family_name),
        folded(given_name),
    ];
    tx.execute(sql, args).await?;
    Ok(())
}
