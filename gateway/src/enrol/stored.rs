//! The enrolment on disk. A renewed one stands beside it until it is known to work, and the replaced
//! one until the cloud knows that it is.

use chiasm_proto::{GatewayId, TenantId};
use jiff::Timestamp;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

const IN_USE: &str = "identity";
/// Renewed, and not tried yet.
const NEXT: &str = "identity.next";
/// Replaced by a renewed one that works; the cloud has not been told.
const REPLACED: &str = "identity.replaced";

/// Who the gateway is and where its broker stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub tenant: TenantId,
    pub gateway: GatewayId,
    pub broker_url: String,
    /// Where it was enrolled, and where images go: `https://host:port`. Absent in enrolments from
    /// before there were images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_url: Option<String>,
}

/// An enrolment as stored.
#[derive(Clone)]
pub struct Stored {
    pub identity: Identity,
    pub key_pem: String,
    pub certificate_pem: String,
    pub authority_pem: String,
}

/// Why a stored enrolment cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} is damaged: {source}; enrol the gateway again")]
    Damaged { path: PathBuf, source: serde_json::Error },
}

/// Reads the stored enrolment, if there is one.
pub fn load(data_dir: &Path) -> Result<Option<Stored>, IdentityError> {
    load_from(&data_dir.join(IN_USE))
}

/// Reads the renewed enrolment that is to be tried, if there is one.
pub(super) fn load_next(data_dir: &Path) -> Result<Option<Stored>, IdentityError> {
    load_from(&data_dir.join(NEXT))
}

fn load_from(dir: &Path) -> Result<Option<Stored>, IdentityError> {
    let read = |name: &str| {
        let path = dir.join(name);
        std::fs::read_to_string(&path).map_err(|source| IdentityError::Read { path, source })
    };
    // Written last, so that where it stands the others are whole.
    let json = match read("identity.json") {
        Err(IdentityError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        other => other?,
    };
    let identity = serde_json::from_str(&json)
        .map_err(|source| IdentityError::Damaged { path: dir.join("identity.json"), source })?;
    Ok(Some(Stored {
        identity,
        key_pem: read("key.pem")?,
        certificate_pem: read("certificate.pem")?,
        authority_pem: read("authority.pem")?,
    }))
}

/// Puts a new enrolment in place of whatever there was.
pub fn store(data_dir: &Path, stored: &Stored) -> Result<(), IdentityError> {
    store_in(data_dir, IN_USE, stored)?;
    // Of another enrolment: nobody lets them in any more.
    forget(data_dir, NEXT)?;
    forget(data_dir, REPLACED)
}

/// Keeps a renewed enrolment until it has been tried.
pub(super) fn store_next(data_dir: &Path, stored: &Stored) -> Result<(), IdentityError> {
    store_in(data_dir, NEXT, stored)
}

/// When the renewed enrolment that waits was stored, by this machine's clock.
pub(super) fn next_since(data_dir: &Path) -> Option<Timestamp> {
    let modified = std::fs::metadata(data_dir.join(NEXT)).and_then(|meta| meta.modified());
    Timestamp::try_from(modified.ok()?).ok()
}

/// The renewed enrolment works: it is in use from now on. After a crash between the two steps the old
/// one stands in place of the next, is tried, and works as well: the cloud lets both in.
pub(super) fn take_next(data_dir: &Path) -> Result<(), IdentityError> {
    let (dir, next, replaced) =
        (data_dir.join(IN_USE), data_dir.join(NEXT), data_dir.join(REPLACED));
    forget(data_dir, REPLACED)?;
    let fail = |source| IdentityError::Write { path: dir.clone(), source };
    renameat_with(CWD, &next, CWD, &dir, RenameFlags::EXCHANGE)
        .map_err(|error| fail(error.into()))?;
    sync_dir(data_dir).map_err(fail)?;
    std::fs::rename(&next, &replaced).map_err(fail)?;
    sync_dir(data_dir).map_err(fail)
}

/// Whether the cloud has yet to be told that the replaced enrolment is not used any more.
pub(super) fn has_replaced(data_dir: &Path) -> bool {
    data_dir.join(REPLACED).exists()
}

pub(super) fn forget_replaced(data_dir: &Path) -> Result<(), IdentityError> {
    forget(data_dir, REPLACED)
}

pub(super) fn forget_next(data_dir: &Path) -> Result<(), IdentityError> {
    forget(data_dir, NEXT)
}

fn forget(data_dir: &Path, name: &str) -> Result<(), IdentityError> {
    let path = data_dir.join(name);
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(IdentityError::Write { path, source: error })
        }
        _ => Ok(()),
    }
}

/// Writes all four files beside the old ones, then swaps the directories: key and certificate never
/// stand there that do not belong together.
fn store_in(data_dir: &Path, name: &str, stored: &Stored) -> Result<(), IdentityError> {
    let fresh = data_dir.join(format!("{name}.new"));
    let dir = data_dir.join(name);
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |source| IdentityError::Write { path, source }
    };
    std::fs::create_dir_all(data_dir).map_err(fail(data_dir))?;
    match std::fs::remove_dir_all(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(&fresh)(error)),
        _ => {}
    }
    std::fs::DirBuilder::new().mode(0o700).create(&fresh).map_err(fail(&fresh))?;
    let identity =
        serde_json::to_string_pretty(&stored.identity).expect("plain data always serialises");
    let files = [
        ("key.pem", &stored.key_pem),
        ("certificate.pem", &stored.certificate_pem),
        ("authority.pem", &stored.authority_pem),
        ("identity.json", &identity),
    ];
    for (name, content) in files {
        let path = fresh.join(name);
        write_private(&path, content).map_err(fail(&path))?;
    }
    sync_dir(&fresh).map_err(fail(&fresh))?;
    // One step: a crash leaves the old identity or the new one, never none.
    if dir.exists() {
        let swapped = renameat_with(CWD, &fresh, CWD, &dir, RenameFlags::EXCHANGE);
        swapped.map_err(|error| fail(&dir)(error.into()))?;
    } else {
        std::fs::rename(&fresh, &dir).map_err(fail(&dir))?;
    }
    sync_dir(data_dir).map_err(fail(data_dir))?;
    let _ = std::fs::remove_dir_all(&fresh);
    Ok(())
}

fn write_private(path: &Path, content: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
