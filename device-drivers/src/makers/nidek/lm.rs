//! NIDEK lensmeters: LM-1000 family, LM-500/600, LM-1800, LM-7.
//!
//! Source: published pages of the interface manuals of the LM-1000 (its longest report of 175 bytes
//! adds up exactly) and the LM-1800P, one reader for the LM-7 family's additions. Proved against
//! constructed transmissions; four published ones (LM-600P three times, LM-7P) were read in full,
//! checksums included.
//!
//! | segment         | columns                             | meaning                              |
//! |-----------------|-------------------------------------|--------------------------------------|
//! | `·R` `·L` `··`  | sph 2–7, cyl 8–13, axis 14–16       | the lens; two blanks: side not given |
//! | `AR` `AL` `A·`  | 2–6 `01.75`                         | addition                             |
//! | `02.50`         | 5 characters, directly after one    | second addition                      |
//! | `NR` `NL` `N·`  | 2–7 `+05.50`                        | near sphere                          |
//! | `+06.25`        | 6 characters, directly after one    | second near sphere                   |
//! | `PR` `PL` `P·`  | 2–6 `00.75`, base 7 `I` `O` `U` `D` | prism, rectangular: up to two        |
//! | `PR` … + `BR` … | 2–6 `02.50`, then 2–4 `270`         | prism, polar: amount and base        |
//! | `PD`            | total 2–5, right 6–9, left 10–13    | mm `62.5`; blank parts are missing,  |
//! |                 |                                     | may end after the total              |
//! | `IE` `DE`       | two characters                      | the instrument could not start, or   |
//! |                 |                                     | not measure; alone, without `ID`     |
//!
//! ```text
//!  R+03.75-02.25007   right lens
//! AR01.75             addition 1.75, and second addition 2.50 in the next segment
//! ```
//!
//! Traps: a single lens has no side and gets none; what has no name belongs to what stands before
//! it; an absent prism is not a prism of zero; parts of an eye whose lens was not sent are kept as
//! text.
//!
//! Unknown: `U…` (transmittance, kept as text); to which lens an error beside lenses belongs;
//! whether `Dlm` is a second pair (read like `DLM` if it comes alone, kept as text beside one).

use super::{
    block::Block,
    link::{self, Draft, EVEN_FIRST, Family, NidekDecoder},
    values::{is_of_numbers, measurement, sphere_cylinder_axis},
};
use crate::{DecodeError, DriverSpec, Ending, Evidence, Setup, Transport, format::fields::Field};
use chiasm_proto::{
    Base, Dioptres, Eye, Flag, FlagCode, Hundredths, Lensometry, Measured, Prism, PrismComponent,
    PupillaryDistance,
};

pub static SPEC: DriverSpec = DriverSpec {
    id: "nidek_lm",
    version: "3",
    vendor: "NIDEK",
    models: &[
        "LM-7",
        "LM-7P",
        "LM-500",
        "LM-600",
        "LM-1000",
        "LM-1000P",
        "LM-1200",
        "LM-1800P",
        "LM-1800PD",
    ],
    yields: &["lensometry", "pupillary_distance"],
    transport: Transport::Serial(EVEN_FIRST),
    evidence: Evidence::Manual,
    ending: Ending::Marked,
    setup: Setup {
        wiring: super::WIRING,
        settings: "Com mode NCP10 (sends at once, with a checksum); 9600 baud, LM-7: 8 N 1, \
                   others 8 E 1; CR code on or off; A.Prt off, or a printer error blocks the \
                   output; Prism Tx on and rectangular coordinates; PD unit on if fitted.",
        dry_test: "Measure a trial lens and print: the lane shows the values of the paper strip.",
    },
    limits: "Not tried on an instrument. Transmittance is kept as text. An error is not \
             attributed to a lens. LM-1000, LM-1200, LM-600: line settings are not published.",
    sniff: |bytes| link::sniff(&FAMILY, bytes),
    new: |options| NidekDecoder::boxed(&FAMILY, options),
};

