//! Gateways, a broker and a cloud in virtual time, with the state machines of the product and
//! disks, a network and people of ours. One seed is one schedule of faults; the same seed is the
//! same schedule.
//!
//! Of the product: what to send next ([`chiasm_gateway::uplink::delivery`]), which session stamps a
//! reading ([`chiasm_gateway::binding`]), what has arrived and what is acknowledged
//! ([`chiasm_cloud::domain::progress`]), and where a reading goes
//! ([`chiasm_cloud::domain::placement`]). Disks are models: what was committed is there after a
//! crash, unless the disk lies or is restored.
//!
//! | module | holds |
//! |---|---|
//! | [`gateway`] | spool, journal and connection of a gateway |
//! | [`cloud`] | the ledger, and its commit |
//! | `pipe` | the broker and the network |
//! | `world` | people, instruments, faults, time |
//! | `oracle` | what has to hold in the end |
//!
//! Assumed: who sits at an instrument is whose session is open (a person's wrong choice is not what
//! is tried here); nobody measures within two seconds of a change of patients; a clock that says it
//! is synchronised is right within half a second; whoever restores the cloud's database from a
//! backup ends the sessions that stand open in it.

pub mod cloud;
pub mod gateway;
mod oracle;
mod pipe;
mod world;

use std::{collections::BTreeMap, fmt};

pub use world::run;

/// A print of an instrument, and who sat there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Print {
    pub id: u64,
    pub lane: usize,
    /// None if nobody was chosen: then nobody knows whose it is.
    pub patient: Option<u64>,
    /// What the instrument says of the patient.
    pub claimed: Option<u64>,
}

/// What came of one schedule, or of many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    pub schedules: u64,
    pub faults: BTreeMap<&'static str, u64>,
    pub prints: u64,
    pub in_exams: u64,
    /// In trays or held: people decide.
    pub waiting: u64,
    /// Kept on both sides, and shown: another content under a known number.
    pub quarantined: u64,
    /// Read, and gone with a power failure before anything was shown.
    pub unshown: u64,
    /// In a spool that was damaged and is set aside on the gateway's disk.
    pub set_aside: u64,
    /// Not sent yet when the disk forgot them: nothing but a second disk helps.
    pub forgotten_by_disk: u64,
}

impl Outcome {
    pub fn add(&mut self, other: &Outcome) {
        self.schedules += other.schedules;
        for (fault, times) in &other.faults {
            *self.faults.entry(fault).or_default() += times;
        }
        self.prints += other.prints;
        self.in_exams += other.in_exams;
        self.waiting += other.waiting;
        self.quarantined += other.quarantined;
        self.unshown += other.unshown;
        self.set_aside += other.set_aside;
        self.forgotten_by_disk += other.forgotten_by_disk;
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let injected: u64 = self.faults.values().sum();
        writeln!(f, "schedules {}, faults injected {injected}", self.schedules)?;
        for (fault, times) in &self.faults {
            writeln!(f, "  {fault:<28} {times}")?;
        }
        writeln!(
            f,
            "readings {}: in exams {}, waiting for a person {}, quarantined {}, set aside {}",
            self.prints, self.in_exams, self.waiting, self.quarantined, self.set_aside
        )?;
        writeln!(
            f,
            "gone before they were shown {}, forgotten by a lying or restored disk {}",
            self.unshown, self.forgotten_by_disk
        )?;
        writeln!(f, "lost 0, twice 0, misfiled 0")
    }
}
