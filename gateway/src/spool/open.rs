//! Opening the spool: schema, damage, foreign and restored databases.

use super::mark::Mark;
use crate::{clock, seal::Key};
use chiasm_proto::{Epoch, GatewayId, Seq, TenantId, ack::IdDigest};
use sqlx::{
    Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use uuid::Uuid;

const DATABASE: &str = "spool.sqlite";
const MARK: &str = "spool.mark";
/// Digest of the identifiers of all documents of the epoch. Absent in spools from before.
pub(super) const IDS: &str = "ids";
/// Which key seals the bodies. Absent in spools from before they were sealed.
const KEY_ID: &str = "key_id";

const SCHEMA: &[&str] = &[
    "create table if not exists meta (key text primary key, value text not null) without rowid",
    "create table if not exists document (
        seq integer primary key,
        id text not null,
        time text not null,
        kind text not null,
        link text,
        body text not null,
        state text not null default 'pending' check (state in ('pending', 'filed', 'rejected')),
        settled_at integer,
        reason text
    )",
    "create index if not exists document_pending on document (seq) where state = 'pending'",
    "create index if not exists document_settled on document (settled_at) where state = 'filed'",
    "create table if not exists link_position (
        link text primary key, generation integer not null, consumed integer not null
    ) without rowid",
    "create table if not exists lane (lane text primary key, last_reading_at text not null)
        without rowid",
    "create table if not exists local_lane (
        lane text primary key, act text not null, state text not null
    ) without rowid",
    "create table if not exists imported (
        link text not null, sha256 blob not null, imported_at integer not null,
        primary key (link, sha256)
    ) without rowid",
];

/// Why the spool cannot be opened, not even after setting a damaged database aside.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot use {path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("cannot open the spool {path}: {source}")]
    Database { path: PathBuf, source: sqlx::Error },
}

/// Whose documents a spool holds. They must never be sent as another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub tenant: TenantId,
    pub gateway: GatewayId,
}

pub(super) struct Opened {
    pub writer: SqliteConnection,
    pub reader: SqliteConnection,
    pub mark: Mark,
    pub epoch: Epoch,
    pub last_seq: Seq,
    /// Why a new epoch began, if one did for a reason that people have to know.
    pub epoch_reason: Option<String>,
}

pub(super) async fn open(
    dir: &Path,
    owner: Option<&Owner>,
    key: &Key,
) -> Result<Opened, OpenError> {
    let path = dir.join(DATABASE);
    let file_error = |source| OpenError::File { path: dir.into(), source };
    std::fs::create_dir_all(dir).map_err(file_error)?;
    let (mark, marked) = Mark::open(&dir.join(MARK)).map_err(file_error)?;
    let mut epoch_reason = None;
    let (mut writer, meta) = match open_checked(&path, owner, key).await {
        Ok(opened) => opened,
        Err(refusal) => {
            let aside = set_aside(&path).map_err(file_error)?;
            let reason = format!("the spool {refusal}; it was set aside as {}", aside.display());
            tracing::error!(reason, "a new epoch begins");
            epoch_reason = Some(reason);
            open_checked(&path, owner, key).await.map_err(|refusal| OpenError::Database {
                path: path.clone(),
                source: refusal.into_source(),
            })?
        }
    };
    let database = |source| OpenError::Database { path: path.clone(), source };
    let (mut epoch, mut last_seq) = meta;
    if let (Some(marked), None) = (marked, &epoch_reason)
        && let Some(doubt) = compare_with_mark(marked, (epoch, last_seq))
    {
        tracing::error!(reason = doubt.reason, "a new epoch begins");
        if doubt.must_renumber {
            (epoch, last_seq) =
                renumber(&mut writer, dir, Again::Pending).await.map_err(database)?;
        }
        epoch_reason = Some(doubt.reason);
    }
    mark.set(epoch, last_seq).map_err(file_error)?;
    let reader =
        SqliteConnection::connect_with(&options(&path).read_only(true)).await.map_err(database)?;
    Ok(Opened { writer, reader, mark, epoch, last_seq, epoch_reason })
}

struct Doubt {
    reason: String,
    must_renumber: bool,
}

