//! Sign-ins that went to the identity provider, and accounts that are linked to it.

use super::{StoreError, Tx, account::Account};
use crate::args;

crate::row! {
    /// A sign-in that has not come back. What the browser holds is kept as hashes.
    pub struct Pending {
        pub nonce: String,
        pub pkce_verifier: String,
        pub then_path: String,
    }
}

/// Notes a sign-in under way, and forgets those whose time is over.
pub async fn begin(
    tx: &mut Tx,
    tenant: &str,
    (state_sha256, browser_sha256): (&str, &str),
    it: &Pending,
    (now_us, expires_at_us): (i64, i64),
) -> Result<(), StoreError> {
    let forget = "DELETE FROM provider_sign_in WHERE tenant_id = $1 AND expires_at_us < $2";
    tx.execute(forget, args![tenant, now_us]).await?;
    let sql = "INSERT INTO provider_sign_in (tenant_id, state_sha256, browser_sha256, nonce,
            pkce_verifier, then_path, expires_at_us) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let Pending { nonce, pkce_verifier, then_path } = it;
    let args = args![
        tenant,
        state_sha256,
        browser_sha256,
        nonce,
        pkce_verifier,
        then_path,
        expires_at_us,
    ];
    tx.execute(sql, args).await?;
    Ok(())
}

/// Takes a sign-in that came back to the browser it began in. Nobody takes it twice.
pub async fn take(
    tx: &mut Tx,
    tenant: &str,
    (state_sha256, browser_sha256): (&str, &str),
    now_us: i64,
) -> Result<Option<Pending>, StoreError> {
    let sql = "DELETE FROM provider_sign_in WHERE tenant_id = $1 AND state_sha256 = $2
            AND browser_sha256 = $3 AND expires_at_us >= $4
        RETURNING nonce, pkce_verifier, then_path";
    tx.fetch_optional(sql, args![tenant, state_sha256, browser_sha256, now_us]).await
}

/// The account that is linked, disabled or not; with whether it is disabled.
pub async fn linked(
    tx: &mut Tx,
    tenant: &str,
    (issuer, subject): (&str, &str),
) -> Result<Option<(String, bool)>, StoreError> {
    let sql = "SELECT account_id, disabled_at_us IS NOT NULL FROM account
        WHERE tenant_id = $1 AND provider_issuer = $2 AND provider_subject = $3";
    tx.fetch_optional(sql, args![tenant, issuer, subject]).await
}

/// Links the account that is prepared under the claim and not linked yet; gives its id.
pub async fn link(
    tx: &mut Tx,
    tenant: &str,
    claim: &str,
    (issuer, subject): (&str, &str),
) -> Result<Option<String>, StoreError> {
    let sql = "UPDATE account SET provider_issuer = $3, provider_subject = $4
        WHERE tenant_id = $1 AND provider_claim = $2 AND provider_subject IS NULL
            AND disabled_at_us IS NULL
        RETURNING account_id";
    let row: Option<(String,)> =
        tx.fetch_optional(sql, args![tenant, claim, issuer, subject]).await?;
    Ok(row.map(|(account,)| account))
}

/// A password that somebody else made, and that its owner does not need, is good for nothing.
pub async fn drop_first_password(
    tx: &mut Tx,
    tenant: &str,
    account: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE account SET password_hash = '', must_change_password = FALSE
        WHERE tenant_id = $1 AND account_id = $2 AND must_change_password";
    tx.execute(sql, args![tenant, account]).await?;
    Ok(())
}

pub async fn account(
    tx: &mut Tx,
    tenant: &str,
    account: &str,
) -> Result<Option<Account>, StoreError> {
    let sql = "SELECT tenant_id, account_id, login, display_name, role, password_hash
        FROM account WHERE tenant_id = $1 AND account_id = $2 AND disabled_at_us IS NULL";
    tx.fetch_optional(sql, args![tenant, account]).await
}
