//! The fixtures' bytes. `UPDATE_GOLDEN=1` writes them; otherwise the files have to be these.

use super::{AR, DEFLATED, deflated, eye, head};
use crate::sim::dicom_file::{Set, Style, file};
use std::{fs, path::Path};

const EXPLICIT: Style = Style { implicit: false, undefined: false };
const IMPLICIT: Style = Style { implicit: true, undefined: false };
const MARKED: Style = Style { implicit: false, undefined: true };

fn uid(class: &str) -> String {
    format!("1.2.840.10008.5.1.4.1.1.{class}")
}

#[test]
fn fixtures_are_what_is_made_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/dicom_measurements");
    for (name, raw) in all() {
        let path = folder.join(name).with_extension("raw");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &raw).unwrap();
        }
        let found = fs::read(&path).unwrap_or_default();
        assert!(found == raw, "{path:?} is stale: UPDATE_GOLDEN=1 writes it anew");
    }
}

fn all() -> Vec<(&'static str, Vec<u8>)> {
    let both = ar(EXPLICIT, "B", -2.25).bytes();
    let right = eye(EXPLICIT, -2.25, -0.75, 175.0);
    let mut cut = head(AR, "AR", "R", EXPLICIT).item((0x46, 0x50), right).file(AR, "2.25.7");
    cut.truncate(cut.len() - 30);
    let wrong_representation = Set::new(EXPLICIT).text((0x46, 0x146), "DS", "-2.25");
    let wrong = head(AR, "AR", "R", EXPLICIT).item((0x46, 0x50), wrong_representation);
    let image = uid("77.1.5.4");
    vec![
        ("01_ar_both_eyes", ar(EXPLICIT, "B", -2.25).file(AR, "2.25.7")),
        ("02_ker_implicit", ker()),
        ("03_len_unspecified_side", len()),
        ("04_srf_prism_additions", srf()),
        ("05_va_decimal", va()),
        ("06_oam_optical", oam()),
        ("07_iol_two_powers", iol()),
        ("08_opv_field", opv()),
        ("09_macular_grid", report(&uid("79.1"))),
        ("10_comprehensive_report", report(&uid("88.33"))),
        ("11_ar_finer_than_hundredths", ar(EXPLICIT, "B", -2.273).file(AR, "2.25.7")),
        ("12_ar_deflated", file(AR, "2.25.7", DEFLATED, &deflated(&both))),
        ("13_ar_cut_short", cut),
        ("14_ar_wrong_representation", wrong.file(AR, "2.25.7")),
        ("15_another_class", head(&image, "OPT", "R", EXPLICIT).file(&image, "2.25.7")),
        ("16_ar_private_and_unknown", private()),
    ]
}

fn ar(style: Style, laterality: &str, sphere: f64) -> Set {
    let right = eye(style, sphere, -0.75, 175.0).fd((0x22, 0xF), 12.0);
    let right = right.fd((0x46, 0x44), 4.1).fd((0x46, 0x46), 11.8);
    let left = eye(style, -2.0, -0.5, 10.0).fd((0x22, 0xF), 12.0).fd((0x46, 0x44), 4.0);
    head(AR, "AR", laterality, style)
        .item((0x46, 0x50), right)
        .item((0x46, 0x52), left)
        .fd((0x46, 0x60), 63.0)
}

fn private() -> Vec<u8> {
    let right = eye(EXPLICIT, 0.0, -0.25, 0.0).fd((0x46, 0x6666), 1.5);
    head(AR, "AR", "R", EXPLICIT)
        .item((0x46, 0x50), right)
        .text((0x47, 0x10), "LO", "SYNTHETIC 1")
        .text((0x47, 0x1001), "LO", "private")
        .file(AR, "2.25.7")
}

fn ker() -> Vec<u8> {
    let class = uid("78.3");
    let meridian = |radius: f64, power: f64, axis: f64| {
        Set::new(IMPLICIT).fd((0x46, 0x75), radius).fd((0x46, 0x76), power).fd((0x46, 0x77), axis)
    };
    let eye = |steep, flat| Set::new(IMPLICIT).item((0x46, 0x74), steep).item((0x46, 0x80), flat);
    head(&class, "KER", "B", IMPLICIT)
        .item((0x46, 0x70), eye(meridian(7.58, 44.5, 88.0), meridian(7.76, 43.5, 178.0)))
        .item((0x46, 0x71), eye(meridian(7.6, 44.41, 92.0), meridian(7.78, 43.38, 2.0)))
        .file(&class, "2.25.7")
}

