//! Configurations of gateways: what a gateway that tells of its own is answered, what is different
//! between two, and what can be seen to be wrong before one is sent.

mod diff;

use chiasm_drivers::registry;
use chiasm_proto::config::{Document, IMAGERS_MAX, LINKS_MAX};
pub use diff::{Change, Difference, Field, difference};
use std::collections::{BTreeMap, BTreeSet};

/// Highest version that is believed: there is always a next one.
pub const VERSION_MAX: i64 = 1_000_000_000;

/// A version that the cloud has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub version: i64,
    /// The gateway has refused it, or given it up.
    pub is_failed: bool,
    pub is_confirmed: bool,
}

/// What a gateway is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub version: i64,
    /// It has it, and keeps it.
    pub keep: bool,
}

/// What a gateway is answered that says which version it uses, whether that is on trial, and which
/// one failed last there. `known` stands from the newest.
pub fn answer(
    known: &[Known],
    (in_use, is_on_trial): (i64, bool),
    failed: Option<i64>,
) -> Option<Answer> {
    if is_on_trial {
        return known
            .iter()
            .any(|it| it.version == in_use)
            .then_some(Answer { version: in_use, keep: true });
    }
    let newest = known.first().filter(|it| it.version > in_use && !it.is_failed);
    // A machine that was replaced knows of nothing.
    let last_good = || known.iter().find(|it| it.is_confirmed && it.version > in_use);
    let wanted = newest.or_else(|| last_good().filter(|_| in_use == 0))?;
    (failed != Some(wanted.version)).then_some(Answer { version: wanted.version, keep: false })
}

/// What is wrong with a document as far as it can be seen without its gateway, by link. The gateway
/// checks everything again.
pub fn faults(document: &Document, lanes: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    if document.link.len() > LINKS_MAX || document.imager.len() > IMAGERS_MAX {
        faults.push(format!("At most {LINKS_MAX} instruments and {IMAGERS_MAX} imagers."));
    }
    let links = document.link.iter().map(|it| (&it.id, &it.lane));
    let imagers = document.imager.iter().map(|it| (&it.id, &it.lane));
    let mut ids = BTreeSet::new();
    for (id, lane) in links.chain(imagers) {
        if !ids.insert(id) {
            faults.push(format!("{id}: stands twice; give each its own name."));
        }
        if !lanes.contains(lane.as_str()) {
            faults.push(format!("{id}: this location has no lane {lane}."));
        }
    }
    let mut ends: BTreeMap<String, &str> = BTreeMap::new();
    for link in &document.link {
        if registry::find(&link.driver).is_none() {
            faults.push(format!("{}: there is no driver {}.", link.id, link.driver));
        }
        match &link.attached()[..] {
            [(_, end)] => {
                if let Some(other) = ends.insert(end.clone(), link.id.as_str()) {
                    faults.push(format!("{}: {end} is read by {other} already.", link.id));
                }
            }
            _ => faults.push(format!("{}: say where it is attached, once.", link.id)),
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(version: i64, state: &str) -> Known {
        Known { version, is_failed: state == "failed", is_confirmed: state == "confirmed" }
    }

    #[test]
    fn a_gateway_is_sent_what_it_lacks() {
        let keep = |version| Some(Answer { version, keep: true });
        let send = |version| Some(Answer { version, keep: false });
        let own = known(0, "confirmed");
        for (versions, in_use, failed, expected) in [
            (vec![own], (0, false), None, None),
            (vec![known(1, "sent"), own], (0, false), None, send(1)),
            (vec![known(1, "applied"), own], (1, true), None, keep(1)),
            (vec![known(1, "confirmed"), own], (1, false), None, None),
            // It was refused here, and is not sent again.
            (vec![known(2, "failed"), known(1, "confirmed")], (1, false), Some(2), None),
            (vec![known(2, "sent"), known(1, "confirmed")], (1, false), Some(2), None),
            // A machine that was replaced gets what the one before had.
            (vec![known(2, "confirmed"), own], (0, false), None, send(2)),
            (vec![known(3, "failed"), known(2, "confirmed"), own], (0, false), None, send(2)),
            (vec![known(3, "failed"), known(2, "confirmed"), own], (0, false), Some(2), None),
            // While an older one is tried, it is kept first.
            (vec![known(6, "sent"), known(5, "applied")], (5, true), None, keep(5)),
            (vec![known(6, "sent"), known(5, "confirmed")], (5, false), None, send(6)),
            // The gateway has a newer one than a database that was restored.
            (vec![known(3, "confirmed")], (9, false), None, None),
        ] {
            assert_eq!(answer(&versions, in_use, failed), expected, "{versions:?} {in_use:?}");
        }
    }
}
