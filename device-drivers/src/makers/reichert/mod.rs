//! Reichert tonometers.

mod ora;

pub use ora::SPEC as ORA;