/// Epochs are UUIDv7, so that a later one is greater.
fn compare_with_mark(marked: (Epoch, Seq), found: (Epoch, Seq)) -> Option<Doubt> {
    if marked > found {
        let reason = format!(
            "the spool ends at number {} but {} was already given out: it was restored from a \
             backup",
            found.1, marked.1
        );
        return Some(Doubt { reason, must_renumber: true });
    }
    let was_missing = marked.0 < found.0 && marked.1 > 0 && found.1 == 0;
    was_missing.then(|| Doubt {
        reason: format!("the spool was missing; its last number was {}", marked.1),
        must_renumber: false,
    })
}

/// Opens the database of a process that may be running, only to look.
pub(super) async fn open_for_inspection(dir: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let options = options(&dir.join(DATABASE)).create_if_missing(false).read_only(true);
    SqliteConnection::connect_with(&options).await
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        // In KiB. The default of 2 MiB for each connection is more than the rest of a gateway.
        .pragma("cache_size", "-512")
        .statement_cache_capacity(32)
        .row_buffer_size(8)
        .command_buffer_size(8)
}

#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("is damaged ({0})")]
    Damaged(sqlx::Error),
    #[error("holds documents of another gateway")]
    Foreign,
    #[error("is sealed with another key ({0}): the gateway's key was lost or replaced")]
    OtherKey(String),
}

impl Refusal {
    fn into_source(self) -> sqlx::Error {
        match self {
            Refusal::Damaged(source) => source,
            Refusal::OtherKey(_) => sqlx::Error::Protocol("sealed with another key".into()),
            Refusal::Foreign => sqlx::Error::Protocol("belongs to another gateway".into()),
        }
    }
}

async fn open_checked(
    path: &Path,
    owner: Option<&Owner>,
    key: &Key,
) -> Result<(SqliteConnection, (Epoch, Seq)), Refusal> {
    let mut connection = open_schema(path).await.map_err(Refusal::Damaged)?;
    let key = key.id().to_string();
    match meta_value(&mut connection, KEY_ID).await.map_err(Refusal::Damaged)? {
        Some(known) if known != key => return Err(Refusal::OtherKey(known)),
        Some(_) => {}
        None => set_meta(&mut connection, KEY_ID, &key).await.map_err(Refusal::Damaged)?,
    }
    if let Some(owner) = owner {
        let owner = format!("{}/{}", owner.tenant, owner.gateway);
        let known = meta_value(&mut connection, "owner").await.map_err(Refusal::Damaged)?;
        match known {
            Some(known) if known != owner => return Err(Refusal::Foreign),
            Some(_) => {}
            None => set_meta(&mut connection, "owner", &owner).await.map_err(Refusal::Damaged)?,
        }
    }
    let meta = read_meta(&mut connection).await.map_err(Refusal::Damaged)?;
    Ok((connection, meta))
}

async fn open_schema(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let mut connection = SqliteConnection::connect_with(&options(path)).await?;
    let (verdict,): (String,) =
        sqlx::query_as("pragma quick_check(1)").fetch_one(&mut connection).await?;
    if verdict != "ok" {
        return Err(sqlx::Error::Protocol(verdict));
    }
    let mut transaction = connection.begin().await?;
    for statement in SCHEMA {
        sqlx::query(*statement).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(connection)
}

async fn read_meta(connection: &mut SqliteConnection) -> Result<(Epoch, Seq), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let epoch = meta_value(&mut transaction, "epoch").await?;
    let last_seq = meta_value(&mut transaction, "last_seq").await?;
    let meta = match (epoch, last_seq) {
        (Some(epoch), Some(last_seq)) => {
            let damaged = || sqlx::Error::Protocol("its epoch or last number is no such".into());
            (epoch.parse().map_err(|_| damaged())?, last_seq.parse().map_err(|_| damaged())?)
        }
        _ => {
            let epoch = Epoch(Uuid::now_v7());
            set_meta(&mut transaction, "epoch", &epoch.to_string()).await?;
            set_meta(&mut transaction, "last_seq", "0").await?;
            set_meta(&mut transaction, IDS, &IdDigest::default().to_string()).await?;
            (epoch, 0)
        }
    };
    transaction.commit().await?;
    Ok(meta)
}

