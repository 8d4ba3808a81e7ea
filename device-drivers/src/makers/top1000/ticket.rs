//! Tomey TOP-1000, Rodenstock Topascope on a serial line: the text of the ticket, bottom-up.
//!
//! Source: one public reader, which splits the lines at their blanks. Proved against constructed
//! transmissions only.
//!
//! | line                       | meaning                                                       |
//! |----------------------------|---------------------------------------------------------------|
//! | `Rodenstock`               | maker, may be missing                                         |
//! | `C.IOP` `CCT` `Avg.`       | corrected pressure, thickness, mean: right, left              |
//! | dashes, then one or two    | shots: right, left                                            |
//! | numbers in each line       |                                                               |
//! | `Right Left`               | heads the columns of everything *above* it                    |
//! | `mmHg mmHg`                | unit, between lines of dashes                                 |
//! | date and time              | `2026-06-21 16:05:09`                                         |
//! | `No. : 00000815`           | running number                                                |
//! | model                      | ends the ticket                                               |
//!
//! ```text
//! Avg.     13.5          18.0
//! ---------------------------
//!           13            18
//!           14
//!         Right          Left
//! ```
//!
//! Traps: `--.-` is missing. Where one eye has fewer shots, only the column tells whose a number
//! is: it has to stand under (here: over) the word `Right` or `Left`, give or take
//! [`COLUMN_SLACK`] columns, else the ticket is refused. Two numbers in a line are right and left by
//! their order, unless their columns say otherwise. A label or another `Right Left` below that line
//! is the next ticket's. The running number is no patient's id.
//!
//! Unknown: how a shot of low quality is marked (anything but a number refuses the ticket), whether
//! the first shot stands at the top or, as the ticket does, at the bottom (kept in the order sent),
//! and the line settings.

use super::{AVERAGE, SHOTS_MAX, iop, is_missing, thickness};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, LineSettings, Parity,
    Setup, Sniff, Transport, flags,
    format::{
        fields::{Field, Line, lines, printable},
        stream::{End, Protocol, StreamDecoder, find},
    },
};
use chiasm_proto::{
    CorrectedIop, Decoded, Eye, Instrument, InstrumentTime, Integrity, IopValue, Measured,
    Measurement, Representative, Shot, Tonometry, TonometryMethod, UnknownRecord,
};
use jiff::civil;
use std::{ops::Range, time::Duration};

/// Longest ticket, in bytes; one with ten shots of each eye has some six hundred.
const LEN_MAX: usize = 4096;
/// Silence after which a ticket will not be finished any more.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// How far beside its heading a number may stand, in columns.
const COLUMN_SLACK: usize = 2;
/// Blanks in front of the word by which a ticket is known.
const INDENT_MAX: usize = 20;
/// Fewest dashes of a line between the parts.
const DASHES_MIN: usize = 5;
const MAKERS: [&str; 3] = ["Rodenstock", "TOMEY", "Tomey"];
const LABELS: [&str; 3] = ["C.IOP", "CCT", "Avg."];
/// Last words of a ticket, whole even without a line end behind them.
const MODELS: [&str; 3] = ["TopaScope", "Topascope", "TOP-1000"];
const EYES: [(Eye, &str); 2] = [(Eye::Right, "Right"), (Eye::Left, "Left")];

const fn line(baud: u32) -> LineSettings {
    LineSettings { baud, data_bits: 8, parity: Parity::None, stop_bits: 1 }
}

pub static SPEC: DriverSpec = DriverSpec {
    id: "tomey_top1000_ticket",
    version: "1",
    vendor: "Tomey",
    models: &["TOP-1000 (COM)"],
    yields: &["tonometry", "pachymetry", "other_test"],
    transport: Transport::Serial(&[line(9600), line(38400), line(19200), line(115_200)]),
    evidence: Evidence::SingleSource,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "Serial (COM) socket behind the instrument, to a USB adapter. If nothing arrives, \
                 try a crossed cable.",
        settings: "Output to the COM port on, unit mmHg. The line settings are not published: the \
                   gateway tries several speeds; set the one that the instrument's menu shows.",
        dry_test: "Print a measurement: the lane shows the mean, the shots and the thickness of \
                   the ticket, each under its eye.",
    },
    limits: "Not tried on an instrument; known from one reader. Marks of unsure shots are not \
             known and refuse the ticket. The line settings are not published. Use the XML files \
             where they can be had.",
    sniff,
    new: |options| StreamDecoder::boxed(&PROTOCOL, options),
};

static PROTOCOL: Protocol =
    Protocol { begins, ends, silence: SILENCE_MAX, ends_by_silence: true, len_max: LEN_MAX, read };