fn len() -> Vec<u8> {
    let class = uid("78.1");
    let add = Set::new(MARKED).fd((0x46, 0x104), 2.0);
    let lens = eye(MARKED, -2.25, -0.75, 175.0).item((0x46, 0x100), add);
    head(&class, "LEN", "", MARKED)
        .text((0x46, 0x12), "LO", "Progressive")
        .item((0x46, 0x16), lens.text((0x46, 0x38), "CS", "PROGRESSIVE"))
        .file(&class, "2.25.7")
}

fn srf() -> Vec<u8> {
    let class = uid("78.4");
    let set = || Set::new(EXPLICIT);
    let prism = set()
        .fd((0x46, 0x30), 1.5)
        .text((0x46, 0x32), "CS", "OUT")
        .fd((0x46, 0x34), 0.5)
        .text((0x46, 0x36), "CS", "DOWN");
    let near = set().fd((0x46, 0x104), 2.0).fd((0x46, 0x106), 40.0);
    let intermediate = set().fd((0x46, 0x104), 1.25);
    let right = eye(EXPLICIT, -2.25, -0.5, 175.0)
        .item((0x46, 0x28), prism)
        .item((0x46, 0x100), near)
        .item((0x46, 0x101), intermediate);
    head(&class, "SRF", "B", EXPLICIT)
        .item((0x46, 0x97), right)
        .item((0x46, 0x98), set().fd((0x46, 0x146), -2.0))
        .fd((0x46, 0x60), 63.0)
        .fd((0x46, 0x62), 60.0)
        .file(&class, "2.25.7")
}

fn va() -> Vec<u8> {
    let class = uid("78.5");
    let set = || Set::new(EXPLICIT);
    let letters = [2_i16.to_le_bytes(), 0_i16.to_le_bytes()].concat();
    head(&class, "VA", "B", EXPLICIT)
        .code((0x46, 0x121), ("SCT", "419775003", "Best corrected visual acuity"))
        .text((0x46, 0x125), "CS", "DISTANCE")
        .text((0x46, 0x92), "CS", "WHITE")
        .text((0x46, 0x94), "CS", "LETTERS")
        .text((0x46, 0x95), "CS", "MULTIPLE")
        .item((0x46, 0x122), set().fd((0x46, 0x137), 1.0).raw((0x46, 0x135), "SS", &letters))
        .item((0x46, 0x123), set().fd((0x46, 0x137), 0.8))
        .item((0x46, 0x124), set().fd((0x46, 0x137), 1.25))
        .file(&class, "2.25.7")
}

fn oam() -> Vec<u8> {
    let class = uid("78.7");
    let set = || Set::new(EXPLICIT);
    let length = |mm: f32| set().fl((0x22, 0x1019), mm);
    let eye = |mm: f32| {
        set()
            .code((0x22, 0x1024), ("SCT", "259292005", "Phakic"))
            .items(
                (0x22, 0x1050),
                vec![
                    set().item((0x22, 0x1210), length(mm)),
                    set().item((0x22, 0x1210), length(mm + 0.01)),
                ],
            )
            .item((0x22, 0x1127), set().fl((0x22, 0x1130), 4.41))
            .item((0x22, 0x1128), set().fl((0x22, 0x1131), 3.12))
            .item((0x22, 0x1255), set().item((0x22, 0x1260), length(mm)))
    };
    head(&class, "OAM", "B", EXPLICIT)
        .text((0x22, 0x1009), "CS", "OPTICAL")
        .item((0x22, 0x1007), eye(24.13))
        .item((0x22, 0x1008), eye(23.88))
        .file(&class, "2.25.7")
}

