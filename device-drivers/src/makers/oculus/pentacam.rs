//! Oculus Pentacam: keratometry of exported CSV tables.
//!
//! Source: one description of such exports and the headings that three public readers of them
//! expect. Proved against constructed tables only.
//!
//! | column                                | meaning                                             |
//! |---------------------------------------|-----------------------------------------------------|
//! | `Last Name` `First Name` `D.o.Birth`  | never read, nor is `Exam Comment`                   |
//! | `Pat-ID`                              | the patient's id, as typed into the Oculus software |
//! | `Exam Date` `Exam Time`               | the date in the order of the site's settings        |
//! | `Exam Eye`                            | `Right` `Left`, `OD` `OS`; often a blank behind it  |
//! | `Status`                              | only `OK` is a measurement                          |
//! | `K1` `K2`, or `K1 F (D)` `K2 F (D)`   | flat and steep meridian of the front, dioptres      |
//!
//! ```text
//! Last Name;First Name;Pat-ID;D.o.Birth;Exam Date;Exam Time;Exam Eye;Status;K1;K2;
//! DOE;J;B-17;5/6/1961;4/2/2026;10:11:12;Left ;OK;42.9;43.6;
//! ```
//!
//! Traps: most headings have a colon at their end, in other exports none has. `;` whatever the
//! locale, and one behind the last field; Windows-1252. `K1 B (D)` is of the back of the
//! cornea. A row whose status
//! is another one gives no numbers, but a failed shot with the status as its error, so that a
//! person sees that this eye has to be measured again. The software writes rows twice: both become
//! readings, of which the second is known as a repetition later. Each row is one exam of one eye.
//!
//! Radii (`Rf F (mm)`), axes (`Axis F (flat)`, with a decimal) and all other columns are kept as
//! text. Tables of the same software without K1 and K2 (`INDEX`, `PACHY`…) are refused.

use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, Setup, Sniff, Transport,
    format::{
        biometer::{Curvature, Meridians, Sent},
        file::{FileDecoder, FileFormat, Part},
        sheet::{Role, Sheet, headings_of, instrument_time},
        table::Row,
    },
    registry::FILE_PENDING_LEN_MAX,
};
use chiasm_proto::{
    ClaimedPatient, Decoded, Eye, Instrument, Integrity, Keratometry, Measured, Measurement, Shot,
};

/// Longest patient id or status, in characters.
const TEXT_LEN_MAX: usize = 128;
/// What the status of a measurement says that may be used.
const USABLE: &str = "OK";
/// Headings of the meridians, without the colon; the first that stands there counts.
const K1: [&str; 2] = ["K1", "K1 F (D)"];
const K2: [&str; 2] = ["K2", "K2 F (D)"];
/// Free text of a person.
const COMMENT: &str = "Exam Comment";

pub static SPEC: DriverSpec = DriverSpec {
    id: "oculus_pentacam",
    version: "1",
    vendor: "Oculus",
    models: &["Pentacam"],
    yields: &["keratometry", "other_test"],
    transport: Transport::Folder { extension: "csv" },
    evidence: Evidence::SingleSource,
    ending: Ending::Silence,
    setup: Setup {
        wiring: "Network: the PC of the Pentacam writes into a shared folder of the gateway.",
        settings: "In the Pentacam software export the results as CSV into this share, with the \
                   columns Pat-ID, Exam Date, Exam Time, Exam Eye, Status, K1 and K2. Say in the \
                   gateway's configuration in which order the software writes day and month.",
        dry_test: "Measure the test eye that comes with the instrument and export it: the lane \
                   shows its K1 and K2.",
    },
    limits: "Only K1 and K2 of the front are read, without radii and axes; other columns are kept \
             as text, at most 32 of a row. Rows whose status is not OK give a failed shot \
             and no numbers. A row that is \
             missing at the end of a file cannot be noticed. Not tried on an instrument.",
    sniff,
    new: |options| FileDecoder::boxed(&FORMAT, options),
};

