//! Values that biometers and topographers of several makers write alike: numbers that may have more
//! decimals than a value can hold, lengths, thickness, the two meridians of a cornea.

use crate::{
    DecodeError,
    format::{
        fields::{Field, Number},
        xml::{El, Key},
    },
};
use chiasm_proto::{
    Hundredths, Keratometry, KeratometryValue, Measured, Meridian, OtherTest, OtherValue,
    Pachymetry, Shot,
};

/// Longest number, in characters.
const NUMBER_LEN_MAX: usize = 32;
pub const MILLIMETRES: &str = "mm";

/// A number as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Verbatim, without blanks around it.
    pub text: String,
    /// None if it has more decimals than a value can hold.
    pub value: Option<Hundredths>,
}

impl Sent {
    /// A number in free form; none if the field is blank, for then nothing was measured.
    pub fn read(field: &Field) -> Result<Option<Self>, DecodeError> {
        let field = field.trimmed();
        if field.text.is_empty() {
            return Ok(None);
        }
        if field.text.len() > NUMBER_LEN_MAX {
            let what = format!("a number of more than {NUMBER_LEN_MAX} characters");
            return Err(field.malformed(what));
        }
        // A comma alone in front is rather a damaged sign.
        if !field.text.trim_start_matches(['+', '-']).starts_with(|it: char| it.is_ascii_digit()) {
            return Err(field.malformed("not a number"));
        }
        let value = match field.number()? {
            Number::Hundredths(value) => Some(value),
            Number::Finer(_) => None,
        };
        Ok(Some(Self { text: field.text.to_owned(), value }))
    }

    /// The number of a child element; none if it is empty or absent.
    pub fn in_child(parent: El, key: impl Key) -> Result<Option<Self>, DecodeError> {
        let Some(leaf) = parent.leaf(key) else { return Ok(None) };
        Self::read(&Field::new(leaf.text(), 0, "")).map_err(|error| leaf.malformed(error.message))
    }

    /// For comparisons with limits only.
    pub fn to_f64(&self) -> f64 {
        self.text.replace(',', ".").parse().unwrap_or(f64::NAN)
    }

    pub fn is_axis(&self) -> bool {
        (0.0..=180.0).contains(&self.to_f64())
    }

    fn whole(&self) -> Option<i32> {
        self.value.filter(|value| value.0 % 100 == 0).map(|value| value.0 / 100)
    }
}

/// A length in millimetres. One with more decimals than a value can hold goes to `texts`.
pub fn length(
    sent: Option<Sent>,
    code: &str,
    name: &str,
    texts: &mut Vec<Measured>,
) -> Option<Hundredths> {
    let sent = sent?;
    if sent.value.is_none() {
        texts.push(text(code, name, &sent, Some(MILLIMETRES)));
    }
    sent.value
}

/// A result that is kept as text.
pub fn text(code: &str, name: &str, sent: &Sent, unit: Option<&str>) -> Measured {
    Measured::OtherTest(OtherTest::one(code, name, &sent.text, unit))
}

/// A thickness of the cornea in micrometres as a single shot; as text if it is no whole number of
/// them.
pub fn thickness_um(sent: &Sent, code: &str) -> Measured {
    match sent.whole().and_then(|um| u16::try_from(um).ok()) {
        Some(um) => Measured::Pachymetry(Pachymetry {
            shots_um: vec![Shot::of(um)],
            ..Pachymetry::default()
        }),
        None => text(code, "central corneal thickness", sent, Some("µm")),
    }
}

/// In what curvature is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curvature {
    RadiusMm,
    Power,
}

/// The two meridians of a cornea as sent.
#[derive(Debug, Default)]
pub struct Meridians {
    pub r1: Option<Sent>,
    pub r1_axis: Option<Sent>,
    pub r2: Option<Sent>,
    pub r2_axis: Option<Sent>,
}

