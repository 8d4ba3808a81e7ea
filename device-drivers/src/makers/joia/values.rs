//! Numbers and shots as the format writes them.

use super::ns::Ns;
use crate::{
    DecodeError,
    format::xml::{El, Node, failed},
};
use chiasm_proto::{Confidence, Eye, FlagCode, Measured, Measurement, Representative, Shot};

/// The tokens of the two eyes.
pub const EYES: [(Eye, &str); 2] = [(Eye::Right, "R"), (Eye::Left, "L")];

/// The number that the instrument gave to a shot.
pub fn shot_no(list: El) -> Result<Option<u32>, DecodeError> {
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

/// The error text of a shot that failed.
pub fn shot_error(list: El, ns: Ns) -> Option<String> {
    failed::error(list, list.peek((ns, "Error"))?)
}

pub fn confidence(list: El, ns: Ns) -> Option<Confidence> {
    let as_sent = list.text_of((ns, "ConfidenceIndex"))?;
    Some(Confidence { as_sent, scale: scale(list, "ConfidenceIndex"), low: false })
}

/// A scale is its maker's own, even where the element is common to all: `Topcon ConfidenceIndex`.
pub fn scale(el: El, name: &str) -> String {
    fn child<'d>(node: Node<'d>, name: &str) -> Option<Node<'d>> {
        node.children().find(|child| child.local_name() == name)
    }
    let common = child(el.tree().root().node(), "Common");
    let company = common.and_then(|common| child(common, "Company")).map_or("", |it| it.text());
    let maker = if company.is_empty() || is_topcon(company) { "Topcon" } else { company };
    format!("{maker} {name}")
}

/// Also `Topcon Europe Medical B.V.`
pub fn is_topcon(company: &str) -> bool {
    company.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("TOPCON"))
}

/// Known and of no use here: how a shot was taken.
pub const MODES: [&str; 2] = ["CataractMode", "IOLMode"];

/// What failed has no value; its numbers are text of the eye.
pub fn failed<V>(
    list: El,
    ns: Ns,
    (eye, token): (Eye, &str),
    into: &mut Vec<Measurement>,
) -> Option<V> {
    list.ignore(MODES.map(|name| (ns, name)));
    let test = failed::numbers(list).map(Measured::OtherTest);
    into.extend(test.map(|test| Measurement::of(eye, token, test)));
    None
}

/// All shots of an eye, in their order. Numbers of failed ones go to the eye as text.
pub fn shots<V>(
    eye: El,
    ns: Ns,
    side: (Eye, &str),
    into: &mut Vec<Measurement>,
    value: impl Fn(El) -> Result<Option<V>, DecodeError>,
) -> Result<Vec<Shot<V>>, DecodeError> {
    let lists = eye.enter_all((ns, "List")).into_iter();
    lists
        .map(|list| {
            let (no, error) = (shot_no(list)?, shot_error(list, ns));
            let confidence = confidence(list, ns);
            let value = match error {
                Some(_) => failed(list, ns, side, into),
                None => value(list)?,
            };
            Ok(Shot { no, value, confidence, error })
        })
        .collect()
}

/// The value that the instrument declares for the eye; none if it declares an error.
pub fn representative<V>(
    eye: El,
    ns: Ns,
    (name, label): (&str, &str),
    side: (Eye, &str),
    into: &mut Vec<Measurement>,
    value: impl Fn(El) -> Result<Option<V>, DecodeError>,
) -> Result<Option<Representative<V>>, DecodeError> {
    let Some(declared) = eye.enter((ns, name)) else { return Ok(None) };
    if let Some(error) = shot_error(declared, ns) {
        let what = format!("{}: the instrument reports {error}", declared.path());
        declared.tree().flag(FlagCode::InstrumentError, what);
        return Ok(failed(declared, ns, side, into));
    }
    Ok(value(declared)?.map(|value| Representative { label: label.into(), value }))
}
