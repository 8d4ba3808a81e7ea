//! What the header of an instance says, as far as filing and showing need it.
//!
//! What is missing is `None`; what is written wrongly is taken as missing. Only a file that cannot
//! be walked at all is an error.

pub mod geometry;
mod kind;
mod laterality;
#[cfg(test)]
mod tests;
mod time;

pub use geometry::{FrameLocation, PixelSpacing, Window};
pub use kind::ImageKind;
pub use laterality::Laterality;

use super::{
    data_set::{Charset, DataSet, Span, Value},
    walk::{WalkError, Walked, walk},
};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use jiff::civil::{Date, DateTime};
use serde::{Deserialize, Serialize};
use std::io::{Read, Seek};

/// Most other instances that a header may name.
pub const REFERENCES_MAX: usize = 4096;
/// Longest text of one field, in characters.
pub const TEXT_LEN_MAX: usize = 400;
/// Longest UID (PS3.5, 9.1), in characters.
pub const UID_LEN_MAX: usize = 64;

pub type HeaderError = WalkError;

/// An instance's header.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Header {
    pub sop_class_uid: Option<String>,
    pub sop_instance_uid: Option<String>,
    pub study_instance_uid: Option<String>,
    pub series_instance_uid: Option<String>,
    pub transfer_syntax_uid: String,
    pub kind: ImageKind,

    pub patient_id: Option<String>,
    pub issuer_of_patient_id: Option<String>,
    /// As sent, with its carets.
    pub patient_name: Option<String>,
    pub birth_date: Option<Date>,
    pub accession: Option<String>,

    pub modality: Option<String>,
    pub laterality: Laterality,
    /// By the imager's clock.
    pub acquired_at: Option<DateTime>,
    /// East of Greenwich, in minutes, if the imager says.
    pub acquired_offset_min: Option<i16>,
    pub series_number: Option<i32>,
    pub instance_number: Option<i32>,
    pub series_description: Option<String>,
    pub protocol: Option<String>,
    /// Meaning of the anatomic region, as "Retina".
    pub region: Option<String>,

    pub manufacturer: Option<String>,
    pub model: Option<String>,
    pub serial: Option<String>,
    pub software: Option<String>,

    pub pixels: Option<PixelFormat>,
    /// 1 where the file does not say; 0 without pixels.
    pub frames: u32,
    pub window: Option<Window>,
    /// Slope and intercept from stored to shown values.
    pub rescale: Option<(f64, f64)>,
    pub spacing: Option<PixelSpacing>,
    /// Which stored frame (from 1) is shown at which place; none: in the order of the file.
    pub frame_order: Option<Vec<u32>>,
    /// Where the frames lie on a picture of the fundus.
    pub frame_locations: Vec<FrameLocation>,

    pub concatenation_uid: Option<String>,
    /// Place in the concatenation, from 1.
    pub concatenation_number: Option<u32>,
    /// Parts of the concatenation.
    #[serde(default)]
    pub concatenation_total: Option<u32>,
    /// Frames of the concatenation that come before this instance's first.
    pub concatenation_frame_offset: Option<u32>,
    /// UIDs of other instances that this one names, each once.
    pub referenced_instances: Vec<String>,

    /// Names of people may stand in the pixels.
    pub burned_in: Option<bool>,
    pub lossy: Option<bool>,
    pub document: Option<Document>,
}

/// How pixels are stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PixelFormat {
    pub rows: u16,
    pub columns: u16,
    pub samples_per_pixel: u16,
    pub photometric: String,
    pub bits_allocated: u16,
    pub bits_stored: u16,
    pub high_bit: u16,
    pub signed: bool,
    /// Samples of one colour after another instead of pixel by pixel.
    pub planar: bool,
    /// First byte of Pixel Data's value, or of its first fragment's item.
    pub offset: u64,
    /// None: encapsulated.
    pub len: Option<u64>,
    /// Eight bytes per frame each, in little endian.
    pub extended_offsets: Option<Table>,
    pub extended_lengths: Option<Table>,
}

/// A table that stands in the header, or is so long that it lies in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    Here(Vec<u64>),
    Elsewhere(Span),
}

