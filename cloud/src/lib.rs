//! The cloud core: ingest, exam record, pages, fleet.

pub mod app;
pub mod archive;
pub mod broker;
pub mod clock;
pub mod commands;
pub mod config;
pub mod core;
pub mod domain;
pub mod fleet;
pub mod handshakes;
pub mod http;
pub mod imaging;
pub mod ingest;
pub mod live;
pub mod metrics;
pub mod pending;
pub mod pki;
pub mod store;

pub use crate::core::Core;
