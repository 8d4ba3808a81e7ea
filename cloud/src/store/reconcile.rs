//! The numbers of the conservation equation, as the database has them.

use super::{StoreError, Tx};
use crate::{
    args,
    domain::progress::Progress,
    store::document::{AGAIN_GATEWAY, TYPED_GATEWAY},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One epoch of one gateway.
#[derive(Debug, Clone)]
pub struct Epoch {
    pub gateway_id: String,
    pub epoch: String,
    pub progress: Progress,
    /// Every number up to here is in `counted`.
    pub counted_upto: i64,
    pub counted: Counted,
}

/// How many documents, by kind, and readings a stretch of numbers holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counted {
    pub documents: BTreeMap<String, i64>,
    /// Rows of readings that belong to these documents.
    pub readings: i64,
    /// Those of them that are second prints, which stay so for ever.
    pub second_prints: i64,
}

impl Counted {
    pub fn add(&mut self, more: Counted) {
        for (kind, n) in more.documents {
            *self.documents.entry(kind).or_default() += n;
        }
        self.readings += more.readings;
        self.second_prints += more.second_prints;
    }
}

pub async fn epochs(tx: &mut Tx, tenant: &str) -> Result<Vec<Epoch>, StoreError> {
    let rows: Vec<(String, String, i64, String, i64, String)> = tx
        .fetch_all(
            "SELECT gateway_id, epoch, highest, gaps, counted_upto, counted FROM stream
             WHERE tenant_id = $1 ORDER BY gateway_id, first_at_us",
            args![tenant],
        )
        .await?;
    type Row = (String, String, i64, String, i64, String);
    let epoch = |(gateway_id, epoch, highest, gaps, counted_upto, counted): Row| {
        let gaps = serde_json::from_str(&gaps).map_err(|_| StoreError::Corrupt {
            table: "stream",
            what: "list of gaps",
            value: gaps,
        })?;
        let progress = Progress::new(u64::try_from(highest).unwrap_or(0), gaps, None);
        let counted = serde_json::from_str(&counted).map_err(|_| StoreError::Corrupt {
            table: "stream",
            what: "count",
            value: counted,
        })?;
        Ok(Epoch { gateway_id, epoch, progress, counted_upto, counted })
    };
    rows.into_iter().map(epoch).collect()
}

/// Counts the documents of an epoch after a number and up to another.
pub async fn count(
    tx: &mut Tx,
    tenant: &str,
    (gateway, epoch): (&str, &str),
    (after, upto): (i64, i64),
) -> Result<Counted, StoreError> {
    let rows: Vec<(String, i64, i64, i64)> =
        tx.fetch_all(COUNT, args![tenant, gateway, epoch, after, upto]).await?;
    let mut counted = Counted::default();
    for (kind, documents, readings, second_prints) in rows {
        counted.add(Counted {
            documents: BTreeMap::from([(kind, documents)]),
            readings,
            second_prints,
        });
    }
    Ok(counted)
}

// A reading is looked up for each document: as a join, PostgreSQL would plan for all of them.
pub const COUNT: &str = "SELECT kind, COUNT(*), COUNT(place),
        COUNT(CASE WHEN place = 'duplicate' THEN 1 END)
    FROM (SELECT d.kind, (SELECT r.place FROM reading r
            WHERE r.tenant_id = d.tenant_id AND r.reading_id = d.document_id) AS place
        FROM document d
        WHERE d.tenant_id = $1 AND d.gateway_id = $2 AND d.epoch = $3 AND d.seq > $4
            AND d.seq <= $5) AS counted
    GROUP BY kind";

/// Keeps a count of an epoch up to a number; `false` when somebody else has kept one meanwhile.
pub async fn keep_count(
    tx: &mut Tx,
    tenant: &str,
    of: &Epoch,
    (upto, counted): (i64, &Counted),
) -> Result<bool, StoreError> {
    let sql = "UPDATE stream SET counted_upto = $5, counted = $6
        WHERE tenant_id = $1 AND gateway_id = $2 AND epoch = $3 AND counted_upto = $4";
    let counted = serde_json::to_string(counted).expect("numbers always serialise");
    let args = args![tenant, &of.gateway_id, &of.epoch, of.counted_upto, upto, counted];
    Ok(tx.execute(sql, args).await? == 1)
}

/// Gateway, epoch, place and number of readings that are not in an exam and no second print.
pub async fn not_in_exam(
    tx: &mut Tx,
    tenant: &str,
) -> Result<Vec<(String, String, String, i64)>, StoreError> {
    tx.fetch_all(NOT_IN_EXAM, args![tenant]).await
}

pub const NOT_IN_EXAM: &str = "SELECT gateway_id, epoch, place, COUNT(*) FROM reading
    WHERE tenant_id = $1 AND place IN ('tray', 'inbox', 'held')
    GROUP BY gateway_id, epoch, place";

/// Gateway, epoch, kind and number of documents: every single one is counted.
pub async fn documents(
    tx: &mut Tx,
    tenant: &str,
) -> Result<Vec<(String, String, String, i64)>, StoreError> {
    tx.fetch_all(
        "SELECT gateway_id, epoch, kind, COUNT(*) FROM document
         WHERE tenant_id = $1 AND gateway_id NOT IN ($2, $3) GROUP BY gateway_id, epoch, kind",
        args![tenant, TYPED_GATEWAY, AGAIN_GATEWAY],
    )
    .await
}

/// Gateway, epoch, place and number of readings.
pub async fn readings(
    tx: &mut Tx,
    tenant: &str,
) -> Result<Vec<(String, String, String, i64)>, StoreError> {
    tx.fetch_all(
        "SELECT gateway_id, epoch, place, COUNT(*) FROM reading
         WHERE tenant_id = $1 AND gateway_id NOT IN ($2, $3) GROUP BY gateway_id, epoch, place",
        args![tenant, TYPED_GATEWAY, AGAIN_GATEWAY],
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
