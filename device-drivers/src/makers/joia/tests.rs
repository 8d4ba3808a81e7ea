//! What the fixtures cannot show: refusals, streams, hostile and foreign documents.

use super::*;
use crate::golden::run;
use crate::{DecodeError, DriverOptions, ErrorCode, Event};
use chiasm_proto::{Decoded, Eye, FlagCode, Hundredths, Measured};
use std::{fs, time::Instant};

mod failed;
mod sbj;

fn fixture(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/joia_xml");
    let bytes = fs::read(format!("{folder}/{name}.raw")).unwrap();
    encoding_rs::SHIFT_JIS.decode(&bytes).0.into_owned()
}

fn decode(text: &str) -> Result<Decoded, DecodeError> {
    document::decode(text.as_bytes(), &DriverOptions::default())
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
    let good = fixture("01_kr1_ref");
    let sphere = "<nsREF:Sphere unit=\"D\">-2.50</nsREF:Sphere>";
    for bad in ["-2.5O", "2.505", "--2", "1.2,5", "1e3", "- 2.50", "#QNAN0", "１", "100000.01"] {
        let text = changed(&good, sphere, &sphere.replace("-2.50", bad));
        let error = decode(&text).unwrap_err();
        assert_eq!(error.code, ErrorCode::Malformed, "{bad}");
        let field = "nsREF:Measure/nsREF:REF/nsREF:R/nsREF:List[3]/nsREF:Sphere";
        assert_eq!(error.field.as_deref(), Some(field));
        assert_eq!(error.offset, text.find(bad).unwrap(), "{bad}");
    }
    let text = changed(&good, sphere, &sphere.replace("\"D\"", "\"mm\""));
    assert_eq!(decode(&text).unwrap_err().code, ErrorCode::Malformed);
    let text = changed(&good, sphere, "<nsREF:Sphere unit=\"D\"/>");
    assert_eq!(decode(&text).unwrap_err().code, ErrorCode::Malformed, "cylinder without sphere");
    let text = changed(&good, ">178<", ">17.8<");
    assert_eq!(decode(&text).unwrap_err().code, ErrorCode::Malformed, "an axis with decimals");
}

#[test]
fn the_place_of_an_error_is_counted_in_the_bytes_of_the_file() {
    let text = fixture("06_kr800s_ref_km_shift_jis");
    let text = changed(&text, ">7.81<", ">7.8l<");
    let (bytes, _, _) = encoding_rs::SHIFT_JIS.encode(&text);
    let error = document::decode(&bytes, &DriverOptions::default()).unwrap_err();
    let at = bytes.windows(4).position(|window| window == b"7.8l").unwrap();
    assert_eq!(error.offset, at);
}

#[test]
fn other_dialects_are_of_the_wrong_kind() {
    let nidek = changed(&fixture("11_kr800_no_namespace"), "TOPCON", "NIDEK");
    for text in [
        nidek.as_str(),
        "<Data><R/></Data>",
        "<optic></optic>",
        "<Ophthalmology/>",
        "<Ophthalmology><Common><Company>TOPCON</Company></Common></Ophthalmology>",
        "<?xml version=\"1.0\"?><Ophthalmology><Common><Company>NIDEK</Company></Common>\
         <Measure Type=\"LM\"><LM/></Measure></Ophthalmology>",
    ] {
        assert_eq!(decode(text).unwrap_err().code, ErrorCode::WrongKind, "{text}");
    }
}

#[test]
fn hostile_documents_are_refused() {
    let good = fixture("01_kr1_ref");
    let entity = changed(&good, "<Ophth", "<!DOCTYPE x [<!ENTITY e \"9\">]><Ophth");
    let entity = changed(&entity, "-2.50", "&e;");
    let deep = changed(&good, "-2.50", &format!("{}{}", "<a>".repeat(70), "</a>".repeat(70)));
    for text in [entity, deep] {
        let outcome = run(&SPEC, [text.as_bytes()]);
        outcome.assert_conserves(text.as_bytes(), "hostile");
        let Event::Rejected { error, .. } = &outcome.events[0] else { panic!("not refused") };
        assert_eq!(error.code, ErrorCode::Hostile);
    }
    let endless = "<a>".repeat(DOCUMENT_LEN_MAX / 3 + 10);
    let outcome = run(&SPEC, endless.as_bytes().chunks(60_000));
    outcome.assert_conserves(endless.as_bytes(), "endless");
    let Event::Rejected { error, raw } = &outcome.events[0] else { panic!("not refused") };
    assert_eq!((error.code, raw.len()), (ErrorCode::TooLong, DOCUMENT_LEN_MAX));
    assert!(outcome.events[1..].iter().all(|event| matches!(event, Event::Overflow { .. })));
}

