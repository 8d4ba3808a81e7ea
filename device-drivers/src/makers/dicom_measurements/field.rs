//! A visual field: how reliable it is, its global indices, and the sensitivity of each point, as
//! text with names and units.

use super::{Found, head, part, report::numeric, text_test};
use crate::{DecodeError, dicom::Node};
use chiasm_proto::{Measured, OtherValue};
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// Most points of a field. The largest patterns have some hundred.
const POINTS_MAX: usize = 512;
const DECIBEL: &str = "dB";
const PERCENT: &str = "percent";

pub fn read(root: Node, into: &mut Found) -> Result<(), DecodeError> {
    // Demanded; it stands behind the values, so that an object that was cut off has none.
    let eye = root.need(tags::MEASUREMENT_LATERALITY, head::laterality(root)?)?;
    for (name, values) in [
        ("visual field reliability", reliability(root)?),
        ("visual field indices", indices(root)?),
        ("visual field sensitivities", points(root)?),
    ] {
        if let Some(test) = text_test("OPV", name, values) {
            into.add(eye, Measured::OtherTest(test));
        }
    }
    root.ignore_known();
    Ok(())
}

fn number(
    node: Node,
    tag: Tag,
    (name, unit): (&str, &str),
    into: &mut Vec<OtherValue>,
) -> Result<(), DecodeError> {
    into.extend(node.number(tag)?.map(|sent| part(name, &sent.text, Some(unit))));
    Ok(())
}

fn reliability(root: Node) -> Result<Vec<OtherValue>, DecodeError> {
    let mut values = vec![];
    for code in root.codes(tags::PERFORMED_PROTOCOL_CODE_SEQUENCE)? {
        values.push(part("protocol", &code.meaning, None));
    }
    if let Some(item) = root.one(tags::FIXATION_SEQUENCE)? {
        let lost = item.counts(tags::PATIENT_NOT_PROPERLY_FIXATED_QUANTITY)?;
        let checked = item.counts(tags::FIXATION_CHECKED_QUANTITY)?;
        if let ([lost], [checked]) = (&lost[..], &checked[..]) {
            values.push(part("fixation losses", &format!("{lost}/{checked}"), None));
        }
        item.ignore_known();
    }
    if let Some(item) = root.one(tags::VISUAL_FIELD_CATCH_TRIAL_SEQUENCE)? {
        number(item, tags::FALSE_NEGATIVES_ESTIMATE, ("false negatives", PERCENT), &mut values)?;
        number(item, tags::FALSE_POSITIVES_ESTIMATE, ("false positives", PERCENT), &mut values)?;
        for (name, wrong, asked) in [
            (
                "false negatives",
                tags::FALSE_NEGATIVES_QUANTITY,
                tags::NEGATIVE_CATCH_TRIALS_QUANTITY,
            ),
            (
                "false positives",
                tags::FALSE_POSITIVES_QUANTITY,
                tags::POSITIVE_CATCH_TRIALS_QUANTITY,
            ),
        ] {
            if let ([wrong], [asked]) = (&item.counts(wrong)?[..], &item.counts(asked)?[..]) {
                values.push(part(name, &format!("{wrong}/{asked}"), None));
            }
        }
        item.ignore_known();
    }
    let rating = root.text(tags::PATIENT_RELIABILITY_INDICATOR)?;
    values.extend(rating.map(|text| part("patient reliability", &text, None)));
    Ok(values)
}

fn indices(root: Node) -> Result<Vec<OtherValue>, DecodeError> {
    let mut values = vec![];
    for item in root.items(tags::RESULTS_NORMALS_SEQUENCE)? {
        let name = "global deviation from normal";
        number(item, tags::GLOBAL_DEVIATION_FROM_NORMAL, (name, DECIBEL), &mut values)?;
        let name = "localized deviation from normal";
        number(item, tags::LOCALIZED_DEVIATION_FROM_NORMAL, (name, DECIBEL), &mut values)?;
        item.ignore_known();
    }
    let name = "mean sensitivity";
    number(root, tags::VISUAL_FIELD_MEAN_SENSITIVITY, (name, DECIBEL), &mut values)?;
    number(root, tags::FOVEAL_SENSITIVITY, ("foveal sensitivity", DECIBEL), &mut values)?;
    number(root, tags::VISUAL_FIELD_TEST_DURATION, ("duration", "s"), &mut values)?;
    for index in root.items(tags::VISUAL_FIELD_GLOBAL_RESULTS_INDEX_SEQUENCE)? {
        for item in index.items(tags::DATA_OBSERVATION_SEQUENCE)? {
            values.extend(numeric(item)?);
            item.ignore_known();
        }
        index.ignore_known();
    }
    Ok(values)
}

fn points(root: Node) -> Result<Vec<OtherValue>, DecodeError> {
    let mut values = vec![];
    let tag = tags::VISUAL_FIELD_TEST_POINT_SEQUENCE;
    let items = root.items(tag)?;
    if items.len() > POINTS_MAX {
        return Err(root.malformed(tag, format!("more than {POINTS_MAX} points")));
    }
    for item in items {
        let x = item.needed(tags::VISUAL_FIELD_TEST_POINT_X_COORDINATE)?;
        let y = item.needed(tags::VISUAL_FIELD_TEST_POINT_Y_COORDINATE)?;
        let seen = item.text(tags::STIMULUS_RESULTS)?;
        let sensitivity = item.number(tags::SENSITIVITY_VALUE)?;
        let place = format!("{}, {} deg", x.text, y.text);
        match (seen, sensitivity) {
            (Some(seen), Some(sent)) if seen != "SEEN" => {
                values.push(part(&place, &format!("{} ({seen})", sent.text), Some(DECIBEL)));
            }
            (_, Some(sent)) => values.push(part(&place, &sent.text, Some(DECIBEL))),
            (Some(seen), None) => values.push(part(&place, &seen, None)),
            (None, None) => {}
        }
        item.ignore_known();
    }
    Ok(values)
}
