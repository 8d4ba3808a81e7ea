//! Topcon RM-8900: lines whose length tells what they are.
//!
//! Source: one public reader that was tried on the instrument. Proved against constructed
//! transmissions only. Another RM-8900 unit is known to send the `S-R-R` text of Huvitz.
//!
//! | length | line                         | meaning                               |
//! |--------|------------------------------|---------------------------------------|
//! | 1      | `A`                          | begin                                 |
//! | 1      | `R` `L` or blank             | opens the right or left eye; nothing  |
//! | 6      | `+00.00`, padded with blanks | sphere                                |
//! | 5      | `+0.00`, padded with blanks  | cylinder, in dioptres like the sphere |
//! | 3      | `000`, padded with blanks    | axis; 0 with zero cylinder            |
//! | 2      | `00`                         | pupillary distance, mm                |
//! | 1      | EOT                          | end, behind the CR of the last line   |
//!
//! ```text
//! A|R| +0.50|-0.75|165|L| -3.25|-1.00|  9|61|<EOT>      (| is CR)
//! ```
//!
//! Traps: nothing but its length names a value, so an eye counts only whole: sphere, cylinder and
//! axis once each. A line that is all blanks was not measured. A line of another length is kept.
//!
//! Unknown: the padding inside the fields, so blanks are taken on either side and the sign may be
//! missing; what an instrument sends that holds several values of an eye (it is refused).

use super::{LINES, VENDOR, ascii, instrument};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, Evidence, Setup, Sniff, Transport, flags,
    format::{
        fields::{Field, lines},
        framing::EOT,
        stream::{End, MARK_LEN_MAX, Protocol, StreamDecoder},
        xml::{UNKNOWN_RECORDS_MAX, values::axis_unless_zero},
    },
};
use chiasm_proto::{
    Decoded, Eye, Hundredths, Integrity, Measured, Measurement, PupillaryDistance, Refraction,
    RefractionKind, RefractionValue, Shot, UnknownRecord,
};
use std::time::Duration;

/// Longest transmission. One with both eyes is below 50 bytes.
const LEN_MAX: usize = 1024;
/// `A` alone in its line.
const BEGIN: &[u8] = b"A\r";
const EYES: [(Eye, &str); 2] = [(Eye::Right, "R"), (Eye::Left, "L")];

pub static SPEC: DriverSpec = DriverSpec {
    id: "topcon_rm8900",
    version: "1",
    vendor: VENDOR,
    models: &["RM-8900"],
    yields: &["refraction", "pupillary_distance"],
    transport: Transport::Serial(LINES),
    evidence: Evidence::SingleSource,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "RS-232 of the instrument, D-sub 9, with a straight cable.",
        settings: "RS-232 output on, best at each print. The speed is not documented: 9600 or \
                   2400 baud, 8 data bits, no parity, 1 stop bit are usual.",
        dry_test: "Measure the model eye and press print: the lane shows sphere, cylinder, axis \
                   and PD of the paper strip.",
    },
    limits: "Known from one reader. Line settings are not stated there; 9600 and 2400 8N1 are \
             tried because they are usual. Several values of one eye in one print are refused. \
             Units that send the S-R-R text need huvitz_srr.",
    sniff: |bytes| match begins(bytes) {
        Some(_) => Sniff::Yes,
        None => Sniff::No,
    },
    new: |options| StreamDecoder::boxed(&PROTOCOL, options),
};

static PROTOCOL: Protocol = Protocol {
    begins,
    ends: |bytes| {
        let again = begins(&bytes[1..]).map(|at| at + 1);
        let end = bytes.iter().position(|byte| *byte == EOT);
        match (end, again) {
            (Some(end), again) if again.is_none_or(|again| again > end) => End::After(end + 1),
            (_, Some(again)) => End::Broken(again),
            _ => End::NotYet,
        }
    },
    silence: Duration::from_secs(3),
    ends_by_silence: false,
    len_max: LEN_MAX,
    read,
};

