//! What every screener measures of an eye, and of both.

use crate::{
    DecodeError,
    format::{
        fields::{Field, Number},
        table::Row,
    },
};
use chiasm_proto::{
    ClaimedPatient, Decoded, Eye, Flag, FlagCode, Measured, Measurement, OtherTest, OtherValue,
    PupilSize, PupillaryDistance, Refraction, RefractionValue, Shot,
};

/// Longest patient id, in characters.
const ID_LEN_MAX: usize = 128;
/// What numbers are called that stand beside an error.
const BESIDE_ERROR: &str = "numbers beside an error";

/// The columns of one eye. The token is the heading's, where there is one.
#[derive(Clone, Copy)]
pub struct EyeColumns<'a> {
    pub eye: Eye,
    pub token: Option<&'a str>,
    pub sphere: Field<'a>,
    pub cylinder: Field<'a>,
    pub axis: Field<'a>,
    pub equivalent: Option<Field<'a>>,
    /// Sphere, cylinder and axis once more, as the instrument shows them.
    pub shown: Option<[Field<'a>; 3]>,
    pub pupil: Option<Field<'a>>,
    pub gaze: Option<[Field<'a>; 2]>,
}

impl<'a> EyeColumns<'a> {
    /// Takes the eye over. `conditions` hold everything but the value; `error` is the instrument's
    /// for the whole exam.
    pub fn read(
        &self,
        conditions: &Refraction,
        error: Option<&str>,
        decoded: &mut Decoded,
    ) -> Result<(), DecodeError> {
        self.refraction(conditions, error, decoded)?;
        if let Some(pupil) = self.pupil.filter(is_sent) {
            let measured = match pupil.number()? {
                Number::Hundredths(diameter_mm) => {
                    Measured::PupilSize(PupilSize { diameter_mm, state_as_sent: None })
                }
                Number::Finer(text) => kept_as_text(decoded, "pupil", "pupil size", &text),
            };
            self.push(decoded, measured);
        }
        if let Some(gaze) = self.gaze.filter(|gaze| gaze.iter().any(is_sent)) {
            let mut values = vec![];
            for (name, field) in ["x", "y"].into_iter().zip(gaze) {
                if is_sent(&field) {
                    field.number()?;
                    let as_sent = field.text.trim().to_owned();
                    values.push(OtherValue { name: name.into(), as_sent, unit: None });
                }
            }
            let (code, name) = ("gaze".into(), "gaze deviation".into());
            self.push(decoded, Measured::OtherTest(OtherTest { code, name, values }));
        }
        Ok(())
    }

    fn push(&self, decoded: &mut Decoded, measured: Measured) {
        decoded.measurements.push(match self.token {
            Some(token) => Measurement::of(self.eye, token, measured),
            None => Measurement::without_token(self.eye, measured),
        });
    }

    fn refraction(
        &self,
        conditions: &Refraction,
        error: Option<&str>,
        decoded: &mut Decoded,
    ) -> Result<(), DecodeError> {
        let sent = [self.sphere, self.cylinder].map(|field| is_sent(&field));
        let equivalent = self.equivalent.filter(is_sent);
        if let Some(error) = error {
            let is_sent = sent.contains(&true) || equivalent.is_some();
            self.failed(conditions, error, is_sent.then(|| self.texts(equivalent)), decoded);
            return Ok(());
        }
        let value = match sent {
            [false, false] if equivalent.is_none() => return Ok(()),
            [true, true] => match self.value(equivalent)? {
                Some(value) => Some(value),
                None => {
                    let measured = self.as_text(equivalent, decoded);
                    self.push(decoded, measured);
                    match self.shown_value() {
                        Some(value) => Some(value),
                        None => return Ok(()),
                    }
                }
            },
            _ => return Err(self.sphere.malformed("sphere and cylinder are not complete")),
        };
        let shots = value.map(Shot::of).into_iter().collect();
        let refraction = Refraction { shots, ..conditions.clone() };
        self.push(decoded, Measured::Refraction(refraction));
        Ok(())
    }

    /// A failed shot has no value (R16): what stands beside the error is text and never a result.
    fn failed(
        &self,
        conditions: &Refraction,
        error: &str,
        numbers: Option<Vec<OtherValue>>,
        decoded: &mut Decoded,
    ) {
        let refraction = Refraction { shots: vec![Shot::failed(error)], ..conditions.clone() };
        self.push(decoded, Measured::Refraction(refraction));
        if let Some(values) = numbers {
            let (code, name) = ("refraction".into(), BESIDE_ERROR.into());
            self.push(decoded, Measured::OtherTest(OtherTest { code, name, values }));
        }
    }

    /// What the instrument shows where it writes finer numbers beside; nothing if that is not whole.
    fn shown_value(&self) -> Option<RefractionValue> {
        let [sphere, cylinder, axis] = self.shown?;
        let axis = axis.text.trim_matches(|next: char| !next.is_ascii_digit());
        let shown = Self { axis: Field { text: axis, ..self.axis }, sphere, cylinder, ..*self };
        [sphere, cylinder].iter().all(is_sent).then(|| shown.value(None).ok().flatten()).flatten()
    }

    /// Nothing if a number has more decimals than are kept.
    fn value(&self, equivalent: Option<Field>) -> Result<Option<RefractionValue>, DecodeError> {
        let numbers = (self.sphere.number()?, self.cylinder.number()?);
        let equivalent = equivalent.map(|field| field.number()).transpose()?;
        let axis = is_sent(&self.axis).then(|| self.axis_deg()).transpose()?;
        let spherical_equivalent = match equivalent {
            Some(Number::Finer(_)) => return Ok(None),
            Some(Number::Hundredths(equivalent)) => Some(equivalent),
            None => None,
        };
        let (Number::Hundredths(sphere), Number::Hundredths(cylinder)) = numbers else {
            return Ok(None);
        };
        let axis_deg = match axis {
            _ if cylinder.is_zero() => None,
            Some(None) => return Ok(None),
            Some(axis_deg) => axis_deg,
            None => return Err(self.axis.malformed("a cylinder without an axis")),
        };
        Ok(Some(RefractionValue { sphere, cylinder, axis_deg, spherical_equivalent }))
    }

    /// Nothing if it lies between two whole degrees.
    fn axis_deg(&self) -> Result<Option<i16>, DecodeError> {
        let is_axis = |whole: &str| whole.parse().is_ok_and(|whole: u16| whole < 180);
        match self.axis.number()? {
            Number::Hundredths(axis) if axis.0 % 100 == 0 => self.axis.free_axis_deg().map(Some),
            _ if is_axis(self.axis.text.trim().split(['.', ',']).next().unwrap_or("")) => Ok(None),
            _ => Err(self.axis.malformed("an axis is 0 to 180 degrees")),
        }
    }

    fn as_text(&self, equivalent: Option<Field>, decoded: &mut Decoded) -> Measured {
        flag_text(decoded, "refraction");
        let (code, name) = ("refraction".into(), "refraction".into());
        Measured::OtherTest(OtherTest { code, name, values: self.texts(equivalent) })
    }

    /// The columns as they were sent.
    fn texts(&self, equivalent: Option<Field>) -> Vec<OtherValue> {
        let columns = [
            ("sphere", Some(self.sphere).filter(is_sent)),
            ("cylinder", Some(self.cylinder).filter(is_sent)),
            ("axis", Some(self.axis).filter(is_sent)),
            ("spherical equivalent", equivalent),
        ];
        let value = |(name, field): (&str, Option<Field>)| {
            let as_sent = field?.text.trim().to_owned();
            Some(OtherValue { name: name.into(), as_sent, unit: None })
        };
        columns.into_iter().filter_map(value).collect()
    }

    /// Whether the powers are zero and nothing else is there but zeros: how a row is filled where
    /// nothing was measured.
    pub fn is_all_zero(&self) -> bool {
        let is_zero = |field: Field| match field.number() {
            Ok(Number::Hundredths(number)) => number.is_zero(),
            _ => false,
        };
        let others = [Some(self.axis), self.pupil].into_iter().flatten();
        [self.sphere, self.cylinder].into_iter().all(is_zero) && others.filter(is_sent).all(is_zero)
    }
}

pub fn is_sent(field: &Field) -> bool {
    !field.text.trim().is_empty()
}

/// The distance of the pupils, both eyes together.
pub fn distance(field: Field, decoded: &mut Decoded) -> Result<(), DecodeError> {
    if !is_sent(&field) {
        return Ok(());
    }
    let measured = match field.number()? {
        Number::Hundredths(far) if far.is_zero() => {
            let detail = "a pupillary distance of zero counts as not measured".into();
            decoded.flags.push(Flag { code: FlagCode::Unusual, detail });
            return Ok(());
        }
        Number::Hundredths(far) => Measured::PupillaryDistance(PupillaryDistance {
            far_mm: Some(far),
            ..PupillaryDistance::default()
        }),
        Number::Finer(text) => kept_as_text(decoded, "PD", "far pupillary distance", &text),
    };
    decoded.measurements.push(Measurement::without_token(Eye::Both, measured));
    Ok(())
}

/// A result of the whole exam as text.
pub fn result(field: Field, code: &str, name: &str, decoded: &mut Decoded) {
    if is_sent(&field) {
        let test = OtherTest::one(code, name, field.text.trim(), None);
        let measured = Measured::OtherTest(test);
        decoded.measurements.push(Measurement::without_token(Eye::Both, measured));
    }
}

/// What the operator typed as an id, unless it only repeats the exam's number.
pub fn claim(
    row: &Row,
    id: &str,
    running_number: Option<&str>,
) -> Result<Option<ClaimedPatient>, DecodeError> {
    let id = id.trim();
    if id.chars().count() > ID_LEN_MAX {
        let message = format!("a patient id of more than {ID_LEN_MAX} characters");
        return Err(row.malformed(message).in_field("id"));
    }
    let is_id = !id.is_empty() && Some(id) != running_number;
    Ok(is_id.then(|| ClaimedPatient { id: id.to_owned(), found_in: "id column".into() }))
}

fn kept_as_text(decoded: &mut Decoded, code: &str, name: &str, text: &str) -> Measured {
    flag_text(decoded, name);
    Measured::OtherTest(OtherTest::one(code, name, text, None))
}

fn flag_text(decoded: &mut Decoded, what: &str) {
    let detail = format!("{what} is kept as text: finer than hundredths or whole degrees");
    decoded.flags.push(Flag { code: FlagCode::Unusual, detail });
}
