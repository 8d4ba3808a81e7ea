//! An instance while it is being received. Memory is bounded: a small one is collected, a large one
//! goes in blocks to a thread that hashes and writes while the next block arrives.

use super::{Head, Held, Instances, InstancesError, SMALL_LEN_MAX, Stored, content::seal_small};
use crate::{
    clock,
    seal::{Key, Purpose, stream::SealingWriter},
};
use chiasm_proto::{ClockState, LaneSessionId, Sha256, instance::INSTANCE_LEN_MAX};
use dicom_object::FileMetaTableBuilder;
use sha2::{Digest, Sha256 as Hasher};
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use tokio::{sync::mpsc, task::JoinHandle};
use uuid::Uuid;

/// Blocks that go to the writing thread.
const BLOCK_LEN: usize = 1024 * 1024;
/// Blocks that wait for it.
const BLOCKS_MAX: usize = 4;
/// Bytes between two looks at the room on the disk.
const LOOK_EVERY: u64 = 64 * 1024 * 1024;
/// Longest UID (DICOM PS3.5, 9.1), with some grace: what is longer is refused, not cut.
const UID_LEN_MAX: usize = 128;

/// Dropped before it is finished, it leaves nothing behind.
pub struct Incoming {
    instances: Instances,
    head: Head,
    id: Uuid,
    len_bytes: u64,
    /// What is not yet with the writer; the whole instance as long as it is small.
    block: Vec<u8>,
    writer: Option<Writer>,
    /// A file of it lies in `incoming`, to be removed unless it is settled.
    has_file: bool,
    follow_up: bool,
}

impl Incoming {
    pub(super) fn begin(instances: Instances, head: Head) -> Result<Self, InstancesError> {
        for (what, uid) in [
            ("SOP class UID", &head.sop_class_uid),
            ("SOP instance UID", &head.sop_instance_uid),
            ("transfer syntax UID", &head.transfer_syntax_uid),
        ] {
            if uid.is_empty() || uid.len() > UID_LEN_MAX {
                return Err(InstancesError::Uid { what, len: uid.len() });
            }
        }
        instances.check_reserve()?;
        let block = file_header(&head)?;
        let len_bytes = block.len() as u64;
        let id = Uuid::now_v7();
        Ok(Self {
            instances,
            head,
            id,
            len_bytes,
            block,
            writer: None,
            has_file: false,
            follow_up: false,
        })
    }

    /// Takes the next bytes of the data set, exactly as they came.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), InstancesError> {
        let before = self.len_bytes;
        self.len_bytes += bytes.len() as u64;
        if self.len_bytes > INSTANCE_LEN_MAX {
            return Err(InstancesError::TooLong);
        }
        if before / LOOK_EVERY != self.len_bytes / LOOK_EVERY {
            self.instances.check_reserve()?;
        }
        self.block.extend_from_slice(bytes);
        let is_large = self.writer.is_some() || self.block.len() > SMALL_LEN_MAX;
        if is_large && self.block.len() >= BLOCK_LEN {
            self.hand_over().await?;
        }
        Ok(())
    }

    /// Something follows from it, which the commit that makes it durable notes.
    pub fn mark_for_follow_up(&mut self) {
        self.follow_up = true;
    }

    /// Makes it durable. Nothing is left of it after an error.
    pub async fn finish(
        mut self,
        lane_session: Option<LaneSessionId>,
        clock: ClockState,
    ) -> Result<Stored, InstancesError> {
        let is_small = self.writer.is_none() && self.block.len() <= SMALL_LEN_MAX;
        let sha256 = if is_small {
            Sha256::of(&self.block)
        } else {
            if !self.block.is_empty() {
                self.hand_over().await?;
            }
            self.writer.take().expect("a large instance has a writer").finish().await?
        };
        let result = self.enter(sha256, is_small, lane_session, clock).await;
        if matches!(result, Ok(Stored::New(_) | Stored::Contradicts(_))) {
            self.has_file = false;
        }
        result
    }

    async fn enter(
        &self,
        sha256: Sha256,
        is_small: bool,
        lane_session: Option<LaneSessionId>,
        clock: ClockState,
    ) -> Result<Stored, InstancesError> {
        // Held until the row is there: the same instance on two associations is kept once.
        let mut index = self.instances.index.lock().await;
        let earlier = index.under(&self.head.sop_instance_uid).await?;
        if let Some(same) = earlier.iter().find(|held| held.sha256 == sha256) {
            return Ok(Stored::Again(same.clone()));
        }
        let held = Held {
            id: self.id,
            head: self.head.clone(),
            sha256,
            len_bytes: self.len_bytes,
            received_at: clock::wall(),
            clock,
            lane_session,
            is_filed: false,
            contradicts_earlier: !earlier.is_empty(),
        };
        let follow_up = self.follow_up || held.contradicts_earlier;
        if is_small {
            let sealed = seal_small(&self.instances.key, self.id, &self.block);
            index.insert(&held, Some(&sealed), follow_up).await?;
        } else {
            let (from, to) = (self.instances.incoming(self.id), self.instances.file(self.id));
            tokio::task::spawn_blocking(move || settle(&from, &to))
                .await
                .expect("renaming does not panic")?;
            index.insert(&held, None, follow_up).await?;
        }
        drop(index);
        self.instances.bump();
        Ok(if earlier.is_empty() { Stored::New(held) } else { Stored::Contradicts(held) })
    }

    async fn hand_over(&mut self) -> Result<(), InstancesError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let path = self.instances.incoming(self.id);
                let writer = Writer::start(path, &self.instances.key, self.id)?;
                self.has_file = true;
                none.insert(writer)
            }
        };
        let next = Vec::with_capacity(BLOCK_LEN + BLOCK_LEN / 8);
        let block = std::mem::replace(&mut self.block, next);
        if writer.blocks.send(block).await.is_ok() {
            return Ok(());
        }
        // It ended early, so it has an error to tell.
        let writer = self.writer.take().expect("it was used just now");
        Err(match writer.finish().await {
            Err(error) => error,
            Ok(_) => InstancesError::Header("the writer ended before the instance".into()),
        })
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.has_file {
            // The thread may still write to it; the name is gone, and with its end the bytes. It was
            // renamed already if only its row failed.
            let _ = fs::remove_file(self.instances.incoming(self.id));
            let _ = fs::remove_file(self.instances.file(self.id));
        }
    }
}

