//! INI files: sections, keys, and what of them was read.

use crate::{
    DecodeError, ErrorCode,
    format::fields::{self, Field},
};
use chiasm_proto::UnknownRecord;
use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::cell::Cell;

/// Most lines of a file.
const LINES_MAX: usize = 50_000;
/// Most sections with unread keys that are kept on a reading.
pub const UNKNOWN_SECTIONS_MAX: usize = 32;
/// Longest text of one of them, in bytes.
pub const UNKNOWN_TEXT_LEN_MAX: usize = 4096;
/// Stands in a value that was not measured: `-1.#QNAN0`, `1.#INF00`, `-1.#IND00`.
const MISSING: [&str; 3] = ["#QNAN", "#INF", "#IND"];

/// A file as text, and the way back to its bytes.
pub struct Source {
    pub text: String,
    bom_len: usize,
    is_16_bits: bool,
    is_one_byte: bool,
}

impl Source {
    /// By byte order mark, or the NUL beside the first bracket; else UTF-8, else Windows-1252.
    pub fn decode(raw: &[u8]) -> Result<Self, DecodeError> {
        let (encoding, bom_len) = match raw {
            [0xFF, 0xFE, ..] => (UTF_16LE, 2),
            [0xFE, 0xFF, ..] => (UTF_16BE, 2),
            [b'[', 0, ..] => (UTF_16LE, 0),
            [0, b'[', ..] => (UTF_16BE, 0),
            [0xEF, 0xBB, 0xBF, ..] => (UTF_8, 3),
            _ if std::str::from_utf8(raw).is_ok() => (UTF_8, 0),
            _ => (WINDOWS_1252, 0),
        };
        let text = encoding
            .decode_without_bom_handling_and_without_replacement(&raw[bom_len..])
            .ok_or_else(|| {
                let what = format!("not {}, which the first bytes announce", encoding.name());
                DecodeError::new(ErrorCode::Encoding, bom_len, what)
            })?;
        let is_16_bits = encoding == UTF_16LE || encoding == UTF_16BE;
        let is_one_byte = encoding == WINDOWS_1252;
        Ok(Self { text: text.into_owned(), bom_len, is_16_bits, is_one_byte })
    }

    /// Which byte the character at this position of the text came from.
    pub fn offset_of(&self, position: usize) -> usize {
        let before = self.text.get(..position).unwrap_or(&self.text);
        self.bom_len
            + match (self.is_16_bits, self.is_one_byte) {
                (true, _) => before.encode_utf16().count() * 2,
                (_, true) => before.chars().count(),
                _ => before.len(),
            }
    }

    /// An error of the text as one of the bytes.
    pub fn placed(&self, error: DecodeError) -> DecodeError {
        DecodeError { offset: self.offset_of(error.offset), ..error }
    }
}

/// One `key=value` line.
pub struct Entry<'a> {
    key: &'a str,
    value: Field<'a>,
    line: Field<'a>,
    is_ended: bool,
    is_read: Cell<bool>,
}

pub struct Section<'a> {
    name: &'a str,
    start: usize,
    entries: Vec<Entry<'a>>,
}

pub struct Ini<'a> {
    sections: Vec<Section<'a>>,
}

impl<'a> Ini<'a> {
    /// Cuts a file. A line that is neither a section nor a pair is a key without a value.
    pub fn read(source: &'a Source) -> Result<Self, DecodeError> {
        let lines = fields::lines(&source.text);
        if lines.len() > LINES_MAX {
            let message = format!("more than {LINES_MAX} lines");
            return Err(DecodeError::new(ErrorCode::TooLong, 0, message));
        }
        let mut ini = Self { sections: vec![] };
        for line in lines {
            let text = line.field.trimmed();
            if text.text.is_empty() {
                continue;
            }
            if let Some(inner) = text.text.strip_prefix('[') {
                ini.begin(inner, text)?;
                continue;
            }
            // A line end that was lost would hide a whole section in the value before it.
            if text.text.contains(['[', ']']) {
                return Err(text.malformed("a section inside a line"));
            }
            let (key, value) = match text.text.split_once('=') {
                Some((key, _)) => {
                    let from = key.len() + 1;
                    let value = text.columns(from, text.text.len() - from, "value")?;
                    (key.trim(), value.trimmed().named(key))
                }
                None => (text.text, text),
            };
            let Some(section) = ini.sections.last_mut() else {
                return Err(text.malformed("a value before any section"));
            };
            let is_read = Cell::new(false);
            let entry = Entry { key, value, line: text, is_ended: line.is_ended, is_read };
            section.entries.push(entry);
        }
        Ok(ini)
    }

