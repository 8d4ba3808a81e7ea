//! The one dispatch between SQLite and PostgreSQL.
//!
//! A query is written once, with `$1` placeholders that both understand, and runs in a [`Tx`].
//! Transactions belong to one tenant ([`Db::tenant`]); PostgreSQL's row-level security holds them
//! to it. [`Db::all_tenants`] is for the few paths that find out the tenant.

use sqlx::{
    FromRow, SqlSafeStr, Transaction,
    migrate::{Migration, MigrationType, Migrator},
    postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow, Postgres},
    sqlite::{
        Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
        SqliteSynchronous,
    },
};
use std::{borrow::Cow, str::FromStr, time::Duration};

/// Readers at the same time.
pub const CONNECTIONS_MAX: u32 = 16;
/// How long a query waits for a connection or for SQLite's one writer.
pub const WAIT_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the database {url}: {source}")]
    Open { url: String, source: sqlx::Error },
    #[error("`{0}` is not a database URL: use sqlite:PATH or postgres://HOST/NAME")]
    Url(String),
    #[error("cannot bring the database to this version: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("the database refused: {0}")]
    Query(#[from] sqlx::Error),
    #[error("row in {table} holds `{value}`, which is not a {what}")]
    Corrupt { table: &'static str, what: &'static str, value: String },
}

impl StoreError {
    /// Whether another attempt with the same rows would fail alike.
    pub fn is_about_content(&self) -> bool {
        let StoreError::Query(sqlx::Error::Database(error)) = self else { return false };
        let is_data_exception = error.code().is_some_and(|code| code.starts_with("22"));
        is_data_exception
            || matches!(
                error.kind(),
                sqlx::error::ErrorKind::UniqueViolation
                    | sqlx::error::ErrorKind::NotNullViolation
                    | sqlx::error::ErrorKind::CheckViolation
            )
    }

    /// Whether it would go well a little later: everything is in use, or two got in each other's
    /// way.
    pub fn is_busy(&self) -> bool {
        match self {
            StoreError::Query(sqlx::Error::PoolTimedOut) => true,
            StoreError::Query(sqlx::Error::Database(error)) => {
                // SQLite: busy. PostgreSQL: serialization failure, deadlock, no lock.
                error.code().is_some_and(|code| {
                    matches!(&*code, "5" | "261" | "517" | "40001" | "40P01" | "55P03")
                })
            }
            _ => false,
        }
    }

    /// Whether a text held what the database cannot store, such as NUL.
    pub fn is_about_text(&self) -> bool {
        let StoreError::Query(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| matches!(&*code, "22021" | "22P05"))
    }
}

/// A database of either kind.
#[derive(Debug, Clone)]
pub enum Db {
    /// One writer beside many readers: SQLite allows no more, and a queue of our own is fairer and
    /// faster than its busy loop.
    Sqlite {
        write: SqlitePool,
        read: SqlitePool,
    },
    Postgres(PgPool),
}

/// A transaction on either kind. Dropped without [`Tx::commit`], it rolls back.
pub enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// A bound value.
#[derive(Debug, Clone)]
pub enum Arg {
    Text(Option<String>),
    Int(Option<i64>),
    Bool(bool),
}

/// The values of a query's placeholders, in order: `args![tenant, seq, None::<String>]`.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { [$($crate::store::db::Arg::from($value)),*] };
}

/// A row that can be read from either kind: any tuple of `String`, `i64`, `bool` and their options.
pub trait Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}
impl<T> Row for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{}

macro_rules! bind_all {
    ($query:expr, $args:expr) => {{
        let mut query = $query;
        for arg in $args {
            query = match arg {
                Arg::Text(text) => query.bind(text),
                Arg::Int(int) => query.bind(int),
                Arg::Bool(bool) => query.bind(bool),
            };
        }
        query
    }};
}

macro_rules! on_tx {
    ($tx:expr, |$connection:ident| $body:expr) => {
        match $tx {
            Tx::Sqlite(tx) => {
                let $connection = &mut **tx;
                $body
            }
            Tx::Postgres(tx) => {
                let $connection = &mut **tx;
                $body
            }
        }
    };
}

