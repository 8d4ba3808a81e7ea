//! What a gateway knows of its location's schedule: the worklist of imagers (R31 c).
//!
//! Published on `…/down/worklist`. It is the whole truth each time: yesterday to tomorrow, so that
//! imagers find their patients when the internet is down. Holds personal data; it is neither
//! retained by brokers nor logged.

use jiff::{Timestamp, civil};
use serde::{Deserialize, Serialize};

/// Most visits in a worklist.
pub const VISITS_MAX: usize = 2000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worklist {
    pub generated_at: Timestamp,
    /// The location's name, for people at the imager.
    pub location: String,
    pub visits: Vec<ScheduledVisit>,
}

/// One visit, with the identifiers that the cloud issued for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledVisit {
    /// The visit's identifier (10 characters), used as accession number.
    pub accession: String,
    /// `2.25.` and the encounter's UUID as a decimal number.
    pub study_instance_uid: String,
    /// Clinic-local.
    pub scheduled_at: civil::DateTime,
    pub reason: String,
    pub chart_number: String,
    pub family_name: String,
    pub given_name: String,
    pub birth_date: civil::Date,
}

/// An imager says that it has begun or ended a procedure (MPPS): images are on their way (D7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcedureStep {
    pub link: crate::LinkId,
    pub lane: crate::LaneId,
    pub sop_instance_uid: String,
    pub status: ProcedureStepStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accession: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub study_instance_uid: Option<String>,
    /// Instances that the imager lists when it has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<String>,
    pub clock: crate::ClockState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcedureStepStatus {
    InProgress,
    Completed,
    Discontinued,
}
