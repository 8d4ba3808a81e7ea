//! Fixed columns: exact lengths and exact digits, so that a merged or shifted record is refused
//! instead of being read as another number.

use crate::{DecodeError, ErrorCode};
use chiasm_proto::Hundredths;

/// A number as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Number {
    /// With at most two decimals, or more that are zero.
    Hundredths(Hundredths),
    /// With more decimals than a value can hold, verbatim. Keep it as text
    /// ([`chiasm_proto::OtherTest`]): rounding it would make another value of it.
    Finer(String),
}

/// The lines of a text with their positions; each without its line end (CR LF, LF or CR). The last
/// one tells whether its line end was there.
pub fn lines(text: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut offset = 0;
    while offset < text.len() {
        let rest = &text[offset..];
        let (len, end) = match rest.find(['\r', '\n']) {
            Some(at) if rest[at..].starts_with("\r\n") => (at, 2),
            Some(at) => (at, 1),
            None => (rest.len(), 0),
        };
        let field = Field { text: &rest[..len], offset, name: "line" };
        lines.push(Line { field, is_ended: end > 0 });
        offset += len + end;
    }
    lines
}

/// Text of printable ASCII and these control bytes, such as line ends; anything else is damage.
pub fn printable<'a>(bytes: &'a [u8], also: &[u8]) -> Result<&'a str, DecodeError> {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') || also.contains(byte);
    match bytes.iter().position(|byte| !is_plain(byte)) {
        Some(at) => {
            // Errors are logged: what was sent stands in none of them.
            Err(DecodeError::new(ErrorCode::Malformed, at, "a byte that no such text holds"))
        }
        None => Ok(str::from_utf8(bytes).unwrap_or_default()),
    }
}

/// One line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    pub field: Field<'a>,
    /// Its line end was there. A line without one may have been cut short in the middle of a
    /// number.
    pub is_ended: bool,
}

/// A stretch of text inside a transmission, and where it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    pub text: &'a str,
    /// Position of the first byte in the event's `raw`.
    pub offset: usize,
    /// What it is called in error messages: `OR sphere`.
    pub name: &'a str,
}

impl<'a> Field<'a> {
    pub fn new(text: &'a str, offset: usize, name: &'a str) -> Self {
        Self { text, offset, name }
    }

