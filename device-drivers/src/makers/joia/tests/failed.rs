//! Shots and results that failed, and cylinders that lost their axis.

use super::*;

/// A lone number beside an error would be promoted to the result.
#[test]
fn a_failed_shot_has_no_value() {
    for (name, ns) in [("01_kr1_ref", "nsREF"), ("02_kr800s_km", "nsKM"), ("04_trk2p_tm", "nsTM")] {
        let good = fixture(name);
        let plain = decode(&good).unwrap();
        let end = format!("</{ns}:List>");
        let text = changed(&good, &end, &format!("<{ns}:Error>BLINK</{ns}:Error>{end}"));
        let decoded = decode(&text).unwrap();
        let test = decoded.measurements.iter().find_map(|it| match &it.measured {
            Measured::OtherTest(test) if test.name == "numbers beside an error" => Some(test),
            _ => None,
        });
        assert!(!test.unwrap().values.is_empty(), "{name}");
        assert!(codes(&decoded).contains(&FlagCode::ShotFailed), "{name}");
        let values = |decoded: &Decoded| {
            let shots = decoded.measurements.iter().map(|it| match &it.measured {
                Measured::Refraction(it) => it.shots.iter().filter(|it| it.value.is_some()).count(),
                Measured::Keratometry(it) => {
                    it.shots.iter().filter(|it| it.value.is_some()).count()
                }
                Measured::Tonometry(it) => it.shots.iter().filter(|it| it.value.is_some()).count(),
                _ => 0,
            });
            shots.sum::<usize>()
        };
        assert_eq!(values(&decoded) + 1, values(&plain), "{name}");
    }
}

#[test]
fn a_declared_error_is_no_result() {
    let end = "</nsREF:Median>";
    let error = "<nsREF:Error>BLINK</nsREF:Error>";
    let text = changed(&fixture("01_kr1_ref"), end, &format!("{error}{end}"));
    let decoded = decode(&text).unwrap();
    let refraction = decoded.measurements.iter().find_map(|it| match &it.measured {
        Measured::Refraction(refraction) => Some(refraction),
        _ => None,
    });
    assert_eq!(refraction.unwrap().representative, None);
    assert!(codes(&decoded).contains(&FlagCode::InstrumentError));
    assert!(matches!(decoded.measurements[0].measured, Measured::OtherTest(_)), "nothing is lost");
}

#[test]
fn a_cylinder_without_an_axis_refuses_the_document() {
    for (name, axis) in [("01_kr1_ref", "nsREF:Axis"), ("03_cl300_lm", "nsLM:Axis")] {
        let text = fixture(name);
        let end = text.find(&format!("</{axis}>")).unwrap();
        let start = text[..end].rfind('>').unwrap() + 1;
        let error = decode(&format!("{}{}", &text[..start], &text[end..])).unwrap_err();
        assert_eq!(error.message, "a cylinder without an axis", "{name}");
    }
}