static FAMILY: Family = Family {
    blocks: &["DLM", "Dlm"],
    has_model: |_| true,
    send_data: |_| b"\x01CLM\x02SD\x17\x04\r",
    read,
};

fn read(blocks: &[Block], draft: &mut Draft) -> Result<(), DecodeError> {
    let main = blocks.iter().find(|block| block.code == "DLM").unwrap_or(&blocks[0]);
    for block in blocks {
        if block.code == main.code {
            Lenses::default().read(block, draft)?;
        } else {
            block.segments.iter().for_each(|segment| draft.keep_unknown(block.code, segment));
        }
    }
    Ok(())
}

/// What a segment without a name would add to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Addition(usize),
    NearSphere(usize),
}

#[derive(Default)]
struct Lenses {
    lenses: Vec<(Eye, Lensometry)>,
    distance: Option<PupillaryDistance>,
    last: Option<Last>,
    error: Option<String>,
}

impl Lenses {
    fn read(mut self, block: &Block, draft: &mut Draft) -> Result<(), DecodeError> {
        for segment in &block.segments {
            let last = self.last.take();
            if !self.segment(segment, last)? {
                draft.keep_unknown(block.code, segment);
            }
        }
        self.append(draft);
        Ok(())
    }

    /// Whether the segment was understood.
    fn segment(&mut self, segment: &Field, last: Option<Last>) -> Result<bool, DecodeError> {
        match segment.name {
            "  " | " R" | " L" => self.lens(segment)?,
            "PD" => match distance(segment)? {
                Some(distance) => once(&mut self.distance, distance, segment)?,
                None => return Ok(false),
            },
            "IE" | "DE" => {
                segment.expect_len(2)?;
                self.error.get_or_insert_with(|| segment.name.to_owned());
            }
            _ if segment.has_shape("00.00") => match last {
                Some(Last::Addition(lens)) => {
                    let value = segment.decimal("00.00")?;
                    once(&mut self.lenses[lens].1.add2, value, segment)?;
                }
                _ => return Ok(false),
            },
            _ if segment.has_shape("+00.00") => match last {
                Some(Last::NearSphere(lens)) => {
                    let value = segment.decimal("+00.00")?;
                    once(&mut self.lenses[lens].1.near_sphere2, value, segment)?;
                }
                _ => return Ok(false),
            },
            _ => return self.part(segment),
        }
        Ok(true)
    }

    fn lens(&mut self, segment: &Field) -> Result<(), DecodeError> {
        let eye = eye_of(segment.name).unwrap_or(Eye::NotGiven);
        segment.expect_len(17)?;
        let value = sphere_cylinder_axis(segment, 2)?;
        if self.lenses.iter().any(|(known, _)| *known == eye) {
            return Err(segment.malformed("a second lens of the same side"));
        }
        let lens = Lensometry {
            sphere: Some(value.sphere),
            cylinder: Some(value.cylinder),
            axis_deg: value.axis_deg,
            ..Lensometry::default()
        };
        self.lenses.push((eye, lens));
        Ok(())
    }

    /// Addition, near sphere or prism of a lens that was sent before.
    fn part(&mut self, segment: &Field) -> Result<bool, DecodeError> {
        let (kind, eye) = (segment.name.as_bytes()[0], eye_of(segment.name));
        let at = self.lenses.iter().position(|(known, _)| Some(*known) == eye);
        let Some(at) = at.filter(|_| matches!(kind, b'A' | b'N' | b'P' | b'B')) else {
            return Ok(false);
        };
        let rest = segment.columns(2, segment.text.len().saturating_sub(2), segment.name)?;
        let lens = &mut self.lenses[at].1;
        match kind {
            b'A' => {
                once(&mut lens.add, rest.decimal("00.00")?, segment)?;
                self.last = Some(Last::Addition(at));
            }
            b'N' => {
                once(&mut lens.near_sphere, rest.decimal("+00.00")?, segment)?;
                self.last = Some(Last::NearSphere(at));
            }
            b'P' => prism(lens.prism.get_or_insert_default(), &rest)?,
            _ => {
                let prism = lens.prism.get_or_insert_default();
                let base = rest.whole("000")?;
                if !(0..=360).contains(&base) {
                    return Err(rest.malformed("a base is 0 to 360 degrees"));
                }
                once(&mut prism.base_deg, i16::try_from(base).unwrap_or_default(), segment)?;
            }
        }
        Ok(true)
    }

