//! What people do, one use case per file. Each changes rows, keeps the earlier state, writes the
//! audit entry and the live event in one transaction, and tells nobody before the commit.

pub mod about;
pub mod accept;
pub mod accession;
pub mod assign;
pub mod assign_images;
pub mod audit_chain;
pub mod audit_list;
pub mod charges;
pub mod check_in;
pub mod claim_code;
pub mod config_csv;
pub mod configure;
pub mod correct;
pub mod csv;
pub mod decode_again;
pub mod enrol_gateway;
pub mod history;
pub mod image_evidence;
pub mod import_schedule;
pub mod inbox_owner;
pub mod intake;
pub mod lane_acts;
pub mod listen;
pub mod local_time;
pub mod look;
pub mod merge;
pub mod move_reading;
pub mod optical;
pub mod order;
pub mod own_account;
pub mod password;
pub mod people;
pub mod placing;
pub mod preferences;
pub mod prescribe;
pub mod principal;
pub mod provider;
pub mod record;
pub mod reject;
pub mod report;
pub mod session;
pub mod sign;
pub mod sign_in;
pub mod type_in;
pub mod visit_note;
pub mod watch_fleet;
pub mod wipe_gateway;
pub mod work;

use crate::{domain::sheet::FieldFault, store::StoreError};

/// Longest reason that a person may type, in characters.
pub const REASON_LEN_MAX: usize = 300;

/// Why something that a person wanted was not done.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// It is not there, or it belongs to another tenant: the answer is the same.
    #[error("there is no such {0} here")]
    NotFound(&'static str),
    /// Somebody else changed it first.
    #[error("somebody else changed this reading just now: look at it again")]
    Conflict,
    /// The reading names another patient than the one chosen.
    #[error(
        "the instrument sent id {claimed}, but the chosen patient has chart number {chart_number}"
    )]
    IdsDiffer { claimed: String, chart_number: String },
    /// Something came or changed since the person looked.
    #[error("{0}")]
    Stale(String),
    /// Something has to be done before; the text says what.
    #[error("{0}")]
    NotYet(String),
    /// The person's role may not do this.
    #[error("{0}")]
    WrongRole(&'static str),
    /// It makes no sense as asked; the text says what to do.
    #[error("{0}")]
    Refused(String),
    /// Fields of a form that cannot be taken, each with its message.
    #[error("some fields cannot be taken: {}", field_list(.0))]
    Fields(Vec<FieldFault>),
    /// The same about one field, which is named as requests name it.
    #[error("{1}")]
    Field(&'static str, String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn field_list(faults: &[FieldFault]) -> String {
    let one = |fault: &FieldFault| format!("{} ({})", fault.field, fault.message);
    faults.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A reason that a person typed: trimmed, not empty, not endless.
pub fn reason(text: &str) -> Result<&str, AppError> {
    let text = text.trim();
    if text.is_empty() {
        let message = "say why: the reason stays with the reading";
        return Err(AppError::Field("reason", message.into()));
    }
    if text.chars().count() > REASON_LEN_MAX {
        let message = format!("the reason is longer than {REASON_LEN_MAX} characters");
        return Err(AppError::Field("reason", message));
    }
    Ok(text)
}
