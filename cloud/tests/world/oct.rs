//! The smallest OCT volume that says everything that filing looks at.

use super::dicom::Set;
use uuid::Uuid;

/// The Study Instance UID that the cloud issues for a visit.
pub fn study_of(encounter: &str) -> String {
    let id: Uuid = encounter.parse().unwrap();
    format!("2.25.{}", id.as_u128())
}

/// A small OCT volume of the right eye.
pub fn oct(study: &str, series: &str, sop: &str) -> Set {
    let pixels: Vec<u8> = (0..4 * 8 * 16_u16).map(|at| (at % 251) as u8).collect();
    Set::default()
        .text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.77.1.5.4")
        .text(0x0008_0018, "UI", sop)
        .text(0x0008_002A, "DT", "20261130100500")
        .text(0x0008_0060, "CS", "OPT")
        .text(0x0008_0070, "LO", "Testmaker")
        .text(0x0008_1090, "LO", "OCT-1")
        .text(0x0008_103E, "LO", "Macular cube")
        .text(0x0010_0010, "PN", "Somebody^Else")
        .text(0x0020_000D, "UI", study)
        .text(0x0020_000E, "UI", series)
        .text(0x0020_0062, "CS", "R")
        .us(0x0028_0002, &[1])
        .text(0x0028_0004, "CS", "MONOCHROME2")
        .text(0x0028_0008, "IS", "4")
        .us(0x0028_0010, &[8])
        .us(0x0028_0011, &[16])
        .us(0x0028_0100, &[8])
        .us(0x0028_0101, &[8])
        .us(0x0028_0102, &[7])
        .us(0x0028_0103, &[0])
        .pixels(8, &pixels)
}
