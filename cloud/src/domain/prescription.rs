//! What people write as a refraction: the subjective one and the final prescription. Numbers are
//! kept in the notation in which they were written (R6).

mod form;

use super::{optics::Power, sample::Lens};
use chiasm_proto::{Base, Dioptres, Eye, Hundredths, PrismComponent, RefractionValue};
use serde::{Deserialize, Serialize};
use std::fmt;

pub use form::{ACUITIES, Draft, FieldFault, acuities, is_field, read, typed};

/// Largest sphere either way, in dioptres.
pub const SPHERE_MAX: Dioptres = Hundredths::whole(30);
/// Largest cylinder either way, in dioptres.
pub const CYLINDER_MAX: Dioptres = Hundredths::whole(15);
/// An addition is at least this much, and at most [`ADD_MAX`], in dioptres.
pub const ADD_MIN: Dioptres = Hundredths(25);
pub const ADD_MAX: Dioptres = Hundredths::whole(4);
/// Largest prism of one direction, in prism dioptres.
pub const PRISM_MAX: Dioptres = Hundredths::whole(30);
/// Largest vertex distance, in millimetres. 0 is the plane of a contact lens.
pub const VERTEX_DISTANCE_MAX: Hundredths = Hundredths::whole(20);
/// Longest acuity, in characters: `20/40-2`, `CF at 1 m`.
pub const ACUITY_LEN_MAX: usize = 16;
/// Longest note of a prescription, in characters.
pub const NOTE_LEN_MAX: usize = 500;

/// A refraction of both eyes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prescription {
    pub right: EyeRx,
    pub left: EyeRx,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub both_acuity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vertex_distance_mm: Option<Hundredths>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub based_on: Option<BasedOn>,
}

/// What a final prescription was taken over from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BasedOn {
    pub subjective_version: i64,
    /// Autorefractions with which the subjective refraction began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<String>,
}

/// One eye.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EyeRx {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sphere: Option<Dioptres>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cylinder: Option<Dioptres>,
    /// 1 to 180; there exactly when there is a cylinder other than 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub axis_deg: Option<i16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add: Option<Dioptres>,
    /// Base in or out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prism_horizontal: Option<PrismComponent>,
    /// Base up or down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prism_vertical: Option<PrismComponent>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub acuity: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub near_acuity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_ar: Option<FromAr>,
}

/// An eye that began with the autorefractor's value (D5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromAr {
    pub reading_id: String,
    /// The reading's version of that moment.
    pub reading_version: i64,
    /// What nobody has refined or confirmed.
    pub untouched: Vec<Field>,
}

/// What can come from an autorefractor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    Sphere,
    Cylinder,
    Axis,
}

impl Field {
    pub fn label(self) -> &'static str {
        match self {
            Field::Sphere => "sphere",
            Field::Cylinder => "cylinder",
            Field::Axis => "axis",
        }
    }
}

impl EyeRx {
    /// Whether nothing of a lens is written.
    pub fn is_empty(&self) -> bool {
        self.sphere.is_none()
            && self.cylinder.is_none()
            && self.add.is_none()
            && self.prism_horizontal.is_none()
            && self.prism_vertical.is_none()
    }
    /// The lens for computing with it; none where no sphere is written.
    pub fn lens(&self, vertex_distance_mm: Option<Hundredths>) -> Option<Lens> {
        let cylinder = self.cylinder.unwrap_or_default();
        let power = Power::new(self.sphere?, cylinder, self.axis_deg);
        Some(Lens { power, add: self.add, vertex_distance_mm })
    }
    /// What still is the autorefractor's.
    pub fn untouched(&self) -> &[Field] {
        self.from_ar.as_ref().map_or(&[], |from| &from.untouched)
    }
    pub fn is_untouched(&self, field: Field) -> bool {
        self.untouched().contains(&field)
    }
    /// Whether something of a lens is written that is not the autorefractor's as it came.
    pub fn has_refined(&self) -> bool {
        let of_ar = [
            (self.sphere.is_some(), Field::Sphere),
            (self.cylinder.is_some(), Field::Cylinder),
            (self.axis_deg.is_some(), Field::Axis),
        ];
        let is_refined = |(is_there, field): (bool, Field)| is_there && !self.is_untouched(field);
        let has_more =
            self.add.is_some() || self.prism_horizontal.is_some() || self.prism_vertical.is_some();
        has_more || of_ar.into_iter().any(is_refined)
    }
    fn has_same(&self, other: &EyeRx, field: Field) -> bool {
        match field {
            Field::Sphere => self.sphere == other.sphere,
            Field::Cylinder => self.cylinder == other.cylinder,
            Field::Axis => self.axis_deg == other.axis_deg,
        }
    }
    /// `sphere and axis`.
    pub fn untouched_words(&self) -> String {
        let words: Vec<&str> = self.untouched().iter().map(|field| field.label()).collect();
        match &words[..] {
            [] => String::new(),
            [one] => (*one).to_owned(),
            [first @ .., last] => format!("{} and {last}", first.join(", ")),
        }
    }
}

