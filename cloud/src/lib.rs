//! The cloud core: ingest, exam record, pages, fleet.

pub mod store;
