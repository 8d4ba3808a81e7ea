//! A whole DICOM file as a tree of elements, with the position of each.
//!
//! Strict on purpose: a file whose lengths, order of tags or value representations do not fit is
//! damaged, and a damaged object gives no number. Implicit and Explicit VR Little Endian, and the
//! latter deflated, are read; pixel data in fragments are none of a measurement's business.

use crate::{DecodeError, ErrorCode};
use dicom_core::{Tag, VR, dictionary::DataDictionary, dictionary::DataDictionaryEntry};
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};
use flate2::read::DeflateDecoder;
use std::{borrow::Cow, cell::Cell, io::Read, ops::Range};

/// Longest file, and longest data set once it is inflated, in bytes.
pub const LEN_MAX: usize = crate::registry::FILE_PENDING_LEN_MAX;
/// Most elements of an object, in all its items together. A visual field has some thousands.
pub const ELEMENTS_MAX: usize = 40_000;
/// Most items of an object.
pub const ITEMS_MAX: usize = 20_000;
/// How deep items may stand within items. Reports nest deepest, at about eight.
pub const DEPTH_MAX: usize = 16;

const PREAMBLE_LEN: usize = 128;
const MAGIC: &[u8] = b"DICM";
const UNDEFINED: u32 = u32::MAX;
const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);

/// A file: what its head says, and the tree of its data set.
pub struct Object<'a> {
    pub class_uid: String,
    /// The data set's bytes; those of the file unless they were deflated.
    pub bytes: Cow<'a, [u8]>,
    /// Where the deflated data set begins in the file: positions within it cannot be told.
    pub deflated_at: Option<usize>,
    pub root: Item,
}

/// A data set: the root's, or that of an item of a sequence.
#[derive(Debug)]
pub struct Item {
    pub offset: usize,
    /// `(0046,0050)[1]/`; empty for the root.
    pub path: String,
    pub elements: Vec<Element>,
}

#[derive(Debug)]
pub struct Element {
    pub tag: Tag,
    pub vr: VR,
    pub offset: usize,
    pub value: Value,
    pub is_read: Cell<bool>,
}

#[derive(Debug)]
pub enum Value {
    Bytes(Range<usize>),
    Items(Vec<Item>),
}

/// Whether these bytes begin a DICOM file.
pub fn is_dicom(bytes: &[u8]) -> bool {
    bytes.get(PREAMBLE_LEN..PREAMBLE_LEN + MAGIC.len()) == Some(MAGIC)
}

/// `(0046,0146) SpherePower`
pub fn name(tag: Tag) -> String {
    let number = format!("({:04X},{:04X})", tag.group(), tag.element());
    match StandardDataDictionary.by_tag(tag) {
        Some(entry) => format!("{number} {}", entry.alias()),
        None => number,
    }
}

/// The value representation that the standard's dictionary gives a tag.
pub fn standard_vr(tag: Tag) -> Option<VR> {
    StandardDataDictionary.by_tag(tag).map(|entry| entry.vr().relaxed())
}

/// Reads a file. `is_wanted` is asked for the class of the object before its data set is looked at;
/// its error refuses the file.
pub fn read<'a>(
    file: &'a [u8],
    is_wanted: impl FnOnce(&str) -> Result<(), DecodeError>,
) -> Result<Object<'a>, DecodeError> {
    if !is_dicom(file) {
        let what = "not a DICOM file: no DICM behind a preamble of 128 bytes";
        return Err(DecodeError::new(ErrorCode::WrongKind, 0, what));
    }
    let begin = PREAMBLE_LEN + MAGIC.len();
    let (head, data_at) = head(file, begin)?;
    let text = |tag| head_text(&head, file, tag);
    let class_uid = text(tags::MEDIA_STORAGE_SOP_CLASS_UID)?;
    is_wanted(&class_uid)?;
    let syntax = text(tags::TRANSFER_SYNTAX_UID)?;
    let (bytes, explicit, deflated_at) = match syntax.as_str() {
        uids::EXPLICIT_VR_LITTLE_ENDIAN => (Cow::Borrowed(file), true, None),
        uids::IMPLICIT_VR_LITTLE_ENDIAN => (Cow::Borrowed(file), false, None),
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN => {
            (Cow::Owned(inflate(file, data_at)?), true, Some(data_at))
        }
        _ => {
            let what = format!("transfer syntax {syntax} is not read for measurements");
            return Err(DecodeError::new(ErrorCode::WrongKind, begin, what));
        }
    };
    let at = if deflated_at.is_some() { 0 } else { data_at };
    let parsed = Parser::new(&bytes, at, bytes.len()).data_set(String::new(), explicit, 0);
    let root = parsed.map_err(|error| in_deflated(error, deflated_at))?;
    Ok(Object { class_uid, bytes, deflated_at, root })
}

