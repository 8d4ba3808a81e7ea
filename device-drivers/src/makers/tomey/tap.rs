//! Tomey TAP-2000, TAP-6000 and Rodenstock Phoromat 2000 refractors: records between two marks.
//!
//! Source: one working reader. Proved against constructed transmissions only; not tried on an
//! instrument.
//!
//! | part                           | bytes                                                    |
//! |--------------------------------|----------------------------------------------------------|
//! | beginning, end                 | SOH `*PC_RCV_S` EOT, SOH `*PC_RCV_E` EOT                 |
//! | record                         | STX `*name` and columns behind bars, ETB                 |
//! | `*Phoromat 2000\|000000417\|0` | machine and a number                                     |
//! | `*UN` `*LM` `*AR` `*SJ` `*FN`  | opens a section: unaided, lensmeter, autorefractor,      |
//! |                                | subjective, final; in lower case for near                |
//! | `*SP` `*CY` `*AX` `*AD`        | sphere, cylinder, axis, addition: columns A and B        |
//! | `*VA`                          | acuity: columns A, B and both eyes                       |
//! | `*PH` `*PV`                    | prism: base letter and amount, for A and B               |
//! | `*PD` `*WD`                    | halves of the pupillary distance, mm; near distance, cm  |
//! | `*KM\|R1\|L\|mm\|D\|axis\|`    | one meridian of a cornea; names its eye                  |
//! | `*TIME`                        | `yyyy/mm/dd hh:mm:ss`                                    |
//!
//! ```text
//! *FN
//! *SP| -3.00|  0.75|
//! *CY| -1.00|  0.00|
//! *AX|171|  0|
//! ```
//!
//! Traps: **which eye column A is, is disputed.** A comment of the reader says left, its code takes
//! the first column for the right eye. So columns have no side here: a person decides. Only `KM`
//! names its eye. EOT alone ends nothing. What the refractor was given by a lensmeter, an
//! autorefractor or a keratometer is marked as relayed.
//!
//! Unknown: `*AV`, `*NPC`, `*NPA`, `*NRA`, `*PRA`, `*DIV`, `*CON` (kept as text), whose number
//! stands behind the machine (taken for a running one, never for an id), whether records have line
//! ends between them (allowed).

use super::{
    tap_section::{Section, chosen_columns, columns},
    values::{
        EYES, LEN_MAX, SILENCE, VENDOR, ascii, axis_deg, chosen, draft, expect_printable, eye_at,
        finish, keep_unknown, length, line, measurement, once, power, radius,
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
    Decoded, Eye, Hundredths, InstrumentTime, Keratometry, KeratometryValue, Measured, Measurement,
    Meridian, OtherTest, OtherValue, RefractionKind,
};
use jiff::civil;

const FAMILY: &str = "TAP / Phoromat 2000";
const BEGINNING: &[u8] = b"\x01*PC_RCV_S\x04";
const END: &[u8] = b"\x01*PC_RCV_E\x04";
const STX: char = '\x02';
const ETB: char = '\x17';
/// `Phoromat 2000` has 13 characters.
const MACHINE_LEN_MAX: usize = 24;

const LINES: &[LineSettings] = &[line(2400, 7, Parity::Even, 2)];

pub static SPEC: DriverSpec = DriverSpec {
    id: "tomey_tap",
    version: "1",
    vendor: VENDOR,
    models: &["TAP-2000", "TAP-6000", "Phoromat 2000"],
    yields: &["refraction", "lensometry", "keratometry", "visual_acuity", "other_test"],
    transport: Transport::Serial(LINES),
    evidence: Evidence::SingleSource,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "RS-232 from the refractor's PC port. Which cable is not published; if nothing \
                 arrives, try a crossed one.",
        settings: "2400 baud 7 E 2. Send to the PC at the end of the examination.",
        dry_test: "Dial another sphere before each eye and send: the lane shows columns A and B. \
                   Please report which one is the right eye.",
    },
    limits: "Not tried on an instrument. Known from one source. Which of the two columns is the \
             right eye is disputed: refraction, lenses and acuity come without a side and a person \
             gives it. Halves of the pupillary distance likewise. Near point, vergence and \
             accommodation tests are kept as text.",
    sniff: |bytes| if begins(bytes).is_some() { Sniff::Yes } else { Sniff::No },
    new: |options| StreamDecoder::boxed(&PROTOCOL, options),
};

