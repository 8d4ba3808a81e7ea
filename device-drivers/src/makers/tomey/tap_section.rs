//! The sections of a TAP: what one way of measuring gave for columns A and B.

use super::{
    tap::has_working_distance,
    values::{axis_deg, chosen, once, power},
};
use crate::{DecodeError, format::fields::Field};
use chiasm_proto::{
    AcuityCondition, Base, Correction, Dioptres, Eye, Hundredths, Lensometry, Measured,
    Measurement, Prism, PrismComponent, Refraction, RefractionKind, RefractionValue, Vision,
    VisualAcuity,
};

/// The instrument's columns of values. Which eye the first one is, is disputed.
pub const COLUMNS: [&str; 2] = ["column A", "column B"];
/// The third column of an acuity is of both eyes.
const BOTH: &str = "column C";
/// `1.0`, `20/20`, `<0.05`.
const ACUITY_LEN_MAX: usize = 12;

/// Where a section's values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Unaided,
    Lensmeter,
    Refraction(RefractionKind),
}

/// One section.
pub struct Section<'a> {
    name: Field<'a>,
    source: Source,
    vision: Vision,
    columns: [Column; 2],
    acuity: Option<[Option<&'a str>; 3]>,
    /// Names of the rows that were read.
    rows: Vec<&'a str>,
}

#[derive(Default)]
struct Column {
    sphere: Option<Dioptres>,
    cylinder: Option<Dioptres>,
    axis_deg: Option<i16>,
    add: Option<Dioptres>,
    prism: Prism,
}

/// Name and columns of a record; nothing behind its last bar.
pub fn columns<'a>(record: &Field<'a>) -> Vec<Field<'a>> {
    let inside = record.text.strip_prefix('*').unwrap_or(record.text);
    let offset = record.offset + record.text.len() - inside.len();
    let mut fields = Field { text: inside, offset, ..*record }.split('|');
    let name = fields.first().map_or("record", |name| name.text);
    if fields.len() > 1 && fields.last().is_some_and(|last| last.text.is_empty()) {
        fields.pop();
    }
    fields.iter_mut().for_each(|field| field.name = name);
    fields
}

/// Exactly so many columns.
pub fn chosen_columns<'a, const N: usize>(
    name: &Field,
    values: &[Field<'a>],
) -> Result<[Field<'a>; N], DecodeError> {
    let refuse = |_| name.malformed(format!("{} columns, expected {N}", values.len()));
    values.try_into().map_err(refuse)
}

impl<'a> Section<'a> {
    /// A section by its name, if it is a known one.
    pub fn open(name: &Field<'a>) -> Option<Self> {
        let upper = name.text.to_ascii_uppercase();
        let source = match upper.as_str() {
            "UN" => Source::Unaided,
            "LM" => Source::Lensmeter,
            "AR" => Source::Refraction(RefractionKind::Autorefraction),
            "SJ" => Source::Refraction(RefractionKind::Subjective),
            "FN" => Source::Refraction(RefractionKind::Final),
            _ => return None,
        };
        let is_near = name.text.bytes().all(|byte| byte.is_ascii_lowercase());
        if !is_near && name.text != upper {
            return None; // neither one nor the other
        }
        let vision = if is_near { Vision::Near } else { Vision::Far };
        let columns = Default::default();
        Some(Self { name: *name, source, vision, columns, acuity: None, rows: vec![] })
    }