    fn begin(&mut self, inner: &'a str, line: Field<'a>) -> Result<(), DecodeError> {
        let name = inner.strip_suffix(']').ok_or_else(|| line.malformed("not a section"))?;
        self.sections.push(Section { name, start: line.offset, entries: vec![] });
        Ok(())
    }

    fn sections(&self, name: &str) -> impl Iterator<Item = &Section<'a>> {
        self.sections.iter().filter(move |section| section.name.eq_ignore_ascii_case(name))
    }

    pub fn has(&self, name: &str) -> bool {
        self.sections(name).next().is_some()
    }

    /// Marks all keys of a section as read.
    pub fn take_all(&self, section: &str) {
        let entries = self.sections(section).flat_map(|section| &section.entries);
        entries.for_each(|entry| entry.is_read.set(true));
    }

    /// A value; nothing if it is absent, empty or marked as missing. One that stands there twice is
    /// refused unless it is the same: which one would count is anyone's guess. A last line without
    /// its end may have been cut in the middle of a number.
    pub fn value(&self, section: &str, key: &str) -> Result<Option<Field<'a>>, DecodeError> {
        let all = self.sections(section).flat_map(|section| &section.entries);
        let all: Vec<&Entry> = all.filter(|entry| entry.key.eq_ignore_ascii_case(key)).collect();
        let Some(entry) = all.first() else { return Ok(None) };
        all.iter().for_each(|entry| entry.is_read.set(true));
        if let Some(other) = all.iter().find(|other| other.value.text != entry.value.text) {
            return Err(other.value.malformed("a second value of the same key"));
        }
        if MISSING.iter().any(|mark| entry.value.text.contains(mark)) {
            return Ok(None);
        }
        if !entry.is_ended && !self.is_whole(entry) {
            let message = "the file stopped inside its last line";
            let error = DecodeError::new(ErrorCode::Incomplete, entry.value.offset, message);
            return Err(error.in_field(entry.key));
        }
        Ok(Some(entry.value).filter(|value| !value.text.is_empty()))
    }

    /// Whether a number has as many decimals as every other one of the file.
    fn is_whole(&self, last: &Entry) -> bool {
        fn decimals(entry: &Entry) -> Option<usize> {
            let (_, decimals) = entry.value.text.split_once('.')?;
            decimals.bytes().all(|byte| byte.is_ascii_digit()).then_some(decimals.len())
        }
        let others = self.sections.iter().flat_map(|section| &section.entries);
        let others: Vec<usize> =
            others.filter(|entry| entry.is_ended).filter_map(decimals).collect();
        decimals(last).is_some_and(|own| {
            own > 0 && others.len() > 1 && others.iter().all(|found| *found == own)
        })
    }

    /// Keys that nobody has read, one record for each section; and how many sections more.
    pub fn unknown_records(&self) -> (Vec<UnknownRecord>, usize) {
        let unread = self.sections.iter().filter_map(Section::unread);
        let mut records: Vec<UnknownRecord> = unread.collect();
        let more = records.len().saturating_sub(UNKNOWN_SECTIONS_MAX);
        records.truncate(UNKNOWN_SECTIONS_MAX);
        (records, more)
    }
}

impl<'a> Section<'a> {
    fn unread(&self) -> Option<UnknownRecord> {
        let is_told =
            |entry: &&Entry| !entry.is_read.get() && !entry.value.text.is_empty() && entry.is_ended;
        let lines: Vec<&str> =
            self.entries.iter().filter(is_told).map(|entry| entry.line.text).collect();
        if lines.is_empty() {
            return None;
        }
        let mut text = format!("[{}]\n{}", self.name, lines.join("\n"));
        if text.len() > UNKNOWN_TEXT_LEN_MAX {
            text.truncate(text.floor_char_boundary(UNKNOWN_TEXT_LEN_MAX));
            text.push('…');
        }
        Some(UnknownRecord { offset: self.start, text })
    }
}
