//! The file with the gateway's key: 64 hexadecimal digits, readable by the gateway only. It is made
//! once and never replaced: without it, what it sealed is lost.

use super::{KEY_LEN, Key, random};
use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The file's name beside the configuration, and as a credential of systemd.
pub const KEY_FILE: &str = "spool.key";
/// systemd gives a service's credentials in this folder (`LoadCredential=spool.key:...`).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// Longest key file, with white space.
const KEY_FILE_LEN_MAX: u64 = 256;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("cannot read the spool's key {path}: {source}; it belongs to the gateway's user")]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{path} is no key of a spool: 64 hexadecimal digits; put the right one there, or move it \
         away to begin with a new key and an empty spool"
    )]
    Malformed { path: PathBuf },
    #[error(
        "cannot make the spool's key {path}: {source}; make it as root: `umask 077; head -c 32 \
         /dev/urandom | od -An -v -tx1 | tr -d ' \\n' > {path}; chown chiasm-gateway {path}`, or \
         name another place with spool_key"
    )]
    Make { path: PathBuf, source: io::Error },
}

/// Reads the key. None if there is no file.
pub fn load(configured: &Path) -> Result<Option<Key>, KeyFileError> {
    let path = place(configured);
    let read = |source| KeyFileError::Read { path: path.clone(), source };
    let meta = match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        meta => meta.map_err(read)?,
    };
    if meta.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others than the gateway may read the spool's key; \
            `chmod 600` it");
    }
    let malformed = || KeyFileError::Malformed { path: path.clone() };
    if meta.len() > KEY_FILE_LEN_MAX {
        return Err(malformed());
    }
    let text = fs::read(&path).map_err(read)?;
    let text = str::from_utf8(&text).map_err(|_| malformed())?;
    let bytes = from_hex(text.trim()).ok_or_else(malformed)?;
    Ok(Some(Key::from_bytes(&bytes)))
}

/// Reads the key, and makes one at the first start. It is durable before anything is sealed with it.
pub fn load_or_make(configured: &Path) -> Result<Key, KeyFileError> {
    if let Some(key) = load(configured)? {
        return Ok(key);
    }
    let path = place(configured);
    let bytes = random::<KEY_LEN>();
    make(&path, &bytes).map_err(|source| KeyFileError::Make { path: path.clone(), source })?;
    tracing::info!(path = %path.display(), "the spool's key was made");
    Ok(Key::from_bytes(&bytes))
}

/// The credential that systemd gives stands before the configured file.
fn place(configured: &Path) -> PathBuf {
    let credential = env::var_os(CREDENTIALS).map(|dir| Path::new(&dir).join(KEY_FILE));
    credential.filter(|path| path.exists()).unwrap_or_else(|| configured.into())
}

/// Where a key is written before it gets its name.
pub fn fresh(path: &Path) -> PathBuf {
    path.with_extension("key.new")
}

fn make(path: &Path, bytes: &[u8; KEY_LEN]) -> io::Result<()> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let fresh = fresh(path);
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.push('\n');
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // Fails if a key came there meanwhile: it may have sealed something.
    fs::hard_link(&fresh, path)?;
    fs::remove_file(&fresh)?;
    File::open(folder)?.sync_all()
}

fn from_hex(text: &str) -> Option<[u8; KEY_LEN]> {
    let mut bytes = [0; KEY_LEN];
    if text.len() != 2 * KEY_LEN || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = str::from_utf8(digits).ok().filter(|it| !it.starts_with('+'))?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(KEY_FILE);
        assert!(load(&path).unwrap().is_none());
        let made = load_or_make(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load_or_make(&path).unwrap().id(), made.id());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_key_is_neither_used_nor_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(KEY_FILE);
        for text in ["", "00", &"0g".repeat(32), &"+1".repeat(32), &"00".repeat(200)] {
            fs::write(&path, text).unwrap();
            assert!(matches!(load_or_make(&path), Err(KeyFileError::Malformed { .. })), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_folder_that_is_not_ours_is_said() {
        let path = Path::new("/proc/spool.key");
        assert!(matches!(load_or_make(path), Err(KeyFileError::Make { .. })));
    }
}
