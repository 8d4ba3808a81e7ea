//! Typed values out of an object's tree. What was not asked for is known at the end.

use super::{
    charset::Charset,
    part10::{self, Element, Item, Object, Value, in_deflated, name, standard_vr},
};
use crate::{DecodeError, ErrorCode, format::biometer::Sent};
use chiasm_proto::{Flag, FlagCode, Hundredths, UnknownRecord};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use std::cell::RefCell;

/// A number as sent.
pub type Num = Sent;

/// Most records of unknown kind that one reading keeps as text.
pub const UNKNOWN_RECORDS_MAX: usize = 32;
/// Most characters of one of them.
pub const UNKNOWN_TEXT_LEN_MAX: usize = 200;
/// Most characters of a text that is read.
pub const TEXT_LEN_MAX: usize = 256;
/// Largest magnitude that is taken for a measured value.
const NUMBER_MAX: f64 = 100_000.0;
/// What is smaller and not zero is no measured value, but a damaged one.
const NUMBER_MIN: f64 = 1e-9;
/// The groups in which measurements stand: what is not read there is told.
const MEASURED_GROUPS: [u16; 3] = [0x0022, 0x0024, 0x0046];

/// A coded concept: what it means, and in whose scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    pub value: String,
    pub scheme: String,
    pub meaning: String,
}

impl Code {
    pub fn is(&self, scheme: &str, value: &str) -> bool {
        self.scheme == scheme && self.value == value
    }
}

/// An object that is being read.
pub struct Tree<'o> {
    object: &'o Object<'o>,
    charset: Charset,
    flags: RefCell<Vec<Flag>>,
}

impl<'o> Tree<'o> {
    pub fn new(object: &'o Object<'o>) -> Result<Self, DecodeError> {
        let mut tree = Self { object, charset: Charset::Ascii, flags: RefCell::default() };
        let sets = tree.root().texts(tags::SPECIFIC_CHARACTER_SET)?;
        tree.charset = Charset::named(&sets.join("\\"));
        Ok(tree)
    }

    pub fn root(&self) -> Node<'_> {
        Node { tree: self, item: &self.object.root }
    }

    pub fn flag(&self, code: FlagCode, detail: impl Into<String>) {
        self.flags.borrow_mut().push(Flag { code, detail: detail.into() });
    }

    pub fn into_flags(self) -> Vec<Flag> {
        self.flags.into_inner()
    }

    /// What nobody asked for, as text.
    pub fn unknown_records(&self) -> Vec<UnknownRecord> {
        let mut found = vec![];
        self.unread(&self.object.root, &mut found);
        let more = found.len().saturating_sub(UNKNOWN_RECORDS_MAX);
        found.truncate(UNKNOWN_RECORDS_MAX);
        if more > 0 {
            self.flag(FlagCode::UnknownRecord, format!("{more} more elements are not read"));
        }
        found
    }

    fn unread(&self, item: &Item, into: &mut Vec<UnknownRecord>) {
        let is_root = item.path.is_empty();
        for element in &item.elements {
            match &element.value {
                Value::Items(items) if element.is_read.get() => {
                    items.iter().for_each(|item| self.unread(item, into));
                }
                _ if element.is_read.get() => {}
                _ if is_private(item, element) => {}
                _ if is_root && !is_told(element.tag) => {}
                _ => {
                    let offset = self.object.deflated_at.unwrap_or(element.offset);
                    into.push(UnknownRecord { offset, text: self.in_words(item, element) });
                }
            }
        }
    }

    fn in_words(&self, item: &Item, element: &Element) -> String {
        let value = match &element.value {
            Value::Items(items) => format!("{} items", items.len()),
            Value::Bytes(range) => {
                let bytes = &self.object.bytes[range.clone()];
                match element.vr {
                    VR::FD | VR::FL => decimals(element.vr, bytes).join("\\"),
                    vr if is_text(vr) => self.charset.text(bytes).unwrap_or_default(),
                    _ => format!("{} bytes", bytes.len()),
                }
            }
        };
        let text = format!("{}{}: {}", item.path, name(element.tag), value.trim());
        text.chars().filter(|it| !it.is_control()).take(UNKNOWN_TEXT_LEN_MAX).collect()
    }
}

/// At the top most elements are about patient, visit and equipment, and not told if the standard
/// knows them.
fn is_told(tag: Tag) -> bool {
    MEASURED_GROUPS.contains(&tag.group()) || standard_vr(tag).is_none()
}

/// A maker's own element, properly reserved by its creator's name.
fn is_private(item: &Item, element: &Element) -> bool {
    let (group, number) = (element.tag.group(), element.tag.element());
    if group.is_multiple_of(2) {
        return false;
    }
    if (0x0010..0x0100).contains(&number) {
        return matches!(element.vr, VR::LO | VR::UN);
    }
    let creator = Tag(group, number >> 8);
    number >= 0x1000 && item.elements.iter().any(|other| other.tag == creator)
}

