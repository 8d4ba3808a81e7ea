//! Rules, pure: no database, no clock.

pub mod comparison;
pub mod correction;
pub mod difference;
pub mod optics;
pub mod placement;
pub mod prescription;
pub mod progress;
pub mod report;
pub mod sample;
pub mod sheet;
pub mod signature;
