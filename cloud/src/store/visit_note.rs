//! Notes of a visit: tests that were not taken, and drops.

use super::{StoreError, Tx};
use crate::args;

/// Most notes of one visit that are shown.
pub const NOTES_MAX: i64 = 100;

crate::row! {
    /// A test that was not taken, and why.
    pub struct NotTaken {
        pub not_taken_id: String,
        pub encounter_id: String,
        pub test: String,
        /// `OD`, `OS` or `OU`.
        pub eye: String,
        pub reason: String,
        pub noted_at_us: i64,
        pub noted_by: String,
    }
}

crate::row! {
    /// Drops, and when they were given.
    pub struct Drops {
        pub drops_id: String,
        pub encounter_id: String,
        pub agent: String,
        pub given_at_us: i64,
        pub noted_at_us: i64,
        pub noted_by: String,
    }
}

pub async fn insert_not_taken(tx: &mut Tx, tenant: &str, it: &NotTaken) -> Result<(), StoreError> {
    let sql = "INSERT INTO not_taken (tenant_id, not_taken_id, encounter_id, test, eye, reason,
            noted_at_us, noted_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let NotTaken { not_taken_id, encounter_id, test, eye, reason, noted_at_us, noted_by } = it;
    let args = args![tenant, not_taken_id, encounter_id, test, eye, reason, *noted_at_us, noted_by];
    tx.execute(sql, args).await?;
    Ok(())
}

/// Those of a visit that stand, oldest first.
pub async fn not_taken(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Vec<NotTaken>, StoreError> {
    let sql = "SELECT not_taken_id, encounter_id, test, eye, reason, noted_at_us, noted_by
        FROM not_taken WHERE tenant_id = $1 AND encounter_id = $2 AND withdrawn_at_us IS NULL
        ORDER BY noted_at_us, not_taken_id LIMIT $3";
    tx.fetch_all(sql, args![tenant, encounter, NOTES_MAX]).await
}

/// `false` if there is no such note, or none that still stands.
pub async fn withdraw_not_taken(
    tx: &mut Tx,
    tenant: &str,
    (encounter, note): (&str, &str),
    (by, now_us): (&str, i64),
) -> Result<bool, StoreError> {
    let sql = "UPDATE not_taken SET withdrawn_at_us = $4, withdrawn_by = $5
        WHERE tenant_id = $1 AND encounter_id = $2 AND not_taken_id = $3
            AND withdrawn_at_us IS NULL";
    Ok(tx.execute(sql, args![tenant, encounter, note, now_us, by]).await? == 1)
}

pub async fn insert_drops(tx: &mut Tx, tenant: &str, it: &Drops) -> Result<(), StoreError> {
    let sql = "INSERT INTO drops (tenant_id, drops_id, encounter_id, agent, given_at_us,
            noted_at_us, noted_by) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let Drops { drops_id, encounter_id, agent, given_at_us, noted_at_us, noted_by } = it;
    let args = args![tenant, drops_id, encounter_id, agent, *given_at_us, *noted_at_us, noted_by];
    tx.execute(sql, args).await?;
    Ok(())
}

/// Those of a visit that stand, in the order in which they were given.
pub async fn drops(tx: &mut Tx, tenant: &str, encounter: &str) -> Result<Vec<Drops>, StoreError> {
    let sql = "SELECT drops_id, encounter_id, agent, given_at_us, noted_at_us, noted_by FROM drops
        WHERE tenant_id = $1 AND encounter_id = $2 AND withdrawn_at_us IS NULL
        ORDER BY given_at_us, drops_id LIMIT $3";
    tx.fetch_all(sql, args![tenant, encounter, NOTES_MAX]).await
}

/// `false` if there is no such note, or none that still stands.
pub async fn withdraw_drops(
    tx: &mut Tx,
    tenant: &str,
    (encounter, drops): (&str, &str),
    (by, now_us): (&str, i64),
) -> Result<bool, StoreError> {
    let sql = "UPDATE drops SET withdrawn_at_us = $4, withdrawn_by = $5
        WHERE tenant_id = $1 AND encounter_id = $2 AND drops_id = $3
            AND withdrawn_at_us IS NULL";
    Ok(tx.execute(sql, args![tenant, encounter, drops, now_us, by]).await? == 1)
}
