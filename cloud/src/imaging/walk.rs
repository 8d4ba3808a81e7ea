//! Walks the elements of a DICOM file up to its pixels.
//!
//! Values that are long are passed over, so that the memory needed does not depend on the file.

use super::data_set::{DataSet, Span, Value};
use dicom_core::{DataDictionary, Tag, VR, dictionary::VirtualVr};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use flate2::read::DeflateDecoder;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};

/// Longest value that is kept, in bytes.
pub const VALUE_BYTES_MAX: u64 = 64 * 1024;
/// Most memory for all that is kept; an element counts [`ELEMENT_BYTES`] and its value.
pub const HEADER_BYTES_MAX: usize = 48 * 1024 * 1024;
/// Most of a deflated data set that is inflated, in bytes.
pub const INFLATED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Sequences inside sequences.
pub const DEPTH_MAX: usize = 16;
/// What an element needs besides its value, in bytes.
const ELEMENT_BYTES: usize = 64;

pub const IMPLICIT_LITTLE: &str = "1.2.840.10008.1.2";
pub const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";
pub const DEFLATED_LITTLE: &str = "1.2.840.10008.1.2.1.99";
pub const EXPLICIT_BIG: &str = "1.2.840.10008.1.2.2";

const UNDEFINED: u32 = u32::MAX;
const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);

/// Why a file cannot be read as DICOM.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    #[error("the file does not begin as a DICOM file does (no DICM after 128 bytes)")]
    NotDicom,
    #[error("the file names no transfer syntax")]
    NoTransferSyntax,
    #[error("the element {tag} at byte {at} is {len} bytes long, but the file ends before")]
    PastEnd { tag: Tag, at: u64, len: u64 },
    #[error("the file ends in the middle of an element, at byte {at}")]
    Truncated { at: u64 },
    #[error("the element {tag} at byte {at} reaches beyond the sequence it stands in")]
    PastSequence { tag: Tag, at: u64 },
    #[error("what stands at byte {at} is no DICOM element ({tag})")]
    Malformed { tag: Tag, at: u64 },
    #[error("sequences are nested deeper than {DEPTH_MAX}, at byte {at}")]
    TooDeep { at: u64 },
    #[error("the header needs more than {HEADER_BYTES_MAX} bytes")]
    TooLong,
    #[error("the deflated data set cannot be inflated: {0}")]
    Inflate(io::Error),
    #[error("cannot read the file: {0}")]
    Read(#[from] io::Error),
}

/// A file's elements up to its pixels.
#[derive(Debug)]
pub struct Walked {
    pub transfer_syntax_uid: String,
    pub meta: DataSet,
    pub data_set: DataSet,
    /// The value of Pixel Data; length 0 with `encapsulated`.
    pub pixels: Option<Pixels>,
}

/// Where the pixels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pixels {
    pub tag: Tag,
    /// First byte of the value, or of the first fragment's item.
    pub offset: u64,
    /// None: encapsulated, in fragments.
    pub len: Option<u64>,
}

/// Reads `reader`, a DICOM file, up to its pixels.
pub fn walk<R: Read + Seek>(reader: R) -> Result<Walked, WalkError> {
    let mut file = Walk::new(reader)?;
    let meta = file.meta()?;
    let transfer_syntax_uid =
        meta.word(tags::TRANSFER_SYNTAX_UID).ok_or(WalkError::NoTransferSyntax)?;
    let (data_set, pixels) = if transfer_syntax_uid == DEFLATED_LITTLE {
        let inflated = inflate(file.source)?;
        Walk::new(Cursor::new(inflated))?.root()?
    } else {
        file.implicit = transfer_syntax_uid == IMPLICIT_LITTLE;
        file.big_endian = transfer_syntax_uid == EXPLICIT_BIG;
        file.root()?
    };
    Ok(Walked { transfer_syntax_uid, meta, data_set, pixels })
}

/// The data set of a deflated file, at most [`INFLATED_BYTES_MAX`] of it.
pub fn inflate(deflated: impl Read) -> Result<Vec<u8>, WalkError> {
    let mut inflated = Vec::new();
    DeflateDecoder::new(deflated)
        .take(INFLATED_BYTES_MAX)
        .read_to_end(&mut inflated)
        .map_err(WalkError::Inflate)?;
    Ok(inflated)
}

/// The data set of a deflated file, from a file's beginning.
pub fn inflate_file<R: Read + Seek>(reader: R) -> Result<Vec<u8>, WalkError> {
    let mut file = Walk::new(reader)?;
    file.meta()?;
    inflate(file.source)
}

struct Walk<R> {
    source: BufReader<R>,
    at: u64,
    end: u64,
    implicit: bool,
    big_endian: bool,
    kept_bytes: usize,
}

