//! Subjective refraction: refusals, and what a unit or a name changes.

use super::*;

#[test]
fn incomplete_or_contradicting_powers_refuse_the_document() {
    let good = fixture("15_cv5000s_prism");
    let cases = [
        ("<nsSBJ:Cyl unit=\"D\">-0.25</nsSBJ:Cyl>", "<nsSBJ:Cyl unit=\"D\"/>", "Full"),
        ("<nsSBJ:Sph unit=\"D\">-1.00</nsSBJ:Sph>", "<nsSBJ:Sph unit=\"D\"/>", "Full"),
        ("<nsSBJ:HBase>BI<", "<nsSBJ:HBase>BU<", "another direction"),
        ("<nsSBJ:VBase>BD<", "<nsSBJ:VBase>BI<", "another direction"),
        ("prism\">1.50<", "prism\">-1.50<", "a negative amount"),
        ("Prism\">2.50<", "D\">2.50<", "another unit"),
        ("cm\">500.000<", "m\">500.000<", "another unit"),
        ("cm\">500.000<", "cm\">500.0.0<", "no number"),
        ("mm\">61.50<", "cm\">61.50<", "another unit"),
    ];
    for (from, to, what) in cases {
        let error = decode(&changed(&good, from, to)).unwrap_err();
        assert_eq!(error.code, ErrorCode::Malformed, "{what}: {from} to {to}");
        assert!(error.field.is_some_and(|field| field.starts_with("nsSBJ:Measure/")), "{what}");
    }
}

#[test]
fn a_prism_without_a_base_has_no_direction() {
    let text = changed(&fixture("15_cv5000s_prism"), "<nsSBJ:HBase>BI</nsSBJ:HBase>", "");
    let decoded = decode(&text).unwrap();
    assert!(codes(&decoded).contains(&FlagCode::PrismDirectionUnverified));
}

#[test]
fn what_another_instrument_measured_is_relayed_whoever_writes_the_file() {
    let text = fixture("18_cv5000_relaying_a_kr");
    let relayed = |text: &str| {
        let decoded = decode(text).unwrap();
        decoded.measurements.iter().filter(|measurement| measurement.relayed).count()
    };
    assert_eq!(relayed(&text), 5);
    assert_eq!(relayed(&changed(&text, ">CV-5000<", ">CV-5000S<")), 5);
    let program = changed(&text, ">CV-5000<", ">IMAGEnet i-base<");
    let all = decode(&program).unwrap().measurements.len();
    assert!(all > 5, "a program measures nothing itself");
    assert_eq!(relayed(&program), all);
    assert_eq!(relayed(&changed(&text, ">TOPCON<", ">Other Maker<")), 5);
    assert_eq!(relayed(&changed(&text, ">CV-5000<", ">KR-8800<")), 0);
}

#[test]
fn sets_are_known_by_their_names_not_by_their_numbers() {
    let text = fixture("05_cv5000_sbj");
    let good = decode(&text).unwrap();
    let renumbered = text.replace("Type No=\"2\"", "Type No=\"9\"");
    assert_eq!(decode(&renumbered).unwrap(), good);
    let unnamed = changed(&text, "<nsSBJ:TypeName>Prescription</nsSBJ:TypeName>", "");
    let decoded = decode(&unnamed).unwrap();
    assert!(decoded.measurements.len() < good.measurements.len());
    assert_eq!(decoded.unknown_records.len(), 1);
}

#[test]
fn no_block_is_read_that_says_it_was_not_used() {
    let text = fixture("05_cv5000_sbj");
    let unused = changed(&text, ">40.000<", ">00.000<");
    let decoded = decode(&unused).unwrap();
    let has_near = |measured: &Measured| match measured {
        Measured::Refraction(refraction) => !refraction.vision.is_far(),
        _ => false,
    };
    assert!(!decoded.measurements.iter().any(|it| has_near(&it.measured)));
    assert_eq!(decoded.unknown_records.len(), 1, "its powers are kept as text");
}

#[test]
fn a_cylinder_without_an_axis_refuses_the_document() {
    let text = fixture("05_cv5000_sbj");
    let end = text.find("</nsSBJ:Axis>").unwrap();
    let start = text[..end].rfind('>').unwrap() + 1;
    let error = decode(&format!("{}{}", &text[..start], &text[end..])).unwrap_err();
    assert_eq!(error.message, "a cylinder without an axis");
}
