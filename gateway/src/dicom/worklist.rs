//! The worklist as the cloud last told it, on disk and in memory: imagers find their patients while
//! the internet is down.

use crate::kept::{self, Kept};
use chiasm_proto::Worklist;
use std::{io, path::Path};

const FILE: &str = "worklist.json";

/// Shared by the uplink, which stores, and those who ask.
pub type WorklistCache = Kept<Worklist>;

/// Takes up what a run before has stored.
pub fn open(data_dir: &Path) -> WorklistCache {
    Kept::open(data_dir, FILE)
}

/// Reads what a gateway with this data directory has stored, which may be running.
pub fn read(data_dir: &Path) -> io::Result<Option<Worklist>> {
    kept::read(data_dir, FILE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_restart_finds_the_worklist_and_nobody_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path());
        assert!(cache.current().is_none());
        let worklist = Worklist {
            generated_at: "2026-11-30T07:00:00Z".parse().unwrap(),
            location: "Main street".into(),
            visits: vec![],
        };
        cache.store(worklist.clone()).unwrap();
        let again = open(dir.path());
        assert_eq!(again.current().as_deref(), Some(&worklist));
        let mode = dir.path().join(FILE).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_as_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "{\"generated_at\":").unwrap();
        assert!(open(dir.path()).current().is_none());
    }
}
