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

/// Documents of one epoch that were kept without being filed.
#[derive(Debug, Clone)]
pub struct Rejected {
    pub gateway_id: String,
    pub epoch: String,
    /// Numbers under which nothing is filed.
    pub numbers: i64,
    /// Other contents of numbers under which something is filed.
    pub differing: i64,
    /// Documents without a number.
    pub unnumbered: i64,
}

pub async fn rejected(tx: &mut Tx, tenant: &str) -> Result<Vec<Rejected>, StoreError> {
    let rows: Vec<(String, String, i64, i64, i64)> = tx
        .fetch_all(
            "SELECT r.gateway_id, r.epoch,
                 COUNT(DISTINCT CASE WHEN r.seq > 0 AND d.seq IS NULL THEN r.seq END),
                 COUNT(CASE WHEN d.seq IS NOT NULL AND r.code = 'content_differs' THEN 1 END),
                 COUNT(CASE WHEN r.seq = 0 THEN 1 END)
             FROM rejected_document r LEFT JOIN document d
                 ON d.tenant_id = r.tenant_id AND d.gateway_id = r.gateway_id
                     AND d.epoch = r.epoch AND d.seq = r.seq
             WHERE r.tenant_id = $1 GROUP BY r.gateway_id, r.epoch",
            args![tenant],
        )
        .await?;
    let rejected = |(gateway_id, epoch, numbers, differing, unnumbered)| Rejected {
        gateway_id,
        epoch,
        numbers,
        differing,
        unnumbered,
    };
    Ok(rows.into_iter().map(rejected).collect())
}
