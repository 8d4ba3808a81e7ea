//! What an object says, and what refuses it. The fixtures are made here, byte by byte.

mod fixtures;

use super::*;
use crate::{
    ErrorCode,
    golden::run,
    sim::dicom_file::{Head, Set, Style, file},
};
use chiasm_proto::{Hundredths, Measured, Refraction};
use flate2::{Compression, write::DeflateEncoder};
use proptest::prelude::*;
use std::io::Write;

const AR: &str = "1.2.840.10008.5.1.4.1.1.78.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";

pub(super) fn head(class_uid: &str, modality: &str, laterality: &str, style: Style) -> Set {
    Head {
        class_uid,
        instance_uid: "2.25.7",
        modality,
        patient_id: "MRN0001",
        content: ("20260901", "091805"),
        laterality,
    }
    .set(style)
}

/// An eye with a sphere and a cylinder.
pub(super) fn eye(style: Style, sphere: f64, cylinder: f64, axis: f32) -> Set {
    let inside = Set::new(style).fl((0x22, 9), axis).fd((0x46, 0x147), cylinder);
    Set::new(style).fd((0x46, 0x146), sphere).item((0x46, 0x18), inside)
}

fn ar(right: Set) -> Vec<u8> {
    head(AR, "AR", "R", Style::default()).item((0x46, 0x50), right).file(AR, "2.25.7")
}

fn read_one(raw: &[u8]) -> Result<Decoded, DecodeError> {
    decode(raw, &DriverOptions::default())
}

fn refraction(decoded: &Decoded) -> &Refraction {
    match &decoded.measurements[0].measured {
        Measured::Refraction(refraction) => refraction,
        other => panic!("{other:?}"),
    }
}

