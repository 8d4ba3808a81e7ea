//! What people do, one use case per file. Each changes rows, keeps the earlier state, writes the
//! audit entry and the live event in one transaction, and tells nobody before the commit.

pub mod accept;
pub mod assign;
pub mod claim_code;
pub mod csv;
pub mod enrol_gateway;
pub mod history;
pub mod import_schedule;
pub mod local_time;
pub mod look;
pub mod move_reading;
pub mod password;
pub mod preferences;
pub mod principal;
pub mod reject;
pub mod session;
pub mod sign_in;
pub mod work;

use crate::store::StoreError;

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
    /// It makes no sense as asked; the text says what to do.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A reason that a person typed: trimmed, not empty, not endless.
pub fn reason(text: &str) -> Result<&str, AppError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(AppError::Refused("say why: the reason stays with the reading".into()));
    }
    if text.chars().count() > REASON_LEN_MAX {
        let message = format!("the reason is longer than {REASON_LEN_MAX} characters");
        return Err(AppError::Refused(message));
    }
    Ok(text)
}
