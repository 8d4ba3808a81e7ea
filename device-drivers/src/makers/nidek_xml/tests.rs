//! What the fixtures cannot show: refusals, foreign and hostile documents, options.

use super::*;
use crate::{DecodeError, DriverOptions, DriverSpec, ErrorCode, Event, Sniff, golden::run_with};
use chiasm_proto::{Base, Decoded, FlagCode, Hundredths, Measured, Prism};
use std::fs;

mod failed;

fn fixture(driver: &str, name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
    let bytes = fs::read(format!("{folder}/{driver}/{name}.raw")).unwrap();
    let (encoding, start) = match bytes[..2] {
        [0xFF, 0xFE] => (encoding_rs::UTF_16LE, 2),
        _ => (encoding_rs::UTF_8, 0),
    };
    encoding.decode(&bytes[start..]).0.into_owned()
}

fn ark() -> String {
    fixture("nidek_data_xml", "01_ark1s")
}

fn lensmeter() -> String {
    fixture("nidek_lm_xml", "01_lm7p")
}

fn read(spec: &DriverSpec, text: &str) -> Result<Decoded, DecodeError> {
    let outcome = run_with(spec, &DriverOptions::default(), [text.as_bytes()]);
    let first = outcome.events.into_iter().find(|event| !event.raw().trim_ascii().is_empty());
    match first {
        Some(Event::Decoded { decoded, .. }) => Ok(*decoded),
        Some(Event::Rejected { error, .. }) => Err(error),
        other => panic!("{other:?}"),
    }
}

/// Replaces exactly what is there.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in the fixture");
    text.replacen(from, to, 1)
}

fn codes(decoded: &Decoded) -> Vec<FlagCode> {
    decoded.flags.iter().map(|flag| flag.code).collect()
}

#[test]
fn a_malformed_number_refuses_the_document_with_its_place() {
    let good = ark();
    let sphere = "<Sphere>-3.12</Sphere>";
    for bad in ["-3.1Z", "3.125", "--3", "1.2,5", "1e3", "3.12 mm", "- 3.12", "１"] {
        let text = changed(&good, sphere, &sphere.replace("-3.12", bad));
        let error = read(&data::SPEC, &text).unwrap_err();
        assert_eq!(error.code, ErrorCode::Malformed, "{bad}");
        assert_eq!(error.field.as_deref(), Some("R/AR/ARList[1]/Sphere"), "{bad}");
        assert_eq!(error.offset, text.find(bad).unwrap(), "{bad}");
    }
    for (from, to) in [
        (">9</ConfidenceIndex>", ">10</ConfidenceIndex>"),
        ("ARList No = \"1\"", "ARList No = \"one\""),
        ("<VD>12.00 mm", "<VD>12.00 cm"),
        ("<Sphere>-3.12</Sphere>", "<Sphere></Sphere>"),
    ] {
        let error = read(&data::SPEC, &changed(&good, from, to)).unwrap_err();
        assert_eq!(error.code, ErrorCode::Malformed, "{to}");
    }
}

#[test]
fn units_stand_inside_the_text_or_not() {
    let good = ark();
    let expected = read(&data::SPEC, &good).unwrap();
    for (from, to) in [
        ("12.00 mm", "12.00"),
        ("12.00 mm", "12,00mm"),
        ("40 cm", "  40  "),
        ("0.01D", "0.01 d"),
        ("1°", "1"),
        ("1°", "1 deg"),
        ("<Axis>180<", "<Axis>180°<"),
        ("<Axis>180<", "<Axis>180.0 deg<"),
        ("<No.>0417</No.>", "<No>0417</No>"),
        ("2026/03/14", "2026/3/14"),
        ("2026/03/14", "2026.03.14"),
    ] {
        let mut decoded = read(&data::SPEC, &changed(&good, from, to)).unwrap();
        if to.starts_with("2026") {
            decoded.instrument_time.as_mut().unwrap().as_sent = "2026/03/14 09:41:07".into();
        }
        assert_eq!(decoded, expected, "{to}");
    }
}

#[test]
fn a_date_that_is_not_understood_stays_as_sent() {
    for date in ["14/03/2026", "2026/13/01", "2026/03", "26/03/14", "2026/+3/14", "today"] {
        let text = changed(&ark(), "2026/03/14", date);
        let time = read(&data::SPEC, &text).unwrap().instrument_time.unwrap();
        assert_eq!((time.as_sent, time.local), (format!("{date} 09:41:07"), None));
    }
}

