//! Instances that arrive in parts: written where they belong, hashed on the way, checked when whole.
//! The length of the file is the truth of how far an upload has come; a hash that runs along spares
//! reading everything again, and is made anew from the file where it is lost.

use bytes::Bytes;
use chiasm_proto::{Sha256, instance::PART_LEN_MAX};
use futures_util::{Stream, StreamExt};
use sha2::Digest;
use std::{
    collections::HashMap,
    io::{self, Read},
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    fs::{File, OpenOptions},
    io::{AsyncSeekExt, AsyncWriteExt},
    sync::{OwnedMutexGuard, watch},
};

/// Uploads whose running hash is kept; beyond it those that nobody uses are read again.
const SLOTS_MAX: usize = 4096;
const READ_BYTES: usize = 256 * 1024;

/// Why a part was not taken. The file is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    #[error("a part has at most {PART_LEN_MAX} bytes, and the parts no more than was offered")]
    TooLong,
    #[error("the part did not arrive whole: {0}")]
    Cut(String),
    #[error("cannot write {path}: {source}")]
    File { path: PathBuf, source: io::Error },
}

/// What a part, or its absence, has led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrived {
    /// So many bytes are there.
    Upto(u64),
    /// The same, and why the part was not taken.
    NotTaken(u64, &'static str),
    /// Everything is there and is what was offered.
    Whole,
    /// Everything was there and is something else; it is thrown away.
    Damaged,
}

/// A hash of the first bytes of a file.
#[derive(Debug, Default)]
struct Running {
    hasher: sha2::Sha256,
    upto: u64,
}

/// The lock of one upload, and the number of whoever asked for it last.
#[derive(Debug, Clone, Default)]
struct Slot {
    running: Arc<tokio::sync::Mutex<Running>>,
    newest: watch::Sender<u64>,
}

/// The right to write one upload. It is over when somebody else asks for it: a gateway whose
/// connection broke comes again, and here the broken one may look alive for minutes.
#[derive(Debug)]
pub struct Turn {
    running: OwnedMutexGuard<Running>,
    newest: watch::Receiver<u64>,
    number: u64,
}

type Name = (String, Sha256);

/// One lock per upload, so that two connections do not write into one file.
#[derive(Debug, Clone, Default)]
pub struct Uploads {
    slots: Arc<Mutex<HashMap<Name, Slot>>>,
}

impl Uploads {
    pub async fn lock(&self, tenant: &str, sha256: Sha256) -> Turn {
        let slot = {
            let mut all = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= SLOTS_MAX {
                all.retain(|_, slot| Arc::strong_count(&slot.running) > 1);
            }
            all.entry((tenant.to_owned(), sha256)).or_default().clone()
        };
        let mut number = 0;
        slot.newest.send_modify(|newest| {
            *newest += 1;
            number = *newest;
        });
        let newest = slot.newest.subscribe();
        Turn { running: slot.running.lock_owned().await, newest, number }
    }

    /// Nothing of it arrives any more.
    pub fn forget(&self, tenant: &str, sha256: Sha256) {
        let mut all = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&(tenant.to_owned(), sha256));
    }
}

/// An upload: the file in which it is collected, and what was offered.
#[derive(Debug, Clone, Copy)]
pub struct Upload<'a> {
    pub path: &'a Path,
    pub sha256: Sha256,
    pub len_bytes: u64,
}

