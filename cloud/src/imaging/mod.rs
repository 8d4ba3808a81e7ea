//! DICOM instances: what their headers say, where their frames lie, and what they look like.
//!
//! [`header`] reads a file up to its pixels, [`frames`] finds its frames, [`codec`] and [`render`]
//! make pictures of them. Nothing in here keeps a whole instance in memory.

pub mod codec;
mod data_set;
#[cfg(test)]
#[path = "../../tests/world/dicom.rs"]
mod dicom;
pub mod frames;
pub mod header;
pub mod kept;
mod object_reader;
pub mod pictures;
pub mod render;
mod walk;

pub use data_set::{DataSet, Span, Value};
pub use header::Header;
pub use walk::{WalkError, Walked, walk};
