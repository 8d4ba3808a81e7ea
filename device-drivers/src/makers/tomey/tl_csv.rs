//! Tomey TL-6100, TL-2000C, TL-6000, TL-7000 and Rodenstock AL 6400 lensmeters: lines of tags.
//!
//! Source: one working reader. Proved against constructed transmissions only; not tried on an
//! instrument.
//!
//! | tag                     | fields                 | meaning                                   |
//! |-------------------------|------------------------|-------------------------------------------|
//! | `[POWER_R]` `[POWER_L]` | sphere, cylinder, axis | one lens                                  |
//! | `[ADD_R]` `[ADD_L]`     | addition               | of the lens before it; blank: none        |
//!
//! ```text
//! [POWER_R],-2.50,-0.75,171
//! [ADD_R],1.75
//! ```
//!
//! Traps: the autorefractors' "Form" has the same tag with other columns: an `A` or a number of a
//! reading stands first there. A transmission is taken for a lensmeter's only if every `POWER` line
//! begins with a sphere of two decimals and has no field too many. A second line of the same lens
//! begins the next transmission.
//!
//! Unknown: line settings, a single lens without a side, prism (kept as text).

use super::values::{
    EYES, LEN_MAX, SILENCE, VENDOR, draft, eye_at, finish, free_value, keep_unknown, line,
    line_starts, measurement, once, power, whole_lines,
};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, Evidence, LineSettings, Parity, Setup, Sniff,
    Transport,
    format::{
        fields::Field,
        stream::{End, Protocol, StreamDecoder},
    },
};
use chiasm_proto::{Decoded, Dioptres, Lensometry, Measured, RefractionValue};

const FAMILY: &str = "TL-6100 / AL 6400";
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
    evidence: Evidence::SingleSource,
    ending: Ending::Silence,
    setup: Setup {
        wiring: "RS-232. Which cable is not published; if nothing arrives, try a crossed one.",
        settings: "The output of tagged lines, not the XML file. The line settings are not \
                   published: read them in the instrument's menu and set the same here.",
        dry_test: "Measure a trial lens on each side and print: the lane shows the values of the \
                   paper strip.",
    },
    limits: "Not tried on an instrument. Known from one source. Prism is kept as text. The same \
             lines written to a file, and the XML file of TL-6000 and TL-7000, are not read by \
             this driver. No mark ends a transmission.",
    sniff: |bytes| if begins(bytes).is_some() { Sniff::Yes } else { Sniff::No },
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
    (0..bytes.len()).find(|at| lens_at(&bytes[*at..]).is_some())
}

fn ends(bytes: &[u8]) -> End {
    let mut seen = [false; 2];
    for at in std::iter::once(0).chain(line_starts(bytes)) {
        if let Some(lens) = lens_at(&bytes[at..])
            && std::mem::replace(&mut seen[lens], true)
        {
            return End::After(at);
        }
    }
    End::NotYet
}

fn read(bytes: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let mut decoded = draft(options, FAMILY);
    let mut lenses: [Option<RefractionValue>; 2] = [None; 2];
    let mut adds: [Option<Option<Dioptres>>; 2] = [None; 2];
    for line in whole_lines(bytes)? {
        let fields = line.split(',');
        let tag = &fields[0];
        let name = tag.text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let name = name.ok_or_else(|| tag.malformed("not a tag in brackets"))?;
        let side = name.rsplit_once('_').and_then(|(name, letter)| Some((name, eye_at(letter)?)));
        let fields: Vec<Field> = fields.iter().map(|field| field.named(name)).collect();
        match (side, &fields[1..]) {
            (Some(("POWER", eye)), [sphere, cylinder, axis]) => {
                once(&mut lenses[eye], free_value(sphere, cylinder, axis)?, &line)?;
            }
            (Some(("ADD", eye)), [add]) if lenses[eye].is_some() => {
                let add = Some(add).filter(|add| !add.text.trim().is_empty());
                once(&mut adds[eye], add.map(power).transpose()?, &line)?;
            }
            (Some(("ADD", _)), [_]) => return Err(fields[0].malformed("no lens before it")),
            (Some(("POWER" | "ADD", _)), fields) => {
                return Err(line.malformed(format!("{} fields behind the tag", fields.len())));
            }
            _ => keep_unknown(&mut decoded, &line),
        }
    }
    for (at, value) in (0..EYES.len()).zip(lenses) {
        let lens = value.map(|value| Lensometry {
            sphere: Some(value.sphere),
            cylinder: Some(value.cylinder),
            axis_deg: value.axis_deg,
            add: adds[at].flatten(),
            ..Lensometry::default()
        });
        let measured = lens.map(Measured::Lensometry);
        decoded.measurements.extend(measured.map(|measured| measurement(at, measured)));
    }
    finish(decoded)
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
    fn a_comma_that_was_a_point_is_refused() {
        for line in ["[POWER_R],-1.75,-0,50,14\n", "[POWER_R],-1.75,-0.50.14\n"] {
            assert!(read(line.as_bytes(), &DriverOptions::default()).is_err(), "{line}");
        }
    }
}

golden_tests!(SPEC);
