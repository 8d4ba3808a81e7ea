//! Topcon autorefractors on a serial line. Their files are read by [`crate::makers::joia`].

mod kr8900;
pub mod myah;
mod rm8900;

pub use kr8900::SPEC as KR8900;
pub use rm8900::SPEC as RM8900;

use crate::{DecodeError, DriverOptions, ErrorCode, LineSettings, Parity};
use chiasm_proto::Instrument;

const VENDOR: &str = "Topcon";
/// The usual ones for instruments of this age; for these two none is documented.
const LINES: &[LineSettings] = &[
    LineSettings { baud: 9600, data_bits: 8, parity: Parity::None, stop_bits: 1 },
    LineSettings { baud: 2400, data_bits: 8, parity: Parity::None, stop_bits: 1 },
];

fn instrument(options: &DriverOptions, model: &str) -> Instrument {
    let model = options.model.clone().unwrap_or_else(|| model.into());
    Instrument { vendor: VENDOR.into(), model, ..Instrument::default() }
}

/// Both send plain ASCII; anything else is damage.
fn ascii(raw: &[u8]) -> Result<&str, DecodeError> {
    match raw.iter().position(|byte| !byte.is_ascii()) {
        Some(at) => Err(DecodeError::new(ErrorCode::Encoding, at, "a byte that is not ASCII")),
        None => Ok(std::str::from_utf8(raw).unwrap_or("")),
    }
}
