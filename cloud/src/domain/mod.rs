//! Rules, pure: no database, no clock.

pub mod placement;
pub mod progress;
