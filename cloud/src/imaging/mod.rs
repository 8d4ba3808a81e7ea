//! DICOM instances: where they lie, how they arrive, what their headers say.

pub mod archive;
pub mod header;
pub mod upload;
