//! What one person is told about one exam.

use super::{StoreError, Tx};
use crate::args;
use uuid::Uuid;

/// Most notices that one list shows.
pub const NOTICES_MAX: i64 = 200;

crate::row! {
    /// A notice with the visit that it is about.
    pub struct Notice {
        pub notice_id: String,
        pub account_id: String,
        pub encounter_id: String,
        pub noticed_at_us: i64,
        pub kind: String,
        pub notice_text: String,
        pub seen_at_us: Option<i64>,
        pub visit_date: String,
        pub family_name: String,
        pub given_name: String,
        pub chart_number: String,
        pub time_zone: String,
    }
}

/// The columns of [`Notice`] and where they come from.
macro_rules! notices {
    ($rest:literal) => {
        concat!(
            "SELECT n.notice_id, n.account_id, n.encounter_id, n.noticed_at_us, n.kind,
                n.notice_text, n.seen_at_us, e.visit_date, p.family_name, p.given_name,
                p.chart_number, l.time_zone
            FROM notice n
            JOIN encounter e ON e.tenant_id = n.tenant_id AND e.encounter_id = n.encounter_id
            JOIN patient p ON p.tenant_id = e.tenant_id AND p.patient_id = e.patient_id
            JOIN location l ON l.tenant_id = e.tenant_id AND l.location_id = e.location_id ",
            $rest
        )
    };
}

/// Tells an account something about an exam. `kind` is short and stable, the text is for people.
pub async fn tell(
    tx: &mut Tx,
    tenant: &str,
    (account, encounter): (&str, &str),
    (kind, text): (&str, &str),
    now_us: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO notice (tenant_id, notice_id, account_id, encounter_id, noticed_at_us,
            kind, notice_text) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let id = Uuid::now_v7().to_string();
    tx.execute(sql, args![tenant, id, account, encounter, now_us, kind, text]).await?;
    Ok(())
}

/// An account's notices: what is not seen first, then the latest.
pub async fn of_account(
    tx: &mut Tx,
    tenant: &str,
    account: &str,
) -> Result<Vec<Notice>, StoreError> {
    let sql = notices!(
        "WHERE n.tenant_id = $1 AND n.account_id = $2
        ORDER BY CASE WHEN n.seen_at_us IS NULL THEN 0 ELSE 1 END, n.noticed_at_us DESC,
            n.notice_id LIMIT $3"
    );
    tx.fetch_all(sql, args![tenant, account, NOTICES_MAX]).await
}

/// What an account has not seen about one exam, oldest first.
pub async fn unseen_of_exam(
    tx: &mut Tx,
    tenant: &str,
    (account, encounter): (&str, &str),
) -> Result<Vec<Notice>, StoreError> {
    let sql = notices!(
        "WHERE n.tenant_id = $1 AND n.encounter_id = $3 AND n.account_id = $2
            AND n.seen_at_us IS NULL
        ORDER BY n.noticed_at_us, n.notice_id LIMIT $4"
    );
    tx.fetch_all(sql, args![tenant, account, encounter, NOTICES_MAX]).await
}

/// How much an account has not seen.
pub async fn unseen(tx: &mut Tx, tenant: &str, account: &str) -> Result<i64, StoreError> {
    let sql = "SELECT COUNT(*) FROM notice
        WHERE tenant_id = $1 AND account_id = $2 AND seen_at_us IS NULL";
    Ok(tx.fetch_one::<(i64,)>(sql, args![tenant, account]).await?.0)
}

/// Notes that the account has seen one of its notices; `None` when it has no such notice. Gives the
/// exam.
pub async fn see(
    tx: &mut Tx,
    tenant: &str,
    (account, notice): (&str, &str),
    now_us: i64,
) -> Result<Option<String>, StoreError> {
    let sql = "UPDATE notice SET seen_at_us = COALESCE(seen_at_us, $4)
        WHERE tenant_id = $1 AND account_id = $2 AND notice_id = $3 RETURNING encounter_id";
    let row: Option<(String,)> =
        tx.fetch_optional(sql, args![tenant, account, notice, now_us]).await?;
    Ok(row.map(|(encounter,)| encounter))
}

/// Doctors who have looked at an exam since a moment.
pub async fn doctors_who_looked(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
    since_us: i64,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT DISTINCT a.account_id FROM audit_entry a
        JOIN account p ON p.tenant_id = a.tenant_id AND p.account_id = a.account_id
        WHERE a.tenant_id = $1 AND a.at_us >= $3 AND a.action = 'exam_seen' AND a.subject = $2
            AND p.role = 'doctor' AND p.disabled_at_us IS NULL
        ORDER BY a.account_id";
    let rows: Vec<(String,)> = tx.fetch_all(sql, args![tenant, encounter, since_us]).await?;
    Ok(rows.into_iter().map(|(account,)| account).collect())
}
