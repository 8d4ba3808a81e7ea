use super::{CodecError, Pixels, decode};
use crate::imaging::{
    header::{Header, PixelFormat, Window},
    render,
};
use proptest::prelude::*;

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const BIG: &str = "1.2.840.10008.1.2.2";
const RLE: &str = "1.2.840.10008.1.2.5";

fn gray(rows: u16, columns: u16, bits: u16) -> PixelFormat {
    PixelFormat {
        rows,
        columns,
        samples_per_pixel: 1,
        photometric: "MONOCHROME2".into(),
        bits_allocated: if bits > 8 { 16 } else { 8 },
        bits_stored: bits,
        high_bit: bits - 1,
        ..PixelFormat::default()
    }
}

fn colour(photometric: &str) -> PixelFormat {
    PixelFormat { samples_per_pixel: 3, photometric: photometric.into(), ..gray(1, 2, 8) }
}

fn pixels(format: &PixelFormat, syntax: &str, bytes: &[u8]) -> Pixels {
    decode(format, syntax, bytes).unwrap().pixels
}

#[test]
fn stored_bits_are_taken_from_their_place() {
    assert_eq!(pixels(&gray(1, 2, 8), EXPLICIT, &[3, 250]), Pixels::Gray8(vec![3, 250]));
    let twelve = PixelFormat { high_bit: 13, ..gray(1, 1, 12) };
    let value = (0xABCu16 << 2) | 0b11;
    assert_eq!(pixels(&twelve, EXPLICIT, &value.to_le_bytes()), Pixels::Gray16(vec![0xABC]));
    assert_eq!(pixels(&twelve, BIG, &value.to_be_bytes()), Pixels::Gray16(vec![0xABC]));
    let one = PixelFormat { bits_allocated: 1, ..gray(2, 4, 1) };
    let bits = vec![1, 0, 1, 0, 0, 0, 0, 1];
    assert_eq!(pixels(&one, EXPLICIT, &[0b1000_0101]), Pixels::Gray8(bits));
}

#[test]
fn colours_come_out_as_red_green_blue() {
    let rgb = Pixels::Rgb(vec![1, 2, 3, 4, 5, 6]);
    assert_eq!(pixels(&colour("RGB"), EXPLICIT, &[1, 2, 3, 4, 5, 6]), rgb);
    let planar = PixelFormat { planar: true, ..colour("RGB") };
    assert_eq!(pixels(&planar, EXPLICIT, &[1, 4, 2, 5, 3, 6]), rgb);
    // Red of full strength, as PS3.3's equation gives it.
    let red = Pixels::Rgb(vec![254, 0, 0, 254, 0, 0]);
    assert_eq!(pixels(&colour("YBR_FULL"), EXPLICIT, &[76, 85, 255, 76, 85, 255]), red);
    assert_eq!(pixels(&colour("YBR_FULL_422"), EXPLICIT, &[76, 76, 85, 255]), red);
}

#[test]
fn rle_is_unpacked_by_segments() {
    let mut bytes = [2u32, 64, 68].map(u32::to_le_bytes).concat();
    bytes.resize(64, 0);
    // High bytes: three times 1. Low bytes: 10, 20, 30 as they are.
    bytes.extend([254, 1, 128, 0]);
    bytes.extend([2, 10, 20, 30]);
    let format = gray(1, 3, 16);
    assert_eq!(pixels(&format, RLE, &bytes), Pixels::Gray16(vec![0x10A, 0x114, 0x11E]));
    let cut = decode(&format, RLE, &bytes[..70]).unwrap_err();
    assert!(matches!(cut, CodecError::Damaged { .. }), "{cut}");
}

#[test]
fn what_cannot_be_shown_is_said() {
    let said =
        |format: &PixelFormat, syntax: &str| decode(format, syntax, &[]).unwrap_err().to_string();
    assert_eq!(
        said(&gray(1, 1, 8), "1.2.840.10008.1.2.4.102"),
        "frames in MPEG-4 video cannot be shown here"
    );
    let palette = PixelFormat { photometric: "PALETTE COLOR".into(), ..gray(1, 1, 8) };
    assert!(said(&palette, EXPLICIT).contains("PALETTE COLOR"));
    let lying = PixelFormat { bits_stored: 16, ..gray(1, 1, 8) };
    assert!(said(&lying, EXPLICIT).contains("do not fit"));
    let huge = PixelFormat { rows: 65_535, columns: 65_535, ..gray(1, 1, 8) };
    assert!(said(&huge, EXPLICIT).contains("at most"));
}

fn shade(format: &PixelFormat, bytes: &[u8], window: Option<Window>) -> Vec<u8> {
    let header = Header::default();
    let frame = decode(format, EXPLICIT, bytes).unwrap();
    let window = window.unwrap_or_else(|| render::first_window(&header, format, &frame));
    render::render(&header, format, frame, Some(window)).bytes
}

#[test]
fn a_window_maps_values_to_shades() {
    let format = gray(1, 5, 8);
    let values = [0, 64, 128, 192, 255];
    assert_eq!(shade(&format, &values, None), values, "8 bits are shown as they are");
    let window = Window { center: 128.0, width: 128.0 };
    assert_eq!(shade(&format, &values, Some(window)), [0, 0, 129, 255, 255]);
    let inverted = PixelFormat { photometric: "MONOCHROME1".into(), ..format };
    assert_eq!(shade(&inverted, &values, None), [255, 191, 127, 63, 0]);
}

#[test]
fn sixteen_bits_are_first_shown_over_the_values_they_have() {
    let format = PixelFormat { signed: true, ..gray(1, 700, 16) };
    let bytes: Vec<u8> = (-300..400i16).flat_map(i16::to_le_bytes).collect();
    let shades = shade(&format, &bytes, None);
    assert!(shades.is_sorted(), "signed values rise");
    assert_eq!((shades[0], shades[699]), (0, 255));
    assert!((120..136).contains(&shades[350]), "{}", shades[350]);
}

#[test]
fn a_thumbnail_has_square_pixels() {
    let picture =
        render::Picture { columns: 512, rows: 1024, is_colour: false, bytes: vec![9; 512 * 1024] };
    let small = picture.thumbnail(3.0);
    assert_eq!((small.columns, small.rows), (320, 213));
    assert!(small.bytes.iter().all(|byte| *byte == 9));
    assert!(small.png().unwrap().starts_with(b"\x89PNG"));
}

proptest! {
    #[test]
    fn garbage_never_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        begin in 0usize..4, bits in 1u16..17, samples in 1u16..4, rows in 0u16..9, columns in 0u16..9,
    ) {
        let begins: [&[u8]; 4] = [
            b"", b"\xFF\xD8\xFF\xC0\x00\x0B\x08\x00\x04\x00\x04\x01\x01\x11\x00",
            b"\xFF\x4F\xFF\x51\x00\x29\x00\x00\x00\x00\x00\x04\x00\x00\x00\x04\x00\x00\x00\x00",
            b"\x01\x00\x00\x00\x40\x00\x00\x00",
        ];
        let bytes = [begins[begin], &bytes].concat();
        let photometric = if samples == 3 { "YBR_FULL_422" } else { "MONOCHROME2" };
        let format = PixelFormat {
            samples_per_pixel: samples, photometric: photometric.into(), ..gray(rows, columns, bits)
        };
        for last in ["", ".2", ".99", ".5", ".4.50", ".4.57", ".4.70", ".4.80", ".4.90", ".4.91"] {
            let _ = decode(&format, &format!("1.2.840.10008.1.2{last}"), &bytes);
        }
    }
}
