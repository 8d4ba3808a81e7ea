//! Zeiss.

pub mod iolmaster500;
