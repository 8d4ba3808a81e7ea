//! An instance's bytes: opened where they lie, read in parts, and never given out changed.

use super::{Held, Instances, InstancesError, index::fails};
use crate::{
    clock,
    seal::{Key, Purpose, Unsealable, stream::SealedFile},
};
use std::{fmt, fs::File, io, os::unix::fs::FileExt, sync::Arc};
use uuid::Uuid;

/// The bytes of an instance, as a DICOM file.
#[derive(Clone)]
pub enum Content {
    Small(Vec<u8>),
    Large(Arc<SealedFile>),
    /// Stored by a version that did not seal.
    Clear(Arc<File>),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Content::Small(_) => "Small",
            Content::Large(_) => "Large",
            Content::Clear(_) => "Clear",
        })
    }
}

impl Content {
    /// Bytes from an offset on, `len` of them or fewer at the end. Blocks on the disk. What is not
    /// what was stored is an error of kind `InvalidData`.
    pub fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        match self {
            Content::Small(bytes) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let to = from.saturating_add(len).min(bytes.len());
                Ok(bytes[from..to].to_vec())
            }
            Content::Large(file) => file.read_at(offset, len),
            Content::Clear(file) => read_clear(file, offset, len),
        }
    }
}

fn read_clear(file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut part = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match file.read_at(&mut part[filled..], offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    part.truncate(filled);
    Ok(part)
}

/// Seals an instance that lies in the index.
pub(super) fn seal_small(key: &Key, id: Uuid, bytes: &[u8]) -> Vec<u8> {
    key.seal(Purpose::Instance, id.as_bytes(), bytes)
}

/// Opens an instance that lies in the index. One in clear begins with the zeros of a DICOM file,
/// a sealed one with a version.
pub(super) fn open_small(key: &Key, id: Uuid, bytes: Vec<u8>) -> Result<Vec<u8>, Unsealable> {
    match bytes.first() {
        Some(0) => Ok(bytes),
        _ => key.open(Purpose::Instance, id.as_bytes(), &bytes),
    }
}

impl Instances {
    /// Opens an instance's bytes.
    pub async fn content(&self, held: &Held) -> Result<Content, InstancesError> {
        if let Some(bytes) = self.index.lock().await.small(held.id).await? {
            let opened = open_small(&self.key, held.id, bytes);
            return opened.map(Content::Small).map_err(|_| InstancesError::Damaged(held.id));
        }
        let fail = |path| |source| InstancesError::File { what: "open", path, source };
        let path = self.file(held.id);
        match File::open(&path) {
            Ok(file) => {
                let place = held.id.into_bytes();
                let sealed = SealedFile::open(file, &self.key, Purpose::Instance, &place);
                match sealed {
                    Ok(file) => Ok(Content::Large(Arc::new(file))),
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                        Err(InstancesError::Damaged(held.id))
                    }
                    Err(error) => Err(fail(path)(error)),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let path = self.clear_file(held.id);
                let file = File::open(&path).map_err(fail(path))?;
                Ok(Content::Clear(Arc::new(file)))
            }
            Err(error) => Err(fail(path)(error)),
        }
    }

    /// Keeps an instance that is not what was stored from being sent, and from being taken for one
    /// that is here: its imager may send it again. Its bytes stay for people to look at.
    pub async fn set_aside(&self, id: Uuid) -> Result<(), InstancesError> {
        let mut index = self.index.lock().await;
        sqlx::query("update instance set damaged_at = ? where id = ?")
            .bind(clock::wall().as_second())
            .bind(id.to_string())
            .execute(index.connection())
            .await
            .map_err(fails("be changed"))?;
        Ok(())
    }
}
