//! Tomey RT-6000, output "R:3/K:1 Format2": lines of names.
//!
//! Source: one working reader. Proved against constructed transmissions only; not tried on an
//! instrument.
//!
//! | line                | fields                 | meaning                                       |
//! |---------------------|------------------------|-----------------------------------------------|
//! | `Ref_R*` `Ref_L*`   | sphere, cylinder, axis | the representative refraction                 |
//! | `Ref_…` without `*` | not published          | kept as text                                  |
//! | `Kerato_R` `_L`     | not published          | kept as text                                  |
//! | `PD`                | not published          | kept as text                                  |
//!
//! ```text
//! Ref_R*,-2.50,-0.75,171
//! Ref_L*,+10.00,+0.00,0
//! ```
//!
//! Traps: lines end in LF. Nothing ends a transmission; a line of a section that was already left,
//! a right eye's behind the left one's of its kind, or a second `*` line of the same eye, begins
//! the next one. A power without its sign is refused unless it is zero: there is no checksum.
//!
//! Unknown: the parity, the order of lines, all fields of keratometry and pupillary distance.

use super::values::{
    EYES, LEN_MAX, Last, SILENCE, VENDOR, chosen, draft, finish, free_value, is_whole,
    keep_unknown, line, line_starts, measurement, once, whole_lines,
};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, Evidence, LineSettings, Parity, Setup, Sniff,
    Transport,
    format::{
        fields::Field,
        stream::{End, Protocol, StreamDecoder, find},
    },
};
use chiasm_proto::{Decoded, Measured, Refraction, RefractionKind, RefractionValue};

const FAMILY: &str = "RT-6000";
/// What the instrument marks its representative value with.
const STAR: &str = "*";
/// Sections with whose lines a transmission may begin: of each kind the right one, then the left.
const SECTIONS: [&[u8]; 4] = [b"Ref_R", b"Ref_L", b"Kerato_R", b"Kerato_L"];

const LINES: &[LineSettings] = &[
    line(9600, 8, Parity::None, 1),
    line(9600, 8, Parity::Even, 1),
    line(9600, 8, Parity::Odd, 1),
];

pub static SPEC: DriverSpec = DriverSpec {
    id: "tomey_rt6000",
    version: "1",
    vendor: VENDOR,
    models: &["RT-6000"],
    yields: &["refraction"],
    transport: Transport::Serial(LINES),
    evidence: Evidence::SingleSource,
    ending: Ending::Silence,
    setup: Setup {
        wiring: "RS-232 with a crossed cable.",
        settings: "Output format \"R:3/K:1 Format2\", 9600 baud. The parity is not published: \
                   read it in the instrument's menu.",
        dry_test: "Print a measurement of the model eye: the lane shows the refraction of the \
                   paper strip.",
    },
    limits: "Not tried on an instrument. Known from one source. Only the representative \
             refraction of each eye is read; keratometry, pupillary distance and single readings \
             are kept as text. A power without its sign is refused. No mark ends a transmission.",
    sniff,
    new: |options| StreamDecoder::boxed(&PROTOCOL, options),
};

static PROTOCOL: Protocol =
    Protocol { begins, ends, silence: SILENCE, ends_by_silence: true, len_max: LEN_MAX, read };

fn sniff(bytes: &[u8]) -> Sniff {
    let has_star = [&b"Ref_R*,"[..], b"Ref_L*,"].iter().any(|mark| find(bytes, mark).is_some());
    match begins(bytes) {
        Some(_) if has_star => Sniff::Yes,
        Some(_) => Sniff::Perhaps,
        None => Sniff::No,
    }
}

/// The section of the line that begins here, and whether it is marked with a star. Decided by the
/// byte behind the name.
fn section(bytes: &[u8]) -> Option<(usize, bool)> {
    let section = SECTIONS.iter().position(|name| bytes.starts_with(name))?;
    let next = bytes.get(SECTIONS[section].len())?;
    Some((section, *next == b'*'))
}

fn begins(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).find(|at| section(&bytes[*at..]).is_some())
}

/// Whether it is a right eye's section behind the left one of its kind: those are of two prints.
fn is_behind_left(section: usize, seen: &[bool]) -> bool {
    section.is_multiple_of(EYES.len()) && seen[section + 1]
}

fn ends(bytes: &[u8]) -> End {
    let (mut seen, mut starred) = ([false; SECTIONS.len()], [false; SECTIONS.len()]);
    let mut last = None;
    for at in std::iter::once(0).chain(line_starts(bytes)) {
        let Some((section, is_starred)) = section(&bytes[at..]) else { continue };
        let is_again = seen[section] && last != Some(section);
        if is_again || is_behind_left(section, &seen) || (is_starred && starred[section]) {
            return End::After(at);
        }
        seen[section] = true;
        starred[section] |= is_starred;
        last = Some(section);
    }
    End::NotYet
}

