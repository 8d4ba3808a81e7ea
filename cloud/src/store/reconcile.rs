//! The numbers of the conservation equation, as the database has them.

use super::{StoreError, Tx};
use crate::{args, domain::progress::Progress};

/// One epoch of one gateway.
#[derive(Debug, Clone)]
pub struct Epoch {
    pub gateway_id: String,
    pub epoch: String,
    pub progress: Progress,
}

pub async fn epochs(tx: &mut Tx, tenant: &str) -> Result<Vec<Epoch>, StoreError> {
    let rows: Vec<(String, String, i64, String)> = tx
        .fetch_all(
            "SELECT gateway_id, epoch, highest, gaps FROM stream WHERE tenant_id = $1
             ORDER BY gateway_id, first_at_us",
            args![tenant],
        )
        .await?;
    let epoch = |(gateway_id, epoch, highest, gaps): (String, String, i64, String)| {
        let gaps = serde_json::from_str(&gaps).map_err(|_| StoreError::Corrupt {
            table: "stream",
            what: "list of gaps",
            value: gaps,
        })?;
        let progress = Progress::new(u64::try_from(highest).unwrap_or(0), gaps);
        Ok(Epoch { gateway_id, epoch, progress })
    };
    rows.into_iter().map(epoch).collect()
}

/// Gateway, epoch, kind and number of documents.
pub async fn documents(
    tx: &mut Tx,
    tenant: &str,
) -> Result<Vec<(String, String, String, i64)>, StoreError> {
    tx.fetch_all(
        "SELECT gateway_id, epoch, kind, COUNT(*) FROM document WHERE tenant_id = $1
         GROUP BY gateway_id, epoch, kind",
        args![tenant],
    )
    .await
}

/// Gateway, epoch, place and number of readings.
pub async fn readings(
    tx: &mut Tx,
    tenant: &str,
) -> Result<Vec<(String, String, String, i64)>, StoreError> {
    tx.fetch_all(
        "SELECT gateway_id, epoch, place, COUNT(*) FROM reading WHERE tenant_id = $1
         GROUP BY gateway_id, epoch, place",
        args![tenant],
    )
    .await
}

/// Gateway, epoch and how many of its numbers are rejected and not filed.
pub async fn rejected(tx: &mut Tx, tenant: &str) -> Result<Vec<(String, String, i64)>, StoreError> {
    tx.fetch_all(
        "SELECT r.gateway_id, r.epoch, COUNT(DISTINCT r.seq) FROM rejected_document r
         WHERE r.tenant_id = $1 AND r.seq > 0 AND NOT EXISTS (
             SELECT 1 FROM document d WHERE d.tenant_id = r.tenant_id
                 AND d.gateway_id = r.gateway_id AND d.epoch = r.epoch AND d.seq = r.seq)
         GROUP BY r.gateway_id, r.epoch",
        args![tenant],
    )
    .await
}
