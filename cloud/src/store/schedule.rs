//! The schedule's appointments as encounters.

use super::{StoreError, Tx};
use crate::args;

crate::row! {
    /// What the schedule says of one appointment.
    pub struct Appointment {
        pub encounter_id: String,
        pub patient_id: String,
        pub location_id: String,
        /// Clinic-local, `YYYY-MM-DD`.
        pub visit_date: String,
        pub scheduled_at_us: i64,
        pub reason: String,
        pub appointment_key: String,
        pub accession: Option<String>,
    }
}

impl Appointment {
    /// Whether two say the same but for their own identifiers.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.patient_id == other.patient_id
            && self.location_id == other.location_id
            && self.visit_date == other.visit_date
            && self.scheduled_at_us == other.scheduled_at_us
            && self.reason == other.reason
    }
}

pub async fn by_key(
    tx: &mut Tx,
    tenant: &str,
    appointment_key: &str,
) -> Result<Option<Appointment>, StoreError> {
    let sql = "SELECT encounter_id, patient_id, location_id, visit_date, scheduled_at_us, reason,
            appointment_key, accession
        FROM encounter WHERE tenant_id = $1 AND appointment_key = $2";
    tx.fetch_optional(sql, args![tenant, appointment_key]).await
}

pub async fn insert(
    tx: &mut Tx,
    tenant: &str,
    appointment: &Appointment,
    now_us: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO encounter (tenant_id, encounter_id, patient_id, location_id, visit_date,
            scheduled_at_us, reason, appointment_key, accession, created_at_us)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let it = appointment;
    let args = args![
        tenant,
        &it.encounter_id,
        &it.patient_id,
        &it.location_id,
        &it.visit_date,
        it.scheduled_at_us,
        &it.reason,
        &it.appointment_key,
        it.accession.clone(),
        now_us,
    ];
    tx.execute(sql, args).await?;
    Ok(())
}

/// Follows the schedule: time, place and reason of an encounter. Its patient never changes here.
pub async fn update(
    tx: &mut Tx,
    tenant: &str,
    encounter_id: &str,
    to: &Appointment,
) -> Result<(), StoreError> {
    let sql = "UPDATE encounter SET location_id = $3, visit_date = $4, scheduled_at_us = $5,
            reason = $6 WHERE tenant_id = $1 AND encounter_id = $2";
    let args = args![
        tenant,
        encounter_id,
        &to.location_id,
        &to.visit_date,
        to.scheduled_at_us,
        &to.reason,
    ];
    tx.execute(sql, args).await?;
    Ok(())
}
