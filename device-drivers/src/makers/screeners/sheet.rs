//! From a file to its rows, and from a row to its part of the file.

use crate::{
    DecodeError, ErrorCode, flags,
    format::{
        file::Part,
        table::{self, Row},
    },
};
use chiasm_proto::Decoded;
use encoding_rs::WINDOWS_1252;

/// Longest table; a year of a busy screening programme is below one MiB.
pub const FILE_LEN_MAX: usize = 4 << 20;
/// How far into a file the marks may stand.
pub const SNIFF_LEN_MAX: usize = 4 * 1024;
/// Lines that may tell a table without heading.
const SNIFF_LINES_MAX: usize = 4;

const UTF_8_BOM: &[u8] = b"\xEF\xBB\xBF";

/// One row and how many bytes of the file belong to it.
pub struct Line {
    pub row: Row,
    pub len: usize,
}

/// Cuts a file into rows. Not UTF-8 is Windows-1252: names are all that it can change.
pub fn lines(raw: &[u8], delimiter: u8) -> Result<Vec<Line>, DecodeError> {
    let body = raw.strip_prefix(UTF_8_BOM).unwrap_or(raw);
    let bom_len = raw.len() - body.len();
    let text = match std::str::from_utf8(body) {
        Ok(text) => text.into(),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(body).0,
    };
    let is_one_byte = text.len() != body.len();
    let len_of = |row: &Row| match is_one_byte {
        true => text[row.start..row.start + row.len].chars().count(),
        false => row.len,
    };
    let rows = table::rows(&text, delimiter)?;
    if rows.is_empty() {
        return Err(DecodeError::new(ErrorCode::WrongKind, 0, "no rows"));
    }
    let line = |(at, row): (usize, Row)| {
        let len = len_of(&row) + if at == 0 { bom_len } else { 0 };
        Line { row, len }
    };
    Ok(rows.into_iter().enumerate().map(line).collect())
}

/// See [`table::mend_last`]: whether the last field was cleared.
pub fn mend_last(lines: &mut [Line], is_text: bool) -> bool {
    let mut rows: Vec<Row> = lines.iter().map(|line| line.row.clone()).collect();
    let is_cleared = table::mend_last(&mut rows, is_text);
    if let (Some(line), Some(row)) = (lines.last_mut(), rows.pop()) {
        line.row = row;
    }
    is_cleared
}

/// Refuses a row that a lost quote or a cut file has made of more or less than one line. Without
/// its line end it is whole only if nothing is read from its last column.
pub fn check(row: &Row, is_last_read: bool) -> Result<(), DecodeError> {
    if row.fields.iter().any(|field| field.contains(['\r', '\n'])) {
        return Err(row.malformed("a line break inside a field"));
    }
    if !row.is_ended && is_last_read {
        let message = "the file stopped inside its last row";
        return Err(DecodeError::new(ErrorCode::Incomplete, 0, message));
    }
    Ok(())
}

/// What a row has become. One without anything measured gives no reading.
pub fn part(line: &Line, context: &[u8], read: Result<Decoded, DecodeError>) -> Part {
    let len = line.len;
    match read {
        Ok(decoded) if decoded.measurements.is_empty() && decoded.unknown_records.is_empty() => {
            Part::Control { what: "row without values", len }
        }
        Ok(mut decoded) => {
            flags::complete(&mut decoded);
            Part::Reading { decoded: Box::new(decoded), context: context.to_vec(), len }
        }
        // Fields carry the row's position in the file; errors count from the row's beginning.
        Err(error) => Part::Refused { error: DecodeError { offset: 0, ..error }, len },
    }
}

/// A file of which no row can be read is refused as a whole, for what its first row says.
pub fn readable(parts: Vec<Part>) -> Result<Vec<Part>, DecodeError> {
    let mut errors = parts.iter().map(|part| match part {
        Part::Refused { error, .. } => Some(error),
        _ => None,
    });
    match errors.next().flatten().cloned() {
        Some(first) if errors.all(|error| error.is_some()) => Err(first),
        _ => Ok(parts),
    }
}

/// Whether one of the first lines has so many fields and this first one.
pub fn looks_like(
    bytes: &[u8],
    delimiter: char,
    fields_min: usize,
    first: fn(&str) -> bool,
) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(SNIFF_LEN_MAX)]);
    let mut lines = head.lines().take(SNIFF_LINES_MAX);
    lines.any(|line| {
        let mut fields = line.split(delimiter);
        fields.clone().count() >= fields_min && fields.next().is_some_and(first)
    })
}
