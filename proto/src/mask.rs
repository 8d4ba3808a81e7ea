//! Bytes of an instrument without what they say: for people who have to see how a transmission is
//! built, and must not see whose it is.

/// In the place of a digit.
pub const DIGIT: u8 = b'9';
/// In the place of a capital letter.
pub const CAPITAL: u8 = b'X';
/// In the place of a small letter.
pub const SMALL: u8 = b'x';
/// In the place of a byte that is no ASCII: a letter or a part of one, in whatever encoding.
pub const OTHER: u8 = b'*';

/// The bytes with every digit, letter and byte beyond ASCII replaced. Length, control bytes, blanks
/// and punctuation stay, and with them the framing. What stays says how long a word is, and nothing
/// more.
pub fn mask(bytes: &[u8]) -> Vec<u8> {
    match utf16(bytes) {
        Some(is_big_endian) => mask_utf16(bytes, is_big_endian),
        None => bytes.iter().map(|&byte| masked(byte)).collect(),
    }
}

fn masked(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => DIGIT,
        b'A'..=b'Z' => CAPITAL,
        b'a'..=b'z' => SMALL,
        0x80.. => OTHER,
        _ => byte,
    }
}

/// Whether the text is of two bytes for each character, by its first one. Its letters would pass for
/// control bytes and punctuation otherwise.
fn utf16(bytes: &[u8]) -> Option<bool> {
    match bytes {
        [0xFE, 0xFF, ..] => Some(true),
        [0xFF, 0xFE, ..] => Some(false),
        [0, first, 0, second, ..] if *first != 0 && *second != 0 => Some(true),
        [first, 0, second, 0, ..] if *first != 0 && *second != 0 => Some(false),
        _ => None,
    }
}

fn mask_utf16(bytes: &[u8], is_big_endian: bool) -> Vec<u8> {
    let (high, low) = if is_big_endian { (0, 1) } else { (1, 0) };
    let mut all = bytes.to_vec();
    for unit in all.chunks_mut(2) {
        match unit {
            [0xFE, 0xFF] | [0xFF, 0xFE] => {}
            [_, _] if unit[high] == 0 => unit[low] = masked(unit[low]),
            _ => unit.fill(OTHER),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_stays_and_what_is_said_does_not() {
        let sent = b"\x01DRM\x02ID0012345\x17OR- 4.25\x17J\xc3\xb6rg O'Neil\x17\x04A0F3\r";
        let shown = mask(sent);
        assert_eq!(shown, b"\x01XXX\x02XX9999999\x17XX- 9.99\x17X**xx X'Xxxx\x17\x04X9X9\r");
    }

    #[test]
    fn letters_of_two_bytes_are_no_punctuation() {
        // Cyrillic: each low byte alone would stay.
        let text = "\u{418}\u{432}\u{430}\u{43d} 4.25";
        for big in [false, true] {
            let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            let mut sent = bytes(0xFEFF).to_vec();
            sent.extend(text.encode_utf16().flat_map(bytes));
            let mut expected = bytes(0xFEFF).to_vec();
            expected.extend(b"********");
            expected.extend(" 9.99".encode_utf16().flat_map(bytes));
            assert_eq!(mask(&sent), expected, "{big}");
        }
        let plain: Vec<u8> = "Doe 7".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let expected: Vec<u8> = "Xxx 9".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(mask(&plain), expected, "without a mark at its beginning");
    }

    #[test]
    fn nothing_of_any_byte_is_kept_but_framing() {
        let all: Vec<u8> = (0..=255).collect();
        let shown = mask(&all);
        assert_eq!(shown.len(), all.len());
        for (sent, shown) in all.iter().zip(&shown) {
            let is_said = sent.is_ascii_alphanumeric() || *sent >= 0x80;
            assert_eq!(is_said, [DIGIT, CAPITAL, SMALL, OTHER].contains(shown) && *sent != OTHER);
            assert!(is_said || shown == sent);
        }
        assert_eq!(mask(&shown), shown.iter().map(|&it| masked(it)).collect::<Vec<_>>());
    }
}
