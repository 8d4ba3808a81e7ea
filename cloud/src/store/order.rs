//! Orders of glasses with every earlier version, and what was decided about finished ones.

use super::{StoreError, Tx, exam::ReadingRow};
use crate::{args, reading_rows};
use uuid::Uuid;

/// Most orders of one exam, versions of one order and decisions that are shown.
pub const ORDERS_MAX: i64 = 100;

crate::row! {
    /// An order as it is now.
    pub struct OrderRow {
        pub order_id: String,
        pub encounter_id: String,
        pub order_number: String,
        /// `open`, `sent_back`, `accepted`, `cancelled`.
        pub status: String,
        /// JSON of `domain::order`.
        pub body: String,
        pub version: i64,
        pub made_at_us: i64,
        pub made_by: String,
        pub changed_at_us: i64,
        pub changed_by: String,
        pub change_reason: String,
    }
}

crate::row! {
    /// A state that an order had.
    pub struct OrderVersion {
        pub version: i64,
        pub status: String,
        pub body: String,
        pub changed_at_us: i64,
        pub changed_by: String,
        pub superseded_at_us: i64,
        pub superseded_by: String,
        pub superseded_why: String,
    }
}

crate::row! {
    /// What was decided about finished glasses.
    pub struct CheckIn {
        pub check_in_id: String,
        pub order_id: String,
        pub order_version: i64,
        pub reading_id: String,
        pub reading_version: i64,
        /// `accepted` or `sent_back`.
        pub decision: String,
        pub decision_reason: String,
        /// JSON of `domain::check_in::Compared`, as the person saw it.
        pub compared: String,
        pub decided_at_us: i64,
        pub decided_by: String,
    }
}

/// The columns of [`OrderRow`].
macro_rules! orders {
    ($rest:literal) => {
        concat!(
            "SELECT order_id, encounter_id, order_number, status, body, version, made_at_us,
                made_by, changed_at_us, changed_by, change_reason
            FROM optical_order ",
            $rest
        )
    };
}

pub async fn by_id(tx: &mut Tx, tenant: &str, order: &str) -> Result<Option<OrderRow>, StoreError> {
    let sql = orders!("WHERE tenant_id = $1 AND order_id = $2");
    tx.fetch_optional(sql, args![tenant, order]).await
}

/// By its number, in the form of `domain::order::number`.
pub async fn by_number(
    tx: &mut Tx,
    tenant: &str,
    number: &str,
) -> Result<Option<OrderRow>, StoreError> {
    let sql = orders!("WHERE tenant_id = $1 AND order_number = $2");
    tx.fetch_optional(sql, args![tenant, number]).await
}

/// The orders of an exam, oldest first.
pub async fn of_exam(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Vec<OrderRow>, StoreError> {
    let sql = orders!(
        "WHERE tenant_id = $1 AND encounter_id = $2 ORDER BY made_at_us, order_id LIMIT $3"
    );
    tx.fetch_all(sql, args![tenant, encounter, ORDERS_MAX]).await
}

/// Visit, id, number and status of the orders of a location's visits from one day to another.
pub async fn of_visits(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
    (from, to): (&str, &str),
) -> Result<Vec<(String, String, String, String)>, StoreError> {
    let sql = "SELECT o.encounter_id, o.order_id, o.order_number, o.status FROM optical_order o
        JOIN encounter e ON e.tenant_id = o.tenant_id AND e.encounter_id = o.encounter_id
        WHERE o.tenant_id = $1 AND e.location_id = $2 AND e.visit_date >= $3
            AND e.visit_date <= $4
        ORDER BY o.made_at_us, o.order_id LIMIT $5";
    tx.fetch_all(sql, args![tenant, location, from, to, super::optical::PRESCRIBED_MAX]).await
}

/// `false` when the number is taken.
pub async fn insert(tx: &mut Tx, tenant: &str, new: &OrderRow) -> Result<bool, StoreError> {
    let sql = "INSERT INTO optical_order (tenant_id, order_id, encounter_id, order_number, status,
            body, version, made_at_us, made_by, changed_at_us, changed_by, change_reason)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        ON CONFLICT (tenant_id, order_number) DO NOTHING";
    let args = args![
        tenant,
        &new.order_id,
        &new.encounter_id,
        &new.order_number,
        &new.status,
        &new.body,
        new.version,
        new.made_at_us,
        &new.made_by,
        new.changed_at_us,
        &new.changed_by,
        &new.change_reason,
    ];
    Ok(tx.execute(sql, args).await? == 1)
}

