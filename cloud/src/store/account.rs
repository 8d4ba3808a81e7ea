//! People who sign in.

use super::{StoreError, Tx};
use crate::args;

crate::row! {
    /// An account that is not disabled.
    pub struct Account {
        pub tenant_id: String,
        pub account_id: String,
        pub login: String,
        pub display_name: String,
        pub role: String,
        pub password_hash: String,
    }
}

/// Finds an account by its login, whatever its tenant. Needs a transaction over all tenants.
pub async fn by_login(tx: &mut Tx, login: &str) -> Result<Option<Account>, StoreError> {
    let sql = "SELECT tenant_id, account_id, login, display_name, role, password_hash
        FROM account WHERE login = $1 AND disabled_at_us IS NULL";
    tx.fetch_optional(sql, args![login]).await
}

/// Adds an account; `false` when its login is taken.
pub async fn insert(tx: &mut Tx, account: &Account, now_us: i64) -> Result<bool, StoreError> {
    let sql = "INSERT INTO account (tenant_id, account_id, login, display_name, role,
            password_hash, created_at_us) VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT DO NOTHING";
    let Account { tenant_id, account_id, login, display_name, role, password_hash } = account;
    let args = args![tenant_id, account_id, login, display_name, role, password_hash, now_us];
    Ok(tx.execute(sql, args).await? == 1)
}

/// Gives an account of a tenant another password; `false` when there is no such login there.
pub async fn set_password(
    tx: &mut Tx,
    tenant: &str,
    login: &str,
    password_hash: &str,
) -> Result<bool, StoreError> {
    let sql = "UPDATE account SET password_hash = $3 WHERE tenant_id = $1 AND login = $2";
    Ok(tx.execute(sql, args![tenant, login, password_hash]).await? == 1)
}

/// The names of a tenant's people, by account, for "accepted by".
pub async fn names(tx: &mut Tx, tenant: &str) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT account_id, display_name FROM account WHERE tenant_id = $1";
    tx.fetch_all(sql, args![tenant]).await
}

/// In which form of writing a person wants cylinders shown; the column's word.
pub async fn notation(tx: &mut Tx, tenant: &str, account: &str) -> Result<String, StoreError> {
    let sql = "SELECT notation FROM account WHERE tenant_id = $1 AND account_id = $2";
    let found: Option<(String,)> = tx.fetch_optional(sql, args![tenant, account]).await?;
    Ok(found.map(|(notation,)| notation).unwrap_or_default())
}

pub async fn set_notation(
    tx: &mut Tx,
    tenant: &str,
    account: &str,
    notation: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE account SET notation = $3 WHERE tenant_id = $1 AND account_id = $2";
    tx.execute(sql, args![tenant, account, notation]).await?;
    Ok(())
}

crate::row! {
    /// An account as clinic IT sees it, disabled or not.
    pub struct Person {
        pub account_id: String,
        pub login: String,
        pub display_name: String,
        pub role: String,
        pub disabled_at_us: Option<i64>,
        /// The password is good for one sign-in only.
        pub must_change_password: bool,
        /// How the identity provider names the person.
        pub provider_claim: Option<String>,
        pub is_linked: bool,
        /// Sign-ins whose time is not over, and when one of them was used last.
        pub sign_ins: i64,
        pub seen_at_us: Option<i64>,
    }
}

macro_rules! people {
    ($rest:literal) => {
        concat!(
            "SELECT a.account_id, a.login, a.display_name, a.role, a.disabled_at_us,
                a.must_change_password, a.provider_claim,
                a.provider_subject IS NOT NULL AS is_linked,
                COUNT(s.token_sha256) AS sign_ins, MAX(s.seen_at_us) AS seen_at_us
            FROM account a LEFT JOIN sign_in s ON s.tenant_id = a.tenant_id
                AND s.account_id = a.account_id AND s.expires_at_us > $2
            WHERE a.tenant_id = $1 ",
            $rest,
            " GROUP BY a.tenant_id, a.account_id, a.login, a.display_name, a.role,
                a.disabled_at_us, a.must_change_password, a.provider_claim, a.provider_subject
            ORDER BY a.display_name, a.login"
        )
    };
}

/// Everybody of a tenant.
pub async fn people(tx: &mut Tx, tenant: &str, now_us: i64) -> Result<Vec<Person>, StoreError> {
    tx.fetch_all(people!(""), args![tenant, now_us]).await
}

