//! A document of the cloud that has to outlive a restart, sealed on disk and in memory. For nobody's
//! eyes but the gateway's.

use crate::seal::{Key, Purpose};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Longest document, in bytes of JSON: more than a broker carries.
pub const KEPT_LEN_MAX: u64 = 4 * 1024 * 1024;

/// Which document it is.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    pub purpose: Purpose,
    pub file: &'static str,
    /// Where a version before kept it in clear; read until the next one comes.
    pub clear: Option<&'static str>,
}

/// Shared by the uplink, which stores, and those who ask.
pub struct Kept<T> {
    dir: PathBuf,
    key: Key,
    slot: Slot,
    current: Arc<Mutex<Option<Arc<T>>>>,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        let (dir, key) = (self.dir.clone(), self.key.clone());
        Self { dir, key, slot: self.slot, current: self.current.clone() }
    }
}

impl<T: Serialize + DeserializeOwned> Kept<T> {
    /// Takes up what a run before has stored. A file that cannot be read is as none: the cloud
    /// sends the whole again.
    pub fn open(data_dir: &Path, key: &Key, slot: Slot) -> Self {
        let current = match read(data_dir, key, slot) {
            Ok(found) => found.map(Arc::new),
            Err(error) => {
                tracing::warn!(
                    file = slot.file, %error,
                    "cannot be read; it is missing until the cloud sends it again"
                );
                None
            }
        };
        let current = Arc::new(Mutex::new(current));
        Self { dir: data_dir.into(), key: key.clone(), slot, current }
    }

    pub fn current(&self) -> Option<Arc<T>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces it, also if it cannot be written: memory is better than yesterday's.
    pub fn store(&self, document: T) -> io::Result<()> {
        let json = serde_json::to_vec(&document).expect("plain data always serialises");
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(document));
        let fresh = self.dir.join(format!("{}.new", self.slot.file));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&self.key.seal(self.slot.purpose, b"", &json))?;
        file.sync_all()?;
        std::fs::rename(&fresh, self.dir.join(self.slot.file))?;
        if let Some(clear) = self.slot.clear {
            match std::fs::remove_file(self.dir.join(clear)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        File::open(&self.dir)?.sync_all()
    }
}

/// Reads what a gateway with this data directory has stored, which may be running.
pub fn read<T: DeserializeOwned>(data_dir: &Path, key: &Key, slot: Slot) -> io::Result<Option<T>> {
    if let Some(sealed) = read_file(&data_dir.join(slot.file))? {
        let opened = key.open(slot.purpose, b"", &sealed);
        let json = opened.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        return Ok(Some(serde_json::from_slice(&json)?));
    }
    let Some(clear) = slot.clear else { return Ok(None) };
    let json = read_file(&data_dir.join(clear))?;
    Ok(json.map(|json| serde_json::from_slice(&json)).transpose()?)
}

fn read_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(KEPT_LEN_MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}
