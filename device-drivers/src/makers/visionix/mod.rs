//! Visionix and Luneau: wavefront aberrometers with topography, refraction units, lensmeters.

mod native;
mod optic;

pub use native::SPEC as NATIVE;
pub use optic::SPEC as OPTIC;
