//! Biometry: the axial length that the object selects for the eye, and what belongs to it.

use super::{Found, eyes, kept_as_text, part, report::numeric, text_test};
use crate::{
    DecodeError,
    dicom::{Node, Num},
    format::biometer::MILLIMETRES,
};
use chiasm_proto::{Biometry, Eye, Measured, Measurement, OtherValue};
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// Most single lengths of an eye that are kept.
const LENGTHS_MAX: usize = 64;

pub fn read(root: Node, into: &mut Found) -> Result<(), DecodeError> {
    root.word(tags::OPHTHALMIC_AXIAL_MEASUREMENTS_DEVICE_TYPE, &["OPTICAL", "ULTRASOUND", "BOTH"])?;
    let right = tags::OPHTHALMIC_AXIAL_MEASUREMENTS_RIGHT_EYE_SEQUENCE;
    let left = tags::OPHTHALMIC_AXIAL_MEASUREMENTS_LEFT_EYE_SEQUENCE;
    for (eye, node) in eyes(root, right, left)? {
        one_eye(root, eye, node, into)?;
    }
    Ok(())
}

fn one_eye(root: Node, eye: Eye, node: Node, into: &mut Found) -> Result<(), DecodeError> {
    let lens_status = match node.code(tags::LENS_STATUS_CODE_SEQUENCE)? {
        Some(code) => Some(code.meaning),
        None => node.text(tags::LENS_STATUS_DESCRIPTION)?,
    };
    let mut values = vec![];
    let thickness = first(node, tags::LENS_THICKNESS_SEQUENCE, tags::LENS_THICKNESS)?;
    let mut lens_status = lens_status.filter(|text| !text.is_empty());
    let mut lens_thickness_mm = thickness.as_ref().and_then(|sent| sent.value);
    if let (Some(sent), None) = (&thickness, lens_thickness_mm) {
        kept_as_text(root, eye, "lens thickness");
        values.push(part("lens thickness", &sent.text, Some(MILLIMETRES)));
    }
    for (way, tag) in [
        ("optical", tags::OPTICAL_SELECTED_OPHTHALMIC_AXIAL_LENGTH_SEQUENCE),
        ("ultrasound", tags::ULTRASOUND_SELECTED_OPHTHALMIC_AXIAL_LENGTH_SEQUENCE),
    ] {
        let Some(selected) = node.one(tag)? else { continue };
        let tag = tags::SELECTED_TOTAL_OPHTHALMIC_AXIAL_LENGTH_SEQUENCE;
        let Some(total) = selected.one(tag)? else { continue };
        let sent = total.needed(tags::OPHTHALMIC_AXIAL_LENGTH)?;
        if sent.to_f64() <= 0.0 {
            return Err(total.malformed(tags::OPHTHALMIC_AXIAL_LENGTH, "no length"));
        }
        for item in total.items(tags::OPHTHALMIC_AXIAL_LENGTH_QUALITY_METRIC_SEQUENCE)? {
            if let Some(quality) = numeric(item)? {
                let name = format!("quality of the {way} axial length, {}", quality.name);
                values.push(OtherValue { name, ..quality });
            }
        }
        total.ignore_known();
        selected.ignore_known();
        match sent.value {
            Some(length) => {
                let biometry = Biometry {
                    axial_length_mm: Some(length),
                    lens_thickness_mm: lens_thickness_mm.take(),
                    lens_status_as_sent: lens_status.take(),
                    ..Biometry::default()
                };
                let measured = Measured::Biometry(biometry);
                into.measurements.push(Measurement::without_token(eye, measured).in_set(way));
            }
            None => {
                kept_as_text(root, eye, "axial length");
                let name = format!("{way} axial length");
                values.push(part(&name, &sent.text, Some(MILLIMETRES)));
            }
        }
    }
    if lens_thickness_mm.is_some() || lens_status.is_some() {
        let biometry =
            Biometry { lens_thickness_mm, lens_status_as_sent: lens_status, ..Biometry::default() };
        into.add(eye, Measured::Biometry(biometry));
    }
    let depth = first(node, tags::ANTERIOR_CHAMBER_DEPTH_SEQUENCE, tags::ANTERIOR_CHAMBER_DEPTH)?;
    values.extend(depth.map(|it| part("anterior chamber depth", &it.text, Some(MILLIMETRES))));
    // From the front or the back of the cornea: only this says it, if it is there at all.
    for (name, tag) in [
        ("anterior chamber depth from", tags::ANTERIOR_CHAMBER_DEPTH_DEFINITION_CODE_SEQUENCE),
        ("vitreous", tags::VITREOUS_STATUS_CODE_SEQUENCE),
    ] {
        values.extend(node.code(tag)?.map(|code| part(name, &code.meaning, None)));
    }
    values.extend(single_lengths(node)?);
    if let Some(test) = text_test("OAM", "axial measurements", values) {
        into.add(eye, Measured::OtherTest(test));
    }
    Ok(())
}

fn first(node: Node, sequence: Tag, tag: Tag) -> Result<Option<Num>, DecodeError> {
    let Some(item) = node.items(sequence)?.into_iter().next() else { return Ok(None) };
    let sent = item.number(tag)?;
    if sent.is_some() {
        node.items(sequence)?.iter().for_each(Node::ignore_known);
    }
    Ok(sent)
}

/// Every length that was measured, in the order of the object.
fn single_lengths(node: Node) -> Result<Vec<OtherValue>, DecodeError> {
    let mut values = vec![];
    for measured in node.items(tags::OPHTHALMIC_AXIAL_LENGTH_MEASUREMENTS_SEQUENCE)? {
        for kind in [
            tags::OPHTHALMIC_AXIAL_LENGTH_MEASUREMENTS_TOTAL_LENGTH_SEQUENCE,
            tags::OPHTHALMIC_AXIAL_LENGTH_MEASUREMENTS_SEGMENTAL_LENGTH_SEQUENCE,
            tags::OPHTHALMIC_AXIAL_LENGTH_MEASUREMENTS_LENGTH_SUMMATION_SEQUENCE,
        ] {
            for item in measured.items(kind)? {
                let segment = item
                    .code(tags::OPHTHALMIC_AXIAL_LENGTH_MEASUREMENTS_SEGMENT_NAME_CODE_SEQUENCE)?;
                let name = segment.map_or_else(|| "total".to_owned(), |code| code.meaning);
                let sent = item.number(tags::OPHTHALMIC_AXIAL_LENGTH)?;
                let name = format!("measured length, {name}");
                values.extend(sent.map(|it| part(&name, &it.text, Some(MILLIMETRES))));
                item.ignore_known();
            }
        }
        measured.ignore_known();
    }
    values.truncate(LENGTHS_MAX);
    Ok(values)
}
