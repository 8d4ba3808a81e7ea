//! Everything that waits for the cloud. All SQL of the gateway stands in this folder.
//!
//! A document gets its number in the transaction that stores it, together with the position in its
//! link's journal that it accounts for: nothing is lost and nothing is stored twice. One writer
//! task commits whatever queued up while the last commit ran; `synchronous=FULL`, so that what is
//! committed survives a power failure.
//!
//! A disk that is full, or fails, stops nothing for good: the writer keeps what it holds and tries
//! again, the queue in front of it fills, the links wait with their reading, and the fault
//! is shown.
//!
//! The bodies of documents are sealed (see [`crate::seal`]). Those that a version before stored in
//! clear are read on: a sealed one is a blob, one in clear is a text.

mod document;
mod mark;
mod open;
mod reader;
mod writer;

pub use document::{Document, Entry, StoredDocument};
pub use open::{Again, COPIES_MAX, OpenError, Owner};
pub use sqlx::Error as DatabaseError;

use crate::{binding::LocalLane, journal::Position, seal::Key};
use chiasm_proto::{
    Ack, Body, Epoch, GatewayEvent, LaneId, LinkId, ReadingId, Seq, Sha256,
    fleet::{HeardAct, OpenSession, SpoolState},
};
use jiff::Timestamp;
use sqlx::SqliteConnection;
use std::{
    path::Path,
    sync::{Arc, Mutex as StdMutex},
    time::Duration,
};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use writer::Command;

/// Most changes that wait for the writer.
pub const QUEUE_MAX: usize = 64;
/// Most changes in one transaction.
pub const BATCH_MAX: usize = 64;
/// How long filed documents are kept, for disputes and for filing them again.
pub const RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);
/// Longest body of a document, in bytes of JSON; brokers refuse packets above 2 MiB.
pub const BODY_LEN_MAX: usize = 1792 * 1024;

/// Why the spool gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("the spool's writer has stopped")]
    Stopped,
    #[error("the spool cannot {what}: {source}")]
    Read { what: &'static str, source: sqlx::Error },
}

impl SpoolError {
    /// Whether one stored document cannot be read, which no other attempt will change.
    pub fn is_damaged_document(&self) -> bool {
        let SpoolError::Read { source, .. } = self else { return false };
        matches!(source, sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. })
    }
}

/// What the writer tells everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub epoch: Epoch,
    /// The highest number that is committed; 0 before the first.
    pub last_seq: Seq,
    /// What keeps the writer from committing, if anything.
    pub fault: Option<String>,
}

/// The spool: cheap to clone, closed when the last clone is gone and the writer has finished.
#[derive(Clone)]
pub struct Spool {
    commands: mpsc::Sender<Command>,
    progress: watch::Receiver<Progress>,
    reader: Arc<Mutex<SqliteConnection>>,
    key: Key,
}

/// The writer task: ends when every [`Spool`] is dropped, or with the reason why the database can
/// no longer be used.
pub type WriterTask = tokio::task::JoinHandle<Result<(), sqlx::Error>>;

impl Spool {
    /// Opens or makes the spool in a directory and starts its writer. A database that is damaged,
    /// belongs to another gateway, was sealed with another key, or is older than its mark is set
    /// aside or renumbered under a new epoch, and an event document says so.
    pub async fn open(
        dir: &Path,
        owner: Option<&Owner>,
        key: &Key,
    ) -> Result<(Self, WriterTask), OpenError> {
        let opened = open::open(dir, owner, key).await?;
        let (progress_tx, progress) = watch::channel(Progress {
            epoch: opened.epoch,
            last_seq: opened.last_seq,
            fault: None,
        });
        let (commands, queue) = mpsc::channel(QUEUE_MAX);
        let writer = writer::Writer::new(opened.writer, opened.mark, dir, progress_tx, key);
        let task = tokio::spawn(writer.run(queue));
        let reader = Arc::new(Mutex::new(opened.reader));
        let spool = Self { commands, progress, reader, key: key.clone() };
        if let Some(reason) = opened.epoch_reason {
            let event = GatewayEvent { code: "epoch_started".into(), link: None, detail: reason };
            let _ = spool.event(event).await;
        }
        Ok((spool, task))
    }

    /// Queues a link's documents and its journal position; waits only for room in the queue.
    pub async fn submit(&self, entry: Entry) -> Result<(), SpoolError> {
        self.send(Command::Store(entry, None)).await
    }

    /// Stores a link's documents and position and returns once they are committed.
    pub async fn commit(&self, entry: Entry) -> Result<(), SpoolError> {
        let (done, committed) = oneshot::channel();
        self.send(Command::Store(entry, Some(done))).await?;
        committed.await.map_err(|_| SpoolError::Stopped)
    }

    /// Queues an event document.
    pub async fn event(&self, event: GatewayEvent) -> Result<(), SpoolError> {
        let document = Document::new(crate::clock::wall(), Body::Event(event));
        self.send(Command::Event(document)).await
    }

    /// Takes an acknowledgement of the current epoch. `is_first` of a connection: what the cloud
    /// does not have although it once said so (its database was restored) is pending again, and
    /// this returns only when that is committed.
    pub async fn acknowledge(&self, ack: Ack, is_first: bool) -> Result<(), SpoolError> {
        if !is_first {
            return self.send(Command::Acknowledge { ack, is_first, done: None }).await;
        }
        let (done, committed) = oneshot::channel();
        self.send(Command::Acknowledge { ack, is_first, done: Some(done) }).await?;
        committed.await.map_err(|_| SpoolError::Stopped)
    }

