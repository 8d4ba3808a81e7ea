//! The decoder of every NIDEK driver: frames in, events out. What a family reads stands in its
//! [`Family`].

use super::block::{self, Block, Message};
use crate::{
    DecodeError, Decoder, DriverOptions, ErrorCode, Event, LineSettings, Parity, Sniff, flags,
    format::{
        fields::Field,
        framing::{Frame, Framed, Framer, OPENING_LEN, SOH, block_code},
    },
};
use chiasm_proto::{Decoded, Instrument, Integrity, UnknownRecord};
use std::{collections::VecDeque, time::Instant};

use super::values::Header;

/// What is particular to one family.
pub struct Family {
    /// Blocks that it reads.
    pub blocks: &'static [&'static str],
    /// Whether an instrument that calls itself so, or does not say, is of this family.
    pub has_model: fn(Option<&str>) -> bool,
    /// The answer to a request to send.
    pub send_data: fn(Option<&str>) -> &'static [u8],
    /// Reads its blocks into the reading.
    pub read: fn(&[Block], &mut Draft) -> Result<(), DecodeError>,
}

/// Blocks that some family reads; any other is kept as unknown records.
const KNOWN_BLOCKS: [&str; 10] =
    ["DRM", "Drm", "DWF", "Dwf", "DKM", "Dkm", "DLM", "Dlm", "DNT", "DPM"];

/// A reading while it is being read.
pub struct Draft {
    pub decoded: Decoded,
    pub header: Header,
}

impl Draft {
    /// Keeps a record that nobody here can read.
    pub fn keep_unknown(&mut self, code: &str, segment: &Field) {
        let text = format!("{code} {}", segment.text);
        self.decoded.unknown_records.push(UnknownRecord { offset: segment.offset, text });
    }
}

/// One serial line of a NIDEK instrument.
pub struct NidekDecoder {
    family: &'static Family,
    options: DriverOptions,
    framer: Framer,
    events: VecDeque<Event>,
    answers: VecDeque<Vec<u8>>,
}

impl NidekDecoder {
    pub fn boxed(family: &'static Family, options: &DriverOptions) -> Box<dyn Decoder> {
        Box::new(Self {
            family,
            options: options.clone(),
            framer: Framer::default(),
            events: VecDeque::new(),
            answers: VecDeque::new(),
        })
    }

    fn collect(&mut self) {
        while let Some(framed) = self.framer.poll() {
            let event = match framed {
                Framed::Frame(frame) => self.frame(frame),
                Framed::Refused { error, raw } => Event::Rejected { error, raw },
                Framed::Overflow { raw } => Event::Overflow { raw },
                Framed::LineEnds { raw } => Event::Control { what: "line end", raw },
            };
            self.events.push_back(event);
        }
    }

    fn frame(&mut self, frame: Frame) -> Event {
        let outcome = block::parse(&frame).and_then(|message| match message {
            Message::Data(blocks) => self.read(&blocks, &frame).map(Ok),
            Message::RequestToSend => {
                if !self.options.listen_only {
                    let model = self.options.model.as_deref();
                    self.answers.push_back((self.family.send_data)(model).to_vec());
                }
                Ok(Err("request to send"))
            }
            Message::Command => Ok(Err("command")),
        });
        let raw = frame.raw;
        match outcome {
            Ok(Ok(decoded)) if is_empty(&decoded) => {
                Event::Control { what: "transmission without values", raw }
            }
            Ok(Ok(decoded)) => Event::decoded(decoded, raw),
            Ok(Err(what)) => Event::Control { what, raw },
            Err(error) => Event::Rejected { error, raw },
        }
    }

    fn read(&self, blocks: &[Block], frame: &Frame) -> Result<Decoded, DecodeError> {
        let integrity = if frame.is_proved { Integrity::Checksum } else { Integrity::None };
        let mut draft = Draft {
            decoded: Decoded::new(Instrument::default(), integrity),
            header: Header::default(),
        };
        self.refuse_other_kinds(blocks, frame)?;
        let mut own = Vec::new();
        for block in blocks {
            let is_own = self.family.blocks.contains(&block.code);
            let rest = draft.header.read(block, is_own)?;
            if is_own {
                own.push(rest);
            } else {
                rest.segments.iter().for_each(|segment| draft.keep_unknown(block.code, segment));
            }
        }
        self.refuse_other_model(&draft, frame)?;
        (self.family.read)(&own, &mut draft)?;
        Ok(self.finish(draft))
    }