impl Meridians {
    /// One keratometry with a single shot. As text of all its parts if the unit is not known or if
    /// any number is finer than a value can hold: halves of one in two places would be misread.
    pub fn measured(self, code: &str, curvature: Option<Curvature>) -> Option<Measured> {
        let parts = [&self.r1, &self.r1_axis, &self.r2, &self.r2_axis];
        if parts.iter().all(|part| part.is_none()) {
            return None;
        }
        let value = curvature.and_then(|curvature| {
            let r1 = meridian(self.r1.as_ref(), self.r1_axis.as_ref(), curvature)?;
            let r2 = meridian(self.r2.as_ref(), self.r2_axis.as_ref(), curvature)?;
            Some(KeratometryValue { r1, r2, ..KeratometryValue::default() })
        });
        Some(match value {
            Some(value) => Measured::Keratometry(Keratometry {
                shots: vec![Shot::of(value)],
                ..Keratometry::default()
            }),
            None => self.as_text(code, curvature),
        })
    }

    fn as_text(&self, code: &str, curvature: Option<Curvature>) -> Measured {
        let unit = curvature.map(|curvature| match curvature {
            Curvature::RadiusMm => MILLIMETRES,
            Curvature::Power => "D",
        });
        let parts = [
            ("R1", &self.r1, unit),
            ("R1 axis", &self.r1_axis, Some("deg")),
            ("R2", &self.r2, unit),
            ("R2 axis", &self.r2_axis, Some("deg")),
        ];
        let value = |(name, sent, unit): (&str, &Option<Sent>, Option<&str>)| {
            sent.as_ref().map(|sent| OtherValue {
                name: name.into(),
                as_sent: sent.text.clone(),
                unit: unit.map(str::to_owned),
            })
        };
        Measured::OtherTest(OtherTest {
            code: code.into(),
            name: "keratometry".into(),
            values: parts.into_iter().filter_map(value).collect(),
        })
    }
}

/// One meridian, unless a number of it does not fit.
fn meridian(sent: Option<&Sent>, axis: Option<&Sent>, curvature: Curvature) -> Option<Meridian> {
    let value = match sent {
        Some(sent) => Some(sent.value?),
        None => None,
    };
    let axis_deg = match axis {
        Some(axis) => Some(i16::try_from(axis.whole()?).ok()?),
        None => None,
    };
    Some(match curvature {
        Curvature::RadiusMm => Meridian { radius_mm: value, power: None, axis_deg },
        Curvature::Power => Meridian { radius_mm: None, power: value, axis_deg },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str) -> Option<Sent> {
        Sent::read(&Field::new(text, 0, "x")).unwrap()
    }

    #[test]
    fn finer_numbers_take_their_meridians_with_them() {
        let meridians = |r1: &str, axis: &str| Meridians {
            r1: sent(r1),
            r1_axis: sent(axis),
            r2: sent("7,66"),
            r2_axis: None,
        };
        let measured = meridians("7,81", "5").measured("K", Some(Curvature::RadiusMm)).unwrap();
        assert!(matches!(measured, Measured::Keratometry(_)), "{measured:?}");
        for (r1, axis) in [("7,812", "5"), ("7,81", "5,5")] {
            let measured = meridians(r1, axis).measured("K", Some(Curvature::RadiusMm));
            let Some(Measured::OtherTest(test)) = measured else { panic!("{measured:?}") };
            let texts: Vec<&str> = test.values.iter().map(|part| part.as_sent.as_str()).collect();
            assert_eq!(texts, [r1, axis, "7,66"]);
        }
        assert_eq!(Meridians::default().measured("K", None), None);
        assert!(sent("  ").is_none());
        for text in [",1", "-.5", "7,81 mm", "7.8e0", "1.234,5"] {
            assert!(Sent::read(&Field::new(text, 0, "x")).is_err(), "{text}");
        }
        assert!(Sent::read(&Field::new(&format!("0.{}", "1".repeat(40)), 0, "x")).is_err());
    }
}
