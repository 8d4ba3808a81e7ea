//! Simulated instruments: what they would put on the line, written from the layouts.
//!
//! Nothing here calls a decoder, the framing or the field helpers, so that an error in one of them
//! cannot hide behind the same error here. Each print is plain data with public fields; change them
//! to get one eye only, failed shots, other line settings. Every print has
//!
//! * `random(seed)`: plausible values, others for every seed, the same for the same one. The
//!   running number is `seed % 10_000`;
//! * `bytes()`: the transmission;
//! * `measurements()`: what a reading made of it has to hold, in its order.

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

#[cfg(test)]
mod tests;
