//! The ledger of documents, the readings made of them, and what was rejected.

use super::{StoreError, Tx, batch};
use crate::args;
use chiasm_proto::Epoch;
use std::collections::HashMap;

/// The gateway column of typed readings: no gateway can have this name. Each of them is an epoch of
/// its own, which no gateway numbers and no proof counts.
pub const TYPED_GATEWAY: &str = "@manual";

/// The same of readings that a later driver made of a capture: the capture's document is counted, and
/// each of these is a document of its own under the capture's identifier as its epoch.
pub const AGAIN_GATEWAY: &str = "@again";

/// A row of the ledger.
#[derive(Debug)]
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
#[derive(Debug, Clone)]
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
    /// What a person had said before the print: see `domain::correction`.
    pub correction: Option<String>,
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

/// Marks a reading as typed, and accepted by who typed it.
pub async fn mark_manual(
    tx: &mut Tx,
    tenant: &str,
    reading: &str,
    (account, now_us): (&str, i64),
) -> Result<(), StoreError> {
    let sql = "UPDATE reading SET is_manual = $3, acceptance = 'accepted', changed_at_us = $4,
            changed_by = $5, change_reason = 'typed', accepted_at_us = $4, accepted_by = $5
        WHERE tenant_id = $1 AND reading_id = $2";
    tx.execute(sql, args![tenant, reading, true, now_us, account]).await?;
    Ok(())
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

/// A gateway's document with this identifier, whatever its number: its bytes.
pub async fn body_of(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    document_id: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT body FROM document
        WHERE tenant_id = $1 AND document_id = $3 AND gateway_id = $2";
    let row: Option<(String,)> =
        tx.fetch_optional(sql, args![tenant, gateway, document_id]).await?;
    Ok(row.map(|(body,)| body))
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

/// A reading that may be printed a second time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Print {
    pub reading_id: String,
    pub gateway_id: String,
    pub link_id: String,
    pub lane_session_id: Option<String>,
    /// The exam in which it is now.
    pub encounter_id: Option<String>,
    pub captured_at_us: i64,
}

/// Readings with one of these contents, captured between the two moments, by content.
pub async fn prints(
    tx: &mut Tx,
    tenant: &str,
    contents: &[&str],
    between_us: (i64, i64),
) -> Result<HashMap<String, Vec<Print>>, StoreError> {
    let mut prints: HashMap<String, Vec<Print>> = HashMap::new();
    for row in batch::select_prints(tx, tenant, contents, between_us).await? {
        let (content, reading_id, gateway_id, link_id, lane_session_id, encounter_id, at_us) = row;
        let print = Print {
            reading_id,
            gateway_id,
            link_id,
            lane_session_id,
            encounter_id,
            captured_at_us: at_us,
        };
        prints.entry(content).or_default().push(print);
    }
    Ok(prints)
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
