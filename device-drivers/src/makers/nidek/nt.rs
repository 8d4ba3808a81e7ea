//! NIDEK non-contact tonometers and pachymeters: NT-510, NT-530, NT-1, NT-3000.
//!
//! Source: tail and pressures as in a public capture and one independent reader; the plain form and
//! several shots from the description of one reader's authors; marks and the NT-3000 from the tests
//! of a third. Proved against constructed transmissions only; those in the tests of the last two
//! readers are read as they expect.
//!
//! | part   | form                                             | meaning                          |
//! |--------|--------------------------------------------------|----------------------------------|
//! | eye    | `·R` `·L`, the blank may be missing              | side                             |
//! | count  | 2 digits                                         | shots, by the instrument's count |
//! | shots  | `21` `21.0` `21/2.8`; `0541`; after any blanks   | mmHg (and kPa); µm in `DPM`      |
//! | failed | `APL` `OVR` `ERR` (`BLK` `ALM` `ERR` in `DPM`)   | in place of a value, verbatim    |
//! | mark   | `*` `*1` `*2` behind a shot                      | unsure, verbatim                 |
//! | tail   | `AV` + value, `AV12.0/1.60` `AV0541`             | the instrument's average         |
//!
//! ```text
//!  L01    12/1.6  AV12.0/1.60
//! R03 11.0 APL 12.0 AV11.5/1.5
//!  R03    10   12    13   11.7
//! ```
//!
//! An NT-3000 sends whole numbers and its average behind them without a name, as the last line: it
//! is known by its decimal, by being one more than the count says, and by lying among the shots.
//!
//! Whether the count includes failed shots is not known: it has to fit one of both, else it is
//! flagged. mmHg and kPa are rounded each by itself. An asterisk behind a value, with a digit or
//! without (`10/1.3*1` in a reader of the TONOREF II), is taken for the maker's mark of an unsure
//! shot. A second line for the same eye refuses the transmission.

use super::{
    block::Block,
    link::{self, Draft, Family, NidekDecoder, ODD_FIRST},
    values::{EYES, measurement},
};
use crate::{DecodeError, DriverSpec, Ending, Evidence, Setup, Transport, format::fields::Field};
use chiasm_proto::{
    Confidence, Eye, Flag, FlagCode, Hundredths, IopValue, Measured, Pachymetry, Representative,
    Shot, Tonometry, TonometryMethod,
};

/// Most shots in one line.
const SHOTS_MAX: usize = 32;
const AVERAGE: &str = "average";

pub static SPEC: DriverSpec = DriverSpec {
    id: "nidek_nt",
    version: "3",
    vendor: "NIDEK",
    models: &["NT-1", "NT-1p", "NT-510", "NT-530", "NT-3000"],
    yields: &["tonometry", "pachymetry"],
    transport: Transport::Serial(ODD_FIRST),
    evidence: Evidence::SingleSource,
    ending: Ending::Marked,
    setup: Setup {
        wiring: super::WIRING,
        settings: "I/F mode NCP10 (best: sends at once, with a checksum) or NIDEK; 9600 baud 8 O \
                   1; CR code on or off.",
        dry_test: "Print a measurement of the model eye: the lane shows the values of the paper \
                   strip.",
    },
    limits: "Not tried on an instrument. Several shots and failed shots in one line are known from \
             one source. NT-3000: by the tests of one reader. NT-2000 is not known.",
    sniff: |bytes| link::sniff(&FAMILY, bytes),
    new: |options| NidekDecoder::boxed(&FAMILY, options),
};

static FAMILY: Family = Family {
    blocks: &["DNT", "DPM"],
    has_model: |model| !model.is_some_and(super::tonoref::is_tonoref),
    // The tonometer's name has a lower-case t in commands.
    send_data: |_| b"\x01CNt\x02SD\x17\x04\r",
    read: |blocks, draft| blocks.iter().try_for_each(|block| read_block(block, draft)),
};