fn sniff(bytes: &[u8]) -> Sniff {
    let has = |text: &str| find(bytes, text.as_bytes()).is_some();
    if begins(bytes).is_none() || !has("Avg.") {
        Sniff::No
    } else if has("C.IOP") {
        Sniff::Yes
    } else {
        Sniff::Perhaps
    }
}

/// The maker's name or, where it is not printed, the first label; with the blanks before it.
fn begins(bytes: &[u8]) -> Option<usize> {
    let marks = MAKERS.iter().chain(&LABELS);
    let first = marks.filter_map(|mark| find(bytes, mark.as_bytes())).min()?;
    let blanks = bytes[..first].iter().rev().take(INDENT_MAX).take_while(|byte| **byte == b' ');
    Some(first - blanks.count())
}

/// Behind the line that follows the running number: the model.
fn ends(bytes: &[u8]) -> End {
    let (mut has_number, mut is_foot) = (false, false);
    let mut start = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if !matches!(byte, b'\n' | b'\r') {
            continue;
        }
        let whole = &bytes[start..at];
        let line = whole.trim_ascii();
        // Values stand above their heads only: what has some below is of the next ticket, which
        // may begin in the middle of a line that was cut.
        if is_foot && let Some(next) = next_ticket(whole) {
            return End::Broken(start + next);
        }
        let is_maker = MAKERS.iter().any(|maker| line.starts_with(maker.as_bytes()));
        match line {
            [] => {}
            _ if has_number => {
                // CR LF is one line end, but whether LF follows CR is not known yet.
                return End::After(at + 1);
            }
            _ if start > 0 && is_maker => return End::Broken(start),
            line => {
                has_number = line.starts_with(b"No.");
                is_foot |= is_heads(line);
            }
        }
        start = at + 1;
    }
    End::NotYet
}

/// Where in a line another ticket's values begin, or its heads if their beginning was lost.
fn next_ticket(line: &[u8]) -> Option<usize> {
    let label = LABELS.iter().filter_map(|label| find(line, label.as_bytes())).min();
    let is_at_start = |at: &usize| line[..*at].iter().all(|byte| *byte == b' ');
    match label {
        Some(at) if !is_at_start(&at) => Some(at),
        found => (found.is_some() || is_heads(line)).then_some(0),
    }
}

/// The line that heads the columns.
fn is_heads(line: &[u8]) -> bool {
    let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.eq(EYES.map(|(_, name)| name.as_bytes()))
}

/// The parts of a ticket in the order of their lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Results,
    Shots,
    Foot,
}

/// One column.
#[derive(Default)]
struct Column<'a> {
    /// In the order of [`LABELS`].
    results: [Option<Field<'a>>; 3],
    shots: Vec<Field<'a>>,
}

fn read(bytes: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let text = printable(bytes, b"\r\n")?;
    let all = lines(text);
    let records: Vec<Field> = all
        .iter()
        .map(|line| Field { text: line.field.text.trim_end(), ..line.field })
        .filter(|field| !field.text.is_empty())
        .collect();
    check_end(&all)?;
    let heads = heads(&records)?;
    let mut ticket = Ticket::new(options);
    let mut columns = [Column::default(), Column::default()];
    let mut part = Part::Results;
    let mut is_mmhg = false;
    for (at, record) in records.iter().enumerate() {
        let words = record.words();
        let names: Vec<&str> = words.iter().map(|word| word.text).collect();
        let label = LABELS.iter().position(|label| names[0] == *label);
        match (part, label) {
            _ if is_dashes(record.text) => {
                part = if part == Part::Results { Part::Shots } else { part };
            }
            (Part::Results, Some(label)) => {
                for (eye, word) in values(&heads, record, &words[1..])? {
                    let sent = word.named(LABELS[label]);
                    if columns[eye].results[label].replace(sent).is_some() {
                        return Err(record.malformed("the same label again"));
                    }
                }
            }
            (Part::Shots, _) if names == EYES.map(|(_, name)| name) => part = Part::Foot,
            (Part::Shots, _) => {
                for (eye, word) in values(&heads, record, &words)? {
                    columns[eye].shots.push(word.named("shot"));
                }
            }
            (Part::Foot, _) if names == ["mmHg", "mmHg"] => is_mmhg = true,
            _ => ticket.other(record, at == 0, at + 1 == records.len()),
        }
    }
    if part != Part::Foot || !is_mmhg {
        let message = "no shots under Right and Left, or another unit than mmHg";
        return Err(DecodeError::new(ErrorCode::Malformed, 0, message));
    }
    for ((eye, token), column) in EYES.into_iter().zip(&columns) {
        ticket.decoded.measurements.extend(column.measurements(eye, token)?);
    }
    flags::complete(&mut ticket.decoded);
    Ok(Some(ticket.decoded))
}

