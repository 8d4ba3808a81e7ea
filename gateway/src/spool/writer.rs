//! The one task that writes.

use super::{
    BATCH_MAX, Document, Entry, Progress, RETENTION,
    document::link_of,
    mark::Mark,
    open::{Again, IDS, meta_value, renumber, set_meta},
    reader::from_seq,
};
use crate::{
    binding::LocalLane,
    clock,
    seal::{Key, Purpose},
};
use chiasm_proto::{
    Ack, Body, Epoch, GatewayEvent, LaneId, LinkId, Seq, Sha256,
    ack::{FILED_BEFORE, IdDigest},
    fleet::{HeardAct, OpenSession},
};
use sqlx::{Connection, SqliteConnection};
use std::{path::PathBuf, time::Duration};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep},
};

/// Between two attempts to commit on a disk that is full or failing.
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Between two rounds of deleting what is filed and older than the retention.
const RETENTION_INTERVAL: Duration = Duration::from_secs(3600);
/// Most documents that one round deletes, so that no transaction grows long.
const RETENTION_BATCH_MAX: i64 = 1000;

/// A change that somebody asks for.
#[derive(Debug)]
pub(super) enum Command {
    Store(Entry, Option<oneshot::Sender<()>>),
    Event(Document),
    /// Something that was done at the gateway's page, and what it makes of its lane.
    Act {
        document: Document,
        local: Option<(LaneId, LocalLane)>,
        done: oneshot::Sender<()>,
    },
    Acknowledge {
        ack: Ack,
        is_first: bool,
        done: Option<oneshot::Sender<()>>,
    },
    Quarantine {
        seq: Seq,
        reason: String,
    },
    /// Which sessions the cloud says are open, and of which acts it has heard.
    Sessions {
        open: Vec<OpenSession>,
        heard: Vec<HeardAct>,
    },
    BeginEpoch {
        reason: String,
        again: Again,
    },
}

pub(super) struct Writer {
    connection: SqliteConnection,
    mark: Mark,
    dir: PathBuf,
    progress: watch::Sender<Progress>,
    epoch: Epoch,
    last_seq: Seq,
    next_retention: Instant,
    key: Key,
}

impl Writer {
    pub(super) fn new(
        connection: SqliteConnection,
        mark: Mark,
        dir: &std::path::Path,
        progress: watch::Sender<Progress>,
        key: &Key,
    ) -> Self {
        let (epoch, last_seq) = {
            let now = progress.borrow();
            (now.epoch, now.last_seq)
        };
        let dir = dir.to_owned();
        Self {
            connection,
            mark,
            dir,
            progress,
            epoch,
            last_seq,
            next_retention: Instant::now(),
            key: key.clone(),
        }
    }

