//! `<Data>`: files of NIDEK autorefractors, keratometers, tonometers and the OPD.
//!
//! Proved against: documents constructed from the layout that public captures of an NT-530P and an
//! AR-360A and the full example of an ARK-1s in a reader in clinical use show; three more public
//! readers agree, and the maker's stylesheet (`RKT_style.xsl` 1.01) names the rest. No recording was
//! used; the published examples of an ARK-1s and of two AR-360A were read in full.
//!
//! | element of an eye (`R`, `L`) | measurement |
//! |---|---|
//! | `AR/ARList`, `ARMedian` | autorefraction; the median is the instrument's own result |
//! | `AR/TrialLens`, `ContactLens` | its conversions, each a refraction of its own kind |
//! | `AR/ARPeriData`, `ARPeriDiff` | kept as text under its name: nobody says where it was measured |
//! | `SR` | subjective refraction, with its own working distance |
//! | `LM` | lens; from a lensmeter, so relayed |
//! | `VA` | acuities as sent: `UCVA` unaided, all others through a correction |
//! | `KM` with `condition` | keratometry, one for each ring |
//! | `CS`, `PS` | size of cornea and pupil (state: the lamp) |
//! | `NT`, `PACHY` | pressure with the maker's correction; thickness |
//! | `AC`, `AC2`, `RI` | accommodation and retro image: kept as they stand |
//!
//! ```text
//! <Data><Company>NIDEK</Company><ModelName>ARK-1s</ModelName> … <VD>12.00 mm</VD> …
//!   <R><AR><ARList No = "1"><Sphere>-1.37</Sphere><Cylinder>-0.50</Cylinder><Axis>8</Axis>
//! ```
//!
//! Traps: UTF-16LE with byte order mark and CR LF on the wire, but eight bits under the same
//! declaration occur. Units stand inside the text, or not at all. `TrialLens`, `ContactLens` and
//! every `ARList` carry a `Sphere`: values are found by their path. `ARMedian` is missing where
//! only failed shots exist; a conversion without any measurement is no value, as on the serial
//! line. Lists of the two eyes differ in length. `ø` of a ring also comes as `Φ`, so rings are
//! kept as sent. An empty element was not measured, which is not zero: a sphere beside an empty
//! cylinder stays text. Where every shot failed, `PACHYAverage` holds `Error` (seen: `ALM`) instead
//! of a value, which is flagged. A shot of pressure or thickness is unsure where it holds
//! `LowConfidenceLevel`, whatever that says.
//!
//! Unknown: how a shot of pressure fails in XML (read as in `ARList`); what `AC` and `RI` mean.

mod cornea;
mod pressure;
mod refraction;

use super::{
    EYES,
    head::{self, Beginning},
    values::{CENTIMETRES, DEGREES, DIOPTRES, MILLIMETRES, Side, number, whole},
};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, Evidence, Setup, Sniff, Transport,
    format::xml::values::cylinder_mode,
    format::xml::{Document, El, Tree, XmlDecoder, XmlFormat},
};
use chiasm_proto::{
    CylinderMode, Decoded, Dioptres, Eye, Hundredths, Measured, Measurement, PupillaryDistance,
    Refraction, RefractionKind,
};

const COMPANY: &str = "NIDEK";
const ROOT: &str = "Data";
/// Longest document. The largest known, with ten shots of everything, is below 100 KiB.
pub const DOCUMENT_LEN_MAX: usize = 2 << 20;
/// Most measurements of one document; an instrument with everything sends about thirty.
const MEASUREMENTS_MAX: usize = 128;

pub static SPEC: DriverSpec = DriverSpec {
    id: "nidek_data_xml",
    version: "1",
    vendor: "NIDEK",
    models: &[
        "AR-360A (LAN)",
        "ARK-1s (LAN)",
        "NT-530P (LAN)",
        "OPD-Scan III (LAN)",
        "TONOREF III (LAN)",
    ],
    yields: &[
        "refraction",
        "keratometry",
        "tonometry",
        "pachymetry",
        "pupillary_distance",
        "visual_acuity",
        "corneal_size",
        "pupil_size",
        "lensometry",
        "other_test",
    ],
    transport: Transport::Folder { extension: "xml" },
    evidence: Evidence::Manual,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "Network cable; the instrument writes to a shared folder (SMB) of the gateway.",
        settings: "LAN output on, output format XML, with path, user and password of the share. \
                   One file per measurement, named ARK_ or NTP_ with the patient's id and the \
                   time. Pictures (JPG) and stylesheets (XSL) beside it may stay: they are not \
                   read.",
        dry_test: "Measure the model eye and press print: a file appears in the folder and the \
                   lane shows the values of the paper strip.",
    },
    limits: "Not tried on an instrument. Accommodation (AC) and retro image (RI) are kept as text, \
             pictures are not read. Corrected pressure in mmHg only; its kPa is the same value. \
             Cataract mode is not taken over. TONOREF III and OPD-Scan III: no file is public, \
             the rings of their keratometry are named by one reader.",
    sniff,
    new: |options| XmlDecoder::boxed(&FORMAT, options),
};

