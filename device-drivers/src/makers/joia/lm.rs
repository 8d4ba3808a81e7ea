//! `nsLM:Measure`: lenses in a lensmeter.

use super::{
    ns::Ns,
    values::{EYES, shot_error},
};
use crate::{
    DecodeError,
    format::xml::{
        El,
        values::{DEGREES, DIOPTRES, MILLIMETRES, axis_beside, cylinder_mode, number, whole},
    },
};
use chiasm_proto::{
    Base, Eye, Hundredths, Lensometry, Measured, Measurement, Prism, PrismComponent,
    PupillaryDistance,
};

const NS: Ns = Ns::Lm;
/// Known and of no use here.
const UNUSED: [&str; 4] = ["AxisStep", "PrismStep", "AbbeNumber", "Wavelength"];

pub fn decode(measure: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    measure.ignore(UNUSED.map(|name| (NS, name)));
    let cylinder_mode = cylinder_mode(measure, (NS, "CylinderMode"));
    let dioptre_step = number(measure, (NS, "DiopterStep"), DIOPTRES)?;
    let lens_type = measure.text_of((NS, "LensType"));
    for block in measure.enter_all((NS, "LM")) {
        for (eye, token) in EYES {
            for side in block.enter_all((NS, token)) {
                let Some(lens) = lens(side)? else { continue };
                let lens = Lensometry {
                    cylinder_mode,
                    dioptre_step,
                    lens_type: lens_type.clone(),
                    ..lens
                };
                let measured = Measured::Lensometry(lens);
                into.push(Measurement::of(eye, token, measured));
            }
        }
    }
    for block in measure.enter_all((NS, "PD")) {
        let distance = pupillary_distance(block)?;
        if distance != PupillaryDistance::default() {
            let measured = Measured::PupillaryDistance(distance);
            into.push(Measurement::without_token(Eye::Both, measured));
        }
    }
    Ok(())
}

/// One lens, or nothing if every element is empty.
fn lens(side: El) -> Result<Option<Lensometry>, DecodeError> {
    let cylinder = number(side, (NS, "Cylinder"), DIOPTRES)?;
    let lens = Lensometry {
        sphere: number(side, (NS, "Sphere"), DIOPTRES)?,
        cylinder,
        axis_deg: axis_beside(side, cylinder, whole(side, (NS, "Axis"), DEGREES)?)?,
        add: number(side, (NS, "Add1"), DIOPTRES)?,
        add2: number(side, (NS, "Add2"), DIOPTRES)?,
        prism: prism(side)?,
        error: shot_error(side, NS),
        ..Lensometry::default()
    };
    let numbers = [lens.sphere, lens.cylinder, lens.add, lens.add2];
    let is_empty =
        numbers.iter().all(Option::is_none) && lens.prism.is_none() && lens.error.is_none();
    Ok((!is_empty).then_some(lens))
}

/// Signed components. What the sign means is not documented, so it stays as it is.
fn prism(side: El) -> Result<Option<Prism>, DecodeError> {
    let component = |amount: Hundredths| PrismComponent { amount, base: Base::Unverified };
    let horizontal = number(side, (NS, "H"), DIOPTRES)?.map(component);
    let vertical = number(side, (NS, "V"), DIOPTRES)?.map(component);
    let is_sent = horizontal.is_some() || vertical.is_some();
    Ok(is_sent.then(|| Prism { horizontal, vertical, ..Prism::default() }))
}

fn pupillary_distance(block: El) -> Result<PupillaryDistance, DecodeError> {
    let distance = |token| match block.enter((NS, token)) {
        Some(side) => number(side, (NS, "Distance"), MILLIMETRES),
        None => Ok(None),
    };
    Ok(PupillaryDistance {
        far_mm: distance("B")?,
        right_mm: distance("R")?,
        left_mm: distance("L")?,
        ..PupillaryDistance::default()
    })
}
