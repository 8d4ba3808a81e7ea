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
