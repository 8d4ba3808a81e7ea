//! Why captures gave no reading, and the captures themselves.

use super::{StoreError, Tx};
use crate::args;
use chiasm_proto::DriverRef;

/// Most groups that are told apart.
const GROUPS_MAX: i64 = 2000;
/// Where a driver found nothing in particular to refuse.
const NO_BYTE: i64 = -1;

/// Bytes that gave no reading, as they are filed.
#[derive(Debug)]
pub struct NewFailure<'a> {
    pub document_id: &'a str,
    pub gateway_id: &'a str,
    pub link_id: &'a str,
    pub driver: Option<&'a DriverRef>,
    pub code: &'a str,
    pub first_byte: Option<i64>,
    pub captured_at_us: i64,
}

pub async fn add(tx: &mut Tx, tenant: &str, new: NewFailure<'_>) -> Result<(), StoreError> {
    let sql = "INSERT INTO parse_failure (tenant_id, document_id, gateway_id, link_id, driver_id,
            driver_version, code, first_byte, captured_at_us)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (tenant_id, document_id) DO NOTHING";
    let (id, version) = new.driver.map_or(("", ""), |it| (&it.id, &it.version));
    let args = args![
        tenant,
        new.document_id,
        new.gateway_id,
        new.link_id,
        id,
        version,
        new.code,
        new.first_byte.unwrap_or(NO_BYTE),
        new.captured_at_us,
    ];
    tx.execute(sql, args).await?;
    Ok(())
}

crate::row! {
    /// Failures of one link that are alike.
    pub struct Alike {
        pub gateway_id: String,
        pub location_id: String,
        pub link_id: String,
        pub driver_id: String,
        pub driver_version: String,
        pub code: String,
        pub first_byte: i64,
        pub count: i64,
        /// Of which a later driver has made readings.
        pub read: i64,
        pub first_at_us: i64,
        pub last_at_us: i64,
        /// The last of them.
        pub sample: String,
    }
}

impl Alike {
    pub fn position(&self) -> Option<i64> {
        (self.first_byte != NO_BYTE).then_some(self.first_byte)
    }
}

/// The failures since a moment, the most frequent first.
pub async fn alike(tx: &mut Tx, tenant: &str, since_us: i64) -> Result<Vec<Alike>, StoreError> {
    // A document's identifier begins with its time: the greatest is the last.
    let sql = "SELECT f.gateway_id, COALESCE(g.location_id, '') AS location_id, f.link_id,
            f.driver_id, f.driver_version, f.code, f.first_byte, COUNT(*) AS count,
            COUNT(f.read_at_us) AS read, MIN(f.captured_at_us) AS first_at_us,
            MAX(f.captured_at_us) AS last_at_us, MAX(f.document_id) AS sample
        FROM parse_failure f
        LEFT JOIN gateway g ON g.tenant_id = f.tenant_id AND g.gateway_id = f.gateway_id
        WHERE f.tenant_id = $1 AND f.captured_at_us >= $2
        GROUP BY f.gateway_id, g.location_id, f.link_id, f.driver_id, f.driver_version, f.code,
            f.first_byte
        ORDER BY COUNT(*) DESC LIMIT $3";
    tx.fetch_all(sql, args![tenant, since_us, GROUPS_MAX]).await
}

crate::row! {
    /// One capture.
    pub struct CaptureRow {
        pub document_id: String,
        pub gateway_id: String,
        pub location_id: String,
        pub time_zone: String,
        pub captured_at_us: i64,
        pub received_at_us: i64,
        /// JSON of `chiasm_proto::Envelope`.
        pub body: String,
    }
}

pub async fn capture(
    tx: &mut Tx,
    tenant: &str,
    document: &str,
) -> Result<Option<CaptureRow>, StoreError> {
    let sql = "SELECT d.document_id, d.gateway_id, COALESCE(g.location_id, '') AS location_id,
            COALESCE(l.time_zone, 'UTC') AS time_zone, d.captured_at_us, d.received_at_us, d.body
        FROM document d
        LEFT JOIN gateway g ON g.tenant_id = d.tenant_id AND g.gateway_id = d.gateway_id
        LEFT JOIN location l ON l.tenant_id = g.tenant_id AND l.location_id = g.location_id
        WHERE d.tenant_id = $1 AND d.document_id = $2 AND d.kind = 'capture'";
    tx.fetch_optional(sql, args![tenant, document]).await
}

/// The document of the last reading that a link gave since a moment.
pub async fn last_reading(
    tx: &mut Tx,
    tenant: &str,
    (location, gateway, link): (&str, &str, &str),
    since_us: i64,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT d.body FROM reading r
        JOIN document d ON d.tenant_id = r.tenant_id AND d.gateway_id = r.gateway_id
            AND d.epoch = r.epoch AND d.seq = r.seq
        WHERE r.tenant_id = $1 AND r.location_id = $2 AND r.gateway_id = $3 AND r.link_id = $4
            AND r.captured_at_us >= $5
        ORDER BY r.captured_at_us DESC LIMIT 1";
    let row: Option<(String,)> =
        tx.fetch_optional(sql, args![tenant, location, gateway, link, since_us]).await?;
    Ok(row.map(|(body,)| body))
}

/// Notes that a later driver has made readings of a capture.
pub async fn note_read(
    tx: &mut Tx,
    tenant: &str,
    document: &str,
    now_us: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE parse_failure SET read_at_us = $3 WHERE tenant_id = $1 AND document_id = $2";
    tx.execute(sql, args![tenant, document, now_us]).await?;
    Ok(())
}
