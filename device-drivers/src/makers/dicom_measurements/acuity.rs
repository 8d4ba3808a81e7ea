//! Visual acuity: decimal, with the optotypes that were read beyond the line.

use super::{Found, eyes, part, text_test};
use crate::{DecodeError, dicom::Node};
use chiasm_proto::{Correction, Eye, Measured, Vision, VisualAcuity};
use dicom_dictionary_std::tags;

/// Types of acuity whose correction a reading can say (CID 4216).
const TYPES: [(&str, &str, Correction); 5] = [
    ("DCM", "111685", Correction::Objective),
    ("DCM", "111686", Correction::Wearing),
    ("DCM", "111687", Correction::Final),
    ("SCT", "419775003", Correction::Corrected),
    ("SCT", "420050001", Correction::Unaided),
];

pub fn read(root: Node, into: &mut Found) -> Result<(), DecodeError> {
    let tag = tags::VISUAL_ACUITY_TYPE_CODE_SEQUENCE;
    let kind = root.need(tag, root.code(tag)?)?;
    let tag = tags::VIEWING_DISTANCE_TYPE;
    let distance = root.word(tag, &["DISTANCE", "NEAR", "INTERMEDIATE", "OTHER"])?;
    let distance = root.need(tag, distance)?;
    root.ignore(&[
        tags::BACKGROUND_COLOR,
        tags::OPTOTYPE,
        tags::OPTOTYPE_DETAILED_DEFINITION,
        tags::OPTOTYPE_PRESENTATION,
        tags::REFERENCED_REFRACTIVE_MEASUREMENTS_SEQUENCE,
    ]);
    let correction = TYPES.iter().find(|(scheme, value, _)| kind.is(scheme, value));
    let vision = match distance {
        "DISTANCE" => Some(Vision::Far),
        "NEAR" => Some(Vision::Near),
        _ => None,
    };
    let right = tags::VISUAL_ACUITY_RIGHT_EYE_SEQUENCE;
    let mut found = eyes(root, right, tags::VISUAL_ACUITY_LEFT_EYE_SEQUENCE)?;
    let both = root.one(tags::VISUAL_ACUITY_BOTH_EYES_OPEN_SEQUENCE)?;
    found.extend(both.map(|node| (Eye::Both, node)));
    for (eye, node) in found {
        let sent = node.needed(tags::DECIMAL_VISUAL_ACUITY)?;
        if sent.to_f64() < 0.0 {
            let what = "an acuity is not below zero";
            return Err(node.malformed(tags::DECIMAL_VISUAL_ACUITY, what));
        }
        let modifiers = node.counts(tags::VISUAL_ACUITY_MODIFIERS)?;
        let modifiers: Vec<String> = modifiers.iter().map(ToString::to_string).collect();
        let letters = Some(modifiers.join("\\")).filter(|text| !text.is_empty());
        // Beside the acuity stands what was worn.
        node.ignore_known();
        let measured = match (correction, vision) {
            (Some((.., correction)), Some(vision)) => Measured::VisualAcuity(VisualAcuity {
                correction: *correction,
                vision,
                condition: chiasm_proto::AcuityCondition::Standard,
                as_sent: sent.text,
                letters_as_sent: letters,
                notation: Some("Decimal".into()),
            }),
            _ => {
                let mut values = vec![
                    part("decimal", &sent.text, None),
                    part("type", &kind.meaning, None),
                    part("viewing distance", distance, None),
                ];
                values.extend(letters.map(|letters| part("modifiers", &letters, None)));
                let Some(test) = text_test(&kind.value, "visual acuity", values) else { continue };
                Measured::OtherTest(test)
            }
        };
        into.add(eye, measured);
    }
    Ok(())
}