static FORMAT: FileFormat = FileFormat { len_max: FILE_PENDING_LEN_MAX, read };

fn sniff(bytes: &[u8]) -> Sniff {
    let headings = headings_of(bytes);
    let has = |name: &str| headings.iter().any(|heading| plain(heading) == name);
    match (has("Exam Eye") && has("Status"), has("Pat-ID")) {
        (true, true) => Sniff::Yes,
        (true, false) => Sniff::Perhaps,
        (false, _) => Sniff::No,
    }
}

/// A heading without the colon at its end.
fn plain(heading: &str) -> &str {
    heading.trim_end_matches([':', ' '])
}

/// The column of a heading. Two of the same are refused: which one is meant is not known.
fn column(sheet: &Sheet, name: &str) -> Result<Option<usize>, DecodeError> {
    let mut found = (0..sheet.headings.len()).filter(|at| plain(&sheet.headings[*at]) == name);
    let first = found.next();
    match found.next() {
        Some(_) => {
            let what = format!("two columns are called {name}");
            Err(DecodeError::new(ErrorCode::Malformed, 0, what))
        }
        None => Ok(first),
    }
}

/// Where the columns stand.
struct Columns {
    eye: usize,
    status: usize,
    k1: usize,
    k2: usize,
    id: Option<usize>,
    date: Option<usize>,
    time: Option<usize>,
}

impl Columns {
    fn find(sheet: &Sheet) -> Result<Self, DecodeError> {
        let needed = |names: &[&str]| {
            for name in names {
                if let Some(column) = column(sheet, name)? {
                    return Ok(column);
                }
            }
            let what = format!("no column is called {}", names.join(" or "));
            Err(DecodeError::new(ErrorCode::WrongKind, 0, what))
        };
        Ok(Self {
            eye: needed(&["Exam Eye"])?,
            status: needed(&["Status"])?,
            k1: needed(&K1)?,
            k2: needed(&K2)?,
            id: column(sheet, "Pat-ID")?,
            date: column(sheet, "Exam Date")?,
            time: column(sheet, "Exam Time")?,
        })
    }

    fn holds(&self, column: usize) -> bool {
        [self.eye, self.status, self.k1, self.k2].contains(&column)
            || [self.id, self.date, self.time].contains(&Some(column))
    }
}

fn read(raw: &[u8], options: &DriverOptions) -> Result<Vec<Part>, DecodeError> {
    let sheet = Sheet::read(raw)?;
    let columns = Columns::find(&sheet)?;
    let mut roles = sheet.roles(|column| columns.holds(column));
    for (role, heading) in roles.iter_mut().zip(&sheet.headings) {
        if plain(heading) == COMMENT {
            *role = Role::Ignored;
        }
    }
    Ok(sheet.parts(&roles, &|row| exam(row, &columns, options)))
}

fn exam(row: &Row, columns: &Columns, options: &DriverOptions) -> Result<Decoded, DecodeError> {
    let text = |column: Option<usize>| {
        column.and_then(|column| row.fields.get(column)).map_or("", |text| text.trim())
    };
    let instrument = Instrument {
        vendor: SPEC.vendor.into(),
        model: options.model.clone().unwrap_or_else(|| SPEC.models[0].into()),
        ..Instrument::default()
    };
    let mut decoded = Decoded::new(instrument, Integrity::None);
    decoded.instrument_time =
        instrument_time(text(columns.date), text(columns.time), options.date_order);
    let (id, status) = (text(columns.id), text(Some(columns.status)));
    for (name, text) in [("Pat-ID", id), ("Status", status)] {
        if text.chars().count() > TEXT_LEN_MAX {
            let what = format!("more than {TEXT_LEN_MAX} characters");
            return Err(row.malformed(what).in_field(name));
        }
    }
    decoded.claimed_patient = (!id.is_empty())
        .then(|| ClaimedPatient { id: id.to_owned(), found_in: "Pat-ID column".into() });
    let token = text(Some(columns.eye));
    let eye = match token.to_ascii_lowercase().as_str() {
        "right" | "od" => Eye::Right,
        "left" | "os" => Eye::Left,
        _ => return Err(row.malformed("an eye is Right or Left").in_field("Exam Eye")),
    };
    let measured = match status {
        ok if ok.eq_ignore_ascii_case(USABLE) => keratometry(row, columns)?,
        "" => return Err(row.malformed("no status").in_field("Status")),
        error => Some(Measured::Keratometry(Keratometry {
            shots: vec![Shot::failed(error)],
            ..Keratometry::default()
        })),
    };
    decoded.measurements.extend(measured.map(|it| Measurement::of(eye, token, it)));
    Ok(decoded)
}

