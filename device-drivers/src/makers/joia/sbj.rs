//! `nsSBJ:Measure`: subjective refraction, as the refractors CV-5000 and CV-5000S and the KR-800S
//! write it.
//!
//! | under `RefractionTest/Type` | content |
//! |---|---|
//! | `TypeName` | which set: see [`SETS`]. `Type/@No` is renumbered in exports and says nothing |
//! | `ExamDistance/@No` | 1 far, 2 near |
//! | `…/Distance` | cm, `500.000`; `0.000` is a block that was not used |
//! | `…/RefractionData/{R,L}` | `Sph Cyl Axis`, prism as `HPri HBase VPri VBase` or `Prism Angle` |
//! | `…/RefractionData/VD` | mm |
//! | `…/VA/{R,L,B}`, `…/PD/{R,L,B}` | acuity in the notation of its `unit`; mm |
//! | `…/ContrastVA/Rate`, `…/GlareVA/Type` | acuities of a KR-800S, mostly empty |
//!
//! There is no addition in the format and none is computed from the two spheres. Binocular tests
//! (`BinoVisionTest`, `US21test`) and sets of other names stay as text.

mod eye;

use super::{ns::Ns, values::EYES};
use crate::{
    DecodeError,
    format::{
        fields::{Field, Number},
        xml::{
            El, Node,
            values::{CENTIMETRES, MILLIMETRES, number},
        },
    },
};
use chiasm_proto::{
    AcuityCondition, Correction, Eye, FlagCode, Hundredths, Lensometry, Light, Measured,
    Measurement, OtherTest, OtherValue, PupillaryDistance, Refraction, RefractionKind,
    Representative, Vision, VisualAcuity,
};

const NS: Ns = Ns::Sbj;
/// The tokens of an acuity or a distance: both eyes by themselves and together.
const ALL_EYES: [(Eye, &str); 3] = [EYES[0], EYES[1], (Eye::Both, "B")];
/// A refractor declares one value for each eye and gives it no name.
const RESULT: &str = "result";

/// What the powers of a set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Refraction(RefractionKind),
    /// What the patient wears, from a lensmeter.
    Lens,
    /// No lens stood before the eye: there is an acuity and nothing else.
    Acuity,
}

/// One kind of set.
struct SetKind {
    type_name: &'static str,
    content: Content,
    /// With what the acuity was taken.
    correction: Correction,
    /// Its powers were measured by another instrument, or by the same one in another `Measure`.
    is_relayed: bool,
    light: Light,
}

impl SetKind {
    const fn at_night(self) -> Self {
        Self { light: Light::Night, ..self }
    }
}

const fn set(
    type_name: &'static str,
    content: Content,
    correction: Correction,
    is_relayed: bool,
) -> SetKind {
    SetKind { type_name, content, correction, is_relayed, light: Light::Day }
}

/// The sets that are read.
#[rustfmt::skip] // one line for each
const SETS: [SetKind; 10] = [
    set("Prescription", Content::Refraction(RefractionKind::Final), Correction::Final, false),
    set("Full Correction", Content::Refraction(RefractionKind::Subjective),
        Correction::Subjective, false),
    set("Unaided Data", Content::Acuity, Correction::Unaided, false),
    set("Objective Data", Content::Refraction(RefractionKind::Autorefraction),
        Correction::Objective, true),
    set("Current Spectacles", Content::Lens, Correction::Wearing, true),
    set("Last Prescription", Content::Refraction(RefractionKind::PreviousPrescription),
        Correction::Corrected, false),
    set("Subj Day Standard", Content::Refraction(RefractionKind::Subjective),
        Correction::Subjective, false),
    set("Subj Day High Precision", Content::Refraction(RefractionKind::Subjective),
        Correction::Subjective, false),
    set("Subj Night Standard", Content::Refraction(RefractionKind::Subjective),
        Correction::Subjective, false).at_night(),
    set("Subj Night High Precision", Content::Refraction(RefractionKind::Subjective),
        Correction::Subjective, false).at_night(),
];

pub fn decode(measure: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    for test in measure.enter_all((NS, "RefractionTest")) {
        for el in test.peek_all((NS, "Type")) {
            let name = el.peek((NS, "TypeName")).map_or("", El::text);
            let known = SETS.iter().find(|kind| kind.type_name.eq_ignore_ascii_case(name));
            let Some(kind) = known else { continue }; // stays text
            el.mark_entered();
            el.text_of((NS, "TypeName"));
            let mut set = Set { name, kind, distance: PupillaryDistance::default(), into };
            set.read(el)?;
        }
    }
    Ok(())
}

