//! The ledger of documents, the readings made of them, and what was rejected.

use super::{StoreError, Tx, batch};
use crate::args;
use chiasm_proto::Epoch;
use serde::Serialize;

/// A row of the ledger.
#[derive(Debug, Serialize)]
pub struct NewDocument<'a> {
    pub gateway_id: &'a str,
    pub epoch: String,
    pub seq: i64,
    pub document_id: &'a str,
    pub kind: &'a str,
    pub sha256: &'a str,
    pub captured_at_us: i64,
    pub received_at_us: i64,
    pub body: &'a str,
}

/// A reading with its first place.
#[derive(Debug, Clone, Serialize)]
pub struct NewReading {
    pub reading_id: String,
    pub gateway_id: String,
    pub epoch: String,
    pub seq: i64,
    pub location_id: String,
    pub lane_id: String,
    pub link_id: String,
    pub vendor: String,
    pub model: String,
    pub content_sha256: String,
    pub captured_at_us: i64,
    pub received_at_us: i64,
    pub claimed_patient: Option<String>,
    pub lane_session_id: Option<String>,
    pub place: crate::domain::placement::Place,
    pub reason: String,
    pub encounter_id: Option<String>,
    pub needs_a_look: bool,
    pub duplicate_of: Option<String>,
}

/// A document that cannot be filed.
#[derive(Debug)]
pub struct NewRejection<'a> {
    pub gateway_id: &'a str,
    pub epoch: String,
    pub seq: i64,
    pub sha256: &'a str,
    pub code: &'a str,
    pub detail: &'a str,
    pub received_at_us: i64,
    pub body: &'a str,
}

pub async fn insert(
    tx: &mut Tx,
    tenant: &str,
    documents: &[NewDocument<'_>],
    readings: &[NewReading],
) -> Result<(), StoreError> {
    batch::insert_documents(tx, tenant, documents).await?;
    batch::insert_readings(tx, tenant, readings).await
}

/// Hash of the document that stands under a number, if one does.
pub async fn sha256(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    epoch: Epoch,
    seq: i64,
) -> Result<Option<String>, StoreError> {
    let row: Option<(String,)> = tx
        .fetch_optional(
            "SELECT sha256 FROM document
             WHERE tenant_id = $1 AND gateway_id = $2 AND epoch = $3 AND seq = $4",
            args![tenant, gateway, epoch.to_string(), seq],
        )
        .await?;
    Ok(row.map(|(sha256,)| sha256))
}

/// Keeps a document that cannot be filed; false if it is kept already.
pub async fn reject(
    tx: &mut Tx,
    tenant: &str,
    rejection: NewRejection<'_>,
) -> Result<bool, StoreError> {
    let touched = tx
        .execute(
            "INSERT INTO rejected_document (tenant_id, gateway_id, epoch, seq, sha256, code,
                 detail, received_at_us, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (tenant_id, gateway_id, epoch, seq, sha256) DO NOTHING",
            args![
                tenant,
                rejection.gateway_id,
                rejection.epoch,
                rejection.seq,
                rejection.sha256,
                rejection.code,
                rejection.detail,
                rejection.received_at_us,
                rejection.body
            ],
        )
        .await?;
    Ok(touched == 1)
}

/// The first print of what may have been printed twice.
#[derive(Debug, Clone)]
pub struct SameContent<'a> {
    pub gateway: &'a str,
    pub link: &'a str,
    pub content_sha256: &'a str,
    pub lane_session: Option<&'a str>,
    /// First and last moment of capture.
    pub between_us: (i64, i64),
}

/// The reading with the same content from the same link in the same session.
pub async fn find_same(
    tx: &mut Tx,
    tenant: &str,
    same: SameContent<'_>,
) -> Result<Option<String>, StoreError> {
    let row: Option<(String,)> = tx
        .fetch_optional(
            "SELECT reading_id FROM reading
             WHERE tenant_id = $1 AND link_id = $2 AND content_sha256 = $3 AND gateway_id = $4
                 AND captured_at_us BETWEEN $5 AND $6 AND place <> 'duplicate'
                 AND COALESCE(lane_session_id, '') = $7
             ORDER BY captured_at_us LIMIT 1",
            args![
                tenant,
                same.link,
                same.content_sha256,
                same.gateway,
                same.between_us.0,
                same.between_us.1,
                same.lane_session.unwrap_or("")
            ],
        )
        .await?;
    Ok(row.map(|(reading,)| reading))
}

/// Counts one more print of a reading.
pub async fn count_sent_again(tx: &mut Tx, tenant: &str, reading: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE reading SET sent_count = sent_count + 1 WHERE tenant_id = $1 AND reading_id = $2",
        args![tenant, reading],
    )
    .await?;
    Ok(())
}
