//! DICOM instances where they are now, and their earlier states.

use super::{StoreError, Tx};
use crate::args;

/// Most instances that one exam or one list shows.
pub const INSTANCES_MAX: i64 = 5_000;

crate::row! {
    pub struct InstanceRow {
        pub instance_id: String,
        pub sha256: String,
        pub len_bytes: i64,
        /// Where the object store has it.
        pub object_key: String,
        /// `dicom` or `stow`.
        pub source: String,
        pub gateway_id: String,
        pub link_id: String,
        pub lane_id: String,
        pub location_id: String,
        pub lane_session_id: Option<String>,
        pub calling_ae: String,
        pub received_at_us: i64,
        pub filed_at_us: i64,
        pub sop_instance_uid: String,
        pub sop_class_uid: String,
        pub transfer_syntax_uid: String,
        pub study_instance_uid: String,
        pub series_instance_uid: String,
        pub modality: String,
        /// `R`, `L`, `B`, or empty.
        pub eye: String,
        pub eye_disagreement: Option<String>,
        pub frames: i64,
        pub series_number: Option<i64>,
        pub instance_number: Option<i64>,
        pub concatenation_uid: Option<String>,
        pub acquired_at: Option<String>,
        pub patient_id: String,
        /// In small letters, with its carets.
        pub patient_name_folded: String,
        /// `YYYY-MM-DD`.
        pub birth_date: Option<String>,
        pub accession: String,
        /// JSON of `imaging::Header`.
        pub header: String,
        /// `exam`, `inbox`, `held`, `quarantined`, `rejected`.
        pub place: String,
        pub reason: String,
        pub encounter_id: Option<String>,
        pub is_late: bool,
        pub contradicts: Option<String>,
        pub version: i64,
        pub changed_at_us: Option<i64>,
        pub changed_by: Option<String>,
        pub change_reason: Option<String>,
    }
}

/// The columns of [`InstanceRow`]. A macro, because queries are literals.
#[macro_export]
macro_rules! instance_rows {
    ($rest:literal) => {
        $crate::instance_rows!(from "instance i", $rest)
    };
    (from $from:literal, $rest:literal) => {
        concat!(
            "SELECT i.instance_id, i.sha256, i.len_bytes, i.object_key, i.source, i.gateway_id,
                i.link_id, i.lane_id, i.location_id, i.lane_session_id, i.calling_ae,
                i.received_at_us, i.filed_at_us, i.sop_instance_uid, i.sop_class_uid,
                i.transfer_syntax_uid, i.study_instance_uid, i.series_instance_uid, i.modality,
                i.eye, i.eye_disagreement, i.frames, i.series_number, i.instance_number,
                i.concatenation_uid, i.acquired_at, i.patient_id, i.patient_name_folded,
                i.birth_date, i.accession,
                i.header, i.place, i.reason, i.encounter_id, i.is_late, i.contradicts, i.version,
                i.changed_at_us, i.changed_by, i.change_reason
            FROM ",
            $from,
            " ",
            $rest
        )
    };
}

/// Files an instance; `false` when the same bytes are filed already.
pub async fn insert(tx: &mut Tx, tenant: &str, row: &InstanceRow) -> Result<bool, StoreError> {
    let sql = "INSERT INTO instance (tenant_id, instance_id, sha256, len_bytes, object_key, source,
            gateway_id, link_id, lane_id, location_id, lane_session_id, calling_ae,
            received_at_us, filed_at_us, sop_instance_uid, sop_class_uid, transfer_syntax_uid,
            study_instance_uid, series_instance_uid, modality, eye, eye_disagreement, frames,
            series_number, instance_number, concatenation_uid, acquired_at, patient_id,
            patient_name_folded, birth_date, accession, header, place, reason, encounter_id,
            is_late, contradicts)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
            $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35,
            $36, $37)
        ON CONFLICT (tenant_id, sha256) DO NOTHING";
    let args = args![
        tenant,
        &row.instance_id,
        &row.sha256,
        row.len_bytes,
        &row.object_key,
        &row.source,
        &row.gateway_id,
        &row.link_id,
        &row.lane_id,
        &row.location_id,
        row.lane_session_id.clone(),
        &row.calling_ae,
        row.received_at_us,
        row.filed_at_us,
        &row.sop_instance_uid,
        &row.sop_class_uid,
        &row.transfer_syntax_uid,
        &row.study_instance_uid,
        &row.series_instance_uid,
        &row.modality,
        &row.eye,
        row.eye_disagreement.clone(),
        row.frames,
        row.series_number,
        row.instance_number,
        row.concatenation_uid.clone(),
        row.acquired_at.clone(),
        &row.patient_id,
        &row.patient_name_folded,
        row.birth_date.clone(),
        &row.accession,
        &row.header,
        &row.place,
        &row.reason,
        row.encounter_id.clone(),
        row.is_late,
        row.contradicts.clone(),
    ];
    Ok(tx.execute(sql, args).await? == 1)
}

