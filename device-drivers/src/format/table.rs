//! Tables of separated values, as screeners, biometers and topographers export them.
//!
//! A row keeps the position and length of its bytes, so that each can be accounted for by itself.
//! Quotes and doubled quotes are read by the `csv-core` library; what is special about each maker's
//! table stands in its driver.

use crate::{DecodeError, ErrorCode, format::fields::Field};
use chiasm_proto::{Flag, FlagCode};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

/// Most rows of a table.
pub const ROWS_MAX: usize = 100_000;
/// Most fields of a row.
pub const FIELDS_MAX: usize = 4_096;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Without quotes and the blanks around them as sent.
    pub fields: Vec<String>,
    /// Position of its first byte in the text.
    pub start: usize,
    /// Bytes up to the next row, its line end and blank lines behind it included.
    pub len: usize,
    /// Its line end was there. A row without one may have been cut in the middle of a number.
    pub is_ended: bool,
}

impl Row {
    /// The field of this column; nothing beyond the last one. Errors point at the row.
    pub fn field<'a>(&'a self, column: usize, name: &'a str) -> Option<Field<'a>> {
        self.fields.get(column).map(|text| Field::new(text, self.start, name))
    }

    /// A refusal that points at the beginning of the row itself.
    pub fn malformed(&self, message: impl Into<String>) -> DecodeError {
        DecodeError::new(ErrorCode::Malformed, 0, message)
    }
}

/// What a last row without its line end is worth, for other programs that save a table leave it
/// out. Its last field is whole if its shape says so, by itself and beside the others: it has two
/// decimals, as every number of its row has and every number of its column. One decimal proves
/// nothing, for a table may leave out zeros at the end, and the row is kept without the others, so
/// they can only contradict. A column that is only kept as text is cleared instead, which the
/// returned yes tells. Anything else leaves the row as one that may have been cut.
pub fn mend_last(rows: &mut [Row], is_text: bool) -> bool {
    let Some((last, before)) = rows.split_last_mut() else { return false };
    if last.is_ended || last.fields.len() < 2 {
        return false;
    }
    if is_text {
        last.fields.last_mut().into_iter().for_each(String::clear);
        last.is_ended = true;
    } else if is_whole(last, &[]) && is_whole(last, before) {
        last.is_ended = true;
    }
    is_text
}

/// Tells that [`mend_last`] cleared a field.
pub fn cleared() -> Flag {
    let detail = "the last row has no line end: its last field may have been cut and was not \
                  taken over";
    Flag { code: FlagCode::Inconsistent, detail: detail.into() }
}

