//! Tomey RC-5000 and Rodenstock CX 2000, output "standard": columns between SOH and EOT.
//!
//! Source: one working reader and the example published beside it. Proved against constructed
//! transmissions only; not tried on an instrument.
//!
//! | line                    | columns                                                         |
//! |-------------------------|-----------------------------------------------------------------|
//! | SOH `*`                 | id, four characters                                             |
//! | STX `OR` `OL`           | sphere 2–7, cylinder 8–13, axis 14–16                           |
//! | STX `DB`                | pupillary distance 2–5 `63.5`                                   |
//! | STX `CR` `CL`           | R1: mm 2–6, D 7–11, axis 12–14; R2: 15–19, 20–24, 25–27;        |
//! |                         | mean mm 28–32, cylinder 33–38                                   |
//! | STX `RK`                | what was measured; of no use here                               |
//!
//! Every line ends in CR, the transmission in EOT.
//!
//! ```text
//! OR- 2.50- 0.75171                            blanks between the sign and the digits
//! OL+10.00  0.00  0                            only zero has no sign
//! CR 7.7043.75171 7.5544.75 81 7.62- 1.00
//! ```
//!
//! Traps: radii of zero are a cornea that was not measured. The published example prints the digit
//! zero in `0R`, the reader looks for the letter; both are read. The left cornea stands in `CL`: a
//! reader is known that takes it from `CR`. `CR` is a cornea here, while other makers' `CR` is a
//! contact lens.
//!
//! The four characters behind SOH `*` are claimed as the patient's id unless blank. They may be a
//! running number; see `form.rs` why claiming is the safe side.
//!
//! Unknown: whether the values are averages (no single readings are sent; they are called the
//! result), what an eye that failed looks like.

use super::values::{
    EYES, LEN_MAX, SILENCE, VENDOR, ascii, axis_deg, chosen, column_power, column_value, distance,
    draft, expect_printable, eye_at, finish, keep_unknown, line, measurement, once, power, radius,
};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, LineSettings, Parity,
    Setup, Sniff, Transport,
    format::{
        fields::Field,
        stream::{End, Protocol, StreamDecoder},
    },
};
use chiasm_proto::{
    ClaimedPatient, Decoded, Eye, Hundredths, Keratometry, KeratometryValue, Measured, Measurement,
    Meridian, PupillaryDistance, Refraction, RefractionKind, RefractionValue,
};

const FAMILY: &str = "RC-5000 / CX 2000";
const RESULT: &str = "result";
const SOH: u8 = 1;
const STX: char = '\x02';
const EOT: u8 = 4;
/// SOH, `*`, four characters, CR.
const OPENING_LEN: usize = 7;

const LINES: &[LineSettings] = &[line(38400, 8, Parity::None, 1)];

pub static SPEC: DriverSpec = DriverSpec {
    id: "tomey_rc",
    version: "1",
    vendor: VENDOR,
    models: &["RC-5000", "Rodenstock CX 2000 (standard)"],
    yields: &["refraction", "keratometry", "pupillary_distance"],
    transport: Transport::Serial(LINES),
    evidence: Evidence::SingleSource,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "RS-232. Which cable is not published; if nothing arrives, try a crossed one.",
        settings: "Output format \"standard\"; 38400 baud 8 N 1. \"Form\" is the better one, for \
                   it sends single readings as well: driver tomey_form.",
        dry_test: "Print a measurement of the model eye: the lane shows the values of the paper \
                   strip.",
    },
    limits: "Not tried on an instrument. Known from one source. Single readings are not sent. What \
             a failed eye looks like is not known: such a transmission is refused.",
    sniff,
    new: |options| StreamDecoder::boxed(&PROTOCOL, options),
};

static PROTOCOL: Protocol =
    Protocol { begins, ends, silence: SILENCE, ends_by_silence: false, len_max: LEN_MAX, read };

fn sniff(bytes: &[u8]) -> Sniff {
    match begins(bytes) {
        Some(at) if bytes[at + OPENING_LEN..].first().is_none_or(|next| *next == STX as u8) => {
            Sniff::Yes
        }
        Some(_) => Sniff::Perhaps,
        None => Sniff::No,
    }
}

fn begins(bytes: &[u8]) -> Option<usize> {
    let is_opening = |window: &[u8]| match window {
        [SOH, b'*', id @ .., b'\r'] => id.iter().all(|byte| matches!(byte, b' '..=b'~')),
        _ => false,
    };
    bytes.windows(OPENING_LEN).position(is_opening)
}

fn ends(bytes: &[u8]) -> End {
    match bytes.iter().skip(1).position(|byte| matches!(*byte, SOH | EOT)) {
        Some(at) if bytes[at + 1] == EOT => End::After(at + 2),
        Some(at) => End::Broken(at + 1),
        None => End::NotYet,
    }
}

/// The values of one transmission, per eye.
#[derive(Default)]
struct Print {
    refracted: [Option<RefractionValue>; 2],
    cornea: [Option<KeratometryValue>; 2],
    far_mm: Option<Option<Hundredths>>,
}

