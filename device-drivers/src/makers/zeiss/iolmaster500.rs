//! Zeiss IOLMaster 500: tables exported to a USB stick, a CD or a share.
//!
//! Source: the maker's manual says that the site chooses fields, separator and heading names. Which
//! headings come out of an instrument is not published, so they are configured. Proved against
//! constructed tables only.
//!
//! A row is one patient with both eyes. `columns` of the configuration names the heading of each
//! quantity in [`COLUMNS`]; without it the headings are taken to be these:
//!
//! | heading                              | meaning                                              |
//! |--------------------------------------|------------------------------------------------------|
//! | `Patient ID`                         | as typed                                             |
//! | `OD AL` `OS AL`                      | axial length, mm                                     |
//! | `OD R1` `OD R2` `OS R1` `OS R2`      | radii of the cornea, mm                              |
//! | `OD R1 axis` … `OS R2 axis`          | their axes, degrees                                  |
//! | `OD ACD` `OS ACD`                    | depth of the anterior chamber, cornea included, mm   |
//! | `OD WTW` `OS WTW`                    | white-to-white, mm                                   |
//! | `Last name` `First name`, birth date | never read                                           |
//!
//! ```text
//! Patient ID;Last name;OD AL;OD R1;OD R2;OS AL;OS R1;OS R2
//! B-17;DOE;22,97;7,93;7,80;23,05;7,95;7,77
//! ```
//!
//! Traps: decimal commas; `;`, tab or `,` between fields. The depth of the anterior chamber is
//! measured from the front of the cornea, so it is no aqueous depth and kept as text. A last row
//! without its line end may have been cut inside its last number and is refused, unless the shape of
//! that number shows that it is whole.

use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, Setup, Sniff, Transport,
    format::{
        biometer::{Curvature, Meridians, Sent, length, text},
        file::{FileDecoder, FileFormat, Part},
        sheet::{Role, Sheet, headings_of, instrument_time},
        table::Row,
    },
    registry::FILE_PENDING_LEN_MAX,
};
use chiasm_proto::{
    Biometry, ClaimedPatient, CornealSize, Decoded, Eye, Instrument, Integrity, Measured,
    Measurement,
};

/// Longest patient id or other text, in characters.
const TEXT_LEN_MAX: usize = 128;

/// The quantities whose headings a site may configure, and what they are.
#[rustfmt::skip] // one line for each
pub const COLUMNS: &[(&str, &str)] = &[
    ("patient_id", "the patient's id as typed"),
    ("last_name", "never read: named so that it is not kept as text"),
    ("first_name", "never read: named so that it is not kept as text"),
    ("birth_date", "never read: named so that it is not kept as text"),
    ("exam_date", "date of the measurement; its order is the option date_order"),
    ("exam_time", "time of the measurement, hh:mm:ss"),
    ("axial_length_right", "axial length of the right eye, mm"),
    ("axial_length_left", "axial length of the left eye, mm"),
    ("axial_snr_right", "signal to noise ratio of the right axial length"),
    ("axial_snr_left", "signal to noise ratio of the left axial length"),
    ("lens_status_right", "status of the right lens, such as phakic"),
    ("lens_status_left", "status of the left lens, such as phakic"),
    ("r1_right", "R1 of the right cornea, mm"),
    ("r1_axis_right", "axis of R1 of the right cornea, degrees"),
    ("r2_right", "R2 of the right cornea, mm"),
    ("r2_axis_right", "axis of R2 of the right cornea, degrees"),
    ("r1_left", "R1 of the left cornea, mm"),
    ("r1_axis_left", "axis of R1 of the left cornea, degrees"),
    ("r2_left", "R2 of the left cornea, mm"),
    ("r2_axis_left", "axis of R2 of the left cornea, degrees"),
    ("acd_right", "depth of the right anterior chamber with the cornea, mm"),
    ("acd_left", "depth of the left anterior chamber with the cornea, mm"),
    ("white_to_white_right", "white-to-white distance of the right eye, mm"),
    ("white_to_white_left", "white-to-white distance of the left eye, mm"),
];