/// A set while it is read.
struct Set<'s> {
    /// As sent.
    name: &'s str,
    kind: &'static SetKind,
    distance: PupillaryDistance,
    into: &'s mut Vec<Measurement>,
}

/// At which distance a block was taken.
#[derive(Clone, Copy)]
struct Reach {
    vision: Vision,
    distance_cm: Option<Hundredths>,
}

impl Set<'_> {
    fn read(&mut self, set: El) -> Result<(), DecodeError> {
        let mut seen = [false; 2];
        for block in set.peek_all((NS, "ExamDistance")) {
            let (vision, at) = match block.node().attribute("No").map_or("", str::trim) {
                "1" => (Vision::Far, 0),
                "2" => (Vision::Near, 1),
                _ => continue, // stays text
            };
            if std::mem::replace(&mut seen[at], true) {
                continue; // a second one of the same distance stays text
            }
            self.block(block, vision)?;
        }
        if self.distance != PupillaryDistance::default() {
            let measured = Measured::PupillaryDistance(self.distance);
            let measurement = Measurement::without_token(Eye::Both, measured);
            self.add(measurement, self.kind.is_relayed);
        }
        Ok(())
    }

    fn add(&mut self, measurement: Measurement, is_relayed: bool) {
        let measurement = measurement.in_set(self.name);
        self.into.push(if is_relayed { measurement.relayed() } else { measurement });
    }

    fn block(&mut self, block: El, vision: Vision) -> Result<(), DecodeError> {
        let sent = distance(block)?;
        if sent == Some(Number::Hundredths(Hundredths::ZERO)) {
            // Not used. Powers that stand there nevertheless are left for a person.
            if !holds_values(block.node()) {
                block.ignore_whole();
            }
            return Ok(());
        }
        block.mark_entered();
        let distance_cm = match sent {
            Some(Number::Hundredths(distance)) => Some(distance),
            Some(Number::Finer(text)) => {
                let test =
                    OtherTest::one("Distance", "examination distance", &text, Some(CENTIMETRES));
                let measured = Measured::OtherTest(test);
                self.add(Measurement::without_token(Eye::Both, measured), false);
                None
            }
            None => None,
        };
        let reach = Reach { vision, distance_cm };
        let data = block.enter((NS, "RefractionData"));
        if let Some(data) = data {
            self.powers(data, reach)?;
        }
        // One reader looks for the acuity beside the powers, the files have it beside the block.
        for place in [Some(block), data].into_iter().flatten() {
            self.acuities(place, vision);
            self.graded(place, "ContrastVA", "Rate", "acuity by contrast");
            self.graded(place, "GlareVA", "Type", "acuity under glare");
            self.distances(place, reach)?;
        }
        Ok(())
    }

    fn powers(&mut self, data: El, reach: Reach) -> Result<(), DecodeError> {
        let vertex_distance_mm = number(data, (NS, "VD"), MILLIMETRES)?;
        for (eye, token) in EYES {
            let Some(side) = data.peek((NS, token)) else { continue };
            if self.kind.content == Content::Acuity {
                // Powers of an eye without a lens are left for a person.
                if !holds_values(side.node()) {
                    side.ignore_whole();
                }
                continue;
            }
            side.mark_entered();
            let powers = eye::powers(side)?;
            if powers.value.is_none() && powers.prism.is_none() {
                continue; // not tested
            }
            let measured = match self.kind.content {
                Content::Refraction(kind) => Measured::Refraction(Refraction {
                    light: self.kind.light,
                    vision: reach.vision,
                    vertex_distance_mm,
                    working_distance_cm: reach.distance_cm,
                    representative: powers
                        .value
                        .map(|value| Representative { label: RESULT.into(), value }),
                    prism: powers.prism,
                    ..Refraction::new(kind)
                }),
                _ => Measured::Lensometry(lens(powers, reach.vision)),
            };
            self.add(Measurement::of(eye, token, measured), self.kind.is_relayed);
        }
        Ok(())
    }

    /// Acuities are taken here, whoever measured the lenses.
    fn acuities(&mut self, place: El, vision: Vision) {
        for block in place.enter_all((NS, "VA")) {
            for (eye, token) in ALL_EYES {
                let Some(leaf) = block.leaf((NS, token)) else { continue };
                let measured = Measured::VisualAcuity(VisualAcuity {
                    correction: self.kind.correction,
                    vision,
                    condition: match self.kind.light {
                        Light::Day => AcuityCondition::Standard,
                        Light::Night => AcuityCondition::Low,
                    },
                    as_sent: leaf.text().to_owned(),
                    letters_as_sent: None,
                    notation: notation(leaf),
                });
                self.add(Measurement::of(eye, token, measured), false);
            }
        }
    }

    /// Acuities at several contrasts or under several lights. The acuity's own type has no place
    /// for which one it was, so they stay together as they were sent.
    fn graded(&mut self, place: El, code: &str, name: &str, title: &str) {
        for block in place.enter_all((NS, code)) {
            for step in block.enter_all((NS, name)) {
                let part = |name: &str, as_sent: &str, unit: Option<String>| OtherValue {
                    name: name.into(),
                    as_sent: as_sent.into(),
                    unit,
                };
                let no = step.node().attribute("No").map(str::trim);
                let mut parts: Vec<OtherValue> =
                    no.into_iter().map(|no| part("number", no, None)).collect();
                for (element, name) in [("RateValue", "contrast"), ("TypeName", "kind")] {
                    let text = step.text_of((NS, element));
                    parts.extend(text.map(|text| part(name, &text, None)));
                }
                for (eye, token) in ALL_EYES {
                    let Some(leaf) = step.leaf((NS, token)) else { continue };
                    let acuity = part("acuity", leaf.text(), notation(leaf));
                    let values = parts.iter().cloned().chain([acuity]).collect();
                    let test = OtherTest { code: code.into(), name: title.into(), values };
                    self.add(Measurement::of(eye, token, Measured::OtherTest(test)), false);
                }
            }
        }
    }

    fn distances(&mut self, place: El, reach: Reach) -> Result<(), DecodeError> {
        let distance = &mut self.distance;
        for block in place.enter_all((NS, "PD")) {
            let slots = match reach.vision {
                Vision::Far => {
                    [&mut distance.right_mm, &mut distance.left_mm, &mut distance.far_mm]
                }
                Vision::Near => {
                    [&mut distance.near_right_mm, &mut distance.near_left_mm, &mut distance.near_mm]
                }
            };
            for ((_, token), slot) in ALL_EYES.iter().zip(slots) {
                let Some(sent) = number(block, (NS, *token), MILLIMETRES)? else { continue };
                if sent.is_zero() {
                    let what = "a pupillary distance of zero counts as not measured";
                    block.tree().flag(FlagCode::Unusual, what);
                    continue;
                }
                *slot = Some(sent);
                if reach.vision == Vision::Near {
                    distance.working_distance_cm = reach.distance_cm;
                }
            }
        }
        Ok(())
    }
}

