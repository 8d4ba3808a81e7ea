//! How far each gateway's numbers have come.

use super::{StoreError, Tx, batch};
use crate::{args, domain::progress::Progress};
use chiasm_proto::{Epoch, Rejection, ack::IdDigest};
use serde::Serialize;

/// Rejections that an acknowledgement repeats.
pub const REJECTIONS_MAX: i64 = 64;

/// Progress of one epoch, with the number of documents that were rejected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stream {
    pub progress: Progress,
    pub rejected: i64,
}

type Row = (i64, String, i64, Option<String>);

fn stream((highest, gaps, rejected, ids): Row) -> Result<Stream, StoreError> {
    let gaps = serde_json::from_str(&gaps).map_err(|_| StoreError::Corrupt {
        table: "stream",
        what: "list of gaps",
        value: gaps,
    })?;
    let highest = u64::try_from(highest).unwrap_or(0);
    let ids = match ids {
        // Made by the question that locks it, and empty.
        None if highest == 0 => Some(IdDigest::default()),
        ids => ids.and_then(|ids| ids.parse().ok()),
    };
    let progress = Progress::new(highest, gaps, ids);
    Ok(Stream { progress, rejected })
}

/// One epoch of one gateway, and when it was asked for.
#[derive(Debug, Serialize)]
pub struct StreamKey<'a> {
    pub gateway_id: &'a str,
    pub epoch: Epoch,
    pub now_us: i64,
}

/// The streams, locked until the commit, so that replicas that got parts of them take turns. To be
/// asked in the order of the keys by everybody.
pub async fn lock_all(
    tx: &mut Tx,
    tenant: &str,
    keys: &[StreamKey<'_>],
) -> Result<Vec<(String, Epoch, Stream)>, StoreError> {
    let rows = batch::lock_streams(tx, tenant, keys).await?;
    let parse = |(gateway, epoch, highest, gaps, rejected, ids): batch::StreamColumns| {
        let corrupt =
            |_| StoreError::Corrupt { table: "stream", what: "epoch", value: epoch.clone() };
        let parsed = epoch.parse().map_err(corrupt)?;
        Ok((gateway, parsed, stream((highest, gaps, rejected, ids))?))
    };
    rows.into_iter().map(parse).collect()
}

pub async fn get(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    epoch: Epoch,
) -> Result<Stream, StoreError> {
    let row: Option<Row> = tx
        .fetch_optional(
            "SELECT highest, gaps, rejected, ids FROM stream
             WHERE tenant_id = $1 AND gateway_id = $2 AND epoch = $3",
            args![tenant, gateway, epoch.to_string()],
        )
        .await?;
    row.map_or_else(|| Ok(Stream::default()), stream)
}

/// How far a stream has come, as it is written.
#[derive(Debug, Serialize)]
pub struct StreamRow<'a> {
    gateway_id: &'a str,
    epoch: Epoch,
    upto: i64,
    highest: i64,
    gaps: String,
    rejected: i64,
    ids: Option<String>,
}

impl<'a> StreamRow<'a> {
    pub fn new(gateway_id: &'a str, epoch: Epoch, stream: &Stream) -> Self {
        let number = |seq| i64::try_from(seq).unwrap_or(i64::MAX);
        let Stream { progress, rejected } = stream;
        Self {
            gateway_id,
            epoch,
            upto: number(progress.upto()),
            highest: number(progress.highest()),
            gaps: serde_json::to_string(progress.gaps()).expect("numbers always serialise"),
            rejected: *rejected,
            ids: progress.ids().map(|ids| ids.to_string()),
        }
    }
}

pub async fn save_all(tx: &mut Tx, tenant: &str, rows: &[StreamRow<'_>]) -> Result<(), StoreError> {
    batch::save_streams(tx, tenant, rows).await
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
