//! A gateway that is given back, sold or scrapped destroys what it holds (I9).
//!
//! First it says so, signed with its key: who wiped it, when, and what the cloud did not have. The
//! record is on the disk before anything is destroyed, and at the cloud if that can be reached.
//! Then go the key that seals the spool, which alone makes everything else unreadable, the
//! gateway's own key, and the files. What is next is seen from what is left: after a power cut it
//! goes on.
//!
//! | module | holds |
//! |---|---|
//! | `record` | what is said, and how it is signed |
//! | `destroy` | overwriting and removing |

mod destroy;
mod record;

use crate::{
    clock,
    config::Config,
    enrol::{self, EnrolError, IdentityError, tell_wiped},
    instances, journal,
    seal::{self, KeyFileError},
    spool,
};
use chiasm_proto::wipe::{BY_LEN_MAX, Lost, SignedWipe, WipeRecord};
use destroy::{destroy, remove};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The signed record, which stays in the data folder.
pub const RECORD_FILE: &str = "wiped.json";
/// Beside it, when the cloud has taken it.
const TOLD_FILE: &str = "wiped.told";
/// Longest record on disk.
const RECORD_LEN_MAX: u64 = 64 * 1024;
/// What stays in a wiped data folder: records, and the lock, which whoever wipes holds.
const KEPT: [&str; 2] = ["wiped", "lock"];
/// Folders with a private key of the gateway, and files of that key in them.
const IDENTITIES: [&str; 4] = ["identity", "identity.next", "identity.replaced", "identity.new"];
const PRIVATE_KEY: &str = "key.pem";

/// Why a gateway is not wiped, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum WipeError {
    #[error("the gateway is not enrolled and holds nothing; there is nothing to wipe")]
    Nothing,
    #[error(
        "not wiped: {0} is not at the cloud. Let the gateway run with a connection until nothing \
         waits, or give it up with --lose-readings"
    )]
    Waiting(String),
    #[error(
        "not wiped: what waits for the cloud cannot be told ({0}). Give it up with --lose-readings"
    )]
    Unknown(String),
    #[error("say who wipes it in 1 to {BY_LEN_MAX} characters: --by NAME")]
    By,
    #[error(
        "a wipe of this gateway is not finished ({path}); `chiasm-gateway wipe` goes on with it"
    )]
    Unfinished { path: PathBuf },
    #[error("{path} is damaged; move it away and wipe again")]
    Damaged { path: PathBuf },
    #[error("cannot {what} {path}: {source}; what stands there is left, start again")]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the record cannot be signed: {0}")]
    Sign(String),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Key(#[from] KeyFileError),
}

fn fail(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WipeError {
    let path = path.to_owned();
    move |source| WipeError::File { what, path, source }
}

/// What is to be done next. Each is done in one go, and leaves the disk so that the next is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing is destroyed yet: [`begin`] writes the record.
    Begin,
    /// The key that seals everything.
    SpoolKey(PathBuf),
    /// A folder with a key and certificate of the gateway.
    Identity(PathBuf),
    /// Something else in the data folder.
    Remove(PathBuf),
    /// Nothing is left but the record.
    Done,
}

/// Looks what is next.
pub fn next(config: &Config) -> Result<Step, WipeError> {
    let dir = &config.data_dir;
    if !dir.join(RECORD_FILE).exists() {
        return Ok(Step::Begin);
    }
    // A crash while it was made may have left it under two names.
    for path in [config.spool_key.clone(), seal::fresh(&config.spool_key)] {
        if destroy::says_anything(&path)? {
            return Ok(Step::SpoolKey(path));
        }
    }
    let mut identities = IDENTITIES.iter().map(|name| dir.join(name));
    if let Some(identity) = identities.find(|path| path.exists()) {
        return Ok(Step::Identity(identity));
    }
    let mut rest: Vec<PathBuf> = fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(fail("list", dir))?;
    let is_kept = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        KEPT.iter().any(|kept| name.starts_with(kept))
    };
    rest.retain(|path| !is_kept(path));
    rest.sort();
    Ok(rest.into_iter().next().map_or(Step::Done, Step::Remove))
}

/// Does one step that destroys something.
pub fn take(step: &Step) -> Result<(), WipeError> {
    match step {
        Step::Begin | Step::Done => Ok(()),
        Step::SpoolKey(path) => destroy(path),
        Step::Identity(folder) => {
            let key = folder.join(PRIVATE_KEY);
            if key.exists() {
                destroy(&key)?;
            }
            remove(folder)
        }
        Step::Remove(path) => remove(path),
    }
}

/// What a person says to a wipe.
pub struct Order<'a> {
    pub by: &'a str,
    pub lose_readings: bool,
}

/// Checks whether anything would be lost, and writes the record: from here on the gateway does not
/// run any more. Nothing is destroyed yet.
pub async fn begin(config: &Config, order: &Order<'_>) -> Result<WipeRecord, WipeError> {
    let by = order.by.trim();
    if by.is_empty() || by.chars().count() > BY_LEN_MAX || by.chars().any(char::is_control) {
        return Err(WipeError::By);
    }
    let stored = enrol::load(&config.data_dir)?.ok_or(WipeError::Nothing)?;
    let lost = match waiting(config).await {
        Ok(lost) if lost.is_nothing() || order.lose_readings => Some(lost),
        Ok(lost) => return Err(WipeError::Waiting(in_words(&lost))),
        Err(_) if order.lose_readings => None,
        Err(reason) => return Err(WipeError::Unknown(reason)),
    };
    let record = record::of(&stored, by, lost)?;
    let signed = record::sign(&stored, &record)?;
    let json = serde_json::to_string_pretty(&signed).expect("plain data always serialises");
    destroy::write(&config.data_dir.join(RECORD_FILE), json.as_bytes())?;
    Ok(record)
}