    fn refuse_other_kinds(&self, blocks: &[Block], frame: &Frame) -> Result<(), DecodeError> {
        let is_own = |block: &&Block| self.family.blocks.contains(&block.code);
        let is_foreign = |block: &&Block| !is_own(block) && KNOWN_BLOCKS.contains(&block.code);
        let foreign = blocks.iter().find(is_foreign);
        // Errors are logged: what was sent stands in none of them but for a code that is known.
        let wrong = match foreign {
            None if blocks.iter().any(|block| is_own(&block)) => return Ok(()),
            None => "block",
            Some(block) => block.code,
        };
        let known = self.family.blocks.join(", ");
        let message = format!("a block of another instrument; {known} are read");
        Err(DecodeError::new(ErrorCode::WrongKind, frame.start, message).in_field(wrong))
    }

    fn refuse_other_model(&self, draft: &Draft, frame: &Frame) -> Result<(), DecodeError> {
        let sent = draft.header.instrument.as_ref().map(|instrument| instrument.model.as_str());
        let model = sent.or(self.options.model.as_deref());
        if (self.family.has_model)(model) {
            return Ok(());
        }
        let message = match model {
            Some(_) => "the model is of another driver",
            None => "no model is named, and this driver needs one",
        };
        Err(DecodeError::new(ErrorCode::WrongKind, frame.start, message).in_field("ID"))
    }

    fn finish(&self, draft: Draft) -> Decoded {
        let Draft { mut decoded, header } = draft;
        let configured = || Instrument {
            vendor: "NIDEK".into(),
            model: self.options.model.clone().unwrap_or_else(|| "unknown".into()),
            ..Instrument::default()
        };
        decoded.instrument = header.instrument.clone().unwrap_or_else(configured);
        header.apply(&mut decoded);
        decoded.unknown_records.sort_by_key(|record| record.offset);
        flags::complete(&mut decoded);
        decoded
    }
}

/// Nothing measured and nothing that a person should see: eyes that were not measured.
fn is_empty(decoded: &Decoded) -> bool {
    let is_quiet = decoded.flags.iter().all(|flag| !flag.code.needs_a_look());
    decoded.measurements.is_empty() && decoded.unknown_records.is_empty() && is_quiet
}

impl Decoder for NidekDecoder {
    fn handle_input(&mut self, now: Instant, bytes: &[u8]) {
        self.framer.input(now, bytes);
        self.collect();
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.framer.timeout(now);
        self.collect();
    }
    fn handle_end(&mut self, _now: Instant) {
        self.framer.end();
        self.collect();
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.framer.deadline()
    }
    fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.answers.pop_front()
    }
    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

/// How well bytes fit: the first block's code, and the model if the first segment names one. A
/// request to send fits every family. A SOH in front of it that opens nothing is noise.
pub fn sniff(family: &Family, bytes: &[u8]) -> Sniff {
    const REQUEST: &[u8] = b"\x01C**\x02RS";
    let opens = |at: &usize| {
        let rest = &bytes[*at..];
        rest.len() < OPENING_LEN || rest.starts_with(REQUEST) || block_code(rest).is_some()
    };
    let mut openings = (0..bytes.len()).filter(|at| bytes[*at] == SOH).filter(opens);
    let Some(start) = openings.next() else { return Sniff::No };
    let bytes = &bytes[start..];
    if bytes.starts_with(REQUEST) {
        return Sniff::Perhaps;
    }
    let code = bytes.get(1..4).and_then(|code| str::from_utf8(code).ok());
    if !code.is_some_and(|code| family.blocks.contains(&code)) {
        return Sniff::No;
    }
    let mut segments = bytes[OPENING_LEN.min(bytes.len())..].split(|byte| *byte < b' ');
    let first = segments.find(|segment| !segment.is_empty()).unwrap_or_default();
    let first = String::from_utf8_lossy(first);
    let model = first.strip_prefix("ID").and_then(|id| id.split_once('/')).map(|(_, model)| model);
    match (model, (family.has_model)(model)) {
        (Some(_), true) => Sniff::Yes,
        (Some(_), false) => Sniff::No,
        (None, true) => Sniff::Yes,
        (None, false) => Sniff::Perhaps,
    }
}

const fn line(data_bits: u8, parity: Parity) -> LineSettings {
    LineSettings { baud: 9600, data_bits, parity, stop_bits: 1 }
}

/// Sources disagree on the parity; the instrument's own menu decides.
pub const EVEN_FIRST: &[LineSettings] =
    &[line(8, Parity::Even), line(8, Parity::Odd), line(8, Parity::None)];
pub const ODD_FIRST: &[LineSettings] =
    &[line(8, Parity::Odd), line(8, Parity::Even), line(8, Parity::None)];