/// `A` and the first eye, with nothing between them but lines of a blank each; an instrument that
/// measured the left eye only begins with that.
fn begins(bytes: &[u8]) -> Option<usize> {
    let is_begin = |at: &usize| {
        let Some(mut rest) = bytes[*at..].strip_prefix(BEGIN) else { return false };
        rest = &rest[..rest.len().min(MARK_LEN_MAX - BEGIN.len())];
        while let Some(behind) = rest.strip_prefix(b" \r").or(rest.strip_prefix(b"\r")) {
            rest = behind;
        }
        matches!(rest, [b'R' | b'L', b'\r', ..])
    };
    (0..bytes.len()).find(is_begin)
}

/// What was sent for one eye.
#[derive(Default)]
struct Sent<'a> {
    sphere: Option<Field<'a>>,
    cylinder: Option<Field<'a>>,
    axis: Option<Field<'a>>,
}

fn read(raw: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let text = ascii(&raw[..raw.len() - 1])?;
    let mut eyes: [Option<Sent>; 2] = [None, None];
    let (mut side, mut distance) = (None, None);
    let mut unknown: Vec<UnknownRecord> = vec![];
    for line in lines(text).into_iter().skip(1) {
        let field = line.field;
        if !line.is_ended {
            return Err(field.malformed("the last line has no end"));
        }
        let slot = match field.text.len() {
            0 => continue,
            1 if field.text == " " => continue,
            1 => {
                side = Some(open_eye(&field, &mut eyes)?);
                continue;
            }
            2 => &mut distance,
            3 => &mut sent(&field, &mut eyes, side)?.axis,
            5 => &mut sent(&field, &mut eyes, side)?.cylinder,
            6 => &mut sent(&field, &mut eyes, side)?.sphere,
            _ if unknown.len() >= UNKNOWN_RECORDS_MAX => {
                return Err(
                    field.malformed("more lines of unknown length than an instrument sends")
                );
            }
            _ => {
                unknown.push(UnknownRecord { offset: field.offset, text: field.text.into() });
                continue;
            }
        };
        if slot.replace(field).is_some() {
            return Err(field.malformed("a second line of the same length"));
        }
    }
    decoded(eyes, distance, unknown, options)
}

fn open_eye(field: &Field, eyes: &mut [Option<Sent>; 2]) -> Result<usize, DecodeError> {
    let side = EYES.iter().position(|(_, token)| *token == field.text);
    let side = side.ok_or_else(|| field.malformed("neither R nor L"))?;
    match eyes[side].replace(Sent::default()) {
        Some(_) => Err(field.malformed("the same eye a second time")),
        None => Ok(side),
    }
}

fn sent<'s, 'a>(
    field: &Field,
    eyes: &'s mut [Option<Sent<'a>>; 2],
    side: Option<usize>,
) -> Result<&'s mut Sent<'a>, DecodeError> {
    side.and_then(|side| eyes[side].as_mut())
        .ok_or_else(|| field.malformed("a value before it is said of which eye"))
}

fn decoded(
    eyes: [Option<Sent>; 2],
    distance: Option<Field>,
    unknown: Vec<UnknownRecord>,
    options: &DriverOptions,
) -> Result<Option<Decoded>, DecodeError> {
    let mut decoded = Decoded::new(instrument(options, "RM-8900"), Integrity::None);
    for ((eye, token), sent) in EYES.into_iter().zip(eyes) {
        let Some(value) = sent.map(|sent| sent.value()).transpose()?.flatten() else { continue };
        let refraction = Refraction {
            shots: vec![Shot::of(value)],
            ..Refraction::new(RefractionKind::Autorefraction)
        };
        decoded.measurements.push(Measurement::of(eye, token, Measured::Refraction(refraction)));
    }
    let far = distance.filter(is_measured).map(|field| field.named("PD").decimal("00"));
    // Nought is no distance: it was not measured.
    if let Some(far) = far.transpose()?.filter(|far| !far.is_zero()) {
        let far_mm = Some(far);
        let distance = PupillaryDistance { far_mm, ..PupillaryDistance::default() };
        let measured = Measured::PupillaryDistance(distance);
        decoded.measurements.push(Measurement::without_token(Eye::Both, measured));
    }
    decoded.unknown_records = unknown;
    if decoded.measurements.is_empty() && decoded.unknown_records.is_empty() {
        return Ok(None);
    }
    flags::complete(&mut decoded);
    Ok(Some(decoded))
}