static FORMAT: XmlFormat = XmlFormat { len_max: DOCUMENT_LEN_MAX, read };

fn sniff(bytes: &[u8]) -> Sniff {
    let beginning = Beginning::of(bytes);
    if beginning.root() == ROOT && beginning.is_of(COMPANY) { Sniff::Yes } else { Sniff::No }
}

pub fn read(raw: &[u8], options: &DriverOptions) -> Result<Decoded, DecodeError> {
    let document = Document::parse(raw)?;
    let tree = Tree::new(&document);
    let root = tree.root();
    head::expect_root(&document, root, ROOT)?;
    head::expect_company(root, COMPANY)?;
    if ["R", "L", "PD"].iter().all(|name| root.peek(*name).is_none()) {
        return Err(head::wrong_kind(root, "neither an eye nor a pupillary distance"));
    }
    let mut decoded = head::decode(root, options)?;
    let conditions = Conditions::read(root)?;
    for (eye, token) in EYES {
        for el in root.enter_all(token) {
            let mut side = Side { eye, token, into: &mut decoded.measurements };
            refraction::read(el, &conditions, &mut side)?;
            cornea::read(el, &conditions, &mut side)?;
            pressure::read(el, &mut side)?;
        }
    }
    for block in root.enter_all("PD") {
        distances(block, &conditions, &mut decoded.measurements)?;
    }
    tree.finish(decoded, MEASUREMENTS_MAX)
}

/// What holds for the whole document.
struct Conditions {
    vertex_distance_mm: Option<Hundredths>,
    working_distance_cm: Option<Hundredths>,
    dioptre_step: Option<Dioptres>,
    keratometry_step: Option<Dioptres>,
    axis_step_deg: Option<u16>,
    cylinder_mode: Option<CylinderMode>,
    refractive_index: Option<String>,
}

impl Conditions {
    fn read(root: El) -> Result<Self, DecodeError> {
        root.ignore(["ACCDiopterStep"]);
        let common_step = number(root, "DiopterStep", DIOPTRES)?;
        Ok(Self {
            vertex_distance_mm: number(root, "VD", MILLIMETRES)?,
            working_distance_cm: number(root, "WorkingDistance", CENTIMETRES)?,
            dioptre_step: number(root, "ARDiopterStep", DIOPTRES)?.or(common_step),
            keratometry_step: number(root, "KMDiopterStep", DIOPTRES)?,
            axis_step_deg: whole(root, "AxisStep", DEGREES)?,
            cylinder_mode: cylinder_mode(root, "CylinderMode"),
            refractive_index: root.text_of("RefractiveIndex"),
        })
    }

    /// The steps are those of the measurement. A contact lens stands on the cornea, so the
    /// distances of the measurement are not its own.
    fn refraction(&self, kind: RefractionKind) -> Refraction {
        let is_measured = kind == RefractionKind::Autorefraction;
        let is_at_cornea = kind == RefractionKind::ContactLensEquivalent;
        Refraction {
            vertex_distance_mm: self.vertex_distance_mm.filter(|_| !is_at_cornea),
            working_distance_cm: self.working_distance_cm.filter(|_| !is_at_cornea),
            dioptre_step: self.dioptre_step.filter(|_| is_measured),
            axis_step_deg: self.axis_step_deg.filter(|_| is_measured),
            cylinder_mode: self.cylinder_mode,
            ..Refraction::new(kind)
        }
    }
}

/// Every list of distances is a measurement; where there are several, each under its number.
fn distances(
    block: El,
    conditions: &Conditions,
    into: &mut Vec<Measurement>,
) -> Result<(), DecodeError> {
    let lists = block.enter_all("PDList");
    for list in &lists {
        list.count_shot()?;
        let near_mm = number(*list, "NearPD", MILLIMETRES)?;
        let distance = PupillaryDistance {
            far_mm: number(*list, "FarPD", MILLIMETRES)?,
            right_mm: number(*list, "RPD", MILLIMETRES)?,
            left_mm: number(*list, "LPD", MILLIMETRES)?,
            near_mm,
            working_distance_cm: None,
            ..PupillaryDistance::default()
        };
        if distance == PupillaryDistance::default() {
            continue;
        }
        let working_distance_cm = conditions.working_distance_cm.filter(|_| near_mm.is_some());
        let distance = PupillaryDistance { working_distance_cm, ..distance };
        let measured = Measured::PupillaryDistance(distance);
        let measurement = Measurement::without_token(Eye::Both, measured);
        let no = list.node().attribute("No").map(str::trim).filter(|_| lists.len() > 1);
        into.push(match no {
            Some(no) => measurement.in_set(no),
            None => measurement,
        });
    }
    Ok(())
}

golden_tests!(SPEC);
