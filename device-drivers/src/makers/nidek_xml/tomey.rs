//! Tomey TL-6000 and TL-7000: a lensmeter's `<Ophthalmology>` document of the form that NIDEK's
//! have ([`super::lm`] tells its layout and traps), under Tomey's name.
//!
//! Source: one reader in clinical use that reads these files with the code of NIDEK's. Proved
//! against constructed documents only; no file is public, so elements of Tomey's own are not known.
//! What is not known in a file is kept as text.
//!
//! ```text
//! <Common><Company>TOMEY</Company><ModelName>TL-7000</ModelName> … <Measure Type="LM"><LM><R> …
//! ```

use super::{lens, lm};
use crate::{
    DriverSpec, Ending, Evidence, Setup, Transport,
    format::xml::{XmlDecoder, XmlFormat},
};

const COMPANY: &str = "TOMEY";

pub static SPEC: DriverSpec = DriverSpec {
    id: "tomey_tl_xml",
    version: "1",
    vendor: "Tomey",
    models: &["TL-6000", "TL-7000"],
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
             name Tomey as the maker and are not in JOIA's namespaces are read.",
    sniff: |bytes| lens::sniff(bytes, COMPANY),
    new: |options| XmlDecoder::boxed(&FORMAT, options),
};

static FORMAT: XmlFormat = XmlFormat {
    len_max: lens::DOCUMENT_LEN_MAX,
    read: |raw, options| lens::read(raw, options, COMPANY),
};

golden_tests!(SPEC);
