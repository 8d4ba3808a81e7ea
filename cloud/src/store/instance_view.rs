//! The images of a patient, of all visits, as the viewer offers them.

use super::{StoreError, Tx};
use crate::args;

/// Most instances that the viewer offers beside one.
pub const OFFERED_MAX: i64 = 600;

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
