//! What a person chose for themselves.

use super::{AppError, work::Work};
use crate::{domain::optics::Notation, store::account};

/// Sets in which form of writing the person wants cylinders shown (R6).
pub async fn set_notation(work: &mut Work, word: &str) -> Result<(), AppError> {
    let Some(notation) = Notation::parse(word) else {
        let message = "choose minus cylinder, plus cylinder, or as sent";
        return Err(AppError::Refused(message.into()));
    };
    let (tenant, account) = (work.who.tenant.clone(), work.who.account.clone());
    account::set_notation(&mut work.tx, &tenant, &account, notation.as_str()).await?;
    work.audit("notation_chosen", notation.as_str()).await
}
