//! NIDEK TONOREF III: refraction, keratometry, pressure and thickness in one transmission.
//!
//! Source: the layout of a public capture of a TONOREF III, as described, and the tests of a reader
//! of the TONOREF II. Proved against constructed transmissions; a published one of a TONOREF III
//! was read in full, without its checksum. The blocks are those of [`super::ark`] and
//! [`super::nt`], in the order `DRM`, `DKM`, `Dkm`, `DNT`, `DPM`, under one EOT; a block or an eye
//! that was not measured is absent.
//!
//! | block       | holds                                                                    |
//! |-------------|--------------------------------------------------------------------------|
//! | `DRM`       | refraction with trial lens (`TR`, `TL`), PD                              |
//! | `DKM` `Dkm` | keratometry with two rings of different diameter: two sets, not averaged |
//! | `DNT` `DPM` | pressure, thickness; without `ID`                                        |
//!
//! The same codes come from an ARK, so the model's name decides whose they are: this driver reads
//! only transmissions that name a TONOREF, or that name none on a link configured as one.
//!
//! Unknown: the records `ER`, `EL` (an error of one eye by that reader; kept as text); which `SD` a
//! TONOREF expects in NIDEK mode (that of an ARK is sent).

use super::{
    ark,
    link::{self, EVEN_FIRST, Family, NidekDecoder},
};
use crate::{DriverSpec, Ending, Evidence, Setup, Transport};

pub static SPEC: DriverSpec = DriverSpec {
    id: "nidek_tonoref",
    version: "3",
    vendor: "NIDEK",
    models: &["TONOREF II", "TONOREF III"],
    yields: &[
        "refraction",
        "keratometry",
        "tonometry",
        "pachymetry",
        "pupillary_distance",
        "corneal_size",
        "pupil_size",
    ],
    transport: Transport::Serial(EVEN_FIRST),
    evidence: Evidence::SingleSource,
    ending: Ending::Marked,
    setup: Setup {
        wiring: super::WIRING,
        settings: "I/F mode NCP10 (best: sends at once, with a checksum) or NIDEK; PC port on; \
                   9600 baud 8 E 1; CR code on or off.",
        dry_test: "Print a measurement of the model eye: the lane shows the values of the paper \
                   strip.",
    },
    limits: "Not tried on an instrument. Several pressures in one line: the spacing is known from \
             one source. TONOREF II: from one reader, without a capture.",
    sniff: |bytes| link::sniff(&FAMILY, bytes),
    new: |options| NidekDecoder::boxed(&FAMILY, options),
};

static FAMILY: Family = Family {
    blocks: &["DRM", "Drm", "DWF", "Dwf", "DKM", "Dkm", "DNT", "DPM"],
    has_model: |model| model.is_some_and(is_tonoref),
    send_data: ark::send_data,
    read: ark::read,
};

/// Whether an instrument calls itself a TONOREF: `TONOREF3`, `TONOREF III`.
pub(super) fn is_tonoref(model: &str) -> bool {
    model.to_ascii_uppercase().starts_with("TONOREF")
}

golden_tests!(SPEC);
