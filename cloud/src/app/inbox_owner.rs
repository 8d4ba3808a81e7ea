//! Taking what waits upon oneself, so that nothing waits for a day without somebody (C6). It says
//! nothing about the reading: no version is made, but it is audited and told.

use super::{AppError, work::Work};
use crate::store::{exam::ReadingRow, waiting};

/// "I see to it": the reading is the person's, whoever had it before.
pub async fn take(work: &mut Work, row: &ReadingRow) -> Result<(), AppError> {
    let account = work.who.account.clone();
    if row.owned_by.as_deref() == Some(&account) {
        return Ok(());
    }
    set(work, row, Some(&account)).await?;
    work.audit("reading_taken", &row.reading_id).await
}

/// Gives it back to everybody.
pub async fn give_back(work: &mut Work, row: &ReadingRow) -> Result<(), AppError> {
    if row.owned_by.is_none() {
        return Ok(());
    }
    set(work, row, None).await?;
    work.audit("reading_given_back", &row.reading_id).await
}

async fn set(work: &mut Work, row: &ReadingRow, account: Option<&str>) -> Result<(), AppError> {
    let (tenant, owner) = (work.who.tenant.clone(), account.map(|it| (it, work.now_us)));
    if !waiting::set_owner(&mut work.tx, &tenant, row, owner).await? {
        return Err(AppError::Conflict);
    }
    work.tell_reading(row, None);
    Ok(())
}