impl Db {
    /// Opens `sqlite:PATH` (made if it does not exist) or `postgres://…`.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let open = |source| StoreError::Open { url: without_password(url), source };
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url)
                .map_err(open)?
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .statement_cache_capacity(256)
                .busy_timeout(WAIT_MAX);
            let write = SqlitePoolOptions::new().max_connections(1).acquire_timeout(WAIT_MAX);
            let write = write.connect_with(options.clone()).await.map_err(open)?;
            let read = SqlitePoolOptions::new().max_connections(CONNECTIONS_MAX);
            let read = read.acquire_timeout(WAIT_MAX).connect_with(options.read_only(true));
            Ok(Db::Sqlite { write, read: read.await.map_err(open)? })
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let options = PgConnectOptions::from_str(url)
                .map_err(open)?
                .application_name("chiasm-cloud")
                .statement_cache_capacity(256);
            let pool = PgPoolOptions::new().max_connections(CONNECTIONS_MAX);
            let pool = pool.acquire_timeout(WAIT_MAX).connect_with(options).await;
            Ok(Db::Postgres(pool.map_err(open)?))
        } else {
            Err(StoreError::Url(without_password(url)))
        }
    }

    /// Brings the schema to this version. Safe to run from several replicas at once.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let migrator = |steps: &'static [Step]| {
            let migration = |&(version, name, sql): &Step| {
                let sql = sql.into_sql_str();
                Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql, false)
            };
            Migrator::with_migrations(steps.iter().map(migration).collect())
        };
        match self {
            Db::Sqlite { write, .. } => migrator(SQLITE_STEPS).run(write).await?,
            Db::Postgres(pool) => migrator(POSTGRES_STEPS).run(pool).await?,
        }
        super::patient::fold_all(self).await
    }

    /// A transaction that may write rows of one tenant.
    pub async fn tenant(&self, tenant: &str) -> Result<Tx, StoreError> {
        self.begin(tenant, true).await
    }
    /// A transaction that only reads rows of one tenant.
    pub async fn tenant_read(&self, tenant: &str) -> Result<Tx, StoreError> {
        self.begin(tenant, false).await
    }
    /// A transaction over all tenants, for the paths that find out which tenant is meant.
    pub async fn all_tenants(&self) -> Result<Tx, StoreError> {
        self.begin("*", true).await
    }
    /// The same, only reading.
    pub async fn all_tenants_read(&self) -> Result<Tx, StoreError> {
        self.begin("*", false).await
    }

    async fn begin(&self, tenant: &str, writes: bool) -> Result<Tx, StoreError> {
        match self {
            Db::Sqlite { write, .. } if writes => {
                Ok(Tx::Sqlite(write.begin_with("BEGIN IMMEDIATE").await?))
            }
            Db::Sqlite { read, .. } => Ok(Tx::Sqlite(read.begin().await?)),
            Db::Postgres(pool) => {
                let mut tx = pool.begin().await?;
                let set = sqlx::query("SELECT set_config('chiasm.tenant', $1, true)");
                set.bind(tenant.to_owned()).execute(&mut *tx).await?;
                Ok(Tx::Postgres(tx))
            }
        }
    }

    /// Closes the connections; running transactions end first.
    pub async fn close(&self) {
        match self {
            Db::Sqlite { write, read } => {
                read.close().await;
                write.close().await;
            }
            Db::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    /// Runs a statement; gives the number of rows it touched.
    pub async fn execute(
        &mut self,
        sql: &'static str,
        args: impl IntoIterator<Item = Arg>,
    ) -> Result<u64, StoreError> {
        on_tx!(self, |connection| {
            Ok(bind_all!(sqlx::query(sql), args).execute(connection).await?.rows_affected())
        })
    }

    pub async fn fetch_all<R: Row>(
        &mut self,
        sql: &'static str,
        args: impl IntoIterator<Item = Arg>,
    ) -> Result<Vec<R>, StoreError> {
        on_tx!(self, |connection| {
            Ok(bind_all!(sqlx::query_as(sql), args).fetch_all(connection).await?)
        })
    }

    pub async fn fetch_optional<R: Row>(
        &mut self,
        sql: &'static str,
        args: impl IntoIterator<Item = Arg>,
    ) -> Result<Option<R>, StoreError> {
        on_tx!(self, |connection| {
            Ok(bind_all!(sqlx::query_as(sql), args).fetch_optional(connection).await?)
        })
    }

    /// The one row that must exist.
    pub async fn fetch_one<R: Row>(
        &mut self,
        sql: &'static str,
        args: impl IntoIterator<Item = Arg>,
    ) -> Result<R, StoreError> {
        on_tx!(self, |connection| {
            Ok(bind_all!(sqlx::query_as(sql), args).fetch_one(connection).await?)
        })
    }

    /// Makes everything durable. Only after this may anybody be told.
    pub async fn commit(self) -> Result<(), StoreError> {
        match self {
            Tx::Sqlite(tx) => tx.commit().await?,
            Tx::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

macro_rules! arg_from {
    ($($from:ty => |$value:ident| $arg:expr),+ $(,)?) => {
        $(impl From<$from> for Arg {
            fn from($value: $from) -> Arg {
                $arg
            }
        })+
    };
}
arg_from! {
    &str => |text| Arg::Text(Some(text.to_owned())),
    String => |text| Arg::Text(Some(text)),
    &String => |text| Arg::Text(Some(text.clone())),
    Option<String> => |text| Arg::Text(text),
    Option<&str> => |text| Arg::Text(text.map(ToOwned::to_owned)),
    i64 => |int| Arg::Int(Some(int)),
    Option<i64> => |int| Arg::Int(int),
    bool => |bool| Arg::Bool(bool),
}

fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            let user = url[scheme + 3..at].split(':').next().unwrap_or("");
            format!("{}{user}:***{}", &url[..scheme + 3], &url[at..])
        }
        _ => url.to_owned(),
    }
}

/// Version, name and text of each step. Both kinds share all but what only one of them has.
type Step = (i64, &'static str, &'static str);
const TABLES: Step = (1, "tables", include_str!("../../migrations/0001_tables.sql"));
const ROW_LEVEL_SECURITY: Step = (
    2,
    "row level security",
    include_str!("../../migrations/postgres/0002_row_level_security.sql"),
);
const CAPTURES: Step = (3, "captures", include_str!("../../migrations/0003_captures.sql"));
/// Follows every step that adds tables; does nothing to those that have their policy.
const ROW_LEVEL_SECURITY_OF_NEW: &str =
    include_str!("../../migrations/postgres/row_level_security_of_new.sql");
const VERSIONS: Step = (4, "versions", include_str!("../../migrations/0004_versions.sql"));
const AUDIT_SQLITE: Step = (
    10,
    "audit",
    concat!(
        include_str!("../../migrations/0010_audit.sql"),
        include_str!("../../migrations/sqlite/0010_audit_append_only.sql")
    ),
);
const AUDIT_POSTGRES: Step = (
    10,
    "audit",
    concat!(
        include_str!("../../migrations/0010_audit.sql"),
        include_str!("../../migrations/postgres/0010_audit_append_only.sql")
    ),
);
const HISTORY: Step = (12, "history", include_str!("../../migrations/0012_history.sql"));
const NOTATION: Step = (13, "notation", include_str!("../../migrations/0013_notation.sql"));
const RECORD: Step = (14, "record", include_str!("../../migrations/0014_record.sql"));
const CARRY: Step = (16, "carry", include_str!("../../migrations/0016_carry.sql"));
const SCALE: Step = (20, "scale", include_str!("../../migrations/0020_scale.sql"));
const SHARED_LANES: Step =
    (22, "shared lanes", include_str!("../../migrations/0022_shared_lanes.sql"));
const VERSIONS_BY_EXAM: Step =
    (24, "versions by exam", include_str!("../../migrations/0024_versions_by_exam.sql"));
const IMAGES: Step = (25, "images", include_str!("../../migrations/0025_images.sql"));
const ARCHIVE: Step = (33, "archive", include_str!("../../migrations/0033_archive.sql"));
const ARCHIVE_TLS: Step =
    (36, "archive by TLS", include_str!("../../migrations/0036_archive_tls.sql"));
const CERTIFICATE_RENEWAL: Step =
    (38, "certificate renewal", include_str!("../../migrations/0038_certificate_renewal.sql"));
const ID_DIGEST: Step = (39, "id digest", include_str!("../../migrations/0039_id_digest.sql"));
const UNKNOWN_GAPS: Step =
    (42, "unknown gaps", include_str!("../../migrations/0042_unknown_gaps.sql"));
const WATCH: Step = (44, "watch", include_str!("../../migrations/0044_watch.sql"));
const PARSE_FAILURES_SQLITE: Step = (
    47,
    "parse failures",
    concat!(
        include_str!("../../migrations/0047_parse_failures.sql"),
        include_str!("../../migrations/sqlite/0047_parse_failures_fill.sql")
    ),
);
const PARSE_FAILURES_POSTGRES: Step = (
    47,
    "parse failures",
    concat!(
        include_str!("../../migrations/postgres/all_tenants.sql"),
        include_str!("../../migrations/0047_parse_failures.sql"),
        include_str!("../../migrations/postgres/0047_parse_failures_fill.sql")
    ),
);
const GATEWAY_CONFIG: Step =
    (49, "gateway config", include_str!("../../migrations/0049_gateway_config.sql"));
const GATEWAY_LISTENING: Step =
    (51, "gateway listening", include_str!("../../migrations/0051_gateway_listening.sql"));
const GATEWAY_WIPES: Step =
    (56, "gateway wipes", include_str!("../../migrations/0056_gateway_wipes.sql"));
const PIN: Step = (53, "pin", include_str!("../../migrations/0053_pin.sql"));
const LANE_ACTS: Step = (54, "lane acts", include_str!("../../migrations/0054_lane_acts.sql"));
const SQLITE_STEPS: &[Step] = &[
    TABLES,
    CAPTURES,
    VERSIONS,
    AUDIT_SQLITE,
    HISTORY,
    NOTATION,
    RECORD,
    CARRY,
    SCALE,
    (21, "fill", include_str!("../../migrations/0021_fill.sql")),
    SHARED_LANES,
    VERSIONS_BY_EXAM,
    IMAGES,
    ARCHIVE,
    ARCHIVE_TLS,
    CERTIFICATE_RENEWAL,
    ID_DIGEST,
    UNKNOWN_GAPS,
    WATCH,
    PARSE_FAILURES_SQLITE,
    GATEWAY_CONFIG,
    GATEWAY_LISTENING,
    PIN,
    LANE_ACTS,
    GATEWAY_WIPES,
];
const POSTGRES_STEPS: &[Step] = &[
    TABLES,
    ROW_LEVEL_SECURITY,
    CAPTURES,
    VERSIONS,
    (5, "row level security", ROW_LEVEL_SECURITY_OF_NEW),
    AUDIT_POSTGRES,
    (11, "row level security", ROW_LEVEL_SECURITY_OF_NEW),
    HISTORY,
    NOTATION,
    RECORD,
    (15, "row level security", ROW_LEVEL_SECURITY_OF_NEW),
    CARRY,
    (17, "row level security", ROW_LEVEL_SECURITY_OF_NEW),
    SCALE,
    (21, "fill and row level security", FILL_ON_POSTGRES),
    SHARED_LANES,
    (23, "row level security", ROW_LEVEL_SECURITY_OF_NEW),
    VERSIONS_BY_EXAM,
    IMAGES,
    (26, "row level security", ROW_LEVEL_SECURITY_OF_NEW),
    ARCHIVE,
    (34, "row level security", ROW_LEVEL_SECURITY_OF_NEW),
    ARCHIVE_TLS,
    CERTIFICATE_RENEWAL,
    ID_DIGEST,
    UNKNOWN_GAPS,
    (43, "row level security", ROW_LEVEL_SECURITY_OF_NEW),
    WATCH,
    (45, "row level security", ROW_LEVEL_SECURITY_OF_NEW),
    PARSE_FAILURES_POSTGRES,
    (48, "row level security", ROW_LEVEL_SECURITY_OF_NEW),
    GATEWAY_CONFIG,
    (50, "row level security", ROW_LEVEL_SECURITY_OF_NEW),
    GATEWAY_LISTENING,
    (52, "row level security", ROW_LEVEL_SECURITY_OF_NEW),
    PIN,
    LANE_ACTS,
    (55, "row level security", ROW_LEVEL_SECURITY_OF_NEW),
    GATEWAY_WIPES,
    (57, "row level security", ROW_LEVEL_SECURITY_OF_NEW),
];
const FILL_ON_POSTGRES: &str = concat!(
    include_str!("../../migrations/postgres/all_tenants.sql"),
    include_str!("../../migrations/postgres/0021_names_by_bytes.sql"),
    include_str!("../../migrations/0021_fill.sql"),
    include_str!("../../migrations/postgres/row_level_security_of_new.sql"),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_text_runs_and_rolls_back() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&format!("sqlite:{}", dir.path().join("db").display())).await.unwrap();
        db.migrate().await.unwrap();
        db.migrate().await.unwrap();
        let insert = "INSERT INTO tenant (tenant_id, name, created_at_us) VALUES ($1, $2, $3)";
        let mut tx = db.tenant("a").await.unwrap();
        assert_eq!(tx.execute(insert, args!["a", "A", 1_i64]).await.unwrap(), 1);
        drop(tx);
        let mut tx = db.tenant_read("a").await.unwrap();
        let rows: Vec<(String, i64)> =
            tx.fetch_all("SELECT name, created_at_us FROM tenant", args![]).await.unwrap();
        assert!(rows.is_empty(), "dropped without commit must roll back");
    }

    #[test]
    fn passwords_stay_out_of_errors() {
        assert_eq!(without_password("postgres://u:secret@h/d"), "postgres://u:***@h/d");
    }
}