    pub fn token(&self) -> &'a str {
        self.name.text
    }

    /// Reads a row; not if it is none of this section.
    pub fn row(&mut self, name: &Field<'a>, values: &[Field<'a>]) -> Result<bool, DecodeError> {
        let is_lens_row = matches!(name.text, "SP" | "CY" | "AX" | "AD" | "PH" | "PV");
        if !(name.text == "VA" || is_lens_row && self.source != Source::Unaided) {
            return Ok(false);
        }
        if self.rows.contains(&name.text) {
            return Err(name.malformed("sent twice in one section"));
        }
        self.rows.push(name.text);
        match name.text {
            "VA" => {
                let sent = chosen_columns::<3>(name, values)?;
                if let Some(long) = sent.iter().find(|field| field.text.len() > ACUITY_LEN_MAX) {
                    return Err(long.malformed("longer than any acuity"));
                }
                let sent = sent.map(|field| Some(field.text.trim()).filter(|it| !it.is_empty()));
                once(&mut self.acuity, sent, name)?;
            }
            "PH" | "PV" => self.prism(name, chosen_columns::<4>(name, values)?)?,
            _ => {
                for (column, field) in
                    self.columns.iter_mut().zip(chosen_columns::<2>(name, values)?)
                {
                    if !field.text.trim().is_empty() {
                        column.value(&field)?;
                    }
                }
            }
        }
        Ok(true)
    }

    fn prism(&mut self, name: &Field, fields: [Field; 4]) -> Result<(), DecodeError> {
        for (column, pair) in self.columns.iter_mut().zip(fields.chunks(2)) {
            let [letter, amount] = pair else { continue };
            let base = match (name.text, letter.text.trim()) {
                _ if amount.text.trim().is_empty() && letter.text.trim().is_empty() => continue,
                ("PH", "I") => Base::In,
                ("PH", "O") => Base::Out,
                ("PV", "U") => Base::Up,
                ("PV", "D") => Base::Down,
                (_, "") => Base::Unverified,
                _ => return Err(letter.malformed("not a base of this direction")),
            };
            let size = power(amount)?;
            // Only no prism at all has no direction, and a direction has no sign.
            if base == Base::Unverified && !size.is_zero() || size < Hundredths::ZERO {
                return Err(amount.malformed("a prism without a base letter or with a sign"));
            }
            let component = Some(PrismComponent { amount: size, base });
            match name.text {
                "PH" => column.prism.horizontal = component,
                _ => column.prism.vertical = component,
            }
        }
        Ok(())
    }

    /// Column A before column B, acuities behind them.
    pub fn measurements(
        &self,
        working_distance_cm: Option<Hundredths>,
        all: &mut Vec<Measurement>,
    ) -> Result<(), DecodeError> {
        for (column, token) in self.columns.iter().zip(COLUMNS) {
            let value = column.sphere_cylinder_axis(&self.name)?;
            let prism = Some(&column.prism).filter(|prism| **prism != Prism::default()).cloned();
            if value.is_none() && column.add.is_none() && prism.is_none() {
                continue;
            }
            let measured = match self.source {
                Source::Refraction(kind) => Measured::Refraction(Refraction {
                    vision: self.vision,
                    working_distance_cm: working_distance_cm.filter(|_| has_working_distance(kind)),
                    representative: value.map(|value| chosen(self.token(), value)),
                    add: column.add,
                    prism,
                    ..Refraction::new(kind)
                }),
                Source::Lensmeter | Source::Unaided => Measured::Lensometry(Lensometry {
                    sphere: value.map(|value| value.sphere),
                    cylinder: value.map(|value| value.cylinder),
                    axis_deg: value.and_then(|value| value.axis_deg),
                    add: column.add,
                    prism,
                    ..Lensometry::default()
                }),
            };
            let one = Measurement::of(Eye::NotGiven, token, measured).in_set(self.token());
            all.push(if self.is_relayed() { one.relayed() } else { one });
        }
        let eyes = [(Eye::NotGiven, COLUMNS[0]), (Eye::NotGiven, COLUMNS[1]), (Eye::Both, BOTH)];
        for (as_sent, (eye, token)) in self.acuity.into_iter().flatten().zip(eyes) {
            let Some(as_sent) = as_sent else { continue };
            let measured = Measured::VisualAcuity(VisualAcuity {
                correction: self.correction(),
                vision: self.vision,
                condition: AcuityCondition::Standard,
                as_sent: as_sent.into(),
                letters_as_sent: None,
                notation: None,
            });
            all.push(Measurement::of(eye, token, measured).in_set(self.token()));
        }
        Ok(())
    }

    /// Measured by another instrument. An acuity is taken with this one, whatever stood before the
    /// eye.
    fn is_relayed(&self) -> bool {
        matches!(
            self.source,
            Source::Lensmeter | Source::Refraction(RefractionKind::Autorefraction)
        )
    }

    fn correction(&self) -> Correction {
        match self.source {
            Source::Unaided => Correction::Unaided,
            Source::Lensmeter => Correction::Wearing,
            Source::Refraction(RefractionKind::Autorefraction) => Correction::Objective,
            Source::Refraction(RefractionKind::Final) => Correction::Final,
            Source::Refraction(_) => Correction::Subjective,
        }
    }
}

impl Column {
    fn value(&mut self, field: &Field) -> Result<(), DecodeError> {
        match field.name {
            "SP" => self.sphere = Some(power(field)?),
            "CY" => self.cylinder = Some(power(field)?),
            "AX" => self.axis_deg = Some(axis_deg(field)?),
            _ => self.add = Some(power(field)?),
        }
        Ok(())
    }

    /// All three or none; without a cylinder there is no axis.
    fn sphere_cylinder_axis(&self, name: &Field) -> Result<Option<RefractionValue>, DecodeError> {
        let (sphere, cylinder) = match (self.sphere, self.cylinder) {
            (Some(sphere), Some(cylinder)) => (sphere, cylinder),
            (None, None) if self.axis_deg.is_none() => return Ok(None),
            _ => return Err(name.malformed("a section with a part of sphere, cylinder and axis")),
        };
        let axis_deg = self.axis_deg.filter(|_| !cylinder.is_zero());
        if axis_deg.is_none() && !cylinder.is_zero() {
            return Err(name.malformed("a cylinder without an axis"));
        }
        Ok(Some(RefractionValue { sphere, cylinder, axis_deg, spherical_equivalent: None }))
    }
}