/// The instance with these bytes, if it is filed.
pub async fn id_of_content(
    tx: &mut Tx,
    tenant: &str,
    sha256: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT instance_id FROM instance WHERE tenant_id = $1 AND sha256 = $2";
    let row: Option<(String,)> = tx.fetch_optional(sql, args![tenant, sha256]).await?;
    Ok(row.map(|(id,)| id))
}

pub async fn by_id(
    tx: &mut Tx,
    tenant: &str,
    instance: &str,
) -> Result<Option<InstanceRow>, StoreError> {
    let sql = instance_rows!("WHERE i.tenant_id = $1 AND i.instance_id = $2");
    tx.fetch_optional(sql, args![tenant, instance]).await
}

/// Takes a SOP Instance UID for an instance; gives the one that has it already. Waits for whoever
/// takes the same at this moment: do this before anything is locked.
pub async fn claim_uid(
    tx: &mut Tx,
    tenant: &str,
    sop_instance_uid: &str,
    instance: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "INSERT INTO instance_uid (tenant_id, sop_instance_uid, instance_id)
        VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    if tx.execute(sql, args![tenant, sop_instance_uid, instance]).await? == 1 {
        return Ok(None);
    }
    let sql = "SELECT instance_id FROM instance_uid
        WHERE tenant_id = $1 AND sop_instance_uid = $2";
    let row: Option<(String,)> = tx.fetch_optional(sql, args![tenant, sop_instance_uid]).await?;
    Ok(row.map(|(id,)| id))
}

/// What an exam holds, in the order of its studies and series.
pub async fn of_encounter(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Vec<InstanceRow>, StoreError> {
    let sql = instance_rows!(
        "WHERE i.tenant_id = $1 AND i.encounter_id = $2 AND i.place = 'exam'
        ORDER BY i.study_instance_uid, i.series_number, i.series_instance_uid,
            i.instance_number, i.instance_id LIMIT $3"
    );
    tx.fetch_all(sql, args![tenant, encounter, INSTANCES_MAX]).await
}

/// What the exams of a location's day hold, exam by exam.
pub async fn of_day(
    tx: &mut Tx,
    tenant: &str,
    (location, date): (&str, &str),
) -> Result<Vec<InstanceRow>, StoreError> {
    let sql = instance_rows!(
        from "encounter e CROSS JOIN instance i",
        "WHERE e.tenant_id = $1 AND e.location_id = $2 AND e.visit_date = $3
            AND i.tenant_id = $1 AND i.encounter_id = e.encounter_id AND i.place = 'exam'
        ORDER BY i.encounter_id, i.series_instance_uid, i.instance_id LIMIT $4"
    );
    tx.fetch_all(sql, args![tenant, location, date, INSTANCES_MAX]).await
}

/// What carries a visit's own Study Instance UID, or came in its lane session, and is held.
pub async fn held_of_visit(
    tx: &mut Tx,
    tenant: &str,
    (encounter, study): (&str, &str),
) -> Result<Vec<InstanceRow>, StoreError> {
    let sql = instance_rows!(
        "WHERE i.tenant_id = $1 AND i.place = 'held' AND (i.study_instance_uid = $3
            OR i.lane_session_id IN (SELECT s.lane_session_id FROM lane_session s
                WHERE s.tenant_id = $1 AND s.encounter_id = $2))
        ORDER BY i.received_at_us, i.instance_id LIMIT $4"
    );
    tx.fetch_all(sql, args![tenant, encounter, study, INSTANCES_MAX]).await
}