fn is_whole(last: &Row, before: &[Row]) -> bool {
    let (Some((field, others)), count) = (last.fields.split_last(), last.fields.len()) else {
        return false;
    };
    let Some(own) = decimals(field) else { return false };
    // A heading, of which the first row may consist, does not begin like a number.
    let is_number = |text: &&str| {
        text.starts_with(['+', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
    };
    let column = before.iter().filter_map(|row| row.fields.get(count - 1));
    let column = column.map(|text| text.trim()).filter(is_number);
    let mut column = column.map(decimals).peekable();
    if column.peek().is_some() {
        return own >= 2 && column.all(|found| found == Some(own));
    }
    let all = before.iter().flat_map(|row| &row.fields).chain(others);
    let all: Vec<usize> = all.filter_map(|text| decimals(text)).collect();
    own == 2 && all.len() >= 2 && all.iter().all(|found| *found == own)
}

/// Decimals of a number that has some.
fn decimals(text: &str) -> Option<usize> {
    let text = text.trim();
    let (whole, decimals) = text.strip_prefix(['+', '-']).unwrap_or(text).split_once(['.', ','])?;
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (is_digits(whole) && is_digits(decimals)).then_some(decimals.len())
}

/// Cuts a text into rows. Blank lines belong to the row before them, or to the first one.
pub fn rows(text: &str, delimiter: u8) -> Result<Vec<Row>, DecodeError> {
    let mut reader: Reader = ReaderBuilder::new().delimiter(delimiter).build();
    let mut rows: Vec<Row> = Vec::new();
    let (mut at, bytes) = (0, text.as_bytes());
    while at < bytes.len() {
        let start = at;
        let fields = row(&mut reader, bytes, &mut at)?;
        let Some(fields) = fields else { break };
        if rows.len() >= ROWS_MAX {
            let message = format!("more than {ROWS_MAX} rows");
            return Err(DecodeError::new(ErrorCode::TooLong, start, message));
        }
        // The reader stops behind CR; the LF after it belongs to the same row.
        while matches!(bytes.get(at), Some(b'\r' | b'\n')) {
            at += 1;
        }
        let is_ended = matches!(bytes[at - 1], b'\r' | b'\n');
        rows.push(Row { fields, start, len: at - start, is_ended });
    }
    if let Some(last) = rows.last_mut() {
        last.len = bytes.len() - last.start;
    }
    Ok(rows)
}

/// Reads one record from `at` on; nothing if only blank lines are left.
fn row(
    reader: &mut Reader,
    bytes: &[u8],
    at: &mut usize,
) -> Result<Option<Vec<String>>, DecodeError> {
    let start = *at;
    let (mut text, mut ends) = (Vec::new(), Vec::new());
    let (mut output, mut bounds) = ([0; 1024], [0; 64]);
    let mut written_before = 0;
    loop {
        let (result, read, written, ended) =
            reader.read_record(&bytes[*at..], &mut output, &mut bounds);
        *at += read;
        text.extend_from_slice(&output[..written]);
        ends.extend_from_slice(&bounds[..ended]);
        written_before += written;
        if ends.len() > FIELDS_MAX || written_before > bytes.len() {
            let message = format!("more than {FIELDS_MAX} fields in a row");
            return Err(DecodeError::new(ErrorCode::TooLong, start, message));
        }
        match result {
            ReadRecordResult::Record => break,
            ReadRecordResult::End => return Ok(None),
            ReadRecordResult::InputEmpty
            | ReadRecordResult::OutputFull
            | ReadRecordResult::OutputEndsFull => {}
        }
    }
    let mut from = 0;
    let field = |end: &usize| {
        let field = String::from_utf8_lossy(&text[from..*end]).into_owned();
        from = *end;
        field
    };
    Ok(Some(ends.iter().map(field).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_account_for_every_byte() {
        let text = "a;b\r\n\"x;\"\"y\";2\n\n\nlast;3";
        let rows = rows(text, b';').unwrap();
        let fields: Vec<Vec<&str>> =
            rows.iter().map(|row| row.fields.iter().map(String::as_str).collect()).collect();
        assert_eq!(fields, [["a", "b"], ["x;\"y", "2"], ["last", "3"]]);
        assert_eq!(rows.iter().map(|row| row.len).sum::<usize>(), text.len());
        assert_eq!(rows.iter().map(|row| row.is_ended).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(&text[rows[1].start..], "\"x;\"\"y\";2\n\n\nlast;3");
    }

    #[test]
    fn a_last_row_without_its_end_is_whole_by_its_shape() {
        let ended = |text: &str, is_text: bool| {
            let mut rows = rows(text, b';').unwrap();
            let is_cleared = mend_last(&mut rows, is_text);
            let last = rows.last().unwrap();
            (last.is_ended, is_cleared, last.fields.last().unwrap().clone())
        };
        for (text, is_ended) in [
            ("1,25;1,50;2,50\n1,75;1,00;3,55", true),
            ("1,25;1,50;2,50\n1,75;1,00;3,5", false),
            ("1,25;1,50;2,5\n1,75;1,00;3,55", false),
            ("1,25;1,50;2,50;9\n1,75;1,00;3,55", true),
            ("1,25;1,50;2,5;9\n1,75;1,00;3,55", false),
            ("1,25;1,5;2,50\n1,75;1,00;3,55", true),
            ("1,25;1,50;2,50\n1,75;1,0;3,55", false),
            ("1;2,50\n1;3,55", false),
            ("1;2,5\n1;3,5", false),
            ("A;24,13;7,81;7,6\nB;23,50;7,70;7,6", false),
            ("1;2,50\n1;3,5", false),
            ("1;2\n1;3", false),
            ("K1;K2\n7,81;7,66", false),
            ("AL;K1;K2\n24,13;7,81;7,66", true),
            ("AL;K1;K2\n24,1;7,8;7,6", false),
            ("AL;K1;K2\n24,13;7,8;7,66", false),
            ("AL;K1;K2\n24,13;7,81;7,", false),
            ("1;2,5\n1;3,5\n", true),
        ] {
            assert_eq!(ended(text, false).0, is_ended, "{text}");
        }
        assert_eq!(ended("1;ok\n1;fail", true), (true, true, String::new()));
        let text = "1,25;1,50;2,50\n1,75;1,00;3,55";
        assert_eq!(ended(text, true), (true, true, String::new()), "kept alone it has no proof");
    }

    #[test]
    fn long_rows_and_many_fields_are_whole() {
        let long = "x".repeat(5000);
        let many = vec!["1"; 300].join(",");
        let text = format!("{long},2\n{many}\n");
        let rows = rows(&text, b',').unwrap();
        assert_eq!(rows[0].fields, [long, "2".into()]);
        assert_eq!(rows[1].fields.len(), 300);
        assert!(super::rows("", b',').unwrap().is_empty());
    }

    #[test]
    fn endless_rows_are_refused() {
        let text = ",".repeat(FIELDS_MAX + 1);
        assert_eq!(rows(&text, b',').unwrap_err().code, ErrorCode::TooLong);
    }
}
