//! Who looked at what and who changed it.

use super::{StoreError, Tx};
use crate::args;
use uuid::Uuid;

/// Writes one entry. `subject` names a thing by its identifier, never a person by name.
pub async fn write(
    tx: &mut Tx,
    tenant: &str,
    account: &str,
    (action, subject): (&str, &str),
    now_us: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO audit_entry (tenant_id, audit_entry_id, at_us, account_id, action,
            subject) VALUES ($1, $2, $3, $4, $5, $6)";
    let id = Uuid::now_v7().to_string();
    tx.execute(sql, args![tenant, id, now_us, account, action, subject]).await?;
    Ok(())
}

/// Whether the account has done this to the subject since a moment.
pub async fn has_since(
    tx: &mut Tx,
    tenant: &str,
    account: &str,
    (action, subject): (&str, &str),
    since_us: i64,
) -> Result<bool, StoreError> {
    let sql = "SELECT COUNT(*) FROM audit_entry WHERE tenant_id = $1 AND at_us >= $2
        AND account_id = $3 AND action = $4 AND subject = $5";
    let (count,): (i64,) =
        tx.fetch_one(sql, args![tenant, since_us, account, action, subject]).await?;
    Ok(count > 0)
}