/// An encapsulated document, as a PDF.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub media_type: Option<String>,
    pub title: Option<String>,
    pub place: DocumentPlace,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentPlace {
    /// It is short; its bytes have to be read from the data set.
    InDataSet,
    /// In the file, without padding.
    At(Span),
}

impl Header {
    /// The pixels' width divided by their height on the eye; 1 where the header does not say.
    pub fn pixel_aspect(&self) -> f64 {
        self.spacing.map_or(1.0, PixelSpacing::aspect)
    }
}

/// Reads the header of a DICOM file, up to its pixels.
pub fn read<R: Read + Seek>(reader: R) -> Result<Header, HeaderError> {
    Ok(of(&walk(reader)?))
}

/// What a walked file says.
pub fn of(file: &Walked) -> Header {
    let set = &file.data_set;
    let charset = Charset::of(set);
    let text = |tag: Tag| set.text(tag, &charset).map(|text| cut(&text));
    let pixels = pixel_format(file);
    let frames = frames(set, pixels.is_some());
    let acquired = time::acquired(set);
    Header {
        sop_class_uid: uid(set, tags::SOP_CLASS_UID),
        sop_instance_uid: uid(set, tags::SOP_INSTANCE_UID),
        study_instance_uid: uid(set, tags::STUDY_INSTANCE_UID),
        series_instance_uid: uid(set, tags::SERIES_INSTANCE_UID),
        transfer_syntax_uid: cut(&file.transfer_syntax_uid),
        kind: kind::of(set, frames),
        patient_id: text(tags::PATIENT_ID),
        issuer_of_patient_id: text(tags::ISSUER_OF_PATIENT_ID),
        patient_name: text(tags::PATIENT_NAME),
        birth_date: set.word(tags::PATIENT_BIRTH_DATE).and_then(|date| time::date(&date)),
        accession: text(tags::ACCESSION_NUMBER),
        modality: set.word(tags::MODALITY).map(|word| cut(&word)),
        laterality: laterality::of(set),
        acquired_at: acquired.map(|(local, _)| local),
        acquired_offset_min: acquired.and_then(|(_, offset)| offset),
        series_number: whole(set, tags::SERIES_NUMBER),
        instance_number: whole(set, tags::INSTANCE_NUMBER),
        series_description: text(tags::SERIES_DESCRIPTION),
        protocol: text(tags::PROTOCOL_NAME),
        region: set
            .item(tags::ANATOMIC_REGION_SEQUENCE)
            .or_else(|| {
                geometry::shared(set, tags::FRAME_ANATOMY_SEQUENCE)?
                    .item(tags::ANATOMIC_REGION_SEQUENCE)
            })
            .and_then(|region| region.text(tags::CODE_MEANING, &charset))
            .map(|text| cut(&text)),
        manufacturer: text(tags::MANUFACTURER),
        model: text(tags::MANUFACTURER_MODEL_NAME),
        serial: text(tags::DEVICE_SERIAL_NUMBER),
        software: text(tags::SOFTWARE_VERSIONS),
        pixels,
        frames,
        window: geometry::window(set),
        rescale: geometry::rescale(set),
        spacing: geometry::spacing(set),
        frame_order: geometry::frame_order(set, frames),
        frame_locations: geometry::frame_locations(set, frames),
        concatenation_uid: uid(set, tags::CONCATENATION_UID),
        concatenation_number: set.count(tags::IN_CONCATENATION_NUMBER),
        concatenation_total: set.count(tags::IN_CONCATENATION_TOTAL_NUMBER),
        concatenation_frame_offset: set.count(tags::CONCATENATION_FRAME_OFFSET_NUMBER),
        referenced_instances: references(set),
        burned_in: yes_or_no(set, tags::BURNED_IN_ANNOTATION, "YES", "NO"),
        lossy: yes_or_no(set, tags::LOSSY_IMAGE_COMPRESSION, "01", "00"),
        document: document(set, &charset),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_LEN_MAX).collect()
}

/// A UID, if it is one: digits and dots. It may come to stand in names and URLs.
fn uid(set: &DataSet, tag: Tag) -> Option<String> {
    set.word(tag).filter(|uid| is_uid(uid))
}