fn keratometry(row: &Row, columns: &Columns) -> Result<Option<Measured>, DecodeError> {
    let power = |column: usize, name: &str| match row.field(column, name) {
        Some(field) => Sent::read(&field),
        None => Ok(None),
    };
    let meridians = Meridians {
        r1: power(columns.k1, "K1")?,
        r2: power(columns.k2, "K2")?,
        ..Meridians::default()
    };
    Ok(meridians.measured("K1, K2", Some(Curvature::Power)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DateOrder, golden::run_with};

    const HEADINGS: &str = "Last Name;First Name;Pat-ID;D.o.Birth;Exam Date;Exam Time;\
                            Exam Eye ;Status;K1;K2;\r\n";

    fn first(row: &str, date_order: Option<DateOrder>) -> Option<Decoded> {
        let options = DriverOptions { date_order, ..Default::default() };
        let text = format!("{HEADINGS}{row}");
        let outcome = run_with(&SPEC, &options, [text.as_bytes()]);
        outcome.assert_conserves(text.as_bytes(), row);
        outcome.decoded().first().map(|decoded| (*decoded).clone())
    }

    #[test]
    fn the_order_of_a_date_is_configured() {
        let row = "S;A;;;4/3/2026;09:41:07;Right ;OK;43.2;44.1;\r\n";
        let local = |order| {
            let time = first(row, order).unwrap().instrument_time.unwrap();
            assert_eq!(time.as_sent, "4/3/2026 09:41:07");
            time.local.map(|local| local.date().to_string())
        };
        assert_eq!(local(None), None);
        assert_eq!(local(Some(DateOrder::MonthFirst)).as_deref(), Some("2026-04-03"));
        assert_eq!(local(Some(DateOrder::DayFirst)).as_deref(), Some("2026-03-04"));
    }

    #[test]
    fn a_row_without_its_end_is_read_only_behind_its_last_delimiter() {
        let whole = "S;A;;;4/3/2026;09:41:07;Right ;OK;43.2;44.1;";
        assert!(first(whole, None).is_some());
        for len in 0..whole.len() {
            assert_eq!(first(&whole[..len], None), None, "{}", &whole[..len]);
        }
    }

    #[test]
    fn a_malformed_row_is_refused_by_itself() {
        let good = "S;A;B-2;;;;Left;OK;43.2;44.1;\n";
        for bad in [
            "S;A;;;;;Both;OK;43.2;44.1;",
            "S;A;;;;;;OK;43.2;44.1;",
            "S;A;;;;;Left;;43.2;44.1;",
            "S;A;;;;;Left;OK;43.2x;44.1;",
            "S;A;;;;;Left;OK;43.2;44.1;9;",
            "S;A;;;;;Left;OK;\"43.2\n\";44.1;",
        ] {
            let decoded = first(&format!("{bad}\n{good}"), None).unwrap();
            assert_eq!(decoded.claimed_patient.unwrap().id, "B-2", "{bad}");
        }
    }
}

golden_tests!(SPEC);
