//! Overwriting, removing, and making that durable.

use super::{WipeError, fail};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Longest file that is overwritten: keys are short.
const OVERWRITE_LEN_MAX: u64 = 64 * 1024;

/// Overwrites a key, then removes it; each durable before the next. A disk that writes elsewhere
/// keeps the old block for a while: whoever fears that encrypts the disk.
pub(super) fn destroy(path: &Path) -> Result<(), WipeError> {
    let overwrite = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        let len = file.metadata()?.len().min(OVERWRITE_LEN_MAX);
        file.write_all(&vec![0; usize::try_from(len).unwrap_or(0)])?;
        file.sync_all()
    };
    overwrite().map_err(fail("overwrite", path))?;
    match fs::remove_file(path) {
        // The folder belongs to somebody else. The file is left, and says nothing.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        removed => removed.map_err(fail("remove", path))?,
    }
    sync_folder(path)
}

/// Whether there is a file that was not overwritten.
pub(super) fn says_anything(path: &Path) -> Result<bool, WipeError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        read => Ok(read.map_err(fail("read", path))?.iter().any(|byte| *byte != 0)),
    }
}

/// Removes a file or a folder with all that is in it. A link goes, not what it points to.
pub(super) fn remove(path: &Path) -> Result<(), WipeError> {
    let meta = fs::symlink_metadata(path).map_err(fail("remove", path))?;
    let removed = if meta.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map_err(fail("remove", path))?;
    sync_folder(path)
}

/// Writes a file durably, in one step.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), WipeError> {
    let fresh = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().map_err(fail("write", path))?;
    sync_folder(path)
}

pub(super) fn sync_folder(path: &Path) -> Result<(), WipeError> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail("sync", folder))
}