pub(super) fn deflated(data_set: &[u8]) -> Vec<u8> {
    // Stored, not compressed: the bytes do not depend on the version of a library.
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(data_set).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_quarter_dioptre_is_exact_and_a_single_in_a_double_is_that_single() {
    let style = Style::default();
    let decoded = read_one(&ar(eye(style, -2.25, -0.75, 175.0))).unwrap();
    let value = refraction(&decoded).representative.as_ref().unwrap().value;
    assert_eq!(value.sphere, Hundredths(-225));
    assert_eq!((value.cylinder, value.axis_deg), (Hundredths(-75), Some(175)));
    for (sent, hundredths) in [
        (f64::from(7.78_f32), 778),
        (f64::from(-0.1_f32), -10),
        (0.1 + 0.2, 30),
        (-2.250_000_000_1, -225),
        (-0.0, 0),
    ] {
        let decoded = read_one(&ar(eye(style, sent, -0.75, 175.0))).unwrap();
        let value = refraction(&decoded).representative.as_ref().unwrap().value;
        assert_eq!(value.sphere, Hundredths(hundredths), "{sent}");
    }
}

#[test]
fn finer_numbers_stay_text_and_are_flagged() {
    let style = Style::default();
    for (sphere, axis) in [(-2.273, 175.0), (-2.25, 174.5)] {
        let decoded = read_one(&ar(eye(style, sphere, -0.75, axis))).unwrap();
        let Measured::OtherTest(test) = &decoded.measurements[0].measured else { panic!() };
        let texts: Vec<&str> = test.values.iter().map(|it| it.as_sent.as_str()).collect();
        assert_eq!(texts, [sphere.to_string(), "-0.75".into(), axis.to_string()]);
        assert!(decoded.flags.iter().any(|flag| flag.code == FlagCode::Unusual));
    }
}

#[test]
fn what_cannot_have_been_measured_refuses_the_object() {
    let style = Style::default();
    for sphere in [f64::NAN, f64::INFINITY, 1e300, -1e6, 1e-200, f64::MIN_POSITIVE] {
        let error = read_one(&ar(eye(style, sphere, -0.75, 175.0))).unwrap_err();
        assert_eq!(error.code, ErrorCode::Malformed, "{sphere}");
        let field = "(0046,0050)[1]/(0046,0146) SpherePower";
        assert_eq!(error.field.as_deref(), Some(field), "{sphere}");
        assert!(error.offset > 600, "{error}");
    }
    for axis in [-1.0, 180.5, 400.0, f32::NAN] {
        assert!(read_one(&ar(eye(style, -2.25, -0.75, axis))).is_err(), "{axis}");
    }
}

#[test]
fn a_wrong_representation_or_a_missing_value_is_told_with_its_path() {
    let style = Style::default();
    let set = || Set::new(style);
    let as_text = set().text((0x46, 0x146), "DS", "-2.25");
    let two = [(-2.25_f64).to_le_bytes(), 1.0_f64.to_le_bytes()].concat();
    for (what, item) in [
        ("sent as DS", as_text),
        ("has to be there", set().fd((0x46, 0x44), 4.0)),
        ("more than one value", set().raw((0x46, 0x146), "FD", &two)),
        ("multiple of", set().raw((0x46, 0x146), "FD", &[1, 2, 3, 4])),
        ("not a value representation", set().raw((0x46, 0x146), "??", &[0; 8])),
        ("where a value has to be", set().item((0x46, 0x146), set())),
        ("reaches beyond", set().element((0x46, 0x146), "FD", 4000, &[0; 8])),
    ] {
        let error = read_one(&ar(item)).unwrap_err();
        assert!(error.message.contains(what), "{what}: {error}");
        let field = error.field.unwrap_or_default();
        assert!(field.starts_with("(0046,0050)[1]/(0046,0146)"), "{what}: {field}");
    }
    let twice = head(AR, "AR", "R", style)
        .items((0x46, 0x50), vec![eye(style, 0.0, -0.5, 9.0), eye(style, 1.0, -0.5, 9.0)]);
    let error = read_one(&twice.file(AR, "2.25.7")).unwrap_err();
    assert!(error.message.contains("more than one item"), "{error}");
}

#[test]
fn what_is_not_read_for_measurements_is_of_the_wrong_kind() {
    let style = Style::default();
    let image = "1.2.840.10008.5.1.4.1.1.77.1.5.4";
    let set = head(image, "OPT", "R", style);
    let error = read_one(&set.file(image, "2.25.7")).unwrap_err();
    assert_eq!(error.code, ErrorCode::WrongKind);
    let bytes = head(AR, "AR", "R", style).bytes();
    let error = read_one(&file(AR, "2.25.7", "1.2.840.10008.1.2.4.90", &bytes)).unwrap_err();
    assert_eq!(error.code, ErrorCode::WrongKind);
    assert_eq!(read_one(b"MZ").unwrap_err().code, ErrorCode::WrongKind);
    // The head says another class than the data set.
    let error = read_one(&file(AR, "2.25.7", EXPLICIT, &head(image, "AR", "R", style).bytes()));
    assert!(error.unwrap_err().message.contains("another class"));
}

#[test]
fn deflated_objects_are_read_and_bombs_are_not() {
    let style = Style::default();
    let set = head(AR, "AR", "R", style).item((0x46, 0x50), eye(style, -2.25, -0.75, 175.0));
    let plain = read_one(&set.clone().file(AR, "2.25.7")).unwrap();
    let packed = file(AR, "2.25.7", DEFLATED, &deflated(&set.clone().bytes()));
    assert_eq!(read_one(&packed).unwrap().measurements, plain.measurements);
    let cut = &packed[..packed.len() - 40];
    assert_eq!(read_one(cut).unwrap_err().code, ErrorCode::Malformed);
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; 64 << 20]).unwrap();
    let bomb = file(AR, "2.25.7", DEFLATED, &encoder.finish().unwrap());
    assert!(bomb.len() < 100_000);
    assert_eq!(read_one(&bomb).unwrap_err().code, ErrorCode::Hostile);
}

