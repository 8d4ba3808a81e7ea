//! Calculations of an intraocular lens: which powers were offered, for what and by which formula.
//! They are proposals of a program, not measurements, and stay text.

use super::{Found, eyes, part, text_test};
use crate::{DecodeError, dicom::Node, format::biometer::MILLIMETRES};
use chiasm_proto::{Eye, Measured, OtherValue};
use dicom_dictionary_std::tags;

const DIOPTRES: &str = "D";
/// Most powers of one calculation that are kept.
const POWERS_MAX: usize = 32;

pub fn read(root: Node, into: &mut Found) -> Result<(), DecodeError> {
    let sequences = [
        (Eye::Right, tags::INTRAOCULAR_LENS_CALCULATIONS_RIGHT_EYE_SEQUENCE),
        (Eye::Left, tags::INTRAOCULAR_LENS_CALCULATIONS_LEFT_EYE_SEQUENCE),
    ];
    // Each eye may have one item for each lens that was calculated.
    let is_single = |tag| root.items(tag).is_ok_and(|items| items.len() < 2);
    if sequences.iter().all(|(_, tag)| is_single(*tag)) {
        eyes(root, sequences[0].1, sequences[1].1)?;
    }
    for (eye, tag) in sequences {
        for node in root.items(tag)? {
            let values = calculation(node)?;
            if let Some(test) = text_test("IOL", "intraocular lens calculation", values) {
                into.add(eye, Measured::OtherTest(test));
            }
            node.ignore_known();
        }
    }
    root.ignore_known();
    Ok(())
}

fn calculation(node: Node) -> Result<Vec<OtherValue>, DecodeError> {
    let mut values = vec![];
    let target = node.needed(tags::TARGET_REFRACTION)?;
    values.push(part("target refraction", &target.text, Some(DIOPTRES)));
    let formula = node.code(tags::IOL_FORMULA_CODE_SEQUENCE)?;
    values.extend(formula.map(|code| part("formula", &code.meaning, None)));
    for (name, tag) in [("lens maker", tags::IOL_MANUFACTURER), ("lens", tags::IMPLANT_NAME)] {
        values.extend(node.text(tag)?.map(|text| part(name, &text, None)));
    }
    for (name, tag) in [
        ("power for emmetropia", tags::IOL_POWER_FOR_EXACT_EMMETROPIA),
        ("power for the target", tags::IOL_POWER_FOR_EXACT_TARGET_REFRACTION),
    ] {
        let sent = node.number(tag)?;
        values.extend(sent.map(|sent| part(name, &sent.text, Some(DIOPTRES))));
    }
    for item in node.items(tags::OPHTHALMIC_AXIAL_LENGTH_SEQUENCE)? {
        let sent = item.number(tags::OPHTHALMIC_AXIAL_LENGTH)?;
        values.extend(sent.map(|it| part("axial length used", &it.text, Some(MILLIMETRES))));
        item.ignore_known();
    }
    for item in node.items(tags::IOL_POWER_SEQUENCE)?.into_iter().take(POWERS_MAX) {
        let power = item.needed(tags::IOL_POWER)?;
        let error = item.needed(tags::PREDICTED_REFRACTIVE_ERROR)?;
        let name = format!("predicted refraction with {} D", power.text);
        values.push(part(&name, &error.text, Some(DIOPTRES)));
        item.ignore_known();
    }
    Ok(values)
}
