//! The DICOM instances that this gateway holds until the cloud has filed them, and for a while
//! after. All SQL about them stands in this folder.
//!
//! ```text
//! {dir}/index.sqlite      one row for each instance; small instances lie in it whole
//! {dir}/incoming/{id}     what is being received; thrown away at a start
//! {dir}/files/{id}.sealed large instances, written once
//! ```
//!
//! Everything that an imager sent is sealed (see [`crate::seal`]); UIDs, lengths and hashes are
//! not. What a version before stored in clear, `{id}.dcm` and small instances that begin like a
//! DICOM file, is read on.
//!
//! Names on disk are ours: whatever a UID says, it never becomes part of a path. A sender is told of
//! success only after the bytes and the row are durable (fsync, rename, fsync of the folder, commit
//! with `synchronous=FULL`). A small instance costs one commit instead of four.

mod commitments;
mod content;
mod incoming;
mod index;
mod lasting;
mod open;
mod outbox;

pub use commitments::{Commitment, Reference};
pub use content::Content;
pub use incoming::Incoming;
pub use lasting::{COMMITTED_RETENTION, STEPS_MAX};
pub use open::IMPLEMENTATION_CLASS_UID;
pub use outbox::FOLLOW_UPS_MAX;

use crate::seal::Key;
use chiasm_proto::{ClockState, InstanceOffer, LaneId, LaneSessionId, LinkId, Sha256};
use index::Index;
use jiff::Timestamp;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

/// Longest instance that is kept inside the index.
pub const SMALL_LEN_MAX: usize = 64 * 1024;
/// So much of the disk stays free of images: readings go before them.
pub const RESERVE_BYTES: u64 = 1024 * 1024 * 1024;
/// How long an instance is kept after the cloud has filed it.
pub const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

/// Why an instance cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum InstancesError {
    #[error("the disk has {free_bytes} bytes free; {RESERVE_BYTES} of them are kept for readings")]
    OutOfResources { free_bytes: u64 },
    #[error("the instance is longer than {} bytes", chiasm_proto::instance::INSTANCE_LEN_MAX)]
    TooLong,
    #[error("a {what} of {len} characters; UIDs have 64 at most")]
    Uid { what: &'static str, len: usize },
    #[error("cannot {what} {path}: {source}")]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the index of instances cannot {what}: {source}")]
    Index { what: &'static str, source: sqlx::Error },
    #[error("the instance {0} is not what was stored")]
    Damaged(Uuid),
    #[error("the instance's file header cannot be written: {0}")]
    Header(String),
}

impl InstancesError {
    /// Whether the sender should try again when there is room.
    pub fn is_out_of_resources(&self) -> bool {
        match self {
            InstancesError::OutOfResources { .. } => true,
            InstancesError::File { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            InstancesError::Index { source: sqlx::Error::Database(error), .. } => {
                // SQLITE_FULL
                error.code().is_some_and(|code| code == "13")
            }
            _ => false,
        }
    }
}

/// What is known of an instance before its first byte: UIDs and syntax stand in the association
/// and in the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub link: LinkId,
    pub lane: LaneId,
    pub calling_ae: String,
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    pub transfer_syntax_uid: String,
}

/// An instance that is durable here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub id: Uuid,
    pub head: Head,
    pub sha256: Sha256,
    pub len_bytes: u64,
    pub received_at: Timestamp,
    pub clock: ClockState,
    pub lane_session: Option<LaneSessionId>,
    /// The cloud has it, durable and committed.
    pub is_filed: bool,
    /// Another instance with this UID and other content was here before.
    pub contradicts_earlier: bool,
}

impl Held {
    /// What the cloud is told of it.
    pub fn offer(&self) -> InstanceOffer {
        InstanceOffer {
            sha256: self.sha256,
            len_bytes: self.len_bytes,
            link: self.head.link.clone(),
            lane: self.head.lane.clone(),
            lane_session: self.lane_session,
            received_at: self.received_at,
            clock: self.clock,
            calling_ae: self.head.calling_ae.clone(),
            sop_class_uid: self.head.sop_class_uid.clone(),
            sop_instance_uid: self.head.sop_instance_uid.clone(),
            transfer_syntax_uid: self.head.transfer_syntax_uid.clone(),
            contradicts_earlier: self.contradicts_earlier,
        }
    }
}

