//! The fleet: what runs by the clock, and the proof that nothing is lost.

pub mod jobs;
pub mod reconcile;
