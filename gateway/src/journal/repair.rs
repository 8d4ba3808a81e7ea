//! What is done with a journal before it is used: one in clear is sealed, one that is torn or
//! damaged is made whole again, so that the spool's position still counts the same bytes.

use super::{
    Arrival, CLEAR, Journal, JournalError, Record, SEALED, SET_ASIDE_MAX, clear, fail, path_of,
    place, remove,
    sealed::{self, Piece, Sealer, Unreadable},
};
use crate::{clock, seal::Key};
use chiasm_proto::{ClockState, LinkId};
use jiff::Timestamp;
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Of bytes that no decoder will see.
pub(super) fn never() -> Arrival {
    Arrival { at: Timestamp::UNIX_EPOCH, clock: ClockState::Unsynced, may_bind: false }
}

/// Seals a journal that a version before wrote in clear. After a crash it is done again, or the
/// sealed one stands there whole.
pub(super) fn seal_older(
    dir: &Path,
    link: &LinkId,
    generation: u64,
    key: &Key,
) -> Result<(), JournalError> {
    let old = path_of(dir, link, generation, CLEAR);
    let sealed = path_of(dir, link, generation, SEALED);
    if !old.exists() {
        return Ok(());
    }
    if !sealed.exists() {
        let bytes = fs::read(&old).map_err(fail(&old, "read"))?;
        replace(dir, link, generation, key, &clear::read(&bytes))?;
    }
    remove(&old)
}

/// Looks through the file and writes it anew if it is not whole up to what the spool counts.
pub(super) fn repair(
    dir: &Path,
    link: &LinkId,
    generation: u64,
    key: &Key,
    consumed: u64,
) -> Result<(), JournalError> {
    let path = path_of(dir, link, generation, SEALED);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(fail(&path, "read"))?,
    };
    let (found, fault) = match Sealer::of(&bytes, key, &place(link, generation)) {
        Ok(sealer) => {
            let found = sealed::read(&bytes, &sealer);
            let has_lost = found.records.iter().any(|it| matches!(it, Piece::Lost(_)));
            let is_torn = found.len < bytes.len();
            let fault = match (has_lost, is_torn) {
                (true, _) => Some("records of it are not what was written"),
                (false, true) => Some("its end is torn or not what was written"),
                (false, false) => None,
            };
            (found, fault)
        }
        Err(Unreadable::Short) => Default::default(),
        Err(Unreadable::Damaged) => (Default::default(), Some("it has no header")),
        Err(Unreadable::OtherKey) => (Default::default(), Some("it was sealed with another key")),
    };
    if let Some(fault) = fault {
        let aside = set_aside(dir, link, &path)?;
        tracing::error!(%link, fault, whole_bytes = found.len, all_bytes = bytes.len(),
            aside = %aside.display(), "the link's journal is damaged; what is whole is kept");
    }
    let (records, is_filled) = fill(found.records, consumed);
    if fault.is_some() || is_filled {
        replace(dir, link, generation, key, &records)?;
    }
    Ok(())
}

/// The records, with zeros where bytes are lost that the spool has counted: they are never read, and
/// what comes later stands behind them. What is lost beyond ends the transmission that it lay in.
/// Gives whether anything was filled in.
fn fill(pieces: Vec<Piece>, consumed: u64) -> (Vec<Record>, bool) {
    let (mut records, mut at, mut is_filled) = (Vec::new(), 0, false);
    let zeros = |len: u64| Record::Data {
        arrival: never(),
        bytes: vec![0; usize::try_from(len).unwrap_or(usize::MAX)],
    };
    for piece in pieces {
        match piece {
            Piece::Record(record) => {
                if let Record::Data { bytes, .. } = &record {
                    at += bytes.len() as u64;
                }
                records.push(record);
            }
            Piece::Lost(len) => {
                let counted = (len as u64).min(consumed.saturating_sub(at));
                if counted > 0 {
                    records.push(zeros(counted));
                    (at, is_filled) = (at + counted, true);
                }
                if counted < len as u64 {
                    records.push(Record::End { file: None });
                }
            }
        }
    }
    // A power cut may have taken what the spool has already counted.
    if at < consumed {
        records.push(zeros(consumed - at));
        is_filled = true;
    }
    (records, is_filled)
}

/// Puts a file with these records in place of what there is, in one step.
fn replace(
    dir: &Path,
    link: &LinkId,
    generation: u64,
    key: &Key,
    records: &[Record],
) -> Result<(), JournalError> {
    let path = path_of(dir, link, generation, SEALED);
    let fresh = path.with_extension("new");
    Journal::make(dir, link, generation, fresh.clone(), key, records.iter())?;
    fs::rename(&fresh, &path).map_err(fail(&fresh, "rename"))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(fail(dir, "sync"))
}

/// Keeps a copy for people. The oldest of too many is forgotten.
fn set_aside(dir: &Path, link: &LinkId, path: &Path) -> Result<PathBuf, JournalError> {
    let stamp = clock::wall().strftime("%Y%m%dT%H%M%S%6f");
    let aside = dir.join(format!("{link}.{stamp}.set-aside"));
    fs::copy(path, &aside).map_err(fail(path, "set aside"))?;
    let prefix = format!("{link}.");
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&prefix) && name.ends_with(".set-aside")
    };
    let entries = fs::read_dir(dir).map_err(fail(dir, "list"))?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut ours: Vec<PathBuf> = paths.filter(is_ours).collect();
    ours.sort();
    for old in ours.iter().rev().skip(SET_ASIDE_MAX) {
        remove(old)?;
    }
    Ok(aside)
}
