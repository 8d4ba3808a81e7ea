//! All SQL of the cloud. One text for SQLite and PostgreSQL in their common subset; what has to
//! differ (batch inserts) stands in one place.

pub mod account;
pub mod aging;
pub mod archive;
pub mod audit;
pub mod audit_about;
pub mod audit_list;
pub mod batch;
pub mod capture;
pub mod charge;
pub mod claim;
pub mod db;
pub mod document;
pub mod encounter;
pub mod exam;
pub mod exam_entry;
pub mod fleet;
pub mod fleet_view;
pub mod history;
pub mod identity;
pub mod lane_open;
pub mod lane_session;
pub mod live;
pub mod notice;
pub mod optical;
pub mod order;
pub mod patient;
pub mod patient_merge;
pub mod provider;
pub mod prune;
pub mod reconcile;
pub mod refusal;
pub mod report;
pub mod row;
pub mod schedule;
pub mod shared_lane;
pub mod sign_in;
pub mod signature;
pub mod site;
pub mod stream;
pub mod visit_note;
pub mod waiting;

pub use db::{Db, StoreError, Tx};