/// The model stands behind the running number, and is whole.
fn check_end(lines: &[Line]) -> Result<(), DecodeError> {
    let mut filled = lines.iter().filter(|line| !line.field.text.trim().is_empty()).rev();
    let is_model =
        filled.next().is_some_and(|last| last.is_ended || MODELS.contains(&last.field.text.trim()));
    let has_number = filled.next().is_some_and(|line| line.field.text.trim().starts_with("No."));
    if is_model && has_number {
        return Ok(());
    }
    let end = lines.last().map_or(0, |line| line.field.offset + line.field.text.len());
    let message = "the transmission stopped before its end";
    Err(DecodeError::new(ErrorCode::Incomplete, end, message))
}

fn is_dashes(text: &str) -> bool {
    let text = text.trim();
    text.len() >= DASHES_MIN && text.bytes().all(|byte| byte == b'-')
}

/// Where a field stands in its line.
fn span(line: &Field, word: &Field) -> Range<usize> {
    let start = word.offset - line.offset;
    start..start + word.text.len()
}

/// The columns under which the numbers stand.
fn heads(records: &[Field]) -> Result<[Range<usize>; 2], DecodeError> {
    let head = records.iter().find_map(|record| match record.words()[..] {
        [right, left] if [right.text, left.text] == EYES.map(|(_, name)| name) => {
            Some([span(record, &right), span(record, &left)])
        }
        _ => None,
    });
    let message = "no line that says which column is right and which is left";
    head.ok_or_else(|| DecodeError::new(ErrorCode::Malformed, 0, message))
}

/// Each value with the eye in whose column it stands; none for what is missing.
fn values<'a>(
    heads: &[Range<usize>; 2],
    line: &Field<'a>,
    words: &[Field<'a>],
) -> Result<Vec<(usize, Field<'a>)>, DecodeError> {
    let mut found: Vec<(usize, Field<'a>)> = vec![];
    for (at_word, word) in words.iter().enumerate() {
        let at = span(line, word);
        let is_near = |head: &&Range<usize>| {
            at.start < head.end + COLUMN_SLACK && head.start < at.end + COLUMN_SLACK
        };
        let eye = match heads.each_ref().map(|head| is_near(&head)) {
            [true, false] => 0,
            [false, true] => 1,
            _ if words.len() == EYES.len() => at_word,
            _ => return Err(word.malformed("in neither eye's column")),
        };
        if found.iter().any(|(other, _)| *other == eye) {
            return Err(word.malformed("a second value in the same column"));
        }
        found.push((eye, *word));
    }
    if let [(1, first), (0, _)] = found[..] {
        return Err(first.malformed("left in front of right"));
    }
    found.retain(|(_, word)| !is_missing(word.text));
    Ok(found)
}

impl Column<'_> {
    fn measurements(&self, eye: Eye, token: &str) -> Result<Vec<Measurement>, DecodeError> {
        let [corrected, cct, average] = self.results;
        let pressure = |field: &Field| field.hundredths().map(iop);
        if let Some(beyond) = self.shots.get(SHOTS_MAX) {
            return Err(beyond.malformed(format!("more than {SHOTS_MAX} shots of an eye")));
        }
        let shots: Result<Vec<Shot<IopValue>>, DecodeError> =
            self.shots.iter().map(|field| Ok(Shot::of(pressure(field)?))).collect();
        let corrected = corrected.map(|field| -> Result<CorrectedIop, DecodeError> {
            let corrected_mmhg = Some(field.hundredths()?);
            Ok(CorrectedIop { label: LABELS[0].into(), corrected_mmhg, ..Default::default() })
        });
        let average = average.map(|field| -> Result<_, DecodeError> {
            Ok(Representative { label: AVERAGE.into(), value: pressure(&field)? })
        });
        let tonometry = Tonometry {
            representative: average.transpose()?,
            shots: shots?,
            corrected: corrected.transpose()?.into_iter().collect(),
            ..Tonometry::new(TonometryMethod::NonContact)
        };
        let mut all = vec![];
        if tonometry != Tonometry::new(TonometryMethod::NonContact) {
            all.push(Measurement::of(eye, token, Measured::Tonometry(tonometry)));
        }
        all.extend(cct.map(|field| thickness(eye, token, &field)).transpose()?);
        Ok(all)
    }
}

/// What stands around the values.
struct Ticket {
    decoded: Decoded,
}

