//! Tomey RC-5000 and RC-800, Rodenstock CX 2000, output "Form": lines of tags.
//!
//! Source: three independent readers that agree on the tags. Proved against constructed transmissions
//! only; not tried on an instrument.
//!
//! | tag                | fields                               | read as                          |
//! |--------------------|--------------------------------------|----------------------------------|
//! | `[PT_ID]`          | id, perhaps behind a `*`             | claimed patient                  |
//! | `[VD]` `[PD]`      | mm                                   | vertex, pupillary distance; the  |
//! |                    |                                      | first counts if there are more   |
//! | `[FM_IF]`          | `REF` or `KERATO`, …                 | opens a part                     |
//! | `[N_R]` `[N_L]`    | counts                               | ignored: readers distrust them   |
//! | `[POWER_x]`        | `A` or number, sphere, cyl, axis, …  | average, or one reading          |
//! | `[INF_x]`          | `A` or number, …                     | opens a block of the tags below  |
//! | `[K1_x]` `[K2_x]`  | mm, D, axis                          | the meridians                    |
//! | `[AV_x]` `[CYL_x]` | mm, D; D, axis                       | mean, cylinder                   |
//! | `[KAI_x]` `[KRI_x]`| not published (CX 2000 only)         | kept as text                     |
//!
//! ```text
//! [PT_ID],0412
//! [FM_IF],REF
//! [POWER_R],1,-2.50,-0.75,171,8
//! [POWER_R],A,-2.50,-0.75,171,8      the average: the result
//! ```
//!
//! Traps: lines end in CR LF (RC-5000) or LF (RC-800); a `*` may stand before the first tag;
//! numbers may have a leading blank; a reader that takes the last `POWER` line takes the average
//! only because it happens to come last. Blank powers were not measured. Without an `A` line
//! none is chosen here. Where one
//! transmission ends and the next begins without a pause is known by `[PT_ID]`, by the tag that
//! opened the first one, or by a second part of the same kind: a patient without `[PT_ID]` must not
//! get the id of the one before. A power without its sign is refused unless it is zero.
//!
//! `[PT_ID]` is claimed as the patient's id. It could be a running number in a practice that types
//! none; a claim alone files nothing, it can only make the cloud hold a reading, while an id that
//! is not claimed could let one into another patient's exam. So claiming it is the safe side.
//!
//! Unknown: the last field of `POWER` (ignored: it is no confidence as far as anybody published),
//! what a failed reading looks like, fields behind `KERATO`.

use super::{
    form_cornea::{Block, exactly},
    values::{
        EYES, LEN_MAX, Last, SHOTS_MAX, SILENCE, VENDOR, chosen, claim, distance, draft, eye_at,
        finish, free_value, is_blank, is_whole, keep_unknown, line, line_starts, measurement, once,
        whole_lines,
    },
};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, Evidence, LineSettings, Parity, Setup, Sniff,
    Transport,
    format::{
        fields::Field,
        stream::{End, Protocol, StreamDecoder, find},
    },
};
use chiasm_proto::{
    Decoded, Eye, Hundredths, Keratometry, Measured, Measurement, PupillaryDistance, Refraction,
    RefractionKind, RefractionValue, Shot,
};

const FAMILY: &str = "RC-5000 / CX 2000 / RC-800";
const AVERAGE: &str = "average";
/// Tags with which a transmission may begin.
const OPENINGS: [&[u8]; 3] = [PATIENT, DISTANCE, PART];
const PATIENT: &[u8] = b"[PT_ID],";
const DISTANCE: &[u8] = b"[VD],";
const PART: &[u8] = b"[FM_IF],";
/// A star and its line end, which may stand before the first tag.
const STAR_LEN_MAX: usize = 3;
/// Fields of a `POWER` line with its tag: five have a meaning, readers expect at least six.
const POWER_FIELDS: std::ops::RangeInclusive<usize> = 5..=8;

const LINES: &[LineSettings] = &[line(38400, 8, Parity::None, 1), line(9600, 8, Parity::None, 1)];

