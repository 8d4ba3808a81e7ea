//! Rules, pure: no database, no clock.

pub mod optics;
pub mod placement;
pub mod progress;