/// Puts an order into its next state and keeps the one it had. `false` when somebody was faster.
pub async fn change(
    tx: &mut Tx,
    tenant: &str,
    old: &OrderRow,
    (status, body): (&str, &str),
    (account, why, now_us): (&str, &str, i64),
) -> Result<bool, StoreError> {
    let keep = "INSERT INTO optical_order_version (tenant_id, order_id, version, status, body,
            changed_at_us, changed_by, change_reason, superseded_at_us, superseded_by,
            superseded_why)
        SELECT tenant_id, order_id, version, status, body, changed_at_us, changed_by,
            change_reason, $4, $5, $6
        FROM optical_order WHERE tenant_id = $1 AND order_id = $2 AND version = $3";
    let args = args![tenant, &old.order_id, old.version, now_us, account, why];
    if tx.execute(keep, args).await? != 1 {
        return Ok(false);
    }
    let update = "UPDATE optical_order SET version = version + 1, status = $4, body = $5,
            changed_at_us = $6, changed_by = $7, change_reason = $8
        WHERE tenant_id = $1 AND order_id = $2 AND version = $3";
    let args = args![tenant, &old.order_id, old.version, status, body, now_us, account, why];
    Ok(tx.execute(update, args).await? == 1)
}

/// Every earlier state of an order, oldest first.
pub async fn versions(
    tx: &mut Tx,
    tenant: &str,
    order: &str,
) -> Result<Vec<OrderVersion>, StoreError> {
    let sql = "SELECT version, status, body, changed_at_us, changed_by, superseded_at_us,
            superseded_by, superseded_why
        FROM optical_order_version WHERE tenant_id = $1 AND order_id = $2
        ORDER BY version LIMIT $3";
    tx.fetch_all(sql, args![tenant, order, ORDERS_MAX]).await
}

/// Readings in exams of a person that were measured for an order of glasses, latest first.
pub async fn measured_of_patient(
    tx: &mut Tx,
    tenant: &str,
    survivor: &str,
) -> Result<Vec<ReadingRow>, StoreError> {
    let sql = reading_rows!(
        from "encounter e CROSS JOIN reading r",
        "WHERE e.tenant_id = $1 AND r.tenant_id = $1 AND r.encounter_id = e.encounter_id
            AND e.patient_id IN (SELECT c.patient_id FROM patient c
                    WHERE c.tenant_id = $1 AND c.patient_id = $2
                UNION ALL SELECT m.patient_id FROM patient m
                    WHERE m.tenant_id = $1 AND m.merged_into = $2)
            AND r.place = 'exam' AND r.acceptance <> 'rejected'
            AND r.correction LIKE '%\"order_check_in\"%'
        ORDER BY r.captured_at_us DESC, r.seq DESC LIMIT $3"
    );
    tx.fetch_all(sql, args![tenant, survivor, ORDERS_MAX]).await
}

pub async fn decide(tx: &mut Tx, tenant: &str, new: &CheckIn) -> Result<(), StoreError> {
    let sql = "INSERT INTO check_in (tenant_id, check_in_id, order_id, order_version, reading_id,
            reading_version, decision, decision_reason, compared, decided_at_us, decided_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let args = args![
        tenant,
        &new.check_in_id,
        &new.order_id,
        new.order_version,
        &new.reading_id,
        new.reading_version,
        &new.decision,
        &new.decision_reason,
        &new.compared,
        new.decided_at_us,
        &new.decided_by,
    ];
    tx.execute(sql, args).await?;
    Ok(())
}

/// What was decided about the glasses of an order, oldest first.
pub async fn check_ins(tx: &mut Tx, tenant: &str, order: &str) -> Result<Vec<CheckIn>, StoreError> {
    let sql = "SELECT check_in_id, order_id, order_version, reading_id, reading_version, decision,
            decision_reason, compared, decided_at_us, decided_by
        FROM check_in WHERE tenant_id = $1 AND order_id = $2
        ORDER BY decided_at_us, check_in_id LIMIT $3";
    tx.fetch_all(sql, args![tenant, order, ORDERS_MAX]).await
}

/// A new identifier of an order or a decision.
pub fn new_id() -> String {
    Uuid::now_v7().to_string()
}
