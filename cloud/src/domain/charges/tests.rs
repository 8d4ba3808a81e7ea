//! Proposals from made-up exams.

use super::*;
use chiasm_proto::{
    Biometry, Hundredths, Keratometry, Lensometry, Pachymetry, Refraction, RefractionKind,
    Representative, Tonometry, TonometryMethod,
};

fn evidence(kind: Kind, id: &str) -> Evidence {
    Evidence { kind, id: id.into(), eyes: vec![Eye::Right, Eye::Left], words: id.into() }
}
fn mark(code: &str, say: Say, evidence: &str) -> Mark {
    Mark {
        code: code.into(),
        say,
        note: String::new(),
        evidence: evidence.into(),
        at_us: 0,
        by: "okafor".into(),
    }
}
fn one(evidence: &[Evidence], marks: &[Mark]) -> Proposal {
    let mut all = proposals(evidence, marks, &[]);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn what_is_part_of_the_examination_proposes_nothing() {
    let of = |measured| Measurement::without_token(Eye::Right, measured);
    let part = [
        of(Measured::Tonometry(Tonometry::new(TonometryMethod::NonContact))),
        of(Measured::Refraction(Refraction::new(RefractionKind::Autorefraction))),
        of(Measured::Lensometry(Lensometry::default())),
        of(Measured::Keratometry(Keratometry::default())),
        of(Measured::Pachymetry(Pachymetry::default())),
    ];
    assert_eq!(kinds_of(&part), []);
    let thickness = Pachymetry {
        representative_um: Some(Representative { label: "AVG".into(), value: 545 }),
        ..Pachymetry::default()
    };
    let length = Biometry { axial_length_mm: Some(Hundredths(2350)), ..Biometry::default() };
    let found = kinds_of(&[
        of(Measured::Pachymetry(thickness.clone())),
        Measurement::without_token(Eye::Left, Measured::Pachymetry(thickness.clone())),
        of(Measured::Biometry(length)),
    ]);
    let both = vec![Eye::Right, Eye::Left];
    assert_eq!(found, [(Kind::Pachymetry, both), (Kind::Biometry, vec![Eye::Right])]);
    assert_eq!(kinds_of(&[of(Measured::Pachymetry(thickness)).relayed()]), []);
}

#[test]
fn what_is_missing_is_said() {
    let rx = one(&[evidence(Kind::FinalPrescription, "final")], &[]);
    assert_eq!((rx.rule.code, rx.state, rx.missing.len()), ("92015", State::Proposed, 0));
    let thickness = [evidence(Kind::Pachymetry, "r1")];
    let it = one(&thickness, &[]);
    assert_eq!(it.missing, ["no order", "no interpretation and report"]);
    assert_eq!(it.eyes(), "OD and OS");
    let marks = [mark("76514", Say::Ordered, "r1"), mark("76514", Say::Reported, "r1")];
    assert_eq!(one(&thickness, &marks).missing, Vec::<String>::new());
    let elsewhere = proposals(&thickness, &marks, &["76514".into()]);
    assert!(elsewhere[0].missing[0].contains("another visit"));
    let mut no_side = thickness.clone();
    no_side[0].eyes = vec![Eye::NotGiven];
    assert_eq!(one(&no_side, &marks).missing, ["the eye is not stated"]);
}

#[test]
fn codes_that_exclude_each_other_are_noted_on_both() {
    let both = [evidence(Kind::NerveImage, "a"), evidence(Kind::RetinaImage, "b")];
    let all = proposals(&both, &[], &[]);
    assert!(all.iter().all(|it| it.conflicts.len() == 1), "{all:?}");
    let three = [both[0].clone(), both[1].clone(), evidence(Kind::FundusPhoto, "c")];
    let all = proposals(&three, &[], &[]);
    assert_eq!(all.iter().map(|it| it.conflicts.len()).collect::<Vec<_>>(), [2, 2, 2]);
    // One that is dismissed is in nobody's way.
    let all = proposals(&both, &[mark("92134", Say::Dismissed, "b")], &[]);
    assert!(all.iter().all(|it| it.conflicts.is_empty()), "{all:?}");
}

#[test]
fn a_proposal_goes_with_its_evidence_and_warns_where_it_was_billed() {
    let thickness = [evidence(Kind::Pachymetry, "r1")];
    assert!(proposals(&[], &[], &[]).is_empty());
    let billed = [mark("76514", Say::Billed, "r1")];
    assert_eq!(one(&thickness, &billed).state, State::Billed);
    assert_eq!(one(&thickness, &billed).warning, None);
    let gone = one(&[], &billed);
    assert_eq!(gone.state, State::Withdrawn);
    assert!(gone.warning.unwrap().contains("no longer in this exam"));
    let other = one(&[evidence(Kind::Pachymetry, "r2")], &billed);
    assert!(other.warning.unwrap().contains("other evidence"));
    let ordered = one(&[], &[mark("76514", Say::Ordered, "r1")]);
    assert_eq!((ordered.state, ordered.warning), (State::Withdrawn, None));
    let again = [billed[0].clone(), mark("76514", Say::Reopened, "")];
    assert!(proposals(&[], &again, &[]).is_empty());
    assert_eq!(one(&thickness, &again).state, State::Proposed);
}

#[test]
fn every_rule_is_whole() {
    for (index, rule) in RULES.iter().enumerate() {
        assert!(rule.code.len() == 5 && !rule.name.is_empty());
        assert!(RULES[..index].iter().all(|it| it.evidence != rule.evidence), "{}", rule.code);
    }
    for (one, other, _) in CONFLICTS {
        assert!(super::rule(one).is_some() && super::rule(other).is_some());
    }
}
