//! Numbers over all practices, for monitoring.

use super::{Db, StoreError, Tx, batch::Words, waiting::on_readings};
use crate::args;

/// Place, number and age of the oldest of what waits.
pub async fn waiting(tx: &mut Tx) -> Result<Vec<(String, i64, i64)>, StoreError> {
    tx.fetch_all(WAITING.of(tx), args![]).await
}

const WAITING: Words = on_readings!(
    by "reading_waiting",
    "SELECT place, COUNT(*), MIN(captured_at_us)",
    "WHERE place IN ('tray', 'inbox', 'held') AND acceptance <> 'rejected' GROUP BY place"
);

/// Status and number of gateways.
pub async fn gateways(tx: &mut Tx) -> Result<Vec<(String, i64)>, StoreError> {
    let sql = "SELECT CASE WHEN revoked_at_us IS NULL THEN status ELSE 'revoked' END AS state,
            COUNT(*)
        FROM gateway GROUP BY CASE WHEN revoked_at_us IS NULL THEN status ELSE 'revoked' END";
    tx.fetch_all(sql, args![]).await
}

/// Numbers that gateways gave out and that have not come.
pub async fn missing(tx: &mut Tx) -> Result<u64, StoreError> {
    let sql = "SELECT gaps FROM stream WHERE gaps <> '[]'";
    let rows: Vec<(String,)> = tx.fetch_all(sql, args![]).await?;
    let mut missing = 0;
    for (gaps,) in rows {
        let parsed: Vec<(u64, u64)> = serde_json::from_str(&gaps).map_err(|_| {
            StoreError::Corrupt { table: "stream", what: "list of gaps", value: gaps }
        })?;
        missing += parsed.iter().map(|(first, last)| last - first + 1).sum::<u64>();
    }
    Ok(missing)
}

/// Uploads of images that have begun and are not filed.
pub async fn uploads(tx: &mut Tx) -> Result<i64, StoreError> {
    let row: (i64,) = tx.fetch_one("SELECT COUNT(*) FROM instance_upload", args![]).await?;
    Ok(row.0)
}

/// Connections to the database: in use, and idle.
pub fn connections(db: &Db) -> (usize, usize) {
    let of = |open: u32, idle: usize| ((open as usize).saturating_sub(idle), idle);
    match db {
        Db::Postgres(pool) => of(pool.size(), pool.num_idle()),
        Db::Sqlite { write, read } => {
            of(write.size() + read.size(), write.num_idle() + read.num_idle())
        }
    }
}
