//! The records of a sealed journal.
//!
//! ```text
//! file:
//!   CHIASMJ1 8 bytes
//!   key id   8 bytes
//!   salt    16 bytes   the file's key is derived with it
//! record:
//!   mark     1 byte    'D' data | 'd' data that no lane session may stamp | 'E' end of a stream
//!   clock    1 byte    1 if the wall clock was in sync
//!   length   u32 LE    payload bytes
//!   time     i64 LE    microseconds since 1970, when the bytes arrived
//!   nonce   12 bytes   random
//!   payload            sealed; data: the bytes; end: nothing, or the SHA-256 of the file that ended
//!   tag     16 bytes   over the payload, the fields in front of it and where the record stands
//! ```

use super::{Arrival, RECORD_LEN_MAX, Record};
use crate::seal::{Key, Purpose, SALT_LEN, TAG_LEN, random};
use chiasm_proto::{ClockState, Sha256};
use jiff::Timestamp;
use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};

const MAGIC: &[u8; 8] = b"CHIASMJ1";
const KEY_ID_LEN: usize = 8;
/// Bytes in front of the first record.
pub const HEADER_LEN: usize = MAGIC.len() + KEY_ID_LEN + SALT_LEN;
/// Mark, clock, length and time.
pub(super) const FIELDS_LEN: usize = 14;
const OVERHEAD_LEN: usize = FIELDS_LEN + NONCE_LEN + TAG_LEN;

/// The key of one file, and where its records stand.
pub(super) struct Sealer {
    key: LessSafeKey,
}

/// A header that is none of ours, or of another key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// The file ends inside its header: it was being made.
    Short,
    Damaged,
    OtherKey,
}

impl Sealer {
    /// A new file's header and key. `place` is the file's name.
    pub(super) fn new(key: &Key, place: &[u8]) -> (Self, Vec<u8>) {
        let salt = random::<SALT_LEN>();
        let header = [&MAGIC[..], &key.id().0, &salt].concat();
        (Self { key: key.derive(Purpose::Journal, &salt, place) }, header)
    }

    /// The key of a file that is there.
    pub(super) fn of(bytes: &[u8], key: &Key, place: &[u8]) -> Result<Self, Unreadable> {
        let header = bytes.get(..HEADER_LEN).ok_or(Unreadable::Short)?;
        let (magic, rest) = header.split_at(MAGIC.len());
        let (id, salt) = rest.split_at(KEY_ID_LEN);
        if magic != MAGIC {
            return Err(Unreadable::Damaged);
        }
        if id != key.id().0 {
            return Err(Unreadable::OtherKey);
        }
        Ok(Self { key: key.derive(Purpose::Journal, salt, place) })
    }

    /// Appends a record that is to stand at `at` in the file.
    pub(super) fn seal(&self, at: u64, fields: &Fields, payload: &[u8], file: &mut Vec<u8>) {
        let head = fields.bytes();
        let nonce = random::<NONCE_LEN>();
        file.extend_from_slice(&head);
        file.extend_from_slice(&nonce);
        let from = file.len();
        file.extend_from_slice(payload);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, associated(&head, at), &mut file[from..])
            .expect("a record is shorter than a cipher's limit");
        file.extend_from_slice(tag.as_ref());
    }

    fn open(&self, at: u64, record: &[u8]) -> Option<Vec<u8>> {
        let (head, rest) = record.split_at_checked(FIELDS_LEN)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut payload = sealed.to_vec();
        let len = self.key.open_in_place(nonce, associated(head, at), &mut payload).ok()?.len();
        payload.truncate(len);
        Some(payload)
    }
}

fn associated(head: &[u8], at: u64) -> Aad<Vec<u8>> {
    Aad::from([head, &at.to_le_bytes()].concat())
}

/// What was found in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) records: Vec<Piece>,
    /// Up to where whole records stand.
    pub(super) len: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Record(Record),
    /// So many data bytes that are not what was written.
    Lost(usize),
}

/// Reads all records. What stands behind `len` is torn or damaged.
pub(super) fn read(bytes: &[u8], sealer: &Sealer) -> Found {
    let mut found = Found { records: vec![], len: HEADER_LEN.min(bytes.len()) };
    let (mut at, mut lost) = (found.len, Vec::new());
    while let Some((fields, record)) = next(bytes, at) {
        match sealer.open(at as u64, record) {
            // The records around it fit, so that its length is right.
            Some(payload) => {
                found.records.append(&mut lost);
                found.records.push(Piece::Record(fields.record(payload)));
                found.len = at + record.len();
            }
            None => lost.push(Piece::Lost(if fields.is_data() { fields.length } else { 0 })),
        }
        at += record.len();
    }
    found
}

fn next(bytes: &[u8], at: usize) -> Option<(Fields, &[u8])> {
    let rest = &bytes[at..];
    let fields = Fields::parse(rest.get(..FIELDS_LEN)?)?;
    let record = rest.get(..OVERHEAD_LEN + fields.length)?;
    Some((fields, record))
}

/// What stands in front of a record's payload.
pub(super) struct Fields {
    mark: u8,
    arrival: Arrival,
    pub(super) length: usize,
}

impl Fields {
    pub(super) fn data(arrival: Arrival, length: usize) -> Self {
        Self { mark: if arrival.may_bind { b'D' } else { b'd' }, arrival, length }
    }

    pub(super) fn end(arrival: Arrival, length: usize) -> Self {
        Self { mark: b'E', arrival, length }
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let length = u32::from_le_bytes(bytes.get(2..6)?.try_into().ok()?) as usize;
        let micros = i64::from_le_bytes(bytes.get(6..FIELDS_LEN)?.try_into().ok()?);
        let mark = bytes[0];
        if length > RECORD_LEN_MAX || !matches!(mark, b'D' | b'd' | b'E') {
            return None;
        }
        let arrival = Arrival {
            at: Timestamp::from_microsecond(micros).ok()?,
            clock: if bytes[1] == 1 { ClockState::Synced } else { ClockState::Unsynced },
            may_bind: mark == b'D',
        };
        Some(Self { mark, arrival, length })
    }

    fn bytes(&self) -> [u8; FIELDS_LEN] {
        let mut bytes = [0; FIELDS_LEN];
        bytes[0] = self.mark;
        bytes[1] = u8::from(self.arrival.clock == ClockState::Synced);
        let length = u32::try_from(self.length).expect("a record is shorter than its limit");
        bytes[2..6].copy_from_slice(&length.to_le_bytes());
        bytes[6..].copy_from_slice(&self.arrival.at.as_microsecond().to_le_bytes());
        bytes
    }

    pub(super) fn is_data(&self) -> bool {
        self.mark != b'E'
    }

    pub(super) fn record(&self, payload: Vec<u8>) -> Record {
        match self.is_data() {
            true => Record::Data { arrival: self.arrival, bytes: payload },
            false => Record::End { file: payload.try_into().ok().map(Sha256) },
        }
    }
}
