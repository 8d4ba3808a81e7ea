//! The measurements as data elements.

use super::{
    Kind,
    choose::{Contents, Meridians, Powers},
};
use chiasm_proto::{Base, Eye, Hundredths};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR, value::DataSetSequence};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

/// Replaces or adds an element.
pub fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: PrimitiveValue) {
    object.put(DataElement::new(tag, vr, value));
}

pub fn put_text(object: &mut InMemDicomObject, tag: Tag, vr: VR, text: &str) {
    let value = if text.is_empty() { PrimitiveValue::Empty } else { PrimitiveValue::from(text) };
    put(object, tag, vr, value);
}

/// Without what parts values or controls, and at most so many characters.
pub fn clean(text: &str, chars_max: usize) -> String {
    let kept = text.chars().filter(|it| !it.is_control() && *it != '\\').take(chars_max);
    kept.collect::<String>().trim().to_owned()
}

fn put_number(object: &mut InMemDicomObject, tag: Tag, value: Hundredths) {
    put(object, tag, VR::FD, PrimitiveValue::from(value.to_f64()));
}

fn put_some(object: &mut InMemDicomObject, tag: Tag, value: Option<Hundredths>) {
    if let Some(value) = value {
        put_number(object, tag, value);
    }
}

fn put_item(object: &mut InMemDicomObject, tag: Tag, item: InMemDicomObject) {
    object.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(vec![item])));
}

/// The kind's own module.
pub fn measurements(
    kind: Kind,
    object: &mut InMemDicomObject,
    contents: &Contents,
) -> Result<(), String> {
    if kind == Kind::Lensometry {
        let description = contents.lens_description.as_deref().unwrap_or_default();
        put_text(object, tags::LENS_DESCRIPTION, VR::LO, &clean(description, 64));
    }
    for (eye, powers) in &contents.powers {
        put_item(object, sequence(kind, *eye)?, powers_item(powers)?);
    }
    for (eye, meridians) in &contents.meridians {
        put_item(object, sequence(kind, *eye)?, meridians_item(meridians));
    }
    put_some(object, tags::DISTANCE_PUPILLARY_DISTANCE, contents.far_pd_mm);
    put_some(object, tags::NEAR_PUPILLARY_DISTANCE, contents.near_pd_mm);
    Ok(())
}

fn sequence(kind: Kind, eye: Eye) -> Result<Tag, String> {
    Ok(match (kind, eye) {
        (Kind::Autorefraction, Eye::Right) => tags::AUTOREFRACTION_RIGHT_EYE_SEQUENCE,
        (Kind::Autorefraction, Eye::Left) => tags::AUTOREFRACTION_LEFT_EYE_SEQUENCE,
        (Kind::Keratometry, Eye::Right) => tags::KERATOMETRY_RIGHT_EYE_SEQUENCE,
        (Kind::Keratometry, Eye::Left) => tags::KERATOMETRY_LEFT_EYE_SEQUENCE,
        (Kind::SubjectiveRefraction, Eye::Right) => tags::SUBJECTIVE_REFRACTION_RIGHT_EYE_SEQUENCE,
        (Kind::SubjectiveRefraction, Eye::Left) => tags::SUBJECTIVE_REFRACTION_LEFT_EYE_SEQUENCE,
        (Kind::Lensometry, Eye::Right) => tags::RIGHT_LENS_SEQUENCE,
        (Kind::Lensometry, Eye::Left) => tags::LEFT_LENS_SEQUENCE,
        (Kind::Lensometry, Eye::NotGiven) => tags::UNSPECIFIED_LATERALITY_LENS_SEQUENCE,
        _ => return Err("the object has no place for this side".into()),
    })
}

fn powers_item(powers: &Powers) -> Result<InMemDicomObject, String> {
    let mut item = InMemDicomObject::new_empty();
    put_number(&mut item, tags::SPHERE_POWER, powers.sphere);
    if let Some((power, axis_deg)) = powers.cylinder {
        let mut cylinder = InMemDicomObject::new_empty();
        put_number(&mut cylinder, tags::CYLINDER_POWER, power);
        let axis = PrimitiveValue::from(f32::from(axis_deg));
        put(&mut cylinder, tags::CYLINDER_AXIS, VR::FL, axis);
        put_item(&mut item, tags::CYLINDER_SEQUENCE, cylinder);
    }
    put_some(&mut item, tags::VERTEX_DISTANCE, powers.vertex_distance_mm);
    put_some(&mut item, tags::PUPIL_SIZE, powers.pupil_mm);
    put_some(&mut item, tags::CORNEAL_SIZE, powers.cornea_mm);
    if let Some(add) = powers.add_near {
        let mut near = InMemDicomObject::new_empty();
        put_number(&mut near, tags::ADD_POWER, add);
        put_item(&mut item, tags::ADD_NEAR_SEQUENCE, near);
    }
    if let Some([horizontal, vertical]) = powers.prism {
        let mut prism = InMemDicomObject::new_empty();
        put_number(&mut prism, tags::HORIZONTAL_PRISM_POWER, horizontal.0);
        put_text(&mut prism, tags::HORIZONTAL_PRISM_BASE, VR::CS, base(horizontal.1)?);
        put_number(&mut prism, tags::VERTICAL_PRISM_POWER, vertical.0);
        put_text(&mut prism, tags::VERTICAL_PRISM_BASE, VR::CS, base(vertical.1)?);
        put_item(&mut item, tags::PRISM_SEQUENCE, prism);
    }
    Ok(item)
}

fn base(base: Base) -> Result<&'static str, String> {
    match base {
        Base::In => Ok("IN"),
        Base::Out => Ok("OUT"),
        Base::Up => Ok("UP"),
        Base::Down => Ok("DOWN"),
        Base::Unverified => Err("the direction of a prism is not documented".into()),
    }
}

fn meridians_item(meridians: &Meridians) -> InMemDicomObject {
    let mut item = InMemDicomObject::new_empty();
    for (tag, (radius, power, axis_deg)) in [
        (tags::STEEP_KERATOMETRIC_AXIS_SEQUENCE, meridians.steep),
        (tags::FLAT_KERATOMETRIC_AXIS_SEQUENCE, meridians.flat),
    ] {
        let mut meridian = InMemDicomObject::new_empty();
        put_number(&mut meridian, tags::RADIUS_OF_CURVATURE, radius);
        put_number(&mut meridian, tags::KERATOMETRIC_POWER, power);
        put_number(&mut meridian, tags::KERATOMETRIC_AXIS, Hundredths::whole(axis_deg.into()));
        put_item(&mut item, tag, meridian);
    }
    item
}
