use super::*;
use chiasm_proto::{CornealSize, CorrectedIop, Instrument, IopValue, PupilSize, TonometryMethod};

fn reading(measured: Measured) -> Decoded {
    Decoded {
        instrument: Instrument::default(),
        instrument_time: None,
        running_number: None,
        claimed_patient: None,
        integrity: Integrity::Checksum,
        measurements: vec![Measurement::without_token(Eye::Left, measured)],
        flags: vec![],
        unknown_records: vec![],
    }
}

#[test]
fn an_extreme_pressure_is_kept_and_flagged_once() {
    let value = IopValue { iop_mmhg: Hundredths::whole(68), iop_kpa: None };
    let mut decoded = reading(Measured::Tonometry(Tonometry {
        method: TonometryMethod::NonContact,
        count_as_sent: None,
        representative: None,
        shots: vec![Shot::of(value), Shot::of(value), Shot::failed("APL")],
        corrected: vec![],
    }));
    let before = decoded.measurements.clone();
    complete(&mut decoded);
    assert_eq!(decoded.measurements, before);
    let codes: Vec<_> = decoded.flags.iter().map(|flag| flag.code).collect();
    let expected = [FlagCode::ShotFailed, FlagCode::NoRepresentative, FlagCode::Unusual];
    assert_eq!(codes, expected, "{:?}", decoded.flags);
}

#[test]
fn radius_and_power_are_compared() {
    let meridian = |radius: i32, power: i32| Meridian {
        radius_mm: Some(Hundredths(radius)),
        power: Some(Hundredths(power)),
        axis_deg: Some(5),
    };
    let value = KeratometryValue {
        r1: meridian(780, 4325),
        r2: meridian(774, 4050),
        average_mm: None,
        average_power: None,
        cylinder: None,
        cylinder_axis_deg: None,
    };
    let mut decoded = reading(Measured::Keratometry(Keratometry {
        mire: None,
        refractive_index: None,
        dioptre_step: None,
        representative: None,
        shots: vec![Shot::of(value)],
    }));
    complete(&mut decoded);
    assert_eq!(decoded.flags.len(), 1, "{:?}", decoded.flags);
    assert!(decoded.flags[0].detail.starts_with("left keratometry: R2"));
}

fn flags_of(measured: Measured) -> Vec<(FlagCode, String)> {
    let mut decoded = reading(measured);
    complete(&mut decoded);
    decoded.flags.into_iter().map(|flag| (flag.code, flag.detail)).collect()
}

#[test]
fn a_cylinder_without_an_axis_is_flagged() {
    let value = RefractionValue {
        sphere: Hundredths(-312),
        cylinder: Hundredths(-87),
        axis_deg: None,
        spherical_equivalent: None,
    };
    let refraction = |kind, value| {
        let shots = vec![Shot::of(value)];
        flags_of(Measured::Refraction(Refraction { shots, ..Refraction::new(kind) }))
    };
    let found = refraction(RefractionKind::Autorefraction, value);
    let detail = "left refraction: cylinder -0.87 D without an axis";
    assert_eq!(found, [(FlagCode::Inconsistent, detail.into())]);
    let plain = RefractionValue { cylinder: Hundredths(0), ..value };
    assert!(refraction(RefractionKind::Autorefraction, plain).is_empty());
    assert!(refraction(RefractionKind::NightMinusDay, value).is_empty(), "a difference");
    let lens = Lensometry { cylinder: Some(Hundredths(-87)), ..Lensometry::default() };
    let found = flags_of(Measured::Lensometry(lens));
    assert_eq!(found[0].0, FlagCode::Inconsistent, "{found:?}");
}

#[test]
fn corrected_pressures_are_judged() {
    let corrected = CorrectedIop {
        label: "IOPcc".into(),
        corrected_mmhg: Some(Hundredths::whole(173)),
        measured_mmhg: Some(Hundredths::whole(30)),
        ..CorrectedIop::default()
    };
    let found = flags_of(Measured::Tonometry(Tonometry {
        corrected: vec![corrected],
        ..Tonometry::new(TonometryMethod::OcularResponse)
    }));
    let codes: Vec<_> = found.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [FlagCode::Implausible, FlagCode::Unusual], "{found:?}");
}

#[test]
fn lengths_of_one_eye_are_judged() {
    let half = PupillaryDistance { right_mm: Some(Hundredths(30500)), ..Default::default() };
    let cornea = CornealSize { diameter_mm: Hundredths(1700) };
    let pupil = PupilSize { diameter_mm: Hundredths(0), state_as_sent: None };
    for measured in [
        Measured::PupillaryDistance(half),
        Measured::CornealSize(cornea),
        Measured::PupilSize(pupil),
    ] {
        let found = flags_of(measured);
        assert_eq!((found.len(), found[0].0), (1, FlagCode::Implausible), "{found:?}");
    }
}
