//! The capture journal of one link: every chunk that a port gave is written here before a decoder
//! sees it. After a fault, what no document accounts for yet is read back.
//!
//! One file per generation, `{link}.{generation}.journal`, a sequence of records:
//!
//! ```text
//! mark 1 byte 'D' data | 'd' data that no lane session may stamp | 'E' end of a stream
//! clock 1 byte         1 if the wall clock was in sync
//! length u32 LE        payload bytes
//! time i64 LE          microseconds since 1970, when the bytes arrived
//! payload              data: the bytes; end: nothing, or the SHA-256 of the file that ended
//! ```
//!
//! The spool remembers, in the transaction that stores a document, how many data bytes of which
//! generation are accounted for. Any other generation's file is left from an interrupted rotation.

use chiasm_proto::{ClockState, LinkId, Sha256};
use jiff::Timestamp;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// A journal that is longer is begun anew as soon as it can be, in bytes.
pub const JOURNAL_LEN_MAX: u64 = 4 * 1024 * 1024;
/// Longest payload of one record, in bytes. Longer chunks are written as several records.
pub const RECORD_LEN_MAX: usize = 64 * 1024;
const HEADER_LEN: usize = 14;

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
    ) -> Result<(Self, Vec<Record>), JournalError> {
        std::fs::create_dir_all(dir).map_err(fail(dir, "create the directory"))?;
        let found = generations(dir, link)?;
        let generation = match position {
            Some(position) => position.generation,
            None => found.iter().copied().max().unwrap_or(0),
        };
        for stale in found.into_iter().filter(|found| *found != generation) {
            let path = path_of(dir, link, stale);
            std::fs::remove_file(&path).map_err(fail(&path, "remove the old file"))?;
        }
        let path = path_of(dir, link, generation);
        let mut file = open_file(&path)?;
        let (mut records, len, torn) = read_records(&mut file).map_err(fail(&path, "read"))?;
        let mut journal = Self { dir: dir.into(), link: link.clone(), generation, path, file, len };
        journal.truncate()?;
        if let Some((arrival, bytes)) = torn {
            journal.append(arrival, &bytes)?;
            records.push(Record::Data { arrival, bytes });
        }
        Ok((journal, records))
    }

    /// Writes bytes that have just arrived. When this returns, `kill -9` cannot lose them.
    pub fn append(&mut self, arrival: Arrival, bytes: &[u8]) -> Result<(), JournalError> {
        let mark = if arrival.may_bind { b'D' } else { b'd' };
        for piece in bytes.chunks(RECORD_LEN_MAX) {
            self.write(mark, arrival, piece)?;
        }
        Ok(())
    }

    /// Notes that the stream has ended.
    pub fn append_end(&mut self, at: Arrival, file: Option<Sha256>) -> Result<(), JournalError> {
        let hash = file.map(|hash| hash.0);
        self.write(b'E', at, hash.as_ref().map_or(&[], |hash| &hash[..]))
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
        let path = path_of(&self.dir, &self.link, generation);
        let file = open_file(&path)?;
        let (dir, link) = (self.dir.clone(), self.link.clone());
        let mut next = Journal { dir, link, generation, path, file, len: 0 };
        next.truncate()?;
        for record in rest {
            match record {
                Record::Data { arrival, bytes } => next.append(*arrival, bytes)?,
                Record::End { .. } => {}
            }
        }
        next.file.sync_data().map_err(fail(&next.path, "sync"))?;
        Ok(next)
    }

    /// Takes the prepared generation and removes the old file.
    pub fn switch(&mut self, next: Journal) -> Result<(), JournalError> {
        let old = std::mem::replace(self, next);
        std::fs::remove_file(&old.path).map_err(fail(&old.path, "remove"))
    }

    /// Reads the records of this generation again, for a decoder that has to be replaced.
    pub fn read_back(&mut self) -> Result<Vec<Record>, JournalError> {
        let (records, ..) = read_records(&mut self.file).map_err(fail(&self.path, "read back"))?;
        Ok(records)
    }

    fn write(&mut self, mark: u8, arrival: Arrival, payload: &[u8]) -> Result<(), JournalError> {
        let mut record = Vec::with_capacity(HEADER_LEN + payload.len());
        record.push(mark);
        record.push(u8::from(arrival.clock == ClockState::Synced));
        let length = u32::try_from(payload.len()).expect("a record is shorter than its limit");
        record.extend(length.to_le_bytes());
        record.extend(arrival.at.as_microsecond().to_le_bytes());
        record.extend(payload);
        if let Err(source) = self.file.write_all(&record) {
            // A part may stand there: the next attempt begins again at the same place.
            self.truncate()?;
            return Err(JournalError { path: self.path.clone(), what: "write", source });
        }
        self.len += record.len() as u64;
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

fn path_of(dir: &Path, link: &LinkId, generation: u64) -> PathBuf {
    dir.join(format!("{link}.{generation}.journal"))
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

fn generations(dir: &Path, link: &LinkId) -> Result<Vec<u64>, JournalError> {
    let prefix = format!("{link}.");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(fail(dir, "list"))? {
        let name = entry.map_err(fail(dir, "list"))?.file_name();
        let generation = name
            .to_str()
            .and_then(|name| name.strip_prefix(&prefix))
            .and_then(|rest| rest.strip_suffix(".journal"))
            .and_then(|number| number.parse::<u64>().ok());
        found.extend(generation);
    }
    Ok(found)
}

type Torn = Option<(Arrival, Vec<u8>)>;

/// All whole records, their length, and what is there of a last record that was being written when
/// the process was killed.
fn read_records(file: &mut File) -> io::Result<(Vec<Record>, u64, Torn)> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    let (mut records, mut len) = (Vec::new(), 0);
    while let Some((header, payload)) = parse_header(&bytes[len..]) {
        let Some(payload) = payload.get(..header.length) else {
            let torn = header.is_data().then(|| (header.arrival, payload.to_vec()));
            return Ok((records, len as u64, torn.filter(|(_, bytes)| !bytes.is_empty())));
        };
        len += HEADER_LEN + header.length;
        records.push(match header.is_data() {
            true => Record::Data { arrival: header.arrival, bytes: payload.to_vec() },
            false => Record::End { file: payload.try_into().ok().map(Sha256) },
        });
    }
    Ok((records, len as u64, None))
}

struct Header {
    mark: u8,
    arrival: Arrival,
    length: usize,
}

impl Header {
    fn is_data(&self) -> bool {
        self.mark != b'E'
    }
}

fn parse_header(bytes: &[u8]) -> Option<(Header, &[u8])> {
    let (header, rest) = bytes.split_at_checked(HEADER_LEN)?;
    let length = u32::from_le_bytes(header[2..6].try_into().ok()?) as usize;
    let micros = i64::from_le_bytes(header[6..14].try_into().ok()?);
    if length > RECORD_LEN_MAX || !matches!(header[0], b'D' | b'd' | b'E') {
        return None;
    }
    let arrival = Arrival {
        at: Timestamp::from_microsecond(micros).ok()?,
        clock: if header[1] == 1 { ClockState::Synced } else { ClockState::Unsynced },
        may_bind: header[0] == b'D',
    };
    Some((Header { mark: header[0], arrival, length }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival() -> Arrival {
        let at = Timestamp::from_microsecond(1_790_000_000_000_001).unwrap();
        Arrival { at, clock: ClockState::Synced, may_bind: true }
    }
    fn link() -> LinkId {
        LinkId::new("ark").unwrap()
    }
    fn data(bytes: &[u8]) -> Record {
        Record::Data { arrival: arrival(), bytes: bytes.to_vec() }
    }

    #[test]
    fn gives_back_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, records) = Journal::open(dir.path(), &link(), None).unwrap();
        assert_eq!(records, []);
        journal.append(arrival(), b"abc").unwrap();
        journal.append_end(arrival(), Some(Sha256::of(b"abc"))).unwrap();
        journal.append(Arrival { may_bind: false, ..arrival() }, b"de").unwrap();
        drop(journal);
        let (_, records) = Journal::open(dir.path(), &link(), Some(Position::default())).unwrap();
        assert_eq!(records[..2], [data(b"abc"), Record::End { file: Some(Sha256::of(b"abc")) }]);
        assert!(matches!(&records[2], Record::Data { arrival, .. } if !arrival.may_bind));
    }

    #[test]
    fn a_torn_record_keeps_what_is_there_and_writing_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path(), &link(), None).unwrap();
        journal.append(arrival(), b"whole").unwrap();
        journal.append(arrival(), b"torn").unwrap();
        let path = journal.path.clone();
        drop(journal);
        let len = std::fs::metadata(&path).unwrap().len();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 2).unwrap();
        let (mut journal, records) = Journal::open(dir.path(), &link(), None).unwrap();
        assert_eq!(records, [data(b"whole"), data(b"to")]);
        journal.append(arrival(), b"next").unwrap();
        let (_, records) = Journal::open(dir.path(), &link(), None).unwrap();
        assert_eq!(records, [data(b"whole"), data(b"to"), data(b"next")]);
    }

    #[test]
    fn an_interrupted_rotation_leaves_one_truth() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path(), &link(), None).unwrap();
        journal.append(arrival(), b"consumed, rest").unwrap();
        let next = journal.prepare_next(&[data(b"rest")]).unwrap();
        drop(next);
        // The spool never took the new position: the old generation counts.
        let position = Some(Position { generation: 0, consumed: 10 });
        let (mut journal, records) = Journal::open(dir.path(), &link(), position).unwrap();
        assert_eq!(records, [data(b"consumed, rest")]);
        let next = journal.prepare_next(&[data(b"rest")]).unwrap();
        journal.switch(next).unwrap();
        let position = Some(Position { generation: 1, consumed: 0 });
        let (_, records) = Journal::open(dir.path(), &link(), position).unwrap();
        assert_eq!(records, [data(b"rest")]);
    }

    #[test]
    fn links_whose_names_begin_alike_do_not_share_files() {
        let dir = tempfile::tempdir().unwrap();
        let other = LinkId::new("ark-2").unwrap();
        let (mut journal, _) = Journal::open(dir.path(), &other, None).unwrap();
        journal.append(arrival(), b"abc").unwrap();
        let (_, records) = Journal::open(dir.path(), &link(), None).unwrap();
        assert_eq!(records, []);
    }
}
