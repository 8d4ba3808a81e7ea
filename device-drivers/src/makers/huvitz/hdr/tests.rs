//! What the fixtures cannot show: personal data, two exams, distances of zero.

use super::*;

#[test]
fn nothing_inside_a_patient_is_kept_but_the_id() {
    let text = "<r><Product_Model>HDR-9000</Product_Model><Patient><Patient_ID>B-7</Patient_ID>\
                <First>Secret</First><More><Any>Secret</Any></More></Patient><x>1</x></r>";
    let decoded = decode(text.as_bytes(), &DriverOptions::default()).unwrap();
    assert_eq!(decoded.claimed_patient.as_ref().map(|it| it.id.as_str()), Some("B-7"));
    assert!(!format!("{decoded:?}").contains("Secret"));
    assert_eq!(decoded.unknown_records.len(), 1);
}

#[test]
fn two_exams_are_never_one_prescription() {
    let name = |part: &str| format!("{FINAL}_FAR_{part}");
    let power = |part: &str, value: &str| format!("<{0}>{value}</{0}>", name(part));
    let eye = |side: &str| {
        let parts = [("Sph", "-1.25"), ("Cyl", "-0.50"), ("Axis", "5")];
        parts.map(|(part, value)| power(&format!("{part}-{side}"), value)).concat()
    };
    let read = |exams: &str| {
        let text = format!("<r><Product_Model>HDR-9000</Product_Model>{exams}</r>");
        decode(text.as_bytes(), &DriverOptions::default())
    };
    let (right, left) = (eye("Right"), eye("Left"));
    let near = format!("{right}{left}").replace("FAR", "NEAR");
    let day = "<Measurement_Date>20260314</Measurement_Date>";
    for (exam, count) in [
        (format!("<E>{right}{left}</E>"), 2),
        (format!("<H>{day}</H><E>{day}{right}{left}</E>"), 2),
        (format!("<FAR>{right}{left}</FAR><NEAR>{near}</NEAR>"), 4),
    ] {
        assert_eq!(read(&exam).unwrap().measurements.len(), count, "{exam}");
    }
    for exams in [
        format!("<E1>{right}</E1><E2>{right}{left}</E2>"),
        format!("<E1>{right}</E1><E2>{left}</E2>"),
        format!("<E1>{right}{left}{right}</E1>"),
        format!("<E1>{right}<Far_PD_OU>60</Far_PD_OU></E1><Far_PD_OU>63</Far_PD_OU>"),
        format!("{right}<Patient_ID>A</Patient_ID><P><Patient_ID>B</Patient_ID></P>"),
    ] {
        assert_eq!(read(&exams).unwrap_err().code, ErrorCode::Malformed, "{exams}");
    }
}

#[test]
fn a_distance_of_zero_was_not_measured() {
    let text = "<r><Product_Model>HDR-9000</Product_Model><Far_PD_OU>0.0</Far_PD_OU></r>";
    let decoded = decode(text.as_bytes(), &DriverOptions::default()).unwrap();
    assert!(decoded.measurements.is_empty(), "{decoded:?}");
    assert_eq!(decoded.flags[0].code, FlagCode::Unusual);
}