    fn append(self, draft: &mut Draft) {
        for (eye, lens) in &self.lenses {
            let half = lens
                .prism
                .as_ref()
                .is_some_and(|prism| prism.amount.is_some() != prism.base_deg.is_some());
            if half {
                let side = eye.abbreviation();
                let detail =
                    format!("{side}: of a prism only the amount or only the base was sent");
                draft.decoded.flags.push(Flag { code: FlagCode::Inconsistent, detail });
            }
        }
        let has_lens = !self.lenses.is_empty();
        let lenses = self.lenses.into_iter();
        let lenses = lenses.map(|(eye, lens)| measurement(eye, Measured::Lensometry(lens)));
        draft.decoded.measurements.extend(lenses);
        match self.error {
            Some(error) if has_lens => {
                let detail = format!("the instrument reports {error} after the lenses sent");
                draft.decoded.flags.push(Flag { code: FlagCode::InstrumentError, detail });
            }
            Some(error) => {
                let lens = Lensometry { error: Some(error), ..Lensometry::default() };
                let only = measurement(Eye::NotGiven, Measured::Lensometry(lens));
                draft.decoded.measurements.push(only);
            }
            None => {}
        }
        if let Some(distance) = self.distance.filter(|sent| *sent != Default::default()) {
            let measured = Measured::PupillaryDistance(distance);
            draft.decoded.measurements.push(measurement(Eye::Both, measured));
        }
    }
}

fn eye_of(name: &str) -> Option<Eye> {
    match name.as_bytes() {
        [_, b'R'] => Some(Eye::Right),
        [_, b'L'] => Some(Eye::Left),
        [_, b' '] => Some(Eye::NotGiven),
        _ => None,
    }
}

fn once<V>(slot: &mut Option<V>, value: V, segment: &Field) -> Result<(), DecodeError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(segment.malformed("sent twice for the same lens")),
    }
}

fn prism(prism: &mut Prism, rest: &Field) -> Result<(), DecodeError> {
    let amount: Dioptres = rest.columns(0, 5, rest.name)?.decimal("00.00")?;
    let (slot, base) = match &rest.text[5..] {
        "" => return once(&mut prism.amount, amount, rest),
        "I" => (&mut prism.horizontal, Base::In),
        "O" => (&mut prism.horizontal, Base::Out),
        "U" => (&mut prism.vertical, Base::Up),
        "D" => (&mut prism.vertical, Base::Down),
        _ => return Err(rest.malformed("a base is one of I, O, U, D")),
    };
    once(slot, PrismComponent { amount, base }, rest)
}

/// Nothing if the form is not known: it is kept as text, and the lenses beside it are read.
fn distance(segment: &Field) -> Result<Option<PupillaryDistance>, DecodeError> {
    let part = |from: usize| -> Result<Option<Hundredths>, DecodeError> {
        let field = segment.columns(from, 4, "PD")?;
        if field.text == "    " { Ok(None) } else { field.decimal("00.0").map(Some) }
    };
    match segment.text.len() {
        6 => Ok(Some(PupillaryDistance { far_mm: part(2)?, ..Default::default() })),
        14 => Ok(Some(PupillaryDistance {
            far_mm: part(2)?,
            right_mm: part(6)?,
            left_mm: part(10)?,
            ..Default::default()
        })),
        _ if is_of_numbers(&segment.text[2..]) => Ok(None),
        found => Err(segment.malformed(format!("{found} characters, expected 6 or 14"))),
    }
}

golden_tests!(SPEC);
