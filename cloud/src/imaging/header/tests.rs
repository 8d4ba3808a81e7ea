use super::super::dicom::{EXPLICIT, IMPLICIT, Set};
use super::{Header, HeaderError, ImageKind, PixelSpacing, Window, read};
use chiasm_proto::Eye;
use flate2::{Compression, write::DeflateEncoder};
use proptest::prelude::*;
use std::io::{Cursor, Write};

const OPT: &str = "1.2.840.10008.5.1.4.1.1.77.1.5.4";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";

fn frame(position: u32, row: f32) -> Set {
    let content = Set::default().text(0x0020_9056, "SH", "1").ul(0x0020_9057, &[position]);
    let place =
        Set::default().text(0x0008_1155, "UI", "2.25.77").fl(0x0022_0032, &[row, 0.0, row, 95.0]);
    Set::default()
        .items(0x0020_9111, vec![content.ul(0x0020_9157, &[1, position])])
        .items(0x0022_0031, vec![place])
}

fn volume() -> Set {
    let measures = Set::default().text(0x0028_0030, "DS", "0.00387\\0.0117");
    let anatomy = Set::default().text(0x0020_9072, "CS", "R");
    let shared =
        Set::default().items(0x0028_9110, vec![measures]).items(0x0020_9071, vec![anatomy]);
    Set::default()
        .text(0x0008_0005, "CS", "ISO_IR 100")
        .text(0x0008_0016, "UI", OPT)
        .text(0x0008_0018, "UI", "2.25.10")
        .text(0x0008_002A, "DT", "20260901091700.250+0200")
        .text(0x0008_0060, "CS", "OPT")
        .raw(0x0010_0010, "PN", b"J\xFCrgen^Test")
        .text(0x0010_0020, "LO", "MRN 1 ")
        .text(0x0010_0030, "DA", "19700131")
        .text(0x0020_000D, "UI", "2.25.11")
        .text(0x0020_000E, "UI", "2.25.12")
        .text(0x0020_0011, "IS", "3")
        .text(0x0020_0062, "CS", "R")
        .us(0x0028_0002, &[1])
        .text(0x0028_0004, "CS", "MONOCHROME2")
        .text(0x0028_0008, "IS", "3")
        .us(0x0028_0010, &[4])
        .us(0x0028_0011, &[2])
        .us(0x0028_0100, &[8])
        .us(0x0028_0101, &[8])
        .us(0x0028_0102, &[7])
        .us(0x0028_0103, &[0])
        .text(0x0028_1050, "DS", "127.5\\10")
        .text(0x0028_1051, "DS", "255\\20")
        .text(0x0028_2110, "CS", "00")
        .text(0x0028_0301, "CS", "YES")
        .items(0x5200_9229, vec![shared])
        .items(0x5200_9230, vec![frame(2, 20.0), frame(3, 30.0), frame(1, 10.0)])
        .pixels(8, &[7; 24])
}

fn header(file: Vec<u8>) -> Header {
    read(Cursor::new(file)).unwrap()
}

#[test]
fn a_volume_is_read_in_explicit_and_implicit_syntax_alike() {
    let file = volume().file(EXPLICIT);
    let found = header(file.clone());
    assert_eq!(found.kind, ImageKind::OctVolume);
    assert_eq!(found.patient_name.as_deref(), Some("Jürgen^Test"));
    assert_eq!(found.patient_id.as_deref(), Some("MRN 1"));
    assert_eq!(found.birth_date, Some(jiff::civil::date(1970, 1, 31)));
    assert_eq!(found.acquired_at.unwrap().to_string(), "2026-09-01T09:17:00.25");
    assert_eq!(found.acquired_offset_min, Some(120));
    assert_eq!((found.laterality.eye, &found.laterality.disagreement), (Eye::Right, &None));
    assert_eq!(found.frames, 3);
    assert_eq!(found.spacing, Some(PixelSpacing { row_mm: 0.00387, column_mm: 0.0117 }));
    assert_eq!(found.window, Some(Window { center: 127.5, width: 255.0 }));
    assert_eq!(found.frame_order, Some(vec![3, 1, 2]));
    assert_eq!(found.frame_locations[0].sop_instance_uid, "2.25.77");
    assert_eq!(found.frame_locations[0].points[1], [30.0, 0.0, 30.0, 95.0]);
    assert_eq!(found.referenced_instances, ["2.25.77"]);
    assert_eq!((found.lossy, found.burned_in), (Some(false), Some(true)));
    let pixels = found.pixels.clone().unwrap();
    assert_eq!((pixels.rows, pixels.columns, pixels.len), (4, 2, Some(24)));
    assert!(file[pixels.offset as usize..].iter().all(|byte| *byte == 7));

    let mut implicit = header(volume().file(IMPLICIT));
    implicit.transfer_syntax_uid.clone_from(&found.transfer_syntax_uid);
    implicit.pixels.clone_from(&found.pixels);
    assert_eq!(implicit, found);
}

#[test]
fn a_header_survives_json() {
    let found = header(volume().file(EXPLICIT));
    let json = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Header>(&json).unwrap(), found);
}

#[test]
fn an_empty_data_set_is_all_missing() {
    let found = header(Set::default().file(EXPLICIT));
    let expected = Header { transfer_syntax_uid: EXPLICIT.into(), ..Header::default() };
    assert_eq!(found, expected);
}