/// A position within what was deflated is told in words; the event's own is the deflated part's.
pub fn in_deflated(error: DecodeError, deflated_at: Option<usize>) -> DecodeError {
    let Some(at) = deflated_at else { return error };
    let message = format!("{} (byte {} of the inflated data set)", error.message, error.offset);
    DecodeError { offset: at, message, ..error }
}

/// The file meta information, always explicit, and where it ends.
fn head(file: &[u8], begin: usize) -> Result<(Item, usize), DecodeError> {
    let mut parser = Parser::new(file, begin, file.len());
    let first = parser.element("", true, 0)?;
    let length = match (&first.value, first.tag) {
        (Value::Bytes(range), tags::FILE_META_INFORMATION_GROUP_LENGTH) if range.len() == 4 => {
            u32_at(file, range.start) as usize
        }
        _ => {
            let what = "the head does not begin with its length";
            return Err(DecodeError::new(ErrorCode::Malformed, begin, what));
        }
    };
    let at = parser.at;
    let end = at.checked_add(length).filter(|end| *end <= file.len());
    let Some(end) = end else {
        let what = "the head is longer than the file";
        return Err(DecodeError::new(ErrorCode::Incomplete, begin, what));
    };
    let head = Parser::new(file, at, end).data_set(String::new(), true, 0)?;
    match head.elements.iter().find(|element| element.tag.group() != 2) {
        Some(element) => {
            let what = "an element of the data set stands in the head";
            Err(DecodeError::new(ErrorCode::Malformed, element.offset, what))
        }
        None => Ok((head, end)),
    }
}

fn head_text(head: &Item, file: &[u8], tag: Tag) -> Result<String, DecodeError> {
    let found = head.elements.iter().find(|element| element.tag == tag);
    let bytes = found.and_then(|element| match &element.value {
        Value::Bytes(range) if element.vr == VR::UI => file.get(range.clone()),
        _ => None,
    });
    let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
    let text = text.map(|text| text.trim_end_matches(['\0', ' ']).to_owned());
    text.filter(|text| !text.is_empty()).ok_or_else(|| {
        DecodeError::new(ErrorCode::Malformed, head.offset, "missing in the head")
            .in_field(name(tag))
    })
}

fn inflate(file: &[u8], at: usize) -> Result<Vec<u8>, DecodeError> {
    let mut inflated = Vec::new();
    let limit = LEN_MAX as u64 + 1;
    let read = DeflateDecoder::new(&file[at..]).take(limit).read_to_end(&mut inflated);
    if let Err(error) = read {
        let what = format!("the data set cannot be inflated: {error}");
        return Err(DecodeError::new(ErrorCode::Malformed, at, what));
    }
    if inflated.len() > LEN_MAX {
        let what = format!("the data set inflates to more than {LEN_MAX} bytes");
        return Err(DecodeError::new(ErrorCode::Hostile, at, what));
    }
    Ok(inflated)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Where in the bytes we are, and how much there may still be.
struct Parser<'b> {
    bytes: &'b [u8],
    at: usize,
    end: usize,
    elements: usize,
    items: usize,
}

impl<'b> Parser<'b> {
    fn new(bytes: &'b [u8], at: usize, end: usize) -> Self {
        Self { bytes, at, end, elements: 0, items: 0 }
    }

