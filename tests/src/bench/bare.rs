//! What the database alone can do: the very rows that filing wrote, into the same tables of an
//! empty database of the same kind, in batches of the same size, from one connection.

mod postgres;
mod sqlite;

use anyhow::{Result, bail};
use chiasm_cloud::store::Db;
use std::time::{Duration, Instant};

/// Rows of one statement and documents of one transaction, as ingest batches them.
const BATCH_ROWS: usize = 200;

/// What filing one reading adds rows to. (It also moves the gateway's mark and the lane session on;
/// those are updates of one row and left out here.)
const TABLES: [Table; 3] = [
    Table { name: "document", of_readings: "kind = 'reading'", order: RECEIPT },
    Table { name: "reading", of_readings: "TRUE", order: RECEIPT },
    Table { name: "live_event", of_readings: "kind = 'reading_filed'", order: "event_id" },
];

/// As they came, or the indexes would grow in a kinder order than they did.
const RECEIPT: &str = "received_at_us, gateway_id, seq";

struct Table {
    name: &'static str,
    /// Which of its rows filing readings has written.
    of_readings: &'static str,
    order: &'static str,
}

/// One column's values: the rows stand column by column, as UNNEST takes them.
#[derive(Debug)]
enum Column {
    Text(Vec<Option<String>>),
    Int(Vec<Option<i64>>),
    Bool(Vec<Option<bool>>),
}

/// The rows of one table.
#[derive(Debug)]
struct Rows {
    table: &'static str,
    columns: Vec<(String, Column)>,
    count: usize,
}

/// What was inserted and how long it took.
#[derive(Debug, Clone, Copy)]
pub struct Bare {
    pub documents: usize,
    pub took: Duration,
}

impl Bare {
    pub fn per_second(&self) -> f64 {
        self.documents as f64 / self.took.as_secs_f64()
    }
}

/// Reads what was filed in one database and inserts it into another, which is made for it.
pub async fn insert_again(from: &str, into: &str) -> Result<Bare> {
    let empty = Db::open(into).await?;
    empty.migrate().await?;
    empty.close().await;
    let is_postgres = into.starts_with("postgres:");
    let tables = if is_postgres { postgres::read(from).await? } else { sqlite::read(from).await? };
    let documents = tables[0].count;
    for rows in &tables {
        if rows.count != documents {
            bail!("{} rows of {} for {documents} documents", rows.count, rows.table);
        }
    }
    let start = Instant::now();
    if is_postgres {
        postgres::insert(into, &tables).await?;
    } else {
        sqlite::insert(into, &tables).await?;
    }
    Ok(Bare { documents, took: start.elapsed() })
}

impl Column {
    fn of_type(kind: &str) -> Result<Self> {
        match kind.to_ascii_lowercase().as_str() {
            "text" => Ok(Column::Text(Vec::new())),
            "bigint" => Ok(Column::Int(Vec::new())),
            "boolean" => Ok(Column::Bool(Vec::new())),
            other => bail!("a column of type {other} is not foreseen here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chiasm_cloud::args;

    const DOCUMENT: &str = "INSERT INTO document (tenant_id, gateway_id, epoch, seq, document_id, \
        kind, sha256, captured_at_us, received_at_us, body) \
        VALUES ('acme', 'gw', 'e', $1, $2, 'reading', 'h', $1, $1, '{}')";
    const READING: &str = "INSERT INTO reading (tenant_id, reading_id, gateway_id, epoch, seq, \
        location_id, lane_id, link_id, vendor, model, content_sha256, captured_at_us, \
        received_at_us, place, reason, needs_a_look) \
        VALUES ('acme', $2, 'gw', 'e', $1, 'main', 'lane-1', 'ark', 'N', 'ARK', 'c', $1, $1, \
        'tray', 'no session', TRUE)";
    const EVENT: &str = "INSERT INTO live_event (tenant_id, event_id, at_us, kind, subject) \
        VALUES ('acme', $1, $1, 'reading_filed', $2)";

    #[tokio::test]
    async fn every_row_is_inserted_again() {
        let folder = tempfile::tempdir().unwrap();
        let url = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
        let count = BATCH_ROWS as i64 + 3;
        let db = Db::open(&url("from")).await.unwrap();
        db.migrate().await.unwrap();
        let mut tx = db.tenant("acme").await.unwrap();
        for seq in 1..=count {
            for sql in [DOCUMENT, READING, EVENT] {
                tx.execute(sql, args![seq, format!("id-{seq}")]).await.unwrap();
            }
        }
        tx.commit().await.unwrap();
        db.close().await;
        let bare = insert_again(&url("from"), &url("into")).await.unwrap();
        assert_eq!(bare.documents as i64, count);
        let from = sqlite::read(&url("from")).await.unwrap();
        let into = sqlite::read(&url("into")).await.unwrap();
        assert_eq!(format!("{from:?}"), format!("{into:?}"));
    }
}
