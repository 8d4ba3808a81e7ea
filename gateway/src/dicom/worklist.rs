//! The worklist as the cloud last told it, on disk and in memory: imagers find their patients while
//! the internet is down.

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
const FILE: &str = "worklist.json";

/// Shared by the uplink, which stores, and the associations, which ask.
#[derive(Clone)]
pub struct WorklistCache {
    dir: PathBuf,
    current: Arc<Mutex<Option<Arc<Worklist>>>>,
}

impl WorklistCache {
    /// Takes up what a run before has stored. A file that cannot be read is as none: the cloud
    /// sends the whole again.
    pub fn open(data_dir: &Path) -> Self {
        let current = match read(data_dir) {
            Ok(worklist) => worklist.map(Arc::new),
            Err(error) => {
                tracing::warn!(%error, "the stored worklist cannot be read; until the cloud sends \
                    it again imagers find nobody");
                None
            }
        };
        Self { dir: data_dir.into(), current: Arc::new(Mutex::new(current)) }
    }

    pub fn current(&self) -> Option<Arc<Worklist>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the worklist, also if it cannot be written: memory is better than yesterday's.
    pub fn store(&self, worklist: Worklist) -> io::Result<()> {
        let json = serde_json::to_vec(&worklist).expect("plain data always serialises");
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(worklist));
        let fresh = self.dir.join("worklist.json.new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&json)?;
        file.sync_all()?;
        std::fs::rename(&fresh, self.dir.join(FILE))?;
        File::open(&self.dir)?.sync_all()
    }
}

/// Reads what a gateway with this data directory has stored, which may be running.
pub fn read(data_dir: &Path) -> io::Result<Option<Worklist>> {
    let file = match File::open(data_dir.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut json = Vec::new();
    file.take(WORKLIST_LEN_MAX).read_to_end(&mut json)?;
    Ok(Some(serde_json::from_slice(&json)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_restart_finds_the_worklist_and_nobody_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let cache = WorklistCache::open(dir.path());
        assert!(cache.current().is_none());
        let worklist = Worklist {
            generated_at: "2026-11-30T07:00:00Z".parse().unwrap(),
            location: "Main street".into(),
            visits: vec![],
        };
        cache.store(worklist.clone()).unwrap();
        let again = WorklistCache::open(dir.path());
        assert_eq!(again.current().as_deref(), Some(&worklist));
        let mode = dir.path().join(FILE).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_as_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "{\"generated_at\":").unwrap();
        assert!(WorklistCache::open(dir.path()).current().is_none());
    }
}