    fn take(&mut self, len: usize, what: &str) -> Result<&'b [u8], DecodeError> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.end);
        let Some(end) = end else {
            let what = format!("{what} of {len} bytes reaches beyond what holds it");
            return Err(DecodeError::new(ErrorCode::Incomplete, self.at, what));
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn tag(&mut self) -> Result<Tag, DecodeError> {
        let bytes = self.take(4, "a tag")?;
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        Ok(Tag(half(0), half(2)))
    }

    fn long(&mut self) -> Result<u32, DecodeError> {
        let bytes = self.take(4, "a length")?;
        Ok(u32_at(bytes, 0))
    }

    /// Elements up to the end.
    fn data_set(mut self, path: String, explicit: bool, depth: usize) -> Result<Item, DecodeError> {
        let mut item = Item { offset: self.at, path, elements: vec![] };
        while self.at < self.end {
            self.next_into(&mut item, explicit, depth)?;
        }
        Ok(item)
    }

    /// One more element, whose tag has to be above the one before.
    fn next_into(
        &mut self,
        item: &mut Item,
        explicit: bool,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let element = self.element(&item.path, explicit, depth)?;
        if item.elements.last().is_some_and(|last| last.tag >= element.tag) {
            let what = "stands behind a tag that does not come before it";
            return Err(DecodeError::new(ErrorCode::Malformed, element.offset, what)
                .in_field(format!("{}{}", item.path, name(element.tag))));
        }
        item.elements.push(element);
        Ok(())
    }

    fn element(
        &mut self,
        path: &str,
        explicit: bool,
        depth: usize,
    ) -> Result<Element, DecodeError> {
        self.elements += 1;
        let offset = self.at;
        if self.elements > ELEMENTS_MAX {
            let what = format!("more than {ELEMENTS_MAX} elements");
            return Err(DecodeError::new(ErrorCode::Hostile, offset, what));
        }
        let tag = self.tag()?;
        let here = |error: DecodeError| match error.field {
            Some(_) => error,
            None => error.in_field(format!("{path}{}", name(tag))),
        };
        let malformed = |what: &str| here(DecodeError::new(ErrorCode::Malformed, offset, what));
        if tag.group() == 0xFFFE {
            return Err(malformed("the end of an item that was not begun"));
        }
        let (vr, length) = self.vr_and_length(tag, explicit).map_err(here)?;
        let is_sequence = vr == VR::SQ || (vr == VR::UN && length == UNDEFINED);
        let value = if is_sequence {
            // What a node did not know is handed on as UN, and its inside is implicit (PS3.5 6.2.2).
            let explicit = explicit && vr == VR::SQ;
            Value::Items(self.sequence(
                &format!("{path}{}", number(tag)),
                length,
                explicit,
                depth,
            )?)
        } else if length == UNDEFINED {
            return Err(malformed("a value without a length"));
        } else {
            let begin = self.at;
            self.take(length as usize, "a value").map_err(here)?;
            check(vr, &self.bytes[begin..self.at]).map_err(malformed)?;
            Value::Bytes(begin..self.at)
        };
        Ok(Element { tag, vr, offset, value, is_read: Cell::new(false) })
    }

    fn vr_and_length(&mut self, tag: Tag, explicit: bool) -> Result<(VR, u32), DecodeError> {
        if !explicit {
            return Ok((standard_vr(tag).unwrap_or(VR::UN), self.long()?));
        }
        let offset = self.at;
        let code = self.take(2, "a value representation")?;
        let Some(vr) = VR::from_binary([code[0], code[1]]) else {
            let what = "not a value representation";
            return Err(DecodeError::new(ErrorCode::Malformed, offset, what));
        };
        if is_long(vr) {
            let reserved = self.take(2, "what is reserved")?;
            if reserved != [0, 0] {
                let what = "bytes that are reserved are not zero";
                return Err(DecodeError::new(ErrorCode::Malformed, offset, what));
            }
            return Ok((vr, self.long()?));
        }
        let length = self.take(2, "a length")?;
        Ok((vr, u32::from(u16::from_le_bytes([length[0], length[1]]))))
    }

    /// The items of a sequence, whose length may be given or be told by a mark.
    fn sequence(
        &mut self,
        path: &str,
        length: u32,
        explicit: bool,
        depth: usize,
    ) -> Result<Vec<Item>, DecodeError> {
        let refuse = |code, at, what: &str| Err(DecodeError::new(code, at, what).in_field(path));
        if depth >= DEPTH_MAX {
            return refuse(ErrorCode::Hostile, self.at, "items stand too deep within items");
        }
        let outer_end = self.end;
        if length != UNDEFINED {
            let begin = self.at;
            self.take(length as usize, "a sequence").map_err(|error| error.in_field(path))?;
            (self.at, self.end) = (begin, begin + length as usize);
        }
        let mut items = vec![];
        while self.at < self.end || length == UNDEFINED {
            let offset = self.at;
            let (tag, len) = (self.tag()?, self.long()?);
            match tag {
                SEQUENCE_END if length == UNDEFINED && len == 0 => break,
                ITEM => {
                    self.items += 1;
                    if self.items > ITEMS_MAX {
                        return refuse(ErrorCode::Hostile, offset, "too many items");
                    }
                    let path = format!("{path}[{}]/", items.len() + 1);
                    items.push(self.item(path, (offset, len), explicit, depth + 1)?);
                }
                _ => return refuse(ErrorCode::Malformed, offset, "not an item"),
            }
        }
        self.end = outer_end;
        Ok(items)
    }

    fn item(
        &mut self,
        path: String,
        (offset, length): (usize, u32),
        explicit: bool,
        depth: usize,
    ) -> Result<Item, DecodeError> {
        let mut item = Item { offset, path, elements: vec![] };
        if length != UNDEFINED {
            let outer_end = self.end;
            let begin = self.at;
            self.take(length as usize, "an item").map_err(|error| error.in_field(&item.path))?;
            (self.at, self.end) = (begin, begin + length as usize);
            while self.at < self.end {
                self.next_into(&mut item, explicit, depth)?;
            }
            self.end = outer_end;
            return Ok(item);
        }
        loop {
            let begin = self.at;
            if self.tag()? == ITEM_END {
                if self.long()? != 0 {
                    let what = "the end of an item has a length";
                    return Err(
                        DecodeError::new(ErrorCode::Malformed, begin, what).in_field(item.path)
                    );
                }
                return Ok(item);
            }
            self.at = begin;
            self.next_into(&mut item, explicit, depth)?;
        }
    }
}

fn number(tag: Tag) -> String {
    format!("({:04X},{:04X})", tag.group(), tag.element())
}

/// Whether the length of this representation has four bytes.
fn is_long(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
    matches!(vr, OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV)
}

/// What the representation demands of a value, as far as it shows a shifted or damaged one.
fn check(vr: VR, value: &[u8]) -> Result<(), &'static str> {
    let unit = match vr {
        VR::FD | VR::SV | VR::UV | VR::OD | VR::OV => 8,
        VR::FL | VR::SL | VR::UL | VR::AT | VR::OF | VR::OL => 4,
        VR::SS | VR::US | VR::OW => 2,
        _ => 1,
    };
    if !value.len().is_multiple_of(unit) {
        return Err("a length that is no multiple of the value's size");
    }
    let (each_max, is_text) = match vr {
        VR::AE | VR::CS | VR::SH | VR::DS => (16, true),
        VR::AS => (4, true),
        VR::IS => (12, true),
        VR::DA => (18, true),
        VR::TM | VR::DT => (54, true),
        VR::LO | VR::UI => (64, true),
        VR::PN => (64 * 3 + 2, true),
        _ => (usize::MAX, false),
    };
    if !is_text {
        return Ok(());
    }
    let is_wide = matches!(vr, VR::SH | VR::LO | VR::PN); // characters may be several bytes
    let each_max = if is_wide { each_max * 4 } else { each_max };
    if value.split(|byte| *byte == b'\\').any(|each| each.trim_ascii().len() > each_max) {
        return Err("longer than its value representation allows");
    }
    let text = value.strip_suffix(b"\0").unwrap_or(value);
    match text.iter().any(|byte| *byte < b' ' && *byte != 0x1B) {
        true => Err("control characters in a text"),
        false => Ok(()),
    }
}