    /// Runs until every sender is gone.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Command>) -> sqlx::Result<()> {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while queue.recv_many(&mut batch, BATCH_MAX).await > 0 {
            let mut pause = Duration::from_millis(100);
            while let Err(error) = self.commit(&batch).await {
                if is_damage(&error) {
                    return Err(error);
                }
                self.show_fault(Some(format!("cannot write to the spool: {error}")));
                sleep(pause).await;
                pause = (pause * 2).min(RETRY_MAX);
            }
            self.show_fault(None);
            for command in batch.drain(..) {
                let done = match command {
                    Command::Store(_, done) | Command::Acknowledge { done, .. } => done,
                    Command::Act { done, .. } => Some(done),
                    _ => None,
                };
                if let Some(done) = done {
                    let _ = done.send(());
                }
            }
            if Instant::now() >= self.next_retention {
                self.next_retention = Instant::now() + RETENTION_INTERVAL;
                if let Err(error) = self.delete_expired().await {
                    tracing::warn!(%error, "cannot delete documents after their retention");
                }
            }
        }
        // The reader may be the last to close, and cannot do this: a copy that is made of a stopped
        // gateway's database must hold everything.
        let checkpoint = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)");
        if let Err(error) = checkpoint.execute(&mut self.connection).await {
            tracing::warn!(%error, "the spool's last changes stay in its write-ahead log");
        }
        self.connection.close().await
    }

    fn show_fault(&self, fault: Option<String>) {
        self.progress.send_if_modified(|progress| {
            if progress.fault == fault {
                return false;
            }
            match &fault {
                Some(fault) => tracing::error!(fault, "the spool waits and tries again"),
                None => tracing::info!("the spool writes again"),
            }
            progress.fault = fault;
            true
        });
    }

    /// All of the batch in one transaction, or nothing.
    async fn commit(&mut self, batch: &[Command]) -> sqlx::Result<()> {
        let mut last_seq = self.last_seq;
        let again = batch.iter().find_map(|command| match command {
            Command::BeginEpoch { again, .. } => Some(*again),
            _ => None,
        });
        if let Some(again) = again {
            (self.epoch, self.last_seq) = renumber(&mut self.connection, &self.dir, again).await?;
            last_seq = self.last_seq;
        }
        let mut transaction = self.connection.begin().await?;
        let mut numbering = Numbering { key: &self.key, last_seq };
        for command in batch {
            apply(&mut transaction, self.epoch, &mut numbering, command).await?;
        }
        last_seq = numbering.last_seq;
        set_meta(&mut transaction, "last_seq", &last_seq.to_string()).await?;
        transaction.commit().await?;
        self.last_seq = last_seq;
        if let Err(error) = self.mark.set(self.epoch, last_seq) {
            tracing::warn!(%error, "cannot write the spool's mark");
        }
        let epoch = self.epoch;
        self.progress.send_if_modified(|progress| {
            let is_new = (progress.epoch, progress.last_seq) != (epoch, last_seq);
            (progress.epoch, progress.last_seq) = (epoch, last_seq);
            is_new
        });
        Ok(())
    }

    async fn delete_expired(&mut self) -> sqlx::Result<()> {
        let retention_s = i64::try_from(RETENTION.as_secs()).expect("30 days fit");
        let before = clock::wall().as_second() - retention_s;
        sqlx::query(
            "delete from document where seq in
                (select seq from document where state = 'filed' and settled_at < $1 limit $2)",
        )
        .bind(before)
        .bind(RETENTION_BATCH_MAX)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }
}

/// Whether trying again cannot help: the database has to be set aside, which happens at start.
fn is_damage(error: &sqlx::Error) -> bool {
    const CORRUPT: &str = "11";
    const NOT_A_DATABASE: &str = "26";
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == CORRUPT || code == NOT_A_DATABASE)
}

/// What documents are numbered and sealed with.
struct Numbering<'a> {
    key: &'a Key,
    last_seq: Seq,
}

async fn apply(
    connection: &mut SqliteConnection,
    epoch: Epoch,
    numbering: &mut Numbering<'_>,
    command: &Command,
) -> sqlx::Result<()> {
    match command {
        Command::Store(entry, _) => store(connection, numbering, entry).await,
        Command::Event(document) => insert(connection, numbering, document).await,
        Command::Acknowledge { ack, is_first, .. } if ack.epoch == epoch => {
            acknowledge(connection, ack, *is_first).await
        }
        Command::Acknowledge { .. } => Ok(()),
        Command::Quarantine { seq, reason } => reject(connection, *seq, reason).await,
        Command::Act { document, local, .. } => {
            insert(connection, numbering, document).await?;
            keep_local(connection, local.as_ref()).await
        }
        Command::Sessions { open, heard } => {
            let json = serde_json::to_string(open).expect("plain data always serialises");
            set_meta(connection, "sessions", &json).await?;
            forget_local(connection, heard).await
        }
        Command::BeginEpoch { reason, .. } => {
            let event =
                GatewayEvent { code: "epoch_started".into(), link: None, detail: reason.clone() };
            insert(connection, numbering, &Document::new(clock::wall(), Body::Event(event))).await
        }
    }
}

async fn keep_local(
    connection: &mut SqliteConnection,
    local: Option<&(LaneId, LocalLane)>,
) -> sqlx::Result<()> {
    let Some((lane, local)) = local else { return Ok(()) };
    let state = serde_json::to_string(local).expect("plain data always serialises");
    sqlx::query(
        "insert into local_lane (lane, act, state) values ($1, $2, $3)
         on conflict (lane) do update set act = excluded.act, state = excluded.state",
    )
    .bind(lane.as_str())
    .bind(local.act.to_string())
    .bind(state)
    .execute(connection)
    .await?;
    Ok(())
}

