//! Finished glasses against their order: value by value what was ordered, what was measured, the
//! difference and whether it is within the tolerance. An optician decides; nothing here does.
//!
//! Both lenses are written with a minus cylinder first (R6), so that it does not matter in which
//! form either was written. Power is judged in both meridians, because a standard judges the
//! stronger one, which is the sphere in one form of writing and not in the other.

mod tolerance;

pub use tolerance::{AxisBand, BANDS_MAX, Band, Tolerances};

use super::{
    optics::{Notation, Power, axis_difference},
    order::{Order, OrderLens},
};
use chiasm_proto::{
    Base, Dioptres, Eye, Hundredths, Lensometry, Measured, Measurement, Prism, PrismComponent,
};
use serde::{Deserialize, Serialize};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Sphere,
    /// Sphere and cylinder together: the power of the other meridian.
    OtherMeridian,
    Cylinder,
    Axis,
    Add,
    /// Towards the nose counts as plus, in each eye (R24).
    PrismHorizontal,
    /// Up counts as plus.
    PrismVertical,
}

impl What {
    /// For people.
    pub fn label(self) -> &'static str {
        match self {
            What::Sphere => "Sphere",
            What::OtherMeridian => "Sphere + cylinder",
            What::Cylinder => "Cylinder",
            What::Axis => "Axis",
            What::Add => "Addition",
            What::PrismHorizontal => "Prism in or out",
            What::PrismVertical => "Prism up or down",
        }
    }
    pub fn unit(self) -> &'static str {
        match self {
            What::Axis => "\u{b0}",
            What::PrismHorizontal | What::PrismVertical => "\u{2206}",
            _ => "D",
        }
    }
    /// A number of this kind for people: `-2.25`, `178`, `1.00 in`.
    pub fn words(self, number: Hundredths) -> String {
        let based = |plus, minus| match number.0 {
            0 => "0.00".to_owned(),
            1.. => format!("{number} {plus}"),
            _ => format!("{} {minus}", number.abs()),
        };
        match self {
            What::Axis => format!("{:03}", number.0 / 100),
            What::PrismHorizontal => based("in", "out"),
            What::PrismVertical => based("up", "down"),
            _ => format!("{number:+}"),
        }
    }
    /// How far apart two numbers are: `0.12`, `4`.
    pub fn apart(self, number: Hundredths) -> String {
        if self == What::Axis { (number.0 / 100).to_string() } else { format!("{number:+}") }
    }
}

/// How a value stands against its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Inside,
    Outside,
    /// The instrument sent nothing for it.
    NotMeasured,
    /// It sent something whose meaning is not certain.
    NotComparable,
}

impl Verdict {
    pub fn label(self) -> &'static str {
        match self {
            Verdict::Inside => "inside",
            Verdict::Outside => "outside",
            Verdict::NotMeasured => "not measured",
            Verdict::NotComparable => "cannot be compared",
        }
    }
}

/// One value of one eye. Axes are in hundredths of a degree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub what: What,
    pub ordered: Hundredths,
    pub measured: Option<Hundredths>,
    /// Measured minus ordered; of axes the short way round, without a sign (R8).
    pub difference: Option<Hundredths>,
    pub tolerance: Hundredths,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    pub right: Vec<Line>,
    pub left: Vec<Line>,
    /// Why something cannot be compared, in words.
    pub remarks: Vec<String>,
    /// Where the tolerances are from.
    pub source: String,
}

impl Compared {
    /// Whether every value was measured and is within its tolerance.
    pub fn is_inside(&self) -> bool {
        let mut lines = self.right.iter().chain(&self.left);
        self.remarks.is_empty() && lines.all(|line| line.verdict == Verdict::Inside)
    }
    /// What is not within tolerance, in words: `OD axis outside`.
    pub fn open(&self) -> Vec<String> {
        let eyes = [("OD", &self.right), ("OS", &self.left)];
        let lines = eyes.into_iter().flat_map(|(eye, lines)| {
            let open = lines.iter().filter(|line| line.verdict != Verdict::Inside);
            open.map(move |line| {
                format!("{eye} {} {}", line.what.label().to_lowercase(), line.verdict.label())
            })
        });
        lines.chain(self.remarks.iter().cloned()).collect()
    }
}

/// Compares a lensmeter's reading with an order. `has_doubtful_base` says that the sides were
/// exchanged after the instrument had named the bases (R24).
pub fn compare(
    order: &Order,
    measurements: &[Measurement],
    has_doubtful_base: bool,
    tolerances: &Tolerances,
) -> Compared {
    let mut it = Compared { source: tolerances.source.clone(), ..Compared::default() };
    let lenses = |eye: Eye| {
        let of_eye = measurements.iter().filter(move |it| it.eye == eye && !it.relayed);
        of_eye.filter_map(|it| match &it.measured {
            Measured::Lensometry(lens) => Some(lens),
            _ => None,
        })
    };
    if lenses(Eye::NotGiven).next().is_some() {
        let remark = "A lens was measured without its side: state the side of the reading first.";
        it.remarks.push(remark.into());
    }
    for eye in [Eye::Right, Eye::Left] {
        let name = eye.abbreviation();
        let found: Vec<&Lensometry> = lenses(eye).collect();
        let Some(ordered) = order.eye(eye) else {
            if !found.is_empty() {
                it.remarks.push(format!("{name} was measured, but no lens is ordered for it."));
            }
            continue;
        };
        let measured = match found[..] {
            [one] => Some(one),
            [] => None,
            _ => {
                it.remarks.push(format!("{name} was measured more than once in this reading."));
                None
            }
        };
        if let Some(error) = measured.and_then(|lens| lens.error.as_ref()) {
            it.remarks.push(format!("{name}: the instrument reported {error}."));
        }
        let lines = lines(ordered, measured, has_doubtful_base, tolerances);
        if eye == Eye::Right { it.right = lines } else { it.left = lines }
    }
    it
}

