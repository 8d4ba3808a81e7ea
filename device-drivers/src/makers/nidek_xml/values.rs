//! Numbers, shots and settings as both dialects write them.

use crate::{
    DecodeError,
    format::xml::{El, Key, failed},
};
use chiasm_proto::{
    Confidence, Eye, FlagCode, Hundredths, Measured, Measurement, OtherValue, Representative, Shot,
};

/// Ways to write one unit.
pub type Unit = &'static [&'static str];
pub const DIOPTRES: Unit = &["D"];
pub const DEGREES: Unit = &["deg", "°"];
pub const MILLIMETRES: Unit = &["mm"];
pub const CENTIMETRES: Unit = &["cm"];
pub const MICROMETRES: Unit = &["um", "µm", "μm"];
pub const PRISM_DIOPTRES: Unit = &["pri", "P", "D", "Δ"];
pub const PERCENT: Unit = &["%"];
pub const MMHG: Unit = &["mmHg"];
pub const KPA: Unit = &["kPa"];

/// Below this the maker calls a shot unsure.
const CONFIDENCE_MIN: &str = "5";
const SCALE: &str = "NIDEK 1-9";
/// Pressure and thickness have no scale, only a mark for an unsure shot.
const SCALE_OF_MARK: &str = "NIDEK *";

/// Known and of no use here: the names of pictures, how a shot was taken.
pub const PICTURES: [&str; 4] = ["RingImage", "CataractMode", "KMImage", "PACHYImage"];

/// Where the measurements of one eye go.
pub struct Side<'m> {
    pub eye: Eye,
    pub token: &'static str,
    pub into: &'m mut Vec<Measurement>,
}

impl Side<'_> {
    pub fn push(&mut self, measured: Measured) {
        self.into.push(self.of(measured));
    }
    /// As one of several of its kind.
    pub fn push_in_set(&mut self, name: &str, measured: Measured) {
        self.into.push(self.of(measured).in_set(name));
    }
    /// As measured by another instrument.
    pub fn push_relayed(&mut self, measured: Measured) {
        self.into.push(self.of(measured).relayed());
    }
    /// What failed has no value; its numbers are text.
    pub fn failed<V>(&mut self, list: El) -> Option<V> {
        list.ignore(PICTURES);
        if let Some(test) = failed::numbers(list) {
            self.push(Measured::OtherTest(test));
        }
        None
    }
    fn of(&self, measured: Measured) -> Measurement {
        Measurement::of(self.eye, self.token, measured)
    }
}

/// The number of an element: its unit may stand in an attribute, inside the text (`12.00 mm`,
/// `540um`), in both or nowhere. Another unit than expected is refused.
pub fn number_in(leaf: El, unit: Unit) -> Result<Hundredths, DecodeError> {
    let text = leaf.text();
    let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | ',');
    let (number, inside) = text.split_at(text.find(|c| !is_of_number(c)).unwrap_or(text.len()));
    let attribute = leaf.node().attribute("unit").unwrap_or("");
    for sent in [inside.trim(), attribute.trim()] {
        // In the wrong encoding the sign of a degree is another character, but no letter of ASCII.
        let is_sign = unit == DEGREES && !sent.bytes().any(|byte| byte.is_ascii_alphanumeric());
        let is_known = sent.is_empty() || unit.iter().any(|unit| unit.eq_ignore_ascii_case(sent));
        if !is_known && !is_sign {
            return Err(leaf.malformed(format!("not a number in {}", unit[0])));
        }
    }
    if number.contains(',') && number.contains('.') {
        return Err(leaf.malformed("a number with point and comma"));
    }
    let number = number.replace(',', ".").parse();
    number.map_err(|_| leaf.malformed("not a number with at most two decimals"))
}

/// A child's number; none if the child is empty or absent.
pub fn number(parent: El, key: impl Key, unit: Unit) -> Result<Option<Hundredths>, DecodeError> {
    parent.leaf(key).map(|leaf| number_in(leaf, unit)).transpose()
}

