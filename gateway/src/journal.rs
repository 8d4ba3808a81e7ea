//! The capture journal of one link: every chunk that a port gave is written here before a decoder
//! sees it. After a fault, what no document accounts for yet is read back.
//!
//! One file per generation, `{link}.{generation}.sealed`, a sequence of sealed records (see
//! `journal/sealed.rs`). A record that is torn or changed is not read; those around it are. Files
//! that a version before wrote in clear, `{link}.{generation}.journal`, are sealed when they are
//! opened.
//!
//! The spool remembers, in the transaction that stores a document, how many data bytes of which
//! generation are accounted for. Any other generation's file is left from an interrupted rotation.

mod clear;
mod repair;
mod sealed;

pub use sealed::HEADER_LEN;

use crate::seal::Key;
use chiasm_proto::{ClockState, LinkId, Sha256};
use jiff::Timestamp;
use repair::{never, repair, seal_older};
use sealed::{Fields, Piece, Sealer};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// A journal that is longer is begun anew as soon as it can be, in bytes.
pub const JOURNAL_LEN_MAX: u64 = 4 * 1024 * 1024;
/// Longest payload of one record, in bytes. Longer chunks are written as several records.
pub const RECORD_LEN_MAX: usize = 64 * 1024;
/// Payload of one record, in bytes. A kill in the middle of a write loses less than this of it.
const PIECE_LEN: usize = 1024;
/// Damaged files of one link that are kept for people to look at.
pub const SET_ASIDE_MAX: usize = 8;

/// Why the journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("journal {path}: cannot {what}: {source}")]
pub struct JournalError {
    path: PathBuf,
    what: &'static str,
    source: io::Error,
}

impl JournalError {
    /// Whether the disk is full, which passes.
    pub fn is_disk_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// When a stretch of bytes arrived, and whether a lane session may stamp it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    pub at: Timestamp,
    pub clock: ClockState,
    /// False for files that lay in a folder before the gateway looked: who they belong to is not
    /// known from the lane.
    pub may_bind: bool,
}

/// What stands in a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    Data {
        arrival: Arrival,
        bytes: Vec<u8>,
    },
    /// A file was whole, a connection closed, a cable was pulled. For a file: its hash.
    End {
        file: Option<Sha256>,
    },
}

impl Record {
    /// Data bytes of it.
    pub fn data_len(&self) -> u64 {
        match self {
            Record::Data { bytes, .. } => bytes.len() as u64,
            Record::End { .. } => 0,
        }
    }
}

/// How far a link's journal is accounted for by documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    pub generation: u64,
    /// Data bytes, not counting headers.
    pub consumed: u64,
}

/// One link's journal, open for appending.
pub struct Journal {
    dir: PathBuf,
    link: LinkId,
    generation: u64,
    path: PathBuf,
    file: File,
    sealer: Sealer,
    key: Key,
    /// Length of whole records; a torn one behind it is cut off before the next is written.
    len: u64,
}

impl Journal {
    /// Opens the journal at the spool's position and returns the records of its generation. Without
    /// a position (a new spool) the newest file counts from its beginning: what may have been sent
    /// before is sent again rather than lost.
    pub fn open(
        dir: &Path,
        link: &LinkId,
        position: Option<Position>,
        key: &Key,
    ) -> Result<(Self, Vec<Record>), JournalError> {
        std::fs::create_dir_all(dir).map_err(fail(dir, "create the directory"))?;
        let found = generations(dir, link)?;
        let generation = match position {
            Some(position) => position.generation,
            None => found.iter().copied().max().unwrap_or(0),
        };
        for stale in found.into_iter().filter(|found| *found != generation) {
            for suffix in [SEALED, CLEAR] {
                remove(&path_of(dir, link, stale, suffix))?;
            }
        }
        seal_older(dir, link, generation, key)?;
        let consumed = position.map_or(0, |position| position.consumed);
        repair(dir, link, generation, key, consumed)?;
        let path = path_of(dir, link, generation, SEALED);
        let mut file = open_file(&path)?;
        let bytes = read_all(&mut file).map_err(fail(&path, "read"))?;
        let (sealer, len) = match Sealer::of(&bytes, key, &place(link, generation)) {
            Ok(sealer) => (sealer, bytes.len() as u64),
            Err(_) => begin(&mut file, key, link, generation).map_err(fail(&path, "begin"))?,
        };
        let records = whole(sealed::read(&bytes, &sealer));
        let (dir, link, key) = (dir.into(), link.clone(), key.clone());
        let mut journal = Self { dir, link, generation, path, file, sealer, key, len };
        journal.truncate()?;
        Ok((journal, records))
    }

    /// Writes bytes that have just arrived. When this returns, `kill -9` cannot lose them.
    pub fn append(&mut self, arrival: Arrival, bytes: &[u8]) -> Result<(), JournalError> {
        for piece in bytes.chunks(RECORD_LEN_MAX) {
            self.write(piece.chunks(PIECE_LEN).map(|it| (Fields::data(arrival, it.len()), it)))?;
        }
        Ok(())
    }

