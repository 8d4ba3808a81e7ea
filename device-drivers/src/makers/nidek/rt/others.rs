//! Tests of the refractor without a type of their own. Their parts are kept as sent; a part of
//! blanks is missing.

use super::numbers::{acuity, is_number, power};
use crate::{DecodeError, format::fields::Field};
use chiasm_proto::{OtherTest, OtherValue};

/// How a part is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Number,
    /// Polarity and tens as in a sphere.
    Power,
    /// Five columns, or seven with letters.
    Acuity,
    /// What the columns hold is not known further.
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    name: &'static str,
    width: usize,
    form: Form,
    /// Empty where there is none.
    unit: &'static str,
}

const fn part(name: &'static str, width: usize, form: Form, unit: &'static str) -> Part {
    Part { name, width, form, unit }
}

/// One test by its code, or by the first letter of it where an eye or a distance follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Test {
    code: &'static str,
    name: &'static str,
    parts: &'static [Part],
}

const CM: &str = "cm";
const DIOPTRES: &str = "D";
const PRISM: &str = "prism dioptres";

const RELATIVE: &[Part] =
    &[part("blur", 6, Form::Number, DIOPTRES), part("recovery", 6, Form::Number, DIOPTRES)];
const STEREO: &[Part] = &[
    part("minutes", 2, Form::Number, "arcminutes"),
    part("seconds", 2, Form::Number, "arcseconds"),
    part("none", 1, Form::Text, ""),
];
const HORIZONTAL: &[Part] = &[
    part("blur", 5, Form::Number, PRISM),
    part("break", 5, Form::Number, PRISM),
    part("recovery", 6, Form::Number, PRISM),
];
const VERTICAL: &[Part] =
    &[part("break", 6, Form::Number, PRISM), part("recovery", 6, Form::Number, PRISM)];
const SPHERE_CYLINDER_AXIS: &[Part] = &[
    part("sphere", 6, Form::Power, DIOPTRES),
    part("cylinder", 6, Form::Power, DIOPTRES),
    part(AXIS, 3, Form::Number, "degrees"),
];
const AXIS: &str = "axis";
const ACUITY: &[Part] = &[part("", 5, Form::Acuity, "")];
const ACUITY_WITH_LETTERS: &[Part] = &[part("", 7, Form::Acuity, "")];
const TEXT_3: &[Part] = &[part("", 3, Form::Text, "")];
const TEXT_4: &[Part] = &[part("", 4, Form::Text, "")];
const TEXT_5: &[Part] = &[part("", 5, Form::Text, "")];
const TEXT_6: &[Part] = &[part("", 6, Form::Text, "")];
const TEXT_7: &[Part] = &[part("", 7, Form::Text, "")];
const TEXT_5_3: &[Part] = &[part("1", 5, Form::Text, ""), part("2", 3, Form::Text, "")];
const TEXT_6_6_1: &[Part] =
    &[part("1", 6, Form::Text, ""), part("2", 6, Form::Text, ""), part("3", 1, Form::Text, "")];

const fn test(code: &'static str, name: &'static str, parts: &'static [Part]) -> Test {
    Test { code, name, parts }
}

/// Under `@RT`, for both eyes, by their whole code.
pub static SINGLE: &[Test] = &[
    test("ME", "dominant eye", &[part("", 1, Form::Text, "")]),
    test(
        "CP",
        "near point of convergence",
        &[
            part("distance", 3, Form::Number, CM),
            part("convergence", 4, Form::Number, "metre angles"),
            part("prism", 5, Form::Number, PRISM),
        ],
    ),
    test(
        "AP",
        "near point of accommodation",
        &[part("distance", 3, Form::Number, CM), part("power", 6, Form::Number, DIOPTRES)],
    ),
    test("NA", "negative relative accommodation", RELATIVE),
    test("PA", "positive relative accommodation", RELATIVE),
    test("FW", "Worth's four dots", &[part("dots seen", 1, Form::Number, "")]),
    test("SC", "stereopsis far", STEREO),
    test("sc", "stereopsis near", STEREO),
    test("AN", "aniseikonia, vertical (00: none, 99: present)", &[part("", 2, Form::Number, "%")]),
    test(
        "AH",
        "aniseikonia, horizontal (00: none, 99: present)",
        &[part("", 2, Form::Number, "%")],
    ),
    test("CG", "contrast and glare test", TEXT_4),
    test("ET", "ETDRS test", TEXT_4),
    test("WD", "working distance of the tests", &[part("", 2, Form::Number, CM)]),
    test("wd", "working distance of the final prescription", &[part("", 3, Form::Number, CM)]),
    LENS_DISTANCE,
    test("AG", "age", &[part("", 3, Form::Number, "years")]),
    test(
        "TT",
        "duration of the test",
        &[part("minutes", 2, Form::Number, "min"), part("seconds", 2, Form::Number, "s")],
    ),
    test("ACG", "Plus package, ACG", TEXT_5),
    test("ACH", "Plus package, ACH", TEXT_5),
    test("#14A", "Plus package, #14A", TEXT_6),
    test("#14B", "Plus package, #14B", TEXT_6),
    test("#19", "Plus package, #19", TEXT_6),
    test("#15A", "Plus package, #15A", TEXT_5_3),
    test("#15B", "Plus package, #15B", TEXT_5_3),
    test("SH", "Plus package, SH", TEXT_6_6_1),
    test("sh", "Plus package, sh", TEXT_6_6_1),
    test("PE", "Plus package, PE", TEXT_6_6_1),
    test("pe", "Plus package, pe", TEXT_6_6_1),
    test("MGA", "Plus package, MGA", TEXT_5),
    test("MGB", "Plus package, MGB", TEXT_7),
    test("MGC", "Plus package, MGC", TEXT_3),
];

