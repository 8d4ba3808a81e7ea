//! All SQL of the cloud. One text for SQLite and PostgreSQL in their common subset; what has to
//! differ (batch inserts) stands in one place.

pub mod db;

pub use db::{Db, StoreError, Tx};