    /// Notes that the stream has ended.
    pub fn append_end(&mut self, at: Arrival, file: Option<Sha256>) -> Result<(), JournalError> {
        let hash = file.map(|hash| hash.0);
        let hash = hash.as_ref().map_or(&[][..], |hash| &hash[..]);
        self.write([(Fields::end(at, hash.len()), hash)].into_iter())
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether it is time to begin a new generation.
    pub fn is_long(&self) -> bool {
        self.len > JOURNAL_LEN_MAX
    }

    /// Prepares the next generation with only `rest`, the records that are not accounted for. The
    /// spool must take the position `(next generation, 0)` before [`Journal::switch`].
    pub fn prepare_next(&self, rest: &[Record]) -> Result<Journal, JournalError> {
        let generation = self.generation + 1;
        let path = path_of(&self.dir, &self.link, generation, SEALED);
        let rest = rest.iter().filter(|record| matches!(record, Record::Data { .. }));
        Self::make(&self.dir, &self.link, generation, path, &self.key, rest)
    }

    /// A new file with these records, durable.
    fn make<'a>(
        dir: &Path,
        link: &LinkId,
        generation: u64,
        path: PathBuf,
        key: &Key,
        records: impl Iterator<Item = &'a Record>,
    ) -> Result<Self, JournalError> {
        let mut file = open_file(&path)?;
        file.set_len(0).map_err(fail(&path, "cut"))?;
        let begun = begin(&mut file, key, link, generation);
        let (sealer, len) = begun.map_err(fail(&path, "begin"))?;
        let (dir, link, key) = (dir.into(), link.clone(), key.clone());
        let mut made = Journal { dir, link, generation, path, file, sealer, key, len };
        for record in records {
            match record {
                Record::Data { arrival, bytes } => made.append(*arrival, bytes)?,
                Record::End { file } => made.append_end(never(), *file)?,
            }
        }
        made.file.sync_data().map_err(fail(&made.path, "sync"))?;
        Ok(made)
    }

    /// Takes the prepared generation and removes the old file.
    pub fn switch(&mut self, next: Journal) -> Result<(), JournalError> {
        let old = std::mem::replace(self, next);
        std::fs::remove_file(&old.path).map_err(fail(&old.path, "remove"))
    }

    /// Reads the records of this generation again, for a decoder that has to be replaced.
    pub fn read_back(&mut self) -> Result<Vec<Record>, JournalError> {
        let bytes = read_all(&mut self.file).map_err(fail(&self.path, "read back"))?;
        let found = sealed::read(&bytes, &self.sealer);
        let is_whole = found.len as u64 >= self.len
            && found.records.iter().all(|piece| matches!(piece, Piece::Record(_)));
        if !is_whole {
            let source = io::Error::new(io::ErrorKind::InvalidData, crate::seal::Unsealable);
            return Err(fail(&self.path, "read back")(source));
        }
        Ok(whole(found))
    }

    fn write<'a>(
        &mut self,
        records: impl Iterator<Item = (Fields, &'a [u8])>,
    ) -> Result<(), JournalError> {
        let mut sealed = Vec::new();
        for (fields, payload) in records {
            let at = self.len + sealed.len() as u64;
            self.sealer.seal(at, &fields, payload, &mut sealed);
        }
        if let Err(source) = self.file.write_all(&sealed) {
            // A part may stand there: the next attempt begins again at the same place.
            self.truncate()?;
            return Err(JournalError { path: self.path.clone(), what: "write", source });
        }
        self.len += sealed.len() as u64;
        Ok(())
    }

    fn truncate(&mut self) -> Result<(), JournalError> {
        self.file.set_len(self.len).map_err(fail(&self.path, "cut"))?;
        self.file.seek(SeekFrom::Start(self.len)).map_err(fail(&self.path, "seek in"))?;
        Ok(())
    }
}

fn fail(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError { path, what, source }
}

const SEALED: &str = "sealed";
/// Of versions before.
const CLEAR: &str = "journal";

fn path_of(dir: &Path, link: &LinkId, generation: u64, suffix: &str) -> PathBuf {
    dir.join(format!("{link}.{generation}.{suffix}"))
}

/// What a file is sealed for.
fn place(link: &LinkId, generation: u64) -> Vec<u8> {
    format!("{link}.{generation}").into_bytes()
}

fn open_file(path: &Path) -> Result<File, JournalError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(fail(path, "open"))
}

fn begin(file: &mut File, key: &Key, link: &LinkId, generation: u64) -> io::Result<(Sealer, u64)> {
    let (sealer, header) = Sealer::new(key, &place(link, generation));
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header)?;
    Ok((sealer, header.len() as u64))
}

fn read_all(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn remove(path: &Path) -> Result<(), JournalError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(fail(path, "remove the old file")(error))
        }
        _ => Ok(()),
    }
}

fn generations(dir: &Path, link: &LinkId) -> Result<Vec<u64>, JournalError> {
    let prefix = format!("{link}.");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(fail(dir, "list"))? {
        let name = entry.map_err(fail(dir, "list"))?.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(&prefix));
        let generation = rest
            .and_then(|rest| rest.split_once('.'))
            .filter(|(_, suffix)| [SEALED, CLEAR].contains(suffix))
            .and_then(|(number, _)| number.parse::<u64>().ok());
        found.extend(generation);
    }
    Ok(found)
}

fn whole(found: sealed::Found) -> Vec<Record> {
    let record = |piece| match piece {
        Piece::Record(record) => Some(record),
        Piece::Lost(_) => None,
    };
    found.records.into_iter().filter_map(record).collect()
}

#[cfg(test)]
mod tests;
