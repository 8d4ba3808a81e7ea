//! Data sets of messages: query keys, references, procedure steps. Small, read whole. Pure.
//!
//! A parser of our own, because the library's recurses as deep, and allocates as much, as the
//! sender says. Objects are not read here: they pass as bytes.

use dicom_core::{
    Tag, VR,
    dictionary::{DataDictionary, DataDictionaryEntry},
};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use std::collections::BTreeMap;

/// Longest data set of a message that is not an object, in bytes.
pub const DATA_SET_LEN_MAX: usize = 1024 * 1024;
/// Deepest nesting of sequences.
pub const DEPTH_MAX: usize = 8;
/// Most elements in a data set, all depths together.
pub const ELEMENTS_MAX: usize = 100_000;
const UNDEFINED_LEN: u32 = u32::MAX;
const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);

/// Why bytes are no data set. Says a position, never a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {offset} of the data set")]
pub struct DataSetError {
    pub problem: &'static str,
    pub offset: usize,
}

/// The transfer syntaxes in which messages other than objects are exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    ImplicitLittleEndian,
    ExplicitLittleEndian,
}

impl Syntax {
    pub fn from_uid(uid: &str) -> Option<Self> {
        match uid {
            "1.2.840.10008.1.2" => Some(Syntax::ImplicitLittleEndian),
            "1.2.840.10008.1.2.1" => Some(Syntax::ExplicitLittleEndian),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    pub vr: VR,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Bytes(Vec<u8>),
    Items(Vec<DataSet>),
}

/// Elements in the order of their tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataSet {
    elements: BTreeMap<Tag, Element>,
}

impl DataSet {
    pub fn parse(bytes: &[u8], syntax: Syntax) -> Result<Self, DataSetError> {
        let mut reader = Reader { bytes, at: 0, syntax, elements: 0 };
        reader.data_set(Some(bytes.len()), 0)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Tag, &Element)> {
        self.elements.iter().map(|(tag, element)| (*tag, element))
    }

    pub fn get(&self, tag: Tag) -> Option<&Element> {
        self.elements.get(&tag)
    }

    /// The text of an element without padding; empty if it is absent or empty. Decoded by what
    /// `charset` says, see [`decode`].
    pub fn text(&self, tag: Tag, charset: &str) -> String {
        match self.get(tag).map(|element| &element.value) {
            Some(Value::Bytes(bytes)) => decode(bytes, charset),
            _ => String::new(),
        }
    }

    /// The text of an element that is written in ASCII only: identifiers, dates, codes.
    pub fn ascii(&self, tag: Tag) -> String {
        self.text(tag, "")
    }

    pub fn items(&self, tag: Tag) -> &[DataSet] {
        match self.get(tag).map(|element| &element.value) {
            Some(Value::Items(items)) => items,
            _ => &[],
        }
    }

    /// The character sets that the data set declares.
    pub fn charset(&self) -> String {
        self.ascii(tags::SPECIFIC_CHARACTER_SET)
    }

    /// Puts text. The representation is the dictionary's.
    pub fn put(&mut self, tag: Tag, text: &str) {
        let value = Value::Bytes(text.as_bytes().to_vec());
        self.elements.insert(tag, Element { vr: vr_of(tag), value });
    }

    pub fn put_element(&mut self, tag: Tag, element: Element) {
        self.elements.insert(tag, element);
    }

    pub fn put_u16(&mut self, tag: Tag, number: u16) {
        let value = Value::Bytes(number.to_le_bytes().to_vec());
        self.elements.insert(tag, Element { vr: VR::US, value });
    }

    pub fn put_items(&mut self, tag: Tag, items: Vec<DataSet>) {
        self.elements.insert(tag, Element { vr: VR::SQ, value: Value::Items(items) });
    }

    /// Puts an element without a value, as whoever asks for what nobody knows gets it back.
    pub fn put_empty(&mut self, tag: Tag, vr: VR) {
        let value = if vr == VR::SQ { Value::Items(vec![]) } else { Value::Bytes(vec![]) };
        self.elements.insert(tag, Element { vr, value });
    }

    pub fn encode(&self, syntax: Syntax) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (tag, element) in &self.elements {
            let value = match &element.value {
                Value::Bytes(value) => padded(value, element.vr),
                Value::Items(items) => {
                    let mut value = Vec::new();
                    for item in items {
                        let item = item.encode(syntax);
                        put_tag(&mut value, ITEM);
                        value.extend(len_of(&item).to_le_bytes());
                        value.extend(item);
                    }
                    value
                }
            };
            put_tag(&mut bytes, *tag);
            match syntax {
                Syntax::ImplicitLittleEndian => bytes.extend(len_of(&value).to_le_bytes()),
                Syntax::ExplicitLittleEndian if has_long_len(element.vr) => {
                    bytes.extend(element.vr.to_bytes());
                    bytes.extend([0, 0]);
                    bytes.extend(len_of(&value).to_le_bytes());
                }
                Syntax::ExplicitLittleEndian => {
                    bytes.extend(element.vr.to_bytes());
                    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
                    bytes.extend(len.to_le_bytes());
                    bytes.extend(&value[..usize::from(len)]);
                    continue;
                }
            }
            bytes.extend(value);
        }
        bytes
    }
}