/// Headings without a configuration.
#[rustfmt::skip] // one line for each
const DEFAULT_HEADINGS: &[(&str, &str)] = &[
    ("patient_id", "Patient ID"),
    ("last_name", "Last name"),
    ("first_name", "First name"),
    ("axial_length_right", "OD AL"),
    ("axial_length_left", "OS AL"),
    ("r1_right", "OD R1"),
    ("r1_axis_right", "OD R1 axis"),
    ("r2_right", "OD R2"),
    ("r2_axis_right", "OD R2 axis"),
    ("r1_left", "OS R1"),
    ("r1_axis_left", "OS R1 axis"),
    ("r2_left", "OS R2"),
    ("r2_axis_left", "OS R2 axis"),
    ("acd_right", "OD ACD"),
    ("acd_left", "OS ACD"),
    ("white_to_white_right", "OD WTW"),
    ("white_to_white_left", "OS WTW"),
];
/// Columns that are known and never read.
const PERSONAL: [&str; 3] = ["last_name", "first_name", "birth_date"];
/// At least one of these has to be there.
const ESSENTIAL: [&str; 4] = ["axial_length_right", "axial_length_left", "r1_right", "r1_left"];

pub static SPEC: DriverSpec = DriverSpec {
    id: "zeiss_iolmaster500",
    version: "1",
    vendor: "Zeiss",
    models: &["IOLMaster 500"],
    yields: &["biometry", "keratometry", "corneal_size", "other_test"],
    transport: Transport::Folder { extension: "csv" },
    evidence: Evidence::SingleSource,
    ending: Ending::Silence,
    setup: Setup {
        wiring: "USB stick or CD from the instrument, copied into the gateway's folder; or a \
                 share of the gateway where the instrument's software can write to one.",
        settings: "Needs the instrument's option for data export (Option A plus). Choose the \
                   fields patient id, axial length, R1, R2, axes, ACD and white-to-white for both \
                   eyes, and a semicolon between fields. Then write the headings of the first \
                   exported file into the driver's columns.",
        dry_test: "Measure the test eye that comes with the instrument and export it: the lane \
                   shows the axial length and radii of its label.",
    },
    limits: "The headings are the site's own and have to be configured. Only composite values are \
             read, no single shots and no lens calculations; other columns are kept as text. The \
             serial protocol and DICOM are not read by this driver. A row that is missing at the \
             end of a file cannot be noticed. Not tried on an instrument.",
    sniff,
    new: |options| FileDecoder::boxed(&FORMAT, options),
};

static FORMAT: FileFormat = FileFormat { len_max: FILE_PENDING_LEN_MAX, read };

/// By the headings that come without a configuration; with one only the configuration knows.
fn sniff(bytes: &[u8]) -> Sniff {
    let headings = headings_of(bytes);
    let has = |name: &str| headings.iter().any(|heading| heading == name);
    let is_one = ["OD AL", "OS AL", "OD R1", "OS R1"].into_iter().any(has);
    if is_one { Sniff::Perhaps } else { Sniff::No }
}