fn lines(
    ordered: &OrderLens,
    lens: Option<&Lensometry>,
    has_doubtful_base: bool,
    tolerances: &Tolerances,
) -> Vec<Line> {
    let minus = |power: Power| power.written_in(Notation::Minus).0;
    let order = minus(ordered.power());
    let sent = lens.and_then(|lens| {
        Some(Power::new(lens.sphere?, lens.cylinder.unwrap_or_default(), lens.axis_deg))
    });
    // A cylinder without an axis cannot be written in the other form.
    let is_certain = sent.is_none_or(|it| it.cylinder.is_zero() || it.axis_deg().is_some());
    let measured = sent.map(minus);
    let mut lines = powers(order, measured, tolerances);
    for line in lines.iter_mut().filter(|line| !is_certain && line.measured.is_some()) {
        line.verdict = Verdict::NotComparable;
    }
    let add = lens.and_then(|lens| lens.add);
    if ordered.add.is_some() || add.is_some() {
        let asked = ordered.add.unwrap_or_default();
        lines.push(line(What::Add, asked, add, tolerance::of(&tolerances.add, asked)));
    }
    let prism = lens.and_then(|lens| lens.prism.as_ref());
    for (what, asked) in [
        (What::PrismHorizontal, ordered.prism_horizontal),
        (What::PrismVertical, ordered.prism_vertical),
    ] {
        let found = prism.map_or(Sent::Nothing, |prism| component(prism, what));
        let is_doubtful = what == What::PrismHorizontal && has_doubtful_base;
        lines.extend(prism_line(what, asked, (found, is_doubtful), tolerances.prism));
    }
    lines
}

fn powers(order: Power, measured: Option<Power>, tolerances: &Tolerances) -> Vec<Line> {
    let other = |it: Power| Hundredths(it.sphere.0 + it.cylinder.0);
    let stronger = order.sphere.abs().max(other(order).abs());
    let within = tolerance::of(&tolerances.sphere, stronger);
    let mut lines = vec![line(What::Sphere, order.sphere, measured.map(|it| it.sphere), within)];
    let has_cylinder =
        !order.cylinder.is_zero() || measured.is_some_and(|it| !it.cylinder.is_zero());
    if !has_cylinder {
        return lines;
    }
    lines.push(line(What::OtherMeridian, other(order), measured.map(other), within));
    let within = tolerance::of(&tolerances.cylinder, order.cylinder);
    lines.push(line(What::Cylinder, order.cylinder, measured.map(|it| it.cylinder), within));
    if let Some(axis) = order.axis_deg() {
        let degrees = |deg: i16| Hundredths::whole(i32::from(deg));
        let found = measured.and_then(|it| it.axis_deg());
        let within = tolerances.axis_deg(order.cylinder);
        let mut line = line(What::Axis, degrees(axis), found.map(degrees), degrees(within));
        if let Some(found) = found {
            let apart = axis_difference(axis, found);
            line.difference = Some(degrees(apart));
            line.verdict = if apart <= within { Verdict::Inside } else { Verdict::Outside };
        }
        lines.push(line);
    }
    lines
}

fn line(what: What, ordered: Dioptres, measured: Option<Dioptres>, tolerance: Dioptres) -> Line {
    let difference = measured.map(|it| Hundredths(it.0 - ordered.0));
    let verdict = match difference {
        None => Verdict::NotMeasured,
        Some(it) if it.abs() <= tolerance => Verdict::Inside,
        Some(_) => Verdict::Outside,
    };
    Line { what, ordered, measured, difference, tolerance, verdict }
}

/// A component of a measured prism, towards the nose and up as plus.
enum Sent {
    Nothing,
    Amount(Dioptres),
    /// The maker does not say what its sign means.
    Unverified(Dioptres),
}

fn component(prism: &Prism, what: What) -> Sent {
    let sent = if what == What::PrismHorizontal { prism.horizontal } else { prism.vertical };
    match (sent, signed(sent)) {
        (Some(it), None) if !it.amount.is_zero() => Sent::Unverified(it.amount),
        (Some(_), amount) => Sent::Amount(amount.unwrap_or_default()),
        // Amount and angle: the angle's sense is not ours to guess.
        (None, _) => match prism.amount {
            Some(amount) if !amount.is_zero() => Sent::Unverified(amount),
            Some(_) => Sent::Amount(Hundredths::ZERO),
            None => Sent::Nothing,
        },
    }
}

fn signed(it: Option<PrismComponent>) -> Option<Dioptres> {
    let it = it?;
    match it.base {
        Base::In | Base::Up => Some(it.amount),
        Base::Out | Base::Down => Some(Hundredths(-it.amount.0)),
        Base::Unverified => None,
    }
}

/// No line where neither a prism is ordered nor one was sent.
fn prism_line(
    what: What,
    asked: Option<PrismComponent>,
    (found, is_doubtful): (Sent, bool),
    tolerance: Dioptres,
) -> Option<Line> {
    let ordered = signed(asked).unwrap_or_default();
    match found {
        Sent::Nothing if asked.is_none() => None,
        Sent::Nothing => Some(line(what, ordered, None, tolerance)),
        Sent::Amount(amount) => {
            let mut line = line(what, ordered, Some(amount), tolerance);
            if is_doubtful && !amount.is_zero() {
                line.verdict = Verdict::NotComparable;
            }
            Some(line)
        }
        Sent::Unverified(amount) => Some(Line {
            measured: Some(amount),
            verdict: Verdict::NotComparable,
            ..line(what, ordered, None, tolerance)
        }),
    }
}

#[cfg(test)]
mod tests;