pub async fn person(
    tx: &mut Tx,
    tenant: &str,
    account: &str,
) -> Result<Option<Person>, StoreError> {
    tx.fetch_optional(people!("AND a.account_id = $3"), args![tenant, 0_i64, account]).await
}

pub async fn password_hash(
    tx: &mut Tx,
    tenant: &str,
    account: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT password_hash FROM account WHERE tenant_id = $1 AND account_id = $2";
    let row: Option<(String,)> = tx.fetch_optional(sql, args![tenant, account]).await?;
    Ok(row.map(|(hash,)| hash))
}

/// A password that the person chose themselves.
pub async fn set_own_password(
    tx: &mut Tx,
    tenant: &str,
    account: &str,
    password_hash: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE account SET password_hash = $3, must_change_password = FALSE
        WHERE tenant_id = $1 AND account_id = $2";
    tx.execute(sql, args![tenant, account, password_hash]).await?;
    Ok(())
}

/// Whether the password has to be replaced at the next sign-in.
pub async fn must_change(
    tx: &mut Tx,
    tenant: &str,
    account: &str,
    must_change: bool,
) -> Result<(), StoreError> {
    let sql = "UPDATE account SET must_change_password = $3
        WHERE tenant_id = $1 AND account_id = $2";
    tx.execute(sql, args![tenant, account, must_change]).await?;
    Ok(())
}

pub async fn set_role(
    tx: &mut Tx,
    tenant: &str,
    account: &str,
    role: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE account SET role = $3 WHERE tenant_id = $1 AND account_id = $2";
    tx.execute(sql, args![tenant, account, role]).await?;
    Ok(())
}

pub async fn set_disabled(
    tx: &mut Tx,
    tenant: &str,
    account: &str,
    at_us: Option<i64>,
) -> Result<(), StoreError> {
    let sql = "UPDATE account SET disabled_at_us = $3 WHERE tenant_id = $1 AND account_id = $2";
    tx.execute(sql, args![tenant, account, at_us]).await?;
    Ok(())
}

/// Prepares an account for the identity provider and undoes its link; `false` when another account
/// is prepared so.
pub async fn set_claim(
    tx: &mut Tx,
    tenant: &str,
    account: &str,
    claim: Option<&str>,
) -> Result<bool, StoreError> {
    let sql = "UPDATE account SET provider_claim = $3, provider_issuer = NULL,
            provider_subject = NULL
        WHERE tenant_id = $1 AND account_id = $2 AND NOT EXISTS (SELECT 1 FROM account o
            WHERE o.tenant_id = $1 AND o.provider_claim = $3 AND o.account_id <> $2)";
    Ok(tx.execute(sql, args![tenant, account, claim]).await? == 1)
}

crate::row! {
    /// Somebody who may sign in at gateways' own pages, if their role lets them.
    pub struct WithPin {
        pub account_id: String,
        pub login: String,
        pub display_name: String,
        pub role: String,
        pub pin_hash: String,
    }
}

/// People with a PIN who are not kept out.
pub async fn with_pin(tx: &mut Tx, tenant: &str, limit: i64) -> Result<Vec<WithPin>, StoreError> {
    let sql = "SELECT account_id, login, display_name, role, pin_hash FROM account
        WHERE tenant_id = $1 AND pin_hash IS NOT NULL AND disabled_at_us IS NULL
        ORDER BY login LIMIT $2";
    tx.fetch_all(sql, args![tenant, limit]).await
}

/// Whether a person has a PIN.
pub async fn has_pin(tx: &mut Tx, tenant: &str, account: &str) -> Result<bool, StoreError> {
    let sql = "SELECT account_id FROM account
        WHERE tenant_id = $1 AND account_id = $2 AND pin_hash IS NOT NULL";
    let row: Option<(String,)> = tx.fetch_optional(sql, args![tenant, account]).await?;
    Ok(row.is_some())
}

pub async fn set_pin(
    tx: &mut Tx,
    tenant: &str,
    account: &str,
    pin_hash: Option<&str>,
) -> Result<(), StoreError> {
    let sql = "UPDATE account SET pin_hash = $3 WHERE tenant_id = $1 AND account_id = $2";
    tx.execute(sql, args![tenant, account, pin_hash]).await?;
    Ok(())
}
