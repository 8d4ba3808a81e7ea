//! `Phoropter/Corrected`: one set of powers with its acuities.
//!
//! | attribute or element | content |
//! |---|---|
//! | `@CorrectionType` | `LM_Base` worn, `REF_Base` objective, `Full`, `Best` (final) |
//! | `@Vision` | `Distant` or `Near` |
//! | `@Situation` | `Standard` or `Night` |
//! | `VD`, `WorkingDistance` | mm, cm |
//! | `SatisfactionLevel@MaxLevel`, `Satisfaction` | what the patient says of it |
//! | `R`, `L` | `Sphere Cylinder Axis ADD ADD2`, prism, `VA ADDVA PHVA LIVA`, half a `PD` |
//! | `B` | `VA ADDVA PHVA LIVA`, the whole `PD` |

use super::values::{CENTIMETRES, DIOPTRES, EYES, MILLIMETRES, any_number, degrees, number};
use crate::{
    DecodeError,
    format::xml::values::cylinder_mode,
    format::{
        fields::Number,
        xml::{El, values::axis_beside},
    },
    makers::nidek_xml::prism,
};
use chiasm_proto::{
    AcuityCondition, Correction, Eye, FlagCode, Hundredths, Lensometry, Light, Measured,
    Measurement, OtherTest, OtherValue, Prism, PupillaryDistance, Refraction, RefractionKind,
    RefractionValue, Representative, Vision, VisualAcuity,
};

/// A refractor declares one value for each eye and gives it no name.
const RESULT: &str = "result";
/// Known and of no use here: the set's name in the user's language.
const UNUSED: [&str; 1] = ["DisplayName"];
const ACUITIES: [(&str, AcuityCondition); 4] = [
    ("VA", AcuityCondition::Standard),
    ("ADDVA", AcuityCondition::WithAddition),
    ("PHVA", AcuityCondition::Pinhole),
    ("LIVA", AcuityCondition::Low),
];

/// What the powers of a set are.
#[derive(Clone, Copy)]
enum Content {
    Refraction(RefractionKind),
    Lens,
}

/// A set while it is read.
struct Set<'s> {
    name: String,
    content: Content,
    correction: Correction,
    /// Its powers were measured by another instrument.
    is_relayed: bool,
    vision: Vision,
    /// What holds for both eyes.
    conditions: Refraction,
    distance: PupillaryDistance,
    into: &'s mut Vec<Measurement>,
}

pub fn decode(phoropter: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    let mut conditions = Refraction::new(RefractionKind::Subjective);
    conditions.dioptre_step = number(phoropter, "DiopterStep", DIOPTRES)?;
    conditions.axis_step_deg =
        degrees(phoropter, "AxisStep")?.and_then(|step| u16::try_from(step).ok());
    conditions.cylinder_mode = cylinder_mode(phoropter, "CylinderMode");
    for el in phoropter.peek_all("Corrected") {
        let Some(mut set) = set(el, &conditions, into) else { continue }; // stays text
        el.mark_entered();
        set.read(el)?;
    }
    Ok(())
}

/// Which set it is, if it is one that is read.
fn set<'s>(el: El, conditions: &Refraction, into: &'s mut Vec<Measurement>) -> Option<Set<'s>> {
    let attribute = |name: &str| el.node().attribute(name).map_or("", str::trim);
    let refraction = Content::Refraction;
    let (content, correction, is_relayed) = match attribute("CorrectionType") {
        "LM_Base" => (Content::Lens, Correction::Wearing, true),
        "REF_Base" => (refraction(RefractionKind::Autorefraction), Correction::Objective, true),
        "Full" => (refraction(RefractionKind::Subjective), Correction::Subjective, false),
        "Best" => (refraction(RefractionKind::Final), Correction::Final, false),
        _ => return None,
    };
    let vision = match attribute("Vision").to_ascii_lowercase().as_str() {
        "distant" => Vision::Far,
        "near" => Vision::Near,
        _ => return None,
    };
    let (light, name) = match attribute("Situation").to_ascii_lowercase().as_str() {
        "standard" => (Light::Day, attribute("CorrectionType").to_owned()),
        // Acuities have no light of their own: their set's name says it.
        "night" => (Light::Night, format!("{} Night", attribute("CorrectionType"))),
        _ => return None,
    };
    let conditions = Refraction { vision, light, ..conditions.clone() };
    let distance = PupillaryDistance::default();
    Some(Set { name, content, correction, is_relayed, vision, conditions, distance, into })
}

