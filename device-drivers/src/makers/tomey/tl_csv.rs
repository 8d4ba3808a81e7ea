//! Tomey TL-6100, TL-2000C, TL-6000, TL-7000 and Rodenstock AL 6400 lensmeters: lines of tags.
//!
//! Source: two working readers, one of them of a practice system. Proved against constructed
//! transmissions only; not tried on an
//! instrument.
//!
//! | tag                     | fields                 | meaning                                   |
//! |-------------------------|------------------------|-------------------------------------------|
//! | `[PT_ID]`               | id                     | claimed patient                           |
//! | `[POWER_R]` `[POWER_L]` | sphere, cylinder, axis | one lens; blank: not measured             |
//! | `[ADD_R]` `[ADD_L]`     | addition, second one   | of the lens before it; blank: none        |
//! | `[PRISM_SEL_R]` `…_L`   | 1 if prism is measured | else the next tag is kept as text         |
//! | `[PRISM_R]` `[PRISM_L]` | horizontal, vertical   | prism of unverified direction             |
//! | `[UV_R]` `[UV_L]`       | transmission, percent  | kept as text                              |
//!
//! ```text
//! [POWER_R],-2.50,-0.75,171
//! [ADD_R],1.75
//! ```
//!
//! Traps: the autorefractors' "Form" has the same tag with other columns: an `A` or a number of a
//! reading stands first there. A transmission is taken for a lensmeter's only if every `POWER` line
//! begins with a sphere of two decimals and has no field too many. A second line of the same lens,
//! the right one behind the left one, or another `[PT_ID]`, begins the next transmission. A power
//! without its sign is refused unless it is zero: there is no checksum.
//!
//! Unknown: line settings, a single lens without a side. One reader takes a positive prism for out
//! and up, a negative one for in and down, in both eyes alike; nothing else confirms it.

use super::values::{
    EYES, LEN_MAX, Last, SILENCE, VENDOR, claim, draft, eye_at, finish, free_value, is_blank,
    is_whole, keep_unknown, line, line_starts, measurement, once, power, whole_lines,
};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, Evidence, LineSettings, Parity, Setup, Sniff,
    Transport,
    format::{
        fields::Field,
        stream::{End, Protocol, StreamDecoder},
    },
};
use chiasm_proto::{
    Base, Decoded, Dioptres, Lensometry, Measured, Prism, PrismComponent, RefractionValue,
};

const FAMILY: &str = "TL-6100 / AL 6400";
const PATIENT: &[u8] = b"[PT_ID],";
const POWERS: [&[u8]; 2] = [b"[POWER_R],", b"[POWER_L],"];
/// Blanks before the sphere.
const BLANKS_MAX: usize = 4;

const LINES: &[LineSettings] = &[
    line(9600, 8, Parity::None, 1),
    line(38400, 8, Parity::None, 1),
    line(2400, 7, Parity::Even, 1),
];

pub static SPEC: DriverSpec = DriverSpec {
    id: "tomey_tl_csv",
    version: "1",
    vendor: VENDOR,
    models: &["TL-6100", "TL-2000C", "TL-6000 (CSV)", "TL-7000 (CSV)", "Rodenstock AL 6400"],
    yields: &["lensometry"],
    transport: Transport::Serial(LINES),
    evidence: Evidence::Manual,
    ending: Ending::Silence,
    setup: Setup {
        wiring: "RS-232. Which cable is not published; if nothing arrives, try a crossed one.",
        settings: "The output of tagged lines, not the XML file. The line settings are not \
                   published: read them in the instrument's menu and set the same here.",
        dry_test: "Measure a trial lens on each side and print: the lane shows the values of the \
                   paper strip.",
    },
    limits: "Not tried on an instrument. The direction of a prism is not sure: it has its sign as \
             sent. UV transmission is kept as text. The same lines written to a file, and \
             the XML file of TL-6000 and TL-7000, are not read by \
             this driver. A power without its sign is refused. No mark ends a transmission.",
    sniff: |bytes| {
        let mut starts = std::iter::once(0).chain(line_starts(bytes));
        if starts.any(|at| lens_at(&bytes[at..]).is_some()) { Sniff::Yes } else { Sniff::No }
    },
    new: |options| StreamDecoder::boxed(&PROTOCOL, options),
};

static PROTOCOL: Protocol =
    Protocol { begins, ends, silence: SILENCE, ends_by_silence: true, len_max: LEN_MAX, read };

