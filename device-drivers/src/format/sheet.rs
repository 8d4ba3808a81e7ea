//! A table under one line of headings whose rows are readings of their own, as biometers and
//! topographers export it: finds the delimiter and the columns, and accounts for every row.

use crate::{
    DateOrder, DecodeError, ErrorCode, flags,
    format::{
        civil_time,
        file::Part,
        table::{self, Row},
        xml::{UNKNOWN_RECORDS_MAX, UNKNOWN_TEXT_LEN_MAX},
    },
};
use chiasm_proto::{Decoded, Flag, FlagCode, InstrumentTime, UnknownRecord};
use encoding_rs::WINDOWS_1252;

/// Longest line of headings, in bytes. Each reading carries a copy of it.
pub const HEADINGS_LEN_MAX: usize = 16 * 1024;
/// Most rows of a file, each of which becomes a reading.
pub const ROWS_MAX: usize = 10_000;
/// The first of these that stands in the line of headings is the delimiter.
const DELIMITERS: [char; 3] = [';', '\t', ','];
const BYTE_ORDER_MARK: char = '\u{FEFF}';
/// Headings that hold one of these stand above what is not kept, unless the driver reads them. In
/// English, German, French, Spanish and Italian.
const PERSONAL: [&str; 30] = [
    "name",
    "apellido",
    "cognome",
    "birth",
    "geburt",
    "geb.",
    "naissance",
    "nascita",
    "nacimiento",
    "dob",
    "d.o.b",
    "patient",
    "paziente",
    "paciente",
    "address",
    "adresse",
    "anschrift",
    "direcci",
    "indirizzo",
    "street",
    "straße",
    "strasse",
    "wohnort",
    "phone",
    "telefon",
    "teléfono",
    "mail",
    "insurance",
    "versicherung",
    "krankenkasse",
];
/// The same as whole words: inside others they mean something else, as in nominal.
const PERSONAL_WORDS: [&str; 13] = [
    "nom",
    "prénom",
    "prenom",
    "nome",
    "born",
    "plz",
    "zip",
    "rue",
    "tel",
    "ssn",
    "mobile",
    "gender",
    "geschlecht",
];

/// What becomes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The driver reads it.
    Read,
    /// Kept as text.
    Kept,
    /// Not taken over: names, birth dates and the like.
    Ignored,
}

/// A file cut into rows.
pub struct Sheet<'a> {
    raw: &'a [u8],
    text: String,
    /// Else each character is one byte.
    is_utf8: bool,
    /// Without blanks around them; an empty one at the end is left out.
    pub headings: Vec<String>,
    /// A delimiter stands behind the last heading; it then does in every row.
    has_tail: bool,
    /// Length of the line of headings in the text.
    headings_len: usize,
    rows: Vec<Row>,
}

impl<'a> Sheet<'a> {
    /// Text is UTF-8 or, where it is not, Windows-1252.
    pub fn read(raw: &'a [u8]) -> Result<Self, DecodeError> {
        let (text, is_utf8) = match str::from_utf8(raw) {
            Ok(text) => (text.to_owned(), true),
            Err(error) if raw.starts_with("\u{FEFF}".as_bytes()) => {
                let what = "not UTF-8, which the first bytes announce";
                return Err(DecodeError::new(ErrorCode::Encoding, error.valid_up_to(), what));
            }
            Err(_) => (WINDOWS_1252.decode_without_bom_handling(raw).0.into_owned(), false),
        };
        let delimiter = delimiter_of(first_line(&text)).ok_or_else(|| {
            DecodeError::new(ErrorCode::WrongKind, 0, "no line of headings to begin with")
        })?;
        let mut rows = table::rows(&text, delimiter as u8)
            .map_err(|error| DecodeError { offset: error.offset.min(raw.len()), ..error })?;
        if rows.len() > ROWS_MAX {
            let what = format!("more than {ROWS_MAX} rows");
            return Err(DecodeError::new(ErrorCode::TooLong, raw.len(), what));
        }
        let first = rows.remove(0);
        if first.len > HEADINGS_LEN_MAX {
            let what = format!("headings of more than {HEADINGS_LEN_MAX} bytes");
            return Err(DecodeError::new(ErrorCode::TooLong, 0, what));
        }
        if !first.is_ended {
            let what = "the line of headings has no end";
            return Err(DecodeError::new(ErrorCode::Incomplete, raw.len(), what));
        }
        let heading = |text: &String| text.trim_start_matches(BYTE_ORDER_MARK).trim().to_owned();
        let mut headings: Vec<String> = first.fields.iter().map(heading).collect();
        let has_tail = headings.pop_if(|last| last.is_empty()).is_some();
        Ok(Self { raw, text, is_utf8, headings, has_tail, headings_len: first.len, rows })
    }

