//! A simulated imager: asks for its patients and sends what it took, as real ones do.

mod association;
#[path = "../../../cloud/tests/world/dicom.rs"]
pub mod dicom;

pub use association::{Imager, Scheduled};