/// The lens of a `POWER` line, if one stands here: a tag and a number with a decimal point.
fn lens_at(bytes: &[u8]) -> Option<usize> {
    let lens = POWERS.iter().position(|tag| bytes.starts_with(tag))?;
    let rest = &bytes[POWERS[lens].len()..];
    let blanks = rest.iter().take_while(|byte| **byte == b' ').count().min(BLANKS_MAX);
    let rest = &rest[blanks..];
    let rest = rest.strip_prefix(b"+").or_else(|| rest.strip_prefix(b"-")).unwrap_or(rest);
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    ((1..=2).contains(&digits) && rest.get(digits) == Some(&b'.')).then_some(lens)
}

fn begins(bytes: &[u8]) -> Option<usize> {
    let is_opening = |bytes: &[u8]| bytes.starts_with(PATIENT) || lens_at(bytes).is_some();
    (0..bytes.len()).find(|at| is_opening(&bytes[*at..]))
}

fn ends(bytes: &[u8]) -> End {
    let mut seen = [false; 2];
    for at in std::iter::once(0).chain(line_starts(bytes)) {
        if at > 0 && bytes[at..].starts_with(PATIENT) {
            return End::After(at);
        }
        let Some(lens) = lens_at(&bytes[at..]) else { continue };
        // The right lens stands first: behind a left one it is of the next print.
        let is_behind_left = lens == 0 && seen[1];
        if seen[lens] || is_behind_left {
            return End::After(at);
        }
        seen[lens] = true;
    }
    End::NotYet
}

fn read(bytes: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let mut decoded = draft(options, FAMILY);
    let mut lenses: [Lens; 2] = Default::default();
    for line in whole_lines(bytes, last, &mut decoded)? {
        let fields = line.split(',');
        let tag = &fields[0];
        let name = tag.text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let name = name.ok_or_else(|| tag.malformed("not a tag in brackets"))?;
        if let Some(field) = fields[1..].iter().find(|field| field.text.contains(['[', ']'])) {
            return Err(field.malformed("a second tag: a line end was lost"));
        }
        let side = name.rsplit_once('_').and_then(|(name, letter)| Some((name, eye_at(letter)?)));
        let fields: Vec<Field> = fields.iter().map(|field| field.named(name)).collect();
        match (side, &fields[1..]) {
            (Some((name, eye)), values) if lenses[eye].line(name, values, &line)? => {}
            (None, [id]) if name == "PT_ID" => decoded.claimed_patient = claim(id)?,
            _ => keep_unknown(&mut decoded, &line),
        }
    }
    for (at, lens) in (0..EYES.len()).zip(lenses) {
        let measured = lens.measured().map(Measured::Lensometry);
        decoded.measurements.extend(measured.map(|measured| measurement(at, measured)));
    }
    finish(decoded)
}

fn last(line: &Field) -> Last {
    let fields = line.split(',');
    let tag = fields[0].text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match (tag, fields.last()) {
        (Some(tag), Some(value)) if tag.starts_with("POWER_") || tag.starts_with("ADD_") => {
            if is_whole(value) {
                Last::Whole
            } else {
                Last::Cut
            }
        }
        (Some(tag), _) if tag != "PT_ID" && fields.len() > 1 => Last::Text,
        _ => Last::Cut,
    }
}

/// What was sent of one lens; an inner none is a tag without a value.
#[derive(Default)]
struct Lens {
    value: Option<Option<RefractionValue>>,
    adds: Option<[Option<Dioptres>; 2]>,
    is_prism_measured: bool,
    prism: Option<Prism>,
}

