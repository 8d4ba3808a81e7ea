//! Simulated instruments: what they would put on the line, written from the layouts.
//!
//! Nothing here calls a decoder, the framing or the field helpers, so that an error in one of them
//! cannot hide behind the same error here. [`SIMULATORS`] lists them all; each has a print for
//! every seed and [`Knobs`] that change it. Every driver that reads values has at least one, and
//! one test holds all of them to what the drivers read.

mod dicom;
mod haag_streit;
mod huvitz;
mod huvitz_files;
mod instrument;
mod joia;
mod joia_cv5000;
mod myah;
mod nidek;
mod nidek_data_xml;
mod nidek_lm_xml;
mod nidek_rt_xml;
mod oculus;
mod reichert;
mod screeners;
mod screening;
mod tomey;
mod tomey_lm;
mod tomey_tap;
mod top1000;
mod topcon_serial;
mod visionix;
mod visionix_native;
mod zeiss;

pub mod dice;
pub mod dicom_file;
pub mod nidek_ark;
pub mod nidek_lm;
pub mod nidek_nt;
pub mod nidek_rt;
pub mod nidek_tonoref;
pub mod nidek_wire;

pub use nidek_ark::ArkPrint;
pub use nidek_lm::LmPrint;
pub use nidek_nt::NtPrint;
pub use nidek_tonoref::TonorefPrint;

pub use instrument::{Knob, Knobs, SimPrint, Simulator};

/// Every simulated instrument.
#[rustfmt::skip] // one line for each
pub static SIMULATORS: &[&Simulator] = &[
    &nidek::ARK,
    &nidek::LM,
    &nidek::NT,
    &nidek::TONOREF,
    &nidek_rt::RT,
    &joia::KR1,
    &joia::KR800S,
    &joia::CL300,
    &joia::CT1P,
    &joia::TRK2P,
    &nidek_data_xml::ARK1S,
    &nidek_data_xml::NT530P,
    &nidek_data_xml::TONOREF3,
    &nidek_lm_xml::LM7P,
    &nidek_lm_xml::TL7000,
    &nidek_lm_xml::AL6600,
    &joia_cv5000::CV5000,
    &nidek_rt_xml::RT6100,
    &huvitz::SRR,
    &huvitz::HLM,
    &topcon_serial::RM8900,
    &topcon_serial::KR8900,
    &huvitz_files::DATALAB,
    &huvitz_files::HDR,
    &huvitz::RMK_JSON,
    &reichert::ORA,
    &top1000::FILE,
    &top1000::TICKET,
    &screening::FR710,
    &screening::FR8900,
    &screening::URK700,
    &screening::FA6500,
    &visionix::VX130,
    &visionix::VX40,
    &visionix::L80,
    &visionix_native::VX120,
    &visionix_native::L80,
    &screeners::SPOT,
    &screeners::TWO_WIN,
    &screeners::PLUSOPTIX,
    &haag_streit::EYESUITE,
    &myah::MYAH,
    &zeiss::IOLMASTER500,
    &oculus::PENTACAM,
    &dicom::AR,
    &dicom::KER,
    &dicom::LEN,
    &dicom::SRF,
    &dicom::VA,
    &dicom::OAM,
    &tomey::FORM,
    &tomey::RC800,
    &tomey::RC,
    &tomey::RT6000,
    &tomey_lm::TL6100,
    &tomey_lm::TL3000C,
    &tomey_tap::PHOROMAT,
    &tomey_tap::TAP,
];

/// The simulated instrument of this model.
pub fn find(model: &str) -> Option<&'static Simulator> {
    SIMULATORS.iter().copied().find(|simulator| simulator.model == model)
}

#[cfg(test)]
mod all_tests;
#[cfg(test)]
mod tests;