#[test]
fn lengths_that_lie_and_depth_without_end_are_refused() {
    let style = Style::default();
    for len in [0, 7, 0x7FFF_FFFF, 0xFFFF_FFFE, 0xFFFF_FFFF] {
        let set =
            head(AR, "AR", "R", style).element((0x46, 0x50), "SQ", len, &[0xFE, 0xFF, 0, 0xE0]);
        assert!(read_one(&set.file(AR, "2.25.7")).is_err(), "{len}");
    }
    let mut deep = Set::new(style).fd((0x46, 0x146), 0.0);
    for _ in 0..200 {
        deep = Set::new(style).item((0x46, 0x50), deep);
    }
    assert_eq!(read_one(&ar(deep)).unwrap_err().code, ErrorCode::Hostile);
    let many = head(AR, "AR", "R", style).items((0x46, 0x50), vec![Set::new(style); 30_000]);
    assert_eq!(read_one(&many.file(AR, "2.25.7")).unwrap_err().code, ErrorCode::Hostile);
}

#[test]
fn what_was_not_read_is_told_but_never_the_patient() {
    let style = Style::default();
    let extra =
        eye(style, -2.25, -0.75, 175.0).fd((0x46, 0x6666), 1.5).text((0x22, 0x1065), "LO", "x");
    let decoded = read_one(&ar(extra)).unwrap();
    let texts: Vec<&str> = decoded.unknown_records.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert_eq!(texts[1], "(0046,0050)[1]/(0046,6666): 1.5");
    let json = serde_json::to_string(&decoded).unwrap();
    assert!(!json.contains("Olga") && !json.contains("19700101"), "{json}");
    assert_eq!(decoded.claimed_patient.unwrap().id, "MRN0001");
}

#[test]
fn an_eye_that_is_missing_is_flagged() {
    let style = Style::default();
    for (laterality, is_told) in [("R", false), ("L", true), ("B", true), ("", false)] {
        let set = head(AR, "AR", laterality, style);
        let set = set.item((0x46, 0x50), eye(style, -2.25, -0.75, 175.0));
        let decoded = read_one(&set.file(AR, "2.25.7")).unwrap();
        let told = decoded.flags.iter().any(|flag| flag.code == FlagCode::Inconsistent);
        assert_eq!(told, is_told, "{laterality}: {:?}", decoded.flags);
    }
}

#[test]
fn the_steep_meridian_has_the_shorter_radius() {
    let class = "1.2.840.10008.5.1.4.1.1.78.3";
    let style = Style::default();
    let meridian = |radius: f64| {
        Set::new(style).fd((0x46, 0x75), radius).fd((0x46, 0x76), 43.5).fd((0x46, 0x77), 90.0)
    };
    let read = |steep: f64, flat: f64| {
        let item = Set::new(style);
        let item = item.item((0x46, 0x74), meridian(steep)).item((0x46, 0x80), meridian(flat));
        let set = head(class, "KER", "R", style).item((0x46, 0x70), item);
        read_one(&set.file(class, "2.25.7"))
    };
    let decoded = read(7.58, 7.76).unwrap();
    let Measured::Keratometry(cornea) = &decoded.measurements[0].measured else { panic!() };
    let value = &cornea.representative.as_ref().unwrap().value;
    assert_eq!(value.r1.radius_mm, Some(Hundredths(776)));
    assert_eq!(value.r2.radius_mm, Some(Hundredths(758)));
    assert_eq!(read(7.76, 7.58).unwrap_err().code, ErrorCode::Malformed);
    assert!(read(-7.58, 7.76).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// Behind a good head, anything may come.
    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..2000), syntax in 0..3) {
        let syntax = [EXPLICIT, "1.2.840.10008.1.2", DEFLATED][syntax as usize];
        let raw = file(AR, "2.25.7", syntax, &bytes);
        run(&SPEC, [raw.as_slice()]).assert_conserves(&raw, "garbage");
        let raw = file(AR, "2.25.7", DEFLATED, &deflated(&bytes));
        run(&SPEC, [raw.as_slice()]).assert_conserves(&raw, "deflated garbage");
        run(&SPEC, [bytes.as_slice()]).assert_conserves(&bytes, "bare garbage");
    }
}
