//! Haag-Streit.

pub mod eyesuite;
