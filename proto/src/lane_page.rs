//! The gateway's own page, by which a clinic works on while the internet is down (T12): who may use
//! it, and what they did there.
//!
//! [`Staff`] is published on `…/down/staff` to gateways that have such a page. It is the whole truth
//! each time. A [`LaneAct`] travels up like a reading: numbered, hashed, kept until the cloud has it.

use crate::{ClockState, LaneId, LaneSessionId, ReadingId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Most people that a gateway is told.
pub const PEOPLE_MAX: usize = 500;
/// Shortest and longest PIN, in digits.
pub const PIN_LEN_MIN: usize = 6;
pub const PIN_LEN_MAX: usize = 12;

/// Whether a text can be a PIN: digits, and not the same one throughout.
pub fn is_pin(text: &str) -> bool {
    let digits = text.as_bytes();
    (PIN_LEN_MIN..=PIN_LEN_MAX).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && digits.iter().any(|digit| *digit != digits[0])
}

/// Who may use the page, and what it has to know of its location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staff {
    pub generated_at: Timestamp,
    pub location: String,
    /// IANA name: whose day is today.
    pub time_zone: String,
    pub lanes: Vec<NamedLane>,
    pub people: Vec<StaffMember>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedLane {
    pub lane: LaneId,
    pub name: String,
}

/// Somebody who works with patients and has chosen a PIN.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaffMember {
    /// As the cloud names the person in what they do.
    pub account: String,
    /// What they type, or what the badge holds that they scan.
    pub login: String,
    pub name: String,
    /// argon2id, as a PHC string.
    pub pin_hash: String,
}

/// The hash stays out of logs: of so short a secret it is nearly the secret.
impl fmt::Debug for StaffMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaffMember").field("account", &self.account).finish_non_exhaustive()
    }
}

/// Something that a person did at the gateway's page. When is the envelope's `time`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneAct {
    pub lane: LaneId,
    /// Who, as [`StaffMember::account`].
    pub account: String,
    pub clock: ClockState,
    pub deed: Deed,
}

/// What was done. A visit is named by the accession number that the cloud issued for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Deed {
    /// The lane measures this visit's patient from now on.
    SessionOpened {
        /// Made by the gateway.
        session: LaneSessionId,
        accession: String,
        /// The session that the gateway knew to be open in the lane, which ends by this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ends: Option<LaneSessionId>,
    },
    SessionEnded {
        session: LaneSessionId,
        why: SessionEnd,
    },
    /// A reading without a session is of this visit's patient.
    ReadingAssigned {
        reading: ReadingId,
        accession: String,
    },
    /// A reading of this visit is right.
    ReadingAccepted {
        reading: ReadingId,
        accession: String,
    },
}

impl Deed {
    /// Whether it says who is in the lane.
    pub fn is_about_session(&self) -> bool {
        matches!(self, Deed::SessionOpened { .. } | Deed::SessionEnded { .. })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// By the person who is named.
    Person,
    /// No reading came for too long (T1); the person named had opened it.
    Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_digits_that_are_not_all_the_same() {
        for pin in ["204816", "123456789012"] {
            assert!(is_pin(pin), "{pin}");
        }
        for none in ["", "12345", "1234567890123", "12345a", "777777", "１２３４５６"] {
            assert!(!is_pin(none), "{none}");
        }
    }
}
