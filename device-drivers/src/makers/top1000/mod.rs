//! The tonometer with pachymeter that Tomey sells as TOP-1000 and Rodenstock as Topascope: as a
//! file, or as the text of its ticket.

mod ticket;
mod xml;

pub use ticket::SPEC as TICKET;
pub use xml::SPEC as XML;

use crate::{DecodeError, format::fields::Field};
use chiasm_proto::{Eye, Hundredths, IopValue, Measured, Measurement, OtherTest, Pachymetry, Shot};

/// Most shots of one eye. The instrument takes some ten.
const SHOTS_MAX: usize = 64;
/// What the instrument calls its mean, which leaves out shots of low quality.
const AVERAGE: &str = "average";

/// `--.-`: not measured.
fn is_missing(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'-' | b'.')) && text.contains('-')
}

fn iop(iop_mmhg: Hundredths) -> IopValue {
    IopValue { iop_mmhg, iop_kpa: None }
}

/// A thickness as sent: whole micrometres, or as text if it has decimals.
fn thickness(eye: Eye, token: &str, field: &Field) -> Result<Measurement, DecodeError> {
    let number = field.hundredths()?;
    let measured = match u16::try_from(number.0 / 100) {
        Ok(um) if number.0 % 100 == 0 => {
            Measured::Pachymetry(Pachymetry { shots_um: vec![Shot::of(um)], ..Default::default() })
        }
        Ok(_) => {
            let name = "central corneal thickness";
            Measured::OtherTest(OtherTest::one("CCT", name, field.text, Some("um")))
        }
        Err(_) => return Err(field.malformed("not a thickness")),
    };
    Ok(Measurement::of(eye, token, measured))
}