fn is_measured(field: &Field) -> bool {
    !field.trimmed().text.is_empty()
}

impl Sent<'_> {
    /// Nothing if nothing was measured.
    fn value(&self) -> Result<Option<RefractionValue>, DecodeError> {
        let fields = [self.sphere, self.cylinder, self.axis].map(|field| field.filter(is_measured));
        let [Some(sphere), Some(cylinder), axis] = fields else {
            return match fields.into_iter().flatten().next() {
                Some(field) => Err(field.malformed("an eye without sphere or cylinder")),
                None => Ok(None),
            };
        };
        let sphere = power(&sphere.named("sphere"))?;
        let cylinder_field = cylinder.named("cylinder");
        let cylinder = power(&cylinder_field)?;
        let axis_deg = axis.map(|axis| whole_axis(&axis.named("axis"))).transpose()?;
        if axis_deg.is_none() && !cylinder.is_zero() {
            return Err(cylinder_field.malformed("a cylinder without an axis"));
        }
        let axis_deg = axis_unless_zero(Some(cylinder), axis_deg);
        Ok(Some(RefractionValue { sphere, cylinder, axis_deg, spherical_equivalent: None }))
    }
}

/// Two decimals, with or without a sign, between blanks.
fn power(field: &Field) -> Result<Hundredths, DecodeError> {
    let field = field.trimmed();
    let shapes = ["+00.00", "+0.00", "00.00", "0.00"];
    match shapes.iter().find(|shape| field.has_shape(shape)) {
        Some(shape) => field.decimal(shape),
        None => Err(field.malformed("not a power with two decimals")),
    }
}

/// Blanks stand before it only.
fn whole_axis(field: &Field) -> Result<i16, DecodeError> {
    let field = field.padded()?;
    let shapes = ["0", "00", "000"];
    match shapes.get(field.text.len().wrapping_sub(1)) {
        Some(shape) => field.axis_deg(shape),
        None => Err(field.malformed("not an axis")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::run;

    #[test]
    fn blank_lines_may_stand_before_the_first_eye() {
        let text = "A\r \r\rL\r -1.75\r-0.50\r 14\r\x04";
        let outcome = run(&SPEC, [text.as_bytes()]);
        assert_eq!(outcome.decoded().len(), 1, "{outcome:#?}");
    }

    #[test]
    fn a_distance_of_zero_is_none() {
        let outcome = run(&SPEC, [b"A\rR\r -1.75\r-0.50\r 14\r00\r\x04".as_slice()]);
        assert_eq!(outcome.decoded()[0].measurements.len(), 1, "{outcome:#?}");
    }

    #[test]
    fn an_eye_counts_only_whole() {
        for lines in [
            "R\r -1.75\r-0.50\r",
            "R\r -1.75\r 14\r",
            "R\r-0.50\r 14\r",
            "R\r -1.75\r-0.50\r   \r",
            "R\r -1.75\r-0.50\r 14\r 15\r",
            "R\r -1.75\r-0.50\r 14\rR\r -1.75\r-0.50\r 14\r",
            "R\r -1.75\r-0.50\r 14\rX\r",
            "R\r -1.75\r-0.50\r1 4\r",
            "R\r -1.75\r-0.50\r12 \r",
            "R\r -1.75\r-0.50\r 14",
        ] {
            let text = format!("A\r{lines}\x04");
            let outcome = run(&SPEC, [text.as_bytes()]);
            outcome.assert_conserves(text.as_bytes(), lines);
            assert!(outcome.decoded().is_empty(), "{lines:?}: {outcome:#?}");
        }
    }
}

golden_tests!(SPEC);
