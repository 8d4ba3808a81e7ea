//! What is written is what is read, by a reader that shares nothing with the writer.

use super::*;
use crate::{
    DriverOptions,
    makers::dicom_measurements::decode,
    sim::{self, Knobs},
};
use chiasm_proto::{
    Base, Decoded, Hundredths, Integrity, Keratometry, KeratometryValue, Lensometry, Measured,
    Meridian, Prism, PrismComponent, Refraction, RefractionKind, RefractionValue, Shot,
};
use dicom_object::OpenFileOptions;
use proptest::prelude::*;

fn subject() -> Subject {
    Subject {
        patient_id: "P-4711".into(),
        family_name: "Müller".into(),
        given_name: "Ana^Maria".into(),
        birth_date: Some(civil::date(1970, 1, 2)),
        study_uid: "2.25.42".into(),
        accession: Some("ABCDE12345".into()),
        study_at: civil::datetime(2026, 9, 1, 9, 0, 0, 0),
        content_at: civil::datetime(2026, 9, 1, 9, 18, 5, 0),
        seed: "acme/reading/1".into(),
    }
}

fn instrument() -> Instrument {
    Instrument { vendor: "NIDEK".into(), model: "ARK-1".into(), ..Instrument::default() }
}

fn written(measurements: &[Measurement]) -> Vec<Written> {
    write(&instrument(), measurements, &subject()).into_iter().map(Result::unwrap).collect()
}

fn back(written: &Written) -> Decoded {
    decode(&written.bytes, &DriverOptions::default()).unwrap()
}

fn refraction(sphere: i32, cylinder: i32, axis_deg: i16) -> Measured {
    let value = RefractionValue {
        sphere: Hundredths(sphere),
        cylinder: Hundredths(cylinder),
        axis_deg: Some(axis_deg),
        spherical_equivalent: None,
    };
    let shots = vec![Shot::of(value)];
    Measured::Refraction(Refraction { shots, ..Refraction::new(RefractionKind::Autorefraction) })
}

fn right(measured: Measured) -> Measurement {
    Measurement::of(Eye::Right, "R", measured)
}

/// Everything that a simulated DICOM instrument of these kinds says comes back.
#[test]
fn what_is_read_is_written_and_read_as_the_same() {
    for model in ["AR object", "KER object", "LEN object", "SRF object"] {
        let simulator = sim::find(model).unwrap();
        for seed in 0..200 {
            let knobs = Knobs::turned(sim::Knob::ALL[seed as usize % 11], seed / 11);
            let print = (simulator.print)(seed, &knobs);
            let [one] = &written(&print.measurements)[..] else { panic!("{model} {seed}") };
            let decoded = back(one);
            assert_eq!(decoded.measurements, print.measurements, "{model} {seed}");
            assert!(decoded.unknown_records.is_empty());
            assert_eq!(decoded.integrity, Integrity::Structure);
        }
    }
}

#[test]
fn patient_visit_and_instrument_stand_in_the_object() {
    let [one] = &written(&[right(refraction(-225, -75, 175))])[..] else { panic!() };
    let file = OpenFileOptions::new().from_reader(one.bytes.as_slice()).unwrap();
    for (name, expected) in [
        ("PatientName", "Müller^Ana Maria"),
        ("PatientID", "P-4711"),
        ("PatientBirthDate", "19700102"),
        ("StudyInstanceUID", "2.25.42"),
        ("AccessionNumber", "ABCDE12345"),
        ("ContentDate", "20260901"),
        ("ContentTime", "091805"),
        ("Manufacturer", "NIDEK"),
        ("ManufacturerModelName", "ARK-1"),
        ("Modality", "AR"),
        ("MeasurementLaterality", "R"),
        ("SOPInstanceUID", &one.instance_uid),
    ] {
        let element = file.element_by_name(name).unwrap();
        assert_eq!(element.to_str().unwrap().trim_end(), expected, "{name}");
    }
    let sphere = file.entry_at((tags::AUTOREFRACTION_RIGHT_EYE_SEQUENCE, 0, tags::SPHERE_POWER));
    assert_eq!(sphere.unwrap().to_float64().unwrap(), -2.25);
}

#[test]
fn identifiers_follow_from_the_seed_alone() {
    let measurements = [right(refraction(-225, -75, 175))];
    let [one] = &written(&measurements)[..] else { panic!() };
    let [again] = &written(&measurements)[..] else { panic!() };
    assert_eq!(one, again);
    let next = Subject { seed: "acme/reading/2".into(), ..subject() };
    let next = write(&instrument(), &measurements, &next).remove(0).unwrap();
    assert_ne!(next.instance_uid, one.instance_uid);
    assert!(one.instance_uid.len() <= 64 && one.instance_uid.starts_with("2.25."));
}

