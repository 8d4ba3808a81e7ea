//! `<Ophthalmology>` of NIDEK lensmeters, written into a shared folder.
//!
//! Proved against: documents constructed from the layout that public captures, the full example of
//! an LM-1800PD in a reader in clinical use, and notes made from the LM-7's manual show. A published
//! file each of an LM-7 and an LM-7P was read in full; neither is kept here.
//!
//! | element under `Measure` of `type` LM | reading |
//! |---|---|
//! | `MeasureMode`, `CylinderMode`, `DiopterStep` | type of lens, as on every lens |
//! | `LM/S` (may repeat), `R`, `L` | a lens: single without a side, right, left |
//! | … `PrismX`, `PrismY` with `base` | prism by components, the form that is preferred |
//! | … `Prism`, `PrismBase` | amount and degrees as sent, where there are no components |
//! | … `SE`, `ConfidenceIndex` | kept as text |
//! | `PD` | far and near distance and their halves |
//! | `NIDEK/S`, `R`, `L`, `NetPrism`, `Inside` | kept as text under their names |
//!
//! ```text
//! <R><Sphare unit="D">-2.25</Sphare><Cylinder unit="D">-0.75</Cylinder><Axis unit="deg">12</Axis>
//!   … <PrismX unit="pri" base="out">1.25</PrismX><PrismY unit="pri" base="up"></PrismY></R>
//! ```
//!
//! Traps: the same skeleton as JOIA's, without namespaces; refractors write it too, with another
//! type. `Sphare`, `NearSphare`, `NearSphare2` are misspelt in real files, and `Type` comes in
//! lower case. A `base` stands on an empty prism too. A base that cannot belong to its component
//! (`out` on a vertical one is published) makes that one value unknown and leaves the rest. An
//! empty element is no value. Degrees of a base are 0 for in on the right and out on the left
//! lens, 90 for up: computed from one example, so they stay degrees here.
//!
//! Unknown: whose scale `ConfidenceIndex` is; what `Inside` means exactly; whether lenses named `I`
//! and `S` have a side (one reader of an LM-1800P says right and left; here they have none).

use super::lens;
use crate::{
    DriverSpec, Ending, Evidence, Setup, Transport,
    format::xml::{XmlDecoder, XmlFormat},
};

const COMPANY: &str = "NIDEK";
pub const YIELDS: &[&str] = &["lensometry", "pupillary_distance", "other_test"];

pub static SPEC: DriverSpec = DriverSpec {
    id: "nidek_lm_xml",
    version: "1",
    vendor: "NIDEK",
    models: &["LM-7 (LAN)", "LM-7P (LAN)", "LM-1800PD (LAN)"],
    yields: YIELDS,
    transport: Transport::Folder { extension: "xml" },
    evidence: Evidence::Manual,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "Network cable or the maker's wireless unit; the instrument writes to a shared \
                 folder (SMB) of the gateway.",
        settings: "LAN output on, with path, user and password of the share. The LM-7 reports a \
                   network timeout if its file still lies in the folder after a set time: let the \
                   gateway take files away at once.",
        dry_test: "Measure a trial lens on the side R and press print: a file LM_….xml appears \
                   and the lane shows the values of the display.",
    },
    limits: "Not tried on an instrument. A prism in polar form stays amount and degrees. Corridor, \
             transmittance of green light, net prism, inset and confidence are kept as text. The \
             steps of axis and prism are not taken over.",
    sniff: |bytes| lens::sniff(bytes, COMPANY),
    new: |options| XmlDecoder::boxed(&FORMAT, options),
};

static FORMAT: XmlFormat = XmlFormat {
    len_max: lens::DOCUMENT_LEN_MAX,
    read: |raw, options| lens::read(raw, options, COMPANY),
};

golden_tests!(SPEC);
