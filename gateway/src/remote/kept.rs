//! Configurations of the cloud on disk. Every step is one rename, so that a power cut at any moment
//! leaves one of them whole.
//!
//! | file | holds |
//! |---|---|
//! | `good.json` | the last one that the cloud knows to be in use |
//! | `trial.json` | the one that is applied and waits for the cloud's word |
//! | `failed.json` | which one was refused or given up last, and why |

use chiasm_proto::config::{Configuration, DOCUMENT_LEN_MAX, FailedConfiguration};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

const GOOD: &str = "good.json";
const TRIAL: &str = "trial.json";
const FAILED: &str = "failed.json";
/// Longest file: a document inside a string is longer than the document.
const FILE_LEN_MAX: u64 = 8 * DOCUMENT_LEN_MAX as u64;

#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is damaged: {reason}")]
    Damaged { path: PathBuf, reason: String },
}

/// The folder of configurations.
#[derive(Debug, Clone)]
pub struct Kept {
    dir: PathBuf,
}

impl Kept {
    pub fn new(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("config") }
    }

    pub fn good(&self) -> Result<Option<Configuration>, KeptError> {
        self.read_configuration(GOOD)
    }
    pub fn trial(&self) -> Result<Option<Configuration>, KeptError> {
        self.read_configuration(TRIAL)
    }
    pub fn failed(&self) -> Result<Option<FailedConfiguration>, KeptError> {
        self.read(FAILED)
    }

    /// Before it is applied: a crash from here on gives it up.
    pub fn put_on_trial(&self, configuration: &Configuration) -> Result<(), KeptError> {
        self.write(TRIAL, configuration)
    }

    /// The one on trial is the last good one from now on.
    pub fn keep(&self) -> Result<(), KeptError> {
        let path = self.dir.join(GOOD);
        let kept = fs::rename(self.dir.join(TRIAL), &path).and_then(|()| self.sync_dir());
        kept.map_err(|source| KeptError::Write { path, source })
    }

    /// Writes down why a configuration is not used, and forgets the one on trial.
    pub fn give_up(&self, failed: &FailedConfiguration) -> Result<(), KeptError> {
        self.write(FAILED, failed)?;
        self.forget_trial()
    }

    pub fn forget_trial(&self) -> Result<(), KeptError> {
        let path = self.dir.join(TRIAL);
        match fs::remove_file(&path).and_then(|()| self.sync_dir()) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(KeptError::Write { path, source })
            }
            _ => Ok(()),
        }
    }

    fn read_configuration(&self, name: &str) -> Result<Option<Configuration>, KeptError> {
        let found: Option<Configuration> = self.read(name)?;
        match found {
            Some(it) if !it.is_intact() => Err(KeptError::Damaged {
                path: self.dir.join(name),
                reason: "its content is not what was hashed".into(),
            }),
            other => Ok(other),
        }
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, KeptError> {
        let path = self.dir.join(name);
        let damaged = |reason: String| KeptError::Damaged { path: path.clone(), reason };
        let text = match fs::metadata(&path) {
            Ok(meta) if meta.len() > FILE_LEN_MAX => return Err(damaged("it is too long".into())),
            Ok(_) => fs::read(&path),
            Err(error) => Err(error),
        };
        match text {
            Ok(text) => {
                serde_json::from_slice(&text).map(Some).map_err(|it| damaged(it.to_string()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(KeptError::Read { path, source }),
        }
    }

    /// Whole and synced beside the old one before it takes its place.
    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), KeptError> {
        let path = self.dir.join(name);
        let fresh = self.dir.join(format!("{name}.new"));
        let json = serde_json::to_vec(value).expect("plain data always serialises");
        let written = fs::create_dir_all(&self.dir)
            .and_then(|()| write_private(&fresh, &json))
            .and_then(|()| fs::rename(&fresh, &path))
            .and_then(|()| self.sync_dir());
        written.map_err(|source| KeptError::Write { path, source })
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