async fn forget_local(connection: &mut SqliteConnection, heard: &[HeardAct]) -> sqlx::Result<()> {
    for act in heard {
        sqlx::query("delete from local_lane where lane = $1 and act = $2")
            .bind(act.lane.as_str())
            .bind(act.act.to_string())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn store(
    connection: &mut SqliteConnection,
    numbering: &mut Numbering<'_>,
    entry: &Entry,
) -> sqlx::Result<()> {
    let is_new = match entry.imported {
        Some(file) => note_imported(connection, &entry.link, file).await?,
        None => true,
    };
    // A file that was read before gives nothing a second time, whoever hands it over.
    for document in entry.documents.iter().filter(|_| is_new) {
        insert(connection, numbering, document).await?;
        // Only stamped readings keep a session alive, also after a restart.
        if let Body::Reading(reading) = &document.body
            && reading.lane_session.is_some()
        {
            sqlx::query(
                "insert into lane (lane, last_reading_at) values ($1, $2)
                 on conflict (lane) do update set last_reading_at = excluded.last_reading_at",
            )
            .bind(reading.lane.as_str())
            .bind(document.time.to_string())
            .execute(&mut *connection)
            .await?;
        }
    }
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    sqlx::query(
        "insert into link_position (link, generation, consumed) values ($1, $2, $3)
         on conflict (link) do update
         set generation = excluded.generation, consumed = excluded.consumed",
    )
    .bind(entry.link.as_str())
    .bind(number(entry.position.generation))
    .bind(number(entry.position.consumed))
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Whether it was not noted before.
async fn note_imported(
    connection: &mut SqliteConnection,
    link: &LinkId,
    file: Sha256,
) -> sqlx::Result<bool> {
    let inserted = sqlx::query(
        "insert into imported (link, sha256, imported_at) values ($1, $2, $3)
         on conflict do nothing",
    )
    .bind(link.as_str())
    .bind(&file.0[..])
    .bind(clock::wall().as_second())
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() > 0)
}

async fn insert(
    connection: &mut SqliteConnection,
    numbering: &mut Numbering<'_>,
    document: &Document,
) -> sqlx::Result<()> {
    let seq = numbering.last_seq + 1;
    let body = serde_json::to_vec(&document.body).expect("plain data always serialises");
    let id = document.id.to_string();
    let sealed = numbering.key.seal(Purpose::Document, id.as_bytes(), &body);
    sqlx::query(
        "insert into document (seq, id, time, kind, link, body) values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(from_seq(seq))
    .bind(id)
    .bind(document.time.to_string())
    .bind(document.body.up().as_str())
    .bind(link_of(&document.body).map(|link| link.as_str()))
    .bind(sealed)
    .execute(&mut *connection)
    .await?;
    numbering.last_seq = seq;
    let ids = meta_value(connection, IDS).await?;
    match ids.and_then(|ids| ids.parse::<IdDigest>().ok()) {
        Some(ids) => set_meta(connection, IDS, &ids.with(document.id.0).to_string()).await,
        None => Ok(()),
    }
}

async fn acknowledge(
    connection: &mut SqliteConnection,
    ack: &Ack,
    is_first: bool,
) -> sqlx::Result<()> {
    // One that is filed under another number is settled by `upto` like those that were filed now.
    for rejection in ack.rejected.iter().filter(|it| it.code != FILED_BEFORE) {
        let reason = format!("{}: {}", rejection.code, rejection.detail);
        reject(connection, rejection.seq, &reason).await?;
    }
    let missing = serde_json::to_string(&ack.missing).expect("numbers always serialise");
    let above = serde_json::to_string(&ack.above).expect("numbers always serialise");
    if is_first {
        sqlx::query(
            "update document set state = 'pending', settled_at = null
             where state = 'filed'
               and (seq > $1 or seq in (select value from json_each($2)))
               and not exists (select 1 from json_each($3)
                               where seq between value->>0 and value->>1)",
        )
        .bind(from_seq(ack.upto))
        .bind(&missing)
        .bind(&above)
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query(
        "update document set state = 'filed', settled_at = $1
         where state = 'pending'
           and ((seq <= $2 and seq not in (select value from json_each($3)))
                or exists (select 1 from json_each($4)
                           where seq between value->>0 and value->>1))",
    )
    .bind(clock::wall().as_second())
    .bind(from_seq(ack.upto))
    .bind(&missing)
    .bind(&above)
    .execute(connection)
    .await?;
    Ok(())
}

async fn reject(connection: &mut SqliteConnection, seq: Seq, reason: &str) -> sqlx::Result<()> {
    sqlx::query(
        "update document set state = 'rejected', settled_at = $1, reason = $2
         where seq = $3 and state = 'pending'",
    )
    .bind(clock::wall().as_second())
    .bind(reason)
    .bind(from_seq(seq))
    .execute(connection)
    .await?;
    Ok(())
}