#[test]
fn an_id_that_repeats_the_running_number_is_none() {
    let good = ark();
    let long = "9".repeat(200);
    for (sent, expected) in [
        ("0417", None),
        ("  417  ", None),
        ("              ", None),
        ("X0417  ", Some("X0417")),
        ("0000000000088", Some("0000000000088")),
    ] {
        let text = changed(&good, "<ID>P0000000000088", &format!("<ID>{sent}"));
        let claimed = read(&data::SPEC, &text).unwrap().claimed_patient;
        assert_eq!(claimed.map(|claimed| claimed.id).as_deref(), expected, "{sent:?}");
    }
    let text = changed(&good, "<ID>P0000000000088", &format!("<ID>{long}"));
    assert!(read(&data::SPEC, &text).is_err());
}

#[test]
fn personal_data_other_than_the_id_goes_nowhere() {
    let text = changed(&lensmeter(), "<LastName></", "<LastName>Secret</");
    let text = changed(&text, "<DOB></DOB>", "<DOB>1950</DOB><Street>Secret</Street>");
    let operator = "<Operator><No.>1</No.><ID>Secret</ID></Operator>";
    let text = changed(&text, "</Common>", &format!("{operator}</Common>"));
    let decoded = read(&lm::SPEC, &text).unwrap();
    let json = serde_json::to_string(&decoded).unwrap();
    for secret in ["Secret", "1950", "Street", "Operator"] {
        assert!(!json.contains(secret), "{secret} in {json}");
    }
    let head = &text[text.find("<Common>").unwrap()..text.find("<Measure").unwrap()];
    let other = "<Patient><No.>1</No.><ID>Secret</ID><Name>Secret</Name></Patient>";
    for (spec, text) in [
        (&lm::SPEC, changed(&text, "<Measure", &format!("{head}<Measure"))),
        (&lm::SPEC, changed(&text, "</Common>", &format!("{other}<Patient/></Common>"))),
        (&data::SPEC, changed(&ark(), "<Comment>", &format!("{other}<Comment>"))),
    ] {
        let error = read(spec, &text).unwrap_err();
        assert_eq!(error.code, ErrorCode::Malformed, "two patients or heads");
        assert!(!error.to_string().contains("Secret"), "{error}");
    }
    let same = "<Patient><ID>P0000000000088</ID><Name>Secret</Name></Patient>";
    let text = changed(&ark(), "<Comment>", &format!("{same}<Comment>"));
    let decoded = read(&data::SPEC, &text).unwrap();
    assert!(!serde_json::to_string(&decoded).unwrap().contains("Secret"));
    assert!(codes(&decoded).contains(&FlagCode::Inconsistent), "two patients are told");
}

/// Each reads its own root, maker and type of measurement, and recognises no other.
#[test]
fn documents_of_others_are_of_the_wrong_kind() {
    let all: [&DriverSpec; 4] = [&data::SPEC, &lm::SPEC, &tomey::SPEC, &rodenstock::SPEC];
    let lens = lensmeter();
    let joia = "xmlns:nsLM=\"http://www.joia.or.jp/standardized/namespaces/LM\"";
    for text in [
        changed(&lens, ">NIDEK<", ">TOPCON<"),
        changed(&lens, "<Company>NIDEK</Company>", ""),
        changed(&lens, "type=\"LM\"", "Type=\"RT\""),
        changed(&lens, "<Measure type=\"LM\">", "<Measure>"),
        changed(&lens, "<Measure type", "<Measure type=\"REF\"/><Measure type"),
        lens.replace("<Measure type=\"LM\">", &format!("<nsLM:Measure {joia} type=\"LM\">"))
            .replace("</Measure>", "</nsLM:Measure>"),
        changed(&lens, "<Ophthalmology>", "<Ophthalmology xmlns=\"http://www.joia.or.jp/x\">"),
        changed(&lens, "<LM>", "<LM xmlns=\"http://example.org\">"),
        changed(&ark(), ">NIDEK<", ">ACME<"),
        changed(&ark(), "<R>", "<R xmlns=\"http://example.org\">"),
        "<Data><Company>NIDEK</Company><Version>1</Version></Data>".to_owned(),
        "<Data/>".to_owned(),
        "<Ophthalmology/>".to_owned(),
        "<Ophthalmology><Common><Company>NIDEK</Company></Common></Ophthalmology>".to_owned(),
        "<optic><Company>NIDEK</Company></optic>".to_owned(),
    ] {
        for spec in all {
            let error = read(spec, &text).unwrap_err();
            assert_eq!(error.code, ErrorCode::WrongKind, "{}: {text}", spec.id);
        }
    }
    for (company, own) in [("NIDEK", 1), ("Tomey", 2), ("Rodenstock", 3)] {
        let text = changed(&lens, ">NIDEK<", &format!("> {company} Co.<"));
        for (at, spec) in all.into_iter().enumerate() {
            assert_eq!(read(spec, &text).is_ok(), at == own, "{} reads {company}", spec.id);
            let expected = if at == own { Sniff::Yes } else { Sniff::No };
            assert_eq!((spec.sniff)(text.as_bytes()), expected, "{} for {company}", spec.id);
        }
    }
    for spec in all {
        for noise in [&b""[..], b"<", b"\xFF\xFE", b"<Data>", b"<!--<Data>", &[b'<'; 40_000]] {
            assert_eq!((spec.sniff)(noise), Sniff::No);
        }
    }
}

