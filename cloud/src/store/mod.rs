//! All SQL of the cloud. One text for SQLite and PostgreSQL in their common subset; what has to
//! differ (batch inserts) stands in one place.

pub mod batch;
pub mod db;
pub mod fleet;
pub mod live;

pub use db::{Db, StoreError, Tx};