/// A child's whole number, such as an axis or a thickness.
pub fn whole<N: TryFrom<i32>>(
    parent: El,
    key: impl Key,
    unit: Unit,
) -> Result<Option<N>, DecodeError> {
    let Some(leaf) = parent.leaf(key) else { return Ok(None) };
    let number = number_in(leaf, unit)?;
    match N::try_from(number.0 / 100) {
        Ok(whole) if number.0 % 100 == 0 => Ok(Some(whole)),
        _ => Err(leaf.malformed(format!("not a possible whole number of {}", unit[0]))),
    }
}

/// All shots of an eye, in their order. Numbers of failed ones go to the eye as text.
pub fn shots<V>(
    block: El,
    name: &str,
    side: &mut Side,
    value: impl Fn(El) -> Result<Option<V>, DecodeError>,
) -> Result<Vec<Shot<V>>, DecodeError> {
    let lists = block.enter_all(name).into_iter();
    lists
        .map(|list| {
            let (no, error) = (shot_no(list)?, error(list));
            let confidence = confidence(list)?;
            let value = if error.is_some() { side.failed(list) } else { value(list)? };
            Ok(Shot { no, value, confidence, error })
        })
        .collect()
}

/// The value that the instrument declares for the eye. Where no shot was good an error may stand in
/// its place.
pub fn representative<V>(
    block: El,
    name: &str,
    label: &str,
    side: &mut Side,
    value: impl Fn(El) -> Result<Option<V>, DecodeError>,
) -> Result<Option<Representative<V>>, DecodeError> {
    let Some(declared) = block.enter(name) else { return Ok(None) };
    if let Some(error) = error(declared) {
        let what = format!("{}: the instrument reports {error}", declared.path());
        declared.tree().flag(FlagCode::InstrumentError, what);
        return Ok(side.failed(declared));
    }
    Ok(value(declared)?.map(|value| Representative { label: label.into(), value }))
}

/// The number that the instrument gave to a shot.
fn shot_no(list: El) -> Result<Option<u32>, DecodeError> {
    list.count_shot()?;
    match list.node().attribute("No").map(str::trim) {
        Some(no) => no.parse().map(Some).map_err(|_| list.malformed("No is not a number")),
        None => {
            let what = format!("{} has no number", list.path());
            list.tree().flag(FlagCode::Inconsistent, what);
            Ok(None)
        }
    }
}

/// The error text of a shot or lens that failed.
pub fn error(list: El) -> Option<String> {
    failed::error(list, list.peek("Error")?)
}

/// `E` is the maker's mark for a shot that it could not grade. `LowConfidenceLevel` says it by
/// standing there, even empty.
fn confidence(list: El) -> Result<Option<Confidence>, DecodeError> {
    if let Some(mark) = list.peek("LowConfidenceLevel") {
        mark.done();
        let as_sent = if mark.text().is_empty() { "*" } else { mark.text() }.to_owned();
        return Ok(Some(Confidence { as_sent, scale: SCALE_OF_MARK.into(), low: true }));
    }
    let Some(leaf) = list.leaf("ConfidenceIndex") else { return Ok(None) };
    let low = match leaf.text().as_bytes() {
        [b'1'..=b'9'] => leaf.text() < CONFIDENCE_MIN,
        b"E" => true,
        _ => return Err(leaf.malformed("a confidence is 1 to 9 or E")),
    };
    Ok(Some(Confidence { as_sent: leaf.text().into(), scale: SCALE.into(), low }))
}

/// One part of a result that is kept as text: a child's text and unit, if it is not empty.
pub fn part(parent: El, key: impl Key, name: &str) -> Option<OtherValue> {
    let leaf = parent.leaf(key)?;
    let unit = leaf.node().attribute("unit").map_or("", str::trim);
    let unit = match unit {
        "" => None,
        "pri" => Some("prism dioptres".to_owned()),
        unit => Some(unit.to_owned()),
    };
    Some(OtherValue { name: name.into(), as_sent: leaf.text().to_owned(), unit })
}

/// The same text, or the same number padded otherwise.
pub fn number_is_same(one: &str, other: &str) -> bool {
    let bare = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.trim_start_matches('0').to_owned())
    };
    one == other || (bare(one).is_some() && bare(one) == bare(other))
}
