//! DICOM instances: where they lie and how they arrive, what their headers say, where their frames
//! lie, and what they look like.
//!
//! [`header`] reads a file up to its pixels. Nothing in here keeps a whole instance in memory.

pub mod archive;
pub mod bucket;
pub mod codec;
mod data_set;
#[cfg(test)]
#[path = "../../tests/world/dicom.rs"]
mod dicom;
pub mod frames;
pub mod header;
pub mod kept;
pub(crate) mod object_reader;
pub mod pictures;
pub mod render;
pub mod upload;
mod walk;

pub use data_set::{Charset, DataSet, Span, Value};
pub use header::Header;
pub use walk::{WalkError, Walked, walk};