/// Whether a text can be a UID: digits and dots, not longer than [`UID_LEN_MAX`].
pub fn is_uid(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= UID_LEN_MAX
        && text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

fn whole(set: &DataSet, tag: Tag) -> Option<i32> {
    let number = set.number(tag)?;
    (number.fract() == 0.0 && number.abs() <= f64::from(i32::MAX)).then_some(number as i32)
}

fn yes_or_no(set: &DataSet, tag: Tag, yes: &str, no: &str) -> Option<bool> {
    match set.word(tag)? {
        word if word == yes => Some(true),
        word if word == no => Some(false),
        _ => None,
    }
}

fn frames(set: &DataSet, has_pixels: bool) -> u32 {
    if has_pixels { set.count(tags::NUMBER_OF_FRAMES).unwrap_or(1) } else { 0 }
}

fn pixel_format(file: &Walked) -> Option<PixelFormat> {
    let set = &file.data_set;
    let pixels = file.pixels.filter(|pixels| pixels.tag == tags::PIXEL_DATA)?;
    let bits_allocated = set.small(tags::BITS_ALLOCATED)?;
    let bits_stored = set.small(tags::BITS_STORED).unwrap_or(bits_allocated);
    Some(PixelFormat {
        rows: set.small(tags::ROWS)?,
        columns: set.small(tags::COLUMNS)?,
        samples_per_pixel: set.small(tags::SAMPLES_PER_PIXEL).unwrap_or(1),
        photometric: set
            .word(tags::PHOTOMETRIC_INTERPRETATION)
            .map_or_else(|| "MONOCHROME2".to_owned(), |word| cut(&word)),
        bits_allocated,
        bits_stored,
        high_bit: set.small(tags::HIGH_BIT).unwrap_or(bits_stored.saturating_sub(1)),
        signed: set.count(tags::PIXEL_REPRESENTATION) == Some(1),
        planar: set.count(tags::PLANAR_CONFIGURATION) == Some(1),
        offset: pixels.offset,
        len: pixels.len,
        extended_offsets: table(set, tags::EXTENDED_OFFSET_TABLE),
        extended_lengths: table(set, tags::EXTENDED_OFFSET_TABLE_LENGTHS),
    })
}

fn table(set: &DataSet, tag: Tag) -> Option<Table> {
    match set.get(tag)? {
        Value::Bytes { bytes, .. } if bytes.is_empty() => None,
        Value::Bytes { bytes, .. } => {
            let numbers = bytes.as_chunks::<8>().0;
            Some(Table::Here(numbers.iter().map(|eight| u64::from_le_bytes(*eight)).collect()))
        }
        Value::Elsewhere(span) => Some(Table::Elsewhere(*span)),
        Value::Items(_) => None,
    }
}

fn document(set: &DataSet, charset: &Charset) -> Option<Document> {
    let place = match set.get(tags::ENCAPSULATED_DOCUMENT)? {
        Value::Bytes { .. } => DocumentPlace::InDataSet,
        Value::Elsewhere(span) => DocumentPlace::At(Span {
            len: match set.count(tags::ENCAPSULATED_DOCUMENT_LENGTH) {
                Some(len) => span.len.min(u64::from(len)),
                None => span.len,
            },
            ..*span
        }),
        Value::Items(_) => return None,
    };
    Some(Document {
        media_type: set
            .word(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT)
            .map(|word| cut(&word.to_ascii_lowercase())),
        title: set.text(tags::DOCUMENT_TITLE, charset).map(|text| cut(&text)),
        place,
    })
}

/// The UIDs of all instances that are named anywhere, in their order.
fn references(set: &DataSet) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = std::collections::HashSet::new();
    collect_references(set, &mut seen, &mut found);
    found
}

fn collect_references(
    set: &DataSet,
    seen: &mut std::collections::HashSet<String>,
    found: &mut Vec<String>,
) {
    if found.len() < REFERENCES_MAX
        && let Some(uid) = uid(set, tags::REFERENCED_SOP_INSTANCE_UID)
        && seen.insert(uid.clone())
    {
        found.push(uid);
    }
    for (_, value) in set.iter() {
        if let Value::Items(items) = value {
            items.iter().for_each(|item| collect_references(item, seen, found));
        }
    }
}
