//! How far each gateway's numbers have come.

use super::{StoreError, Tx};
use crate::{args, domain::progress::Progress};
use chiasm_proto::{Epoch, Rejection};

/// Rejections that an acknowledgement repeats.
pub const REJECTIONS_MAX: i64 = 64;

/// Progress of one epoch, with the number of documents that were rejected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stream {
    pub progress: Progress,
    pub rejected: i64,
}

type Row = (i64, String, i64);

fn stream((highest, gaps, rejected): Row) -> Result<Stream, StoreError> {
    let gaps = serde_json::from_str(&gaps).map_err(|_| StoreError::Corrupt {
        table: "stream",
        what: "list of gaps",
        value: gaps,
    })?;
    let progress = Progress::new(u64::try_from(highest).unwrap_or(0), gaps);
    Ok(Stream { progress, rejected })
}

/// The stream, locked until the commit, so that replicas that got parts of it take turns.
pub async fn lock(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    epoch: Epoch,
    now_us: i64,
) -> Result<Stream, StoreError> {
    let row: Row = tx
        .fetch_one(
            "INSERT INTO stream (tenant_id, gateway_id, epoch, upto, highest, first_at_us,
                 last_at_us)
             VALUES ($1, $2, $3, 0, 0, $4, $4)
             ON CONFLICT (tenant_id, gateway_id, epoch)
             DO UPDATE SET last_at_us = excluded.last_at_us
             RETURNING highest, gaps, rejected",
            args![tenant, gateway, epoch.to_string(), now_us],
        )
        .await?;
    stream(row)
}

pub async fn get(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    epoch: Epoch,
) -> Result<Stream, StoreError> {
    let row: Option<Row> = tx
        .fetch_optional(
            "SELECT highest, gaps, rejected FROM stream
             WHERE tenant_id = $1 AND gateway_id = $2 AND epoch = $3",
            args![tenant, gateway, epoch.to_string()],
        )
        .await?;
    row.map_or_else(|| Ok(Stream::default()), stream)
}

pub async fn save(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    epoch: Epoch,
    stream: &Stream,
) -> Result<(), StoreError> {
    let number = |seq| i64::try_from(seq).unwrap_or(i64::MAX);
    let progress = &stream.progress;
    let gaps = serde_json::to_string(progress.gaps()).expect("numbers always serialise");
    tx.execute(
        "UPDATE stream SET upto = $4, highest = $5, gaps = $6, rejected = $7
         WHERE tenant_id = $1 AND gateway_id = $2 AND epoch = $3",
        args![
            tenant,
            gateway,
            epoch.to_string(),
            number(progress.upto()),
            number(progress.highest()),
            gaps,
            stream.rejected
        ],
    )
    .await?;
    Ok(())
}

/// The newest rejections of an epoch. A number that was rejected and has been filed since is left
/// out, unless other content came under it.
pub async fn rejections(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    epoch: Epoch,
) -> Result<Vec<Rejection>, StoreError> {
    let rows: Vec<(i64, String, String)> = tx
        .fetch_all(
            "SELECT r.seq, r.code, r.detail FROM rejected_document r
             WHERE r.tenant_id = $1 AND r.gateway_id = $2 AND r.epoch = $3
                 AND (r.code = 'content_differs' OR NOT EXISTS (
                     SELECT 1 FROM document d
                     WHERE d.tenant_id = r.tenant_id AND d.gateway_id = r.gateway_id
                         AND d.epoch = r.epoch AND d.seq = r.seq))
             ORDER BY r.received_at_us DESC, r.seq DESC LIMIT $4",
            args![tenant, gateway, epoch.to_string(), REJECTIONS_MAX],
        )
        .await?;
    let mut rejections: Vec<Rejection> = Vec::with_capacity(rows.len());
    for (seq, code, detail) in rows {
        let seq = u64::try_from(seq).unwrap_or(0);
        if rejections.iter().all(|known| known.seq != seq) {
            rejections.push(Rejection { seq, code, detail });
        }
    }
    Ok(rejections)
}
