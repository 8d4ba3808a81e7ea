//! What imagers say they are doing: images are on their way (D7).

use super::{StoreError, Tx, instance::InstanceRow};
use crate::args;

/// Most steps of one exam that its page shows.
const SHOWN_MAX: i64 = 50;

crate::row! {
    pub struct StepRow {
        pub gateway_id: String,
        pub step_uid: String,
        pub link_id: String,
        pub lane_id: String,
        /// `in_progress`, `completed`, `discontinued`.
        pub status: String,
        pub study_instance_uid: Option<String>,
        pub encounter_id: Option<String>,
        /// JSON list of SOP Instance UIDs.
        pub instances: String,
        pub begun_at_us: i64,
        pub said_at_us: i64,
    }
}

impl StepRow {
    /// Whether what the imager told of is not there yet: everything that it listed, or if it listed
    /// nothing, anything of its study.
    pub fn is_waited_for(&self, there: &[InstanceRow]) -> bool {
        let listed: Vec<String> = serde_json::from_str(&self.instances).unwrap_or_default();
        let is_there = match (listed.is_empty(), &self.study_instance_uid) {
            (false, _) => {
                listed.iter().all(|uid| there.iter().any(|row| row.sop_instance_uid == *uid))
            }
            (true, Some(study)) => there.iter().any(|row| row.study_instance_uid == *study),
            (true, None) => false,
        };
        self.status != "discontinued" && !is_there
    }
}

/// Notes what an imager says. What is final stays so: an older message may come later. Gives
/// whether anything changed.
pub async fn put(tx: &mut Tx, tenant: &str, row: &StepRow) -> Result<bool, StoreError> {
    let sql =
        "INSERT INTO procedure_step (tenant_id, gateway_id, step_uid, link_id, lane_id, status,
            study_instance_uid, encounter_id, instances, begun_at_us, said_at_us)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (tenant_id, gateway_id, step_uid) DO UPDATE SET status = excluded.status,
            study_instance_uid =
                COALESCE(excluded.study_instance_uid, procedure_step.study_instance_uid),
            encounter_id = COALESCE(excluded.encounter_id, procedure_step.encounter_id),
            instances = excluded.instances, said_at_us = excluded.said_at_us
        WHERE procedure_step.status = 'in_progress'";
    let StepRow { gateway_id, step_uid, link_id, lane_id, status, instances, .. } = row;
    let args = args![
        tenant,
        gateway_id,
        step_uid,
        link_id,
        lane_id,
        status,
        row.study_instance_uid.clone(),
        row.encounter_id.clone(),
        instances,
        row.begun_at_us,
        row.said_at_us,
    ];
    Ok(tx.execute(sql, args).await? == 1)
}

/// The steps of a visit, oldest first.
pub async fn of_encounter(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Vec<StepRow>, StoreError> {
    let sql = "SELECT gateway_id, step_uid, link_id, lane_id, status, study_instance_uid,
            encounter_id, instances, begun_at_us, said_at_us
        FROM procedure_step WHERE tenant_id = $1 AND encounter_id = $2
        ORDER BY begun_at_us, step_uid LIMIT $3";
    tx.fetch_all(sql, args![tenant, encounter, SHOWN_MAX]).await
}