/// The dictionary's representation of a tag; `UN` for what it does not know.
pub fn vr_of(tag: Tag) -> VR {
    StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed())
}

/// Text without padding. What is valid UTF-8 is UTF-8, whatever was declared: imagers declare
/// ISO_IR 100 and send UTF-8. Other bytes are of the first character set that was declared, or
/// Latin 1.
pub fn decode(bytes: &[u8], charset: &str) -> String {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding(charset).decode_without_bom_handling(bytes).0.into_owned(),
    };
    text.trim_matches(|sign: char| sign == '\0' || sign.is_ascii_whitespace()).to_owned()
}

fn encoding(charset: &str) -> &'static encoding_rs::Encoding {
    let first = charset.split('\\').map(str::trim).find(|word| !word.is_empty()).unwrap_or("");
    match first.trim_start_matches("ISO_IR ").trim_start_matches("ISO 2022 IR ") {
        "101" => encoding_rs::ISO_8859_2,
        "109" => encoding_rs::ISO_8859_3,
        "110" => encoding_rs::ISO_8859_4,
        "144" => encoding_rs::ISO_8859_5,
        "127" => encoding_rs::ISO_8859_6,
        "126" => encoding_rs::ISO_8859_7,
        "138" => encoding_rs::ISO_8859_8,
        "148" => encoding_rs::WINDOWS_1254,
        "166" => encoding_rs::WINDOWS_874,
        "13" => encoding_rs::SHIFT_JIS,
        "149" => encoding_rs::EUC_KR,
        "GB18030" => encoding_rs::GB18030,
        "GBK" => encoding_rs::GBK,
        _ => encoding_rs::WINDOWS_1252,
    }
}

fn padded(value: &[u8], vr: VR) -> Vec<u8> {
    let mut value = value.to_vec();
    if value.len() % 2 == 1 {
        value.push(if matches!(vr, VR::UI | VR::OB | VR::UN) { 0 } else { b' ' });
    }
    value
}

fn put_tag(bytes: &mut Vec<u8>, tag: Tag) {
    bytes.extend(tag.0.to_le_bytes());
    bytes.extend(tag.1.to_le_bytes());
}

fn len_of(value: &[u8]) -> u32 {
    u32::try_from(value.len()).unwrap_or(u32::MAX)
}

