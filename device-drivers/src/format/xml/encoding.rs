//! From bytes to text: instruments declare encodings that they then do not use.

use crate::{DecodeError, ErrorCode};
use encoding_rs::{DecoderResult, Encoding, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// How far into a document its declaration may reach.
const DECLARATION_LEN_MAX: usize = 256;
/// Labels that makers write and the encoding standard does not list.
const LABELS: [(&str, &Encoding); 3] =
    [("cp932", SHIFT_JIS), ("shift jis", SHIFT_JIS), ("utf8n", UTF_8)];

/// A document as text, and the way back to its bytes.
pub struct Text<'a> {
    pub text: String,
    bytes: &'a [u8],
    encoding: &'static Encoding,
    bom_len: usize,
}

impl<'a> Text<'a> {
    /// By byte order mark or the position of NUL bytes; else as declared; else, where the bytes
    /// are not what was declared, as UTF-8, Shift_JIS or Windows-1252, whichever fits first.
    ///
    /// UTF-8 comes before Shift_JIS because text in another encoding is hardly ever valid UTF-8 by
    /// accident, while most UTF-8 is valid Shift_JIS.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::decode_as(bytes, &[UTF_8, SHIFT_JIS, WINDOWS_1252])
    }

    /// The same for a maker whose eight-bit text is never Japanese: Windows-1252 comes right after
    /// UTF-8, for its accents are mostly valid Shift_JIS as well.
    pub fn decode_western(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::decode_as(bytes, &[UTF_8, WINDOWS_1252])
    }

    fn decode_as(bytes: &'a [u8], otherwise: &[&'static Encoding]) -> Result<Self, DecodeError> {
        if let Some((encoding, bom_len)) = sniff(bytes) {
            let text = strictly(&bytes[bom_len..], encoding).map_err(|offset| {
                let what = format!("not {}, which the first bytes announce", encoding.name());
                DecodeError::new(ErrorCode::Encoding, bom_len + offset, what)
            })?;
            return Ok(Self { text, bytes, encoding, bom_len });
        }
        for encoding in declared(bytes).into_iter().chain(otherwise.iter().copied()) {
            if let Ok(text) = strictly(bytes, encoding) {
                return Ok(Self { text, bytes, encoding, bom_len: 0 });
            }
        }
        Err(DecodeError::new(ErrorCode::Encoding, 0, "text in no known encoding"))
    }

    /// Which byte the character at this position of the text came from.
    pub fn offset_of(&self, position: usize) -> usize {
        self.offsets_of(&[position])[0]
    }

    /// The same for positions in ascending order, in one pass over the bytes.
    pub fn offsets_of(&self, positions: &[usize]) -> Vec<usize> {
        let is_16_bits = self.encoding == UTF_16LE || self.encoding == UTF_16BE;
        if !is_16_bits && self.bytes.len() - self.bom_len == self.text.len() {
            // No eight-bit encoding takes more bytes than UTF-8: each character takes as many.
            return positions.iter().map(|position| self.bom_len + position).collect();
        }
        let mut decoder = self.encoding.new_decoder_without_bom_handling();
        let (mut written, mut begun, mut buffer) = (0, self.bom_len, [0; 16]);
        let mut offsets = Vec::with_capacity(positions.len());
        for (offset, byte) in self.bytes.iter().enumerate().skip(self.bom_len) {
            let input = std::slice::from_ref(byte);
            let (_, _, len) = decoder.decode_to_utf8_without_replacement(input, &mut buffer, false);
            written += len;
            while positions.get(offsets.len()).is_some_and(|position| written > *position) {
                offsets.push(begun);
            }
            if offsets.len() == positions.len() {
                break;
            }
            if len > 0 {
                begun = offset + 1;
            }
        }
        offsets.resize(positions.len(), self.bytes.len());
        offsets
    }
}

/// What the first bytes prove.
fn sniff(bytes: &[u8]) -> Option<(&'static Encoding, usize)> {
    match bytes {
        [0xEF, 0xBB, 0xBF, ..] => Some((UTF_8, 3)),
        [0xFF, 0xFE, ..] => Some((UTF_16LE, 2)),
        [0xFE, 0xFF, ..] => Some((UTF_16BE, 2)),
        [b'<', 0, ..] => Some((UTF_16LE, 0)),
        [0, b'<', ..] => Some((UTF_16BE, 0)),
        _ => None,
    }
}

/// What the declaration says, unless it says 16 bits and the bytes show eight.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(DECLARATION_LEN_MAX)];
    let head: String = head.iter().map(|byte| char::from(*byte)).collect();
    let declaration = head.trim_start().strip_prefix("<?xml")?;
    let (declaration, _) = declaration.split_once("?>")?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (label, _) = value[1..].split_once(quote)?;
    let label = label.trim().to_ascii_lowercase();
    let known = LABELS.iter().find(|(alias, _)| *alias == label).map(|(_, encoding)| *encoding);
    known
        .or_else(|| Encoding::for_label(label.as_bytes()))
        .filter(|encoding| *encoding != UTF_16LE && *encoding != UTF_16BE)
        .filter(|encoding| encoding.is_ascii_compatible())
}

/// The text, or the position of the first byte that does not belong to the encoding.
fn strictly(bytes: &[u8], encoding: &'static Encoding) -> Result<String, usize> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let capacity = decoder.max_utf8_buffer_length_without_replacement(bytes.len()).ok_or(0usize)?;
    let mut text = String::with_capacity(capacity);
    let (result, read) = decoder.decode_to_string_without_replacement(bytes, &mut text, true);
    match result {
        DecoderResult::InputEmpty => Ok(text),
        _ => Err(read.saturating_sub(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_read_but_not_believed() {
        let name = "<?xml version='1.0' encoding='Shift-JIS' ?><a>視力</a>";
        let (shift_jis, _, _) = SHIFT_JIS.encode(name);
        assert_eq!(Text::decode(&shift_jis).unwrap().text, name);
        let odd = name.replace('力', "");
        assert_eq!(Text::decode(odd.as_bytes()).unwrap().text, odd, "declared, but is UTF-8");
        let claims_16 = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a>é</a>";
        assert_eq!(Text::decode(claims_16.as_bytes()).unwrap().text, claims_16);
        assert_eq!(Text::decode(b"<a>\xE9</a>").unwrap().text, "<a>\u{e9}</a>");
    }

    #[test]
    fn the_way_back_to_the_bytes() {
        let document = "<?xml encoding=\"Shift-JIS\"?><名>ｱ視力</名>";
        let (shift_jis, _, _) = SHIFT_JIS.encode(document);
        let utf16: Vec<u8> = document.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, width) in [(shift_jis.to_vec(), 0), (utf16, 2)] {
            let text = Text::decode(&bytes).unwrap();
            for (position, _) in text.text.char_indices() {
                let expected = match width {
                    0 => SHIFT_JIS.encode(&document[..position]).0.len(),
                    _ => document[..position].encode_utf16().count() * width,
                };
                assert_eq!(text.offset_of(position), expected, "{position}");
            }
            assert_eq!(text.offset_of(text.text.len()), bytes.len());
        }
    }

    #[test]
    fn half_a_unit_is_refused() {
        let error = Text::decode(b"\xFF\xFE<\0a").map(|_| ()).unwrap_err();
        assert_eq!(error.code, ErrorCode::Encoding);
    }
}
