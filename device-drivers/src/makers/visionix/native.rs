//! Text files of the instruments' own folders (`ClientDB/<name>/<date>/{WF,Topo,ARK}/…_Meas_<n>`).
//!
//! Proved against: files constructed from the layout that two public parsers of these folders
//! read. No recording of an instrument was seen.
//!
//! INI syntax: `[SECTION]`, then `key=value` lines. VX100 and VX120 write UTF-16, the L80 ASCII.
//!
//! | file | section and keys                                | measurement                     |
//! |------|-------------------------------------------------|---------------------------------|
//! | all  | `[PATIENT]` `CurrentDate` `CurrentTime`, names  | clock; the person is never read |
//! | WF   | `[SPHERE]` `[CYLINDER]` `[AXIS]`: `r_3 r_5 r_7` | refraction of 3, 5 and 7 mm     |
//! | Topo | `[Sim_K]`, `[TOPO] pd`, `[KERATOCONUS] kpi`     | text; pupillary distance; text  |
//! | ARK  | `[AR] sphere_3 cylinder_3 axis_3`, `…_5`, `…_7` | refraction of 3, 5 and 7 mm     |
//! | ARK  | `[KR]`; `[GENERAL]` or `[TOPO] pd`              | text; pupillary distance, whole |
//!
//! ```text
//! [AR]
//! sphere_3=1.500000
//! cylinder_3=-0.250000
//! axis_3=0.174533
//! [GENERAL]
//! pd=61.500000
//! ```
//!
//! Traps: **the eye stands in the file's name and in nothing else.** A decoder sees the content
//! only, so every value of an eye is without a side and a person has to give it. Axes are radians:
//! one within a hundredth of a degree of a whole number is kept as that and flagged with the text
//! as sent; any other leaves the whole value as text. So does a power with more than two decimals
//! that are not zero. A text with `#QNAN0` and the like is missing. Here the pupillary distance
//! is the whole
//! one, in `<optic>` documents it is half. Files of other folders (Tono, Retro, Pachy) are refused.
//!
//! Unknown: units of the keratometry's numbers and of its axes, so they stay text.

mod ini;
mod sections;

use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, Setup, Sniff, Transport,
    flags,
    format::file::{FileDecoder, FileFormat, Part},
};
use chiasm_proto::{Decoded, Instrument, Integrity};
use ini::Ini;

/// Longest file; those with maps of the cornea have some hundred KiB.
const FILE_LEN_MAX: usize = 2 << 20;
/// How far into a file its first section may stand.
const SNIFF_LEN_MAX: usize = 4 * 1024;

pub static SPEC: DriverSpec = DriverSpec {
    id: "visionix_native",
    version: "1",
    vendor: "Visionix",
    models: &["VX100 (native)", "VX120 (native)", "VX130 (native)", "L80 (native)"],
    yields: &["refraction", "pupillary_distance", "other_test"],
    transport: Transport::Folder { extension: "txt" },
    evidence: Evidence::SingleSource,
    ending: Ending::Silence,
    setup: Setup {
        wiring: "Network cable; a task on the instrument's computer copies new files of ClientDB \
                 (folders WF, Topo, ARK) to a shared folder of the gateway. Copy, never move.",
        settings: "Nothing to set on the instrument. Prefer the XML export (optic) where it can \
                   be had: it names the eye and the patient, these files do not. Say the order of \
                   day and month (date_order) if the clock is wanted.",
        dry_test: "Measure the model eye and copy its ARK file: the lane shows its values without \
                   a side.",
    },
    limits: "The eye is in the file's name only: values come without a side. No patient id. \
             Keratometry is kept as text, for its units are not documented; so are axes that are \
             no whole degrees and powers with more than two decimals. Tono, Retro and Pachy files \
             are not known. Not tried on an instrument.",
    sniff,
    new: |options| FileDecoder::boxed(&FORMAT, options),
};

static FORMAT: FileFormat = FileFormat { len_max: FILE_LEN_MAX, read };

fn sniff(bytes: &[u8]) -> Sniff {
    let head = &bytes[..bytes.len().min(SNIFF_LEN_MAX)];
    let text: String = head.iter().filter(|byte| **byte != 0).map(|b| char::from(*b)).collect();
    let has = |mark: &str| text.contains(mark);
    let is_patient = has("[PATIENT]") && (has("CurrentDate=") || has("Surname="));
    match is_patient {
        true if sections::KNOWN.iter().any(|name| has(&format!("[{name}]"))) => Sniff::Yes,
        true => Sniff::Perhaps,
        false => Sniff::No,
    }
}

/// A file is one reading of one eye.
fn read(raw: &[u8], options: &DriverOptions) -> Result<Vec<Part>, DecodeError> {
    let source = ini::Source::decode(raw)?;
    let ini = Ini::read(&source).map_err(|error| source.placed(error))?;
    let wrong = |message: &str| Err(DecodeError::new(ErrorCode::WrongKind, 0, message));
    if !ini.has(sections::PATIENT) {
        return wrong("no section [PATIENT]");
    }
    if !sections::KNOWN.iter().any(|name| ini.has(name)) {
        return wrong("no section of a wavefront, a topography or an autorefraction");
    }
    let instrument = Instrument {
        vendor: "Visionix".into(),
        model: options.model.clone().unwrap_or_default(),
        serial: None,
        software: None,
    };
    let mut decoded = Decoded::new(instrument, Integrity::None);
    sections::read(&ini, options, &mut decoded).map_err(|error| source.placed(error))?;
    if decoded.measurements.is_empty() && decoded.unknown_records.is_empty() {
        return wrong("nothing was measured");
    }
    for record in &mut decoded.unknown_records {
        record.offset = source.offset_of(record.offset);
    }
    flags::complete(&mut decoded);
    Ok(vec![Part::Reading { decoded: Box::new(decoded), context: vec![], len: raw.len() }])
}

#[cfg(test)]
mod tests;

golden_tests!(SPEC);
