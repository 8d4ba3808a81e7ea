//! Clinic IT looks after the people of a practice: who signs in, in which role. A password that
//! somebody else made is shown once and good for one sign-in, at which it is replaced.

use super::{AppError, password, principal::Role, work::Work};
use crate::store::{
    account::{self, Account, Person},
    audit::About,
    sign_in,
};
use uuid::Uuid;

/// Longest login and longest name, in characters.
pub const LOGIN_LEN_MAX: usize = 100;
pub const NAME_LEN_MAX: usize = 100;
/// Longest value by which an identity provider names a person, in characters.
pub const CLAIM_LEN_MAX: usize = 200;

/// A password that was made, with its hash. Made before the change begins: hashing takes a while,
/// and others wait for the change.
pub struct Made {
    pub password: String,
    hash: String,
}

impl Made {
    pub async fn new() -> Result<Self, AppError> {
        let password = password::generate();
        let hash = hash(password.clone()).await?;
        Ok(Self { password, hash })
    }
}

/// Adds a person, who signs in first with the password that was made.
pub async fn add(
    work: &mut Work,
    (login, name): (&str, &str),
    role: &str,
    made: &Made,
) -> Result<(), AppError> {
    let login = login.trim().to_lowercase();
    let is_login_char = |c: char| c.is_ascii_alphanumeric() || ".-_@+".contains(c);
    if login.is_empty() || login.len() > LOGIN_LEN_MAX || !login.chars().all(is_login_char) {
        let message = "a login has letters, digits and . - _ @ +".to_owned();
        return Err(AppError::Field("login", message));
    }
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_LEN_MAX {
        let message = format!("give the name, at most {NAME_LEN_MAX} characters");
        return Err(AppError::Field("name", message));
    }
    let role = parse_role(role)?;
    let account = Account {
        tenant_id: work.who.tenant.clone(),
        account_id: Uuid::now_v7().to_string(),
        login: login.clone(),
        display_name: name.to_owned(),
        role: role.as_str().to_owned(),
        password_hash: made.hash.clone(),
    };
    if !account::insert(&mut work.tx, &account, work.now_us).await? {
        let message = format!("the login {login} is taken: choose another");
        return Err(AppError::Field("login", message));
    }
    let tenant = work.who.tenant.clone();
    account::must_change(&mut work.tx, &tenant, &account.account_id, true).await?;
    note(work, ("account_added", &account.account_id), ("", role.as_str())).await
}

/// Puts a person into another role. They sign in anew.
pub async fn set_role(work: &mut Work, account: &str, role: &str) -> Result<(), AppError> {
    let person = other(work, account).await?;
    let role = parse_role(role)?;
    if person.role == role.as_str() {
        return Ok(());
    }
    let tenant = work.who.tenant.clone();
    account::set_role(&mut work.tx, &tenant, account, role.as_str()).await?;
    sign_in::delete_of_account(&mut work.tx, &tenant, account, "").await?;
    note(work, ("account_role_changed", account), (&person.role, role.as_str())).await
}

/// Keeps a person from signing in, or lets them in again. What they did stays under their name.
pub async fn set_disabled(
    work: &mut Work,
    account: &str,
    is_disabled: bool,
) -> Result<(), AppError> {
    let person = other(work, account).await?;
    if person.disabled_at_us.is_some() == is_disabled {
        return Ok(());
    }
    let (tenant, now_us) = (work.who.tenant.clone(), work.now_us);
    let at_us = is_disabled.then_some(now_us);
    account::set_disabled(&mut work.tx, &tenant, account, at_us).await?;
    sign_in::delete_of_account(&mut work.tx, &tenant, account, "").await?;
    let action = if is_disabled { "account_disabled" } else { "account_enabled" };
    note(work, (action, account), ("", "")).await
}

/// Gives a person who forgot theirs a password for one sign-in, and ends the sign-ins there are.
/// Gives the person's name.
pub async fn reset_password(
    work: &mut Work,
    account: &str,
    made: &Made,
) -> Result<String, AppError> {
    let person = other(work, account).await?;
    let tenant = work.who.tenant.clone();
    account::set_password(&mut work.tx, &tenant, &person.login, &made.hash).await?;
    account::must_change(&mut work.tx, &tenant, account, true).await?;
    sign_in::delete_of_account(&mut work.tx, &tenant, account, "").await?;
    note(work, ("account_password_reset", account), ("", "")).await?;
    Ok(person.display_name)
}

/// Ends every sign-in of a person.
pub async fn sign_out(work: &mut Work, account: &str) -> Result<(), AppError> {
    one(work, account).await?;
    let tenant = work.who.tenant.clone();
    sign_in::delete_of_account(&mut work.tx, &tenant, account, "").await?;
    note(work, ("account_signed_out", account), ("", "")).await
}

/// Prepares a person for the identity provider: whoever it names so is linked to this account at
/// their first sign-in there. Another value undoes the link.
pub async fn set_claim(work: &mut Work, account: &str, claim: &str) -> Result<(), AppError> {
    let person = one(work, account).await?;
    let claim = claim.trim().to_lowercase();
    if claim.chars().count() > CLAIM_LEN_MAX {
        let message = format!("at most {CLAIM_LEN_MAX} characters");
        return Err(AppError::Field("claim", message));
    }
    let new = Some(claim.as_str()).filter(|it| !it.is_empty());
    if new == person.provider_claim.as_deref() {
        return Ok(());
    }
    let tenant = work.who.tenant.clone();
    if !account::set_claim(&mut work.tx, &tenant, account, new).await? {
        let message = "somebody else is prepared under this already".to_owned();
        return Err(AppError::Field("claim", message));
    }
    let before = person.provider_claim.unwrap_or_default();
    note(work, ("account_claim_set", account), (&before, &claim)).await
}

async fn one(work: &mut Work, account: &str) -> Result<Person, AppError> {
    let found = account::person(&mut work.tx, &work.who.tenant.clone(), account).await?;
    found.ok_or(AppError::NotFound("person"))
}

/// Nobody shuts themselves out.
async fn other(work: &mut Work, account: &str) -> Result<Person, AppError> {
    if account == work.who.account {
        let message = "this is your own account: ask a colleague of clinic IT";
        return Err(AppError::Refused(message.into()));
    }
    one(work, account).await
}

fn parse_role(role: &str) -> Result<Role, AppError> {
    Role::parse(role).ok_or_else(|| AppError::Field("role", "choose a role".into()))
}

async fn note(work: &mut Work, what: (&str, &str), values: (&str, &str)) -> Result<(), AppError> {
    work.audit_about(what, About::default().values(values)).await
}

/// Hashes off the async threads.
pub(super) async fn hash(password: String) -> Result<String, AppError> {
    let hashed = tokio::task::spawn_blocking(move || password::hash(&password)).await;
    let hashed = hashed.map_err(|_| AppError::Refused("the password cannot be kept".into()))?;
    hashed.map_err(|error| AppError::Field("new_password", error.to_string()))
}

/// The same of a PIN, whose form has been checked.
pub(super) async fn hash_pin(pin: String) -> Result<String, AppError> {
    let hashed = tokio::task::spawn_blocking(move || password::hash_checked(&pin)).await;
    let hashed = hashed.map_err(|_| AppError::Refused("the PIN cannot be kept".into()))?;
    hashed.map_err(|error| AppError::Field("pin", error.to_string()))
}
