//! The database under the pages, without the product in between.

use crate::postgres::Postgres;
use anyhow::{Context, Result};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};
use std::fs;

/// Tables whose indexes are made when the rows are there.
const LARGE: &str = "('document', 'reading', 'encounter', 'lane_session', 'patient')";
const DATABASE: &str = "much";

pub enum Store<'p> {
    Sqlite(Box<SqliteConnection>),
    Postgres(&'p Postgres),
}

impl Store<'_> {
    pub async fn sqlite(url: &str) -> Result<Self> {
        let mut connection = SqliteConnection::connect(url).await?;
        for pragma in [
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "PRAGMA cache_size = -1000000",
        ] {
            sqlx::raw_sql(pragma).execute(&mut connection).await?;
        }
        Ok(Store::Sqlite(Box::new(connection)))
    }

    pub async fn run(&mut self, sql: &str) -> Result<()> {
        match self {
            Store::Sqlite(connection) => {
                let sql = AssertSqlSafe(sql.to_owned());
                sqlx::raw_sql(sql).execute(&mut **connection).await?;
            }
            Store::Postgres(postgres) => {
                let settings = "SET maintenance_work_mem = '512MB'; SET synchronous_commit = off;";
                postgres.sql(DATABASE, &format!("{settings} {sql}"))?;
            }
        }
        Ok(())
    }

    async fn texts(&mut self, sql: &str) -> Result<Vec<String>> {
        match self {
            Store::Sqlite(connection) => {
                let sql = AssertSqlSafe(sql.to_owned());
                let rows = sqlx::query(sql).fetch_all(&mut **connection).await?;
                rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
            }
            Store::Postgres(postgres) => {
                let text = postgres.sql(DATABASE, sql)?;
                Ok(text.lines().filter(|line| !line.is_empty()).map(Into::into).collect())
            }
        }
    }

    /// Takes the secondary indexes of the large tables away; gives the statements that make them.
    pub async fn without_indexes(&mut self) -> Result<Vec<String>> {
        let (names, make) = match self {
            Store::Sqlite(_) => (
                format!(
                    "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL
                     AND tbl_name IN {LARGE} ORDER BY name"
                ),
                format!(
                    "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL
                     AND tbl_name IN {LARGE} ORDER BY name"
                ),
            ),
            Store::Postgres(_) => (
                format!(
                    "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'
                     AND tablename IN {LARGE} AND indexname NOT LIKE '%_pkey' ORDER BY indexname"
                ),
                format!(
                    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
                     AND tablename IN {LARGE} AND indexname NOT LIKE '%_pkey' ORDER BY indexname"
                ),
            ),
        };
        let make = self.texts(&make).await?;
        for name in self.texts(&names).await? {
            self.run(&format!("DROP INDEX {name}")).await?;
        }
        Ok(make)
    }

    /// What a database does by itself sooner or later.
    pub async fn settle(&mut self) -> Result<()> {
        match self {
            Store::Sqlite(_) => self.run("PRAGMA journal_mode = WAL").await,
            Store::Postgres(postgres) => {
                // Alone: a VACUUM stands in no transaction with others.
                postgres.sql(DATABASE, "VACUUM ANALYZE")?;
                Ok(())
            }
        }
    }

    /// How large the database is.
    pub async fn bytes(&mut self, url: &str) -> Result<u64> {
        match self {
            Store::Sqlite(_) => {
                let path = url.strip_prefix("sqlite:").context("a URL of SQLite")?;
                Ok(fs::metadata(path)?.len())
            }
            Store::Postgres(_) => {
                let sql = format!("SELECT pg_database_size('{DATABASE}')");
                let size = self.texts(&sql).await?;
                Ok(size.first().context("a size")?.parse()?)
            }
        }
    }
}
