//! Sphere, cylinder and axis: of an autorefractor, a refractor, a lensmeter.

use super::{Found, RESULT, eyes, kept_as_text, part, text_test};
use crate::{
    DecodeError,
    dicom::{Node, Num},
    format::biometer::MILLIMETRES,
};
use chiasm_proto::{
    Base, CornealSize, Dioptres, Eye, FlagCode, Hundredths, Lensometry, Measured, OtherTest,
    OtherValue, Prism, PrismComponent, PupilSize, PupillaryDistance, Refraction, RefractionKind,
    RefractionValue, Representative,
};
use dicom_core::Tag;
use dicom_dictionary_std::tags;

const DIOPTRES: &str = "D";
const PRISM_DIOPTRES: &str = "prism dioptres";

pub fn autorefraction(root: Node, into: &mut Found) -> Result<(), DecodeError> {
    let [right, left] =
        [tags::AUTOREFRACTION_RIGHT_EYE_SEQUENCE, tags::AUTOREFRACTION_LEFT_EYE_SEQUENCE];
    for (eye, node) in eyes(root, right, left)? {
        let powers = Powers::read(node)?;
        let vertex = node.number(tags::VERTEX_DISTANCE)?;
        powers.refraction(root, eye, RefractionKind::Autorefraction, vertex, into);
        size(root, eye, node.number(tags::PUPIL_SIZE)?, ("pupil size", pupil), into);
        size(root, eye, node.number(tags::CORNEAL_SIZE)?, ("corneal size", cornea), into);
    }
    pupillary_distance(root, into)
}

pub fn subjective(root: Node, into: &mut Found) -> Result<(), DecodeError> {
    let right = tags::SUBJECTIVE_REFRACTION_RIGHT_EYE_SEQUENCE;
    let left = tags::SUBJECTIVE_REFRACTION_LEFT_EYE_SEQUENCE;
    for (eye, node) in eyes(root, right, left)? {
        let powers = Powers::read(node)?;
        let vertex = node.number(tags::VERTEX_DISTANCE)?;
        powers.refraction(root, eye, RefractionKind::Subjective, vertex, into);
    }
    pupillary_distance(root, into)
}

pub fn lensometry(root: Node, into: &mut Found) -> Result<(), DecodeError> {
    let lens_type = root.text(tags::LENS_DESCRIPTION)?;
    let mut lenses = eyes(root, tags::RIGHT_LENS_SEQUENCE, tags::LEFT_LENS_SEQUENCE)?;
    for node in root.items(tags::UNSPECIFIED_LATERALITY_LENS_SEQUENCE)? {
        lenses.push((Eye::NotGiven, node));
    }
    for (eye, node) in lenses {
        let powers = Powers::read(node)?;
        let segment = node.word(tags::LENS_SEGMENT_TYPE, &["PROGRESSIVE", "NONPROGRESSIVE"])?;
        let transmittance = node.number(tags::OPTICAL_TRANSMITTANCE)?;
        let channel = node.number(tags::CHANNEL_WIDTH)?;
        let mut others = vec![];
        others.extend(segment.map(|word| part("segment type", word, None)));
        others.extend(
            transmittance.map(|sent| part("optical transmittance", &sent.text, Some("percent"))),
        );
        others.extend(channel.map(|sent| part("channel width", &sent.text, Some(MILLIMETRES))));
        powers.lensometry(root, eye, lens_type.as_deref(), into);
        if let Some(test) = text_test("LEN", "lens", others) {
            into.add(eye, Measured::OtherTest(test));
        }
    }
    Ok(())
}

fn pupil(diameter_mm: Hundredths) -> Measured {
    Measured::PupilSize(PupilSize { diameter_mm, state_as_sent: None })
}

fn cornea(diameter_mm: Hundredths) -> Measured {
    Measured::CornealSize(CornealSize { diameter_mm })
}

fn size(
    root: Node,
    eye: Eye,
    sent: Option<Num>,
    (name, measured): (&str, fn(Hundredths) -> Measured),
    into: &mut Found,
) {
    let Some(sent) = sent else { return };
    into.add(
        eye,
        match sent.value {
            Some(value) => measured(value),
            None => {
                kept_as_text(root, eye, name);
                Measured::OtherTest(OtherTest::one(name, name, &sent.text, Some(MILLIMETRES)))
            }
        },
    );
}

