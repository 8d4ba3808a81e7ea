//! Writing down who looked at what.

use super::{AppError, principal::Principal};
use crate::store::{Db, audit};

/// The same person looking at the same thing again within this time is one look: pages that
/// refresh by themselves would otherwise write an entry every few seconds.
pub const SAME_LOOK_S: i64 = 10 * 60;

/// Notes a look at a thing. Call it after the thing was found.
pub async fn look(
    db: &Db,
    who: &Principal,
    (action, subject): (&str, &str),
    now_us: i64,
) -> Result<(), AppError> {
    let since_us = now_us - SAME_LOOK_S * 1_000_000;
    let what = (action, subject);
    let mut tx = db.tenant_read(&who.tenant).await?;
    let has_looked = audit::has_since(&mut tx, &who.tenant, &who.account, what, since_us).await?;
    drop(tx);
    if !has_looked {
        let mut tx = db.tenant(&who.tenant).await?;
        audit::write(&mut tx, &who.tenant, &who.account, what, now_us).await?;
        tx.commit().await?;
    }
    Ok(())
}