/// Reads one `DNT` or `DPM` block; right before left.
pub(super) fn read_block(block: &Block, draft: &mut Draft) -> Result<(), DecodeError> {
    let mut eyes = [None, None];
    for segment in &block.segments {
        let Some((eye, rest)) = side(segment) else {
            draft.keep_unknown(block.code, segment);
            continue;
        };
        let line = Line::read(rest)?;
        line.check_count(eye, draft);
        let measured = match block.code {
            "DNT" => Measured::Tonometry(line.tonometry()?),
            _ => Measured::Pachymetry(line.pachymetry()?),
        };
        let at = usize::from(eye == Eye::Left);
        if eyes[at].replace(measurement(eye, measured)).is_some() {
            return Err(segment.malformed("a second line for the same eye"));
        }
    }
    draft.decoded.measurements.extend(eyes.into_iter().flatten());
    Ok(())
}

/// The eye, and what follows it, if the segment is a line of an eye at all: a letter and the count.
fn side<'a>(segment: &Field<'a>) -> Option<(Eye, Field<'a>)> {
    let indent = segment.text.len() - segment.text.trim_start_matches(' ').len();
    let mut text = segment.text[indent..].chars();
    let letter = text.next()?;
    let (eye, _) = EYES.into_iter().find(|(_, known)| *known == letter)?;
    let rest = text.as_str();
    let is_line = indent <= 1 && rest.starts_with(|first: char| first.is_ascii_digit());
    let name = if letter == 'R' { "R" } else { "L" };
    is_line.then(|| (eye, Field::new(rest, segment.offset + indent + 1, name)))
}

/// A line cut at its blanks.
struct Line<'a> {
    count: u32,
    shots: Vec<Field<'a>>,
    average: Option<Field<'a>>,
}

impl<'a> Line<'a> {
    fn read(rest: Field<'a>) -> Result<Self, DecodeError> {
        let mut words = words(rest);
        let first = words.remove(0);
        let count = first.whole("00")?.unsigned_abs();
        let average = take_average(&mut words)?.or_else(|| unnamed_average(count, &mut words));
        if words.len() > SHOTS_MAX {
            return Err(rest.malformed(format!("more than {SHOTS_MAX} shots")));
        }
        Ok(Self { count, shots: words, average })
    }

    fn check_count(&self, eye: Eye, draft: &mut Draft) {
        let failed = self.shots.iter().filter(|shot| is_error(shot.text)).count();
        let fits = [self.shots.len(), self.shots.len() - failed]
            .iter()
            .any(|shots| u32::try_from(*shots) == Ok(self.count));
        if !fits {
            let (count, shots) = (self.count, self.shots.len());
            let side = eye.abbreviation();
            let detail = format!("{side}: {count} shots are announced, {shots} were sent");
            draft.decoded.flags.push(Flag { code: FlagCode::Inconsistent, detail });
        }
    }

    fn tonometry(&self) -> Result<Tonometry, DecodeError> {
        Ok(Tonometry {
            method: TonometryMethod::NonContact,
            count_as_sent: Some(self.count),
            representative: self.average(pressure)?,
            shots: self.shots(pressure)?,
            corrected: vec![],
        })
    }

    fn pachymetry(&self) -> Result<Pachymetry, DecodeError> {
        Ok(Pachymetry {
            count_as_sent: Some(self.count),
            representative_um: self.average(thickness_um)?,
            shots_um: self.shots(thickness_um)?,
        })
    }

    fn average<V>(&self, read: Reader<V>) -> Result<Option<Representative<V>>, DecodeError> {
        let Some(field) = &self.average else { return Ok(None) };
        Ok(Some(Representative { label: AVERAGE.into(), value: read(field)? }))
    }

    fn shots<V>(&self, read: Reader<V>) -> Result<Vec<Shot<V>>, DecodeError> {
        let shot = |field: &Field<'a>| -> Result<Shot<V>, DecodeError> {
            if is_error(field.text) {
                return Ok(Shot::failed(field.text));
            }
            let (text, mark) = split_mark(field)?;
            let value = read(&Field::new(text, field.offset, field.name))?;
            let unsure = |mark: &str| Confidence {
                as_sent: mark.to_owned(),
                scale: "NIDEK *".into(),
                low: true,
            };
            Ok(Shot { confidence: mark.map(unsure), ..Shot::of(value) })
        };
        self.shots.iter().map(shot).collect()
    }
}

