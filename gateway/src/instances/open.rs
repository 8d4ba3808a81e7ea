//! Opening the folder: schema, damage, what a crash left behind.

use super::{InstancesError, index::Index};
use crate::{clock, seal::Key};
use sqlx::{
    Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};
use uuid::Uuid;

/// Names this software in the header of the files that it writes. It never changes, so that the same
/// data set makes the same file.
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.248270414613406273459205316417253648114";

pub(super) const INCOMING: &str = "incoming";
pub(super) const FILES: &str = "files";
const DATABASE: &str = "index.sqlite";
const RUNNING: &str = "index.running";

const SCHEMA: &[&str] = &[
    "create table if not exists instance (
        id text primary key,
        link text not null,
        lane text not null,
        calling_ae text not null,
        sop_class_uid text not null,
        sop_instance_uid text not null,
        transfer_syntax_uid text not null,
        sha256 blob not null,
        len_bytes integer not null,
        received_at text not null,
        received_day text not null,
        clock text not null,
        lane_session text,
        contradicts_earlier integer not null,
        filed_at integer,
        small blob
    ) without rowid",
    "create index if not exists instance_uid on instance (sop_instance_uid)",
    "create index if not exists instance_waiting on instance (received_day desc, received_at)
        where filed_at is null",
    "create index if not exists instance_filed on instance (filed_at) where filed_at is not null",
    "create table if not exists meta (key text primary key, value text not null) without rowid",
    super::commitments::SCHEMA,
    super::lasting::COMMITTED_SCHEMA,
    super::lasting::STEP_SCHEMA,
];

pub(super) async fn open(dir: &Path, key: &Key) -> Result<Index, InstancesError> {
    make(dir)?;
    // The whole index is read for a check, which takes the longer the more there is. After a clean
    // end there is no reason for it.
    let running = dir.join(RUNNING);
    let was_running = running.exists();
    let index = match connect(dir, key, was_running).await {
        Ok(connection) => connection,
        Err(error) => {
            set_aside(dir, &error)?;
            make(dir)?;
            connect(dir, key, false)
                .await
                .map_err(|source| InstancesError::Index { what: "be opened", source })?
        }
    };
    mark_running(&running)?;
    let mut index = Index::new(index, Some(running));
    clear(dir, &mut index).await?;
    Ok(index)
}

/// A file that stands as long as the index is open.
fn mark_running(path: &Path) -> Result<(), InstancesError> {
    let folder = path.parent().unwrap_or(path);
    fs::write(path, "")
        .and_then(|()| fs::File::open(folder)?.sync_all())
        .map_err(|source| InstancesError::File { what: "make", path: path.into(), source })
}

fn make(dir: &Path) -> Result<(), InstancesError> {
    for path in [dir.join(INCOMING), dir.join(FILES)] {
        fs::create_dir_all(&path).map_err(|source| InstancesError::File {
            what: "make",
            path,
            source,
        })?;
    }
    Ok(())
}

async fn connect(dir: &Path, key: &Key, must_check: bool) -> sqlx::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(dir.join(DATABASE))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        // In KiB. Rows with small instances are large, but are read one at a time.
        .pragma("cache_size", "-1024")
        .statement_cache_capacity(32);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    for statement in SCHEMA {
        sqlx::query(*statement).execute(&mut connection).await?;
    }
    // An index from before there were follow-ups, or damage was noted.
    for (name, add) in
        [("follow_up", super::outbox::COLUMN), ("damaged_at", super::outbox::DAMAGED_COLUMN)]
    {
        let (columns,): (i64,) =
            sqlx::query_as("select count(*) from pragma_table_info('instance') where name = ?")
                .bind(name)
                .fetch_one(&mut connection)
                .await?;
        if columns == 0 {
            sqlx::query(add).execute(&mut connection).await?;
        }
    }
    check_key(&mut connection, key).await?;
    sqlx::query(super::outbox::INDEX).execute(&mut connection).await?;
    if must_check {
        let (verdict,): (String,) =
            sqlx::query_as("pragma quick_check(1)").fetch_one(&mut connection).await?;
        if verdict != "ok" {
            return Err(sqlx::Error::Protocol(verdict));
        }
    }
    Ok(connection)
}

/// Without its key a folder is as good as damaged.
async fn check_key(connection: &mut SqliteConnection, key: &Key) -> sqlx::Result<()> {
    let key = key.id().to_string();
    sqlx::query("insert into meta (key, value) values ('key_id', ?) on conflict do nothing")
        .bind(&key)
        .execute(&mut *connection)
        .await?;
    let (known,): (String,) =
        sqlx::query_as("select value from meta where key = 'key_id'").fetch_one(connection).await?;
    if known == key {
        return Ok(());
    }
    Err(sqlx::Error::Protocol(format!(
        "sealed with another key ({known}): the gateway's key was lost or replaced"
    )))
}

/// Opens the index of a process that may be running, only to look.
pub(super) async fn open_for_inspection(dir: &Path) -> Result<Index, InstancesError> {
    let options = SqliteConnectOptions::new().filename(dir.join(DATABASE)).read_only(true);
    let connection = SqliteConnection::connect_with(&options).await;
    let fail = |source| InstancesError::Index { what: "be opened", source };
    Ok(Index::new(connection.map_err(fail)?, None))
}

/// Nothing is deleted: a person can still get the images out of it.
fn set_aside(dir: &Path, error: &sqlx::Error) -> Result<(), InstancesError> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let aside = dir.with_file_name(format!("{name}.damaged-{}", clock::wall().as_second()));
    fs::rename(dir, &aside).map_err(|source| InstancesError::File {
        what: "set aside",
        path: dir.into(),
        source,
    })?;
    tracing::error!(%error, aside = %aside.display(),
        "the folder of instances cannot be read; it was set aside, its images are not sent");
    Ok(())
}

/// Removes what was being received, and files whose row was never committed: nobody was told that
/// they are here.
async fn clear(dir: &Path, index: &mut Index) -> Result<(), InstancesError> {
    for path in list(&dir.join(INCOMING))? {
        remove(&path)?;
    }
    let known: HashSet<Uuid> = index.large_ids().await?.into_iter().collect();
    for path in list(&dir.join(FILES))? {
        let id = path.file_stem().and_then(|stem| stem.to_str()).and_then(|it| it.parse().ok());
        if id.is_none_or(|id: Uuid| !known.contains(&id)) {
            remove(&path)?;
        }
    }
    Ok(())
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, InstancesError> {
    let fail = |source: io::Error| InstancesError::File { what: "list", path: dir.into(), source };
    let entries = fs::read_dir(dir).map_err(fail)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(fail)).collect()
}

fn remove(path: &Path) -> Result<(), InstancesError> {
    fs::remove_file(path).map_err(|source| InstancesError::File {
        what: "remove",
        path: path.into(),
        source,
    })
}