impl Ticket {
    fn new(options: &DriverOptions) -> Self {
        let instrument = Instrument {
            vendor: SPEC.vendor.into(),
            model: options.model.clone().unwrap_or_else(|| "TOP-1000".into()),
            ..Instrument::default()
        };
        Self { decoded: Decoded::new(instrument, Integrity::None) }
    }

    /// A line without values.
    fn other(&mut self, record: &Field, is_first: bool, is_last: bool) {
        let text = record.text.trim();
        let number = text.strip_prefix("No.").map(|rest| rest.trim_start_matches([' ', ':']));
        let is_number = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(number) = number.filter(is_number) {
            self.decoded.running_number = (!number.is_empty()).then(|| number.to_owned());
        } else if is_last {
            self.decoded.instrument.model = text.to_owned();
        } else if is_first && MAKERS.iter().any(|maker| text.starts_with(maker)) {
            self.decoded.instrument.vendor = text.to_owned();
        } else if let Some(local) = time(text) {
            let as_sent = text.to_owned();
            self.decoded.instrument_time = Some(InstrumentTime { as_sent, local: Some(local) });
        } else {
            let offset = record.offset;
            self.decoded.unknown_records.push(UnknownRecord { offset, text: text.to_owned() });
        }
    }
}

/// `2026-06-21 16:05:09`
fn time(text: &str) -> Option<civil::DateTime> {
    let (date, clock) = text.split_once(' ')?;
    let date: civil::Date = date.parse().ok()?;
    Some(date.to_datetime(clock.trim_start().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DASHES: &str = "---------------------------";

    fn ticket(shots: &str) -> String {
        format!(
            "Avg.     13.5          18.0\n{DASHES}\n{shots}        Right          Left\n\
             {DASHES}\n         mmHg          mmHg\n{DASHES}\n    2026-06-21 16:05:09\n\
             No.        :  00000815\nTOP-1000\n"
        )
    }

    #[test]
    fn a_ticket_cut_short_takes_nothing_of_the_next_one() {
        let whole = ticket("          13            18\n");
        let foot = whole.find("    2026").unwrap();
        let number = whole.find("TOP-1000").unwrap();
        let with_maker =
            format!("                Rodenstock\n\nC.IOP    13.1          18.4\n{whole}");
        assert_eq!(ends(with_maker.as_bytes()), End::After(with_maker.len()));
        // In a line's middle, and in front of a ticket whose values were lost.
        let text = format!("{}{whole}", &whole[..foot + 9]);
        assert_eq!(ends(text.as_bytes()), End::Broken(foot + 9));
        let heads = &whole[whole.find("        Right").unwrap()..];
        let text = format!("{}{heads}", &whole[..foot]);
        assert_eq!(ends(text.as_bytes()), End::Broken(foot));
        for cut in [foot, number] {
            for second in [&whole, &with_maker[with_maker.find("C.IOP").unwrap()..]] {
                let text = format!("{}{second}", &whole[..cut]);
                assert_eq!(ends(text.as_bytes()), End::Broken(cut), "{text}");
            }
        }
    }

    #[test]
    fn only_a_known_model_is_whole_without_its_line_end() {
        let whole = ticket("          13            18\n");
        let is_read = |text: &str| read(text.as_bytes(), &DriverOptions::default()).is_ok();
        assert!(is_read(&whole) && is_read(whole.trim_end()));
        let cut = whole.trim_end().len();
        assert!(!is_read(&whole[..cut - 1]), "half a model");
        assert!(!is_read(&whole[..cut - "TOP-1000".len()]), "no model");
    }

    #[test]
    fn a_lone_number_belongs_to_the_column_in_which_it_stands() {
        let lone = |shots: &str| {
            let decoded = read(ticket(shots).as_bytes(), &DriverOptions::default())?.unwrap();
            let counts = decoded.measurements.iter().map(|it| match &it.measured {
                Measured::Tonometry(it) => it.shots.len(),
                _ => 0,
            });
            Ok::<_, DecodeError>(counts.collect::<Vec<_>>())
        };
        assert_eq!(lone("          13\n"), Ok(vec![1, 0]));
        assert_eq!(lone("                        18\n"), Ok(vec![0, 1]));
        assert_eq!(lone("         --.-           18\n"), Ok(vec![0, 1]));
        assert_eq!(lone("   13             18\n"), Ok(vec![1, 1]), "two by their order");
        for shots in ["13\n", "                 18\n", "        13 14\n", "          13*\n"] {
            assert!(lone(shots).is_err(), "{shots:?}");
        }
    }
}

golden_tests!(SPEC);
