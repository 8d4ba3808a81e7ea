//! Numbers as this dialect writes them, and where measurements of an eye go.
//!
//! Padded with blanks, signed everywhere, with unit attributes that cannot be believed.

use crate::{
    DecodeError,
    format::{
        fields::{Field, Number},
        xml::{El, Key},
    },
};
use chiasm_proto::{
    Eye, FlagCode, Hundredths, Measured, Measurement, OtherTest, OtherValue, PupillaryDistance,
    RefractionValue,
};

/// The eyes and how the elements' names end.
pub const SIDES: [(Eye, &str); 2] = [(Eye::Right, "right"), (Eye::Left, "left")];
/// Both spellings of half a distance; no element holds a whole one.
pub const HALF_DISTANCE: [&str; 2] = ["half_far_pupillary_distance", "half_far_pupil_distance"];

fn read(leaf: El) -> Result<Number, DecodeError> {
    let field = Field::new(leaf.text(), leaf.node().offset(), "number");
    field.number().map_err(|_| leaf.malformed("not a number"))
}

fn unit(leaf: El) -> Option<String> {
    let unit = leaf.node().attribute("unit")?.trim();
    (!unit.is_empty()).then(|| unit.to_owned())
}

/// A condition of a measurement. One with more decimals than are kept is left unread, so that it
/// stays on the reading as text.
pub fn condition(parent: El, key: impl Key) -> Result<Option<Hundredths>, DecodeError> {
    let Some(leaf) = parent.peek(key).filter(|leaf| !leaf.text().is_empty()) else {
        return Ok(parent.leaf(key).and(None));
    };
    match read(leaf)? {
        Number::Hundredths(number) => {
            leaf.done();
            Ok(Some(number))
        }
        Number::Finer(_) => Ok(None),
    }
}

/// Steps of axis in whole degrees.
pub fn axis_step(parent: El) -> Result<Option<u16>, DecodeError> {
    let step = condition(parent, "axis_step")?;
    Ok(step.filter(|step| step.0 % 100 == 0).and_then(|step| u16::try_from(step.0 / 100).ok()))
}

/// The numbers that make up one value, in their order.
#[derive(Default)]
pub struct Numbers<'t> {
    parts: Vec<(&'static str, El<'t>, Number)>,
}

impl<'t> Numbers<'t> {
    pub fn of(parent: El<'t>, names: &[&'static str]) -> Result<Self, DecodeError> {
        let mut numbers = Self::default();
        for name in names {
            numbers.add(parent, name, name)?;
        }
        Ok(numbers)
    }

    /// The child of this key under a name; nothing if it is empty or absent.
    pub fn add(
        &mut self,
        parent: El<'t>,
        key: &str,
        name: &'static str,
    ) -> Result<(), DecodeError> {
        if let Some(leaf) = parent.leaf(key) {
            self.parts.push((name, leaf, read(leaf)?));
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<Hundredths> {
        let part = self.parts.iter().find(|(known, ..)| *known == name)?;
        match part.2 {
            Number::Hundredths(number) => Some(number),
            Number::Finer(_) => None,
        }
    }

    /// A whole number of degrees.
    pub fn degrees(&self, name: &str) -> Option<i16> {
        self.get(name).and_then(whole)
    }

    /// Whether every number can be kept as one: two decimals, axes in whole degrees.
    pub fn fit(&self) -> bool {
        self.parts.iter().all(|(name, _, number)| match number {
            Number::Hundredths(number) => !name.ends_with("axis") || whole(*number).is_some(),
            Number::Finer(_) => false,
        })
    }

    /// The same as text, for numbers that do not fit: all of them, for one alone is no value.
    pub fn as_text(&self, el: El, code: &str, name: &str) -> Measured {
        kept_as_text(el);
        let value = |(name, leaf, _): &(&str, El, Number)| OtherValue {
            name: (*name).to_owned(),
            as_sent: leaf.text().to_owned(),
            unit: unit(*leaf),
        };
        let values = self.parts.iter().map(value).collect();
        Measured::OtherTest(OtherTest { code: code.into(), name: name.into(), values })
    }

    /// Sphere, cylinder, axis and equivalent. The whole tree is written always: a sphere tells
    /// whether there is a value.
    pub fn refraction(&self, el: El) -> Result<Option<RefractionValue>, DecodeError> {
        let spherical_equivalent = self.get("SE");
        match (self.get("sphere"), self.get("cylinder")) {
            (Some(sphere), Some(cylinder)) => {
                let axis_deg = self.axis_of(cylinder, el);
                Ok(Some(RefractionValue { sphere, cylinder, axis_deg, spherical_equivalent }))
            }
            (None, None) if spherical_equivalent.is_none() => Ok(None),
            _ => Err(el.malformed("sphere, cylinder and equivalent are not complete")),
        }
    }

    /// Without a cylinder there is no axis; with one its absence is told.
    pub fn axis_of(&self, cylinder: Hundredths, el: El) -> Option<i16> {
        let axis = self.degrees("axis").filter(|_| !cylinder.is_zero());
        if axis.is_none() && !cylinder.is_zero() {
            let what = format!("{} has a cylinder without an axis", el.path());
            el.tree().flag(FlagCode::Inconsistent, what);
        }
        axis
    }
}

fn whole(number: Hundredths) -> Option<i16> {
    i16::try_from(number.0 / 100).ok().filter(|_| number.0 % 100 == 0)
}

/// Where the measurements of one eye go.
pub struct Side<'a> {
    pub eye: Eye,
    pub token: &'static str,
    pub into: &'a mut Vec<Measurement>,
}