/// The record of a gateway that is being wiped, or was.
pub fn recorded(data_dir: &Path) -> Result<Option<SignedWipe>, WipeError> {
    let path = data_dir.join(RECORD_FILE);
    let len = match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        meta => meta.map_err(fail("read", &path))?.len(),
    };
    let damaged = || WipeError::Damaged { path: path.clone() };
    if len > RECORD_LEN_MAX {
        return Err(damaged());
    }
    let json = fs::read(&path).map_err(fail("read", &path))?;
    serde_json::from_slice(&json).map(Some).map_err(|_| damaged())
}

/// Whether the cloud has taken the record.
pub fn is_told(data_dir: &Path) -> bool {
    data_dir.join(TOLD_FILE).exists()
}

/// Tells the cloud, as long as the gateway has its key. False if it has none any more.
pub async fn tell(data_dir: &Path, signed: &SignedWipe) -> Result<bool, EnrolError> {
    let Some(stored) = enrol::load(data_dir)? else { return Ok(false) };
    tell_wiped(stored, signed).await?;
    let path = data_dir.join(TOLD_FILE);
    if let Err(error) = destroy::write(&path, b"") {
        // It is told again then, which changes nothing.
        tracing::warn!(%error, "cannot note that the cloud has the record");
    }
    Ok(true)
}

/// What the cloud does not have.
async fn waiting(config: &Config) -> Result<Lost, String> {
    let mut lost = Lost::default();
    let dir = config.data_dir.join("spool");
    if !dir.exists() {
        return Ok(lost);
    }
    let state = spool::inspect(&dir).await.map_err(|error| error.to_string())?;
    (lost.documents, lost.quarantined) = (state.depth, state.quarantined);
    let dir = config.data_dir.join("instances");
    if dir.exists() {
        let counts = instances::inspect(&dir).await.map_err(|error| error.to_string())?;
        (lost.instances, lost.instance_bytes) = (counts.waiting, counts.waiting_bytes);
    }
    lost.journal_bytes = unread(config).await?;
    lost.set_aside = set_aside(&config.data_dir).map_err(|error| error.to_string())?;
    Ok(lost)
}

/// Databases and folders that were damaged, or copied before a new epoch.
fn set_aside(data_dir: &Path) -> io::Result<u64> {
    let mut count = 0;
    for (dir, word) in [(data_dir.join("spool"), ".set-aside"), (data_dir.into(), ".damaged-")] {
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            // A database's companions belong to it.
            count += u64::from(name.contains(word) && !name.contains("set-aside-"));
        }
    }
    Ok(count)
}

/// Puts the record of a finished wipe out of the way of a new enrolment.
pub fn begin_anew(config: &Config) -> Result<(), WipeError> {
    let path = config.data_dir.join(RECORD_FILE);
    match next(config)? {
        Step::Begin => return Ok(()),
        Step::Done => {}
        _ => return Err(WipeError::Unfinished { path }),
    }
    let stamp = clock::wall().strftime("%Y%m%dT%H%M%S");
    for (name, suffix) in [(TOLD_FILE, "told"), (RECORD_FILE, "json")] {
        let from = config.data_dir.join(name);
        let to = config.data_dir.join(format!("wiped-{stamp}.{suffix}"));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(fail("rename", &from)(error));
            }
            _ => {}
        }
    }
    destroy::sync_folder(&path)
}

/// Bytes in the journals that no document accounts for.
async fn unread(config: &Config) -> Result<u64, String> {
    let Some(key) = seal::load(&config.spool_key).map_err(|error| error.to_string())? else {
        return Ok(0);
    };
    let dir = config.data_dir.join("journal");
    let mut unread = 0;
    for link in &config.links {
        let position = spool::inspect_position(&config.data_dir.join("spool"), &link.id).await;
        let position = position.map_err(|error| error.to_string())?;
        let consumed = position.map_or(0, |position| position.consumed);
        let opened = journal::Journal::open(&dir, &link.id, position, &key);
        let (_, records) = opened.map_err(|error| error.to_string())?;
        let held: u64 = records.iter().map(journal::Record::data_len).sum();
        unread += held.saturating_sub(consumed);
    }
    Ok(unread)
}

/// What would be lost, for people.
pub fn in_words(lost: &Lost) -> String {
    let mut words = Vec::new();
    for (count, one, many) in [
        (lost.documents, "document", "documents"),
        (lost.instances, "DICOM instance", "DICOM instances"),
        (lost.journal_bytes, "byte of a transmission", "bytes of transmissions"),
    ] {
        if count > 0 {
            words.push(format!("{count} {}", if count == 1 { one } else { many }));
        }
    }
    if words.is_empty() { "nothing".into() } else { words.join(", ") }
}
