//! NIDEK RT-6100 and Glasspop: results of a refraction as XML in a shared folder.
//!
//! Proved against: documents constructed from the layout that one reader in clinical use shows with
//! a full example, and notes made from the refractor's manual; the example was read in full. No
//! file of a Glasspop is public.
//!
//! | under `Ophthalmology` (not in JOIA's namespaces) | content |
//! |---|---|
//! | `Common` | `Company` NIDEK, model, `Date` `2026-03-14`, `Time` `10-41-16`, `Patient` |
//! | `Measure[@Type="RT"]/Phoropter/Corrected` | one set: see `corrected` |
//! | `Measure/{KM,TM,PACHY}` | relayed from an ARK or TONOREF: see `relayed` |
//! | `Measure/Test_Time` | seconds |
//! | `Measure/The21pointExams` | rare binocular tests: kept as text |
//!
//! ```text
//! <Corrected CorrectionType="Best" Vision="Distant" Situation="Standard">
//!   <R>
//!     <Sphere unit="D">-1.25</Sphere>
//!     <Cylinder unit="D">-0.50</Cylinder><Axis unit="deg">100</Axis>
//!     <PrismX unit="pri" base="out">0.50</PrismX><PrismY unit="pri" base="up"/>
//! ```
//!
//! Traps: `Measure` has `Type` or `type`. UTF-16 is declared, and real or not. `base` stands at a
//! prism without a value, which is no prism. Polar and rectangular prism are two forms of one,
//! rounded each by itself: the rectangular one counts. Empty powers are an eye that was not tested.
//! Units stand in the attribute, in the text, or in both: `<DiopterStep Unit="D">0.25D`. With no id
//! entered `ID` is empty or repeats the running number. Documents of the same root by lensmeters
//! (`Type="LM"`) and by JOIA instruments (with namespaces) are others'.
//!
//! Unknown: the words of `Vision` and `Situation` beside those read, `Satisfaction`'s words, what
//! fills `Other`, from where polar prism counts for the left eye.

mod common;
mod corrected;
mod document;
mod relayed;
mod values;

use crate::{
    DriverSpec, Ending, Evidence, Setup, Sniff, Transport,
    format::xml::{XmlDecoder, XmlFormat},
};

/// Longest document. The one that is known is below 20 KiB in UTF-16.
pub const DOCUMENT_LEN_MAX: usize = 1 << 20;
/// How far into a document the kind of its measure may stand.
const SNIFF_LEN_MAX: usize = 16 * 1024;

pub static SPEC: DriverSpec = DriverSpec {
    id: "nidek_rt_xml",
    version: "1",
    vendor: "NIDEK",
    models: &["RT-6100", "Glasspop"],
    yields: &[
        "refraction",
        "lensometry",
        "visual_acuity",
        "pupillary_distance",
        "keratometry",
        "tonometry",
        "pachymetry",
        "other_test",
    ],
    transport: Transport::Folder { extension: "xml" },
    evidence: Evidence::Manual,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "Network cable; the refractor writes to a shared folder (SMB) of the gateway.",
        settings: "Output of results to a shared folder as XML, with path and account of the \
                   share. Not the folder from which the refractor imports (DIRECT_RT_…). \
                   Stylesheets (.xsl) beside the results are not read.",
        dry_test: "Dial any power in front of one eye, finish the examination and send it to the \
                   computer: a file RT__… appears, and the lane shows the final prescription.",
    },
    limits: "Read are the sets LM_Base, REF_Base, Full and Best for far and near, by day and by \
             night; other sets and the 21 point examinations are kept as text. Relayed pressure \
             has no method, for none is sent. Vertex and working distance of worn lenses are not \
             taken over. Glasspop: by the family's layout, no file of one was seen.",
    sniff,
    new: |options| XmlDecoder::boxed(&FORMAT, options),
};

static FORMAT: XmlFormat = XmlFormat { len_max: DOCUMENT_LEN_MAX, read: document::decode };

fn sniff(bytes: &[u8]) -> Sniff {
    let head = &bytes[..bytes.len().min(SNIFF_LEN_MAX)];
    let text: String = head.iter().filter(|byte| **byte != 0).map(|b| char::from(*b)).collect();
    let is_of_dialect = text.contains("<Ophthalmology")
        && text.contains("NIDEK")
        && !text.contains("/namespaces/Common");
    let marks = ["Type=\"RT\"", "type=\"RT\"", "Type='RT'", "type='RT'"];
    if is_of_dialect && marks.iter().any(|mark| text.contains(mark)) {
        Sniff::Yes
    } else {
        Sniff::No
    }
}

#[cfg(test)]
mod tests;

golden_tests!(SPEC);
