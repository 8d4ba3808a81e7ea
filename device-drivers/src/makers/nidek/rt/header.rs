//! Who sends, when, for whom.
//!
//! | form           | bytes                                                                       |
//! |----------------|-----------------------------------------------------------------------------|
//! | one line       | `NIDEK·RT-5100·ID` 12 columns `·DA` `YYYY/MM/DD`, then perhaps `·` and `07` |
//! | AR port = HDR  | three lines: `NIDEK·RT-5100`, `ID` up to 20 characters, `DA…` as above      |
//!
//! The id stands to the right of its columns, or they are blank. Months and days are padded with
//! blanks or zeros. The number behind the date is that of the system, from 1 to 10.

use crate::{DecodeError, flags::CLOCK_YEAR_MIN, format::fields::Field};
use chiasm_proto::{
    ClaimedPatient, Decoded, Eye, Flag, FlagCode, Instrument, InstrumentTime, Measured,
    Measurement, OtherTest,
};

const PATIENT_ID_LEN_MAX: usize = 20;
/// `RT-5100` has seven characters.
const MODEL_LEN_MAX: usize = 16;
const DATE_LEN: usize = 10;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Header<'a> {
    model: String,
    patient: Option<String>,
    date: Option<Field<'a>>,
    system: Option<String>,
    /// Lines in front of the first source that are neither of the two.
    pub unknown: Vec<Field<'a>>,
}

/// Reads the lines up to the first source, and gives back the others.
pub fn read<'a, 'b>(lines: &'b [Field<'a>]) -> Result<(Header<'a>, &'b [Field<'a>]), DecodeError> {
    let count = lines.iter().take_while(|line| !line.text.starts_with('@')).count();
    let (head, rest) = lines.split_at(count);
    let mut header = Header::default();
    for (at, line) in head.iter().enumerate() {
        match &line.text[..2] {
            _ if at == 0 => header.first_line(&line.named("header"))?,
            "ID" => header.patient(&line.columns(2, line.text.len() - 2, "ID")?)?,
            "DA" => header.date(&line.columns(2, line.text.len() - 2, "DA")?)?,
            _ => header.unknown.push(*line),
        }
    }
    Ok((header, rest))
}

impl<'a> Header<'a> {
    fn first_line(&mut self, line: &Field<'a>) -> Result<(), DecodeError> {
        let refuse = || line.malformed("not of the form NIDEK, model, ID, DA");
        let text = line.text.strip_prefix("NIDEK ").ok_or_else(refuse)?;
        let model = text.split(' ').next().unwrap_or_default();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if model.len() > MODEL_LEN_MAX || !model.bytes().all(is_name) {
            return Err(refuse());
        }
        self.model = model.to_owned();
        let from = line.text.len() - text.len() + model.len();
        let rest = line.columns(from, line.text.len() - from, "header")?;
        if rest.text.trim().is_empty() {
            return Ok(());
        }
        let [tag, id, other] =
            [(0, 3), (3, 12), (15, 3)].map(|(from, len)| rest.columns(from, len, "ID"));
        let (tag, id, other) = (tag?, id?, other?);
        if (tag.text, other.text) != (" ID", " DA") {
            return Err(refuse());
        }
        self.patient(&id)?;
        self.date(&rest.columns(18, rest.text.len() - 18, "DA")?)
    }

    fn patient(&mut self, id: &Field<'a>) -> Result<(), DecodeError> {
        if id.text.len() > PATIENT_ID_LEN_MAX {
            return Err(id.malformed("longer than any patient id"));
        }
        match self.patient.replace(id.text.trim().to_owned()) {
            None => Ok(()),
            Some(_) => Err(id.malformed("sent twice in one report")),
        }
    }

    /// The date and, perhaps, the number of the system.
    fn date(&mut self, field: &Field<'a>) -> Result<(), DecodeError> {
        let date = field.columns(0, DATE_LEN, "DA")?;
        let is_blank = date.text.trim().is_empty();
        if !is_blank && !date.has_shape("0000/_0/_0") {
            return Err(date.malformed("not a date of the form YYYY/MM/DD"));
        }
        match &field.text[DATE_LEN..] {
            "" => {}
            text => {
                let system = Field::new(text, field.offset + DATE_LEN, "system number");
                let is_number = system.has_shape(" _0");
                if !is_number && !text.trim().is_empty() {
                    return Err(system.malformed("not a system number behind the date"));
                }
                self.system = is_number.then(|| text.trim().to_owned());
            }
        }
        match self.date.replace(date) {
            None => Ok(()),
            Some(_) => Err(field.malformed("sent twice in one report")),
        }
    }

    pub fn instrument(&self) -> Instrument {
        Instrument { vendor: "NIDEK".into(), model: self.model.clone(), ..Instrument::default() }
    }

    /// Writes all but the instrument into the reading. A date alone is no time, so it is kept as
    /// sent only.
    pub fn apply(self, decoded: &mut Decoded) {
        let patient = self.patient.filter(|id| !id.is_empty());
        decoded.claimed_patient =
            patient.map(|id| ClaimedPatient { id, found_in: "ID field".into() });
        let date = self.date.map(|date| date.text.trim()).filter(|text| !text.is_empty());
        let year = date.and_then(|date| date.get(..4)?.parse::<i16>().ok());
        if year.is_some_and(|year| year < CLOCK_YEAR_MIN) {
            let detail = "the instrument's clock was never set".to_owned();
            decoded.flags.push(Flag { code: FlagCode::ClockUnset, detail });
        }
        decoded.instrument_time =
            date.map(|date| InstrumentTime { as_sent: date.to_owned(), local: None });
        decoded.measurements.extend(self.system.map(|number| {
            let test = OtherTest::one("SN", "number of the refracting system", &number, None);
            Measurement::without_token(Eye::Both, Measured::OtherTest(test))
        }));
    }
}
