//! What the database alone can do: the same rows, into the same table, in batches of the same size.

use crate::{cloud::TENANT, load::Backlog};
use anyhow::{Result, bail};
use chiasm_proto::{Envelope, Sha256};
use sqlx::{
    Connection, PgConnection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    str::FromStr,
    time::{Duration, Instant},
};

/// Rows of one transaction, as ingest batches them.
const BATCH_ROWS: usize = 200;

/// Inserts a backlog's rows into `document` and gives the time that it took.
pub async fn insert(url: &str, backlog: &Backlog) -> Result<Duration> {
    if url.starts_with("postgres:") {
        postgres(url, backlog).await
    } else if url.starts_with("sqlite:") {
        sqlite(url, backlog).await
    } else {
        bail!("`{url}` is neither SQLite nor PostgreSQL")
    }
}

const POSTGRES_INSERT: &str = "INSERT INTO document (tenant_id, gateway_id, epoch, seq, \
    document_id, kind, sha256, captured_at_us, received_at_us, body) \
    SELECT $1, $2, $3, seq, id, 'reading', sha256, captured, captured, body \
    FROM UNNEST($4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::text[]) \
    AS row (seq, id, sha256, captured, body) \
    ON CONFLICT (tenant_id, gateway_id, epoch, seq) DO NOTHING";

async fn postgres(url: &str, backlog: &Backlog) -> Result<Duration> {
    let mut connection = PgConnection::connect(url).await?;
    let start = Instant::now();
    for batch in backlog.documents.chunks(BATCH_ROWS) {
        let mut tx = connection.begin().await?;
        sqlx::query("SELECT set_config('chiasm.tenant', $1, true)")
            .bind(TENANT)
            .execute(&mut *tx)
            .await?;
        let column = |cell: fn(&(Envelope, Vec<u8>)) -> String| -> Vec<String> {
            batch.iter().map(cell).collect()
        };
        let number = |cell: fn(&(Envelope, Vec<u8>)) -> i64| -> Vec<i64> {
            batch.iter().map(cell).collect()
        };
        sqlx::query(POSTGRES_INSERT)
            .bind(TENANT)
            .bind("bare")
            .bind(backlog.epoch.to_string())
            .bind(number(|(envelope, _)| envelope.seq.cast_signed()))
            .bind(column(|(envelope, _)| format!("bare-{}", envelope.id)))
            .bind(column(|(_, json)| Sha256::of(json).to_string()))
            .bind(number(|(envelope, _)| envelope.time.as_microsecond()))
            .bind(column(|(_, json)| String::from_utf8_lossy(json).into_owned()))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
    }
    Ok(start.elapsed())
}

/// SQLite has no UNNEST; a prepared statement in one transaction is its fastest way.
const SQLITE_INSERT: &str = "INSERT INTO document (tenant_id, gateway_id, epoch, seq, \
    document_id, kind, sha256, captured_at_us, received_at_us, body) \
    VALUES ($1, $2, $3, $4, $5, 'reading', $6, $7, $7, $8) \
    ON CONFLICT (tenant_id, gateway_id, epoch, seq) DO NOTHING";

async fn sqlite(url: &str, backlog: &Backlog) -> Result<Duration> {
    let options = SqliteConnectOptions::from_str(url)?
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(30));
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let start = Instant::now();
    for batch in backlog.documents.chunks(BATCH_ROWS) {
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
        for (envelope, json) in batch {
            sqlx::query(SQLITE_INSERT)
                .bind(TENANT)
                .bind("bare")
                .bind(backlog.epoch.to_string())
                .bind(envelope.seq.cast_signed())
                .bind(format!("bare-{}", envelope.id))
                .bind(Sha256::of(json).to_string())
                .bind(envelope.time.as_microsecond())
                .bind(String::from_utf8_lossy(json).into_owned())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
    }
    Ok(start.elapsed())
}
