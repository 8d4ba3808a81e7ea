//! A patient over all visits: one page of visits at a time, and the readings of that page.

use super::{StoreError, Tx, exam::ReadingRow};
use crate::{args, reading_rows};

/// Visits on one page, and in one plot.
pub const VISITS_MAX: i64 = 10;
/// Most readings that one page of visits is made of.
pub const READINGS_MAX: i64 = 800;
/// Most readings of earlier visits that an exam is compared with.
pub const EARLIER_MAX: i64 = 120;

crate::row! {
    /// A visit with its place and how many readings it has.
    pub struct Visit {
        pub encounter_id: String,
        pub location_id: String,
        pub location_name: String,
        pub time_zone: String,
        /// Clinic-local, `YYYY-MM-DD`.
        pub visit_date: String,
        pub scheduled_at_us: i64,
        pub reason: String,
        /// Of the chart that the visit was made under: another one where charts were merged.
        pub chart_number: String,
        pub pending: i64,
        /// Readings that are not rejected.
        pub filed: i64,
    }
}

/// A place in the list of visits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub scheduled_at_us: i64,
    pub encounter_id: String,
}

impl Position {
    /// Before everything that is scheduled earlier than a moment.
    pub fn at(scheduled_at_us: i64) -> Self {
        Self { scheduled_at_us, encounter_id: String::new() }
    }
    pub fn of(visit: &Visit) -> Self {
        let (scheduled_at_us, encounter_id) = (visit.scheduled_at_us, visit.encounter_id.clone());
        Self { scheduled_at_us, encounter_id }
    }
}

/// Up to [`VISITS_MAX`] visits before a position, latest first, and whether there are older ones.
pub async fn visits(
    tx: &mut Tx,
    tenant: &str,
    patient: &str,
    before: &Position,
) -> Result<(Vec<Visit>, bool), StoreError> {
    let sql = "SELECT e.encounter_id, e.location_id, COALESCE(l.name, e.location_id)
                AS location_name, COALESCE(l.time_zone, 'UTC') AS time_zone, e.visit_date,
            e.scheduled_at_us, e.reason, p.chart_number,
            (SELECT COUNT(*) FROM reading r WHERE r.tenant_id = e.tenant_id
                AND r.encounter_id = e.encounter_id AND r.place = 'exam'
                AND r.acceptance = 'pending') AS pending,
            (SELECT COUNT(*) FROM reading r WHERE r.tenant_id = e.tenant_id
                AND r.encounter_id = e.encounter_id AND r.place = 'exam'
                AND r.acceptance <> 'rejected') AS filed
        FROM encounter e JOIN patient p
            ON p.tenant_id = e.tenant_id AND p.patient_id = e.patient_id
        LEFT JOIN location l ON l.tenant_id = e.tenant_id AND l.location_id = e.location_id
        WHERE e.tenant_id = $1 AND e.patient_id IN (SELECT c.patient_id FROM patient c
                    WHERE c.tenant_id = $1 AND c.patient_id = $2
                UNION ALL SELECT m.patient_id FROM patient m
                    WHERE m.tenant_id = $1 AND m.merged_into = $2)
            AND (e.scheduled_at_us, e.encounter_id) < ($3, $4)
        ORDER BY e.scheduled_at_us DESC, e.encounter_id DESC LIMIT $5";
    let Position { scheduled_at_us, encounter_id } = before;
    let args = args![tenant, patient, *scheduled_at_us, encounter_id, VISITS_MAX + 1];
    let mut visits: Vec<Visit> = tx.fetch_all(sql, args).await?;
    let has_older = visits.len() as i64 > VISITS_MAX;
    visits.truncate(VISITS_MAX as usize);
    Ok((visits, has_older))
}

// CROSS JOIN says to SQLite where to begin: with the visits of the patient. It would rather read all
// readings of the practice and ask of each whose it is. To PostgreSQL it says nothing.

/// The readings in the exams from one visit to another, without rejected ones, latest first.
pub async fn readings(
    tx: &mut Tx,
    tenant: &str,
    patient: &str,
    (oldest, latest): (&Position, &Position),
) -> Result<Vec<ReadingRow>, StoreError> {
    let sql = reading_rows!(
        from "encounter e CROSS JOIN reading r",
        "WHERE e.tenant_id = $1 AND r.tenant_id = $1 AND r.encounter_id = e.encounter_id
            AND e.patient_id IN (SELECT c.patient_id FROM patient c
                    WHERE c.tenant_id = $1 AND c.patient_id = $2
                UNION ALL SELECT m.patient_id FROM patient m
                    WHERE m.tenant_id = $1 AND m.merged_into = $2)
            AND (e.scheduled_at_us, e.encounter_id) >= ($3, $4)
            AND (e.scheduled_at_us, e.encounter_id) <= ($5, $6)
            AND r.place = 'exam' AND r.acceptance <> 'rejected'
        ORDER BY e.scheduled_at_us DESC, e.encounter_id DESC, r.captured_at_us DESC, r.seq DESC
        LIMIT $7"
    );
    let args = args![
        tenant,
        patient,
        oldest.scheduled_at_us,
        &oldest.encounter_id,
        latest.scheduled_at_us,
        &latest.encounter_id,
        READINGS_MAX,
    ];
    tx.fetch_all(sql, args).await
}

/// The last readings of the visits before one, without rejected ones, latest first.
pub async fn earlier(
    tx: &mut Tx,
    tenant: &str,
    patient: &str,
    before: &Position,
) -> Result<Vec<ReadingRow>, StoreError> {
    let sql = reading_rows!(
        from "encounter e CROSS JOIN reading r",
        "WHERE e.tenant_id = $1 AND r.tenant_id = $1 AND r.encounter_id = e.encounter_id
            AND e.patient_id IN (SELECT c.patient_id FROM patient c
                    WHERE c.tenant_id = $1 AND c.patient_id = $2
                UNION ALL SELECT m.patient_id FROM patient m
                    WHERE m.tenant_id = $1 AND m.merged_into = $2)
            AND (e.scheduled_at_us, e.encounter_id) < ($3, $4)
            AND r.place = 'exam' AND r.acceptance <> 'rejected'
        ORDER BY e.scheduled_at_us DESC, e.encounter_id DESC, r.captured_at_us DESC, r.seq DESC
        LIMIT $5"
    );
    let Position { scheduled_at_us, encounter_id } = before;
    tx.fetch_all(sql, args![tenant, patient, *scheduled_at_us, encounter_id, EARLIER_MAX]).await
}