/// `-2.25 -0.75 × 178 add +2.00, prism 2.50 in, 2.00 down`.
impl fmt::Display for EyeRx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        let sphere = self.sphere.map_or_else(|| "no sphere".into(), |it| format!("{it:+}"));
        f.write_str(&sphere)?;
        if let Some(cylinder) = self.cylinder.filter(|it| !it.is_zero()) {
            write!(f, " {cylinder:+}")?;
        }
        if let Some(axis) = self.axis_deg {
            write!(f, " \u{d7} {axis:03}")?;
        }
        if let Some(add) = self.add {
            write!(f, " add {add:+}")?;
        }
        let prisms = [self.prism_horizontal, self.prism_vertical];
        for (index, prism) in prisms.into_iter().flatten().enumerate() {
            let before = if index == 0 { " prism" } else { "," };
            write!(f, "{before} {} {}", prism.amount, base_word(prism.base))?;
        }
        Ok(())
    }
}

pub fn base_word(base: Base) -> &'static str {
    match base {
        Base::In => "in",
        Base::Out => "out",
        Base::Up => "up",
        Base::Down => "down",
        Base::Unverified => "direction not documented",
    }
}

/// Where a base lies for whoever looks at the patient, in degrees. In and out are each eye's own
/// and never mirrored by a sign (R24): in is 0 on the right eye and 180 on the left.
pub fn base_deg(eye: Eye, base: Base) -> Option<i16> {
    match (base, eye) {
        (Base::Up, _) => Some(90),
        (Base::Down, _) => Some(270),
        (Base::In, Eye::Right) | (Base::Out, Eye::Left) => Some(0),
        (Base::Out, Eye::Right) | (Base::In, Eye::Left) => Some(180),
        _ => None,
    }
}

impl Prescription {
    pub fn eye(&self, eye: Eye) -> Option<&EyeRx> {
        match eye {
            Eye::Right => Some(&self.right),
            Eye::Left => Some(&self.left),
            Eye::Both | Eye::NotGiven => None,
        }
    }
    pub fn eye_mut(&mut self, eye: Eye) -> Option<&mut EyeRx> {
        match eye {
            Eye::Right => Some(&mut self.right),
            Eye::Left => Some(&mut self.left),
            Eye::Both | Eye::NotGiven => None,
        }
    }
    pub fn is_empty(&self) -> bool {
        self.right.is_empty() && self.left.is_empty()
    }

    /// Eyes with values that nobody has refined, in words: `OD: sphere and axis`.
    pub fn untouched(&self) -> Vec<String> {
        [(Eye::Right, &self.right), (Eye::Left, &self.left)]
            .into_iter()
            .filter(|(_, rx)| !rx.untouched().is_empty())
            .map(|(eye, rx)| format!("{}: {}", eye.abbreviation(), rx.untouched_words()))
            .collect()
    }

    /// Keeps the mark of the autorefractor on what was not touched since `before`. A field is
    /// touched by another value, or when a person says that the eye is refined.
    pub fn carry_origin(&mut self, before: &Prescription, is_refined: impl Fn(Eye) -> bool) {
        for eye in [Eye::Right, Eye::Left] {
            let (Some(old), Some(new)) = (before.eye(eye), self.eye_mut(eye)) else { continue };
            let Some(mut from) = old.from_ar.clone().filter(|_| !new.is_empty()) else { continue };
            from.untouched.retain(|field| !is_refined(eye) && new.has_same(old, *field));
            new.from_ar = Some(from);
        }
    }

