//! JOIA common XML ("Ophthalmology"), as Topcon instruments write it to a shared folder.
//!
//! Proved against: documents constructed from the layout that public captures of eight Topcon
//! models and five public readers show. No schema and no written specification is public.
//!
//! | element | measurement |
//! |---|---|
//! | `nsCommon:Common` | maker, model, firmware, clock, running number, patient id |
//! | `nsREF:Measure` | autorefraction per eye, pupillary distance |
//! | `nsKM:Measure` | keratometry per eye |
//! | `nsLM:Measure` | lens per eye, pupillary distance |
//! | `nsTM:Measure` | tonometry per eye with the maker's corrections; pachymetry (`CCT`) |
//! | `nsSBJ:Measure` | subjective refraction, acuity, what was relayed or worn (`sbj`) |
//!
//! Traps: with no id entered `Patient/ID` holds the running number, so an id that equals `No.` is
//! none. An empty element was not measured, which is not zero. `Near` equals `Distance` where no
//! near distance was measured. Topcon puts elements without namespace beside namespaced ones of the
//! same name. PCs with a comma locale write decimal commas. `*` marks a pressure that the
//! instrument left out of its average. Shot numbers have gaps. What a file of a refractor or of
//! IMAGEnet holds beside the subjective refraction was measured by another instrument and is marked
//! so; a file that keeps the name of the instrument that measured is that instrument's own.
//!
//! Published documents (KR-1, CL-300, SOLOS, CT-800A, CT-1P, CV-5000, three of a TRK-2P) were read
//! value by value; of one of a KR-800S the layout was compared, not each value.
//!
//! The format is common to the makers, so documents of others are read under their `Company` where
//! they use its namespaces. None of theirs is public: Canon's RK-F2 and TX-20P and a refractor with
//! sets for day and night are known from readers only.
//!
//! Unknown: which sign of a lensmeter's prism is base in or base up; the scale of
//! `ConfidenceIndex`; from where a refractor counts the angle of a prism; how the acuities of a
//! KR-800S under glare are laid out; in which unit other makers write a thickness without one.

mod common;
mod document;
mod km;
mod lm;
mod ns;
mod ref_;
mod sbj;
pub mod sim;
mod tm;
mod values;

use crate::{
    DriverSpec, Ending, Evidence, Setup, Sniff, Transport,
    format::xml::{XmlDecoder, XmlFormat},
};

/// Longest document. The largest known, a subjective refraction with all tests, is below 200 KiB.
pub const DOCUMENT_LEN_MAX: usize = 4 << 20;
/// How far into a document its root and namespaces may stand.
const SNIFF_LEN_MAX: usize = 16 * 1024;

pub static SPEC: DriverSpec = DriverSpec {
    id: "joia_xml",
    version: "3",
    vendor: "Topcon",
    models: &[
        "KR-1",
        "KR-800",
        "KR-800S",
        "KR-8800",
        "RM-800",
        "TRK-1P",
        "TRK-2P",
        "CT-1P",
        "CT-800",
        "CT-800A",
        "CL-300",
        "CL-300PDL",
        "SOLOS",
        "CV-5000",
        "CV-5000S",
        "TRK-3",
    ],
    yields: &[
        "refraction",
        "keratometry",
        "lensometry",
        "tonometry",
        "pachymetry",
        "pupillary_distance",
        "visual_acuity",
        "corneal_size",
        "pupil_size",
        "other_test",
    ],
    transport: Transport::Folder { extension: "xml" },
    evidence: Evidence::Manual,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "Network cable; the instrument writes to a shared folder (SMB) of the gateway.",
        settings: "Network output on, file format XML (JOIA), path and account of the share. The \
                   instrument writes one file per print and deletes none. CV-5000: the folder \
                   for results, not the one from which it imports (CVImport.xml).",
        dry_test: "Measure the model eye and press the print or send button: the file is read \
                   within seconds and the lane shows its values.",
    },
    limits: "Subjective refraction is read from the sets Prescription, Full Correction, Unaided \
             Data, Objective Data, Current Spectacles, Last Prescription and Subj Day or Night, \
             Standard or High Precision; other sets and binocular tests are kept as text. \
             Documents of other makers with the common namespaces are read too, not tried on any \
             of their instruments; what stands beside their subjective refraction is marked as \
             measured by another. Sizes of cornea and pupil are known from one reader. The format \
             has no addition and none is computed. The direction of a lensmeter's prism is not \
             documented and stays unverified. No average of pachymetry where the instrument \
             sends none. IOL and cataract modes, steps of axis and prism, Abbe number and \
             wavelength are not taken over.",
    sniff,
    new: |options| XmlDecoder::boxed(&FORMAT, options),
};

static FORMAT: XmlFormat = XmlFormat { len_max: DOCUMENT_LEN_MAX, read: document::decode };

fn sniff(bytes: &[u8]) -> Sniff {
    let head = &bytes[..bytes.len().min(SNIFF_LEN_MAX)];
    let text: String = head.iter().filter(|byte| **byte != 0).map(|b| char::from(*b)).collect();
    if !text.contains("<Ophthalmology") {
        Sniff::No
    } else if text.contains("/namespaces/Common") {
        Sniff::Yes
    } else if text.to_ascii_uppercase().contains("TOPCON") {
        Sniff::Perhaps
    } else {
        Sniff::No
    }
}

#[cfg(test)]
mod tests;

golden_tests!(SPEC);