    /// Puts a document that no broker will carry into quarantine.
    pub async fn quarantine(&self, seq: Seq, reason: String) -> Result<(), SpoolError> {
        self.send(Command::Quarantine { seq, reason }).await
    }

    /// Begins a new epoch: what is to be sent again gets a new number.
    pub async fn begin_epoch(&self, reason: String, again: Again) -> Result<(), SpoolError> {
        self.send(Command::BeginEpoch { reason, again }).await
    }

    /// Whether an acknowledgement speaks of other documents than those that have these numbers here.
    /// False where that cannot be told.
    pub async fn contradicts(&self, ack: &Ack) -> Result<bool, SpoolError> {
        reader::contradicts(&mut *self.reader.lock().await, ack).await
    }

    /// Remembers which lane sessions are open, and of which acts the cloud has heard.
    pub async fn store_sessions(
        &self,
        open: Vec<OpenSession>,
        heard: Vec<HeardAct>,
    ) -> Result<(), SpoolError> {
        self.send(Command::Sessions { open, heard }).await
    }

    /// Stores something that was done at the gateway's page, with what it makes of its lane, and
    /// returns once it is committed.
    pub async fn act(
        &self,
        document: Document,
        local: Option<(LaneId, LocalLane)>,
    ) -> Result<(), SpoolError> {
        let (done, committed) = oneshot::channel();
        self.send(Command::Act { document, local, done }).await?;
        committed.await.map_err(|_| SpoolError::Stopped)
    }

    /// What was done at the gateway's page about lanes, and the cloud has not heard of.
    pub async fn local_lanes(&self) -> Result<Vec<(LaneId, LocalLane)>, SpoolError> {
        reader::local_lanes(&mut *self.reader.lock().await).await
    }

    /// Readings and acts above a number, filed or not, in order.
    pub async fn kept_after(
        &self,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<StoredDocument>, SpoolError> {
        reader::kept_after(&mut *self.reader.lock().await, &self.key, after, limit).await
    }

    /// Whether the cloud has refused a document for good.
    pub async fn is_rejected(&self, id: ReadingId) -> Result<bool, SpoolError> {
        reader::is_rejected(&mut *self.reader.lock().await, id).await
    }

    /// What the writer has committed, and what keeps it from going on.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    pub async fn position(&self, link: &LinkId) -> Result<Option<Position>, SpoolError> {
        reader::position(&mut *self.reader.lock().await, link).await
    }

    /// The lane sessions as last told by the cloud, and when each lane's last stamped reading came.
    pub async fn lanes(&self) -> Result<(Vec<OpenSession>, Vec<(LaneId, Timestamp)>), SpoolError> {
        reader::lanes(&mut *self.reader.lock().await).await
    }

    /// Whether a link has already read a file with this hash.
    pub async fn is_imported(&self, link: &LinkId, file: Sha256) -> Result<bool, SpoolError> {
        reader::is_imported(&mut *self.reader.lock().await, link, file).await
    }

    /// Numbers of pending documents after `after`, in order.
    pub async fn pending_after(&self, after: Seq, limit: usize) -> Result<Vec<Seq>, SpoolError> {
        reader::pending_after(&mut *self.reader.lock().await, after, limit).await
    }

    /// A document, if it is still pending.
    pub async fn pending(&self, seq: Seq) -> Result<Option<StoredDocument>, SpoolError> {
        reader::pending(&mut *self.reader.lock().await, &self.key, seq).await
    }

    /// This side of the conservation equation.
    pub async fn state(&self) -> Result<SpoolState, SpoolError> {
        reader::state(&mut *self.reader.lock().await).await
    }

    async fn send(&self, command: Command) -> Result<(), SpoolError> {
        self.commands.send(command).await.map_err(|_| SpoolError::Stopped)
    }
}

/// The lanes' binding state, shared by the links and the uplink.
pub type SharedLanes = Arc<StdMutex<crate::binding::Lanes>>;

/// Reads a link's position in a spool that nobody writes.
pub async fn inspect_position(dir: &Path, link: &LinkId) -> Result<Option<Position>, SpoolError> {
    let mut connection = open::open_for_inspection(dir)
        .await
        .map_err(|source| SpoolError::Read { what: "be opened", source })?;
    reader::position(&mut connection, link).await
}

/// Reads the state of a spool that another process may be writing; changes nothing.
pub async fn inspect(dir: &Path) -> Result<SpoolState, SpoolError> {
    let mut connection = open::open_for_inspection(dir)
        .await
        .map_err(|source| SpoolError::Read { what: "be opened", source })?;
    reader::state(&mut connection).await
}

/// What a spool keeps of one link and kind of document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkCount {
    pub link: String,
    pub kind: String,
    pub count: u64,
    /// Time of the last one.
    pub last: String,
}

/// The same of what the spool keeps by link.
pub async fn inspect_links(dir: &Path) -> Result<Vec<LinkCount>, SpoolError> {
    let opened = open::open_for_inspection(dir).await;
    let mut connection = opened.map_err(|source| SpoolError::Read { what: "be opened", source })?;
    reader::by_link(&mut connection).await
}

/// The same of its last documents of a kind, the newest first.
pub async fn inspect_last(
    dir: &Path,
    key: &Key,
    kind: &str,
    count: usize,
) -> Result<Vec<StoredDocument>, SpoolError> {
    let opened = open::open_for_inspection(dir).await;
    let mut connection = opened.map_err(|source| SpoolError::Read { what: "be opened", source })?;
    reader::last(&mut connection, key, kind, count).await
}
