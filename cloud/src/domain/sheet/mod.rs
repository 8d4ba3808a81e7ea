//! Values that people type: the fields of each test, what may stand in them, and how they become
//! the same measurements as those of an instrument (T11), or take the place of wrong ones.

mod amend;
mod parse;

pub use amend::{amend, typed_of};
pub use parse::{FieldFault, Typed, parse};

/// A test whose values can be typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Test {
    Lensometry,
    Autorefraction,
    Keratometry,
    Tonometry,
    Pachymetry,
    PupillaryDistance,
}

/// One field of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Behind `od_` or `os_` where it is of one eye.
    pub name: &'static str,
    pub label: &'static str,
    pub unit: &'static str,
    pub kind: Kind,
}

/// What may stand in a field. Limits are what no eye and no lens exceeds: what is only unusual is
/// taken, because it must reach a person (R22). In hundredths of the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Signed { limit: i32 },
    Between { least: i32, most: i32 },
    Axis,
    Choice(&'static [(&'static str, &'static str)]),
}

/// Sphere and cylinder, in hundredths of a dioptre.
pub const POWER_MAX: i32 = 6_000;
/// Prism, in hundredths of a prism dioptre.
pub const PRISM_MAX: i32 = 3_000;

const SIGNED: Kind = Kind::Signed { limit: POWER_MAX };
const fn between(least: i32, most: i32) -> Kind {
    Kind::Between { least: least * 100, most: most * 100 }
}
const fn field(name: &'static str, label: &'static str, unit: &'static str, kind: Kind) -> Field {
    Field { name, label, unit, kind }
}

const REFRACTION: &[Field] = &[
    field("sphere", "Sphere", "D", SIGNED),
    field("cylinder", "Cylinder", "D", SIGNED),
    field("axis", "Axis", "\u{b0}", Kind::Axis),
];
const PRISM: Kind = Kind::Between { least: 1, most: PRISM_MAX };
const LENS: &[Field] = &[
    field("sphere", "Sphere", "D", SIGNED),
    field("cylinder", "Cylinder", "D", SIGNED),
    field("axis", "Axis", "\u{b0}", Kind::Axis),
    field("add", "Addition", "D", Kind::Between { least: 25, most: 600 }),
    field("prism_horizontal", "Prism, in or out", "\u{394}", PRISM),
    field("base_horizontal", "Base", "", Kind::Choice(&[("in", "in"), ("out", "out")])),
    field("prism_vertical", "Prism, up or down", "\u{394}", PRISM),
    field("base_vertical", "Base", "", Kind::Choice(&[("up", "up"), ("down", "down")])),
];
const KERATOMETRY: &[Field] = &[
    field("flat_mm", "Flat radius", "mm", between(4, 12)),
    field("flat_power", "Flat power", "D", between(25, 75)),
    field("flat_axis", "Flat axis", "\u{b0}", Kind::Axis),
    field("steep_mm", "Steep radius", "mm", between(4, 12)),
    field("steep_power", "Steep power", "D", between(25, 75)),
    field("steep_axis", "Steep axis", "\u{b0}", Kind::Axis),
];
const PRESSURE: &[Field] = &[field("iop", "Pressure", "mmHg", between(0, 99))];
const THICKNESS: &[Field] = &[field("cct", "Central thickness", "\u{b5}m", between(200, 1000))];
const DISTANCE: &[Field] = &[
    field("far", "Far, both eyes", "mm", between(30, 90)),
    field("far_right", "Far, right eye", "mm", between(15, 45)),
    field("far_left", "Far, left eye", "mm", between(15, 45)),
    field("near", "Near, both eyes", "mm", between(30, 90)),
];
/// Without its method a pressure is no complete reading (R19).
const METHODS: Kind = Kind::Choice(&[
    ("goldmann", "Goldmann"),
    ("non_contact", "Non-contact (air puff)"),
    ("rebound", "Rebound"),
    ("tono_pen", "Tono-Pen"),
    ("ocular_response", "Ocular Response Analyzer"),
]);
const METHOD: &[Field] = &[field("method", "Method", "", METHODS)];
const VERTEX: &[Field] = &[field("vertex", "Vertex distance", "mm", between(0, 25))];

impl Test {
    pub const ALL: [Test; 6] = [
        Test::Lensometry,
        Test::Autorefraction,
        Test::Keratometry,
        Test::Tonometry,
        Test::Pachymetry,
        Test::PupillaryDistance,
    ];
    /// The word in URLs, columns and `type` on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Test::Lensometry => "lensometry",
            Test::Autorefraction => "autorefraction",
            Test::Keratometry => "keratometry",
            Test::Tonometry => "tonometry",
            Test::Pachymetry => "pachymetry",
            Test::PupillaryDistance => "pupillary_distance",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|test| test.as_str() == text)
    }
    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Test::Lensometry => "Glasses (lensmeter)",
            Test::Autorefraction => "Autorefraction",
            Test::Keratometry => "Keratometry",
            Test::Tonometry => "Eye pressure",
            Test::Pachymetry => "Corneal thickness",
            Test::PupillaryDistance => "Pupillary distance",
        }
    }
    /// Fields of each eye, or of both together.
    pub fn fields(self) -> &'static [Field] {
        match self {
            Test::Lensometry => LENS,
            Test::Autorefraction => REFRACTION,
            Test::Keratometry => KERATOMETRY,
            Test::Tonometry => PRESSURE,
            Test::Pachymetry => THICKNESS,
            Test::PupillaryDistance => DISTANCE,
        }
    }
    /// Fields that are asked once.
    pub fn common(self) -> &'static [Field] {
        match self {
            Test::Tonometry => METHOD,
            Test::Autorefraction => VERTEX,
            _ => &[],
        }
    }
    /// Whether the fields are asked for each eye.
    pub fn is_per_eye(self) -> bool {
        self != Test::PupillaryDistance
    }
    /// The names that the fields have in a form, with the field.
    pub fn form_fields(self) -> Vec<(String, &'static Field)> {
        let prefixes: &[&str] = if self.is_per_eye() { &["od_", "os_"] } else { &[""] };
        let of_eyes = prefixes.iter().flat_map(|prefix| {
            self.fields().iter().map(move |field| (format!("{prefix}{}", field.name), field))
        });
        let common = self.common().iter().map(|field| (field.name.to_owned(), field));
        of_eyes.chain(common).collect()
    }
}
