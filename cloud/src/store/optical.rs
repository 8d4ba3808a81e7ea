//! Signed prescriptions on their way to the optician.

use super::{StoreError, Tx};
use crate::args;

/// Most prescriptions that one list shows.
pub const PRESCRIBED_MAX: i64 = 300;

crate::row! {
    /// A signed exam with a final prescription, and whether optical has it.
    pub struct Prescribed {
        pub encounter_id: String,
        pub visit_date: String,
        pub family_name: String,
        pub given_name: String,
        pub birth_date: String,
        pub chart_number: String,
        pub signed_at_us: i64,
        pub signed_by: String,
        /// JSON of `domain::prescription`.
        pub body: String,
        pub received_at_us: Option<i64>,
        pub received_by: Option<String>,
    }
}

/// The columns of [`Prescribed`] and where they come from.
macro_rules! prescribed {
    ($rest:literal) => {
        concat!(
            "SELECT e.encounter_id, e.visit_date, p.family_name, p.given_name, p.birth_date,
                p.chart_number, s.signed_at_us, s.signed_by, f.body, h.received_at_us,
                h.received_by
            FROM encounter e
            JOIN exam_signature s
                ON s.tenant_id = e.tenant_id AND s.encounter_id = e.encounter_id
            JOIN exam_entry f ON f.tenant_id = e.tenant_id AND f.encounter_id = e.encounter_id
                AND f.kind = 'final'
            JOIN patient p ON p.tenant_id = e.tenant_id AND p.patient_id = e.patient_id
            LEFT JOIN optical_handoff h
                ON h.tenant_id = e.tenant_id AND h.encounter_id = e.encounter_id ",
            $rest
        )
    };
}

/// Those of a day, what is not received first.
pub async fn of_day(
    tx: &mut Tx,
    tenant: &str,
    (location, date): (&str, &str),
) -> Result<Vec<Prescribed>, StoreError> {
    let sql = prescribed!(
        "WHERE e.tenant_id = $1 AND e.location_id = $2 AND e.visit_date = $3
        ORDER BY CASE WHEN h.received_at_us IS NULL THEN 0 ELSE 1 END, s.signed_at_us,
            e.encounter_id LIMIT $4"
    );
    tx.fetch_all(sql, args![tenant, location, date, PRESCRIBED_MAX]).await
}

/// Those of the days from one to before another that nobody received, latest first.
pub async fn not_received(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
    (from, before): (&str, &str),
) -> Result<Vec<Prescribed>, StoreError> {
    let sql = prescribed!(
        "WHERE e.tenant_id = $1 AND e.location_id = $2 AND e.visit_date >= $3
            AND e.visit_date < $4 AND h.received_at_us IS NULL
        ORDER BY s.signed_at_us DESC, e.encounter_id LIMIT $5"
    );
    tx.fetch_all(sql, args![tenant, location, from, before, PRESCRIBED_MAX]).await
}

/// Those of a location by chart number or the start of a name, latest first.
pub async fn find(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
    text: &str,
) -> Result<Vec<Prescribed>, StoreError> {
    let sql = prescribed!(
        "WHERE e.tenant_id = $1 AND e.location_id = $2 AND (p.chart_number = $3
            OR LOWER(p.family_name) LIKE $4 ESCAPE '\\' OR p.family_name LIKE $5 ESCAPE '\\')
        ORDER BY s.signed_at_us DESC, e.encounter_id LIMIT $6"
    );
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    // SQLite lowers ASCII only: a capital such as in Özil is found as it was typed.
    let (lower, typed) = (format!("{}%", escaped.to_lowercase()), format!("{escaped}%"));
    tx.fetch_all(sql, args![tenant, location, text, lower, typed, PRESCRIBED_MAX]).await
}

/// When optical received a prescription, and by whom.
pub async fn handoff(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Option<(i64, String)>, StoreError> {
    let sql = "SELECT received_at_us, received_by FROM optical_handoff
        WHERE tenant_id = $1 AND encounter_id = $2";
    tx.fetch_optional(sql, args![tenant, encounter]).await
}

/// `false` when it was received already.
pub async fn receive(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
    (account, now_us): (&str, i64),
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO optical_handoff (tenant_id, encounter_id, received_at_us, received_by)
        VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, encounter_id) DO NOTHING";
    Ok(tx.execute(sql, args![tenant, encounter, now_us, account]).await? == 1)
}
