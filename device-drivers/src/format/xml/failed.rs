//! Shots that failed and hold numbers all the same.

use super::{AnyName, El};
use chiasm_proto::{FlagCode, OtherTest, OtherValue};

const NAME: &str = "numbers beside an error";
/// What of a failed shot is read as its error.
const ERROR: &str = "Error";

/// What an error element says of the shot or lens that it stands in. Alone it says so even empty;
/// an empty one beside numbers is one that the instrument had no use for, and is flagged.
pub fn error(list: El, error: El) -> Option<String> {
    error.done();
    if !error.text().is_empty() {
        return Some(error.text().to_owned());
    }
    let has_text = |el: &El| !el.text().is_empty();
    if list.peek_all(AnyName).iter().any(has_text) {
        let what = format!("{}: an empty error beside numbers", list.path());
        list.tree().flag(FlagCode::Inconsistent, what);
        return None;
    }
    Some("error".into())
}

/// The numbers of a failed shot as text. It has no value (R16): a lone one would be taken for the
/// result, and left out it would be lost.
pub fn numbers(list: El) -> Option<OtherTest> {
    let values = list.texts().into_iter().filter(|(name, _)| name != ERROR);
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