impl Side<'_> {
    pub fn push(&mut self, set: Option<&str>, measured: Measured) {
        let measurement = Measurement::of(self.eye, self.token, measured);
        self.into.push(match set {
            Some(set) => measurement.in_set(set),
            None => measurement,
        });
    }

    /// A child's number; one with too many decimals becomes a result kept as text.
    pub fn scalar(
        &mut self,
        parent: El,
        key: impl Key,
        set: Option<&str>,
        name: &str,
    ) -> Result<Option<Hundredths>, DecodeError> {
        let Some(leaf) = parent.leaf(key) else { return Ok(None) };
        match read(leaf)? {
            Number::Hundredths(number) => Ok(Some(number)),
            Number::Finer(_) => {
                kept_as_text(leaf);
                self.push(set, as_text(leaf, name));
                Ok(None)
            }
        }
    }

    /// A child's number that has no type of its own, as text.
    pub fn result(
        &mut self,
        parent: El,
        key: impl Key,
        set: Option<&str>,
        name: &str,
    ) -> Result<(), DecodeError> {
        if let Some(leaf) = parent.leaf(key) {
            read(leaf)?;
            self.push(set, as_text(leaf, name));
        }
        Ok(())
    }

    /// A part that is not documented, as text: as an unknown record it would lose its eye.
    pub fn texts(&mut self, parent: El, key: &str, set: Option<&str>, name: &str) {
        let Some(part) = parent.enter(key) else { return };
        let value = |(name, leaf): (String, El)| {
            let as_sent = leaf.text().to_owned();
            OtherValue { name, as_sent, unit: unit(leaf) }
        };
        let values: Vec<OtherValue> = part.texts().into_iter().map(value).collect();
        if !values.is_empty() {
            let test = OtherTest { code: key.into(), name: name.into(), values };
            self.push(set, Measured::OtherTest(test));
        }
    }
}

/// A quantity that has a type of its own but does not fit it: a person has to look.
fn kept_as_text(el: El) {
    let what = format!("{} is kept as text: finer than hundredths or whole degrees", el.path());
    el.tree().flag(FlagCode::Unusual, what);
}

fn as_text(leaf: El, name: &str) -> Measured {
    let code = leaf.node().local_name();
    Measured::OtherTest(OtherTest::one(code, name, leaf.text(), unit(leaf).as_deref()))
}

/// Half distances by eye, as one measurement of both.
#[derive(Default)]
pub struct Halves(PupillaryDistance);

impl Halves {
    pub fn read(&mut self, parent: El, side: &mut Side) -> Result<(), DecodeError> {
        let half =
            side.scalar(parent, HALF_DISTANCE, None, "half of the far pupillary distance")?;
        match side.eye {
            Eye::Left => self.0.left_mm = half.or(self.0.left_mm),
            _ => self.0.right_mm = half.or(self.0.right_mm),
        }
        Ok(())
    }

    pub fn measurement(self) -> Option<Measurement> {
        let measured = Measured::PupillaryDistance(self.0);
        (self.0 != PupillaryDistance::default())
            .then(|| Measurement::without_token(Eye::Both, measured))
    }
}