/// What became of bytes that were received whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    New(Held),
    /// The same content under the same UID was here already; nothing was kept a second time.
    Again(Held),
    /// Other content under a UID that was here already: both are kept.
    Contradicts(Held),
}

impl Stored {
    pub fn held(&self) -> &Held {
        match self {
            Stored::New(held) | Stored::Again(held) | Stored::Contradicts(held) => held,
        }
    }
}

/// How many instances are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    pub waiting: u64,
    pub waiting_bytes: u64,
    pub filed: u64,
    /// Not what was stored: set aside, and never sent.
    pub damaged: u64,
}

/// The instances of one gateway: cheap to clone.
#[derive(Clone)]
pub struct Instances {
    dir: Arc<Path>,
    index: Arc<Mutex<Index>>,
    changes: Arc<watch::Sender<u64>>,
    key: Key,
}

impl Instances {
    /// Opens or makes the folder. What was being received when the process ended is thrown away: its
    /// sender was told nothing. A folder that is damaged, or was sealed with another key, is set
    /// aside whole and loudly.
    pub async fn open(dir: &Path, key: &Key) -> Result<Self, InstancesError> {
        let index = open::open(dir, key).await?;
        Ok(Self {
            dir: dir.into(),
            index: Arc::new(Mutex::new(index)),
            changes: Arc::new(watch::Sender::new(0)),
            key: key.clone(),
        })
    }

    /// Begins to receive an instance.
    pub async fn begin(&self, head: Head) -> Result<Incoming, InstancesError> {
        Incoming::begin(self.clone(), head)
    }

    /// Every instance under a UID.
    pub async fn held(&self, sop_instance_uid: &str) -> Result<Vec<Held>, InstancesError> {
        self.index.lock().await.under(sop_instance_uid).await
    }

    /// What the cloud does not have: days from the newest, each from its first instance. `skip` are
    /// on their way.
    pub async fn next_waiting(&self, skip: &[Uuid]) -> Result<Option<Held>, InstancesError> {
        self.index.lock().await.next_waiting(skip).await
    }

    /// The cloud has committed an instance.
    pub async fn filed(&self, id: Uuid, at: Timestamp) -> Result<(), InstancesError> {
        self.index.lock().await.filed(id, at).await?;
        self.bump();
        Ok(())
    }

    pub async fn counts(&self) -> Result<Counts, InstancesError> {
        self.index.lock().await.counts().await
    }

    /// Wakes whenever an instance was stored or filed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Deletes what the cloud filed longer ago than the retention; gives how many.
    pub async fn delete_expired(&self, now: Timestamp) -> Result<u64, InstancesError> {
        let mut index = self.index.lock().await;
        let expired = index.filed_before(now - RETENTION).await?;
        for id in &expired {
            for path in [self.file(*id), self.clear_file(*id)] {
                match std::fs::remove_file(&path) {
                    Err(source) if source.kind() != io::ErrorKind::NotFound => {
                        return Err(InstancesError::File { what: "remove", path, source });
                    }
                    _ => {}
                }
            }
            index.delete(*id, now).await?;
        }
        index.forget_committed(now).await?;
        Ok(expired.len() as u64)
    }

    fn file(&self, id: Uuid) -> PathBuf {
        self.dir.join(open::FILES).join(format!("{id}.sealed"))
    }

    /// Where a version before stored it.
    fn clear_file(&self, id: Uuid) -> PathBuf {
        self.dir.join(open::FILES).join(format!("{id}.dcm"))
    }

    fn incoming(&self, id: Uuid) -> PathBuf {
        self.dir.join(open::INCOMING).join(id.to_string())
    }

    fn bump(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn check_reserve(&self) -> Result<(), InstancesError> {
        let path = || self.dir.to_path_buf();
        let stat = rustix::fs::statvfs(&*self.dir).map_err(|error| InstancesError::File {
            what: "ask for the room in",
            path: path(),
            source: error.into(),
        })?;
        let free_bytes = stat.f_bavail * stat.f_frsize;
        if free_bytes < RESERVE_BYTES {
            return Err(InstancesError::OutOfResources { free_bytes });
        }
        Ok(())
    }
}

/// Counts what is in a folder that another process may be writing to; changes nothing.
pub async fn inspect(dir: &Path) -> Result<Counts, InstancesError> {
    open::open_for_inspection(dir).await?.counts().await
}
