//! PostgreSQL: one `INSERT … SELECT … FROM UNNEST` per table and batch.

use super::{BATCH_ROWS, Column, Rows, TABLES, Table};
use anyhow::Result;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, postgres::PgRow};
use std::ops::Range;

/// Row-level security shows and takes rows of the tenant that is set; `*` is all.
const ALL_TENANTS: &str = "SELECT set_config('chiasm.tenant', '*', true)";

pub(super) async fn read(url: &str) -> Result<Vec<Rows>> {
    let mut connection = PgConnection::connect(url).await?;
    let mut tx = connection.begin().await?;
    sqlx::query(ALL_TENANTS).execute(&mut *tx).await?;
    let mut tables = Vec::new();
    for table in &TABLES {
        tables.push(read_table(&mut tx, table).await?);
    }
    Ok(tables)
}

async fn read_table(connection: &mut PgConnection, table: &Table) -> Result<Rows> {
    let described: Vec<(String, String)> = sqlx::query_as(
        "SELECT column_name::text, data_type::text FROM information_schema.columns \
         WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position",
    )
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

fn push(column: &mut Column, row: &PgRow, index: usize) -> Result<()> {
    match column {
        Column::Text(values) => values.push(row.try_get(index)?),
        Column::Int(values) => values.push(row.try_get(index)?),
        Column::Bool(values) => values.push(row.try_get(index)?),
    }
    Ok(())
}

pub(super) async fn insert(url: &str, tables: &[Rows]) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    let statements: Vec<String> = tables.iter().map(statement).collect();
    let count = tables.first().map_or(0, |rows| rows.count);
    for start in (0..count).step_by(BATCH_ROWS) {
        let batch = start..(start + BATCH_ROWS).min(count);
        let mut tx = connection.begin().await?;
        sqlx::query(ALL_TENANTS).execute(&mut *tx).await?;
        for (rows, statement) in tables.iter().zip(&statements) {
            run(&mut tx, statement, rows, batch.clone()).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

fn statement(rows: &Rows) -> String {
    let names: Vec<&str> = rows.columns.iter().map(|(name, _)| name.as_str()).collect();
    let arrays: Vec<String> = (1..)
        .zip(&rows.columns)
        .map(|(number, (_, column))| match column {
            Column::Text(_) => format!("${number}::text[]"),
            Column::Int(_) => format!("${number}::bigint[]"),
            Column::Bool(_) => format!("${number}::boolean[]"),
        })
        .collect();
    let (names, arrays) = (names.join(", "), arrays.join(", "));
    format!("INSERT INTO {} ({names}) SELECT * FROM UNNEST({arrays})", rows.table)
}

async fn run(
    connection: &mut PgConnection,
    statement: &str,
    rows: &Rows,
    batch: Range<usize>,
) -> Result<()> {
    let mut query = sqlx::query(AssertSqlSafe(statement));
    for (_, column) in &rows.columns {
        query = match column {
            Column::Text(values) => query.bind(&values[batch.clone()]),
            Column::Int(values) => query.bind(&values[batch.clone()]),
            Column::Bool(values) => query.bind(&values[batch.clone()]),
        };
    }
    query.execute(connection).await?;
    Ok(())
}
