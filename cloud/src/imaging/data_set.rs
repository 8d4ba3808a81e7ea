//! The elements of a data set, as bytes, with readers that take what instruments really write.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::text::{SpecificCharacterSet, TextCodec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A stretch of a file, in bytes. In a deflated file it counts the inflated data set's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub offset: u64,
    pub len: u64,
}

/// What an element holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// As in the file, but numbers always in little endian.
    Bytes {
        vr: VR,
        bytes: Vec<u8>,
    },
    Items(Vec<DataSet>),
    /// Too long to be kept; it lies there in the file.
    Elsewhere(Span),
}

/// A data set, or one item of a sequence, without its pixels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataSet {
    elements: BTreeMap<Tag, Value>,
}

impl DataSet {
    pub fn insert(&mut self, tag: Tag, value: Value) {
        self.elements.insert(tag, value);
    }
    pub fn get(&self, tag: Tag) -> Option<&Value> {
        self.elements.get(&tag)
    }
    pub fn iter(&self) -> impl Iterator<Item = (Tag, &Value)> {
        self.elements.iter().map(|(tag, value)| (*tag, value))
    }

    /// The items of a sequence; none where there is no such sequence.
    pub fn items(&self, tag: Tag) -> &[DataSet] {
        match self.elements.get(&tag) {
            Some(Value::Items(items)) => items,
            _ => &[],
        }
    }
    /// The first item of a sequence.
    pub fn item(&self, tag: Tag) -> Option<&DataSet> {
        self.items(tag).first()
    }
    /// Where a value lies that was too long to be kept.
    pub fn elsewhere(&self, tag: Tag) -> Option<Span> {
        match self.elements.get(&tag) {
            Some(Value::Elsewhere(span)) => Some(*span),
            _ => None,
        }
    }
    pub fn bytes(&self, tag: Tag) -> Option<&[u8]> {
        match self.elements.get(&tag) {
            Some(Value::Bytes { bytes, .. }) => Some(bytes),
            _ => None,
        }
    }

    /// The first of the values in the default character set: codes, identifiers, dates.
    pub fn word(&self, tag: Tag) -> Option<String> {
        self.words(tag).into_iter().next().filter(|word| !word.is_empty())
    }
    /// All values in the default character set.
    pub fn words(&self, tag: Tag) -> Vec<String> {
        let Some(bytes) = self.bytes(tag) else { return Vec::new() };
        String::from_utf8_lossy(bytes).split('\\').map(trimmed).collect()
    }
    /// Text for people, by the character set that `root` names.
    pub fn text(&self, tag: Tag, charset: &Charset) -> Option<String> {
        let text = trimmed(&charset.decode(self.bytes(tag)?));
        (!text.is_empty()).then_some(text)
    }

    /// Numbers, whether written in binary or as text. What is no number is left out.
    pub fn numbers(&self, tag: Tag) -> Vec<f64> {
        let Some(Value::Bytes { vr, bytes }) = self.elements.get(&tag) else { return Vec::new() };
        match vr {
            VR::US => chunks(bytes, |two: [u8; 2]| f64::from(u16::from_le_bytes(two))),
            VR::SS => chunks(bytes, |two: [u8; 2]| f64::from(i16::from_le_bytes(two))),
            VR::UL => chunks(bytes, |four: [u8; 4]| f64::from(u32::from_le_bytes(four))),
            VR::SL => chunks(bytes, |four: [u8; 4]| f64::from(i32::from_le_bytes(four))),
            VR::FL => chunks(bytes, |four: [u8; 4]| f64::from(f32::from_le_bytes(four))),
            VR::FD => chunks(bytes, f64::from_le_bytes),
            VR::DS | VR::IS => self
                .words(tag)
                .iter()
                .filter_map(|word| word.parse().ok())
                .filter(|number: &f64| number.is_finite())
                .collect(),
            _ => Vec::new(),
        }
    }
    pub fn number(&self, tag: Tag) -> Option<f64> {
        self.numbers(tag).first().copied()
    }
    /// A whole number that is not negative.
    pub fn count(&self, tag: Tag) -> Option<u32> {
        let number = self.number(tag)?;
        (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number))
            .then_some(number as u32)
    }
    pub fn small(&self, tag: Tag) -> Option<u16> {
        self.count(tag).and_then(|count| u16::try_from(count).ok())
    }
}

fn chunks<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| number(*chunk)).collect()
}

/// Without the padding that DICOM puts behind, and without what terminals would obey.
fn trimmed(text: &str) -> String {
    let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    text.chars().filter(|c| !c.is_control()).collect()
}

/// The character set of a data set. Reading text never fails: what cannot be read becomes `�`.
#[derive(Debug, Default)]
pub struct Charset(SpecificCharacterSet);

impl Charset {
    /// Of Specific Character Set; the first one that is known.
    pub fn of(root: &DataSet) -> Self {
        let named = root.words(tags::SPECIFIC_CHARACTER_SET);
        // An empty first value means the default repertoire, with extensions after it.
        Charset(
            named
                .iter()
                .rev()
                .find_map(|code| SpecificCharacterSet::from_code(code))
                .unwrap_or_default(),
        )
    }

    /// Instruments write UTF-8 while they name Latin-1, or Latin-1 while they name UTF-8 or nothing.
    /// Latin-1 text that happens to be well-formed UTF-8 does not occur in names.
    fn decode(&self, bytes: &[u8]) -> String {
        let latin_1 = || bytes.iter().map(|byte| char::from(*byte)).collect();
        if self.is_western() {
            return std::str::from_utf8(bytes).map_or_else(|_| latin_1(), str::to_owned);
        }
        self.0.decode(bytes).unwrap_or_else(|_| latin_1())
    }

    fn is_western(&self) -> bool {
        matches!(self.0.name().as_ref(), "ISO_IR 6" | "ISO_IR 100" | "ISO_IR 192")
    }
}
