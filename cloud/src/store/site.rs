//! Locations and lanes, as pages choose among them.

use super::{StoreError, Tx};
use crate::args;

crate::row! {
    pub struct Location {
        pub location_id: String,
        pub name: String,
        pub time_zone: String,
    }
}

crate::row! {
    /// A lane with its location and, if one is open, its session.
    pub struct Lane {
        pub lane_id: String,
        pub lane_name: String,
        pub location_id: String,
        pub location_name: String,
        pub time_zone: String,
        pub lane_session_id: Option<String>,
        pub encounter_id: Option<String>,
        pub opened_at_us: Option<i64>,
        pub opened_by: Option<String>,
        pub last_reading_at_us: Option<i64>,
        /// JSON of a `domain::correction::Purpose`.
        pub lens_purpose: Option<String>,
    }
}

pub async fn locations(tx: &mut Tx, tenant: &str) -> Result<Vec<Location>, StoreError> {
    let sql = "SELECT location_id, name, time_zone FROM location WHERE tenant_id = $1
        ORDER BY name, location_id";
    tx.fetch_all(sql, args![tenant]).await
}

pub async fn location(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
) -> Result<Option<Location>, StoreError> {
    let sql = "SELECT location_id, name, time_zone FROM location
        WHERE tenant_id = $1 AND location_id = $2";
    tx.fetch_optional(sql, args![tenant, location]).await
}

pub async fn lanes(tx: &mut Tx, tenant: &str) -> Result<Vec<Lane>, StoreError> {
    let sql = "SELECT lane.lane_id, lane.name AS lane_name, lane.location_id,
            location.name AS location_name, location.time_zone, s.lane_session_id,
            s.encounter_id, s.opened_at_us, s.opened_by, s.last_reading_at_us,
            s.lens_purpose
        FROM lane JOIN location ON location.tenant_id = lane.tenant_id
            AND location.location_id = lane.location_id
        LEFT JOIN lane_session s ON s.tenant_id = lane.tenant_id
            AND s.lane_id = lane.lane_id AND s.closed_at_us IS NULL
        WHERE lane.tenant_id = $1 ORDER BY location.name, lane.name, lane.lane_id";
    tx.fetch_all(sql, args![tenant]).await
}

pub async fn lane(tx: &mut Tx, tenant: &str, lane: &str) -> Result<Option<Lane>, StoreError> {
    let sql = "SELECT lane.lane_id, lane.name AS lane_name, lane.location_id,
            location.name AS location_name, location.time_zone, s.lane_session_id,
            s.encounter_id, s.opened_at_us, s.opened_by, s.last_reading_at_us,
            s.lens_purpose
        FROM lane JOIN location ON location.tenant_id = lane.tenant_id
            AND location.location_id = lane.location_id
        LEFT JOIN lane_session s ON s.tenant_id = lane.tenant_id
            AND s.lane_id = lane.lane_id AND s.closed_at_us IS NULL
        WHERE lane.tenant_id = $1 AND lane.lane_id = $2";
    tx.fetch_optional(sql, args![tenant, lane]).await
}

/// Identifier and name of a location's lanes.
pub async fn lanes_of(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT lane_id, name FROM lane WHERE tenant_id = $1 AND location_id = $2
        ORDER BY name, lane_id";
    tx.fetch_all(sql, args![tenant, location]).await
}