    /// Puts the autorefractor's value of an eye as a start (D5). Addition, prism and acuity of the
    /// eye stay as they are.
    pub fn start_from(&mut self, eye: Eye, value: RefractionValue, reading: (&str, i64)) {
        let Some(rx) = self.eye_mut(eye) else { return };
        rx.sphere = Some(value.sphere);
        rx.cylinder = Some(value.cylinder);
        let axis = value.axis_deg.map(|axis| if axis == 0 { 180 } else { axis });
        rx.axis_deg = axis.filter(|_| !value.cylinder.is_zero());
        let mut untouched = vec![Field::Sphere, Field::Cylinder];
        untouched.extend(rx.axis_deg.map(|_| Field::Axis));
        let (reading_id, reading_version) = (reading.0.to_owned(), reading.1);
        rx.from_ar = Some(FromAr { reading_id, reading_version, untouched });
    }

    /// A final prescription with the values of this subjective refraction; refused, with the eyes,
    /// while something of the autorefractor is untouched.
    pub fn to_final(&self, version: i64) -> Result<Prescription, Vec<String>> {
        let untouched = self.untouched();
        if !untouched.is_empty() {
            return Err(untouched);
        }
        let mut readings: Vec<String> = [&self.right, &self.left]
            .into_iter()
            .filter_map(|rx| rx.from_ar.as_ref().map(|from| from.reading_id.clone()))
            .collect();
        readings.dedup();
        let mut it = self.clone();
        it.right.from_ar = None;
        it.left.from_ar = None;
        it.based_on = Some(BasedOn { subjective_version: version, readings });
        Ok(it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ar(sphere: i32, cylinder: i32, axis: Option<i16>) -> RefractionValue {
        RefractionValue {
            sphere: Hundredths(sphere),
            cylinder: Hundredths(cylinder),
            axis_deg: axis,
            spherical_equivalent: None,
        }
    }

    #[test]
    fn d5_a_start_is_marked_until_it_is_touched() {
        let mut start = Prescription::default();
        start.start_from(Eye::Right, ar(-225, -75, Some(0)), ("r1", 2));
        assert_eq!(start.right.axis_deg, Some(180), "R7: 0 is 180");
        assert_eq!(start.untouched(), ["OD: sphere, cylinder and axis"]);
        assert_eq!(start.to_final(1), Err(vec!["OD: sphere, cylinder and axis".into()]));
        let mut refined = start.clone();
        refined.right.from_ar = None;
        refined.right.sphere = Some(Hundredths(-200));
        refined.carry_origin(&start, |_| false);
        assert_eq!(refined.untouched(), ["OD: cylinder and axis"]);
        // What was touched stays touched, whatever is written later.
        let mut back = start.clone();
        back.right.from_ar = None;
        back.carry_origin(&refined, |_| false);
        assert_eq!(back.untouched(), ["OD: cylinder and axis"]);
        let mut confirmed = refined.clone();
        confirmed.right.from_ar = None;
        confirmed.carry_origin(&refined, |eye| eye == Eye::Right);
        let done = confirmed.to_final(3).unwrap();
        assert_eq!(done.right.from_ar, None);
        let based_on = done.based_on.unwrap();
        assert_eq!((based_on.subjective_version, based_on.readings), (3, vec!["r1".into()]));
    }

    #[test]
    fn a_sphere_alone_has_no_axis() {
        let mut start = Prescription::default();
        start.start_from(Eye::Left, ar(100, 0, Some(0)), ("r", 1));
        assert_eq!(start.left.axis_deg, None);
        assert_eq!(start.untouched(), ["OS: sphere and cylinder"]);
    }

    #[test]
    fn r24_the_base_is_each_eyes_own() {
        assert_eq!(base_deg(Eye::Right, Base::In), Some(0));
        assert_eq!(base_deg(Eye::Left, Base::In), Some(180));
        assert_eq!(base_deg(Eye::Left, Base::Out), Some(0));
        assert_eq!(base_deg(Eye::Left, Base::Up), base_deg(Eye::Right, Base::Up));
        assert_eq!(base_deg(Eye::NotGiven, Base::In), None);
    }
}