fn is_text(vr: VR) -> bool {
    use VR::{AE, AS, CS, DA, DS, DT, IS, LO, LT, PN, SH, ST, TM, UC, UI, UR, UT};
    matches!(vr, AE | AS | CS | DA | DS | DT | IS | LO | LT | PN | SH | ST | TM | UC | UI | UR | UT)
}

/// The shortest decimal text that names the same number. A double that holds no more than a single
/// is written as that single: 7.78, not 7.7800002098.
fn decimals(vr: VR, bytes: &[u8]) -> Vec<String> {
    let single = |number: f32| format!("{number}");
    let double = |number: f64| {
        let narrow = number as f32;
        if f64::from(narrow) == number { single(narrow) } else { format!("{number}") }
    };
    match vr {
        VR::FL => bytes.as_chunks().0.iter().map(|it| single(f32::from_le_bytes(*it))).collect(),
        _ => bytes.as_chunks().0.iter().map(|it| double(f64::from_le_bytes(*it))).collect(),
    }
}

/// One data set: the root's, or that of an item.
#[derive(Clone, Copy)]
pub struct Node<'t> {
    tree: &'t Tree<'t>,
    item: &'t Item,
}

impl<'t> Node<'t> {
    pub fn tree(&self) -> &'t Tree<'t> {
        self.tree
    }

