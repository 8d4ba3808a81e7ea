//! What people said about charge proposals. Never changed and never deleted: the last word counts.

use super::{StoreError, Tx, exam::ReadingRow};
use crate::{args, reading_rows};
use uuid::Uuid;

/// Most marks of one exam, and of one day.
pub const MARKS_MAX: i64 = 5_000;
/// Most accepted readings of one day that proposals are derived from.
pub const READINGS_MAX: i64 = 5_000;

crate::row! {
    pub struct MarkRow {
        pub encounter_id: String,
        pub code: String,
        pub mark: String,
        pub note: String,
        pub evidence: String,
        pub marked_at_us: i64,
        pub marked_by: String,
    }
}

pub async fn insert(tx: &mut Tx, tenant: &str, new: &MarkRow) -> Result<(), StoreError> {
    let sql = "INSERT INTO charge_mark (tenant_id, charge_mark_id, encounter_id, code, mark, note,
            evidence, marked_at_us, marked_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let id = Uuid::now_v7().to_string();
    let args = args![
        tenant,
        id,
        &new.encounter_id,
        &new.code,
        &new.mark,
        &new.note,
        &new.evidence,
        new.marked_at_us,
        &new.marked_by,
    ];
    tx.execute(sql, args).await?;
    Ok(())
}

/// The marks of a person's visits on the day of one of them, oldest first.
pub async fn of_person_and_day(
    tx: &mut Tx,
    tenant: &str,
    (survivor, date): (&str, &str),
) -> Result<Vec<MarkRow>, StoreError> {
    let sql = "SELECT m.encounter_id, m.code, m.mark, m.note, m.evidence, m.marked_at_us,
            m.marked_by
        FROM encounter e CROSS JOIN charge_mark m
        WHERE m.tenant_id = e.tenant_id AND m.encounter_id = e.encounter_id
            AND e.tenant_id = $1 AND e.visit_date = $3 AND e.patient_id IN
            (SELECT c.patient_id FROM patient c
                    WHERE c.tenant_id = $1 AND c.patient_id = $2
                UNION ALL SELECT k.patient_id FROM patient k
                    WHERE k.tenant_id = $1 AND k.merged_into = $2)
        ORDER BY m.marked_at_us, m.charge_mark_id LIMIT $4";
    tx.fetch_all(sql, args![tenant, survivor, date, MARKS_MAX]).await
}

/// The marks of a location's visits of a day, oldest first.
pub async fn of_day(
    tx: &mut Tx,
    tenant: &str,
    (location, date): (&str, &str),
) -> Result<Vec<MarkRow>, StoreError> {
    let sql = "SELECT m.encounter_id, m.code, m.mark, m.note, m.evidence, m.marked_at_us,
            m.marked_by
        FROM encounter e JOIN charge_mark m
            ON m.tenant_id = e.tenant_id AND m.encounter_id = e.encounter_id
        WHERE e.tenant_id = $1 AND e.location_id = $2 AND e.visit_date = $3
        ORDER BY m.marked_at_us, m.charge_mark_id LIMIT $4";
    tx.fetch_all(sql, args![tenant, location, date, MARKS_MAX]).await
}

/// The accepted readings of a location's visits of a day.
pub async fn accepted_of_day(
    tx: &mut Tx,
    tenant: &str,
    (location, date): (&str, &str),
) -> Result<Vec<ReadingRow>, StoreError> {
    let sql = reading_rows!(
        from "encounter e CROSS JOIN reading r",
        "WHERE e.tenant_id = $1 AND r.tenant_id = $1 AND r.encounter_id = e.encounter_id
            AND e.location_id = $2 AND e.visit_date = $3 AND r.place = 'exam'
            AND r.acceptance = 'accepted'
        ORDER BY r.captured_at_us, r.seq LIMIT $4"
    );
    tx.fetch_all(sql, args![tenant, location, date, READINGS_MAX]).await
}
