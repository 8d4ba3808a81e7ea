//! Which instrument, when, and whose measurement it claims to be. Names, birth dates and operators
//! are never read.

use super::values::number_is_same;
use crate::{
    DecodeError, DriverOptions, ErrorCode,
    format::xml::{Document, El, patient::patient},
};
use chiasm_proto::{ClaimedPatient, Decoded, Instrument, InstrumentTime, Integrity};
use jiff::civil;

/// Known and of no use here. `Comment` is the heading of the paper print, `MachineNo` is set by
/// the user, `Version` is that of the format.
const UNUSED: [&str; 3] = ["MachineNo", "Version", "Comment"];
/// Longest patient id, in characters; instruments pad it to 14.
const ID_LEN_MAX: usize = 128;
/// How far into a document its root and the maker's name may stand.
const SNIFF_LEN_MAX: usize = 16 * 1024;

/// Refuses what is no document of this root in one namespace or none: JOIA's have the same skeleton
/// and mean their values otherwise.
pub fn expect_root(document: &Document, root: El, name: &str) -> Result<(), DecodeError> {
    if root.node().name() != name {
        return Err(wrong_kind(root, format!("the root element is not {name}")));
    }
    let own = root.node().namespace();
    let is_own = |index| document.node(index).namespace() == own;
    if own.is_some_and(is_joia) || !(0..document.len()).all(is_own) {
        return Err(wrong_kind(root, "namespaces: another dialect"));
    }
    Ok(())
}

fn is_joia(namespace: &str) -> bool {
    namespace.to_ascii_lowercase().contains("joia")
}

/// Refuses a document of another maker. `head` is the element that the company stands in.
pub fn expect_company(head: El, company: &str) -> Result<(), DecodeError> {
    match head.peek("Company") {
        Some(sent) if begins_with(sent.text(), company) => Ok(()),
        _ => Err(wrong_kind(head, format!("not a document of {company}"))),
    }
}

pub fn wrong_kind(el: El, message: impl Into<String>) -> DecodeError {
    DecodeError::new(ErrorCode::WrongKind, el.node().offset(), message)
}

fn begins_with(text: &str, company: &str) -> bool {
    text.get(..company.len()).is_some_and(|head| head.eq_ignore_ascii_case(company))
}

/// The document's head, still without measurements.
pub fn decode(head: El, options: &DriverOptions) -> Result<Decoded, DecodeError> {
    head.ignore(UNUSED);
    let instrument = Instrument {
        vendor: head.text_of("Company").unwrap_or_default(),
        model: head
            .text_of("ModelName")
            .unwrap_or_else(|| options.model.clone().unwrap_or_default()),
        serial: None,
        software: head.text_of("ROMVersion"),
    };
    let mut decoded = Decoded::new(instrument, Integrity::Structure);
    let (date, time) = (head.text_of("Date"), head.text_of("Time"));
    let local = date.as_deref().zip(time.as_deref()).and_then(|(date, time)| clock(date, time));
    let as_sent = [date, time].into_iter().flatten().collect::<Vec<_>>().join(" ");
    decoded.instrument_time = (!as_sent.is_empty()).then_some(InstrumentTime { as_sent, local });
    if let Some(patient) = patient(head, "Patient", "ID")? {
        patient_of(patient, &mut decoded)?;
    }
    head.peek_all("Operator").into_iter().for_each(El::ignore_whole);
    Ok(decoded)
}

/// Year, month, day with slashes, dashes or points; hour, minute, second with colons or dashes.
fn clock(date: &str, time: &str) -> Option<civil::DateTime> {
    let parts = |text: &str| -> Option<[i16; 3]> {
        let number = |part: &str| {
            let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|_| is_number)
        };
        let numbers: Option<Vec<i16>> = text.split(['/', '-', ':', '.']).map(number).collect();
        numbers?.try_into().ok()
    };
    let small = |number: i16| i8::try_from(number).ok();
    let [year, month, day] = parts(date)?;
    let [hour, minute, second] = parts(time)?;
    let (month, day) = (small(month)?, small(day)?);
    let (hour, minute, second) = (small(hour)?, small(minute)?, small(second)?);
    // A year of four digits tells that it stands in front.
    let is_year = (1900..=9999).contains(&year);
    civil::DateTime::new(year, month, day, hour, minute, second, 0).ok().filter(|_| is_year)
}

/// The running number, and the id if there is one: padded with blanks, or nothing but blanks. One
/// that repeats the running number is none.
fn patient_of(patient: El, decoded: &mut Decoded) -> Result<(), DecodeError> {
    let running_number = patient.text_of(["No.", "No"]);
    let id = patient.leaf("ID");
    if let Some(id) = id
        && id.text().chars().count() > ID_LEN_MAX
    {
        return Err(id.malformed(format!("a patient id of more than {ID_LEN_MAX} characters")));
    }
    decoded.claimed_patient = id
        .map(El::text)
        .filter(|id| !number_is_same(id, running_number.as_deref().unwrap_or("")))
        .map(|id| ClaimedPatient { id: id.to_owned(), found_in: "Patient/ID".into() });
    decoded.running_number = running_number;
    patient.ignore_whole();
    Ok(())
}

/// What a document begins with, as far as recognising it needs.
pub struct Beginning {
    text: String,
}

impl Beginning {
    pub fn of(bytes: &[u8]) -> Self {
        let head = &bytes[..bytes.len().min(SNIFF_LEN_MAX)];
        // In 16 bits every other byte is NUL.
        Self { text: head.iter().filter(|byte| **byte != 0).map(|b| char::from(*b)).collect() }
    }

    /// The name of the root element.
    pub fn root(&self) -> &str {
        let mut rest = self.text.as_str();
        while let Some(at) = rest.find('<') {
            rest = &rest[at + 1..];
            if !rest.starts_with(['?', '!']) {
                let end = rest.find(|c: char| c.is_whitespace() || c == '>' || c == '/');
                return &rest[..end.unwrap_or(rest.len())];
            }
        }
        ""
    }

    pub fn is_of(&self, company: &str) -> bool {
        let sent = self.text.split_once("<Company>").map_or("", |(_, behind)| behind);
        begins_with(sent.trim_start(), company)
    }

    pub fn has_namespaces(&self) -> bool {
        self.text.contains("/namespaces/")
    }

    /// Whether the first `Measure` says that it is of this type.
    pub fn measures(&self, kind: &str) -> bool {
        let Some((_, behind)) = self.text.split_once("<Measure ") else { return false };
        let tag = behind.split('>').next().unwrap_or("").to_ascii_lowercase();
        let tag = tag.replace(['"', '\'', ' '], "");
        tag.contains(&format!("type={}", kind.to_ascii_lowercase()))
    }
}