impl Set<'_> {
    fn add(&mut self, measurement: Measurement, is_relayed: bool) {
        let measurement = measurement.in_set(&self.name);
        self.into.push(if is_relayed { measurement.relayed() } else { measurement });
    }

    fn read(&mut self, el: El) -> Result<(), DecodeError> {
        el.ignore(UNUSED);
        self.conditions.vertex_distance_mm = number(el, "VD", MILLIMETRES)?;
        match any_number(el, "WorkingDistance", CENTIMETRES)? {
            Some(Number::Hundredths(distance)) => {
                self.conditions.working_distance_cm = Some(distance);
            }
            Some(Number::Finer(text)) => {
                let test = OtherTest::one("WorkingDistance", "working distance", &text, Some("cm"));
                let measured = Measured::OtherTest(test);
                self.add(Measurement::without_token(Eye::Both, measured), false);
            }
            None => {}
        }
        for (eye, token) in EYES {
            for side in el.enter_all(token) {
                self.powers(side, eye, token)?;
                self.acuities(side, eye, token);
                let half = self.pupillary_distance(side)?;
                let distance = &mut self.distance;
                let slot = match (self.vision, eye) {
                    (Vision::Far, Eye::Right) => &mut distance.right_mm,
                    (Vision::Far, _) => &mut distance.left_mm,
                    (Vision::Near, Eye::Right) => &mut distance.near_right_mm,
                    (Vision::Near, _) => &mut distance.near_left_mm,
                };
                *slot = half.or(*slot);
            }
        }
        for both in el.enter_all("B") {
            self.acuities(both, Eye::Both, "B");
            let whole = self.pupillary_distance(both)?;
            let slot = match self.vision {
                Vision::Far => &mut self.distance.far_mm,
                Vision::Near => &mut self.distance.near_mm,
            };
            *slot = whole.or(*slot);
        }
        if self.distance != PupillaryDistance::default() {
            if self.vision == Vision::Near {
                self.distance.working_distance_cm = self.conditions.working_distance_cm;
            }
            let measured = Measured::PupillaryDistance(self.distance);
            self.add(Measurement::without_token(Eye::Both, measured), self.is_relayed);
        }
        self.satisfaction(el);
        Ok(())
    }

    fn powers(&mut self, side: El, eye: Eye, token: &str) -> Result<(), DecodeError> {
        let sphere = number(side, "Sphere", DIOPTRES)?;
        let cylinder = number(side, "Cylinder", DIOPTRES)?;
        let axis_deg = axis_beside(side, cylinder, degrees(side, "Axis")?)?;
        let add = number(side, "ADD", DIOPTRES)?;
        let add2_as_sent = side.peek("ADD2").map_or("", El::text);
        let add2 = number(side, "ADD2", DIOPTRES)?;
        let prism = prism(side)?;
        if sphere.is_some() != cylinder.is_some() {
            return Err(side.malformed("sphere and cylinder are not complete"));
        }
        let numbers = [sphere, add, add2];
        if numbers.iter().all(Option::is_none) && prism.is_none() {
            return Ok(()); // not tested
        }
        let kind = match self.content {
            Content::Refraction(kind) => kind,
            Content::Lens => {
                let (sphere, near_sphere) = match self.vision {
                    Vision::Far => (sphere, None),
                    Vision::Near => (None, sphere),
                };
                let lens = Lensometry {
                    sphere,
                    near_sphere,
                    cylinder,
                    axis_deg,
                    cylinder_mode: self.conditions.cylinder_mode,
                    dioptre_step: self.conditions.dioptre_step,
                    add,
                    add2,
                    prism,
                    ..Lensometry::default()
                };
                let measured = Measured::Lensometry(lens);
                self.add(Measurement::of(eye, token, measured), self.is_relayed);
                return Ok(());
            }
        };
        let value = sphere.zip(cylinder).map(|(sphere, cylinder)| RefractionValue {
            sphere,
            cylinder,
            axis_deg,
            spherical_equivalent: None,
        });
        let measured = Measured::Refraction(Refraction {
            kind,
            representative: value.map(|value| Representative { label: RESULT.into(), value }),
            add,
            prism,
            ..self.conditions.clone()
        });
        self.add(Measurement::of(eye, token, measured), self.is_relayed);
        if add2.is_some() {
            let test = OtherTest::one("ADD2", "second addition", add2_as_sent, Some("D"));
            let measured = Measured::OtherTest(test);
            self.add(Measurement::of(eye, token, measured), self.is_relayed);
        }
        Ok(())
    }

    /// Acuities are taken here, whoever measured the lenses.
    fn acuities(&mut self, side: El, eye: Eye, token: &str) {
        for (name, condition) in ACUITIES {
            let Some(as_sent) = side.text_of(name) else { continue };
            let measured = Measured::VisualAcuity(VisualAcuity {
                correction: self.correction,
                vision: self.vision,
                condition,
                as_sent,
                letters_as_sent: None,
                notation: None,
            });
            self.add(Measurement::of(eye, token, measured), false);
        }
    }

    fn pupillary_distance(&mut self, side: El) -> Result<Option<Hundredths>, DecodeError> {
        let distance = number(side, "PD", MILLIMETRES)?;
        if distance.is_some_and(Hundredths::is_zero) {
            let what = "a pupillary distance of zero counts as not measured";
            side.tree().flag(FlagCode::Unusual, what);
        }
        Ok(distance.filter(|distance| !distance.is_zero()))
    }

    fn satisfaction(&mut self, el: El) {
        let part = |name: &str, as_sent: &str| OtherValue {
            name: name.into(),
            as_sent: as_sent.into(),
            unit: None,
        };
        let mut values = vec![];
        if let Some(level) = el.leaf("SatisfactionLevel") {
            values.push(part("level", level.text()));
            let highest = level.node().attribute("MaxLevel").map_or("", str::trim);
            if !highest.is_empty() {
                values.push(part("highest level", highest));
            }
        }
        if let Some(word) = el.text_of("Satisfaction") {
            values.push(part("satisfied", &word));
        }
        if !values.is_empty() {
            let name = "the patient's satisfaction".into();
            let test = OtherTest { code: "Satisfaction".into(), name, values };
            self.add(Measurement::without_token(Eye::Both, Measured::OtherTest(test)), false);
        }
    }
}

/// As on a lensmeter, but here a base of a negative amount refuses the document.
fn prism(side: El) -> Result<Option<Prism>, DecodeError> {
    for leaf in ["PrismX", "PrismY"].into_iter().filter_map(|name| side.peek(name)) {
        let base = leaf.node().attribute("base").map_or("", str::trim);
        if !base.is_empty() && leaf.text().starts_with('-') {
            return Err(leaf.malformed("a base of a negative amount"));
        }
    }
    prism::prism(side)
}
