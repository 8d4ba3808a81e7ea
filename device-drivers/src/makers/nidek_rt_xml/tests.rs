//! What the fixtures cannot show: other dialects, encodings, words that change the meaning.

use super::*;
use crate::{DecodeError, DriverOptions, ErrorCode};
use chiasm_proto::{Decoded, FlagCode, Measured};
use std::fs;

fn fixture(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/nidek_rt_xml");
    String::from_utf8(fs::read(format!("{folder}/{name}.raw")).unwrap()).unwrap()
}

fn decode(text: &str) -> Result<Decoded, DecodeError> {
    document::decode(text.as_bytes(), &DriverOptions::default())
}

/// Replaces exactly what is there.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in the fixture");
    text.replacen(from, to, 1)
}

#[test]
fn other_dialects_are_of_the_wrong_kind() {
    let good = fixture("01_sample_eight_bits");
    let joia = changed(&good, "<Ophthalmology>", "<Ophthalmology xmlns:a=\"http://x/Common\">");
    let joia = joia.replace("<Common>", "<a:Common>").replace("</Common>", "</a:Common>");
    for (text, what) in [
        (changed(&good, "Type=\"RT\"", "Type=\"LM\""), "a lensmeter"),
        (changed(&good, "Type=\"RT\"", ""), "no type"),
        (changed(&good, ">NIDEK<", ">TOPCON<"), "another maker"),
        (changed(&good, "<Company>NIDEK</Company>", ""), "no maker"),
        (joia, "a namespace"),
        (good.replace("Ophthalmology", "Data"), "another root"),
    ] {
        assert_eq!(decode(&text).unwrap_err().code, ErrorCode::WrongKind, "{what}");
    }
    let lens = changed(&good, "Type=\"RT\"", "Type=\"LM\"");
    assert_eq!(sniff(lens.as_bytes()), Sniff::No);
    assert_eq!(sniff(good.as_bytes()), Sniff::Yes);
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(sniff(&utf16), Sniff::Yes);
}

#[test]
fn the_same_values_in_every_encoding_and_spelling_of_the_type() {
    let good = fixture("01_sample_eight_bits");
    let plain = decode(&good).unwrap();
    assert_eq!(decode(&changed(&good, "Type=\"RT\"", "type='RT'")).unwrap(), plain);
    let units = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("\u{feff}{good}").encode_utf16().flat_map(bytes).collect()
    };
    for bytes in [units(u16::to_le_bytes), units(u16::to_be_bytes)] {
        let decoded = document::decode(&bytes, &DriverOptions::default()).unwrap();
        assert_eq!(decoded.measurements, plain.measurements);
    }
}

#[test]
fn malformed_powers_refuse_the_document() {
    let good = fixture("01_sample_eight_bits");
    for (from, to) in [
        ("unit=\"D\">-1.25<", "unit=\"D\">-1.2S<"),
        ("unit=\"D\">-1.25<", "unit=\"D\">-1.255<"),
        ("unit=\"D\">-1.25<", "unit=\"mm\">-1.25<"),
        ("unit=\"D\">-1.25<", "unit=\"D\"><"),
        ("unit=\"D\">-0.50</Cylinder>", "unit=\"D\"></Cylinder>"),
        ("unit=\"deg\">100<", "unit=\"deg\">100.5<"),
        ("unit=\"deg\">100<", "unit=\"deg\"><"),
        ("base=\"out\">0.50<", "base=\"out\">-0.50<"),
        (">548<", ">548.5<"),
        (">548<", ">+548<"),
        (">15.00<", ">15.O0<"),
    ] {
        let error = decode(&changed(&good, from, to)).unwrap_err();
        assert_eq!(error.code, ErrorCode::Malformed, "{from} to {to}");
        assert!(error.field.is_some_and(|field| field.starts_with("Measure/")), "{from} to {to}");
    }
}

#[test]
fn words_that_are_not_known_keep_a_set_as_text() {
    let good = fixture("01_sample_eight_bits");
    let all = decode(&good).unwrap();
    for (from, to) in [
        ("CorrectionType=\"Best\"", "CorrectionType=\"Other\""),
        ("\"Best\" Vision=\"Distant\"", "\"Best\" Vision=\"Middle\""),
        ("\"Best\" Vision=\"Distant\" Situation=\"Standard\"", "\"Best\" Vision=\"Distant\""),
    ] {
        let decoded = decode(&changed(&good, from, to)).unwrap();
        assert!(decoded.measurements.len() < all.measurements.len(), "{to}");
        assert_eq!(decoded.unknown_records.len(), 1, "{to}");
    }
}