pub static SPEC: DriverSpec = DriverSpec {
    id: "tomey_form",
    version: "1",
    vendor: VENDOR,
    models: &["RC-5000 (Form)", "Rodenstock CX 2000", "RC-800"],
    yields: &["refraction", "keratometry", "pupillary_distance"],
    transport: Transport::Serial(LINES),
    evidence: Evidence::Manual,
    ending: Ending::Silence,
    setup: Setup {
        wiring: "RS-232. Which cable is not published; if nothing arrives, try a crossed one.",
        settings: "Output format \"Form\"; RC-5000 and CX 2000: 38400 baud 8 N 1. The RC-800's \
                   line settings are not published: set 38400 8 N 1, or 9600 8 N 1.",
        dry_test: "Print a measurement of the model eye: the lane shows the values of the paper \
                   strip.",
    },
    limits: "Not tried on an instrument. The last field of a POWER line has no published meaning \
             and is not read. KAI and KRI of the CX 2000 are kept as text. A transmission with a \
             failed reading may be refused: what one looks like is not known. So is a power \
             without its sign. No mark ends a transmission.",
    sniff,
    new: |options| StreamDecoder::boxed(&PROTOCOL, options),
};

static PROTOCOL: Protocol =
    Protocol { begins, ends, silence: SILENCE, ends_by_silence: true, len_max: LEN_MAX, read };

fn sniff(bytes: &[u8]) -> Sniff {
    match (begins(bytes), find(bytes, b"[FM_IF],")) {
        (Some(_), Some(_)) => Sniff::Yes,
        (Some(_), None) => Sniff::Perhaps,
        (None, _) => Sniff::No,
    }
}

/// The tag with which a transmission begins here, if one does; a `*` may stand before it.
fn opening(bytes: &[u8]) -> Option<&'static [u8]> {
    let behind_star = bytes.strip_prefix(b"*").map(|rest| {
        let rest = rest.strip_prefix(b"\r").unwrap_or(rest);
        rest.strip_prefix(b"\n").unwrap_or(rest)
    });
    let rest = behind_star.unwrap_or(bytes);
    OPENINGS.into_iter().find(|tag| rest.starts_with(tag))
}

fn begins(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).find(|at| opening(&bytes[*at..]).is_some())
}

/// Before the tag that opened this transmission, a patient, or a part of a kind that was there. A
/// `VD` line right before that part goes with it.
fn ends(bytes: &[u8]) -> End {
    let first = opening(bytes);
    let mut kinds: Vec<&[u8]> = vec![];
    let mut distance_at = None;
    for at in std::iter::once(0).chain(line_starts(bytes)) {
        let here = opening(&bytes[at..]);
        if at > 0 && here.is_some_and(|tag| tag == PATIENT || Some(tag) == first) {
            return End::After(at);
        }
        if let Some(kind) = part_kind(&bytes[at..]) {
            if kinds.contains(&kind) {
                return End::After(distance_at.unwrap_or(at));
            }
            kinds.push(kind);
        }
        let is_line_end = matches!(bytes.get(at), Some(b'\r' | b'\n'));
        if !is_line_end {
            distance_at = Some(at).filter(|at| *at > 0 && here == Some(DISTANCE));
        }
    }
    End::NotYet
}

/// The kind of the part that a line opens, once the byte behind it is there.
fn part_kind(bytes: &[u8]) -> Option<&[u8]> {
    let at = find(&bytes[..bytes.len().min(STAR_LEN_MAX + PART.len())], PART)?;
    let kind = &bytes[at + PART.len()..];
    let len = kind.iter().position(|byte| matches!(byte, b',' | b'\r' | b'\n'))?;
    (opening(bytes) == Some(PART)).then(|| kind[..len].trim_ascii())
}

fn read(bytes: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let mut print = Print::new(draft(options, FAMILY));
    for (index, line) in whole_lines(bytes, last, &mut print.decoded)?.into_iter().enumerate() {
        match line.text {
            "*" if index == 0 => {}
            _ => print.line(line, index == 0)?,
        }
    }
    print.finish()
}