#[test]
fn a_namespace_for_the_whole_document_changes_nothing() {
    let xsi = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";
    for (spec, text, root) in
        [(&data::SPEC, ark(), "Data"), (&lm::SPEC, lensmeter(), "Ophthalmology")]
    {
        let plain = read(spec, &text).unwrap();
        for declared in [xsi, "xmlns=\"http://example.org\""] {
            let text = changed(&text, &format!("<{root}>"), &format!("<{root} {declared}>"));
            assert_eq!(read(spec, &text).unwrap(), plain, "{declared}");
            assert_eq!((spec.sniff)(text.as_bytes()), Sniff::Yes, "{declared}");
        }
    }
}

/// An empty cylinder is not zero, so there is no refraction; the other values are not its fault.
#[test]
fn a_sphere_without_a_cylinder_stays_text() {
    let good = ark();
    let plain = read(&data::SPEC, &good).unwrap();
    let cylinder = "<Cylinder>-0.87</Cylinder>\r\n\t\t\t\t<Axis>180</Axis>";
    for (to, is_kept) in [
        ("<Cylinder></Cylinder><Axis></Axis>", true),
        ("<Cylinder/>", true),
        ("", true),
        ("<Cylinder></Cylinder><Axis>180</Axis>", false),
    ] {
        let at = good.find("<ARMedian>").unwrap();
        let (head, tail) = good.split_at(at);
        let found = read(&data::SPEC, &format!("{head}{}", changed(tail, cylinder, to)));
        assert_eq!(found.is_ok(), is_kept, "{to}: {found:?}");
        let Ok(found) = found else { continue };
        let Measured::Refraction(refraction) = &found.measurements[0].measured else { panic!() };
        assert_eq!((&refraction.representative, refraction.shots.len()), (&None, 3), "{to}");
        assert_eq!(found.measurements.len(), plain.measurements.len(), "{to}");
        assert!(codes(&found).contains(&FlagCode::Inconsistent), "{to}");
        assert!(found.unknown_records.iter().any(|it| it.text == "<Sphere>-3.12</Sphere>"));
    }
    let alone =
        "<Sphere>-3.00</Sphere>\r\n\t\t\t<Cylinder>-0.75</Cylinder>\r\n\t\t\t<Axis>180</Axis>";
    let found = read(&data::SPEC, &changed(&good, alone, "<Sphere>-3.00</Sphere>")).unwrap();
    assert_eq!(found.measurements.len() + 1, plain.measurements.len(), "no subjective refraction");
}

#[test]
fn an_error_in_place_of_an_average_is_told() {
    let good = fixture("nidek_data_xml", "02_nt530p");
    let average = "<PACHYAverage><Thickness>534</Thickness></PACHYAverage>";
    let text = changed(&good, average, "<PACHYAverage><Error>ALM</Error></PACHYAverage>");
    let decoded = read(&data::SPEC, &text).unwrap();
    let flag = decoded.flags.iter().find(|flag| flag.code == FlagCode::InstrumentError).unwrap();
    assert_eq!(flag.detail, "R/PACHY/PACHYAverage: the instrument reports ALM");
    assert!(decoded.unknown_records.is_empty());
}

