//! Encounters with their patients.

use super::{StoreError, Tx};
use crate::args;

/// Most encounters that one day's list of a location shows.
pub const DAY_MAX: i64 = 500;

crate::row! {
    pub struct Encounter {
        pub encounter_id: String,
        pub location_id: String,
        pub visit_date: String,
        pub scheduled_at_us: i64,
        pub reason: String,
        pub patient_id: String,
        pub chart_number: String,
        pub family_name: String,
        pub given_name: String,
        /// `YYYY-MM-DD`.
        pub birth_date: String,
        /// The identifier that we issued for this visit.
        pub accession: Option<String>,
        /// Readings in the exam that nobody has accepted.
        pub pending: i64,
        /// Readings in the exam that are not rejected.
        pub filed: i64,
    }
}

/// The encounters of a location on a clinic-local date, by time.
pub async fn of_day(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
    visit_date: &str,
) -> Result<Vec<Encounter>, StoreError> {
    let sql = "SELECT e.encounter_id, e.location_id, e.visit_date, e.scheduled_at_us, e.reason,
            p.patient_id, p.chart_number, p.family_name, p.given_name, p.birth_date,
            e.accession,
            (SELECT COUNT(*) FROM reading r WHERE r.tenant_id = e.tenant_id
                AND r.encounter_id = e.encounter_id AND r.place = 'exam'
                AND r.acceptance = 'pending') AS pending,
            (SELECT COUNT(*) FROM reading r WHERE r.tenant_id = e.tenant_id
                AND r.encounter_id = e.encounter_id AND r.place = 'exam'
                AND r.acceptance <> 'rejected') AS filed
        FROM encounter e JOIN patient p
            ON p.tenant_id = e.tenant_id AND p.patient_id = e.patient_id
        WHERE e.tenant_id = $1 AND e.location_id = $2 AND e.visit_date = $3
        ORDER BY e.scheduled_at_us, p.family_name, e.encounter_id LIMIT $4";
    tx.fetch_all(sql, args![tenant, location, visit_date, DAY_MAX]).await
}

pub async fn by_id(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Option<Encounter>, StoreError> {
    let sql = "SELECT e.encounter_id, e.location_id, e.visit_date, e.scheduled_at_us, e.reason,
            p.patient_id, p.chart_number, p.family_name, p.given_name, p.birth_date,
            e.accession,
            (SELECT COUNT(*) FROM reading r WHERE r.tenant_id = e.tenant_id
                AND r.encounter_id = e.encounter_id AND r.place = 'exam'
                AND r.acceptance = 'pending') AS pending,
            (SELECT COUNT(*) FROM reading r WHERE r.tenant_id = e.tenant_id
                AND r.encounter_id = e.encounter_id AND r.place = 'exam'
                AND r.acceptance <> 'rejected') AS filed
        FROM encounter e JOIN patient p
            ON p.tenant_id = e.tenant_id AND p.patient_id = e.patient_id
        WHERE e.tenant_id = $1 AND e.encounter_id = $2";
    tx.fetch_optional(sql, args![tenant, encounter]).await
}

/// The encounters of one patient, latest first.
pub async fn of_patient(
    tx: &mut Tx,
    tenant: &str,
    patient: &str,
) -> Result<Vec<(String, String, String)>, StoreError> {
    let sql = "SELECT encounter_id, visit_date, location_id FROM encounter
        WHERE tenant_id = $1 AND patient_id = $2 ORDER BY scheduled_at_us DESC LIMIT $3";
    tx.fetch_all(sql, args![tenant, patient, DAY_MAX]).await
}

/// The visit that an identifier of ours names.
pub async fn id_of_accession(
    tx: &mut Tx,
    tenant: &str,
    accession: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT encounter_id FROM encounter WHERE tenant_id = $1 AND accession = $2";
    let row: Option<(String,)> = tx.fetch_optional(sql, args![tenant, accession]).await?;
    Ok(row.map(|(encounter,)| encounter))
}

/// The visits of a person's charts at a location on a clinic-local date.
pub async fn of_charts_on(
    tx: &mut Tx,
    tenant: &str,
    (location, visit_date): (&str, &str),
    chart_numbers: &[String],
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT e.encounter_id FROM encounter e
        JOIN patient p ON p.tenant_id = e.tenant_id AND p.patient_id = e.patient_id
        WHERE e.tenant_id = $1 AND e.location_id = $2 AND e.visit_date = $3
            AND p.chart_number = $4 ORDER BY e.encounter_id LIMIT $5";
    let mut found = Vec::new();
    for chart in chart_numbers {
        let args = args![tenant, location, visit_date, chart, DAY_MAX];
        let rows: Vec<(String,)> = tx.fetch_all(sql, args).await?;
        found.extend(rows.into_iter().map(|(encounter,)| encounter));
    }
    Ok(found)
}

/// The visit of a lane session.
pub async fn of_session(
    tx: &mut Tx,
    tenant: &str,
    lane_session: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT encounter_id FROM lane_session WHERE tenant_id = $1 AND lane_session_id = $2";
    let row: Option<(String,)> = tx.fetch_optional(sql, args![tenant, lane_session]).await?;
    Ok(row.map(|(encounter,)| encounter))
}