/// Distances of both eyes stand beside the eyes, in millimetres.
fn pupillary_distance(root: Node, into: &mut Found) -> Result<(), DecodeError> {
    let mut distance = PupillaryDistance::default();
    let mut texts: Vec<OtherValue> = vec![];
    let mut read = |tag: Tag, name: &str, slot: Option<&mut Option<Hundredths>>| {
        let Some(sent) = root.number(tag)? else { return Ok::<(), DecodeError>(()) };
        match (slot, sent.value) {
            (Some(slot), Some(value)) => *slot = Some(value),
            _ => texts.push(part(name, &sent.text, Some(MILLIMETRES))),
        }
        Ok(())
    };
    read(tags::DISTANCE_PUPILLARY_DISTANCE, "far", Some(&mut distance.far_mm))?;
    read(tags::NEAR_PUPILLARY_DISTANCE, "near", Some(&mut distance.near_mm))?;
    read(tags::INTERMEDIATE_PUPILLARY_DISTANCE, "intermediate", None)?;
    read(tags::OTHER_PUPILLARY_DISTANCE, "other", None)?;
    if distance != PupillaryDistance::default() {
        into.add(Eye::Both, Measured::PupillaryDistance(distance));
    }
    if let Some(test) = text_test("PD", "pupillary distance", texts) {
        let what = "a pupillary distance is kept as text: neither far nor near, or finer than \
                    hundredths";
        root.tree().flag(FlagCode::Unusual, what);
        into.add(Eye::Both, Measured::OtherTest(test));
    }
    Ok(())
}

/// What refracts, as sent.
struct Powers {
    sphere: Num,
    cylinder: Option<(Num, Num)>,
    prism: Option<SentPrism>,
    add_near: Option<Num>,
    /// Additions for which there is no place, with their distances: text.
    other_adds: Vec<OtherValue>,
}

struct SentPrism {
    horizontal: (Num, Base),
    vertical: (Num, Base),
}

impl Powers {
    fn read(node: Node) -> Result<Self, DecodeError> {
        let sphere = node.needed(tags::SPHERE_POWER)?;
        let cylinder = match node.one(tags::CYLINDER_SEQUENCE)? {
            Some(item) => {
                let power = item.needed(tags::CYLINDER_POWER)?;
                let axis = item.needed(tags::CYLINDER_AXIS)?;
                if !axis.is_axis() {
                    let what = "not within 0 to 180 degrees";
                    return Err(item.malformed(tags::CYLINDER_AXIS, what));
                }
                Some((power, axis))
            }
            None => None,
        };
        let mut other_adds = vec![];
        let add_near = add(node, tags::ADD_NEAR_SEQUENCE, "near", &mut other_adds)?;
        for (tag, name) in
            [(tags::ADD_INTERMEDIATE_SEQUENCE, "intermediate"), (tags::ADD_OTHER_SEQUENCE, "other")]
        {
            let sent = add(node, tag, name, &mut other_adds)?;
            let name = format!("{name} addition");
            other_adds.extend(sent.map(|sent| part(&name, &sent.text, Some(DIOPTRES))));
        }
        let prism = node.one(tags::PRISM_SEQUENCE)?.map(prism).transpose()?;
        Ok(Self { sphere, cylinder, prism, add_near, other_adds })
    }

    /// Sphere, cylinder and axis, if they all fit.
    fn value(&self) -> Option<RefractionValue> {
        let (cylinder, axis_deg) = match &self.cylinder {
            Some((power, axis)) => (power.value?, Some(whole_degrees(axis)?)),
            None => (Hundredths::ZERO, None),
        };
        let sphere = self.sphere.value?;
        Some(RefractionValue { sphere, cylinder, axis_deg, spherical_equivalent: None })
    }

    fn as_text(&self) -> Vec<OtherValue> {
        let mut parts = vec![part("sphere", &self.sphere.text, Some(DIOPTRES))];
        if let Some((power, axis)) = &self.cylinder {
            parts.push(part("cylinder", &power.text, Some(DIOPTRES)));
            parts.push(part("axis", &axis.text, Some("deg")));
        }
        parts
    }

    /// Addition and prism, as values where they fit.
    fn beside(&self, root: Node, eye: Eye, into: &mut Found) -> (Option<Dioptres>, Option<Prism>) {
        let mut texts = self.other_adds.clone();
        // An addition for another distance is one that a person has to look for.
        if texts.iter().any(|it| it.unit.as_deref() == Some(DIOPTRES)) {
            let what = format!("{} addition for another distance is text", eye.abbreviation());
            root.tree().flag(FlagCode::Unusual, what);
        }
        let add = self.add_near.as_ref().and_then(|sent| {
            if sent.value.is_none() {
                kept_as_text(root, eye, "near addition");
                texts.push(part("near addition", &sent.text, Some(DIOPTRES)));
            }
            sent.value
        });
        let prism = self.prism.as_ref().and_then(|sent| {
            let value = sent.value();
            if value.is_none() {
                kept_as_text(root, eye, "prism");
                texts.extend(sent.as_text());
            }
            value
        });
        if let Some(test) = text_test("ADD", "additions and prism", texts) {
            into.add(eye, Measured::OtherTest(test));
        }
        (add, prism)
    }