    /// The column of this heading. Two of the same are refused: which one is meant is not known.
    pub fn column(&self, heading: &str) -> Result<Option<usize>, DecodeError> {
        let mut found = (0..self.headings.len()).filter(|at| self.headings[*at] == heading);
        let first = found.next();
        match found.next() {
            Some(_) => {
                let what = format!("two columns are called {heading}");
                Err(DecodeError::new(ErrorCode::Malformed, 0, what))
            }
            None => Ok(first),
        }
    }

    /// Names and birth dates are ignored wherever they stand, the others kept.
    pub fn roles(&self, is_read: impl Fn(usize) -> bool) -> Vec<Role> {
        let role = |(at, heading): (usize, &String)| match heading.to_lowercase() {
            _ if is_read(at) => Role::Read,
            heading if is_personal(&heading) => Role::Ignored,
            _ => Role::Kept,
        };
        self.headings.iter().enumerate().map(role).collect()
    }

    /// Every row by itself: a reading, a refusal, or nothing measured.
    pub fn parts(
        &self,
        roles: &[Role],
        read: &dyn Fn(&Row) -> Result<Decoded, DecodeError>,
    ) -> Vec<Part> {
        let context = &self.raw[..self.byte_len(0, self.headings_len)];
        let mut parts = vec![Part::Control { what: "headings", len: context.len() }];
        let mut rows = self.rows.clone();
        let has_all = rows.last().is_some_and(|last| last.fields.len() == self.headings.len());
        let is_text = roles.last() == Some(&Role::Kept);
        let is_cleared = has_all && !self.has_tail && table::mend_last(&mut rows, is_text);
        for (at, row) in rows.iter().enumerate() {
            let len = self.byte_len(row.start, row.len);
            parts.push(match self.reading(row, roles, read, context.len()) {
                Ok(Some(mut decoded)) => {
                    if is_cleared && at + 1 == rows.len() {
                        decoded.flags.push(table::cleared());
                    }
                    let (decoded, context) = (Box::new(decoded), context.to_vec());
                    Part::Reading { decoded, context, len }
                }
                Ok(None) => Part::Control { what: "a row without values", len },
                Err(error) => Part::Refused { error: DecodeError { offset: 0, ..error }, len },
            });
        }
        parts
    }

    fn reading(
        &self,
        row: &Row,
        roles: &[Role],
        read: &dyn Fn(&Row) -> Result<Decoded, DecodeError>,
        offset: usize,
    ) -> Result<Option<Decoded>, DecodeError> {
        self.check(row, roles)?;
        let mut decoded = read(row)?;
        self.keep_unknown(row, roles, offset, &mut decoded);
        if decoded.measurements.is_empty() && decoded.unknown_records.is_empty() {
            return Ok(None);
        }
        flags::complete(&mut decoded);
        Ok(Some(decoded))
    }

    /// A row has a field under each heading and, where the headings have one, a delimiter behind
    /// the last one. Without its line end it may have been cut inside whatever stands behind its
    /// last delimiter, unless [`table::mend_last`] knows better.
    fn check(&self, row: &Row, roles: &[Role]) -> Result<(), DecodeError> {
        let (count, width) = (row.fields.len(), self.headings.len());
        let has_tail = count == width + 1 && row.fields[width].trim().is_empty();
        let is_cut_where_unread = count == width && roles.last() == Some(&Role::Ignored);
        if !row.is_ended && !has_tail && !is_cut_where_unread {
            let what = "the last row has no line end and may have been cut short";
            return Err(DecodeError::new(ErrorCode::Incomplete, 0, what));
        }
        let expected = width + usize::from(self.has_tail);
        if count != expected && !has_tail {
            return Err(row.malformed(format!("{count} fields, expected {expected}")));
        }
        if row.fields.iter().any(|field| field.contains(['\r', '\n'])) {
            return Err(row.malformed("a field with a line end in it"));
        }
        Ok(())
    }

    fn keep_unknown(&self, row: &Row, roles: &[Role], offset: usize, decoded: &mut Decoded) {
        let fields = self.headings.iter().zip(&row.fields).zip(roles);
        let kept =
            fields.filter(|((_, field), role)| **role == Role::Kept && !field.trim().is_empty());
        let texts: Vec<String> = kept.map(|((heading, field), _)| named(heading, field)).collect();
        if texts.len() > UNKNOWN_RECORDS_MAX {
            let more = texts.len() - UNKNOWN_RECORDS_MAX;
            let detail = format!("{more} more columns of unknown kind are in the raw row only");
            decoded.flags.push(Flag { code: FlagCode::UnknownRecord, detail });
        }
        let record = |mut text: String| {
            text.truncate(text.floor_char_boundary(UNKNOWN_TEXT_LEN_MAX));
            UnknownRecord { offset, text }
        };
        decoded.unknown_records.extend(texts.into_iter().take(UNKNOWN_RECORDS_MAX).map(record));
    }

