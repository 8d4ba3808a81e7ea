//! Forgetting what only helps for a while. Readings, documents, versions, rejected documents and
//! the audit are never forgotten.

use super::{StoreError, Tx};
use crate::args;

/// Live events that are forgotten in one transaction.
pub const EVENTS_MAX: i64 = 1_000;

/// Forgets the oldest live events of a tenant from before the moment; gives their number. Looks at
/// no more rows than it may forget.
pub async fn live_events(tx: &mut Tx, tenant: &str, before_us: i64) -> Result<u64, StoreError> {
    let sql = "DELETE FROM live_event WHERE tenant_id = $1 AND event_id IN (
            SELECT event_id FROM (
                SELECT event_id, at_us FROM live_event WHERE tenant_id = $1
                ORDER BY event_id LIMIT $3) AS oldest
            WHERE at_us < $2)";
    tx.execute(sql, args![tenant, before_us, EVENTS_MAX]).await
}

/// Forgets sign-ins whose time is over. Needs a transaction over all tenants, as those below.
pub async fn sign_ins(tx: &mut Tx, now_us: i64) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM sign_in WHERE expires_at_us < $1", args![now_us]).await
}

/// Forgets refusals that have not been repeated since the moment.
pub async fn refusals(tx: &mut Tx, before_us: i64) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM refusal WHERE last_at_us < $1", args![before_us]).await
}

/// Forgets claim codes, spent or not, that expired before the moment.
pub async fn claims(tx: &mut Tx, before_us: i64) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM claim WHERE expires_at_us < $1", args![before_us]).await
}