fn iol() -> Vec<u8> {
    let class = uid("78.8");
    let set = || Set::new(EXPLICIT);
    let power = |power: f32, error: f32| set().fl((0x22, 0x1053), power).fl((0x22, 0x1054), error);
    let item = set()
        .code((0x22, 0x1028), ("DCM", "111760", "Haigis"))
        .fl((0x22, 0x1037), -0.25)
        .items((0x22, 0x1090), vec![power(21.5, -0.11), power(22.0, -0.47)])
        .text((0x22, 0x1093), "LO", "SYNTHETIC")
        .text((0x22, 0x1095), "LO", "Lens 1");
    head(&class, "IOL", "L", EXPLICIT).item((0x22, 0x1310), item).file(&class, "2.25.7")
}

fn opv() -> Vec<u8> {
    let class = uid("80.1");
    let set = || Set::new(EXPLICIT);
    let point = |x: f32, y: f32, decibel: f32, seen: &str| {
        set()
            .fl((0x24, 0x90), x)
            .fl((0x24, 0x91), y)
            .text((0x24, 0x93), "CS", seen)
            .fl((0x24, 0x94), decibel)
    };
    let index = set()
        .code((0x40, 0xA043), ("DCM", "111852", "Visual Field Index"))
        .text((0x40, 0xA30A), "DS", "97")
        .code((0x40, 0x8EA), ("UCUM", "%", "Percent"));
    head(&class, "OPV", "R", EXPLICIT)
        .item((0x24, 0x32), set().us((0x24, 0x35), 15).us((0x24, 0x36), 2))
        .item((0x24, 0x34), set().fl((0x24, 0x46), 3.0).fl((0x24, 0x54), 1.0))
        .item((0x24, 0x64), set().fl((0x24, 0x66), -1.24).fl((0x24, 0x68), 1.87))
        .fl((0x24, 0x88), 312.0)
        .items(
            (0x24, 0x89),
            vec![point(-9.0, 3.0, 31.0, "SEEN"), point(15.0, -3.0, 0.0, "NOT SEEN")],
        )
        .item((0x24, 0x320), set().item((0x24, 0x325), index))
        .file(&class, "2.25.7")
}

fn report(class: &str) -> Vec<u8> {
    let set = || Set::new(EXPLICIT);
    let number = |(value, meaning): (&str, &str), sent: &str, unit: (&str, &str)| {
        let measured =
            set().text((0x40, 0xA30A), "DS", sent).code((0x40, 0x8EA), ("UCUM", unit.0, unit.1));
        set()
            .text((0x40, 0xA010), "CS", "CONTAINS")
            .text((0x40, 0xA040), "CS", "NUM")
            .code((0x40, 0xA043), ("LN", value, meaning))
            .item((0x40, 0xA300), measured)
    };
    let eye = |side: (&str, &str), centre: &str, volume: &str| {
        let laterality = set()
            .text((0x40, 0xA010), "CS", "HAS CONCEPT MOD")
            .text((0x40, 0xA040), "CS", "CODE")
            .code((0x40, 0xA043), ("SCT", "272741003", "Laterality"))
            .code((0x40, 0xA168), ("SCT", side.0, side.1));
        let grid = "Macular grid.center subfield thickness by OCT";
        let centre = number(("57109-1", grid), centre, ("um", "um"));
        let grid = "Macular grid.total volume by OCT";
        let volume = number(("57118-2", grid), volume, ("uL", "uL"));
        set()
            .text((0x40, 0xA010), "CS", "CONTAINS")
            .text((0x40, 0xA040), "CS", "CONTAINER")
            .text((0x40, 0xA050), "CS", "SEPARATE")
            .code((0x40, 0xA043), ("DCM", "111701", "Macular measurements"))
            .items((0x40, 0xA730), vec![laterality, centre, volume])
    };
    head(class, "SR", "", EXPLICIT)
        .text((0x40, 0xA040), "CS", "CONTAINER")
        .code((0x40, 0xA043), ("DCM", "111690", "Macular Grid Thickness and Volume Report"))
        .items(
            (0x40, 0xA730),
            vec![eye(("24028007", "Right"), "262", "8.61"), eye(("7771000", "Left"), "259", "8.5")],
        )
        .file(class, "2.25.7")
}