/// An element before its value.
struct Head {
    tag: Tag,
    vr: VR,
    len: u32,
    /// Where its tag stands.
    at: u64,
}

impl<R: Read + Seek> Walk<R> {
    fn new(mut reader: R) -> Result<Self, WalkError> {
        let end = reader.seek(SeekFrom::End(0))?;
        reader.seek(SeekFrom::Start(0))?;
        let source = BufReader::with_capacity(32 * 1024, reader);
        Ok(Walk { source, at: 0, end, implicit: false, big_endian: false, kept_bytes: 0 })
    }

    /// Preamble and file meta information, which is always in Explicit VR Little Endian.
    fn meta(&mut self) -> Result<DataSet, WalkError> {
        let mut start = [0; 132];
        if self.end < 132 {
            return Err(WalkError::NotDicom);
        }
        self.fill(&mut start)?;
        if &start[128..] != b"DICM" {
            return Err(WalkError::NotDicom);
        }
        let mut meta = DataSet::default();
        while self.end - self.at >= 8 {
            let at = self.at;
            // What follows is in another syntax, or not even elements.
            let is_over = self.tag()?.group() != 0x0002;
            self.back_to(at)?;
            if is_over {
                break;
            }
            let head = self.head()?;
            let value = self.value(&head, self.end, 0)?;
            meta.insert(head.tag, value);
        }
        Ok(meta)
    }

    fn root(&mut self) -> Result<(DataSet, Option<Pixels>), WalkError> {
        let mut root = DataSet::default();
        while self.at < self.end {
            let head = self.head()?;
            let pixels = [tags::PIXEL_DATA, tags::FLOAT_PIXEL_DATA, tags::DOUBLE_FLOAT_PIXEL_DATA];
            if pixels.contains(&head.tag) {
                let len = (head.len != UNDEFINED).then_some(u64::from(head.len));
                self.has(&head, len.unwrap_or(0), self.end)?;
                return Ok((root, Some(Pixels { tag: head.tag, offset: self.at, len })));
            }
            let value = self.value(&head, self.end, 0)?;
            root.insert(head.tag, value);
        }
        Ok((root, None))
    }

    /// One element's value. `end` is where what it stands in ends.
    fn value(&mut self, head: &Head, end: u64, depth: usize) -> Result<Value, WalkError> {
        if head.tag.group() == 0xFFFE {
            return Err(WalkError::Malformed { tag: head.tag, at: head.at });
        }
        if head.len == UNDEFINED {
            if matches!(head.vr, VR::OB | VR::OW) {
                return self.fragments(end);
            }
            // Undefined length of an unknown VR is a sequence in Implicit VR.
            let implicit = self.implicit;
            self.implicit |= head.vr == VR::UN;
            let items = self.items(end, None, depth + 1);
            self.implicit = implicit;
            return items;
        }
        let len = u64::from(head.len);
        self.has(head, len, end)?;
        if head.vr == VR::SQ {
            return self.items(self.at + len, Some(self.at + len), depth + 1);
        }
        if len > VALUE_BYTES_MAX {
            self.keep(0)?;
            let span = Span { offset: self.at, len };
            self.skip(len)?;
            return Ok(Value::Elsewhere(span));
        }
        self.keep(len as usize)?;
        let mut bytes = vec![0; len as usize];
        self.fill(&mut bytes)?;
        if self.big_endian {
            to_little(head.vr, &mut bytes);
        }
        Ok(Value::Bytes { vr: head.vr, bytes })
    }

    /// The items of a sequence that ends at `exact`, or with its mark before `end`.
    fn items(&mut self, end: u64, exact: Option<u64>, depth: usize) -> Result<Value, WalkError> {
        if depth > DEPTH_MAX {
            return Err(WalkError::TooDeep { at: self.at });
        }
        self.keep(0)?;
        let mut items = Vec::new();
        while exact.is_none_or(|exact| self.at < exact) {
            let at = self.at;
            let (tag, len) = self.item_head()?;
            match tag {
                SEQUENCE_END => break,
                ITEM if len == UNDEFINED => items.push(self.item(end, None, depth)?),
                ITEM => {
                    let item_end = self.at + u64::from(len);
                    if item_end > end {
                        return Err(WalkError::PastSequence { tag, at });
                    }
                    items.push(self.item(item_end, Some(item_end), depth)?);
                }
                _ => return Err(WalkError::Malformed { tag, at }),
            }
        }
        Ok(Value::Items(items))
    }

