//! NIDEK autorefractors and auto ref/keratometers: AR, ARK, HandyRef-K.
//!
//! Source: the layout that NIDEK's RT and ARK interface manuals describe and two independent
//! readers agree on. Proved against constructed transmissions; two published ones of an ARK-1a were
//! read in full, checksums included. Not tried on an instrument.
//!
//! | block         | holds                          | read by                       |
//! |---------------|--------------------------------|-------------------------------|
//! | `Drm`         | night refraction, night − day  | `refraction.rs`               |
//! | `DRM`         | day refraction, PD             | `refraction.rs`               |
//! | `Dwf` `DWF`   | the same from the wavefront    | `refraction.rs`, as own sets  |
//! | `DKM` (`Dkm`) | keratometry, cornea, pupil     | `keratometry.rs`; has no `ID` |
//!
//! ```text
//! OL-02.25-01.00178      left, median: -2.25 -1.00 x 178
//! OL-02.25-01.001788     one shot of it, confidence 8 of 9 (and a blank that some logs trim)
//!  L07.7207.5517807.64   left cornea 7.72 / 7.55 mm, R1 at 178, mean 7.64
//! ```
//!
//! Traps: `Drm` comes first, so the first `OL` in the bytes is the night value; an eye that was not
//! measured may still have `CL` with zeros; the number of shots, the keratometry's short form and
//! every line but `OR`/`OL` are settings of the instrument.
//!
//! Unknown: peripheral keratometry, what the letter after a pupil's diameter means (kept as sent),
//! what an instrument asks in NIDEK mode beyond request-to-send. Wavefront blocks are described
//! with the lines of a refraction; whatever else they hold is kept as unknown records.

use super::{
    block::Block,
    keratometry,
    link::{self, Draft, EVEN_FIRST, Family, NidekDecoder},
    refraction,
};
use crate::{DecodeError, DriverSpec, Ending, Evidence, Setup, Transport};

pub static SPEC: DriverSpec = DriverSpec {
    id: "nidek_ark",
    version: "3",
    vendor: "NIDEK",
    models: &[
        "AR-1",
        "AR-1a",
        "AR-1s",
        "AR-20",
        "AR-310A",
        "AR-360A",
        "ARK-1",
        "ARK-1a",
        "ARK-1s",
        "ARK-30",
        "ARK-500A",
        "ARK-510A",
        "ARK-530A",
        "ARK-700A",
        "ARK-710A",
        "ARK-730A",
        "ARK-760A",
        "HandyRef-K",
    ],
    yields: &["refraction", "keratometry", "pupillary_distance", "corneal_size", "pupil_size"],
    transport: Transport::Serial(EVEN_FIRST),
    evidence: Evidence::Manual,
    ending: Ending::Marked,
    setup: Setup {
        wiring: super::WIRING,
        settings: "I/F mode NCP10 (best: sends at once, with a checksum) or NIDEK; PC port on; \
                   9600 baud; CR code on or off; printing on, for a printer error stops the \
                   output.",
        dry_test: "Print a measurement of the model eye: the lane shows the values of the paper \
                   strip.",
    },
    limits: "Not tried on an instrument. Of a wavefront the refraction is read, the rest and \
             peripheral keratometry are kept as text. ARK-500A to 760A: line settings are not \
             published.",
    sniff: |bytes| link::sniff(&FAMILY, bytes),
    new: |options| NidekDecoder::boxed(&FAMILY, options),
};

static FAMILY: Family = Family {
    blocks: &["DRM", "Drm", "DWF", "Dwf", "DKM", "Dkm"],
    has_model: |model| !model.is_some_and(super::tonoref::is_tonoref),
    send_data,
    read,
};

/// `SD` to an autorefractor with keratometer, or without. The closing CR is needed.
pub(super) fn send_data(model: Option<&str>) -> &'static [u8] {
    if model.is_some_and(|model| model.starts_with("AR-")) {
        b"\x01CRM\x02SD\x17\x04\r"
    } else {
        b"\x01CRK\x02SD\x17\x04\r"
    }
}

pub(super) fn read(blocks: &[Block], draft: &mut Draft) -> Result<(), DecodeError> {
    let rings = blocks.iter().filter(|block| block.code.eq_ignore_ascii_case("DKM")).count();
    for block in blocks {
        match block.code {
            "DRM" | "Drm" | "DWF" | "Dwf" => refraction::read(block, draft)?,
            "DKM" | "Dkm" => keratometry::read(block, rings > 1, draft)?,
            _ => super::nt::read_block(block, draft)?,
        }
    }
    Ok(())
}

golden_tests!(SPEC);
