//! Rules, pure: no database, no clock.

pub mod again;
pub mod charges;
pub mod check_in;
pub mod comparison;
pub mod configuration;
pub mod correction;
pub mod difference;
pub mod image_placement;
pub mod incident;
pub mod opening;
pub mod optics;
pub mod order;
pub mod placement;
pub mod prescription;
pub mod progress;
pub mod quiet;
pub mod report;
pub mod sample;
pub mod sheet;
pub mod signature;
pub mod vision_prescription;