pub(super) async fn meta_value(
    connection: &mut SqliteConnection,
    key: &str,
) -> Result<Option<String>, sqlx::Error> {
    let row: Option<(String,)> = sqlx::query_as("select value from meta where key = $1")
        .bind(key)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|(value,)| value))
}

pub(super) async fn set_meta(
    connection: &mut SqliteConnection,
    key: &str,
    value: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into meta (key, value) values ($1, $2)
         on conflict (key) do update set value = excluded.value",
    )
    .bind(key)
    .bind(value)
    .execute(connection)
    .await?;
    Ok(())
}

/// Renames the database with its companions. Nothing is deleted: people may want what is in it.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let stamp = clock::wall().strftime("%Y%m%dT%H%M%S%3f").to_string();
    let aside = path.with_extension(format!("{stamp}.set-aside"));
    for suffix in ["-wal", "-shm", ""] {
        let with_suffix = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        match std::fs::rename(with_suffix(path), with_suffix(&aside)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

/// What is sent again in a new epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    Pending,
    /// Also what counts as filed or refused: it may be something else that was.
    Everything,
}

/// Copies that are kept of the database as it was before a new epoch. A cloud that goes wrong may
/// make one begin again and again.
pub const COPIES_MAX: usize = 4;
/// How their names end.
const COPY: &str = "before.set-aside";

/// Forgets the oldest copies. What was damaged and set aside is no copy, and stays.
fn forget_copies(dir: &Path) -> io::Result<()> {
    let mut copies = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(COPY) {
            copies.push(path);
        }
    }
    copies.sort();
    copies.iter().rev().skip(COPIES_MAX).try_for_each(std::fs::remove_file)
}

/// Begins a new epoch in the same database: what is to be sent again is numbered anew from 1. The
/// database as it was is copied aside first.
pub(super) async fn renumber(
    connection: &mut SqliteConnection,
    dir: &Path,
    again: Again,
) -> Result<(Epoch, Seq), sqlx::Error> {
    let stamp = clock::wall().strftime("%Y%m%dT%H%M%S%3f").to_string();
    let copy = dir.join(format!("spool.{stamp}.{COPY}"));
    sqlx::query("vacuum into $1")
        .bind(copy.display().to_string())
        .execute(&mut *connection)
        .await?;
    forget_copies(dir).map_err(sqlx::Error::Io)?;
    let epoch = Epoch(Uuid::now_v7());
    let mut transaction = connection.begin().await?;
    let unless_pending = match again {
        // What was refused exists here only: it is sent and refused again.
        Again::Pending => "delete from document where state = 'filed'",
        Again::Everything => "update document set state = 'pending', settled_at = null",
    };
    sqlx::query(unless_pending).execute(&mut *transaction).await?;
    let again = "update document set state = 'pending', settled_at = null where state = 'rejected'";
    sqlx::query(again).execute(&mut *transaction).await?;
    // Negative numbers first: the primary key must stay unique at every step.
    sqlx::query("update document set seq = -seq").execute(&mut *transaction).await?;
    sqlx::query(
        "update document set seq = n.n from
            (select seq as old, row_number() over (order by seq desc) as n from document) as n
         where document.seq = n.old",
    )
    .execute(&mut *transaction)
    .await?;
    let documents: Vec<(String,)> =
        sqlx::query_as("select id from document").fetch_all(&mut *transaction).await?;
    let count = i64::try_from(documents.len()).unwrap_or(i64::MAX);
    let mut ids = IdDigest::default();
    for (id,) in documents {
        ids = ids.with(id.parse().map_err(|_| sqlx::Error::Decode("no identifier".into()))?);
    }
    set_meta(&mut transaction, IDS, &ids.to_string()).await?;
    set_meta(&mut transaction, "epoch", &epoch.to_string()).await?;
    set_meta(&mut transaction, "last_seq", &count.to_string()).await?;
    transaction.commit().await?;
    Ok((epoch, count.unsigned_abs()))
}
