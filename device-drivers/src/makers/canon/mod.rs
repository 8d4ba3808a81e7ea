//! Canon instruments.

mod rkf1;

pub use rkf1::SPEC as RKF1;