#[test]
fn more_than_any_instrument_sends_is_refused() {
    let good = fixture("08_kr1_all_failed");
    let list = "<nsREF:List No=\"1\"><nsREF:Error>NO CENTER</nsREF:Error></nsREF:List>";
    let many = changed(&good, list, &list.repeat(crate::format::xml::SHOTS_MAX + 1));
    assert_eq!(decode(&many).unwrap_err().code, ErrorCode::Malformed);
    let long = changed(&good, "NO CENTER", &"x".repeat(crate::format::xml::TEXT_LEN_MAX + 1));
    assert_eq!(decode(&long).unwrap_err().code, ErrorCode::Malformed);
    let eye = "<nsREF:R><nsREF:Median><nsREF:Sphere>1</nsREF:Sphere>\
               <nsREF:Cylinder>0</nsREF:Cylinder></nsREF:Median></nsREF:R>";
    let many = changed(&good, "<nsREF:REF>", &format!("<nsREF:REF>{}", eye.repeat(600)));
    assert_eq!(decode(&many).unwrap_err().code, ErrorCode::Malformed);
}

#[test]
fn a_stream_gives_each_document_when_its_root_closes() {
    let documents = [fixture("01_kr1_ref"), fixture("04_trk2p_tm")];
    let mut decoder = (SPEC.new)(&DriverOptions::default());
    let now = Instant::now();
    for document in &documents {
        let (head, last) = document.trim_end().split_at(document.trim_end().len() - 1);
        decoder.handle_input(now, head.as_bytes());
        assert_eq!(decoder.poll_event(), None);
        assert_eq!(decoder.poll_timeout(), Some(now + crate::format::xml::SILENCE_MAX));
        decoder.handle_input(now, last.as_bytes());
        assert!(matches!(decoder.poll_event(), Some(Event::Decoded { .. })));
        assert_eq!(decoder.poll_timeout(), None);
    }
    decoder.handle_input(now, b"\r\n<Ophthalm");
    decoder.handle_timeout(now + crate::format::xml::SILENCE_MAX);
    let Some(Event::Rejected { error, raw }) = decoder.poll_event() else { panic!("no event") };
    assert_eq!((error.code, raw.as_slice()), (ErrorCode::Incomplete, &b"\r\n<Ophthalm"[..]));
    decoder.handle_input(now, documents[0].as_bytes());
    assert!(matches!(decoder.poll_event(), Some(Event::Decoded { .. })), "begins anew");
}

#[test]
fn personal_data_other_than_the_id_goes_nowhere() {
    let text = fixture("06_kr800s_ref_km_shift_jis");
    let text = changed(&text, "<nsCommon:LastName></", "<nsCommon:LastName>Secret</");
    let text = changed(&text, "<nsCommon:DOB></", "<nsCommon:DOB>1950-01-02</");
    let text = changed(&text, "</nsCommon:DOB>", "</nsCommon:DOB><Street>Secret</Street>");
    let decoded = decode(&text).unwrap();
    let json = serde_json::to_string(&decoded).unwrap();
    for secret in ["Secret", "1950", "視力", "表子", "Street"] {
        assert!(!json.contains(secret), "{secret} in {json}");
    }
}

#[test]
fn two_heads_or_patients_refuse_the_document() {
    let text = fixture("06_kr800s_ref_km_shift_jis");
    let head = &text[text.find("<nsCommon:Common>").unwrap()..text.find("<nsREF:M").unwrap()];
    let patient = "<nsCommon:Patient><nsCommon:ID>Secret</nsCommon:ID></nsCommon:Patient>";
    for (from, more) in [
        ("<nsREF:Measure", head.to_owned()),
        ("<nsREF:Measure", head.repeat(2)),
        ("</nsCommon:Common>", patient.to_owned()),
    ] {
        let error = decode(&changed(&text, from, &format!("{more}{from}"))).unwrap_err();
        assert_eq!(error.code, ErrorCode::Malformed);
        assert!(!error.to_string().contains("Secret"), "{error}");
    }
}

#[test]
fn an_id_that_repeats_the_running_number_is_none() {
    let good = fixture("01_kr1_ref");
    let id = "<nsCommon:ID>0417</nsCommon:ID>";
    for (sent, expected) in
        [("0417", None), ("417", None), (" 0417 ", None), ("", None), ("X0417", Some("X0417"))]
    {
        let decoded = decode(&changed(&good, id, &id.replace("0417", sent))).unwrap();
        let claimed = decoded.claimed_patient;
        assert_eq!(claimed.as_ref().map(|claimed| claimed.id.as_str()), expected, "{sent:?}");
        assert!(claimed.is_none_or(|claimed| claimed.found_in == "nsCommon:Patient/ID"));
        assert_eq!(decoded.running_number.as_deref(), Some("0417"));
    }
    let long = "9".repeat(200);
    assert!(decode(&changed(&good, id, &id.replace("0417", &long))).is_err());
}