impl Lens {
    /// Reads a line; not if it is of unknown kind.
    fn line(&mut self, name: &str, values: &[Field], line: &Field) -> Result<bool, DecodeError> {
        let sent = |field: &Field| -> Result<Option<Dioptres>, DecodeError> {
            Some(field).filter(|field| !field.text.trim().is_empty()).map(power).transpose()
        };
        match (name, values) {
            ("POWER", [sphere, cylinder, axis]) => {
                let value = match is_blank([sphere, cylinder, axis]) {
                    true => None,
                    false => Some(free_value(sphere, cylinder, axis)?),
                };
                once(&mut self.value, value, line)?;
            }
            ("ADD", [add, more @ ..]) if more.len() <= 2 => {
                if let Some(third) = more.get(1).filter(|field| !field.text.trim().is_empty()) {
                    return Err(third.malformed("a third addition"));
                }
                let second = more.first().map(&sent).transpose()?.flatten();
                let adds = [sent(add)?, second];
                if self.value.is_none() || self.value == Some(None) && adds != [None; 2] {
                    return Err(line.malformed("no lens before it"));
                }
                once(&mut self.adds, adds, line)?;
            }
            ("PRISM_SEL", [chosen]) => self.is_prism_measured = chosen.text.trim() == "1",
            ("PRISM", [horizontal, vertical]) if self.is_prism_measured => {
                let component = |field: &Field| -> Result<Option<PrismComponent>, DecodeError> {
                    let base = Base::Unverified;
                    Ok(sent(field)?.map(|amount| PrismComponent { amount, base }))
                };
                let (horizontal, vertical) = (component(horizontal)?, component(vertical)?);
                once(&mut self.prism, Prism { horizontal, vertical, ..Prism::default() }, line)?;
            }
            ("POWER" | "ADD", values) => {
                return Err(line.malformed(format!("{} fields behind the tag", values.len())));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn measured(self) -> Option<Lensometry> {
        let value = self.value.flatten()?;
        let [add, add2] = self.adds.unwrap_or_default();
        Some(Lensometry {
            sphere: Some(value.sphere),
            cylinder: Some(value.cylinder),
            axis_deg: value.axis_deg,
            add,
            add2,
            prism: self.prism.filter(|prism| *prism != Prism::default()),
            ..Lensometry::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same tag, another instrument: nothing of it may become a lens.
    #[test]
    fn an_autorefractors_line_is_no_lens() {
        for line in ["[POWER_R],1,-1.75,-0.50,14,9\n", "[POWER_R],A,-1.75,-0.50,14,9\n"] {
            assert_eq!(begins(line.as_bytes()), None, "{line}");
            let both = format!("[POWER_R],-1.75,-0.50,14\n{line}");
            assert!(read(both.as_bytes(), &DriverOptions::default()).is_err(), "{line}");
        }
    }

    #[test]
    fn a_last_line_without_its_end_is_read_if_nothing_can_be_missing() {
        let first = "[POWER_L],-1.75,-0.50,14\n";
        for (last, is_read) in [
            ("[ADD_L],1.75", true),
            ("[ADD_L],1.7", false),
            ("[POWER_R],-1.75,-0.50,170", true),
            ("[POWER_R],-1.75,-0.50,17", false),
            ("[POWER_R],-1.75,-0.50", false),
            ("[UV_R],4", true),
            ("[UV_", false),
        ] {
            let text = format!("{first}{last}");
            let read = read(text.as_bytes(), &DriverOptions::default());
            assert_eq!(read.is_ok(), is_read, "{last}");
            let is_told = |decoded: &Decoded| !decoded.unknown_records.is_empty();
            assert!(!read.ok().flatten().as_ref().is_some_and(is_told), "{last}");
        }
    }

    #[test]
    fn a_right_lens_behind_a_left_one_is_the_next_patients() {
        let left = "[POWER_L],-6.25,-0.50,14\n[ADD_L],2.00\n";
        let both = "[POWER_R],+0.50,+0.00,0\n[POWER_L],+0.75,+0.00,0\n";
        assert_eq!(ends(format!("{left}{both}").as_bytes()), End::After(left.len()));
        assert_eq!(ends(both.as_bytes()), End::NotYet);
    }

    #[test]
    fn a_third_addition_is_not_dropped() {
        let read = |add: &str| {
            let text = format!("[POWER_R],-1.75,-0.50,14\n[ADD_R],{add}\n");
            read(text.as_bytes(), &DriverOptions::default())
        };
        assert!(read("1.75,2.00,").is_ok() && read("1.75,2.00,  ").is_ok());
        assert!(read("1.75,2.00,0.50").is_err());
    }

    #[test]
    fn a_damaged_number_is_refused() {
        for line in [
            "[POWER_R],-1.75,-0,50,14\n",
            "[POWER_R],-1.75,-0.50.14\n",
            "[POWER_R],1.75,-0.50,14\n",
            "[POWER_R],-1.75, 0.50,14\n",
            "[POWER_R],-1.75,-0.50,12 \n",
        ] {
            assert!(read(line.as_bytes(), &DriverOptions::default()).is_err(), "{line}");
        }
    }
}

golden_tests!(SPEC);
