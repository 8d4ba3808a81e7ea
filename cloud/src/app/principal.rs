//! Who asks: an account of one tenant in one role.

use std::fmt;

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Works in the lanes: sessions, accepts, trays.
    Technician,
    /// Reads exams; may do all that technicians do.
    Doctor,
    /// Makes glasses from signed prescriptions; sees those and what belongs to them, no charts.
    Optician,
    /// Runs the gateways and the schedule of the clinic. Sees no patients.
    ClinicIt,
    /// Watches fleets, for now that of the tenant the account belongs to. Sees no patients.
    CloudStaff,
}

impl Role {
    pub const ALL: &'static [Role] =
        &[Role::Technician, Role::Doctor, Role::Optician, Role::ClinicIt, Role::CloudStaff];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Technician => "technician",
            Role::Doctor => "doctor",
            Role::Optician => "optician",
            Role::ClinicIt => "clinic_it",
            Role::CloudStaff => "cloud_staff",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.as_str() == text)
    }
    /// Whether this role works with exams.
    pub fn is_clinical(self) -> bool {
        matches!(self, Role::Technician | Role::Doctor)
    }
    /// Whether this role works with signed prescriptions and the glasses made from them.
    pub fn is_optical(self) -> bool {
        self.is_clinical() || self == Role::Optician
    }
    /// For people.
    pub fn label(self) -> &'static str {
        match self {
            Role::Technician => "Technician",
            Role::Doctor => "Doctor",
            Role::Optician => "Optician",
            Role::ClinicIt => "Clinic IT",
            Role::CloudStaff => "Cloud staff",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The authenticated person. Every query takes its tenant from here, never from the request.
#[derive(Debug, Clone)]
pub struct Principal {
    pub tenant: String,
    pub account: String,
    pub name: String,
    pub role: Role,
    pub csrf_token: String,
    /// Where the request came from, for the audit; empty where that is not known.
    pub address: String,
    /// The password was made by somebody else: nothing is done before it is replaced.
    pub must_change_password: bool,
    /// Hash of the session token: the key of the sign-in.
    pub token_sha256: String,
}
