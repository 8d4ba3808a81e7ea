//! Simulated instruments: what they would put on the line, written from the layouts.
//!
//! Nothing here calls a decoder, the framing or the field helpers, so that an error in one of them
//! cannot hide behind the same error here. [`SIMULATORS`] lists them all; each has a print for
//! every seed and [`Knobs`] that change it. Every driver that reads values has at least one, and
//! one test holds all of them to what the drivers read.

mod instrument;
mod joia;
mod nidek;
mod tomey;
mod tomey_lm;
mod tomey_tap;

pub mod dice;
pub mod nidek_ark;
pub mod nidek_lm;
pub mod nidek_nt;
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
    &joia::KR1,
    &joia::KR800S,
    &joia::CL300,
    &joia::CT1P,
    &joia::TRK2P,
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