    /// `len` columns from column `from`, under a name of their own. Refused if the text is shorter
    /// or not plain ASCII there.
    pub fn columns(
        &self,
        from: usize,
        len: usize,
        name: &'a str,
    ) -> Result<Field<'a>, DecodeError> {
        let text = self.text.get(from..from + len).ok_or_else(|| {
            let found = self.text.len();
            self.malformed(format!("{found} characters, column {} is missing", from + len))
        })?;
        Ok(Field { text, offset: self.offset + from, name })
    }

    /// Cuts the text into columns of these widths, which have to add up to its length exactly.
    pub fn cut<const N: usize>(
        &self,
        columns: [(usize, &'a str); N],
    ) -> Result<[Field<'a>; N], DecodeError> {
        let expected: usize = columns.iter().map(|(width, _)| width).sum();
        self.expect_len(expected)?;
        let mut from = 0;
        let mut cut = [*self; N];
        for (slot, (width, name)) in cut.iter_mut().zip(columns) {
            *slot = self.columns(from, width, name)?;
            from += width;
        }
        Ok(cut)
    }

    pub fn expect_len(&self, expected: usize) -> Result<(), DecodeError> {
        match self.text.len() {
            found if found == expected => Ok(()),
            found => Err(self.malformed(format!("{found} characters, expected {expected}"))),
        }
    }

    /// Whether the text has exactly the pattern's shape: `0` a digit, `+` either sign, `_` a digit
    /// or a blank, anything else itself.
    pub fn has_shape(&self, pattern: &str) -> bool {
        let fits = |(byte, shape): (u8, u8)| match shape {
            b'0' => byte.is_ascii_digit(),
            b'+' => matches!(byte, b'+' | b'-'),
            b'_' => byte.is_ascii_digit() || byte == b' ',
            _ => byte == shape,
        };
        self.text.len() == pattern.len() && self.text.bytes().zip(pattern.bytes()).all(fits)
    }

    /// A decimal number of exactly this shape: `+00.00`, `00.0`, `0000`.
    pub fn decimal(&self, pattern: &str) -> Result<Hundredths, DecodeError> {
        let refuse = || self.malformed(format!("not a number of the form {pattern}"));
        if !self.has_shape(pattern) {
            return Err(refuse());
        }
        self.text.replace(' ', "").parse().map_err(|_| refuse())
    }

    /// A whole number of exactly this shape: `000`, `+00`.
    pub fn whole(&self, pattern: &str) -> Result<i32, DecodeError> {
        let number = self.decimal(pattern)?;
        match number.0 % 100 {
            0 => Ok(number.0 / 100),
            _ => Err(self.malformed("not a whole number")),
        }
    }

    /// An axis in degrees, 0 to 180.
    pub fn axis_deg(&self, pattern: &str) -> Result<i16, DecodeError> {
        let axis = self.whole(pattern)?;
        match i16::try_from(axis) {
            Ok(axis @ 0..=180) => Ok(axis),
            _ => Err(self.malformed("an axis is 0 to 180 degrees")),
        }
    }

    /// A number in free form, as files and unpadded lines write it: blanks around it, an optional
    /// sign, a point or a comma as the decimal mark, never both.
    pub fn number(&self) -> Result<Number, DecodeError> {
        let refuse = || self.malformed("not a number");
        let text = self.text.trim();
        let plain = text.replace(',', ".");
        if plain.matches('.').count() > 1 {
            return Err(refuse());
        }
        if let Ok(number) = plain.parse() {
            return Ok(Number::Hundredths(number));
        }
        let digits = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
        let (whole, decimals) = digits.split_once('.').ok_or_else(refuse)?;
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let is_finer = !whole.is_empty() && whole.len() <= 6 && decimals.len() > 2;
        if is_finer && is_digits(whole) && is_digits(decimals) {
            Ok(Number::Finer(text.to_owned()))
        } else {
            Err(refuse())
        }
    }

    /// A number in free form with at most two decimals, as everything that is kept has; one with
    /// more is refused, for cutting it would be rounding.
    pub fn hundredths(&self) -> Result<Hundredths, DecodeError> {
        match self.number()? {
            Number::Hundredths(number) => Ok(number),
            Number::Finer(_) => Err(self.malformed("more than two decimals")),
        }
    }

    /// An axis in free form: a whole number of degrees, 0 to 180.
    pub fn free_axis_deg(&self) -> Result<i16, DecodeError> {
        let axis = self.hundredths()?;
        match i16::try_from(axis.0 / 100) {
            Ok(whole @ 0..=180) if axis.0 % 100 == 0 => Ok(whole),
            _ => Err(self.malformed("an axis is a whole number of degrees, 0 to 180")),
        }
    }

    /// A power that was read here, if its sign stands in front: one flipped bit makes a line end of
    /// a minus sign. Only zero may lack it.
    pub fn with_sign(&self, power: Hundredths) -> Result<Hundredths, DecodeError> {
        match power.is_zero() || self.text.starts_with(['+', '-']) {
            true => Ok(power),
            false => Err(self.malformed("a power without a sign")),
        }
    }

    /// Without the blanks before a number. One behind it is refused: one flipped bit makes a blank
    /// of the last digit 0.
    pub fn padded(&self) -> Result<Field<'a>, DecodeError> {
        match self.text.ends_with(' ') && !self.text.trim().is_empty() {
            true => Err(self.malformed("a blank behind the number")),
            false => Ok(self.trimmed()),
        }
    }

    /// The text without blanks around it; the position moves with it.
    pub fn trimmed(&self) -> Field<'a> {
        let blank = self.text.len() - self.text.trim_start().len();
        Field { text: self.text.trim(), offset: self.offset + blank, name: self.name }
    }

    /// Cut at a character, which belongs to none of the pieces.
    pub fn split(&self, at: char) -> Vec<Field<'a>> {
        let mut pieces = Vec::new();
        let mut offset = self.offset;
        for text in self.text.split(at) {
            pieces.push(Field { text, offset, name: self.name });
            offset += text.len() + at.len_utf8();
        }
        pieces
    }

    /// The words between blanks.
    pub fn words(&self) -> Vec<Field<'a>> {
        self.split(' ').into_iter().filter(|word| !word.text.is_empty()).collect()
    }

    /// The words between any of these blanks, which are ASCII.
    pub fn words_between(&self, blanks: &[char]) -> Vec<Field<'a>> {
        let mut words = Vec::new();
        let mut offset = self.offset;
        for text in self.text.split(blanks) {
            if !text.is_empty() {
                words.push(Field { text, offset, name: self.name });
            }
            offset += text.len() + 1;
        }
        words
    }

    /// The same field under another name for error messages.
    pub fn named(&self, name: &'a str) -> Field<'a> {
        Field { name, ..*self }
    }

    /// A refusal that points at this field.
    pub fn malformed(&self, message: impl Into<String>) -> DecodeError {
        DecodeError::new(ErrorCode::Malformed, self.offset, message).in_field(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_exact() {
        let field = |text| Field::new(text, 7, "OR sphere");
        assert_eq!(field("-02.25").decimal("+00.00"), Ok(Hundredths(-225)));
        assert_eq!(field("-00.00").decimal("+00.00"), Ok(Hundredths(0)));
        assert_eq!(field(" 45").whole("__0"), Ok(45));
        assert_eq!(field("180").axis_deg("000"), Ok(180));
        for text in ["02.250", " 02.25", "-2.25", "-02,25", "-0٣.25", ""] {
            let error = field(text).decimal("+00.00").unwrap_err();
            assert_eq!((error.code, error.offset), (ErrorCode::Malformed, 7), "{text:?}");
        }
        assert!(field("181").axis_deg("000").is_err());
    }

    #[test]
    fn text_is_printable_and_words_keep_their_places() {
        assert_eq!(printable(b"a\tb", b"\t"), Ok("a\tb"));
        assert_eq!(printable(b"a\tb", b"\r\n").unwrap_err().offset, 1);
        assert_eq!(printable(b"ab\x80", b"").unwrap_err().code, ErrorCode::Malformed);
        let words = Field::new(" R\t 1.5\r\n", 10, "line").words_between(&[' ', '\t', '\r', '\n']);
        let found: Vec<_> = words.iter().map(|word| (word.text, word.offset)).collect();
        assert_eq!(found, [("R", 11), ("1.5", 14)]);
    }

    #[test]
    fn columns_have_to_add_up() {
        let record = Field::new("OR-02.25178", 100, "OR");
        let [_, sphere, axis] = record.cut([(2, "tag"), (6, "OR sphere"), (3, "OR axis")]).unwrap();
        assert_eq!((sphere.text, axis.offset), ("-02.25", 108));
        assert!(record.cut([(2, "tag"), (6, "OR sphere")]).is_err());
        assert!(record.columns(9, 3, "beyond").is_err());
    }
}