fn notation(leaf: El) -> Option<String> {
    let unit = leaf.node().attribute("unit").map_or("", str::trim);
    (!unit.is_empty()).then(|| unit.to_owned())
}

/// A lens in a frame. What was read through its near part is a near sphere.
fn lens(powers: eye::Powers, vision: Vision) -> Lensometry {
    let (sphere, near_sphere) = match vision {
        Vision::Far => (powers.value.map(|value| value.sphere), None),
        Vision::Near => (None, powers.value.map(|value| value.sphere)),
    };
    Lensometry {
        sphere,
        near_sphere,
        cylinder: powers.value.map(|value| value.cylinder),
        axis_deg: powers.value.and_then(|value| value.axis_deg),
        prism: powers.prism,
        ..Lensometry::default()
    }
}

/// Sent with three decimals, so it may be finer than the types hold.
fn distance(block: El) -> Result<Option<Number>, DecodeError> {
    let Some(leaf) = block.leaf((NS, "Distance")) else { return Ok(None) };
    let unit = leaf.node().attribute("unit").map_or("", str::trim);
    if !unit.is_empty() && !unit.eq_ignore_ascii_case(CENTIMETRES) {
        return Err(leaf.malformed(format!("in another unit than {CENTIMETRES}")));
    }
    let path = leaf.path();
    Field::new(leaf.text(), leaf.node().offset(), &path).number().map(Some)
}

/// Whether powers, acuities or distances stand inside. Bases, angles and axes are filled in for
/// eyes that were not tested as well, and so is a vertex distance; a distance of zero is none.
fn holds_values(node: Node) -> bool {
    match node.local_name() {
        "Sph" | "HPri" | "VPri" | "Prism" if !node.text().is_empty() => true,
        "R" | "L" | "B" if node.text().bytes().any(|byte| matches!(byte, b'1'..=b'9')) => true,
        _ => node.children().any(holds_values),
    }
}
