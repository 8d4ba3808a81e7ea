//! A simulated imager: asks for its patients and sends what it took, as real ones do.

pub mod archive;
mod association;
pub mod visit;

pub use association::{Imager, Scheduled};
