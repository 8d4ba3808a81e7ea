//! Before or after drops: two different kinds of reading (R11), told apart by the times of the visit
//! unless a person said it of the reading itself.

use super::{ReadingView, Section, text};
use crate::{domain::correction::Drops, store::visit_note};
use jiff::tz::TimeZone;

/// Names what was measured before and after the visit's drops, once there were any.
pub fn mark(view: &mut ReadingView, given: &[visit_note::Drops], zone: &TimeZone) {
    let last = given.iter().rfind(|drops| drops.given_at_us <= view.at_us);
    let state = match (view.correction.drops, last) {
        (Some(state), _) => state,
        (None, Some(_)) => Drops::After,
        (None, None) if given.is_empty() => return,
        (None, None) => Drops::Before,
    };
    let note = last.filter(|_| state == Drops::After).map(|drops| {
        format!("{} {}", drops.agent, text::hours_and_minutes(drops.given_at_us, zone))
    });
    for group in &mut view.groups {
        let is_changed_by_drops = matches!(
            group.section,
            Section::Autorefraction | Section::Refractor | Section::Pressure | Section::Distances
        );
        if is_changed_by_drops {
            let word = if state == Drops::After { "after drops" } else { "before drops" };
            group.title = format!("{}, {word}", group.title);
            group.notes.extend(note.clone());
        }
    }
}