/// Only a line with a star gives a value.
fn last(line: &Field) -> Last {
    let fields = line.split(',');
    match fields[0].text.ends_with(STAR) {
        true if fields.len() == 4 && is_whole(&fields[3]) => Last::Whole,
        true => Last::Cut,
        false => Last::Text,
    }
}

fn read(bytes: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let mut decoded = draft(options, FAMILY);
    let mut eyes: [Option<RefractionValue>; 2] = [None; 2];
    for line in whole_lines(bytes, last, &mut decoded)? {
        let fields = line.split(',');
        let name = fields[0].text;
        if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Err(line.malformed("a line does not begin with a name"));
        }
        if ["Ref_", "Kerato_"].iter().any(|name| line.text.rfind(name).is_some_and(|at| at > 0)) {
            return Err(line.malformed("a second name: a line end was lost"));
        }
        let fields: Vec<Field> = fields.iter().map(|field| field.named(name)).collect();
        let eye = EYES.iter().position(|(_, letter)| name == format!("Ref_{letter}{STAR}"));
        match (eye, &fields[1..]) {
            (Some(eye), [sphere, cylinder, axis]) => {
                once(&mut eyes[eye], free_value(sphere, cylinder, axis)?, &line)?;
            }
            (Some(_), fields) => {
                return Err(line.malformed(format!("{} fields behind the name", fields.len())));
            }
            (None, _) => keep_unknown(&mut decoded, &line),
        }
    }
    for (at, value) in (0..EYES.len()).zip(eyes) {
        let refraction = value.map(|value| Refraction {
            representative: Some(chosen(STAR, value)),
            ..Refraction::new(RefractionKind::Autorefraction)
        });
        let measured = refraction.map(Measured::Refraction);
        decoded.measurements.extend(measured.map(|measured| measurement(at, measured)));
    }
    finish(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_line_without_its_end_is_read_if_nothing_can_be_missing() {
        let read = |text: &str| read(text.as_bytes(), &DriverOptions::default());
        let whole = "Ref_R*,-1.75,-0.50,14\nRef_L*,+2.25,-0.25,103";
        assert_eq!(read(whole).unwrap().unwrap().measurements.len(), 2);
        let distance = read(&format!("{whole}\nPD,6")).unwrap().unwrap();
        assert!(distance.unknown_records.is_empty() && distance.measurements.len() == 2);
        assert!(distance.flags.iter().any(|flag| flag.detail.contains("line end")));
        assert!(read(whole.trim_end_matches('3')).is_err());
        assert!(read("PD,63Ref_R*,-1.75,-0.50,14\nRef_L*,+2.25,-0.25,103\n").is_err());
    }

    #[test]
    fn several_readings_of_a_section_are_one_transmission() {
        let once = "Ref_R,1\nRef_R,2\nRef_R*,-1.75,-0.50,14\nRef_L*,+0.50,+0.00,0\nPD,63\n";
        assert_eq!(ends(once.as_bytes()), End::NotYet);
        assert_eq!(ends(once.repeat(2).as_bytes()), End::After(once.len()));
        let right = "Ref_R*,-1.75,-0.50,14\n";
        assert_eq!(ends(right.repeat(2).as_bytes()), End::After(right.len()));
    }

    #[test]
    fn a_right_eye_behind_a_left_one_is_the_next_patients() {
        let left = "Ref_L*,+0.50,+0.00,0\n";
        let both = "Ref_R*,-1.75,-0.50,14\nRef_L*,-2.00,-0.25,90\n";
        assert_eq!(ends(format!("{left}{both}").as_bytes()), End::After(left.len()));
        assert_eq!(ends(format!("{left}PD,63\n{both}").as_bytes()), End::After(left.len() + 6));
        let cornea = format!("Kerato_R,1\nKerato_L,1\n{both}");
        assert_eq!(ends(cornea.as_bytes()), End::NotYet);
    }

    #[test]
    fn a_power_without_its_sign_is_refused() {
        let read = |text: &str| read(text.as_bytes(), &DriverOptions::default());
        assert!(read("Ref_R*, -1.75, -0.50, 14\n").is_ok());
        assert!(read("Ref_R*,0.00,-0.50,14\n").is_ok());
        for line in ["Ref_R*,1.75,-0.50,14\n", "Ref_R*, 1.75,-0.50,14\n", "Ref_R*,-1.75,0.50,14\n"]
        {
            assert!(read(line).is_err(), "{line}");
        }
    }
}

golden_tests!(SPEC);