impl Upload<'_> {
    fn fault(&self, source: io::Error) -> PartError {
        PartError::File { path: self.path.to_owned(), source }
    }

    async fn open(&self) -> Result<(File, u64), PartError> {
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).read(true).write(true);
        let file = options.open(self.path).await.map_err(|it| self.fault(it))?;
        let len = file.metadata().await.map_err(|it| self.fault(it))?.len();
        Ok((file, len))
    }

    /// How far it has come; whole if nothing is missing and the hash is right.
    pub async fn look(&self, turn: &mut Turn) -> Result<Arrived, PartError> {
        let (_, len) = self.open().await?;
        if len < self.len_bytes {
            return Ok(Arrived::Upto(len));
        }
        self.catch_up(&mut turn.running, len).await?;
        self.check(&mut turn.running).await
    }

    /// Writes a part that begins at `offset`. It is taken whole or not at all.
    pub async fn write<E: std::fmt::Display>(
        &self,
        turn: &mut Turn,
        (offset, part_sha256): (u64, Sha256),
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Arrived, PartError> {
        let (mut file, len) = self.open().await?;
        if len != offset {
            return Ok(Arrived::NotTaken(len, "the next part begins at another offset"));
        }
        self.catch_up(&mut turn.running, len).await?;
        let written = self.append(&mut file, (turn, len), body).await;
        let (whole, part, upto) = match written {
            Ok(written) => written,
            Err(error) => {
                file.set_len(len).await.map_err(|it| self.fault(it))?;
                return Err(error);
            }
        };
        if part.finalize().as_slice() != part_sha256.0 {
            file.set_len(len).await.map_err(|it| self.fault(it))?;
            return Ok(Arrived::NotTaken(len, "the part is not the one whose hash was given"));
        }
        *turn.running = Running { hasher: whole, upto };
        if upto < self.len_bytes {
            return Ok(Arrived::Upto(upto));
        }
        self.check(&mut turn.running).await
    }

    /// Gives the hash of everything, that of the part, and the length.
    async fn append<E: std::fmt::Display>(
        &self,
        file: &mut File,
        (turn, offset): (&mut Turn, u64),
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<(sha2::Sha256, sha2::Sha256, u64), PartError> {
        let (mut whole, mut part, mut upto) =
            (turn.running.hasher.clone(), sha2::Sha256::new(), offset);
        let most = self.len_bytes.min(offset.saturating_add(PART_LEN_MAX as u64));
        file.seek(io::SeekFrom::Start(offset)).await.map_err(|it| self.fault(it))?;
        let mut body = pin!(body);
        let number = turn.number;
        loop {
            let chunk = tokio::select! {
                chunk = body.next() => chunk,
                // Where nobody can ask any more, nobody has.
                Ok(_) = turn.newest.wait_for(|newest| *newest != number) => {
                    return Err(PartError::Cut("another connection goes on with it".into()));
                }
            };
            let Some(chunk) = chunk else { break };
            let chunk = chunk.map_err(|error| PartError::Cut(error.to_string()))?;
            upto += chunk.len() as u64;
            if upto > most {
                return Err(PartError::TooLong);
            }
            whole.update(&chunk);
            part.update(&chunk);
            file.write_all(&chunk).await.map_err(|it| self.fault(it))?;
        }
        file.flush().await.map_err(|it| self.fault(it))?;
        Ok((whole, part, upto))
    }

    /// Hashes what is there, where the running hash is not of just that.
    async fn catch_up(&self, running: &mut Running, len: u64) -> Result<(), PartError> {
        if running.upto == len {
            return Ok(());
        }
        let path = self.path.to_owned();
        let hashed = tokio::task::spawn_blocking(move || hash_of(&path, len)).await;
        let hasher = hashed.map_err(io::Error::other).flatten().map_err(|it| self.fault(it))?;
        *running = Running { hasher, upto: len };
        Ok(())
    }

    async fn check(&self, running: &mut Running) -> Result<Arrived, PartError> {
        let Running { hasher, upto } = std::mem::take(running);
        if upto == self.len_bytes && hasher.clone().finalize().as_slice() == self.sha256.0 {
            *running = Running { hasher, upto };
            return Ok(Arrived::Whole);
        }
        tokio::fs::remove_file(self.path).await.map_err(|it| self.fault(it))?;
        Ok(Arrived::Damaged)
    }
}

fn hash_of(path: &Path, len: u64) -> io::Result<sha2::Sha256> {
    let mut file = std::fs::File::open(path)?.take(len);
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn chunks(bytes: &[u8]) -> impl Stream<Item = Result<Bytes, io::Error>> + use<> {
        let chunks: Vec<_> = bytes.chunks(7).map(|it| Ok(Bytes::copy_from_slice(it))).collect();
        stream::iter(chunks)
    }

    #[tokio::test]
    async fn parts_make_a_whole_whatever_happens_between_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.part");
        let bytes: Vec<u8> = (0..100_u8).collect();
        let upload = Upload { path: &path, sha256: Sha256::of(&bytes), len_bytes: 100 };
        let uploads = Uploads::default();
        let mut turn = uploads.lock("t", upload.sha256).await;
        let first = (0, Sha256::of(&bytes[..40]));
        let taken = upload.write(&mut turn, first, chunks(&bytes[..40])).await.unwrap();
        assert_eq!(taken, Arrived::Upto(40));
        // Again, further on, with another hash, cut, and too long: nothing of it is taken.
        for (offset, sha256) in [first, (41, first.1), (40, first.1)] {
            let part = (offset, sha256);
            let taken = upload.write(&mut turn, part, chunks(&bytes[40..])).await.unwrap();
            assert!(matches!(taken, Arrived::NotTaken(40, _)), "{offset}: {taken:?}");
        }
        let cut = chunks(&bytes[40..60]).chain(stream::iter([Err(io::Error::other("cut"))]));
        let part = (40, Sha256::of(&bytes[40..60]));
        assert!(matches!(upload.write(&mut turn, part, cut).await, Err(PartError::Cut(_))));
        let long = vec![0; 61];
        let part = (40, Sha256::of(&long));
        let refused = upload.write(&mut turn, part, chunks(&long)).await;
        assert!(matches!(refused, Err(PartError::TooLong)));
        assert_eq!(std::fs::read(&path).unwrap(), bytes[..40]);
        // Another process goes on: it knows no hash.
        let mut turn = Uploads::default().lock("t", upload.sha256).await;
        assert_eq!(upload.look(&mut turn).await.unwrap(), Arrived::Upto(40));
        let rest = (40, Sha256::of(&bytes[40..]));
        let whole = upload.write(&mut turn, rest, chunks(&bytes[40..])).await.unwrap();
        assert_eq!(whole, Arrived::Whole);
        let mut turn = Uploads::default().lock("t", upload.sha256).await;
        assert_eq!(upload.look(&mut turn).await.unwrap(), Arrived::Whole);
    }

    #[tokio::test]
    async fn what_was_not_offered_is_thrown_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.part");
        let upload = Upload { path: &path, sha256: Sha256::of(b"other"), len_bytes: 5 };
        let part = (0, Sha256::of(b"bytes"));
        let mut turn = Uploads::default().lock("t", upload.sha256).await;
        let taken = upload.write(&mut turn, part, chunks(b"bytes")).await.unwrap();
        assert_eq!(taken, Arrived::Damaged);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn whoever_comes_again_does_not_wait_for_a_broken_connection() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.part");
        let upload = Upload { path: &path, sha256: Sha256::of(b"bytes"), len_bytes: 5 };
        let uploads = Uploads::default();
        let mut broken = uploads.lock("t", upload.sha256).await;
        let never = chunks(b"by").chain(stream::pending());
        let part = (0, upload.sha256);
        let (cut, mut again) = tokio::join!(
            async {
                let cut = upload.write(&mut broken, part, never).await;
                drop(broken);
                cut
            },
            uploads.lock("t", upload.sha256)
        );
        assert!(matches!(cut, Err(PartError::Cut(_))));
        assert_eq!(upload.look(&mut again).await.unwrap(), Arrived::Upto(0));
    }
}