#[test]
fn lenses_with_names_of_no_sure_side_have_none() {
    let text = lensmeter().replace("<R>", "<I>").replace("</R>", "</I>");
    let decoded = read(&lm::SPEC, &text).unwrap();
    let side = |token: &str| {
        let found = decoded.measurements.iter().find(|it| it.eye_as_sent.as_deref() == Some(token));
        found.map(|it| it.eye)
    };
    assert_eq!(side("I"), Some(chiasm_proto::Eye::NotGiven));
    assert_eq!(side("L"), Some(chiasm_proto::Eye::Left));
}

fn prism_of(text: &str) -> (Option<Prism>, Decoded) {
    let decoded = read(&lm::SPEC, text).unwrap();
    let prism = decoded.measurements.iter().find_map(|it| match &it.measured {
        Measured::Lensometry(lens) if it.eye == chiasm_proto::Eye::Right => {
            Some(lens.prism.clone())
        }
        _ => None,
    });
    (prism.unwrap(), decoded)
}

#[test]
fn a_prism_is_read_by_its_base() {
    let good = lensmeter();
    let horizontal = "base=\"in\">0.50</PrismX>";
    for (sent, expected) in [
        ("base=\"OUT\">0.50</PrismX>", Some(Base::Out)),
        ("base=\"\">0.50</PrismX>", Some(Base::Unverified)),
        ("base=\"down\">0.50</PrismX>", None),
        ("base=\"in\">-0.50</PrismX>", None),
    ] {
        let (prism, decoded) = prism_of(&changed(&good, horizontal, sent));
        let prism = prism.unwrap();
        assert_eq!(prism.horizontal.map(|it| it.base), expected, "{sent}");
        assert_eq!(prism.vertical.map(|it| it.base), Some(Base::Down), "the rest is kept");
        assert_eq!(decoded.unknown_records.len(), usize::from(expected.is_none()), "{sent}");
        let is_told = codes(&decoded).contains(&FlagCode::Inconsistent);
        assert_eq!(is_told, expected.is_none(), "{sent}");
    }
}

#[test]
fn the_two_forms_of_a_prism_are_one() {
    let good = lensmeter();
    let at = good.find("<R>").unwrap();
    let with = |amount: &str| {
        let (head, tail) = good.split_at(at);
        let sent = format!("<Prism unit=\"pri\">{amount}</Prism>");
        let tail = changed(tail, "<Prism unit=\"pri\"></Prism>", &sent);
        prism_of(&format!("{head}{tail}"))
    };
    // 0.50 and 1.25 make 1.35.
    let (prism, decoded) = with("1.25");
    assert_eq!(prism.unwrap().amount, None);
    assert!(
        decoded.unknown_records.is_empty() && !codes(&decoded).contains(&FlagCode::Inconsistent)
    );
    let (prism, decoded) = with("3.00");
    assert_eq!(prism.unwrap().horizontal.unwrap().amount, Hundredths(50));
    assert!(codes(&decoded).contains(&FlagCode::Inconsistent));
}

#[test]
fn a_conversion_without_a_measurement_is_no_value() {
    let good = ark();
    let at = good.find("<L>").unwrap();
    let with = |sphere: &str| {
        let (head, tail) = good.split_at(at);
        let lens = format!("<TrialLens><Sphere>{sphere}</Sphere><Cylinder>0.00</Cylinder>");
        let tail = changed(tail, "</AR>", &format!("{lens}<Axis>0</Axis></TrialLens></AR>"));
        read(&data::SPEC, &format!("{head}{tail}")).unwrap()
    };
    let plain = read(&data::SPEC, &good).unwrap();
    assert_eq!(with("+0.00"), plain);
    let lone = with("-1.25");
    assert_eq!(lone.measurements, plain.measurements);
    assert!(lone.unknown_records[0].text.starts_with("<TrialLens>"));
}