    fn byte_len(&self, start: usize, len: usize) -> usize {
        if self.is_utf8 { len } else { self.text[start..start + len].chars().count() }
    }
}

/// Whether a heading in lower case stands above names, birth dates or the like.
fn is_personal(heading: &str) -> bool {
    let mut words = heading.split(|letter: char| !letter.is_alphanumeric());
    PERSONAL.iter().any(|part| heading.contains(part))
        || words.any(|word| PERSONAL_WORDS.contains(&word))
}

/// Some makers write the colon themselves.
fn named(heading: &str, field: &str) -> String {
    format!("{}: {}", heading.trim_end_matches(':'), field.trim())
}

fn first_line(text: &str) -> &str {
    let text = text.trim_start_matches([BYTE_ORDER_MARK, '\r', '\n']);
    text.split(['\r', '\n']).next().unwrap_or("")
}

fn delimiter_of(line: &str) -> Option<char> {
    DELIMITERS.into_iter().find(|delimiter| line.contains(*delimiter))
}

/// The headings of what may be such a file, to recognise it by.
pub fn headings_of(bytes: &[u8]) -> Vec<String> {
    let head = &bytes[..bytes.len().min(HEADINGS_LEN_MAX)];
    let text = String::from_utf8_lossy(head);
    let line = first_line(&text);
    let Some(delimiter) = delimiter_of(line) else { return vec![] };
    line.split(delimiter).map(|heading| heading.trim().trim_matches('"').to_owned()).collect()
}

/// The instrument's clock. Its date is understood if its order is configured or the year stands
/// first.
pub fn instrument_time(date: &str, time: &str, order: Option<DateOrder>) -> Option<InstrumentTime> {
    let as_sent = [date.trim(), time.trim()].join(" ").trim().to_owned();
    let local = civil_time::local(date, time, order);
    (!as_sent.is_empty()).then_some(InstrumentTime { as_sent, local })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_need_their_order() {
        let local = |date, order| {
            let time = instrument_time(date, "09:41:07", order).unwrap();
            time.local.map(|local| local.to_string())
        };
        let third_of_april = Some("2026-04-03T09:41:07".to_owned());
        assert_eq!(local("3.4.2026", Some(DateOrder::DayFirst)), third_of_april);
        assert_eq!(local("4/3/2026", Some(DateOrder::MonthFirst)), third_of_april);
        assert_eq!(local("2026-04-03", Some(DateOrder::YearFirst)), third_of_april);
        assert_eq!(local("4/3/2026", None), None);
        assert_eq!(local("14/3/2026", Some(DateOrder::MonthFirst)), None);
        assert_eq!(local("4/3/26", Some(DateOrder::MonthFirst)), None);
        assert!(instrument_time(" ", "", None).is_none());
    }

    #[test]
    fn personal_headings_are_told_from_others() {
        for heading in
            ["last name:", "nom", "prénom", "pat. geb.", "d.o.b.", "e-mail", "nome (od)", "tel."]
        {
            assert!(is_personal(heading), "{heading}");
        }
        for heading in ["nominal k", "al (mm)", "k1 axis", "nomogram", "exam date"] {
            assert!(!is_personal(heading), "{heading}");
        }
    }

    #[test]
    fn rows_of_western_text_are_counted_in_bytes() {
        let raw = b"\xDCber;K;\r\n\xE4;1;\r\n\n\xF6;2;\r\n";
        let sheet = Sheet::read(raw).unwrap();
        assert_eq!(sheet.headings, ["\u{dc}ber", "K"]);
        let lens: Vec<usize> = sheet.rows.iter().map(|r| sheet.byte_len(r.start, r.len)).collect();
        assert_eq!(lens, [7, 6]);
        assert_eq!(sheet.column("K").unwrap(), Some(1));
        assert!(Sheet::read(b"K;K\n").unwrap().column("K").is_err());
        let error = Sheet::read(b"\xEF\xBB\xBFa;b\n\xE4;1\n").map(|_| ()).unwrap_err();
        assert_eq!((error.code, error.offset), (ErrorCode::Encoding, 7));
        for text in ["", "no delimiter\n", "a;b"] {
            assert!(Sheet::read(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