fn has_long_len(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
    matches!(vr, OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    syntax: Syntax,
    elements: usize,
}

impl<'a> Reader<'a> {
    /// Reads to `end`, or to the mark that ends an item of undefined length.
    fn data_set(&mut self, end: Option<usize>, depth: usize) -> Result<DataSet, DataSetError> {
        let mut set = DataSet::default();
        while end.is_none_or(|end| self.at < end) {
            let tag = self.tag()?;
            if tag == ITEM_END && end.is_none() {
                self.u32()?;
                return Ok(set);
            }
            let element = self.element(tag, depth)?;
            if end.is_some_and(|end| self.at > end) {
                return Err(self.fail("an element that is longer than its item"));
            }
            set.elements.insert(tag, element);
        }
        Ok(set)
    }

    fn element(&mut self, tag: Tag, depth: usize) -> Result<Element, DataSetError> {
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(self.fail("too many elements"));
        }
        if tag.0 == ITEM.0 {
            return Err(self.fail("a mark of a sequence outside one"));
        }
        let (vr, len) = self.header(tag)?;
        if vr == VR::SQ || (vr == VR::UN && len == UNDEFINED_LEN) {
            let outer = self.syntax;
            if vr == VR::UN {
                // PS3.5 6.2.2: a sequence of unknown representation is written in implicit VR.
                self.syntax = Syntax::ImplicitLittleEndian;
            }
            let items = self.items(len, depth + 1);
            self.syntax = outer;
            return Ok(Element { vr: VR::SQ, value: Value::Items(items?) });
        }
        if len == UNDEFINED_LEN {
            return Err(self.fail("a value of undefined length"));
        }
        let value = self.take(usize::try_from(len).unwrap_or(usize::MAX))?;
        Ok(Element { vr, value: Value::Bytes(value.to_vec()) })
    }

    fn header(&mut self, tag: Tag) -> Result<(VR, u32), DataSetError> {
        if self.syntax == Syntax::ImplicitLittleEndian {
            return Ok((vr_of(tag), self.u32()?));
        }
        let word = self.take(2)?;
        let Some(vr) = VR::from_binary([word[0], word[1]]) else {
            return Err(self.fail("an unknown value representation"));
        };
        if has_long_len(vr) {
            self.take(2)?;
            return Ok((vr, self.u32()?));
        }
        let len = self.take(2)?;
        Ok((vr, u32::from(u16::from_le_bytes([len[0], len[1]]))))
    }

    fn items(&mut self, len: u32, depth: usize) -> Result<Vec<DataSet>, DataSetError> {
        if depth > DEPTH_MAX {
            return Err(self.fail("sequences nested too deep"));
        }
        let end = self.end(len)?;
        let mut items = Vec::new();
        while end.is_none_or(|end| self.at < end) {
            let tag = self.tag()?;
            let len = self.u32()?;
            match tag {
                SEQUENCE_END if end.is_none() => return Ok(items),
                ITEM => {
                    self.elements += 1;
                    let item_end = self.end(len)?;
                    items.push(self.data_set(item_end, depth)?);
                }
                _ => return Err(self.fail("no item where one must begin")),
            }
        }
        Ok(items)
    }

    fn end(&self, len: u32) -> Result<Option<usize>, DataSetError> {
        if len == UNDEFINED_LEN {
            return Ok(None);
        }
        let end = usize::try_from(len).ok().and_then(|len| self.at.checked_add(len));
        match end.filter(|end| *end <= self.bytes.len()) {
            Some(end) => Ok(Some(end)),
            None => Err(self.fail("a length that exceeds the data set")),
        }
    }

    fn tag(&mut self) -> Result<Tag, DataSetError> {
        let word = self.take(4)?;
        let number = |at: usize| u16::from_le_bytes([word[at], word[at + 1]]);
        Ok(Tag(number(0), number(2)))
    }

    fn u32(&mut self) -> Result<u32, DataSetError> {
        let word = self.take(4)?;
        Ok(u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DataSetError> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else { return Err(self.fail("a length that exceeds the data set")) };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn fail(&self, problem: &'static str) -> DataSetError {
        DataSetError { problem, offset: self.at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> DataSet {
        let mut step = DataSet::default();
        step.put(tags::SCHEDULED_STATION_AE_TITLE, "OCT");
        step.put(tags::MODALITY, "");
        let mut set = DataSet::default();
        set.put(tags::PATIENT_NAME, "Müller^Anna");
        set.put(tags::STUDY_INSTANCE_UID, "1.2.3");
        set.put_u16(tags::FAILURE_REASON, 0x0112);
        set.put_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step, DataSet::default()]);
        set
    }

    #[test]
    fn what_is_encoded_is_parsed() {
        for syntax in [Syntax::ImplicitLittleEndian, Syntax::ExplicitLittleEndian] {
            let bytes = sample().encode(syntax);
            let parsed = DataSet::parse(&bytes, syntax).unwrap();
            assert_eq!(parsed.encode(syntax), bytes);
            assert_eq!(parsed.text(tags::PATIENT_NAME, ""), "Müller^Anna");
            assert_eq!(parsed.ascii(tags::STUDY_INSTANCE_UID), "1.2.3");
            let items = parsed.items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE);
            assert_eq!(items.len(), 2);
            assert_eq!(items[0].ascii(tags::SCHEDULED_STATION_AE_TITLE), "OCT");
        }
    }

    #[test]
    fn every_prefix_and_every_changed_byte_is_read_or_refused() {
        for syntax in [Syntax::ImplicitLittleEndian, Syntax::ExplicitLittleEndian] {
            let bytes = sample().encode(syntax);
            for len in 0..bytes.len() {
                let _ = DataSet::parse(&bytes[..len], syntax);
            }
            for at in 0..bytes.len() {
                for value in [0, 1, 0x7f, 0xfe, 0xff] {
                    let mut changed = bytes.clone();
                    changed[at] = value;
                    let _ = DataSet::parse(&changed, syntax);
                }
            }
        }
    }

    #[test]
    fn nesting_without_end_is_refused_at_its_limit() {
        let mut bytes = Vec::new();
        for _ in 0..10_000 {
            put_tag(&mut bytes, tags::REFERENCED_STUDY_SEQUENCE);
            bytes.extend(UNDEFINED_LEN.to_le_bytes());
            put_tag(&mut bytes, ITEM);
            bytes.extend(UNDEFINED_LEN.to_le_bytes());
        }
        let error = DataSet::parse(&bytes, Syntax::ImplicitLittleEndian).unwrap_err();
        assert_eq!(error.problem, "sequences nested too deep");
    }

    #[test]
    fn a_length_beyond_the_end_allocates_nothing() {
        let mut bytes = Vec::new();
        put_tag(&mut bytes, tags::PATIENT_NAME);
        bytes.extend(0xffff_fff0_u32.to_le_bytes());
        assert!(DataSet::parse(&bytes, Syntax::ImplicitLittleEndian).is_err());
    }

    #[test]
    fn text_is_read_as_declared_or_as_it_obviously_is() {
        assert_eq!(decode(b"M\xfcller ", "ISO_IR 100"), "Müller");
        assert_eq!(decode("Müller\0".as_bytes(), "ISO_IR 100"), "Müller");
        assert_eq!(decode(b"\xbf\xdd", "ISO_IR 144"), "Пн");
    }
}