fn whys(measurements: &[Measurement]) -> Vec<(Kind, String)> {
    let made = write(&instrument(), measurements, &subject()).into_iter();
    made.filter_map(|it| it.err().map(|unwritten| (unwritten.kind, unwritten.why))).collect()
}

#[test]
fn what_an_object_cannot_say_is_not_written_in_part() {
    let two = [right(refraction(-225, -75, 175)), right(refraction(-200, -75, 175))];
    assert_eq!(whys(&two), [(Kind::Autorefraction, "several values of OD".into())]);
    let side = Measurement::without_token(Eye::NotGiven, refraction(0, 0, 0));
    assert_eq!(whys(&[side]).len(), 1);
    let Measured::Refraction(mut shots) = refraction(-225, -75, 175) else { panic!() };
    shots.shots.push(Shot::of(RefractionValue {
        sphere: Hundredths(-200),
        ..shots.shots[0].value.unwrap()
    }));
    let [(_, why)] = &whys(&[right(Measured::Refraction(shots))])[..] else { panic!() };
    assert!(why.starts_with("several shots"), "{why}");
    let amount = Hundredths(150);
    for prism in [
        Prism { amount: Some(amount), base_deg: Some(90), ..Prism::default() },
        Prism {
            horizontal: Some(PrismComponent { amount, base: Base::Unverified }),
            ..Prism::default()
        },
    ] {
        let lens =
            Lensometry { sphere: Some(Hundredths(0)), prism: Some(prism), ..Lensometry::default() };
        let [(kind, _)] = &whys(&[right(Measured::Lensometry(lens))])[..] else { panic!() };
        assert_eq!(*kind, Kind::Lensometry);
    }
    let radius_only = Meridian { radius_mm: Some(Hundredths(780)), power: None, axis_deg: Some(1) };
    let value = KeratometryValue { r1: radius_only, r2: radius_only, ..Default::default() };
    let cornea = Keratometry { shots: vec![Shot::of(value)], ..Keratometry::default() };
    assert_eq!(whys(&[right(Measured::Keratometry(cornea))]).len(), 1);
    // What another instrument measured and this one only passed on is no second measurement.
    let relayed = right(refraction(-225, -75, 175)).relayed();
    assert!(write(&instrument(), &[relayed], &subject()).is_empty());
}

#[test]
fn steep_and_flat_are_told_by_their_radii() {
    let meridian = |radius: i32, axis_deg| Meridian {
        radius_mm: Some(Hundredths(radius)),
        power: Some(Hundredths(4350)),
        axis_deg: Some(axis_deg),
    };
    // An instrument whose R1 is the steep one.
    let value =
        KeratometryValue { r1: meridian(758, 88), r2: meridian(776, 178), ..Default::default() };
    let cornea = Keratometry { shots: vec![Shot::of(value)], ..Keratometry::default() };
    let [one] = &written(&[right(Measured::Keratometry(cornea))])[..] else { panic!() };
    let decoded = back(one);
    let Measured::Keratometry(cornea) = &decoded.measurements[0].measured else { panic!() };
    let value = &cornea.representative.as_ref().unwrap().value;
    assert_eq!((value.r1, value.r2), (meridian(776, 178), meridian(758, 88)));
}

#[test]
fn texts_that_would_part_values_are_cleaned_and_ids_are_not_shortened() {
    let measurements = [right(refraction(-225, -75, 175))];
    let hostile = Instrument { vendor: "A\\B\u{1}".repeat(60), ..instrument() };
    let [Ok(one)] = &write(&hostile, &measurements, &subject())[..] else { panic!() };
    assert_eq!(back(one).instrument.vendor.chars().count(), 64);
    for patient_id in ["A\\B".to_owned(), "9".repeat(65)] {
        let subject = Subject { patient_id, ..subject() };
        assert!(write(&instrument(), &measurements, &subject)[0].is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_hundredth_of_a_dioptre_comes_back(sphere in -4000..4000_i32, cylinder in -1500..1500_i32,
        axis in 0..=180_i16) {
        let [one] = &written(&[right(refraction(sphere, cylinder, axis))])[..] else { panic!() };
        let decoded = back(one);
        let Measured::Refraction(found) = &decoded.measurements[0].measured else { panic!() };
        let value = found.representative.as_ref().unwrap().value;
        prop_assert_eq!((value.sphere.0, value.cylinder.0, value.axis_deg), (sphere, cylinder, Some(axis)));
    }
}