#[test]
fn the_configured_model_stands_in_for_a_missing_one() {
    let options = DriverOptions { model: Some("OPD-Scan III".into()), ..Default::default() };
    let text = changed(&ark(), "<ModelName>ARK-1s</ModelName>", "");
    let outcome = run_with(&data::SPEC, &options, [text.as_bytes()]);
    assert_eq!(outcome.decoded()[0].instrument.model, "OPD-Scan III");
}

#[test]
fn more_than_any_instrument_sends_is_refused() {
    let list = "<CSList No = \"1\"><Size>11.8</Size></CSList>";
    for (from, to) in [
        (list, list.repeat(crate::format::xml::SHOTS_MAX + 1)),
        (list, list.repeat(200)),
        ("COVR ", "x".repeat(crate::format::xml::TEXT_LEN_MAX + 1)),
    ] {
        let error = read(&data::SPEC, &changed(&ark(), from, &to)).unwrap_err();
        assert_eq!(error.code, ErrorCode::Malformed);
    }
    let lens = "<S><Error>MEASUREMENT ERROR</Error></S>";
    let text = changed(&lensmeter(), "<LM>", &format!("<LM>{}", lens.repeat(100)));
    assert_eq!(read(&lm::SPEC, &text).unwrap_err().code, ErrorCode::Malformed);
}

/// As the maker's stylesheet shows them.
#[test]
fn a_marked_shot_of_pressure_is_unsure() {
    let good = fixture("nidek_data_xml", "02_nt530p");
    let expected = read(&data::SPEC, &good).unwrap();
    for (list, sent, as_sent) in [
        ("</NTList>", "<LowConfidenceLevel>2</LowConfidenceLevel>", "2"),
        ("</PACHYList>", "<LowConfidenceLevel/>", "*"),
    ] {
        let decoded = read(&data::SPEC, &changed(&good, list, &format!("{sent}{list}"))).unwrap();
        assert!(codes(&decoded).contains(&FlagCode::LowConfidence), "{list}");
        assert_eq!(decoded.unknown_records, expected.unknown_records, "{list}");
        let confidences = decoded.measurements.iter().filter_map(|one| match &one.measured {
            Measured::Tonometry(pressure) => pressure.shots[0].confidence.clone(),
            Measured::Pachymetry(thickness) => thickness.shots_um[0].confidence.clone(),
            _ => None,
        });
        assert_eq!(confidences.map(|one| one.as_sent).collect::<Vec<_>>(), [as_sent]);
    }
}

#[test]
fn each_kind_may_have_its_own_step() {
    let steps = "<ARDiopterStep>0.12D</ARDiopterStep><KMDiopterStep>0.25D</KMDiopterStep>\
                 <ACCDiopterStep>0.25D</ACCDiopterStep>";
    let good = ark();
    let text = changed(&good, "<DiopterStep>0.01D</DiopterStep>", steps);
    let decoded = read(&data::SPEC, &text).unwrap();
    assert_eq!(decoded.unknown_records, read(&data::SPEC, &good).unwrap().unknown_records);
    let steps = decoded.measurements.iter().filter_map(|one| match &one.measured {
        Measured::Refraction(refraction) => refraction.dioptre_step,
        Measured::Keratometry(keratometry) => keratometry.dioptre_step,
        _ => None,
    });
    assert_eq!(steps.collect::<Vec<_>>(), [12, 25, 25, 12].map(Hundredths));
}

#[test]
fn what_the_stylesheet_names_beside_the_values() {
    let good = fixture("nidek_data_xml", "04_tonoref3_everything");
    let expected = read(&data::SPEC, &good).unwrap();
    let image = "<KMImage>KM_K-5531.jpg</KMImage></KM>";
    let decoded = read(&data::SPEC, &changed(&good, "</KM>", image)).unwrap();
    assert_eq!(decoded.measurements, expected.measurements);
    assert_eq!(decoded.flags, expected.flags);
    let difference = "<ARPeriDiff><Sphere>+0.50</Sphere><Cylinder>-0.25</Cylinder>\
                      <Axis>88</Axis></ARPeriDiff><RingImage>";
    let decoded = read(&data::SPEC, &changed(&good, "<RingImage>", difference)).unwrap();
    assert_eq!(decoded.flags, expected.flags);
    let is_difference =
        |one: &Measured| matches!(one, Measured::OtherTest(test) if test.code == "ARPeriDiff");
    assert!(decoded.measurements.iter().any(|one| is_difference(&one.measured)));
}
