//! Rules, pure: no database, no clock.

pub mod correction;
pub mod placement;
pub mod progress;
pub mod sheet;