static PROTOCOL: Protocol =
    Protocol { begins, ends, silence: SILENCE, ends_by_silence: false, len_max: LEN_MAX, read };

fn begins(bytes: &[u8]) -> Option<usize> {
    find(bytes, BEGINNING)
}

fn ends(bytes: &[u8]) -> End {
    let next = bytes.get(1..).and_then(begins).map(|at| at + 1);
    match (find(bytes, END), next) {
        (Some(end), next) if next.is_none_or(|next| end < next) => End::After(end + END.len()),
        (_, Some(next)) => End::Broken(next),
        _ => End::NotYet,
    }
}

fn read(bytes: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let text = ascii(bytes)?;
    let body = text.get(BEGINNING.len()..text.len() - END.len()).unwrap_or_default();
    let body = Field::new(body, BEGINNING.len(), "transmission");
    let mut print = Print::new(draft(options, FAMILY));
    for (index, record) in records(body)?.iter().enumerate() {
        let fields = columns(record);
        if index > 0 || !print.machine(&fields) {
            print.record(record, &fields)?;
        }
    }
    print.finish()
}

/// The text of each record, from its asterisk on.
fn records(body: Field<'_>) -> Result<Vec<Field<'_>>, DecodeError> {
    let mut records = Vec::new();
    let mut rest = body;
    loop {
        let text = rest.text.trim_start_matches(['\r', '\n']);
        rest = Field { text, offset: rest.offset + rest.text.len() - text.len(), ..rest };
        if text.is_empty() {
            return Ok(records);
        }
        let inside = text.strip_prefix(STX);
        let inside = inside.ok_or_else(|| rest.malformed("a record does not begin with STX"))?;
        let (inside, behind) =
            inside.split_once(ETB).ok_or_else(|| rest.malformed("a record does not end in ETB"))?;
        let record = Field { text: inside, offset: rest.offset + 1, name: "record" };
        expect_printable(&record)?;
        if !inside.starts_with('*') {
            return Err(record.malformed("a record does not begin with an asterisk"));
        }
        records.push(record);
        let offset = record.offset + inside.len() + 1;
        rest = Field { text: behind, offset, ..rest };
    }
}

/// What was read so far.
struct Print<'a> {
    decoded: Decoded,
    sections: Vec<Section<'a>>,
    /// The section that is open; records of one that is not known are kept as text.
    is_known_section: bool,
    halves: Option<[Option<&'a str>; 2]>,
    /// As sent as well.
    working_distance_cm: Option<Option<(&'a str, Hundredths)>>,
    cornea: [[Option<Meridian>; 2]; 2],
}

impl<'a> Print<'a> {
    fn new(decoded: Decoded) -> Self {
        Self {
            decoded,
            sections: vec![],
            is_known_section: false,
            halves: None,
            working_distance_cm: None,
            cornea: Default::default(),
        }
    }

    /// The first record names the machine.
    fn machine(&mut self, fields: &[Field]) -> bool {
        let [name, number, more] = fields else { return false };
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        // No row of values has a digit in its name.
        let is_machine = name.text.bytes().any(|byte| byte.is_ascii_digit())
            && name.text.len() <= MACHINE_LEN_MAX
            && !number.text.is_empty()
            && [number, more].iter().all(|field| is_number(field.text));
        if is_machine {
            self.decoded.instrument.model = name.text.trim().into();
            self.decoded.running_number = Some(number.text.into());
        }
        is_machine
    }

    fn record(&mut self, record: &Field<'a>, fields: &[Field<'a>]) -> Result<(), DecodeError> {
        let Some((name, values)) = fields.split_first() else {
            return Err(record.malformed("a record without a name"));
        };
        match (name.text, values) {
            ("PD", _) => {
                let halves = chosen_columns::<2>(name, values)?;
                for half in &halves {
                    length(half)?;
                }
                let sent = halves.map(|half| Some(half.text.trim()).filter(|it| !it.is_empty()));
                once(&mut self.halves, sent, name)
            }
            ("WD", _) => {
                let [value] = chosen_columns(name, values)?;
                let cm = length(&value)?.map(|cm| (value.text.trim(), cm));
                once(&mut self.working_distance_cm, cm, name)
            }
            ("KM", _) => self.meridian(name, values),
            ("TIME", _) => {
                let [time] = chosen_columns(name, values)?;
                let as_sent = time.text.trim().to_owned();
                let local = civil::DateTime::strptime("%Y/%m/%d %H:%M:%S", &as_sent).ok();
                once(&mut self.decoded.instrument_time, InstrumentTime { as_sent, local }, name)
            }
            (_, []) => self.open(record, name),
            _ => {
                let section = self.sections.last_mut().filter(|_| self.is_known_section);
                let is_read = match section {
                    Some(section) => section.row(name, values)?,
                    None => false,
                };
                if !is_read {
                    keep_unknown(&mut self.decoded, record);
                }
                Ok(())
            }
        }
    }

    fn open(&mut self, record: &Field<'a>, name: &Field<'a>) -> Result<(), DecodeError> {
        let section = Section::open(name);
        self.is_known_section = section.is_some();
        let Some(section) = section else {
            keep_unknown(&mut self.decoded, record);
            return Ok(());
        };
        if self.sections.iter().any(|open| open.token() == section.token()) {
            return Err(name.malformed("a second section of the same name"));
        }
        self.sections.push(section);
        Ok(())
    }

    fn meridian(&mut self, name: &Field, values: &[Field]) -> Result<(), DecodeError> {
        let [which, eye, mm, dioptres, axis] = chosen_columns(name, values)?;
        let at = match which.text.trim() {
            "R1" => 0,
            "R2" => 1,
            _ => return Err(which.malformed("neither R1 nor R2")),
        };
        let eye = eye_at(eye.text.trim()).ok_or_else(|| eye.malformed("neither R nor L"))?;
        let meridian = Meridian {
            radius_mm: Some(radius(&mm)?),
            power: Some(power(&dioptres)?),
            axis_deg: Some(axis_deg(&axis)?),
        };
        once(&mut self.cornea[eye][at], meridian, name)
    }

    fn finish(mut self) -> Result<Option<Decoded>, DecodeError> {
        let working_distance = self.working_distance_cm.flatten();
        let mut measurements = Vec::new();
        for section in &self.sections {
            section.measurements(working_distance.map(|(_, cm)| cm), &mut measurements)?;
        }
        for (at, [r1, r2]) in (0..EYES.len()).zip(self.cornea) {
            if r1.is_none() && r2.is_none() {
                continue;
            }
            let value = KeratometryValue {
                r1: r1.unwrap_or_default(),
                r2: r2.unwrap_or_default(),
                ..KeratometryValue::default()
            };
            let representative = Some(chosen("KM", value));
            let measured = Keratometry { representative, ..Keratometry::default() };
            measurements.push(measurement(at, Measured::Keratometry(measured)).relayed());
        }
        measurements.extend(self.halves.and_then(halves));
        let is_told = |measurement: &Measurement| match &measurement.measured {
            Measured::Refraction(refraction) => refraction.working_distance_cm.is_some(),
            _ => false,
        };
        let is_untold = |_: &(&str, Hundredths)| !measurements.iter().any(is_told);
        if let Some((as_sent, _)) = working_distance.filter(is_untold) {
            let test = OtherTest::one("WD", "working distance", as_sent, Some("cm"));
            let measured = Measured::OtherTest(test);
            measurements.push(Measurement::without_token(Eye::Both, measured));
        }
        self.decoded.measurements = measurements;
        finish(self.decoded)
    }
}

/// Half distances in the order of the columns: whose they are is not known, and no whole was sent.
fn halves(sent: [Option<&str>; 2]) -> Option<Measurement> {
    let values: Vec<OtherValue> = sent
        .into_iter()
        .zip(super::tap_section::COLUMNS)
        .filter_map(|(sent, column)| {
            let as_sent = sent?.to_owned();
            Some(OtherValue { name: column.into(), as_sent, unit: Some("mm".into()) })
        })
        .collect();
    let name = "halves of the pupillary distance".into();
    let test = OtherTest { code: "PD".into(), name, values };
    (!test.values.is_empty())
        .then(|| Measurement::without_token(Eye::NotGiven, Measured::OtherTest(test)))
}

/// Near distance belongs to what was found with this refractor.
pub(super) fn has_working_distance(kind: RefractionKind) -> bool {
    matches!(kind, RefractionKind::Subjective | RefractionKind::Final)
}

golden_tests!(SPEC);
