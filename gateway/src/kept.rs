//! A document of the cloud that has to outlive a restart, on disk and in memory. For nobody's eyes
//! but the gateway's.

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

/// Shared by the uplink, which stores, and those who ask.
pub struct Kept<T> {
    dir: PathBuf,
    file: &'static str,
    current: Arc<Mutex<Option<Arc<T>>>>,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        let (dir, current) = (self.dir.clone(), self.current.clone());
        Self { dir, file: self.file, current }
    }
}

impl<T: Serialize + DeserializeOwned> Kept<T> {
    /// Takes up what a run before has stored. A file that cannot be read is as none: the cloud
    /// sends the whole again.
    pub fn open(data_dir: &Path, file: &'static str) -> Self {
        let current = match read(data_dir, file) {
            Ok(found) => found.map(Arc::new),
            Err(error) => {
                tracing::warn!(file, %error, "cannot be read; it is missing until the cloud sends \
                    it again");
                None
            }
        };
        let current = Arc::new(Mutex::new(current));
        Self { dir: data_dir.into(), file, current }
    }

    pub fn current(&self) -> Option<Arc<T>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces it, also if it cannot be written: memory is better than yesterday's.
    pub fn store(&self, document: T) -> io::Result<()> {
        let json = serde_json::to_vec(&document).expect("plain data always serialises");
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(document));
        let fresh = self.dir.join(format!("{}.new", self.file));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&json)?;
        file.sync_all()?;
        std::fs::rename(&fresh, self.dir.join(self.file))?;
        File::open(&self.dir)?.sync_all()
    }
}

/// Reads what a gateway with this data directory has stored, which may be running.
pub fn read<T: DeserializeOwned>(data_dir: &Path, file: &str) -> io::Result<Option<T>> {
    let file = match File::open(data_dir.join(file)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut json = Vec::new();
    file.take(KEPT_LEN_MAX).read_to_end(&mut json)?;
    Ok(Some(serde_json::from_slice(&json)?))
}
