//! Shots that failed and hold numbers all the same.

use super::El;
use chiasm_proto::{OtherTest, OtherValue};

const NAME: &str = "numbers beside an error";
/// What of a failed shot is read elsewhere.
const ELSEWHERE: [&str; 3] = ["Error", "ConfidenceIndex", "LowConfidenceLevel"];

/// The numbers of a failed shot as text. It has no value (R16): a lone one would be taken for the
/// result, and left out it would be lost.
pub fn numbers(list: El) -> Option<OtherTest> {
    let values = list.texts().into_iter().filter(|(name, _)| !ELSEWHERE.contains(&name.as_str()));
    let value = |(name, el): (String, El)| OtherValue {
        name,
        as_sent: el.text().to_owned(),
        unit: el
            .node()
            .attribute("unit")
            .map(str::trim)
            .filter(|it| !it.is_empty())
            .map(Into::into),
    };
    let values: Vec<OtherValue> = values.map(value).collect();
    let code = match list.node().attribute("No").map(str::trim) {
        Some(no) => format!("{} {no}", list.node().local_name()),
        None => list.node().local_name().to_owned(),
    };
    (!values.is_empty()).then(|| OtherTest { code, name: NAME.into(), values })
}
