//! Text in the character set that an object names (PS3.3 C.12.1.1.2).

use encoding_rs::{
    BIG5, EUC_KR, Encoding, GB18030, ISO_2022_JP, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5,
    ISO_8859_6, ISO_8859_7, ISO_8859_8, ISO_8859_15, SHIFT_JIS, UTF_8, WINDOWS_874, WINDOWS_1252,
    WINDOWS_1254,
};

/// How the texts of an object are encoded.
#[derive(Debug, Clone, Copy, Default)]
pub enum Charset {
    #[default]
    Ascii,
    Known(&'static Encoding),
    /// Named, but not one that we know: plain ASCII in it is still read.
    Unknown,
}

impl Charset {
    /// The set of Specific Character Set (0008,0005), whose values a backslash parts.
    pub fn named(text: &str) -> Self {
        let mut terms = text.split('\\').map(str::trim).filter(|term| !term.is_empty());
        let terms: Vec<&str> = terms.by_ref().collect();
        let Some(last) = terms.last() else { return Charset::Ascii };
        let encoding = match *last {
            "ISO_IR 6" | "ISO 2022 IR 6" => return Charset::Ascii,
            "ISO_IR 192" => UTF_8,
            "GB18030" | "GBK" => GB18030,
            "ISO_IR 100" | "ISO 2022 IR 100" => WINDOWS_1252,
            "ISO_IR 101" | "ISO 2022 IR 101" => ISO_8859_2,
            "ISO_IR 109" | "ISO 2022 IR 109" => ISO_8859_3,
            "ISO_IR 110" | "ISO 2022 IR 110" => ISO_8859_4,
            "ISO_IR 144" | "ISO 2022 IR 144" => ISO_8859_5,
            "ISO_IR 127" | "ISO 2022 IR 127" => ISO_8859_6,
            "ISO_IR 126" | "ISO 2022 IR 126" => ISO_8859_7,
            "ISO_IR 138" | "ISO 2022 IR 138" => ISO_8859_8,
            "ISO_IR 148" | "ISO 2022 IR 148" => WINDOWS_1254,
            "ISO_IR 203" | "ISO 2022 IR 203" => ISO_8859_15,
            "ISO_IR 166" | "ISO 2022 IR 166" => WINDOWS_874,
            "ISO_IR 13" | "ISO 2022 IR 13" => SHIFT_JIS,
            "ISO 2022 IR 87" | "ISO 2022 IR 159" => ISO_2022_JP,
            "ISO 2022 IR 149" => EUC_KR,
            "ISO_IR 950" => BIG5,
            _ => return Charset::Unknown,
        };
        Charset::Known(encoding)
    }

    /// The text of these bytes; none if they are not of this set.
    pub fn text(self, bytes: &[u8]) -> Option<String> {
        match self {
            _ if bytes.is_ascii() && !bytes.contains(&0x1B) => {
                Some(bytes.iter().map(|byte| char::from(*byte)).collect())
            }
            // Many instruments name no set and send UTF-8, or name Latin-1 and send UTF-8.
            Charset::Ascii | Charset::Unknown => std::str::from_utf8(bytes).ok().map(Into::into),
            Charset::Known(encoding) => {
                let utf8 = std::str::from_utf8(bytes).ok().filter(|_| encoding == WINDOWS_1252);
                utf8.map(Into::into).or_else(|| {
                    let (text, had_errors) = encoding.decode_without_bom_handling(bytes);
                    (!had_errors).then(|| text.into_owned())
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_in_the_set_that_is_named() {
        for (name, bytes, text) in [
            ("", b"Plain".as_slice(), Some("Plain")),
            ("ISO_IR 100", b"M\xFCller", Some("Müller")),
            ("ISO_IR 100", "Müller".as_bytes(), Some("Müller")),
            ("ISO_IR 192", "眼科".as_bytes(), Some("眼科")),
            ("ISO_IR 192", b"M\xFCller", None),
            ("ISO_IR 13", b"\xD4\xCF\xC0\xDE", Some("ﾔﾏﾀﾞ")),
            ("\\ISO 2022 IR 87", b"\x1B$B;3ED\x1B(B", Some("山田")),
            ("ISO_IR 999", b"M\xFCller", None),
        ] {
            assert_eq!(Charset::named(name).text(bytes).as_deref(), text, "{name}");
        }
    }
}
