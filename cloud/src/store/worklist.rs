//! The schedule of a gateway's location, as imagers ask for it.

use super::{StoreError, Tx, site::Location};
use crate::args;

crate::row! {
    pub struct Visit {
        pub encounter_id: String,
        pub accession: String,
        pub scheduled_at_us: i64,
        pub reason: String,
        pub chart_number: String,
        pub family_name: String,
        pub given_name: String,
        /// `YYYY-MM-DD`.
        pub birth_date: String,
    }
}

/// The location of a gateway that is not revoked.
pub async fn location_of(
    tx: &mut Tx,
    tenant: &str,
    gateway: &str,
) -> Result<Option<Location>, StoreError> {
    let sql = "SELECT l.location_id, l.name, l.time_zone FROM gateway g
        JOIN location l ON l.tenant_id = g.tenant_id AND l.location_id = g.location_id
        WHERE g.tenant_id = $1 AND g.gateway_id = $2 AND g.revoked_at_us IS NULL";
    tx.fetch_optional(sql, args![tenant, gateway]).await
}

/// Visits of a location between two clinic-local dates, both included. A chart that was merged is
/// shown as the one that survives (D10).
pub async fn visits(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
    (first, last): (&str, &str),
    limit: i64,
) -> Result<Vec<Visit>, StoreError> {
    let sql = "SELECT e.encounter_id, e.accession, e.scheduled_at_us, e.reason, p.chart_number,
            p.family_name, p.given_name, p.birth_date
        FROM encounter e
        JOIN patient o ON o.tenant_id = e.tenant_id AND o.patient_id = e.patient_id
        JOIN patient p ON p.tenant_id = e.tenant_id
            AND p.patient_id = COALESCE(o.merged_into, o.patient_id)
        WHERE e.tenant_id = $1 AND e.location_id = $2 AND e.visit_date >= $3
            AND e.visit_date <= $4 AND e.accession IS NOT NULL
        ORDER BY e.scheduled_at_us, e.encounter_id LIMIT $5";
    tx.fetch_all(sql, args![tenant, location, first, last, limit]).await
}

/// Gateways that serve a location.
pub async fn gateways_of(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT gateway_id FROM gateway
        WHERE tenant_id = $1 AND location_id = $2 AND revoked_at_us IS NULL";
    let rows: Vec<(String,)> = tx.fetch_all(sql, args![tenant, location]).await?;
    Ok(rows.into_iter().map(|(gateway,)| gateway).collect())
}

/// Tenant and location of every gateway that is connected.
pub async fn connected(tx: &mut Tx) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT DISTINCT tenant_id, location_id FROM gateway
        WHERE status = 'online' AND revoked_at_us IS NULL";
    tx.fetch_all(sql, args![]).await
}