/// A `POWER` line is whole with anything behind its axis, which is not read.
fn last(line: &Field) -> Last {
    let fields = line.split(',');
    let (Ok(name), [_, .., value]) = (tag(&fields[0], false), &fields[..]) else {
        return Last::Cut;
    };
    let has_decimal =
        |text: &str| text.rsplit_once('.').is_some_and(|(_, decimals)| !decimals.trim().is_empty());
    let is_last_whole = match name.rsplit_once('_').map_or(name, |(name, _)| name) {
        "POWER" => fields.len() > *POWER_FIELDS.start() || is_whole(value),
        "K1" | "K2" => fields.len() == 4 && is_whole(value),
        "AV" | "CYL" => fields.len() == 3 && is_whole(value),
        "PD" | "VD" => has_decimal(value.text),
        "PT" | "FM" | "N" | "INF" => false,
        _ => return Last::Text,
    };
    if is_last_whole { Last::Whole } else { Last::Cut }
}

/// What was read so far.
struct Print<'a> {
    decoded: Decoded,
    /// Not inside a part of a kind that is not known.
    is_known_part: bool,
    vertex_distance_mm: Option<Option<Hundredths>>,
    far_mm: Option<Option<Hundredths>>,
    refracted: [Refracted; 2],
    cornea: [Vec<Block<'a>>; 2],
}

#[derive(Default)]
struct Refracted {
    average: Option<RefractionValue>,
    shots: Vec<Shot<RefractionValue>>,
}

impl<'a> Print<'a> {
    fn new(decoded: Decoded) -> Self {
        Self {
            decoded,
            is_known_part: true,
            vertex_distance_mm: None,
            far_mm: None,
            refracted: Default::default(),
            cornea: Default::default(),
        }
    }

    fn line(&mut self, line: Field<'a>, is_first: bool) -> Result<(), DecodeError> {
        let mut fields = line.split(',');
        let tag = tag(&fields[0], is_first)?;
        fields.iter_mut().for_each(|field| field.name = tag);
        if let Some(field) = fields[1..].iter().find(|field| field.text.contains(['[', ']'])) {
            return Err(field.malformed("a second tag: a line end was lost"));
        }
        let side = tag.rsplit_once('_').and_then(|(name, letter)| Some((name, eye_at(letter)?)));
        let (name, eye) = side.map_or((tag, None), |(name, eye)| (name, Some(eye)));
        match (name, eye) {
            ("PT_ID", None) => self.patient(&fields),
            ("VD" | "PD", None) => {
                let [_, value] = exactly(&fields)?;
                let sent = distance(&value)?;
                let known = match name {
                    "VD" => &mut self.vertex_distance_mm,
                    _ => &mut self.far_mm,
                };
                // Each part may have its own; what says otherwise than the first is told.
                if *known.get_or_insert(sent) != sent {
                    keep_unknown(&mut self.decoded, &line);
                }
                Ok(())
            }
            ("FM_IF", None) => {
                let part = fields.get(1).map_or("", |field| field.text.trim());
                self.is_known_part = matches!(part, "REF" | "KERATO");
                if !self.is_known_part {
                    keep_unknown(&mut self.decoded, &line);
                }
                Ok(())
            }
            ("N", Some(_)) => Ok(()),
            ("POWER", Some(eye)) if self.is_known_part => self.power(eye, &fields),
            ("INF", Some(eye)) if self.is_known_part => self.block(eye, line, &fields),
            ("K1" | "K2" | "AV" | "CYL", Some(eye)) if self.is_known_part => {
                let block = self.cornea[eye].last_mut();
                let block = block.ok_or_else(|| fields[0].malformed("no INF line before it"))?;
                block.line(name, &fields)
            }
            _ => {
                keep_unknown(&mut self.decoded, &line);
                Ok(())
            }
        }
    }

    fn patient(&mut self, fields: &[Field]) -> Result<(), DecodeError> {
        let [_, id] = exactly(fields)?;
        match claim(&id)? {
            Some(claim) => once(&mut self.decoded.claimed_patient, claim, &id),
            None => Ok(()),
        }
    }

