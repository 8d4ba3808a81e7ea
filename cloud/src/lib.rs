//! The cloud core: ingest, exam record, pages, fleet.

pub mod clock;
pub mod commands;
pub mod config;
pub mod core;
pub mod live;
pub mod pending;
pub mod store;

pub use crate::core::Core;
