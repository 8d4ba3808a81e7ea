//! Which forms of a number are read, and which are damage.

use super::*;

#[test]
fn a_point_for_a_comma_gives_no_other_number() {
    let field = |text| Field::new(text, 3, "sphere");
    assert_eq!(power(&field(" -1.75")), Ok(Hundredths(-175)));
    assert_eq!(power(&field("-0.00")), Ok(Hundredths(0)));
    for text in ["-1", "75", "-1.7", "-1.75.", "-1.750", "- 1.75", "", "1.7 5", "100.00"] {
        assert!(power(&field(text)).is_err(), "{text:?}");
    }
    assert_eq!(signed_power(&field(" -1.75")), Ok(Hundredths(-175)));
    assert_eq!(signed_power(&field(" 0.00")), Ok(Hundredths(0)));
    for text in ["1.75", " 1.75", "00.25"] {
        assert!(power(&field(text)).is_ok() && signed_power(&field(text)).is_err(), "{text:?}");
    }
    assert_eq!(distance(&field("00.0")), Ok(None));
    assert_eq!(distance(&field("63")), Ok(Some(Hundredths::whole(63))));
    assert!(axis_deg(&field(" 12")).is_ok() && axis_deg(&field("12 ")).is_err());
    assert!(radius(&field("-7.80")).is_err());
    assert!(axis_deg(&field("1 4")).is_err());
    assert!(axis_deg(&field("181")).is_err());
}

#[test]
fn columns_have_a_sign_and_no_blank_inside() {
    let field = |text| Field::new(text, 0, "sphere");
    assert_eq!(column_power(&field("- 1.75")), Ok(Hundredths(-175)));
    assert_eq!(column_power(&field("+12.25")), Ok(Hundredths(1225)));
    assert_eq!(column_power(&field("  0.00")), Ok(Hundredths(0)));
    for text in ["  1.75", " -1.75", "-1 .75", "-01.7 ", "-1.75", "-- 1.7"] {
        assert!(column_power(&field(text)).is_err(), "{text:?}");
    }
    assert_eq!(column_value(&field("OR- 1.75- 0.50 14")).unwrap().axis_deg, Some(14));
    assert_eq!(column_value(&field("OR- 1.75  0.00  0")).unwrap().axis_deg, None);
    assert!(column_value(&field("OR- 1.75- 0.501 4")).is_err());
    assert!(column_value(&field("OR- 1.75- 0.50   ")).is_err());
}
