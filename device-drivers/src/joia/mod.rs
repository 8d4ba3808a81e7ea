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
//! | `nsSBJ:Measure` | not read: kept as text on the reading |
//!
//! Traps: with no id entered `Patient/ID` holds the running number, so an id that equals `No.` is
//! none. An empty element was not measured, which is not zero. `Near` equals `Distance` where no
//! near distance was measured. Topcon puts elements without namespace beside namespaced ones of the
//! same name. PCs with a comma locale write decimal commas. `*` marks a pressure that the
//! instrument left out of its average. Shot numbers have gaps.
//!
//! Seven published documents (KR-1, CL-300, SOLOS, CT-800A, three of a TRK-2P) were read value by
//! value.
//!
//! Unknown: which sign of a prism is base in or base up; the scale of `ConfidenceIndex`.

mod common;
mod cursor;
mod document;
mod km;
mod lm;
mod ref_;
pub mod sim;
mod tm;
mod values;

use crate::{
    DecodeError, Decoder, DriverOptions, DriverSpec, ErrorCode, Event, Evidence, Sniff, Transport,
    xml::{Piece, Splitter},
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Longest document. The largest known, a subjective refraction with all tests, is below 200 KiB.
pub const DOCUMENT_LEN_MAX: usize = 4 << 20;
/// Silence in the middle of a document after which its rest no longer comes.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// How far into a document its root and namespaces may stand.
const SNIFF_LEN_MAX: usize = 16 * 1024;

pub static SPEC: DriverSpec = DriverSpec {
    id: "joia_xml",
    version: "2",
    vendor: "Topcon",
    models: &[
        "KR-1", "KR-800", "KR-800S", "RM-800", "TRK-1P", "TRK-2P", "CT-1P", "CT-800", "CT-800A",
        "CL-300", "SOLOS",
    ],
    yields: &[
        "refraction",
        "keratometry",
        "lensometry",
        "tonometry",
        "pachymetry",
        "pupillary_distance",
    ],
    transport: Transport::Folder { extension: "xml" },
    evidence: Evidence::Manual,
    settings: "Network output to a shared folder (SMB), file format XML (JOIA). The instrument \
               writes one file per print and deletes none.",
    limits: "Subjective refraction (SBJ) is kept as text, not read. The direction of a lens's \
             prism is not documented and stays unverified. No average of pachymetry: the \
             instrument sends none. IOL and cataract modes, steps of axis and prism, Abbe number \
             and wavelength are not taken over.",
    sniff,
    new: |options| Box::new(JoiaXml::new(options)),
};

/// Cuts the input into documents and reads each.
struct JoiaXml {
    splitter: Splitter,
    events: VecDeque<Event>,
    deadline: Option<Instant>,
    options: DriverOptions,
}

impl JoiaXml {
    fn new(options: &DriverOptions) -> Self {
        Self {
            splitter: Splitter::new(DOCUMENT_LEN_MAX),
            events: VecDeque::new(),
            deadline: None,
            options: options.clone(),
        }
    }

    fn take(&mut self, pieces: Vec<Piece>) {
        self.events.extend(pieces.into_iter().map(|piece| event(piece, &self.options)));
    }
}

impl Decoder for JoiaXml {
    fn handle_input(&mut self, now: Instant, bytes: &[u8]) {
        let pieces = self.splitter.push(bytes);
        self.take(pieces);
        self.deadline = self.splitter.is_inside().then(|| now + SILENCE_MAX);
    }
    fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.handle_end(now);
        }
    }
    fn handle_end(&mut self, _now: Instant) {
        let pieces = self.splitter.end();
        self.take(pieces);
        self.deadline = None;
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }
    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

fn event(piece: Piece, options: &DriverOptions) -> Event {
    let rejected = |code, raw: Vec<u8>, message: &str| {
        let offset = if code == ErrorCode::Noise { 0 } else { raw.len() };
        Event::Rejected { error: DecodeError::new(code, offset, message), raw }
    };
    match piece {
        Piece::Document(raw) => match document::decode(&raw, options) {
            Ok(decoded) => Event::Decoded { decoded: Box::new(decoded), raw },
            Err(error) => Event::Rejected { error, raw },
        },
        Piece::Noise(raw) => rejected(ErrorCode::Noise, raw, "not the beginning of a document"),
        Piece::Blank(raw) => Event::Control { what: "white space", raw },
        Piece::Incomplete(raw) => {
            rejected(ErrorCode::Incomplete, raw, "the root element is not closed")
        }
        Piece::TooLong(raw) => rejected(ErrorCode::TooLong, raw, "longer than any such document"),
        Piece::Overflow(raw) => Event::Overflow { raw },
    }
}

fn sniff(bytes: &[u8]) -> Sniff {
    let head = &bytes[..bytes.len().min(SNIFF_LEN_MAX)];
    let text: String = head.iter().filter(|byte| **byte != 0).map(|b| char::from(*b)).collect();
    if !text.contains("<Ophthalmology") {
        Sniff::No
    } else if text.contains("/namespaces/Common") {
        Sniff::Yes
    } else if text.contains("TOPCON") {
        Sniff::Perhaps
    } else {
        Sniff::No
    }
}

#[cfg(test)]
mod tests;

golden_tests!(SPEC);
