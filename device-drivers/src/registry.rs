//! All drivers. A driver is a file, one line here, and a folder of fixtures.

use crate::{
    DriverSpec, Transport,
    makers::{
        autorefractors, canon, captures, dicom_measurements, haag_streit, huvitz, joia, nidek,
        nidek_rt_xml, nidek_xml, oculus, reichert, screeners, tomey, top1000, topcon, visionix,
        zeiss,
    },
};

/// Most bytes that a decoder may hold back without having made an event of them: one whole document
/// that holds matrices. A longer transmission is refused as too long.
pub const PENDING_LEN_MAX: usize = 8 << 20;
/// The same for a driver that reads other files.
pub const FILE_PENDING_LEN_MAX: usize = 4 << 20;
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
    &nidek_xml::data::SPEC,
    &nidek_xml::lm::SPEC,
    &nidek_rt_xml::SPEC,
    &joia::SPEC,
    &topcon::RM8900,
    &topcon::KR8900,
    &topcon::myah::SPEC,
    &huvitz::SRR,
    &huvitz::HLM,
    &huvitz::DATALAB,
    &huvitz::HDR,
    &huvitz::RMK_JSON,
    &tomey::FORM,
    &tomey::RC,
    &tomey::RT6000,
    &tomey::TL3000C,
    &tomey::TL_CSV,
    &tomey::TAP,
    &nidek_xml::tomey::SPEC,
    &nidek_xml::rodenstock::SPEC,
    &top1000::XML,
    &top1000::TICKET,
    &visionix::OPTIC,
    &visionix::NATIVE,
    &reichert::ORA,
    &canon::RKF1,
    &autorefractors::FR710,
    &autorefractors::FR8900,
    &autorefractors::URK700,
    &autorefractors::FA6500,
    &screeners::SPOT,
    &screeners::TWO_WIN,
    &screeners::PLUSOPTIX,
    &haag_streit::eyesuite::SPEC,
    &zeiss::iolmaster500::SPEC,
    &oculus::pentacam::SPEC,
    &dicom_measurements::SPEC,
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
    &captures::NIDEK,
    &captures::TOMEY,
    &captures::VISIONIX,
    &captures::WELCH_ALLYN,
    &captures::MEDMONT,
    &captures::MARCO,
    &captures::CSO,
];

/// The driver of this name.
pub fn find(id: &str) -> Option<&'static DriverSpec> {
    DRIVERS.iter().copied().find(|spec| spec.id == id)
}

/// Most bytes that this driver may hold back.
pub fn pending_len_max(spec: &DriverSpec) -> usize {
    match spec.transport {
        Transport::Serial(_) => LINE_PENDING_LEN_MAX,
        Transport::Folder { .. } if spec.id == topcon::myah::SPEC.id => PENDING_LEN_MAX,
        Transport::Folder { .. } => FILE_PENDING_LEN_MAX,
    }
}

/// Name and meaning of the quantities to which a site may give headings in its configuration, for a
/// driver whose tables have no fixed ones.
pub fn columns(spec: &DriverSpec) -> &'static [(&'static str, &'static str)] {
    match spec.id {
        id if id == zeiss::iolmaster500::SPEC.id => zeiss::iolmaster500::COLUMNS,
        _ => &[],
    }
}

#[cfg(test)]
mod tests;
