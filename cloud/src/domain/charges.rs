//! Charge proposals: from what an exam holds to what could be charged for it, with what is missing.
//! Never a charge. A proposal is derived whenever somebody looks, so it goes when its evidence is
//! moved, rejected or withdrawn; only what people said about it is stored.

mod codes;

pub use codes::{CONFLICTS, RULES, Rule, rule};

use chiasm_proto::{Eye, Measured, Measurement};

/// What makes a proposal. Pressure by air, autorefraction, lensometry and the keratometry that comes
/// with an autorefraction are part of the examination and make none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A final prescription in a signed exam.
    FinalPrescription,
    Pachymetry,
    Topography,
    Biometry,
    NerveImage,
    RetinaImage,
    FundusPhoto,
    ThresholdField,
}

/// One thing that an exam holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    pub kind: Kind,
    /// The reading, or the entry.
    pub id: String,
    pub eyes: Vec<Eye>,
    /// For people: `NIDEK NT-530P, 10:03`.
    pub words: String,
}

/// What the measurements of one accepted reading are evidence of, with their eyes. What an
/// instrument passes on from another one is none.
pub fn kinds_of(measurements: &[Measurement]) -> Vec<(Kind, Vec<Eye>)> {
    let mut found: Vec<(Kind, Vec<Eye>)> = Vec::new();
    for measurement in measurements.iter().filter(|it| !it.relayed) {
        let kind = match &measurement.measured {
            Measured::Pachymetry(it) => {
                let has_value = it.representative_um.is_some()
                    || it.shots_um.iter().any(|shot| shot.value.is_some());
                has_value.then_some(Kind::Pachymetry)
            }
            Measured::Biometry(it) => it.axial_length_mm.map(|_| Kind::Biometry),
            _ => None,
        };
        let Some(kind) = kind else { continue };
        let at = found.iter().position(|(known, _)| *known == kind).unwrap_or_else(|| {
            found.push((kind, vec![]));
            found.len() - 1
        });
        if !found[at].1.contains(&measurement.eye) {
            found[at].1.push(measurement.eye);
        }
    }
    found
}

/// What a person said about a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Say {
    /// It was ordered.
    Ordered,
    /// Interpretation and report are written.
    Reported,
    Dismissed,
    Billed,
    /// Everything that was said before is taken back.
    Reopened,
}

impl Say {
    pub const ALL: [Self; 5] =
        [Self::Ordered, Self::Reported, Self::Dismissed, Self::Billed, Self::Reopened];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Reported => "reported",
            Self::Dismissed => "dismissed",
            Self::Billed => "billed",
            Self::Reopened => "reopened",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// A mark, oldest first in lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub code: String,
    pub say: Say,
    pub note: String,
    /// `names_of` the evidence at that time.
    pub evidence: String,
    pub at_us: i64,
    pub by: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    Proposed,
    Dismissed,
    Billed,
    /// Something was said about it, and its evidence is gone.
    Withdrawn,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Proposed => "proposed",
            State::Dismissed => "dismissed",
            State::Billed => "billed",
            State::Withdrawn => "withdrawn",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    pub rule: &'static Rule,
    pub state: State,
    pub evidence: Vec<Evidence>,
    /// Why it is not billable yet; nothing where it is complete.
    pub missing: Vec<String>,
    /// What stands in its way on this day.
    pub conflicts: Vec<String>,
    /// It was billed, and what it was billed for is not what the exam holds.
    pub warning: Option<String>,
    /// What was said since it was last reopened, oldest first.
    pub marks: Vec<Mark>,
}

impl Proposal {
    pub fn has(&self, say: Say) -> bool {
        self.marks.iter().any(|mark| mark.say == say)
    }
    /// `OD and OS`.
    pub fn eyes(&self) -> String {
        let all = self.evidence.iter().flat_map(|it| it.eyes.iter().copied());
        let mut eyes: Vec<Eye> = all.filter(|eye| *eye != Eye::NotGiven).collect();
        eyes.sort();
        eyes.dedup();
        eyes.into_iter().map(Eye::abbreviation).collect::<Vec<_>>().join(" and ")
    }
    /// Names its evidence, to see later whether it is still the same.
    pub fn evidence_names(&self) -> String {
        names_of(&self.evidence)
    }
}

