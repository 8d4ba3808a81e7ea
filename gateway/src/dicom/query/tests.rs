//! Queries as imagers send them.

use super::*;
use crate::dicom::data_set::Syntax;

fn visit(accession: &str, at: &str, family: &str, given: &str) -> ScheduledVisit {
    ScheduledVisit {
        accession: accession.into(),
        study_instance_uid: format!("2.25.{}", accession.len()),
        scheduled_at: at.parse().unwrap(),
        reason: String::new(),
        chart_number: format!("P-{family}"),
        family_name: family.into(),
        given_name: given.into(),
        birth_date: "1961-02-03".parse().unwrap(),
    }
}

fn worklist() -> Worklist {
    Worklist {
        generated_at: "2026-11-30T07:00:00Z".parse().unwrap(),
        location: "Main street".into(),
        visits: vec![
            visit("B", "2026-11-30T10:00:00", "Müller", "Bo"),
            visit("A1", "2026-11-30T09:00:00", "Smith", "Anna"),
            visit("C12", "2026-12-01T09:00:00", "Smith", "Anna"),
        ],
    }
}

fn asked(model: Model, keys: &DataSet) -> Vec<DataSet> {
    let enrolled = ["OCT".to_owned(), "FUNDUS".to_owned()];
    let asker =
        Asker { calling_ae: "OCT", enrolled: &enrolled, station: "oct-1", own_ae: "CHIASM" };
    let worklist = worklist();
    let answers: Vec<DataSet> = answers(model, keys, &worklist, asker).unwrap().collect();
    for answer in &answers {
        for syntax in [Syntax::ImplicitLittleEndian, Syntax::ExplicitLittleEndian] {
            assert!(DataSet::parse(&answer.encode(syntax), syntax).is_ok());
        }
    }
    answers
}

fn step(tag: Tag, value: &str) -> DataSet {
    let (mut keys, mut step) = (DataSet::default(), DataSet::default());
    step.put(tag, value);
    keys.put_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step]);
    keys
}

fn accessions(answers: &[DataSet]) -> Vec<String> {
    answers.iter().map(|answer| answer.ascii(tags::ACCESSION_NUMBER)).collect()
}

#[test]
fn universal_keys_and_empty_items_find_everybody_in_order() {
    let mut empty_item = DataSet::default();
    empty_item.put_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![DataSet::default()]);
    let mut no_item = DataSet::default();
    no_item.put_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![]);
    for keys in [DataSet::default(), empty_item, no_item, step(tags::MODALITY, "")] {
        assert_eq!(accessions(&asked(Model::Worklist, &keys)), ["A1", "B", "C12"]);
    }
}

#[test]
fn station_and_modality_are_matched_as_imagers_need() {
    let ae = |title| asked(Model::Worklist, &step(tags::SCHEDULED_STATION_AE_TITLE, title));
    assert_eq!(ae("OCT").len(), 3);
    let others = ae("FUNDUS");
    let item = &others[0].items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE)[0];
    assert_eq!(item.ascii(tags::SCHEDULED_STATION_AE_TITLE), "FUNDUS");
    assert!(ae("STRANGER").is_empty());
    for (asked_for, answered) in [("OP", "OP"), ("OPT\\OP", "OPT"), ("", "OT"), ("*", "OT")] {
        let answers = asked(Model::Worklist, &step(tags::MODALITY, asked_for));
        let item = &answers[0].items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE)[0];
        assert_eq!(item.ascii(tags::MODALITY), answered);
    }
}

#[test]
fn dates_names_and_numbers_select() {
    let day = asked(Model::Worklist, &step(tags::SCHEDULED_PROCEDURE_STEP_START_DATE, "20261130"));
    assert_eq!(accessions(&day), ["A1", "B"]);
    let mut by_name = DataSet::default();
    by_name.put(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 100");
    let latin = Element { vr: VR::PN, value: Value::Bytes(b"M\xdcL*".to_vec()) };
    by_name.put_element(tags::PATIENT_NAME, latin);
    assert_eq!(accessions(&asked(Model::Worklist, &by_name)), ["B"]);
    let mut by_id = DataSet::default();
    by_id.put(tags::PATIENT_ID, "p-smith");
    assert_eq!(accessions(&asked(Model::Worklist, &by_id)), ["A1", "C12"]);
    let wrong = step(tags::SCHEDULED_PROCEDURE_STEP_START_DATE, "today");
    let enrolled = [];
    let asker = Asker { calling_ae: "X", enrolled: &enrolled, station: "x", own_ae: "Y" };
    let worklist = worklist();
    assert!(answers(Model::Worklist, &wrong, &worklist, asker).is_err());
}

#[test]
fn an_answer_holds_what_was_asked_and_says_its_character_set() {
    let mut keys = DataSet::default();
    keys.put(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 100");
    keys.put_empty(tags::PATIENT_SEX, VR::CS);
    keys.put_empty(tags::REFERENCED_STUDY_SEQUENCE, VR::SQ);
    let answers = asked(Model::Worklist, &keys);
    let (smith, mueller) = (&answers[0], &answers[1]);
    assert_eq!(smith.get(tags::SPECIFIC_CHARACTER_SET), None);
    assert_eq!(mueller.charset(), "ISO_IR 192");
    assert_eq!(mueller.text(tags::PATIENT_NAME, ""), "Müller^Bo");
    assert_eq!(smith.ascii(tags::PATIENT_SEX), "");
    assert!(smith.get(tags::PATIENT_SEX).is_some());
    assert!(smith.get(tags::REFERENCED_STUDY_SEQUENCE).is_some());
    assert!(smith.get(tags::STUDY_DATE).is_none(), "nobody asked for it");
}

#[test]
fn patient_root_finds_patients_once_and_visits_as_studies() {
    let at = |level: &str| {
        let mut keys = DataSet::default();
        keys.put(tags::QUERY_RETRIEVE_LEVEL, level);
        keys.put_empty(tags::PATIENT_ID, VR::LO);
        keys.put_empty(tags::STUDY_INSTANCE_UID, VR::UI);
        asked(Model::Patient, &keys)
    };
    assert_eq!(at("PATIENT").len(), 2);
    assert_eq!(at("STUDY").len(), 3);
    assert_eq!(at("SERIES").len(), 0);
    assert_eq!(at("STUDY")[0].ascii(tags::RETRIEVE_AE_TITLE), "CHIASM");
}
