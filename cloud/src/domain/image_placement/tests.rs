use super::*;
use proptest::prelude::*;

fn visit(name: &str) -> Visit {
    Visit {
        encounter_id: format!("exam of {name}"),
        person: person(name),
        accession: Some(format!("ACC{name}")),
    }
}

fn person(name: &str) -> Person {
    Person {
        chart_numbers: vec![name.to_owned(), format!("old {name}")],
        birth_date: format!("1960-01-0{name}"),
    }
}

#[derive(Default)]
struct Case {
    contradicts: bool,
    id: &'static str,
    born: Option<&'static str>,
    study: Option<&'static str>,
    accession: Option<&'static str>,
    session: Option<&'static str>,
    visits: usize,
    study_in: Option<&'static str>,
}

fn decide(case: &Case) -> Placement {
    let (by_study, by_accession) = (case.study.map(visit), case.accession.map(visit));
    let session = case.session.map(visit);
    let whose = case.id.trim().trim_start_matches("old ");
    let person = ["1", "2", "3"].contains(&whose).then(|| person(whose));
    let that_day: Vec<String> = (0..case.visits)
        .map(|at| if at == 0 { format!("exam of {whose}") } else { format!("exam {at}") })
        .collect();
    place(Facts {
        contradicts_earlier: case.contradicts,
        patient_id: Some(case.id),
        birth_date: case.born,
        by_study: by_study.as_ref(),
        by_accession: by_accession.as_ref(),
        person: person.as_ref(),
        that_day: &that_day,
        session: session.as_ref(),
        study_in: case.study_in,
    })
}

const ONE: Option<&str> = Some("1");
const TWO: Option<&str> = Some("2");
const BORN_1: Option<&str> = Some("1960-01-01");
const BORN_2: Option<&str> = Some("1960-01-02");

#[rustfmt::skip]
fn cases() -> Vec<(&'static str, Case, Place, Option<&'static str>)> {
    use Place::{Exam, Held, Inbox};
    let none = Case::default;
    let of_1 = Some("exam of 1");
    let table = vec![
        ("our study UID alone", Case { study: ONE, ..none() }, Exam, of_1),
        ("our study UID, id and birth date agree", Case { study: ONE, id: "1", born: BORN_1, ..none() }, Exam, of_1),
        ("our study UID with a merged chart", Case { study: ONE, id: "old 1", ..none() }, Exam, of_1),
        ("our accession alone", Case { accession: ONE, ..none() }, Exam, of_1),
        ("our accession scanned as patient id", Case { accession: ONE, id: "ACC1", ..none() }, Exam, of_1),
        ("both of one visit", Case { study: ONE, accession: ONE, ..none() }, Exam, of_1),
        ("both of two visits", Case { study: ONE, accession: TWO, ..none() }, Held, None),
        ("the id was edited on the imager", Case { study: ONE, id: "2", ..none() }, Held, None),
        ("the id was mistyped on the imager", Case { study: ONE, id: "9", ..none() }, Held, None),
        ("the birth date was edited", Case { study: ONE, id: "1", born: BORN_2, ..none() }, Held, None),
        ("the wrong row of the worklist was chosen", Case { study: ONE, session: TWO, ..none() }, Held, None),
        ("the right row", Case { study: ONE, session: ONE, ..none() }, Exam, of_1),
        ("id and birth date, one visit", Case { id: "1", born: BORN_1, visits: 1, ..none() }, Exam, of_1),
        ("id without birth date", Case { id: "1", visits: 1, ..none() }, Inbox, None),
        ("id with another birth date", Case { id: "1", born: BORN_2, visits: 1, ..none() }, Held, None),
        ("id and birth date, no visit", Case { id: "1", born: BORN_1, ..none() }, Inbox, None),
        ("id and birth date, two visits", Case { id: "1", born: BORN_1, visits: 2, ..none() }, Inbox, None),
        ("two visits, and a session says which", Case { id: "1", born: BORN_1, visits: 2, session: ONE, ..none() }, Exam, of_1),
        ("R31 a and b agree", Case { id: " 1 ", session: ONE, ..none() }, Exam, of_1),
        ("R31 a against b", Case { id: "2", born: BORN_2, visits: 1, session: ONE, ..none() }, Held, None),
        ("an unknown id in a session", Case { id: "9", session: ONE, ..none() }, Held, None),
        ("an unknown id", Case { id: "9", born: BORN_1, ..none() }, Inbox, None),
        ("R31 b: a session, no id", Case { session: ONE, ..none() }, Exam, of_1),
        ("a session, no id, another birth date", Case { session: ONE, born: BORN_2, ..none() }, Held, None),
        ("nothing", Case { id: "  ", ..none() }, Inbox, None),
        ("a birth date alone", Case { born: BORN_1, ..none() }, Inbox, None),
        ("the study was filed before", Case { id: "9", study_in: of_1, ..none() }, Exam, of_1),
        ("other content under a known UID", Case { contradicts: true, study: ONE, id: "1", ..none() }, Held, None),
    ];
    table
}

#[test]
fn places_by_rule() {
    for (name, case, place, encounter) in cases() {
        let placed = decide(&case);
        assert_eq!(placed.place, place, "{name}: {}", placed.reason);
        assert_eq!(placed.encounter_id.as_deref(), encounter, "{name}");
        assert!(!placed.reason.is_empty());
    }
}

proptest! {
    #[test]
    fn nothing_files_against_what_the_data_says(
        contradicts: bool,
        id in prop::sample::select(vec!["", " ", "1", "2", "9", "old 1", "ACC1"]),
        born in prop::option::of(prop::sample::select(vec!["1960-01-01", "1960-01-02"])),
        study in prop::option::of(prop::sample::select(vec!["1", "2"])),
        accession in prop::option::of(prop::sample::select(vec!["1", "2"])),
        session in prop::option::of(prop::sample::select(vec!["1", "2"])),
        visits in 0_usize..3,
    ) {
        let study_in = None;
        let case = Case { contradicts, id, born, study, accession, session, visits, study_in };
        let placed = decide(&case);
        let Some(encounter) = &placed.encounter_id else {
            prop_assert!(placed.place != Place::Exam);
            return Ok(());
        };
        prop_assert_eq!(placed.place, Place::Exam);
        prop_assert!(!contradicts);
        let whose = encounter.trim_start_matches("exam of ");
        // Every source that names somebody names this one.
        for named in [study, accession, session].into_iter().flatten() {
            prop_assert_eq!(named, whose);
        }
        if !id.trim().is_empty() {
            let names = [whose.to_owned(), format!("old {whose}"), format!("ACC{whose}")];
            prop_assert!(names.iter().any(|name| name == id.trim()), "{id} in {encounter}");
        }
        let birth_date = format!("1960-01-0{whose}");
        prop_assert!(born.is_none_or(|born| born == birth_date));
        // And something certain names it at all.
        let by_id = !id.trim().is_empty() && born.is_some() && visits == 1;
        prop_assert!(study.is_some() || accession.is_some() || session.is_some() || by_id);
    }
}
