//! The prism of a lens or a prescription, in up to two forms.

use super::values::{DEGREES, PRISM_DIOPTRES, number, number_in, whole};
use crate::{DecodeError, format::xml::El};
use chiasm_proto::{Base, FlagCode, Hundredths, Prism, PrismComponent};

/// Words of a base and what they mean.
pub type Bases = [(&'static str, Base); 2];
pub const HORIZONTAL: Bases = [("in", Base::In), ("out", Base::Out)];
pub const VERTICAL: Bases = [("up", Base::Up), ("down", Base::Down)];
/// How far the two forms of one prism may lie apart, each rounded by itself, in prism dioptres.
const PRISM_GAP_MAX: f64 = 0.5;

/// What became of one component.
pub enum Component {
    Empty,
    Is(PrismComponent),
    /// Contradicts itself: left unread and flagged.
    Rejected,
}

/// The two components where they are sent, else amount and base angle: two forms of one prism. If
/// one component contradicts itself, the other form stays beside it as text.
pub fn prism(el: El) -> Result<Option<Prism>, DecodeError> {
    let components = [component(el, "PrismX", &HORIZONTAL)?, component(el, "PrismY", &VERTICAL)?];
    let is_rejected = components.iter().any(|it| matches!(it, Component::Rejected));
    let [horizontal, vertical] = components.map(|it| match it {
        Component::Is(component) => Some(component),
        Component::Empty | Component::Rejected => None,
    });
    if horizontal.is_none() && vertical.is_none() {
        return polar(el);
    }
    let rectangular = Prism { horizontal, vertical, ..Prism::default() };
    if !is_rejected && let Some(polar) = polar(el)? {
        compare(el, &rectangular, &polar);
    }
    Ok(Some(rectangular))
}

/// An unsigned number and the direction of its base. The attribute is there without a value too.
pub fn component(el: El, name: &str, bases: &Bases) -> Result<Component, DecodeError> {
    let Some(leaf) = el.peek(name) else { return Ok(Component::Empty) };
    if leaf.text().is_empty() {
        leaf.done();
        return Ok(Component::Empty);
    }
    let amount = number_in(leaf, PRISM_DIOPTRES)?;
    match base(leaf, bases) {
        Some(base) if amount.0 >= 0 => {
            leaf.done();
            Ok(Component::Is(PrismComponent { amount, base }))
        }
        _ => {
            let what = format!("{}: number and base contradict each other", leaf.path());
            leaf.tree().flag(FlagCode::Inconsistent, what);
            Ok(Component::Rejected)
        }
    }
}

/// The direction; unverified where none was sent, nothing where it is none of this component.
fn base(leaf: El, bases: &Bases) -> Option<Base> {
    let sent = leaf.node().attribute("base").map_or("", str::trim);
    let known = bases.iter().find(|(word, _)| word.eq_ignore_ascii_case(sent));
    match known {
        Some((_, base)) => Some(*base),
        None => sent.is_empty().then_some(Base::Unverified),
    }
}

/// An angle without an amount says nothing.
fn polar(el: El) -> Result<Option<Prism>, DecodeError> {
    let amount = number(el, "Prism", PRISM_DIOPTRES)?;
    let base_deg = whole(el, "PrismBase", DEGREES)?;
    Ok(amount.map(|amount| Prism { amount: Some(amount), base_deg, ..Prism::default() }))
}

/// Flags a prism whose two forms are not the same one.
fn compare(el: El, rectangular: &Prism, polar: &Prism) {
    let size = |component: Option<PrismComponent>| {
        component.map_or(0.0, |component| component.amount.to_f64())
    };
    let amount = size(rectangular.horizontal).hypot(size(rectangular.vertical));
    let sent = polar.amount.map_or(0.0, Hundredths::to_f64);
    if (amount - sent).abs() > PRISM_GAP_MAX {
        let what = format!("{}: the two forms of the prism do not agree", el.path());
        el.tree().flag(FlagCode::Inconsistent, what);
    }
}
