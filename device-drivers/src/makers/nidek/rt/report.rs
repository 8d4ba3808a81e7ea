//! A report: sources and the lines under each of them.

use super::{others, sections::Section};
use crate::{DecodeError, format::fields::Field};
use chiasm_proto::{Decoded, Instrument, Integrity, UnknownRecord};
use std::collections::BTreeSet;

/// Whose data follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Lensmeter,
    Autorefractor,
    Refractor,
    Keratometer,
    Tonometer,
}

impl Source {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "@LM" | "@lm" => Source::Lensmeter,
            "@RM" | "@rm" | "@WF" | "@wf" => Source::Autorefractor,
            "@RT" | "@rt" => Source::Refractor,
            "@KM" => Source::Keratometer,
            "@NT" => Source::Tonometer,
            _ => return None,
        })
    }
}

/// A report while it is being read.
pub struct Report {
    pub decoded: Decoded,
    /// Codes that were already read, under the name of their source.
    seen: BTreeSet<String>,
}

impl Report {
    pub fn new(instrument: Instrument) -> Self {
        Self { decoded: Decoded::new(instrument, Integrity::None), seen: BTreeSet::new() }
    }

    pub fn keep_unknown(&mut self, source: &str, lines: &[Field]) {
        self.decoded.unknown_records.extend(lines.iter().map(|line| UnknownRecord {
            offset: line.offset,
            text: format!("{source} {}", line.text).trim_start().to_owned(),
        }));
    }

    /// Reads the lines from the first source on.
    pub fn read(&mut self, lines: &[Field]) -> Result<(), DecodeError> {
        let is_source = |line: &Field| line.text.starts_with('@');
        let mut rest = lines;
        while let Some((head, behind)) = rest.split_first() {
            let head = head.named("source");
            head.expect_len(3)?;
            let count = behind.iter().take_while(|line| !is_source(line)).count();
            let (inside, next) = behind.split_at(count);
            rest = next;
            match Source::of(head.text) {
                Some(source) => self.section(source, head.text, inside)?,
                None => self.keep_unknown(head.text, inside),
            }
        }
        Ok(())
    }

    fn section(&mut self, source: Source, name: &str, lines: &[Field]) -> Result<(), DecodeError> {
        let mut section = Section::new(source, name);
        for line in lines {
            // A mark of a source with one wrong bit: what follows is not this section's.
            if line.text.len() == 3 && Source::of(&format!("@{}", &line.text[1..])).is_some() {
                return Err(line.malformed("not the name of a source"));
            }
            let code = code_of(source, line.text);
            let rest = line.columns(code.len(), line.text.len() - code.len(), code)?;
            let in_line = |error: DecodeError| {
                let part = error.field.clone().filter(|field| field != code).unwrap_or_default();
                error.in_field(format!("{name} {code} {part}").trim_end().to_owned())
            };
            if !section.line(code, &rest).map_err(in_line)? {
                self.keep_unknown(name, &[*line]);
            } else if !self.seen.insert(format!("{name} {code}")) {
                return Err(in_line(rest.malformed("sent twice in one report")));
            }
        }
        section.note_halves();
        self.decoded.flags.append(&mut section.flags);
        section.append(&mut self.decoded.measurements);
        Ok(())
    }
}

/// Two characters, or the longer code of a single test.
fn code_of(source: Source, text: &str) -> &str {
    let long = others::by_code(others::SINGLE, text).filter(|_| source == Source::Refractor);
    &text[..long.map_or(2, |test| test.code().len())]
}