#[test]
fn a_pressure_in_another_unit_than_it_says_is_not_read() {
    let text = changed(&fixture("01_sample_eight_bits"), "unit=\"kPa\"", "unit=\"hPa\"");
    let decoded = decode(&text).unwrap();
    let kpa = decoded.measurements.iter().find_map(|it| match &it.measured {
        Measured::Tonometry(tonometry) => tonometry.representative.as_ref()?.value.iop_kpa,
        _ => None,
    });
    assert_eq!((kpa, decoded.unknown_records.len()), (None, 1));
}

#[test]
fn a_date_of_no_day_stays_as_sent() {
    let good = fixture("01_sample_eight_bits");
    for (from, to, is_read) in [
        ("2026-03-14", "2026-02-31", false),
        ("2026-03-14", "14-03-2026", false),
        ("2026-03-14", "2026.03.14", true),
        ("10-41-16", "10:41:16", true),
        ("10-41-16", "24-41-16", false),
    ] {
        let time = decode(&changed(&good, from, to)).unwrap().instrument_time.unwrap();
        assert_eq!(time.local.is_some(), is_read, "{to}");
        assert!(time.as_sent.contains(to));
    }
}

#[test]
fn personal_data_other_than_the_id_goes_nowhere() {
    let text = fixture("01_sample_eight_bits");
    let text = changed(&text, "<LastName></", "<LastName>Secret</");
    let text = changed(&text, "<DOB></DOB>", "<DOB>1950-01-02</DOB><Street>Secret</Street>");
    let decoded = decode(&text).unwrap();
    let json = serde_json::to_string(&decoded).unwrap();
    assert!(!json.contains("Secret") && !json.contains("1950"), "{json}");
    let head = &text[text.find("<Common>").unwrap()..text.find("<Measure").unwrap()];
    let patient = "<Patient><ID>Secret</ID><LastName>Secret</LastName></Patient>";
    for (from, more) in [
        ("<Measure", head.to_owned()),
        ("<Measure", head.repeat(2)),
        ("</Common>", patient.to_owned()),
    ] {
        let error = decode(&changed(&text, from, &format!("{more}{from}"))).unwrap_err();
        assert_eq!(error.code, ErrorCode::Malformed);
        assert!(!error.to_string().contains("Secret"), "{error}");
    }
}

/// The contradiction of one component must not take the other form with it.
#[test]
fn a_prism_is_kept_in_the_form_that_does_not_contradict_itself() {
    let good = fixture("01_sample_eight_bits");
    let at = good.find("base=\"out\">0.50<").unwrap();
    let start = good[..at].rfind("<Prism unit=\"pri\"/>").unwrap();
    let end = start + good[start..].find("<PrismY unit=\"pri\" base=\"up\"/>").unwrap();
    let with = |prism: &str| {
        let tail = changed(&good[end..], "<PrismY unit=\"pri\" base=\"up\"/>", prism);
        let decoded = decode(&format!("{}{tail}", &good[..start])).unwrap();
        let prism = decoded.measurements.iter().rev().find_map(|it| match &it.measured {
            Measured::Refraction(refraction) => refraction.prism.clone(),
            _ => None,
        });
        let codes: Vec<_> = decoded.flags.iter().map(|flag| flag.code).collect();
        (prism.unwrap(), codes.contains(&FlagCode::Inconsistent), decoded)
    };
    let polar = "<Prism>1.35</Prism><PrismBase>158</PrismBase>";
    let (prism, is_told, decoded) =
        with(&format!("{polar}<PrismX base=\"up\">1.25</PrismX><PrismY base=\"up\">0.50</PrismY>"));
    assert_eq!((prism.horizontal, prism.amount, is_told), (None, None, true));
    for text in ["<Prism>1.35</Prism>", "<PrismBase>158</PrismBase>", "base=\"up\">1.25"] {
        let mut records = decoded.unknown_records.iter();
        assert!(records.any(|record| record.text.contains(text)), "{text} is kept");
    }
    let both = "<PrismX base=\"out\">1.25</PrismX><PrismY base=\"up\">0.50</PrismY>";
    assert!(!with(&format!("{polar}{both}")).1, "the same prism");
    assert!(with(&format!("{}{both}", polar.replace("1.35", "3.00"))).1, "another prism");
}