#[test]
fn a_near_distance_counts_only_with_its_working_distance() {
    let good = fixture("01_kr1_ref");
    let distance = |text: &str| {
        let decoded = decode(text).unwrap();
        let found = decoded.measurements.into_iter().find_map(|it| match it.measured {
            Measured::PupillaryDistance(distance) => Some((it.eye, distance)),
            _ => None,
        });
        found.unwrap()
    };
    assert_eq!(distance(&good).1.near_mm, None);
    let near = "62.50</nsREF:Near>";
    let other = distance(&changed(&good, near, "58.50</nsREF:Near>"));
    assert_eq!((other.0, other.1.near_mm), (Eye::Both, Some(Hundredths(5850))));
    let with_distance = changed(&good, "\"cm\"></", "\"cm\">40</");
    assert_eq!(distance(&with_distance).1.near_mm, Some(Hundredths(6250)));
    assert_eq!(distance(&with_distance).1.working_distance_cm, Some(Hundredths(4000)));
}

#[test]
fn what_is_not_known_stays_as_text() {
    let good = fixture("04_trk2p_tm");
    let unknown = |text: &str| -> Vec<String> {
        let decoded = decode(text).unwrap();
        decoded.unknown_records.into_iter().map(|record| record.text).collect()
    };
    assert!(unknown(&good).is_empty());
    let only_pa = changed(&good, "14.0</nsTM:IOP_mmHg>", "</nsTM:IOP_mmHg>");
    let only_pa = changed(&only_pa, "\"hPa\"></", "\"hPa\">18.7</");
    assert_eq!(unknown(&only_pa), ["<nsTM:IOP_Pa unit=\"hPa\">18.7</nsTM:IOP_Pa>"]);
    let twice = changed(&good, "<RL_Order>L</RL_Order>", "loose <RL_Order>L</RL_Order>");
    assert_eq!(unknown(&twice), ["loose"]);
    let third_eye = changed(&good, "<nsTM:TM>", "<nsTM:TM><nsTM:S><x>1</x></nsTM:S>");
    assert_eq!(unknown(&third_eye), ["<nsTM:S><x>1</x></nsTM:S>"]);
    let mode = changed(&fixture("01_kr1_ref"), "Mode>-<", "Mode>other<");
    assert_eq!(unknown(&mode), ["<nsREF:CylinderMode>other</nsREF:CylinderMode>"]);
    let many = changed(&good, "<nsTM:TM>", &format!("<nsTM:TM>{}", "<y>1</y>".repeat(100)));
    assert_eq!(unknown(&many).len(), crate::format::xml::UNKNOWN_RECORDS_MAX);
}

#[test]
fn a_typed_in_thickness_is_no_pachymetry() {
    let without = changed(&fixture("04_trk2p_tm"), "TRK-2P", "CT-800A");
    let decoded = decode(&without).unwrap();
    let is_pachymetry = |measured: &Measured| matches!(measured, Measured::Pachymetry(_));
    assert!(!decoded.measurements.iter().any(|it| is_pachymetry(&it.measured)));
    assert_eq!(decoded.unknown_records.len(), 1);
    assert!(decoded.unknown_records[0].text.starts_with("<CCT>"));
}

#[test]
fn a_namespace_on_another_host_is_known_by_its_last_part() {
    let good = fixture("07_trk2p_all_utf8");
    let moved = good.replace("http://www.joia.or.jp/", "http://www.example.org/");
    assert_eq!(decode(&moved).unwrap(), decode(&good).unwrap());
    let foreign = good.replace("namespaces/KM", "namespaces/ZZ");
    let decoded = decode(&foreign).unwrap();
    assert!(codes(&decoded).contains(&FlagCode::UnknownRecord));
    let has_keratometry =
        decoded.measurements.iter().any(|it| matches!(it.measured, Measured::Keratometry(_)));
    assert!(!has_keratometry, "never by local name where the format's namespaces are in use");
}

#[test]
fn documents_without_namespaces_read_alike() {
    let good = fixture("07_trk2p_all_utf8");
    let mut bare = good.clone();
    for kind in ["Common", "REF", "KM", "TM"] {
        bare = bare.replace(&format!("<ns{kind}:"), "<").replace(&format!("</ns{kind}:"), "</");
        let uri = format!("http://www.joia.or.jp/standardized/namespaces/{kind}");
        bare = bare.replace(&format!(" xmlns:ns{kind}=\"{uri}\""), "");
    }
    assert!(!bare.contains("joia"));
    assert_eq!(decode(&bare).unwrap(), decode(&good).unwrap());
}

#[test]
fn the_configured_model_stands_in_for_a_missing_one() {
    let text = changed(&fixture("01_kr1_ref"), ">KR-1<", "><");
    let options = DriverOptions { model: Some("KR-800".into()), ..DriverOptions::default() };
    let decoded = document::decode(text.as_bytes(), &options).unwrap();
    assert_eq!(decoded.instrument.model, "KR-800");
}
