//! Huvitz autorefractors, lensmeters and refractors, and the relatives that other makers sell: the
//! same text on the line, the same files.

mod datalab;
mod hdr;
mod hlm;
mod rmk_json;
mod srr;

pub use datalab::SPEC as DATALAB;
pub use hdr::SPEC as HDR;
pub use hlm::SPEC as HLM;
pub use rmk_json::SPEC as RMK_JSON;
pub use srr::SPEC as SRR;

use crate::{DecodeError, DriverOptions, ErrorCode};
use chiasm_proto::{
    Eye, Instrument, Measured, Measurement, Refraction, RefractionKind, RefractionValue, Shot,
};

/// Makers of relatives; their models are configured with the maker's name in front.
const RELATIVES: [&str; 5] = ["Charops", "Tianle", "Xiongbo", "Visionix", "Nikon"];
const EYES: [(Eye, &str); 2] = [(Eye::Right, "R"), (Eye::Left, "L")];

/// The instrument as configured, for formats in which it does not name itself. A relative goes
/// under its own maker's name.
fn instrument(options: &DriverOptions) -> Instrument {
    let configured = options.model.as_deref().unwrap_or("unknown");
    let of_relative = |vendor: &'static str| {
        let model = configured.strip_prefix(vendor)?.strip_prefix(' ')?;
        Some((vendor, model))
    };
    let (vendor, model) =
        RELATIVES.into_iter().find_map(of_relative).unwrap_or(("Huvitz", configured));
    Instrument { vendor: vendor.into(), model: model.into(), ..Instrument::default() }
}

/// An autorefraction of a single value that the instrument gives no name to.
fn refraction(eye: Eye, token: &str, value: RefractionValue) -> Measurement {
    let refraction = Refraction {
        shots: vec![Shot::of(value)],
        ..Refraction::new(RefractionKind::Autorefraction)
    };
    Measurement::of(eye, token, Measured::Refraction(refraction))
}

/// These families send plain ASCII; anything else is damage.
fn ascii(raw: &[u8]) -> Result<&str, DecodeError> {
    match raw.iter().position(|byte| !byte.is_ascii()) {
        Some(at) => Err(DecodeError::new(ErrorCode::Encoding, at, "a byte that is not ASCII")),
        None => Ok(std::str::from_utf8(raw).unwrap_or("")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_goes_under_its_own_makers_name() {
        let of = |model: &str| {
            let options = DriverOptions { model: Some(model.into()), ..Default::default() };
            let instrument = instrument(&options);
            (instrument.vendor, instrument.model)
        };
        assert_eq!(of("HRK-8000A"), ("Huvitz".into(), "HRK-8000A".into()));
        assert_eq!(of("Charops CRK-8800"), ("Charops".into(), "CRK-8800".into()));
        assert_eq!(of("CharopsX"), ("Huvitz".into(), "CharopsX".into()));
    }
}