    fn find(&self, tag: Tag) -> Option<&'t Element> {
        let at = self.item.elements.binary_search_by_key(&tag, |element| element.tag).ok()?;
        Some(&self.item.elements[at])
    }

    /// An error about this element, whether it is there or not.
    pub fn refuse(&self, tag: Tag, code: ErrorCode, what: impl Into<String>) -> DecodeError {
        let offset = self.find(tag).map_or(self.item.offset, |element| element.offset);
        let field = format!("{}{}", self.item.path, name(tag));
        let error = DecodeError::new(code, offset, what).in_field(field);
        in_deflated(error, self.tree.object.deflated_at)
    }

    pub fn malformed(&self, tag: Tag, what: impl Into<String>) -> DecodeError {
        self.refuse(tag, ErrorCode::Malformed, what)
    }

    /// What has to be there.
    pub fn need<T>(&self, tag: Tag, value: Option<T>) -> Result<T, DecodeError> {
        value.ok_or_else(|| self.malformed(tag, "has to be there and is not"))
    }

    pub fn has(&self, tag: Tag) -> bool {
        self.find(tag).is_some()
    }

    /// The bytes of a value; none if it is absent or empty. Its representation has to be the
    /// standard's.
    fn bytes(&self, tag: Tag) -> Result<Option<(VR, &'t [u8])>, DecodeError> {
        let Some(element) = self.find(tag) else { return Ok(None) };
        element.is_read.set(true);
        let expected = standard_vr(tag).unwrap_or(VR::UN);
        let Value::Bytes(range) = &element.value else {
            return Err(self.malformed(tag, "a sequence where a value has to be"));
        };
        if element.vr != expected {
            let what = format!("sent as {}, has to be {expected}", element.vr);
            return Err(self.malformed(tag, what));
        }
        let bytes = &self.tree.object.bytes[range.clone()];
        Ok((!bytes.is_empty()).then_some((element.vr, bytes)))
    }

    /// All values of a text.
    pub fn texts(&self, tag: Tag) -> Result<Vec<String>, DecodeError> {
        let Some((vr, bytes)) = self.bytes(tag)? else { return Ok(vec![]) };
        let charset = match vr {
            VR::LO | VR::SH | VR::PN | VR::LT | VR::ST | VR::UT | VR::UC => self.tree.charset,
            _ => Charset::Ascii,
        };
        let Some(text) = charset.text(bytes) else {
            let what = "not in the character set that the object names";
            return Err(self.refuse(tag, ErrorCode::Encoding, what));
        };
        let each = |text: &str| -> String {
            let text = text.trim_matches([' ', '\0']);
            text.chars().filter(|it| !it.is_control()).take(TEXT_LEN_MAX).collect()
        };
        Ok(text.split('\\').map(each).collect())
    }

    /// A text of one value; none if it is absent or blank.
    pub fn text(&self, tag: Tag) -> Result<Option<String>, DecodeError> {
        let texts = self.texts(tag)?;
        match <[String; 1]>::try_from(texts) {
            Ok([text]) => Ok(Some(text).filter(|text| !text.is_empty())),
            Err(texts) if texts.is_empty() => Ok(None),
            Err(_) => Err(self.malformed(tag, "more than one value")),
        }
    }

    /// One of the words that the standard allows.
    pub fn word(
        &self,
        tag: Tag,
        allowed: &[&'static str],
    ) -> Result<Option<&'static str>, DecodeError> {
        let Some(text) = self.text(tag)? else { return Ok(None) };
        match allowed.iter().find(|word| **word == text) {
            Some(word) => Ok(Some(word)),
            None => Err(self.malformed(tag, format!("none of {}", allowed.join(", ")))),
        }
    }

    /// A floating point number of one value.
    pub fn number(&self, tag: Tag) -> Result<Option<Num>, DecodeError> {
        let Some((vr, bytes)) = self.bytes(tag)? else { return Ok(None) };
        let number = match vr {
            VR::FD if bytes.len() == 8 => f64::from_le_bytes(bytes.try_into().unwrap_or_default()),
            VR::FL if bytes.len() == 4 => {
                f64::from(f32::from_le_bytes(bytes.try_into().unwrap_or_default()))
            }
            _ => return Err(self.malformed(tag, "more than one value, or none that is a number")),
        };
        if !number.is_finite() || number.abs() > NUMBER_MAX {
            return Err(self.malformed(tag, "not a number that can have been measured"));
        }
        if number != 0.0 && number.abs() < NUMBER_MIN {
            return Err(self.malformed(tag, "not zero, but smaller than anything measured"));
        }
        let text = decimals(vr, bytes).remove(0);
        let text = if text == "-0" { "0".to_owned() } else { text };
        let rounded = format!("{number:.6}");
        // What a calculation left behind the sixth decimal was never measured.
        let is_noise = rounded.parse::<f64>().is_ok_and(|it| (it - number).abs() < NUMBER_MIN);
        let value = text.parse::<Hundredths>().ok();
        let value = value.or_else(|| rounded.parse().ok().filter(|_| is_noise));
        Ok(Some(Num { text, value }))
    }

    /// A number that has to be there.
    pub fn needed(&self, tag: Tag) -> Result<Num, DecodeError> {
        self.need(tag, self.number(tag)?)
    }

    /// Small whole numbers, of as many values as there are.
    pub fn counts(&self, tag: Tag) -> Result<Vec<i32>, DecodeError> {
        let Some((vr, bytes)) = self.bytes(tag)? else { return Ok(vec![]) };
        let pairs = bytes.as_chunks().0.iter();
        Ok(match vr {
            VR::SS => pairs.map(|it| i16::from_le_bytes(*it).into()).collect(),
            _ => pairs.map(|it| u16::from_le_bytes(*it).into()).collect(),
        })
    }

    /// The items of a sequence.
    pub fn items(&self, tag: Tag) -> Result<Vec<Node<'t>>, DecodeError> {
        let Some(element) = self.find(tag) else { return Ok(vec![]) };
        element.is_read.set(true);
        let tree = self.tree;
        match &element.value {
            Value::Items(items) => Ok(items.iter().map(|item| Node { tree, item }).collect()),
            Value::Bytes(range) if range.is_empty() => Ok(vec![]),
            Value::Bytes(_) => Err(self.malformed(tag, "a value where a sequence has to be")),
        }
    }

    /// The only item of a sequence, if there is one.
    pub fn one(&self, tag: Tag) -> Result<Option<Node<'t>>, DecodeError> {
        match self.items(tag)?[..] {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            _ => Err(self.malformed(tag, "more than one item")),
        }
    }

    /// A sequence of concepts; what belongs to them beyond code and meaning is not wanted.
    pub fn codes(&self, tag: Tag) -> Result<Vec<Code>, DecodeError> {
        let mut codes = vec![];
        for item in self.items(tag)? {
            let value = match item.text(tags::CODE_VALUE)? {
                None => item.text(tags::LONG_CODE_VALUE)?,
                value => value,
            };
            codes.push(Code {
                value: item.need(tags::CODE_VALUE, value)?,
                scheme: item.text(tags::CODING_SCHEME_DESIGNATOR)?.unwrap_or_default(),
                meaning: item.text(tags::CODE_MEANING)?.unwrap_or_default(),
            });
            item.ignore_all();
        }
        Ok(codes)
    }

    /// The first of them.
    pub fn code(&self, tag: Tag) -> Result<Option<Code>, DecodeError> {
        Ok(self.codes(tag)?.into_iter().next())
    }

    /// What is not wanted, on purpose.
    pub fn ignore(&self, tags: &[Tag]) {
        for tag in tags {
            self.find(*tag).inspect(|element| ignore(element));
        }
    }

    /// Nothing more of this data set is wanted.
    pub fn ignore_all(&self) {
        self.item.elements.iter().for_each(ignore);
    }

    /// Nothing more that the standard knows is wanted.
    pub fn ignore_known(&self) {
        let known = |element: &&Element| standard_vr(element.tag).is_some();
        self.item.elements.iter().filter(known).for_each(ignore);
    }
}

fn ignore(element: &Element) {
    if element.is_read.replace(true) {
        return; // what was read tells of its own rest
    }
    if let Value::Items(items) = &element.value {
        items.iter().flat_map(|item| &item.elements).for_each(ignore);
    }
}

/// Reads an object of one of our classes; others are refused.
pub fn wanted(class_uid: &str) -> Result<(), DecodeError> {
    match super::class(class_uid) {
        Some(_) => Ok(()),
        None => {
            let what = format!("objects of class {class_uid} hold no measurements that are read");
            Err(DecodeError::new(ErrorCode::WrongKind, 0, what)
                .in_field(part10::name(tags::MEDIA_STORAGE_SOP_CLASS_UID)))
        }
    }
}