fn read(bytes: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let text = ascii(bytes)?;
    let whole = Field::new(text, 0, "transmission");
    let body = text.strip_suffix('\x04').ok_or_else(|| {
        DecodeError::new(ErrorCode::Incomplete, text.len(), "no EOT behind the last line")
    })?;
    // All columns are counted, so that a CR may be missing before EOT, or an LF follow one.
    let body = body.trim_end_matches(['\r', '\n']);
    let mut lines = Field { text: body, ..whole }.split('\r').into_iter();
    let mut decoded = draft(options, FAMILY);
    if let Some(opening) = lines.next() {
        let id = opening.columns(2, OPENING_LEN - 3, "id")?.text.trim().to_owned();
        let claim = ClaimedPatient { id, found_in: "SOH * line".into() };
        decoded.claimed_patient = Some(claim).filter(|claim| !claim.id.is_empty());
    }
    let mut print = Print::default();
    for line in lines {
        let text = line.text.trim_start_matches('\n');
        let text = text.strip_prefix(STX);
        let text = text.ok_or_else(|| line.malformed("no STX before it"))?;
        let offset = line.offset + line.text.len() - text.len();
        let line = Field::new(text, offset, text.get(..2).unwrap_or("line"));
        expect_printable(&line)?;
        print.line(&line, &mut decoded)?;
    }
    print.finish(decoded)
}

impl Print {
    fn line(&mut self, line: &Field, decoded: &mut Decoded) -> Result<(), DecodeError> {
        let code = line.columns(0, 2, "code")?;
        let is_code = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        if !code.text.bytes().all(is_code) {
            return Err(code.malformed("not a code of two letters"));
        }
        match (&code.text[..1], eye_at(&code.text[1..])) {
            ("O" | "0", Some(eye)) => once(&mut self.refracted[eye], column_value(line)?, line),
            ("C", Some(eye)) => {
                let value = cornea(line)?;
                let radii = [value.r1.radius_mm, value.r2.radius_mm];
                if radii == [Some(Hundredths::ZERO); 2] {
                    keep_unknown(decoded, line); // no cornea is flat: it was not measured
                    return Ok(());
                }
                once(&mut self.cornea[eye], value, line)
            }
            _ if code.text == "DB" => {
                let [_, value] = line.cut([(2, "DB"), (4, "DB")])?;
                once(&mut self.far_mm, distance(&value.padded()?)?, line)
            }
            _ if line.text == "RK" => Ok(()),
            _ => {
                keep_unknown(decoded, line);
                Ok(())
            }
        }
    }

    fn finish(self, mut decoded: Decoded) -> Result<Option<Decoded>, DecodeError> {
        for (at, value) in (0..EYES.len()).zip(self.refracted) {
            let refraction = value.map(|value| Refraction {
                representative: Some(chosen(RESULT, value)),
                ..Refraction::new(RefractionKind::Autorefraction)
            });
            let measured = refraction.map(Measured::Refraction);
            decoded.measurements.extend(measured.map(|measured| measurement(at, measured)));
        }
        for (at, value) in (0..EYES.len()).zip(self.cornea) {
            let keratometry = value.map(|value| Keratometry {
                representative: Some(chosen(RESULT, value)),
                ..Keratometry::default()
            });
            let measured = keratometry.map(Measured::Keratometry);
            decoded.measurements.extend(measured.map(|measured| measurement(at, measured)));
        }
        if let Some(far_mm) = self.far_mm.flatten() {
            let distance = PupillaryDistance { far_mm: Some(far_mm), ..Default::default() };
            let measured = Measured::PupillaryDistance(distance);
            decoded.measurements.push(Measurement::without_token(Eye::Both, measured));
        }
        finish(decoded)
    }
}

fn cornea(line: &Field) -> Result<KeratometryValue, DecodeError> {
    let meridian = [(5, "radius"), (5, "power"), (3, "axis")];
    let [_, mm1, power1, axis1, mm2, power2, axis2, mean, cylinder] = line.cut([
        (2, "code"),
        meridian[0],
        meridian[1],
        meridian[2],
        meridian[0],
        meridian[1],
        meridian[2],
        (5, "mean"),
        (6, "cylinder"),
    ])?;
    let meridian = |mm: Field, dioptres: Field, axis: Field| -> Result<Meridian, DecodeError> {
        Ok(Meridian {
            radius_mm: Some(radius(&mm.padded()?)?),
            power: Some(power(&dioptres.padded()?)?),
            axis_deg: Some(axis_deg(&axis.padded()?)?),
        })
    };
    Ok(KeratometryValue {
        r1: meridian(mm1, power1, axis1)?,
        r2: meridian(mm2, power2, axis2)?,
        average_mm: Some(radius(&mean.padded()?)?),
        average_power: None,
        cylinder: Some(column_power(&cylinder)?),
        cylinder_axis_deg: None,
    })
}

golden_tests!(SPEC);
