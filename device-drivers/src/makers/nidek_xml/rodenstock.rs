//! Rodenstock AL 6600, the twin of a Tomey lensmeter: a lensmeter's `<Ophthalmology>` document of
//! the form that NIDEK's have ([`super::lm`] tells its layout and traps), under Rodenstock's name.
//!
//! Source: one reader in clinical use that reads these files with the code of NIDEK's. Proved
//! against constructed documents only; no file is public, so elements of its own are not known.
//! What is not known in a file is kept as text.
//!
//! ```text
//! <Common><Company>RODENSTOCK</Company><ModelName>AL 6600</ModelName> … <Measure Type="LM"><LM> …
//! ```

use super::{lens, lm};
use crate::{
    DriverSpec, Ending, Evidence, Setup, Transport,
    format::xml::{XmlDecoder, XmlFormat},
};

const COMPANY: &str = "RODENSTOCK";

pub static SPEC: DriverSpec = DriverSpec {
    id: "rodenstock_al_xml",
    version: "1",
    vendor: "Rodenstock",
    models: &["AL 6600"],
    yields: lm::YIELDS,
    transport: Transport::Folder { extension: "xml" },
    evidence: Evidence::SingleSource,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "Network cable; the instrument writes to a shared folder (SMB) of the gateway, or \
                 the maker's software exports there.",
        settings: "Output of XML files, with path, user and password of the share. One file per \
                   measurement.",
        dry_test: "Measure a trial lens on the side R and send it: a file appears and the lane \
                   shows the values of the display.",
    },
    limits: "Not tried on an instrument; one reader takes these files for NIDEK's. Only files that \
             name Rodenstock as the maker and are not in JOIA's namespaces are read.",
    sniff: |bytes| lens::sniff(bytes, COMPANY),
    new: |options| XmlDecoder::boxed(&FORMAT, options),
};

static FORMAT: XmlFormat = XmlFormat {
    len_max: lens::DOCUMENT_LEN_MAX,
    read: |raw, options| lens::read(raw, options, COMPANY),
};

golden_tests!(SPEC);
