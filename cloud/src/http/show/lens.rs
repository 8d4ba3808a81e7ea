//! Spectacle lenses.

use super::{Cell, Group, Line, Section, Value, refraction, text, values};
use chiasm_proto::{Base, Hundredths, Lensometry, Prism, PrismComponent};

pub fn cell(it: &Lensometry) -> (Group, Cell) {
    let mut notes = Vec::new();
    notes.extend(it.lens_type.clone().map(|lens_type| format!("lens: {lens_type}")));
    notes.extend(it.cylinder_mode.map(|mode| refraction::mode_name(mode).to_owned()));
    let mut cell = Cell::default();
    let values = refraction::sphere_cylinder_axis(it.sphere, it.cylinder, it.axis_deg);
    if !values.is_empty() {
        cell.lines.push(Line { name: String::new(), values });
    }
    let powers = [
        ("Add", it.add),
        ("Add 2", it.add2),
        ("Near", it.near_sphere),
        ("Near 2", it.near_sphere2),
    ];
    for (name, value) in powers {
        cell.lines.extend(value.map(|value| dioptres(name, value)));
    }
    cell.lines.extend(it.prism.as_ref().and_then(prism_line));
    if let Some(percent) = it.uv_transmittance_percent {
        let values = vec![Value { name: String::new(), text: text::short(percent), unit: "%" }];
        cell.lines.push(Line { name: "UV".into(), values });
    }
    if let Some(error) = &it.error {
        cell.label = format!("the instrument reported: {error}");
    }
    (values::group(Section::Wearing, "Lensmeter".into(), notes), cell)
}

/// A power on a line of its own.
pub fn dioptres(name: &str, value: Hundredths) -> Line {
    let values = vec![Value { name: String::new(), text: format!("{value:+}"), unit: "D" }];
    Line { name: name.into(), values }
}

/// A prism on a line of its own.
pub fn prism_line(it: &Prism) -> Option<Line> {
    let values = vec![Value { name: String::new(), text: prism(it)?, unit: "" }];
    Some(Line { name: "Prism".into(), values })
}

/// `2.50 BI, 2.00 BD`, or amount and angle as sent. Where the maker does not document what its sign
/// means, the sign is shown and no base: `H +0.50, V -1.25`.
fn prism(it: &Prism) -> Option<String> {
    let components = [("H", it.horizontal), ("V", it.vertical)].into_iter();
    let mut parts: Vec<String> =
        components.filter_map(|(name, it)| it.map(|it| component(name, it))).collect();
    if let Some(amount) = it.amount {
        let base = it.base_deg.map_or_else(String::new, |base| {
            format!(" base {}\u{b0}", text::axis(base, Hundredths::ZERO))
        });
        parts.push(format!("{amount}{base}"));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn component(name: &str, it: PrismComponent) -> String {
    let base = match it.base {
        Base::In => "BI",
        Base::Out => "BO",
        Base::Up => "BU",
        Base::Down => "BD",
        Base::Unverified => return format!("{name} {:+}", it.amount),
    };
    format!("{} {base}", it.amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_prism_per_eye() {
        let component = |amount, base| Some(PrismComponent { amount: Hundredths(amount), base });
        let sent = Prism {
            horizontal: component(250, Base::In),
            vertical: component(200, Base::Down),
            ..Prism::default()
        };
        assert_eq!(prism(&sent).as_deref(), Some("2.50 BI, 2.00 BD"));
        assert_eq!(prism(&Prism::default()), None);
        let sent = Prism { vertical: component(-125, Base::Unverified), ..Prism::default() };
        assert_eq!(prism(&sent).as_deref(), Some("V -1.25"));
    }
}