fn names_of(evidence: &[Evidence]) -> String {
    let mut names: Vec<&str> = evidence.iter().map(|it| it.id.as_str()).collect();
    names.sort_unstable();
    names.join(" ")
}

/// The proposals of one exam, in the order of the codes. `billed_elsewhere` are codes that were
/// billed for the same person and day from another visit.
pub fn proposals(
    evidence: &[Evidence],
    marks: &[Mark],
    billed_elsewhere: &[String],
) -> Vec<Proposal> {
    let of_rule = |rule| proposal(rule, evidence, marks, billed_elsewhere);
    let mut all: Vec<Proposal> = RULES.iter().filter_map(of_rule).collect();
    let standing: Vec<&str> = all
        .iter()
        .filter(|it| matches!(it.state, State::Proposed | State::Billed))
        .map(|it| it.rule.code)
        .collect();
    for it in &mut all {
        for (one, other, why) in CONFLICTS {
            let beside = match it.rule.code {
                code if code == *one => other,
                code if code == *other => one,
                _ => continue,
            };
            if standing.contains(&it.rule.code) && standing.contains(beside) {
                it.conflicts.push(format!("with {beside}: {why}"));
            }
        }
    }
    all
}

fn proposal(
    rule: &'static Rule,
    evidence: &[Evidence],
    marks: &[Mark],
    billed_elsewhere: &[String],
) -> Option<Proposal> {
    let evidence: Vec<Evidence> =
        evidence.iter().filter(|it| it.kind == rule.evidence).cloned().collect();
    let of_code = marks.iter().filter(|mark| mark.code == rule.code);
    let mut since: Vec<Mark> = Vec::new();
    for mark in of_code {
        if mark.say == Say::Reopened { since.clear() } else { since.push(mark.clone()) }
    }
    if evidence.is_empty() && since.is_empty() {
        return None;
    }
    let last = since.iter().rev().find(|it| matches!(it.say, Say::Dismissed | Say::Billed));
    let billed = last.filter(|it| it.say == Say::Billed);
    let state = match last.map(|it| it.say) {
        _ if evidence.is_empty() => State::Withdrawn,
        Some(Say::Billed) => State::Billed,
        Some(_) => State::Dismissed,
        None => State::Proposed,
    };
    let warning = billed.and_then(|mark| {
        if evidence.is_empty() {
            let words = "Billed, but what it was billed for is no longer in this exam: it was moved, \
                rejected or withdrawn. Tell billing.";
            return Some(words.to_owned());
        }
        (mark.evidence != names_of(&evidence)).then(|| {
            "Billed for other evidence than the exam holds now. Tell billing.".to_owned()
        })
    });
    let mut it = Proposal {
        rule,
        state,
        evidence,
        missing: vec![],
        conflicts: vec![],
        warning,
        marks: since,
    };
    if it.state == State::Proposed {
        it.missing = missing(&it, billed_elsewhere);
    }
    Some(it)
}

fn missing(it: &Proposal, billed_elsewhere: &[String]) -> Vec<String> {
    let mut missing = Vec::new();
    if it.rule.needs_order && !it.has(Say::Ordered) {
        missing.push("no order".to_owned());
    }
    if it.rule.needs_report && !it.has(Say::Reported) {
        missing.push("no interpretation and report".to_owned());
    }
    if it.evidence.iter().any(|it| it.eyes.contains(&Eye::NotGiven)) {
        missing.push("the eye is not stated".to_owned());
    }
    if billed_elsewhere.iter().any(|code| code == it.rule.code) {
        missing.push("billed today already, from another visit".to_owned());
    }
    missing
}

#[cfg(test)]
mod tests;
