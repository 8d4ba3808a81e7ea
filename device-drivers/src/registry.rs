//! All drivers. A driver is a file, one line here, and a folder of fixtures.

use crate::{
    DriverSpec, canon, captures, haag_streit, huvitz, joia, nidek, nidek_rt_xml, nidek_xml, oculus,
    reichert, screener, screening, tomey, top1000, topcon, topcon_myah, visionix, zeiss,
};

/// Most bytes that a decoder may hold back without having made an event of them: one whole document
/// of a driver that reads files. A longer transmission is refused as too long.
pub const PENDING_LEN_MAX: usize = 4 << 20;
/// The same for a driver that reads a line.
pub const LINE_PENDING_LEN_MAX: usize = 16 * 1024;

/// Every driver, in the order of the instruments table.
#[rustfmt::skip] // one line for each
pub static DRIVERS: &[&DriverSpec] = &[
    &nidek::ARK,
    &nidek::LM,
    &nidek::NT,
    &nidek::TONOREF,
    &nidek::RT,
    &joia::SPEC,
    &nidek_xml::data::SPEC,
    &nidek_xml::lm::SPEC,
    &nidek_xml::tomey::SPEC,
    &nidek_xml::rodenstock::SPEC,
    &nidek_rt_xml::SPEC,
    &huvitz::SRR,
    &huvitz::HLM,
    &topcon::RM8900,
    &topcon::KR8900,
    &huvitz::DATALAB,
    &huvitz::HDR,
    &huvitz::RMK_JSON,
    &reichert::ORA,
    &top1000::XML,
    &top1000::TICKET,
    &canon::RKF1,
    &screening::FR710,
    &screening::FR8900,
    &screening::URK700,
    &screening::FA6500,
    &captures::KEELER,
    &captures::TOPCON,
    &captures::HUVITZ,
    &captures::CANON,
    &captures::SHIN_NIPPON,
    &captures::POTEC,
    &captures::ESSILOR,
    &captures::REICHERT,
    &captures::ICARE,
    &captures::ZEISS,
    &captures::RIGHTON,
    &visionix::OPTIC,
    &visionix::NATIVE,
    &screener::SPOT,
    &screener::TWO_WIN,
    &screener::PLUSOPTIX,
    &haag_streit::eyesuite::SPEC,
    &topcon_myah::SPEC,
    &zeiss::iolmaster500::SPEC,
    &oculus::pentacam::SPEC,
    &tomey::FORM,
    &tomey::RC,
    &tomey::TL_CSV,
    &tomey::RT6000,
    &tomey::TL3000C,
    &tomey::TAP,
];

/// The driver of this name.
pub fn find(id: &str) -> Option<&'static DriverSpec> {
    DRIVERS.iter().copied().find(|spec| spec.id == id)
}

#[cfg(test)]
mod tests;
