//! All drivers. A driver is a file, one line here, and a folder of fixtures.

use crate::{DriverSpec, joia, nidek, tomey};

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
    &joia::SPEC,
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
