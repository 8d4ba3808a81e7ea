//! The images of a patient, of all visits, as the viewer offers them.

use super::{StoreError, Tx};
use crate::args;

/// Most instances that the viewer offers beside one.
pub const OFFERED_MAX: i64 = 600;
/// Most parts of a concatenation that are shown as one.
pub const PARTS_MAX: i64 = 256;

crate::row! {
    pub struct OfPatient {
        pub instance_id: String,
        pub encounter_id: String,
        /// Clinic-local, `YYYY-MM-DD`.
        pub visit_date: String,
        pub sop_instance_uid: String,
        pub series_instance_uid: String,
        /// JSON of `imaging::Header`.
        pub header: String,
    }
}

/// The instances in the exams of a patient and of those who were merged into this one; the latest
/// visit first, within it in the order of the series.
pub async fn of_patient(
    tx: &mut Tx,
    tenant: &str,
    patient: &str,
) -> Result<Vec<OfPatient>, StoreError> {
    let sql = "SELECT i.instance_id, e.encounter_id, e.visit_date, i.sop_instance_uid,
            i.series_instance_uid, i.header
        FROM encounter e CROSS JOIN instance i
        WHERE e.tenant_id = $1 AND i.tenant_id = $1 AND i.encounter_id = e.encounter_id
            AND e.patient_id IN (SELECT c.patient_id FROM patient c
                    WHERE c.tenant_id = $1 AND c.patient_id = $2
                UNION ALL SELECT m.patient_id FROM patient m
                    WHERE m.tenant_id = $1 AND m.merged_into = $2)
            AND i.place = 'exam'
        ORDER BY e.scheduled_at_us DESC, e.encounter_id DESC, i.series_number,
            i.series_instance_uid, i.instance_number, i.instance_id
        LIMIT $3";
    tx.fetch_all(sql, args![tenant, patient, OFFERED_MAX]).await
}

/// The exam that an instance is in; none for what waits, is held or was taken out.
pub async fn exam_of(
    tx: &mut Tx,
    tenant: &str,
    instance: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT encounter_id FROM instance
        WHERE tenant_id = $1 AND instance_id = $2 AND place = 'exam'";
    let found: Option<(Option<String>,)> = tx.fetch_optional(sql, args![tenant, instance]).await?;
    Ok(found.and_then(|(encounter,)| encounter))
}

/// The parts of a concatenation that are in the same exam as one of them.
pub async fn parts(
    tx: &mut Tx,
    tenant: &str,
    instance: &str,
    concatenation_uid: &str,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT p.instance_id FROM instance i JOIN instance p
            ON p.tenant_id = i.tenant_id AND p.study_instance_uid = i.study_instance_uid
            AND p.series_instance_uid = i.series_instance_uid
            AND p.encounter_id = i.encounter_id
        WHERE i.tenant_id = $1 AND i.instance_id = $2 AND i.place = 'exam'
            AND p.place = 'exam' AND p.concatenation_uid = $3
        ORDER BY p.received_at_us, p.instance_id LIMIT $4";
    let rows: Vec<(String,)> =
        tx.fetch_all(sql, args![tenant, instance, concatenation_uid, PARTS_MAX]).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}
