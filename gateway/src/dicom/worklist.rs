//! The worklist as the cloud last told it, on disk and in memory: imagers find their patients while
//! the internet is down.

use crate::seal::{Key, Purpose};
use chiasm_proto::Worklist;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Longest worklist, in bytes of JSON: more than a broker carries.
pub const WORKLIST_LEN_MAX: u64 = 4 * 1024 * 1024;
const FILE: &str = "worklist.sealed";
/// Of versions before, in clear.
const CLEAR: &str = "worklist.json";

/// Shared by the uplink, which stores, and the associations, which ask.
#[derive(Clone)]
pub struct WorklistCache {
    dir: PathBuf,
    key: Key,
    current: Arc<Mutex<Option<Arc<Worklist>>>>,
}

impl WorklistCache {
    /// Takes up what a run before has stored. A file that cannot be read is as none: the cloud
    /// sends the whole again.
    pub fn open(data_dir: &Path, key: &Key) -> Self {
        let current = match read(data_dir, key) {
            Ok(worklist) => worklist.map(Arc::new),
            Err(error) => {
                tracing::warn!(%error, "the stored worklist cannot be read; until the cloud sends \
                    it again imagers find nobody");
                None
            }
        };
        Self { dir: data_dir.into(), key: key.clone(), current: Arc::new(Mutex::new(current)) }
    }

    pub fn current(&self) -> Option<Arc<Worklist>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the worklist, also if it cannot be written: memory is better than yesterday's.
    pub fn store(&self, worklist: Worklist) -> io::Result<()> {
        let json = serde_json::to_vec(&worklist).expect("plain data always serialises");
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(worklist));
        let fresh = self.dir.join("worklist.new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&self.key.seal(Purpose::Worklist, b"", &json))?;
        file.sync_all()?;
        std::fs::rename(&fresh, self.dir.join(FILE))?;
        match std::fs::remove_file(self.dir.join(CLEAR)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        File::open(&self.dir)?.sync_all()
    }
}

/// Reads what a gateway with this data directory has stored, which may be running.
pub fn read(data_dir: &Path, key: &Key) -> io::Result<Option<Worklist>> {
    let json = match read_file(&data_dir.join(FILE))? {
        Some(sealed) => {
            let opened = key.open(Purpose::Worklist, b"", &sealed);
            opened.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?
        }
        None => match read_file(&data_dir.join(CLEAR))? {
            Some(json) => json,
            None => return Ok(None),
        },
    };
    Ok(Some(serde_json::from_slice(&json)?))
}

fn read_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(WORKLIST_LEN_MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn key() -> Key {
        Key::from_bytes(&[7; 32])
    }

    #[test]
    fn a_restart_finds_the_worklist_and_nobody_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let cache = WorklistCache::open(dir.path(), &key());
        assert!(cache.current().is_none());
        let worklist = Worklist {
            generated_at: "2026-11-30T07:00:00Z".parse().unwrap(),
            location: "MAIN-STREET".into(),
            visits: vec![],
        };
        cache.store(worklist.clone()).unwrap();
        let stored = std::fs::read(dir.path().join(FILE)).unwrap();
        assert!(!stored.windows(11).any(|window| window == b"MAIN-STREET"));
        let again = WorklistCache::open(dir.path(), &key());
        assert_eq!(again.current().as_deref(), Some(&worklist));
        let mode = dir.path().join(FILE).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn one_in_clear_is_read_until_the_next_comes() {
        let dir = tempfile::tempdir().unwrap();
        let json = r#"{"generated_at":"2026-11-30T07:00:00Z","location":"a","visits":[]}"#;
        std::fs::write(dir.path().join(CLEAR), json).unwrap();
        let cache = WorklistCache::open(dir.path(), &key());
        let worklist = cache.current().unwrap();
        assert_eq!(worklist.location, "a");
        cache.store((*worklist).clone()).unwrap();
        assert!(!dir.path().join(CLEAR).exists());
    }

    #[test]
    fn a_damaged_file_is_as_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "{\"generated_at\":").unwrap();
        assert!(WorklistCache::open(dir.path(), &key()).current().is_none());
    }
}
