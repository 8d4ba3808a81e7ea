//! The two meridians of a cornea: flat is R1, steep is R2, as everywhere in a reading.

use super::{Found, RESULT, eyes, kept_as_text, part, refractive::whole_degrees, text_test};
use crate::{
    DecodeError,
    dicom::{Node, Num},
    format::biometer::MILLIMETRES,
};
use chiasm_proto::{Keratometry, KeratometryValue, Measured, Meridian, OtherValue, Representative};
use dicom_core::Tag;
use dicom_dictionary_std::tags;

pub fn read(root: Node, into: &mut Found) -> Result<(), DecodeError> {
    let [right, left] = [tags::KERATOMETRY_RIGHT_EYE_SEQUENCE, tags::KERATOMETRY_LEFT_EYE_SEQUENCE];
    for (eye, node) in eyes(root, right, left)? {
        let flat = Sent::read(node, tags::FLAT_KERATOMETRIC_AXIS_SEQUENCE)?;
        let steep = Sent::read(node, tags::STEEP_KERATOMETRIC_AXIS_SEQUENCE)?;
        if flat.radius.to_f64() < steep.radius.to_f64() {
            let what = "the steep meridian has the longer radius";
            return Err(node.malformed(tags::STEEP_KERATOMETRIC_AXIS_SEQUENCE, what));
        }
        let measured = match (flat.meridian(), steep.meridian()) {
            (Some(r1), Some(r2)) => {
                let value = KeratometryValue { r1, r2, ..KeratometryValue::default() };
                let representative = Some(Representative { label: RESULT.into(), value });
                Measured::Keratometry(Keratometry { representative, ..Keratometry::default() })
            }
            _ => {
                kept_as_text(root, eye, "keratometry");
                let parts = [flat.as_text("flat"), steep.as_text("steep")].concat();
                let Some(test) = text_test("KER", "keratometry", parts) else { continue };
                Measured::OtherTest(test)
            }
        };
        into.add(eye, measured);
    }
    Ok(())
}

/// One meridian as sent.
struct Sent {
    radius: Num,
    power: Num,
    axis: Num,
}

impl Sent {
    fn read(node: Node, tag: Tag) -> Result<Self, DecodeError> {
        let item = node.need(tag, node.one(tag)?)?;
        let sent = Self {
            radius: item.needed(tags::RADIUS_OF_CURVATURE)?,
            power: item.needed(tags::KERATOMETRIC_POWER)?,
            axis: item.needed(tags::KERATOMETRIC_AXIS)?,
        };
        if sent.radius.to_f64() <= 0.0 {
            return Err(item.malformed(tags::RADIUS_OF_CURVATURE, "no radius"));
        }
        if !sent.axis.is_axis() {
            let what = "not within 0 to 180 degrees";
            return Err(item.malformed(tags::KERATOMETRIC_AXIS, what));
        }
        Ok(sent)
    }

    fn meridian(&self) -> Option<Meridian> {
        Some(Meridian {
            radius_mm: Some(self.radius.value?),
            power: Some(self.power.value?),
            axis_deg: Some(whole_degrees(&self.axis)?),
        })
    }

    fn as_text(&self, which: &str) -> Vec<OtherValue> {
        vec![
            part(&format!("{which} radius"), &self.radius.text, Some(MILLIMETRES)),
            part(&format!("{which} power"), &self.power.text, Some("D")),
            part(&format!("{which} axis"), &self.axis.text, Some("deg")),
        ]
    }
}