/// Which quantity stands in which column.
struct Columns {
    found: Vec<(&'static str, usize)>,
    is_default: bool,
}

impl Columns {
    fn find(sheet: &Sheet, options: &DriverOptions) -> Result<Self, DecodeError> {
        let refuse = |what: String| Err(DecodeError::new(ErrorCode::WrongKind, 0, what));
        let mut found: Vec<(&'static str, usize)> = vec![];
        if options.columns.is_empty() {
            for (name, heading) in DEFAULT_HEADINGS {
                found.extend(sheet.column(heading)?.map(|column| (*name, column)));
            }
        }
        for (name, heading) in &options.columns {
            let Some((name, _)) = COLUMNS.iter().find(|(known, _)| known == name) else {
                return refuse(format!("columns: {name} is no quantity of this driver"));
            };
            let Some(column) = sheet.column(heading.trim())? else {
                return refuse(format!("columns: no heading {heading} for {name}"));
            };
            if found.iter().any(|(_, other)| *other == column) {
                return refuse(format!("columns: {heading} is named twice"));
            }
            found.push((name, column));
        }
        if !found.iter().any(|(name, _)| ESSENTIAL.contains(name)) {
            return refuse("no column of an axial length or a radius".into());
        }
        Ok(Self { found, is_default: options.columns.is_empty() })
    }

    fn is_known(&self, column: usize) -> bool {
        self.found.iter().any(|(_, known)| *known == column)
    }

    fn is_personal(&self, column: usize) -> bool {
        self.found.iter().any(|(name, known)| *known == column && PERSONAL.contains(name))
    }

    /// The number of a quantity, such as `axial_length` of the `right` eye.
    fn number(&self, row: &Row, quantity: &str, side: &str) -> Result<Option<Sent>, DecodeError> {
        let full_name = format!("{quantity}_{side}");
        let Some((name, column)) = self.found.iter().find(|(name, _)| **name == full_name) else {
            return Ok(None);
        };
        row.field(*column, name).map_or(Ok(None), |field| Sent::read(&field))
    }

    /// The text of a quantity; none if it is blank.
    fn text(&self, row: &Row, name: &str) -> Result<Option<String>, DecodeError> {
        let column = self.found.iter().find(|(known, _)| *known == name).map(|(_, at)| *at);
        let text = column.and_then(|column| row.fields.get(column)).map_or("", |text| text.trim());
        if text.chars().count() > TEXT_LEN_MAX {
            let what = format!("more than {TEXT_LEN_MAX} characters");
            return Err(row.malformed(what).in_field(name));
        }
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }
}

fn read(raw: &[u8], options: &DriverOptions) -> Result<Vec<Part>, DecodeError> {
    let sheet = Sheet::read(raw)?;
    let columns = Columns::find(&sheet, options)?;
    let mut roles = sheet.roles(|column| columns.is_known(column));
    for (column, role) in roles.iter_mut().enumerate() {
        if columns.is_personal(column) {
            *role = Role::Ignored;
        }
    }
    Ok(sheet.parts(&roles, &|row| reading(row, &columns, options)))
}

fn reading(row: &Row, columns: &Columns, options: &DriverOptions) -> Result<Decoded, DecodeError> {
    let instrument = Instrument {
        vendor: SPEC.vendor.into(),
        model: options.model.clone().unwrap_or_else(|| SPEC.models[0].into()),
        ..Instrument::default()
    };
    let mut decoded = Decoded::new(instrument, Integrity::None);
    let date = columns.text(row, "exam_date")?.unwrap_or_default();
    let time = columns.text(row, "exam_time")?.unwrap_or_default();
    decoded.instrument_time = instrument_time(&date, &time, options.date_order);
    decoded.claimed_patient = columns
        .text(row, "patient_id")?
        .map(|id| ClaimedPatient { id, found_in: "patient_id column".into() });
    for (eye, side, token) in [(Eye::Right, "right", "OD"), (Eye::Left, "left", "OS")] {
        let measured = measured(row, columns, side)?;
        decoded.measurements.extend(measured.into_iter().map(|measured| {
            // Headings of a site's own choice need not hold a token of the instrument.
            if columns.is_default {
                Measurement::of(eye, token, measured)
            } else {
                Measurement::without_token(eye, measured)
            }
        }));
    }
    Ok(decoded)
}

fn measured(row: &Row, columns: &Columns, side: &str) -> Result<Vec<Measured>, DecodeError> {
    let number = |quantity: &str| columns.number(row, quantity, side);
    let (mut all, mut texts) = (vec![], vec![]);
    let biometry = Biometry {
        axial_length_mm: length(number("axial_length")?, "AL", "axial length", &mut texts),
        lens_status_as_sent: columns.text(row, &format!("lens_status_{side}"))?,
        ..Biometry::default()
    };
    if biometry != Biometry::default() {
        all.push(Measured::Biometry(biometry));
    }
    all.append(&mut texts);
    let snr = number("axial_snr")?;
    all.extend(snr.map(|sent| text("SNR", "signal to noise ratio", &sent, None)));
    let depth = number("acd")?;
    all.extend(depth.map(|sent| text("ACD", "depth of the anterior chamber", &sent, Some("mm"))));
    let meridians = Meridians {
        r1: number("r1")?,
        r1_axis: number("r1_axis")?,
        r2: number("r2")?,
        r2_axis: number("r2_axis")?,
    };
    for axis in [&meridians.r1_axis, &meridians.r2_axis].into_iter().flatten() {
        if !axis.is_axis() {
            let what = "an axis is 0 to 180 degrees";
            return Err(row.malformed(what).in_field(format!("axis {side}")));
        }
    }
    all.extend(meridians.measured("R1, R2", Some(Curvature::RadiusMm)));
    let white = length(number("white_to_white")?, "WTW", "white-to-white distance", &mut texts);
    all.extend(white.map(|diameter_mm| Measured::CornealSize(CornealSize { diameter_mm })));
    all.append(&mut texts);
    Ok(all)
}

#[cfg(test)]
mod tests;

golden_tests!(SPEC);
