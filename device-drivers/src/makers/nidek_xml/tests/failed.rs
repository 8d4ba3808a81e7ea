//! Shots and results that failed, and cylinders that lost their axis.

use super::*;

/// A lone number beside an error would be promoted to the result.
#[test]
fn what_failed_has_no_value() {
    let good = ark();
    let error = "<Error>AVG</Error>";
    let with = |end: &str| {
        let decoded = read(&data::SPEC, &changed(&good, end, &format!("{error}{end}"))).unwrap();
        let test = decoded.measurements.iter().find_map(|it| match &it.measured {
            Measured::OtherTest(test) if test.name == "numbers beside an error" => {
                Some(test.values.iter().map(|it| it.as_sent.clone()).collect::<Vec<_>>())
            }
            _ => None,
        });
        let refraction = decoded.measurements.iter().find_map(|it| match &it.measured {
            Measured::Refraction(refraction) => Some(refraction.clone()),
            _ => None,
        });
        (refraction.unwrap(), test.unwrap(), decoded)
    };
    let (refraction, numbers, decoded) = with("</ARMedian>");
    assert_eq!(refraction.representative, None);
    assert_eq!(numbers[..3], ["-3.12", "-0.87", "180"]);
    assert!(codes(&decoded).contains(&FlagCode::InstrumentError));
    let (refraction, numbers, _) = with("</ARList>");
    assert_eq!(refraction.shots[0].value, None);
    assert_eq!(refraction.shots[0].error.as_deref(), Some("AVG"));
    assert!(numbers.len() >= 3, "{numbers:?}");
}

/// Both makers write elements empty that they have no use for.
#[test]
fn an_empty_error_beside_numbers_takes_nothing_away() {
    let text = ark().replace("</ARMedian>", "<Error></Error></ARMedian>");
    let decoded = read(&data::SPEC, &text).unwrap();
    let (with, without) = (decoded.measurements.clone(), read(&data::SPEC, &ark()).unwrap());
    assert_eq!(with, without.measurements);
    let is_told = |flag: &chiasm_proto::Flag| flag.detail.contains("an empty error beside numbers");
    assert!(decoded.flags.iter().any(is_told), "{:?}", decoded.flags);
}

#[test]
fn a_lens_with_an_error_has_no_values() {
    let text = changed(&lensmeter(), "</R>", "<Error>MEASUREMENT ERROR</Error></R>");
    let decoded = read(&lm::SPEC, &text).unwrap();
    let failed = decoded.measurements.iter().find_map(|it| match &it.measured {
        Measured::Lensometry(lens) if lens.error.is_some() => Some(lens),
        _ => None,
    });
    let failed = failed.expect("the failed lens");
    assert_eq!((failed.sphere, failed.cylinder, failed.axis_deg), (None, None, None));
    let is_kept = |it: &chiasm_proto::Measurement| {
        matches!(&it.measured, Measured::OtherTest(test)
        if test.values.iter().any(|value| value.as_sent == "-1.75"))
    };
    assert!(decoded.measurements.iter().any(is_kept), "{:?}", decoded.measurements);
}

#[test]
fn a_cylinder_without_an_axis_refuses_the_document() {
    for (spec, text) in [(&data::SPEC, ark()), (&lm::SPEC, lensmeter())] {
        let end = text.find("</Axis>").unwrap();
        let start = text[..end].rfind('>').unwrap() + 1;
        let error = read(spec, &format!("{}{}", &text[..start], &text[end..])).unwrap_err();
        assert_eq!(error.message, "a cylinder without an axis");
    }
}