    fn item(&mut self, end: u64, exact: Option<u64>, depth: usize) -> Result<DataSet, WalkError> {
        self.keep(0)?;
        let mut item = DataSet::default();
        while exact.is_none_or(|exact| self.at < exact) {
            let head = self.head()?;
            if head.tag == ITEM_END {
                break;
            }
            let value = self.value(&head, end, depth)?;
            item.insert(head.tag, value);
        }
        Ok(item)
    }

    /// Passes over encapsulated pixels that are not the instance's own, as in an icon.
    fn fragments(&mut self, end: u64) -> Result<Value, WalkError> {
        let offset = self.at;
        loop {
            let at = self.at;
            let (tag, len) = self.item_head()?;
            match tag {
                SEQUENCE_END => break,
                ITEM if len != UNDEFINED && u64::from(len) <= end.saturating_sub(self.at) => {
                    self.skip(u64::from(len))?;
                }
                _ => return Err(WalkError::Malformed { tag, at }),
            }
        }
        Ok(Value::Elsewhere(Span { offset, len: self.at - offset }))
    }

    fn head(&mut self) -> Result<Head, WalkError> {
        let at = self.at;
        let tag = self.tag()?;
        // Delimiters have no VR in any syntax.
        if self.implicit || tag.group() == 0xFFFE {
            let len = self.u32()?;
            return Ok(Head { tag, vr: implicit_vr(tag), len, at });
        }
        let mut vr = [0; 2];
        self.fill(&mut vr)?;
        if !vr.iter().all(u8::is_ascii_uppercase) {
            return Err(WalkError::Malformed { tag, at });
        }
        let short = [
            VR::AE,
            VR::AS,
            VR::AT,
            VR::CS,
            VR::DA,
            VR::DS,
            VR::DT,
            VR::FL,
            VR::FD,
            VR::IS,
            VR::LO,
            VR::LT,
            VR::PN,
            VR::SH,
            VR::SL,
            VR::SS,
            VR::ST,
            VR::TM,
            VR::UI,
            VR::UL,
            VR::US,
        ];
        let vr = VR::from_binary(vr).unwrap_or(VR::UN);
        let len = if short.contains(&vr) {
            u32::from(self.u16()?)
        } else {
            self.u16()?;
            self.u32()?
        };
        Ok(Head { tag, vr, len, at })
    }

    fn item_head(&mut self) -> Result<(Tag, u32), WalkError> {
        Ok((self.tag()?, self.u32()?))
    }
    fn tag(&mut self) -> Result<Tag, WalkError> {
        Ok(Tag(self.u16()?, self.u16()?))
    }
    fn u16(&mut self) -> Result<u16, WalkError> {
        let mut bytes = [0; 2];
        self.fill(&mut bytes)?;
        Ok(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }
    fn u32(&mut self) -> Result<u32, WalkError> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes)?;
        Ok(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), WalkError> {
        if bytes.len() as u64 > self.end - self.at {
            return Err(WalkError::Truncated { at: self.end });
        }
        self.source.read_exact(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
    fn skip(&mut self, len: u64) -> Result<(), WalkError> {
        self.at += len;
        self.source.seek_relative(len.cast_signed())?;
        Ok(())
    }
    fn back_to(&mut self, at: u64) -> Result<(), WalkError> {
        self.source.seek_relative(at.cast_signed() - self.at.cast_signed())?;
        self.at = at;
        Ok(())
    }
    fn has(&self, head: &Head, len: u64, end: u64) -> Result<(), WalkError> {
        let Head { tag, at, .. } = *head;
        if len > self.end - self.at {
            return Err(WalkError::PastEnd { tag, at, len });
        }
        if self.at + len > end {
            return Err(WalkError::PastSequence { tag, at });
        }
        Ok(())
    }
    fn keep(&mut self, len: usize) -> Result<(), WalkError> {
        self.kept_bytes += len + ELEMENT_BYTES;
        if self.kept_bytes > HEADER_BYTES_MAX { Err(WalkError::TooLong) } else { Ok(()) }
    }
}

/// The VR where the file gives none. What depends on the pixels' sign is taken as unsigned.
fn implicit_vr(tag: Tag) -> VR {
    match StandardDataDictionary.by_tag(tag).map(|entry| entry.vr) {
        Some(VirtualVr::Exact(vr)) => vr,
        Some(VirtualVr::Xs | VirtualVr::Lt) => VR::US,
        Some(VirtualVr::Ox | VirtualVr::Px) => VR::OW,
        _ => VR::UN,
    }
}

fn to_little(vr: VR, bytes: &mut [u8]) {
    let width = match vr {
        VR::US | VR::SS | VR::OW | VR::AT => 2,
        VR::UL | VR::SL | VR::FL | VR::OF | VR::OL => 4,
        VR::FD | VR::OD | VR::UV | VR::SV | VR::OV => 8,
        _ => return,
    };
    bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
}
