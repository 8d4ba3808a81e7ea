//! Who is signed in. Tokens are kept as hashes, so a copy of the database signs nobody in.

use super::{StoreError, Tx};
use crate::args;

crate::row! {
    /// One signed-in browser with its account.
    pub struct SignIn {
        pub tenant_id: String,
        pub account_id: String,
        pub display_name: String,
        pub role: String,
        pub csrf_token: String,
        pub must_change_password: bool,
        pub seen_at_us: i64,
        pub expires_at_us: i64,
    }
}

pub async fn insert(
    tx: &mut Tx,
    (tenant, account): (&str, &str),
    (token_sha256, csrf_token): (&str, &str),
    (now_us, expires_at_us): (i64, i64),
) -> Result<(), StoreError> {
    let sql = "INSERT INTO sign_in (tenant_id, token_sha256, account_id, csrf_token,
            created_at_us, seen_at_us, expires_at_us) VALUES ($1, $2, $3, $4, $5, $5, $6)";
    let args = args![tenant, token_sha256, account, csrf_token, now_us, expires_at_us];
    tx.execute(sql, args).await?;
    Ok(())
}

/// Finds a sign-in by its token's hash. Needs a transaction over all tenants.
pub async fn by_token(tx: &mut Tx, token_sha256: &str) -> Result<Option<SignIn>, StoreError> {
    let sql = "SELECT s.tenant_id, s.account_id, a.display_name, a.role, s.csrf_token,
            a.must_change_password, s.seen_at_us, s.expires_at_us
        FROM sign_in s JOIN account a
            ON a.tenant_id = s.tenant_id AND a.account_id = s.account_id
        WHERE s.token_sha256 = $1 AND a.disabled_at_us IS NULL";
    tx.fetch_optional(sql, args![token_sha256]).await
}

/// Notes that the browser was used just now.
pub async fn touch(
    tx: &mut Tx,
    tenant: &str,
    token_sha256: &str,
    now_us: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE sign_in SET seen_at_us = $3 WHERE tenant_id = $1 AND token_sha256 = $2";
    tx.execute(sql, args![tenant, token_sha256, now_us]).await?;
    Ok(())
}

pub async fn delete(tx: &mut Tx, tenant: &str, token_sha256: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM sign_in WHERE tenant_id = $1 AND token_sha256 = $2";
    tx.execute(sql, args![tenant, token_sha256]).await?;
    Ok(())
}

/// Where a person signed in, as they recognise it.
pub async fn set_place(
    tx: &mut Tx,
    tenant: &str,
    token_sha256: &str,
    (address, browser): (&str, &str),
) -> Result<(), StoreError> {
    let sql = "UPDATE sign_in SET address = $3, browser = $4
        WHERE tenant_id = $1 AND token_sha256 = $2";
    tx.execute(sql, args![tenant, token_sha256, address, browser]).await?;
    Ok(())
}

crate::row! {
    /// One signed-in browser, for its owner.
    pub struct Session {
        pub token_sha256: String,
        pub created_at_us: i64,
        pub seen_at_us: i64,
        pub address: String,
        pub browser: String,
    }
}

/// Where an account is signed in, latest use first.
pub async fn of_account(
    tx: &mut Tx,
    tenant: &str,
    account: &str,
    now_us: i64,
) -> Result<Vec<Session>, StoreError> {
    let sql = "SELECT token_sha256, created_at_us, seen_at_us, address, browser FROM sign_in
        WHERE tenant_id = $1 AND account_id = $2 AND expires_at_us > $3
        ORDER BY seen_at_us DESC, token_sha256 LIMIT $4";
    tx.fetch_all(sql, args![tenant, account, now_us, SESSIONS_MAX]).await
}

/// Sign-ins that are listed at most.
pub const SESSIONS_MAX: i64 = 100;

/// Ends the sign-ins of an account but for one.
pub async fn delete_of_account(
    tx: &mut Tx,
    tenant: &str,
    account: &str,
    but_token_sha256: &str,
) -> Result<u64, StoreError> {
    let sql = "DELETE FROM sign_in
        WHERE tenant_id = $1 AND account_id = $2 AND token_sha256 <> $3";
    tx.execute(sql, args![tenant, account, but_token_sha256]).await
}

/// Ends one sign-in of an account; `false` when it has no such.
pub async fn delete_one(
    tx: &mut Tx,
    tenant: &str,
    (account, token_sha256): (&str, &str),
) -> Result<bool, StoreError> {
    let sql = "DELETE FROM sign_in
        WHERE tenant_id = $1 AND account_id = $2 AND token_sha256 = $3";
    Ok(tx.execute(sql, args![tenant, account, token_sha256]).await? == 1)
}
