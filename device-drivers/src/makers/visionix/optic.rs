//! `<optic>` XML, as VX and L80 instruments, the VX40 lensmeter and Eye Refract export it.
//!
//! Proved against: documents constructed from the layout that public captures of a VX40, the
//! maker's empty template and two independent public readers show. No recording of a VX120, VX130
//! or Eye Refract was seen.
//!
//! | below `optic/optometry`                | measurement                                         |
//! |----------------------------------------|-----------------------------------------------------|
//! | `company` or `compagny`, `model_name`… | maker, model, machine number, version, clock        |
//! | `patient/ID`                           | claimed patient                                     |
//! | `objective_mesurement/measure_WF`      | refraction by day, by night, near; pupil; half PDs  |
//! | `…/measure_TOPO`                       | keratometry (`sim_k`), `kpi`                        |
//! | `…/ACA`                                | corneal size; angle, depth, pachymetry as text      |
//! | `…/TONO`                               | non-contact tonometry, corrected by shot (`PIOc`)   |
//! | `…/ACCO`, `…/pupillo`                  | text                                                |
//! | `subjective_mesurement/measure_REF`    | subjective refraction, far and near; half PDs       |
//! | `subjective_mesurement/measure_VA`     | acuities with `REF`, `LM`, `AR` before the eye      |
//! | `LSM_mesurement`                       | lens per eye, half PDs; `ID` is the job's number    |
//!
//! ```text
//! <optic><optometry><compagny>Visionix Ltd</compagny><model_name>VX40</model_name>
//! <date>03/Feb/2026</date><time>08:15:30</time><LSM_mesurement><ID>00031</ID><measure_REF>
//! <ref_right><half_far_pupil_distance>+31.5</half_far_pupil_distance><sphere>-3.25</sphere>
//! <cylinder>-1.00</cylinder><axis>    12</axis><addition>    </addition></ref_right>…
//! ```
//!
//! Traps: every spelling is the maker's (`mesurement`, two words for the half distance, `mesure1`
//! where others have `measure1`). The whole
//! tree is written always, so only a number says that something was measured, and a text of blanks
//! is none. Numbers are padded with blanks and carry signs, distances too. Units stand in
//! attributes, often missing, sometimes wrong (`diopter_step unit="deg"`): they are not checked,
//! only shown beside results that are kept as text. Dates are day first, the month as a number or
//! as an English word. The lensmeter's `ID` is a job number. A worklist entry is the same tree with
//! nothing but a patient: it is refused. Lens values in a document of an instrument that measures
//! no lenses were passed on by it.
//!
//! What is not documented is text of its eye, not an unknown record, where the element's name alone
//! tells the eye.
//!
//! Unknown: signs and base of `prism`, the unit of the pachymetry, what the two parts of
//! `white_to_white` are, the tonometry of a VX650; all are kept as text.

mod document;
mod head;
mod lens;
mod objective;
mod refraction;
mod topography;
mod values;

use crate::{
    DriverSpec, Ending, Evidence, Setup, Sniff, Transport,
    format::xml::{XmlDecoder, XmlFormat},
};

/// Longest document; one with all wavefront coefficients is below 200 KiB.
const DOCUMENT_LEN_MAX: usize = 2 << 20;
/// How far into a document its first two elements may stand.
const SNIFF_LEN_MAX: usize = 4 * 1024;

pub static SPEC: DriverSpec = DriverSpec {
    id: "visionix_optic",
    version: "1",
    vendor: "Visionix",
    models: &["VX36", "VX40", "VX100", "VX120", "VX130", "L80", "Eye Refract"],
    yields: &[
        "refraction",
        "pupil_size",
        "pupillary_distance",
        "keratometry",
        "tonometry",
        "corneal_size",
        "lensometry",
        "visual_acuity",
        "other_test",
    ],
    transport: Transport::Folder { extension: "xml" },
    evidence: Evidence::Manual,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "Network cable; the instrument, or the Eye Refract's computer, writes to a shared \
                 folder (SMB) of the gateway. From the maker's own folders (Shared_Ref_data) copy \
                 files, never move them.",
        settings: "Export as XML (optic), path and account of the share. Eye Refract: the folder \
                   Rx of Shared_Ref_data holds results; Export writes them and locks the exam.",
        dry_test: "Measure the model eye, or a trial lens on the VX40, and export: the file is \
                   read within seconds and the lane shows its values.",
    },
    limits: "Prism of any kind is kept as text: its signs and base are not documented. Contact \
             lens part, pachymetry points, angles, accommodation, pupillometry and the keratoconus \
             numbers are kept as text. Zernike coefficients, meridian zones, geometry, eccentricity, \
             magnification, opening, cataract and IOL modes are not taken over. The VX650's \
             tonometry is not known. Not tried on an instrument.",
    sniff,
    new: |options| XmlDecoder::boxed(&FORMAT, options),
};

static FORMAT: XmlFormat = XmlFormat { len_max: DOCUMENT_LEN_MAX, read: document::decode };

fn sniff(bytes: &[u8]) -> Sniff {
    let head = &bytes[..bytes.len().min(SNIFF_LEN_MAX)];
    let text: String = head.iter().filter(|byte| **byte != 0).map(|b| char::from(*b)).collect();
    let has = |name: &str| {
        [format!("<{name}>"), format!("<{name} "), format!(":{name}>"), format!(":{name} ")]
            .iter()
            .any(|tag| text.contains(tag))
    };
    if has("optic") && has("optometry") { Sniff::Yes } else { Sniff::No }
}

#[cfg(test)]
mod tests;

golden_tests!(SPEC);
