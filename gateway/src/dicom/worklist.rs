//! The worklist as the cloud last told it, on disk and in memory: imagers find their patients while
//! the internet is down.

use crate::{
    kept::{self, Kept, Slot},
    seal::{Key, Purpose},
};
use chiasm_proto::Worklist;
use std::{io, path::Path};

const SLOT: Slot =
    Slot { purpose: Purpose::Worklist, file: "worklist.sealed", clear: Some("worklist.json") };

/// Shared by the uplink, which stores, and those who ask.
pub type WorklistCache = Kept<Worklist>;

/// Takes up what a run before has stored.
pub fn open(data_dir: &Path, key: &Key) -> WorklistCache {
    Kept::open(data_dir, key, SLOT)
}

/// Reads what a gateway with this data directory has stored, which may be running.
pub fn read(data_dir: &Path, key: &Key) -> io::Result<Option<Worklist>> {
    kept::read(data_dir, key, SLOT)
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
        let cache = open(dir.path(), &key());
        assert!(cache.current().is_none());
        let worklist = Worklist {
            generated_at: "2026-11-30T07:00:00Z".parse().unwrap(),
            location: "MAIN-STREET".into(),
            visits: vec![],
        };
        cache.store(worklist.clone()).unwrap();
        let stored = std::fs::read(dir.path().join(SLOT.file)).unwrap();
        assert!(!stored.windows(11).any(|window| window == b"MAIN-STREET"));
        let again = open(dir.path(), &key());
        assert_eq!(again.current().as_deref(), Some(&worklist));
        let mode = dir.path().join(SLOT.file).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn one_in_clear_is_read_until_the_next_comes() {
        let dir = tempfile::tempdir().unwrap();
        let json = r#"{"generated_at":"2026-11-30T07:00:00Z","location":"a","visits":[]}"#;
        std::fs::write(dir.path().join("worklist.json"), json).unwrap();
        let cache = open(dir.path(), &key());
        let worklist = cache.current().unwrap();
        assert_eq!(worklist.location, "a");
        cache.store((*worklist).clone()).unwrap();
        assert!(!dir.path().join("worklist.json").exists());
    }

    #[test]
    fn a_damaged_file_is_as_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(SLOT.file), "{\"generated_at\":").unwrap();
        assert!(open(dir.path(), &key()).current().is_none());
    }
}