/// Cuts `*`, `*1`, `*2` off a shot. A digit there must not be taken for one of the value, so
/// nothing else may follow.
fn split_mark<'a>(field: &Field<'a>) -> Result<(&'a str, Option<&'a str>), DecodeError> {
    let Some(at) = field.text.find('*') else { return Ok((field.text, None)) };
    let (text, mark) = field.text.split_at(at);
    match mark.as_bytes() {
        [b'*'] | [b'*', b'0'..=b'9'] => Ok((text, Some(mark))),
        _ => Err(field.malformed("not a mark of an unsure shot")),
    }
}

/// Takes the tail off: `AV12.0/1.60`, `AV 9.0/1.20`. Where no shot is good it may hold no value.
fn take_average<'a>(words: &mut Vec<Field<'a>>) -> Result<Option<Field<'a>>, DecodeError> {
    let Some(at) = words.iter().rposition(|word| word.text.starts_with("AV")) else {
        return Ok(None);
    };
    let tail = words.split_off(at);
    let inside = tail[0].columns(2, tail[0].text.len() - 2, "AV")?;
    let average = match &tail[1..] {
        [] => inside,
        [padded] if inside.text.is_empty() => Field { name: "AV", ..*padded },
        _ => return Err(inside.malformed("something behind the average")),
    };
    let is_blank = average.text.bytes().all(|byte| matches!(byte, b'-' | b'/'));
    let is_empty = is_blank || is_error(average.text);
    if is_empty && words.iter().any(|word| !is_error(word.text)) {
        return Err(average.malformed("no average of good shots"));
    }
    Ok((!is_empty).then_some(average))
}

/// The average of an instrument that does not name it: one number more than it announces shots, the
/// last one, with a decimal where the shots are whole numbers, and in the midst of them.
fn unnamed_average<'a>(count: u32, words: &mut Vec<Field<'a>>) -> Option<Field<'a>> {
    let (last, shots) = words.split_last()?;
    let is_average = ["00.0", "0.0"].iter().any(|shape| last.has_shape(shape));
    if !is_average || u32::try_from(shots.len()) != Ok(count) {
        return None;
    }
    let whole = |shot: &Field| shot.whole(&"00"[..shot.text.len().clamp(1, 2)]).ok();
    let shots = shots.iter().map(whole).collect::<Option<Vec<i32>>>()?;
    let average = last.hundredths().ok()?.0;
    let is_within = *shots.iter().min()? * 100 <= average && average <= *shots.iter().max()? * 100;
    if is_within { words.pop() } else { None }
}

type Reader<V> = fn(&Field) -> Result<V, DecodeError>;

/// Three capital letters stand where a value would, also for both units: the shot failed.
fn is_error(text: &str) -> bool {
    let is_code =
        |text: &str| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    text.split_once('/').map_or(is_code(text), |(mmhg, kpa)| is_code(mmhg) && is_code(kpa))
}

fn words(field: Field<'_>) -> Vec<Field<'_>> {
    let mut words = Vec::new();
    let mut at = 0;
    for word in field.text.split(' ') {
        if !word.is_empty() {
            words.push(Field::new(word, field.offset + at, field.name));
        }
        at += word.len() + 1;
    }
    words
}

fn pressure(field: &Field) -> Result<IopValue, DecodeError> {
    let (mmhg, kpa) = match field.text.split_once('/') {
        Some((mmhg, kpa)) => (mmhg, Some(kpa)),
        None => (field.text, None),
    };
    let number = |text: &str, at: usize, shapes: &[&str]| -> Result<Hundredths, DecodeError> {
        let field = Field::new(text, field.offset + at, field.name);
        match shapes.iter().find(|shape| field.has_shape(shape)) {
            Some(shape) => field.decimal(shape),
            None => Err(field.malformed("not a pressure")),
        }
    };
    let iop_mmhg = number(mmhg, 0, &["00", "0", "00.0", "0.0"])?;
    let kpa_shapes = ["0.0", "0.00", "00.0", "00.00"];
    let iop_kpa = kpa.map(|kpa| number(kpa, mmhg.len() + 1, &kpa_shapes)).transpose()?;
    Ok(IopValue { iop_mmhg, iop_kpa })
}

fn thickness_um(field: &Field) -> Result<u16, DecodeError> {
    let shape = if field.text.len() == 3 { "000" } else { "0000" };
    let um = field.whole(shape)?;
    u16::try_from(um).map_err(|_| field.malformed("not a thickness"))
}

golden_tests!(SPEC);