    fn power(&mut self, eye: usize, fields: &[Field]) -> Result<(), DecodeError> {
        let [tag, which, sphere, cylinder, axis, ..] = fields else {
            return Err(fields[0].malformed(format!("{} fields", fields.len())));
        };
        if !POWER_FIELDS.contains(&fields.len()) {
            return Err(tag.malformed(format!("{} fields", fields.len())));
        }
        if is_blank([sphere, cylinder, axis]) {
            return Ok(()); // not measured
        }
        let value = free_value(sphere, cylinder, axis)?;
        let eye = &mut self.refracted[eye];
        match number(which)? {
            None => once(&mut eye.average, value, tag),
            no if eye.shots.len() < SHOTS_MAX => {
                eye.shots.push(Shot { no, ..Shot::of(value) });
                Ok(())
            }
            Some(_) => Err(tag.malformed(format!("more than {SHOTS_MAX} readings"))),
        }
    }

    fn block(
        &mut self,
        eye: usize,
        opening: Field<'a>,
        fields: &[Field],
    ) -> Result<(), DecodeError> {
        let [tag, which, ..] = fields else {
            return Err(fields[0].malformed("no number and no A"));
        };
        if self.cornea[eye].len() >= SHOTS_MAX {
            return Err(tag.malformed(format!("more than {SHOTS_MAX} readings")));
        }
        let no = number(which)?;
        if no.is_none() && self.cornea[eye].iter().any(|block| block.no.is_none()) {
            return Err(tag.malformed("a second average of the same eye"));
        }
        self.cornea[eye].push(Block::new(opening, no));
        Ok(())
    }

    fn finish(mut self) -> Result<Option<Decoded>, DecodeError> {
        for (at, eye) in self.refracted.into_iter().enumerate() {
            if eye.average.is_none() && eye.shots.is_empty() {
                continue;
            }
            let refraction = Refraction {
                vertex_distance_mm: self.vertex_distance_mm.flatten(),
                representative: eye.average.map(|value| chosen(AVERAGE, value)),
                shots: eye.shots,
                ..Refraction::new(RefractionKind::Autorefraction)
            };
            self.decoded.measurements.push(measurement(at, Measured::Refraction(refraction)));
        }
        for (at, blocks) in (0..EYES.len()).zip(self.cornea) {
            let mut keratometry = Keratometry::default();
            for block in &blocks {
                match (block.value()?, block.no) {
                    (None, _) => keep_unknown(&mut self.decoded, &block.opening),
                    (Some(value), None) => {
                        keratometry.representative = Some(chosen(AVERAGE, value));
                    }
                    (Some(value), no) => keratometry.shots.push(Shot { no, ..Shot::of(value) }),
                }
            }
            if keratometry != Keratometry::default() {
                let measured = Measured::Keratometry(keratometry);
                self.decoded.measurements.push(measurement(at, measured));
            }
        }
        if let Some(far_mm) = self.far_mm.flatten() {
            let distance = PupillaryDistance { far_mm: Some(far_mm), ..Default::default() };
            let measured = Measured::PupillaryDistance(distance);
            self.decoded.measurements.push(Measurement::without_token(Eye::Both, measured));
        }
        finish(self.decoded)
    }
}

/// The name in a tag's brackets.
fn tag<'a>(field: &Field<'a>, is_first: bool) -> Result<&'a str, DecodeError> {
    let text = field.text;
    let text = if is_first { text.strip_prefix('*').unwrap_or(text) } else { text };
    let name = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let is_letter = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
    name.filter(|name| !name.is_empty() && name.bytes().all(is_letter))
        .ok_or_else(|| field.malformed("not a tag in brackets"))
}

