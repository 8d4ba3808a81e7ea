//! Oculus.

pub mod pentacam;
