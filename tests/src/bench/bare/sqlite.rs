//! SQLite has no UNNEST; one prepared `INSERT … VALUES` of many rows per table and batch is what
//! costs least.

use super::{BATCH_ROWS, Column, Rows, TABLES, Table};
use anyhow::Result;
use sqlx::{
    AssertSqlSafe, Connection, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous},
};
use std::{ops::Range, str::FromStr};

async fn open(url: &str) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::from_str(url)?
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true);
    Ok(SqliteConnection::connect_with(&options).await?)
}

pub(super) async fn read(url: &str) -> Result<Vec<Rows>> {
    let mut connection = open(url).await?;
    let mut tables = Vec::new();
    for table in &TABLES {
        tables.push(read_table(&mut connection, table).await?);
    }
    Ok(tables)
}

async fn read_table(connection: &mut SqliteConnection, table: &Table) -> Result<Rows> {
    let described: Vec<(String, String)> =
        sqlx::query_as("SELECT name, type FROM pragma_table_info($1) ORDER BY cid")
            .bind(table.name)
            .fetch_all(&mut *connection)
            .await?;
    let mut columns = Vec::new();
    for (name, kind) in described {
        columns.push((name, Column::of_type(&kind)?));
    }
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let Table { name, of_readings, order } = table;
    let names = names.join(", ");
    let sql = format!("SELECT {names} FROM {name} WHERE {of_readings} ORDER BY {order}");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await?;
    for row in &rows {
        for (index, (_, column)) in columns.iter_mut().enumerate() {
            push(column, row, index)?;
        }
    }
    Ok(Rows { table: name, columns, count: rows.len() })
}

fn push(column: &mut Column, row: &SqliteRow, index: usize) -> Result<()> {
    match column {
        Column::Text(values) => values.push(row.try_get(index)?),
        Column::Int(values) => values.push(row.try_get(index)?),
        Column::Bool(values) => values.push(row.try_get(index)?),
    }
    Ok(())
}

pub(super) async fn insert(url: &str, tables: &[Rows]) -> Result<()> {
    let mut connection = open(url).await?;
    let count = tables.first().map_or(0, |rows| rows.count);
    for start in (0..count).step_by(BATCH_ROWS) {
        let batch = start..(start + BATCH_ROWS).min(count);
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
        for rows in tables {
            run(&mut tx, rows, batch.clone()).await?;
        }
        tx.commit().await?;
    }
    connection.close().await?;
    Ok(())
}

fn statement(rows: &Rows, count: usize) -> String {
    let names: Vec<&str> = rows.columns.iter().map(|(name, _)| name.as_str()).collect();
    let row = format!("({})", vec!["?"; rows.columns.len()].join(", "));
    let values = vec![row.as_str(); count].join(", ");
    format!("INSERT INTO {} ({}) VALUES {values}", rows.table, names.join(", "))
}

async fn run(connection: &mut SqliteConnection, rows: &Rows, batch: Range<usize>) -> Result<()> {
    let mut query = sqlx::query(AssertSqlSafe(statement(rows, batch.len())));
    for row in batch {
        for (_, column) in &rows.columns {
            query = match column {
                Column::Text(values) => query.bind(values[row].as_deref()),
                Column::Int(values) => query.bind(values[row]),
                Column::Bool(values) => query.bind(values[row]),
            };
        }
    }
    query.execute(connection).await?;
    Ok(())
}