/// `A` gives none, a reading its number.
fn number(field: &Field) -> Result<Option<u32>, DecodeError> {
    let field = field.trimmed();
    if field.text == "A" {
        return Ok(None);
    }
    let is_number = field.has_shape("0") || field.has_shape("00");
    let number = is_number.then(|| field.text.parse().ok()).flatten();
    number.map(Some).ok_or_else(|| field.malformed("neither A nor the number of a reading"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Result<Option<Decoded>, DecodeError> {
        read(text.as_bytes(), &DriverOptions::default())
    }

    #[test]
    fn a_comma_that_was_a_point_is_refused() {
        for line in [
            "[POWER_R],A,-1.75,-0,50,14,9",
            "[POWER_R],A,-1,75,-0.50,14,9",
            "[POWER_R],A,-1.75,-0.50,14.9",
            "[POWER_R],A,1.75,-0.50,14,9",
            "[POWER_R],A,-1.75, 0.50,14,9",
            "[POWER_R],A,-1.75,-0.50,12 ,9",
            "[PD],63,5",
        ] {
            assert!(decode(&format!("[FM_IF],REF\n{line}\n")).is_err(), "{line}");
        }
    }

    #[test]
    fn a_last_line_without_its_end_is_read_if_nothing_can_be_missing() {
        for (last, is_read) in [
            ("[PD],63.5", true),
            ("[PD],63.", false),
            ("[PD],63", false),
            ("[POWER_L],A,-1.75,-0.50,14,", true),
            ("[POWER_L],A,-1.75,-0.50,14", false),
            ("[POWER_L],A,-1.75,-0.50,140", true),
            ("[KAI_L],  4.0,34", true),
            ("[KAI", false),
        ] {
            let read = decode(&format!("[FM_IF],REF\n[POWER_R],A,-1.75,-0.50,14,9\n{last}"));
            assert_eq!(read.is_ok(), is_read, "{last}");
        }
        let cornea = "[FM_IF],KERATO\n[INF_R],A,\n[K1_R], 7.81, 43.21,12\n[K2_R], 7.68, 43.95,102";
        assert!(decode(cornea).is_ok() && decode(&cornea[..cornea.len() - 1]).is_err());
    }

    #[test]
    fn the_average_is_never_the_last_line_by_chance() {
        let text = "[FM_IF],REF\n[POWER_R],A,-1.75,-0.50,14,9\n[POWER_R],1,-9.00,-0.50,14,9\n";
        let decoded = decode(text).unwrap().unwrap();
        let Measured::Refraction(refraction) = &decoded.measurements[0].measured else { panic!() };
        let average = refraction.representative.as_ref().unwrap();
        assert_eq!(average.value.sphere, Hundredths(-175));
    }

    #[test]
    fn a_part_of_unknown_kind_gives_no_refraction() {
        let text = "[FM_IF],CYCLO\n[POWER_R],A,-1.75,-0.50,14,9\n";
        assert_eq!(decode(text).unwrap_err().code, crate::ErrorCode::NotRead);
    }

    #[test]
    fn a_second_part_of_a_kind_is_the_next_patients() {
        let first = "[PT_ID],0087\r\n[FM_IF],REF\r\n[POWER_R],A,-1.75,-0.50,14,9\r\n";
        let second = "[FM_IF],REF\r\n[POWER_L],A,+2.00,+0.00,0,9\r\n";
        // The LF of the line end before it stands in front of the next transmission or not at all.
        let cut = |text: &str| match ends(text.as_bytes()) {
            End::After(len) => text[len..].trim_start().to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(cut(&format!("{first}{second}")), second);
        assert_eq!(cut(&format!("{first}[VD],12.0\r\n{second}")), format!("[VD],12.0\r\n{second}"));
        let cornea = "[FM_IF],KERATO,1\r\n[INF_R],A,\r\n";
        assert_eq!(ends(format!("{first}{cornea}").as_bytes()), End::NotYet);
        assert_eq!(cut(&format!("{first}{cornea}{cornea}")), cornea);
        assert_eq!(ends(format!("{first}[FM_IF],REF").as_bytes()), End::NotYet, "may be REFX");
    }

    #[test]
    fn a_cornea_without_radii_was_not_measured() {
        let none = "[FM_IF],KERATO\n[INF_R],A,\n[K1_R],0.00,0.00,0\n[K2_R],0.00,0.00,0\n";
        let text = format!("{none}[FM_IF],REF\n[POWER_R],A,-1.75,-0.50,14,9\n");
        let decoded = decode(&text).unwrap().unwrap();
        assert_eq!(decoded.measurements.len(), 1, "{decoded:#?}");
        assert_eq!(decoded.unknown_records.len(), 1, "and that is told");
        let half = "[FM_IF],KERATO\n[INF_R],A,\n[K1_R],7.80,43.27,0\n[K2_R],0.00,0.00,0\n";
        assert!(decode(half).is_err());
    }

    #[test]
    fn half_a_cornea_is_refused() {
        let text = "[FM_IF],KERATO\n[INF_R],A,\n[K1_R], 7.81, 43.21,12\n";
        assert!(decode(text).is_err());
    }
}

golden_tests!(SPEC);