#[test]
fn eyes_that_disagree_are_left_open_and_said() {
    let found = header(volume().text(0x0020_0060, "CS", "L").file(EXPLICIT)).laterality;
    assert_eq!(found.eye, Eye::NotGiven);
    assert_eq!(
        found.disagreement.as_deref(),
        Some("Image Laterality says OD, the series' Laterality says OS")
    );
    let frames = header(volume().without(0x0020_0062).file(EXPLICIT)).laterality;
    assert_eq!(frames.eye, Eye::Right, "frames alone say it too");
    let zeiss = Set::default().text(0x0057_1015, "CS", "L").file(EXPLICIT);
    assert_eq!(header(zeiss).laterality.eye, Eye::Left);
}

#[test]
fn text_in_a_wrong_or_unknown_character_set_is_still_read() {
    let named = |charset: &str, name: &[u8]| {
        let set = Set::default().text(0x0008_0005, "CS", charset).raw(0x0010_0010, "PN", name);
        header(set.file(EXPLICIT)).patient_name.unwrap()
    };
    assert_eq!(named("ISO_IR 100", "Jürgen^Ä".as_bytes()), "Jürgen^Ä", "UTF-8 in disguise");
    assert_eq!(named("ISO_IR 192", b"J\xFCrgen").chars().count(), 6);
    assert_eq!(named("KLINGON", b"J\xFCrgen").chars().count(), 6);
    assert_eq!(named("ISO_IR 144", b"\xB8\xD2\xD0\xDD"), "Иван");
    assert_eq!(named("\\ISO 2022 IR 87", b"Yamada^Tarou"), "Yamada^Tarou");
}

#[test]
fn dates_and_uids_that_are_none_are_missing() {
    let set = volume()
        .text(0x0010_0030, "DA", "1970xx31")
        .text(0x0008_002A, "DT", "20260901097")
        .text(0x0008_0018, "UI", "../../x");
    let found = header(set.file(EXPLICIT));
    assert_eq!((found.birth_date, found.acquired_at, found.sop_instance_uid), (None, None, None));
}

#[test]
fn lying_lengths_are_refused() {
    let mut file = volume().file(EXPLICIT);
    let pixels = file.len() - 24 - 4;
    file[pixels..pixels + 4].copy_from_slice(&4_000_000u32.to_le_bytes());
    let error = read(Cursor::new(file)).unwrap_err();
    assert!(matches!(error, HeaderError::PastEnd { len: 4_000_000, .. }), "{error}");

    let mut item = Set::default().items(0x0008_1140, vec![Set::default().us(0x0028_0010, &[1])]);
    item = item.text(0x0010_0010, "PN", "behind it");
    let mut file = item.file(EXPLICIT);
    let at = file.windows(4).position(|bytes| bytes == [0xFE, 0xFF, 0x00, 0xE0]).unwrap() + 4;
    file[at..at + 4].copy_from_slice(&20u32.to_le_bytes());
    let error = read(Cursor::new(file)).unwrap_err();
    assert!(matches!(error, HeaderError::PastSequence { .. }), "{error}");

    let error = read(Cursor::new(b"GIF89a".repeat(50))).unwrap_err();
    assert!(matches!(error, HeaderError::NotDicom), "{error}");
}

#[test]
fn long_values_are_passed_over_and_found_again() {
    let pdf = vec![b'%'; 100_001];
    let set = Set::default()
        .text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.104.1")
        .raw(0x0042_0011, "OB", &pdf)
        .text(0x0042_0012, "LO", "application/pdf")
        .ul(0x0042_0015, &[100_001]);
    let found = header(set.file(EXPLICIT));
    assert_eq!(found.kind, ImageKind::Pdf);
    let document = found.document.unwrap();
    assert_eq!(document.media_type.as_deref(), Some("application/pdf"));
    let super::DocumentPlace::At(span) = document.place else { panic!("{document:?}") };
    assert_eq!(span.len, 100_001);
}

#[test]
fn sequences_without_end_are_refused() {
    let mut nested = Set::default().us(0x0028_0010, &[1]);
    for _ in 0..40 {
        nested = Set::default().items(0x0008_1140, vec![nested]);
    }
    let error = read(Cursor::new(nested.file(EXPLICIT))).unwrap_err();
    assert!(matches!(error, HeaderError::TooDeep { .. }), "{error}");
}

#[test]
fn a_header_that_eats_memory_is_refused() {
    let item = Set::default();
    let many = Set::default().items(0x0008_1140, vec![item; 900_000]);
    let error = read(Cursor::new(many.file(EXPLICIT))).unwrap_err();
    assert!(matches!(error, HeaderError::TooLong), "{error}");
}

fn deflated(set: &Set, data_set: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data_set).unwrap();
    set.file_of(DEFLATED, &encoder.finish().unwrap())
}

#[test]
fn deflated_data_sets_are_read_and_bombs_are_refused() {
    let found = header(deflated(&volume(), &volume().encode(false)));
    assert_eq!((found.kind, found.frames), (ImageKind::OctVolume, 3));

    // A private element of 300 MB of zeroes before what is looked for.
    let mut bomb = Vec::new();
    bomb.extend([0x09, 0x00, 0x10, 0x10, b'O', b'B', 0, 0]);
    bomb.extend(300_000_000u32.to_le_bytes());
    bomb.extend(vec![0; 300_000_000]);
    let error = read(Cursor::new(deflated(&Set::default(), &bomb))).unwrap_err();
    assert!(matches!(error, HeaderError::PastEnd { .. }), "{error}");
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(
        cut in 0usize..1200,
        at in 132usize..1200,
        bytes in proptest::collection::vec(any::<u8>(), 1..12),
    ) {
        for syntax in [EXPLICIT, IMPLICIT] {
            let mut file = volume().file(syntax);
            let end = file.len();
            for (offset, byte) in bytes.iter().enumerate() {
                file[(at + offset) % end] = *byte;
            }
            file.truncate(end.saturating_sub(cut).max(132));
            let _ = read(Cursor::new(file));
        }
    }
}