/// What waits at a location, oldest first.
pub async fn waiting(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
) -> Result<Vec<InstanceRow>, StoreError> {
    let sql = instance_rows!(
        "WHERE i.tenant_id = $1 AND i.location_id = $2
            AND i.place IN ('inbox', 'held', 'quarantined')
        ORDER BY i.received_at_us, i.instance_id LIMIT $3"
    );
    tx.fetch_all(sql, args![tenant, location, INSTANCES_MAX]).await
}

/// The instances that are decided together: those of one study and one patient, as the data says
/// it, in the same place for the same reason.
pub async fn together(
    tx: &mut Tx,
    tenant: &str,
    of: &InstanceRow,
) -> Result<Vec<InstanceRow>, StoreError> {
    if of.study_instance_uid.is_empty() || of.place == "quarantined" {
        return Ok(vec![of.clone()]);
    }
    let sql = instance_rows!(
        "WHERE i.tenant_id = $1 AND i.study_instance_uid = $2 AND i.location_id = $3
            AND i.place = $4 AND i.patient_id = $5 AND COALESCE(i.birth_date, '') = $6
            AND COALESCE(i.encounter_id, '') = $7
        ORDER BY i.received_at_us, i.instance_id LIMIT $8"
    );
    let args = args![
        tenant,
        &of.study_instance_uid,
        &of.location_id,
        &of.place,
        &of.patient_id,
        of.birth_date.clone().unwrap_or_default(),
        of.encounter_id.clone().unwrap_or_default(),
        INSTANCES_MAX,
    ];
    tx.fetch_all(sql, args).await
}

/// Where the instances of a study from one gateway lie that say the same of the patient: place and
/// exam, each once.
pub async fn places_of_study(
    tx: &mut Tx,
    tenant: &str,
    (gateway, study): (&str, &str),
    (patient_id, birth_date): (&str, Option<&str>),
) -> Result<Vec<(String, Option<String>)>, StoreError> {
    let sql = "SELECT DISTINCT place, encounter_id FROM instance
        WHERE tenant_id = $1 AND study_instance_uid = $2 AND gateway_id = $3
            AND patient_id = $4 AND COALESCE(birth_date, '') = $5 LIMIT 3";
    let birth_date = birth_date.unwrap_or_default();
    tx.fetch_all(sql, args![tenant, study, gateway, patient_id, birth_date]).await
}

/// Whether a series has a late instance in an exam: its addendum is written.
pub async fn is_series_late(
    tx: &mut Tx,
    tenant: &str,
    (encounter, series): (&str, &str),
) -> Result<bool, StoreError> {
    let sql = "SELECT instance_id FROM instance WHERE tenant_id = $1 AND encounter_id = $2
            AND series_instance_uid = $3 AND is_late = $4 AND place = 'exam' LIMIT 1";
    let args = args![tenant, encounter, series, true];
    Ok(tx.fetch_optional::<(String,)>(sql, args).await?.is_some())
}

/// Puts an instance into another place and keeps the earlier state; `false` when somebody else was
/// faster.
pub async fn change(
    tx: &mut Tx,
    tenant: &str,
    row: &InstanceRow,
    (place, encounter, is_late): (&str, Option<&str>, bool),
    (account, why, now_us): (&str, &str, i64),
) -> Result<bool, StoreError> {
    let sql = "UPDATE instance SET place = $4, reason = $5, encounter_id = $6, is_late = $7,
            version = version + 1, changed_at_us = $8, changed_by = $9, change_reason = $5
        WHERE tenant_id = $1 AND instance_id = $2 AND version = $3";
    let args = args![
        tenant,
        &row.instance_id,
        row.version,
        place,
        why,
        encounter,
        is_late,
        now_us,
        account
    ];
    if tx.execute(sql, args).await? != 1 {
        return Ok(false);
    }
    let sql = "INSERT INTO instance_version (tenant_id, instance_id, version, place, reason,
            encounter_id, superseded_at_us, superseded_by, superseded_why)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let args = args![
        tenant,
        &row.instance_id,
        row.version,
        &row.place,
        &row.reason,
        row.encounter_id.clone(),
        now_us,
        account,
        why
    ];
    tx.execute(sql, args).await?;
    Ok(true)
}