    fn refraction(
        &self,
        root: Node,
        eye: Eye,
        kind: RefractionKind,
        vertex: Option<Num>,
        into: &mut Found,
    ) {
        let mut own = Found { measurements: vec![] };
        let (add, prism) = self.beside(root, eye, &mut own);
        let value = self.value();
        // A distance without the refraction that it belongs to would stand there by itself.
        let vertex_distance_mm =
            vertex.as_ref().and_then(|sent| sent.value).filter(|_| value.is_some());
        let mut texts = vec![];
        if value.is_none() {
            texts = self.as_text();
        }
        if let (Some(sent), None) = (&vertex, vertex_distance_mm) {
            texts.push(part("vertex distance", &sent.text, Some(MILLIMETRES)));
        }
        if let Some(test) = text_test("REF", "refraction", texts) {
            kept_as_text(root, eye, "refraction");
            own.add(eye, Measured::OtherTest(test));
        }
        let refraction = Refraction {
            vertex_distance_mm,
            representative: value.map(|value| Representative { label: RESULT.into(), value }),
            add,
            prism,
            ..Refraction::new(kind)
        };
        if refraction != Refraction::new(kind) {
            into.add(eye, Measured::Refraction(refraction));
        }
        into.measurements.append(&mut own.measurements);
    }

    fn lensometry(&self, root: Node, eye: Eye, lens_type: Option<&str>, into: &mut Found) {
        let mut own = Found { measurements: vec![] };
        let (add, prism) = self.beside(root, eye, &mut own);
        let value = self.value();
        if value.is_none() {
            kept_as_text(root, eye, "lens");
            if let Some(test) = text_test("LENS", "lens power", self.as_text()) {
                own.add(eye, Measured::OtherTest(test));
            }
        }
        let lens = Lensometry {
            sphere: value.map(|value| value.sphere),
            // A lens without a cylinder was sent without one, and not with one of zero.
            cylinder: value.filter(|_| self.cylinder.is_some()).map(|value| value.cylinder),
            axis_deg: value.and_then(|value| value.axis_deg),
            add,
            prism,
            lens_type: lens_type.map(str::to_owned),
            ..Lensometry::default()
        };
        if lens != Lensometry::default() {
            into.add(eye, Measured::Lensometry(lens));
        }
        into.measurements.append(&mut own.measurements);
    }
}

impl SentPrism {
    fn value(&self) -> Option<Prism> {
        let component = |(sent, base): &(Num, Base)| -> Option<PrismComponent> {
            Some(PrismComponent { amount: sent.value?, base: *base })
        };
        Some(Prism {
            horizontal: Some(component(&self.horizontal)?),
            vertical: Some(component(&self.vertical)?),
            ..Prism::default()
        })
    }

    fn as_text(&self) -> [OtherValue; 2] {
        let text = |(sent, base): &(Num, Base)| {
            let name = match base {
                Base::In => "prism base in",
                Base::Out => "prism base out",
                Base::Up => "prism base up",
                Base::Down => "prism base down",
                Base::Unverified => "prism",
            };
            part(name, &sent.text, Some(PRISM_DIOPTRES))
        };
        [text(&self.horizontal), text(&self.vertical)]
    }
}

/// The only whole number of degrees that this is.
pub(super) fn whole_degrees(axis: &Num) -> Option<i16> {
    let hundredths = axis.value?.0;
    (hundredths % 100 == 0).then(|| i16::try_from(hundredths / 100).ok()).flatten()
}

fn prism(item: Node) -> Result<SentPrism, DecodeError> {
    let component = |power: Tag, base: Tag, words: [&'static str; 2], bases: [Base; 2]| {
        let sent = item.needed(power)?;
        if sent.to_f64() < 0.0 {
            return Err(item.malformed(power, "a prism has a base and no sign"));
        }
        let word = item.need(base, item.word(base, &words)?)?;
        Ok((sent, if word == words[0] { bases[0] } else { bases[1] }))
    };
    Ok(SentPrism {
        horizontal: component(
            tags::HORIZONTAL_PRISM_POWER,
            tags::HORIZONTAL_PRISM_BASE,
            ["IN", "OUT"],
            [Base::In, Base::Out],
        )?,
        vertical: component(
            tags::VERTICAL_PRISM_POWER,
            tags::VERTICAL_PRISM_BASE,
            ["UP", "DOWN"],
            [Base::Up, Base::Down],
        )?,
    })
}

/// An addition; for which distance it is becomes text, for a reading has no place for it.
fn add(
    node: Node,
    tag: Tag,
    name: &str,
    texts: &mut Vec<OtherValue>,
) -> Result<Option<Num>, DecodeError> {
    let Some(item) = node.one(tag)? else { return Ok(None) };
    if let Some(distance) = item.number(tags::VIEWING_DISTANCE)? {
        let name = format!("viewing distance of the {name} addition");
        texts.push(part(&name, &distance.text, Some("cm")));
    }
    item.needed(tags::ADD_POWER).map(Some)
}
