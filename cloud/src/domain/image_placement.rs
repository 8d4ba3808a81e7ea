//! Where a DICOM instance goes. An identifier that we issued names the visit; a patient id files
//! only with the birth date or with the lane's session; everything else waits. Names are no
//! facts here, so nothing can be filed by them.

use super::placement::{claimed_id, is_same_id};

/// Where an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    Exam,
    Inbox,
    Held,
    /// It cannot be read; it is kept as it came.
    Quarantined,
}

impl Place {
    pub fn as_str(self) -> &'static str {
        match self {
            Place::Exam => "exam",
            Place::Inbox => "inbox",
            Place::Held => "held",
            Place::Quarantined => "quarantined",
        }
    }
}

/// A visit with what its patient is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    pub encounter_id: String,
    pub person: Person,
    /// The identifier that we issued for it.
    pub accession: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// All charts of the person (D10).
    pub chart_numbers: Vec<String>,
    /// `YYYY-MM-DD`.
    pub birth_date: String,
}

impl Person {
    fn has_chart(&self, id: &str) -> bool {
        self.chart_numbers.iter().any(|chart| is_same_id(id, chart))
    }
}

/// What is known about an instance.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// An instance with its UID and other content came before it.
    pub contradicts_earlier: bool,
    /// As the data says it; blank is none.
    pub patient_id: Option<&'a str>,
    /// `YYYY-MM-DD`.
    pub birth_date: Option<&'a str>,
    /// The visit of its Study Instance UID, if that is one of ours.
    pub by_study: Option<&'a Visit>,
    /// The visit of its accession number, or of a patient id that is one.
    pub by_accession: Option<&'a Visit>,
    /// Whose chart number the patient id is.
    pub person: Option<&'a Person>,
    /// Visits of that person, at the gateway's location on the day of the acquisition.
    pub that_day: &'a [String],
    /// The lane's session that was open both while it was acquired and when it arrived.
    pub session: Option<&'a Visit>,
    /// The exam of all earlier instances of its study, if these say the same of the patient.
    pub study_in: Option<&'a str>,
}

/// The decision, with the reason in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    pub place: Place,
    pub reason: String,
    /// Only in an exam.
    pub encounter_id: Option<String>,
}

fn exam(encounter: &str, reason: impl Into<String>) -> Placement {
    let encounter_id = Some(encounter.to_owned());
    Placement { place: Place::Exam, reason: reason.into(), encounter_id }
}
fn held(reason: impl Into<String>) -> Placement {
    Placement { place: Place::Held, reason: reason.into(), encounter_id: None }
}
fn inbox(reason: impl Into<String>) -> Placement {
    Placement { place: Place::Inbox, reason: reason.into(), encounter_id: None }
}

/// Decides.
pub fn place(facts: Facts<'_>) -> Placement {
    if facts.contradicts_earlier {
        return held("another object with the same UID and other content came before it");
    }
    match (facts.by_study, facts.by_accession) {
        (Some(study), Some(accession)) if study.encounter_id != accession.encounter_id => {
            held("its study UID and its accession number are those of two different visits")
        }
        (Some(visit), _) => of_visit(facts, visit, "study UID"),
        (None, Some(visit)) => of_visit(facts, visit, "accession number"),
        (None, None) => match (facts.study_in, claimed_id(facts.patient_id)) {
            (Some(encounter), _) => exam(encounter, "the rest of its study is in this exam"),
            (None, Some(id)) => by_patient_id(facts, id),
            (None, None) => by_session(facts),
        },
    }
}

/// Whether a birth date in the data is another one. One that is not there is none.
fn is_other_birth_date(facts: Facts<'_>, person: &Person) -> bool {
    facts.birth_date.is_some_and(|given| given != person.birth_date)
}

/// The data carries an identifier that we issued.
fn of_visit(facts: Facts<'_>, visit: &Visit, what: &str) -> Placement {
    if let Some(id) = claimed_id(facts.patient_id) {
        let is_own = visit.accession.as_deref().is_some_and(|own| is_same_id(id, own));
        if !is_own && !visit.person.has_chart(id) {
            return held(format!(
                "the data says patient {id}, the visit of its {what} is another patient's"
            ));
        }
    }
    if is_other_birth_date(facts, &visit.person) {
        return held(format!(
            "the birth date in the data is not that of the patient whose visit its {what} names"
        ));
    }
    if facts.session.is_some_and(|session| session.encounter_id != visit.encounter_id) {
        return held(format!(
            "its {what} is that of another visit than the lane session in which it was acquired"
        ));
    }
    exam(&visit.encounter_id, format!("it carries the {what} that was issued for this visit"))
}

/// The data names a patient in the clinic's own way (R31 a).
fn by_patient_id(facts: Facts<'_>, id: &str) -> Placement {
    let Some(person) = facts.person else {
        return match facts.session {
            Some(_) => {
                held(format!("the data says patient {id}, the lane session is another patient's"))
            }
            None => inbox(format!("the data says patient {id}, whom nobody knows here")),
        };
    };
    if is_other_birth_date(facts, person) {
        return held(format!("the data says patient {id}, but not that patient's birth date"));
    }
    if let Some(session) = facts.session {
        let is_same = session.person.chart_numbers.iter().any(|chart| person.has_chart(chart));
        return match is_same {
            true => exam(
                &session.encounter_id,
                "the lane session was open and the patient id in the data agrees",
            ),
            false => {
                held(format!("the data says patient {id}, the lane session is another patient's"))
            }
        };
    }
    match (facts.birth_date, facts.that_day) {
        (None, _) => inbox(format!("the data says patient {id} and no birth date")),
        (Some(_), [only]) => {
            exam(only, "by id: patient id and birth date are those of a visit of that day")
        }
        (Some(_), []) => {
            inbox(format!("the data says patient {id}, who has no visit here on that day"))
        }
        (Some(_), _) => {
            inbox(format!("the data says patient {id}, who has several visits on that day"))
        }
    }
}

/// The data names nobody (R31 b).
fn by_session(facts: Facts<'_>) -> Placement {
    match facts.session {
        Some(session) if is_other_birth_date(facts, &session.person) => {
            held("the birth date in the data is not that of the lane session's patient")
        }
        Some(session) => exam(
            &session.encounter_id,
            "the lane session was open when it was acquired; the data has no patient id",
        ),
        None => inbox("the data has no patient id, and no lane session says whose it is"),
    }
}

#[cfg(test)]
mod tests;
