//! A simulated imager: asks for its patients and sends what it took, as real ones do.

mod association;
pub mod visit;

pub use association::{Imager, Scheduled};