/// Sent under `@LM` by the manual, and by an RT-5100 behind the distances of the last `@RT`.
const LENS_DISTANCE: Test =
    test("Wd", "working distance of the lenses", &[part("", 3, Form::Number, CM)]);

/// Under `@LM`.
pub static OF_LENSES: &[Test] = &[LENS_DISTANCE];

/// Under `@RT`, with `V` (far) or `v` (near) behind the letter: both eyes. Capitals are final.
pub static BINOCULAR: &[Test] =
    &[test("d", "divergence", HORIZONTAL), test("c", "convergence", HORIZONTAL)];

/// Under `@RT`, with the letter of an eye behind the letter. Capitals are final.
pub static VERGENCES: &[Test] =
    &[test("s", "supravergence", VERTICAL), test("i", "infravergence", VERTICAL)];

/// Under `@RT` behind `CG` or `ET`, with the letter of an eye behind the letter.
pub static OF_AN_EYE: &[Test] = &[
    test("G", "refraction of the contrast and glare test", SPHERE_CYLINDER_AXIS),
    test("g", "acuity of the contrast and glare test", ACUITY),
    test("l", "acuity of the contrast and glare test with letters", ACUITY_WITH_LETTERS),
    test("E", "refraction of the ETDRS test", SPHERE_CYLINDER_AXIS),
    test("e", "acuity of the ETDRS test", ACUITY_WITH_LETTERS),
];

/// The test whose code the text begins with, the longest one.
pub fn by_code(tests: &'static [Test], text: &str) -> Option<&'static Test> {
    tests.iter().filter(|test| text.starts_with(test.code)).max_by_key(|test| test.code.len())
}

/// The test of this letter.
pub fn by_letter(tests: &'static [Test], letter: &str) -> Option<&'static Test> {
    tests.iter().find(|test| test.code == letter)
}

impl Test {
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Reads the columns behind the code. Nothing if all are blank: it was not taken.
    pub fn read(
        &self,
        code: &str,
        vision: &str,
        rest: &Field,
    ) -> Result<Option<OtherTest>, DecodeError> {
        rest.expect_len(self.parts.iter().map(|part| part.width).sum())?;
        let mut values: Vec<OtherValue> = Vec::new();
        let mut from = 0;
        for part in self.parts {
            let field = rest.columns(from, part.width, rest.name)?;
            from += part.width;
            if field.text.trim().is_empty() {
                continue;
            }
            part.check(&field)?;
            let unit = (!part.unit.is_empty()).then(|| part.unit.to_owned());
            let as_sent = field.text.trim().to_owned();
            values.push(OtherValue { name: part.name.into(), as_sent, unit });
        }
        // Without a cylinder the axis column means nothing.
        let is_zero = |text: &str| text.trim_start_matches(['+', '-', ' ', '0']) == ".00";
        let is_sphere = values.iter().any(|it| it.name == "cylinder" && is_zero(&it.as_sent));
        values.retain(|value| !(is_sphere && value.name == AXIS));
        let name = format!("{} {vision}", self.name).trim_end().to_owned();
        let test = OtherTest { code: code.to_owned(), name, values };
        Ok(Some(test).filter(|test| !test.values.is_empty()))
    }
}

impl Part {
    fn check(&self, field: &Field) -> Result<(), DecodeError> {
        match self.form {
            Form::Text => Ok(()),
            Form::Power => power(field).map(|_| ()),
            Form::Acuity => acuity(field).map(|_| ()),
            Form::Number if is_number(field.text.trim()) => Ok(()),
            Form::Number => Err(field.malformed(format!("{} is not a number", self.name))),
        }
    }
}