/// Preamble, prefix and file meta information. Holds nothing but what the data set's own sender
/// said of it, so that the same data set makes the same file.
fn file_header(head: &Head) -> Result<Vec<u8>, InstancesError> {
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(&head.sop_class_uid)
        .media_storage_sop_instance_uid(&head.sop_instance_uid)
        .transfer_syntax(&head.transfer_syntax_uid)
        .implementation_class_uid(super::IMPLEMENTATION_CLASS_UID)
        .build()
        .map_err(|error| InstancesError::Header(error.to_string()))?;
    let mut header = vec![0; 128];
    header.extend_from_slice(b"DICM");
    meta.write(&mut header).map_err(|error| InstancesError::Header(error.to_string()))?;
    Ok(header)
}

/// Renames a file whose bytes are durable, and makes the name durable too.
fn settle(from: &Path, to: &Path) -> Result<(), InstancesError> {
    fs::rename(from, to).map_err(|source| InstancesError::File {
        what: "rename",
        path: from.into(),
        source,
    })?;
    let folder = to.parent().expect("a file stands in a folder");
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| InstancesError::File { what: "sync", path: folder.into(), source })
}

/// A thread that hashes and writes blocks.
struct Writer {
    blocks: mpsc::Sender<Vec<u8>>,
    thread: JoinHandle<Result<Sha256, InstancesError>>,
}

impl Writer {
    fn start(path: PathBuf, key: &Key, id: Uuid) -> Result<Self, InstancesError> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(0o600);
        let file = options.open(&path).map_err(|source| InstancesError::File {
            what: "make",
            path: path.clone(),
            source,
        })?;
        Ok(Self::over(file, path, key.clone(), id))
    }

    fn over(file: File, path: PathBuf, key: Key, id: Uuid) -> Self {
        let (blocks, queue) = mpsc::channel(BLOCKS_MAX);
        let thread = tokio::task::spawn_blocking(move || {
            let mut hasher = Hasher::new();
            let written = seal_blocks(file, &key, id, queue, &mut hasher);
            written.map_err(|source| InstancesError::File { what: "write to", path, source })?;
            Ok(Sha256(hasher.finalize().into()))
        });
        Self { blocks, thread }
    }

    /// Ends when everything is written and durable.
    async fn finish(self) -> Result<Sha256, InstancesError> {
        drop(self.blocks);
        self.thread.await.expect("writing does not panic")
    }
}

/// Hashes what came, and writes it sealed and durable.
fn seal_blocks(
    file: File,
    key: &Key,
    id: Uuid,
    mut queue: mpsc::Receiver<Vec<u8>>,
    hasher: &mut Hasher,
) -> io::Result<()> {
    let mut writer = SealingWriter::new(file, key, Purpose::Instance, id.as_bytes())?;
    while let Some(block) = queue.blocking_recv() {
        hasher.update(&block);
        writer.write_all(&block)?;
    }
    writer.finish()?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chiasm_proto::{LaneId, LinkId};

    fn head() -> Head {
        Head {
            link: LinkId::new("oct-1").unwrap(),
            lane: LaneId::new("lane-1").unwrap(),
            calling_ae: "OCT".into(),
            sop_class_uid: "1.2".into(),
            sop_instance_uid: "1.2.3".into(),
            transfer_syntax_uid: "1.2.840.10008.1.2.1".into(),
        }
    }

    /// A disk that fails in the middle must not stay full of what was never kept.
    #[tokio::test]
    async fn what_could_not_be_written_is_removed() {
        for fails_at_the_end in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let key = Key::from_bytes(&[7; 32]);
            let instances = Instances::open(dir.path(), &key).await.unwrap();
            let mut incoming = instances.begin(head()).await.unwrap();
            let path = instances.incoming(incoming.id);
            fs::write(&path, "begun").unwrap();
            // Opened for reading only: every write to it fails.
            incoming.writer = Some(Writer::over(
                File::open(&path).unwrap(),
                path.clone(),
                key.clone(),
                incoming.id,
            ));
            incoming.has_file = true;
            let block = vec![7; BLOCK_LEN];
            let result = if fails_at_the_end {
                // The file's own header may fail before the first block is taken.
                match incoming.write(&block).await {
                    Ok(()) => incoming.finish(None, ClockState::Synced).await.map(|_| ()),
                    Err(error) => {
                        drop(incoming);
                        Err(error)
                    }
                }
            } else {
                let mut result = Ok(());
                for _ in 0..BLOCKS_MAX + 4 {
                    result = incoming.write(&block).await;
                    if result.is_err() {
                        break;
                    }
                }
                drop(incoming);
                result
            };
            assert!(matches!(result, Err(InstancesError::File { .. })), "{result:?}");
            assert!(!path.exists(), "at the end: {fails_at_the_end}");
        }
    }
}
