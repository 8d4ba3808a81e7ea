//! Signing in and out, and knowing who a request comes from.

use super::{
    AppError, about, password,
    principal::{Principal, Role},
};
use crate::store::{
    Db, account,
    audit::{self, About},
    sign_in,
};
use chiasm_proto::Sha256;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};
use tokio::sync::Semaphore;

const SECOND_US: i64 = 1_000_000;
/// A sign-in ends after this time, whatever happens.
pub const ABSOLUTE_MAX_S: i64 = 12 * 3600;
/// A clinical sign-in ends when nobody has used it for this time.
pub const IDLE_MAX_S: i64 = 30 * 60;
/// Use is written down at most so often.
pub const TOUCH_EVERY_S: i64 = 60;
/// Wrong passwords of one login or one address within [`ATTEMPTS_WINDOW_S`].
pub const ATTEMPTS_MAX: u32 = 8;
/// An address may stand for a whole clinic behind one router.
pub const ATTEMPTS_ADDRESS_MAX: u32 = 60;
pub const ATTEMPTS_WINDOW_S: i64 = 5 * 60;
/// Logins and addresses that are remembered; beyond it the oldest window is dropped.
const REMEMBERED_MAX: usize = 10_000;
/// Passwords that are hashed at the same time: each takes 19 MiB and a core.
const HASHES_MAX: usize = 4;

/// Counts wrong passwords in this process. Replicas count each for themselves.
#[derive(Debug)]
pub struct Attempts {
    seen: Mutex<HashMap<String, (i64, u32)>>,
    hashes: Semaphore,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { seen: Mutex::default(), hashes: Semaphore::new(HASHES_MAX) }
    }
}

impl Attempts {
    /// Counts one attempt as failed, before it is made, so that many at once are counted as well;
    /// `false` when there were too many.
    fn may_try(&self, key: &str, most: u32, now_us: i64) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let window_us = ATTEMPTS_WINDOW_S * SECOND_US;
        if seen.len() >= REMEMBERED_MAX {
            seen.retain(|_, (since_us, _)| now_us - *since_us < window_us);
        }
        if seen.len() >= REMEMBERED_MAX {
            let oldest = seen.iter().min_by_key(|(_, (since_us, _))| *since_us);
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.and_then(|key| seen.remove(&key));
        }
        let entry = seen.entry(key.to_owned()).or_insert((now_us, 0));
        if now_us - entry.0 >= window_us {
            *entry = (now_us, 0);
        }
        entry.1 += 1;
        entry.1 <= most
    }
    /// Uncounts an attempt that was no failure.
    fn take_back(&self, key: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, count)) = seen.get_mut(key) {
            *count = count.saturating_sub(1);
        }
    }
    /// Counts an attempt on something that only a person with the right password may do.
    pub fn begin(&self, key: &str, now_us: i64) -> Result<(), SignInError> {
        match self.may_try(key, ATTEMPTS_MAX, now_us) {
            true => Ok(()),
            false => Err(SignInError::TooMany),
        }
    }
    /// Counts a sign-in that goes to the identity provider.
    pub fn begin_provider(&self, address: &str, now_us: i64) -> Result<(), SignInError> {
        match self.may_try(&format!("provider {address}"), ATTEMPTS_ADDRESS_MAX, now_us) {
            true => Ok(()),
            false => Err(SignInError::TooMany),
        }
    }
    /// Whether a password is right, a few at a time and off the async threads.
    pub async fn verify(&self, password: &str, stored: Option<String>) -> bool {
        let _turn = self.hashes.acquire().await.expect("nobody closes the semaphore");
        let password = password.to_owned();
        let verify = move || password::verify(&password, stored.as_deref());
        tokio::task::spawn_blocking(verify).await.unwrap_or(false)
    }
    pub fn forget(&self, key: &str) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown login or wrong password: the same words and the same time for both.
    #[error("login or password is not right")]
    Wrong,
    #[error("too many attempts: wait five minutes")]
    TooMany,
    #[error(transparent)]
    App(#[from] AppError),
}

/// A new sign-in: its token for the browser, and who it is.
#[derive(Debug)]
pub struct SignedIn {
    pub token: String,
    pub expires_at_us: i64,
    pub principal: Principal,
}

/// Checks login and password and begins a sign-in. `place` is the address and the browser.
pub async fn sign_in(
    db: &Db,
    attempts: &Attempts,
    (login, password): (&str, &str),
    place: (&str, &str),
    now_us: i64,
) -> Result<SignedIn, SignInError> {
    let address = place.0;
    let login: String = login.trim().to_lowercase().chars().take(200).collect();
    let (login_key, address_key) = (format!("login {login}"), format!("address {address}"));
    let by_login = attempts.may_try(&login_key, ATTEMPTS_MAX, now_us);
    let by_address = attempts.may_try(&address_key, ATTEMPTS_ADDRESS_MAX, now_us);
    if !by_login || !by_address {
        return Err(SignInError::TooMany);
    }
    match check(db, attempts, &login, password).await {
        Ok(Checked::Right(account, role)) => {
            attempts.forget(&login_key);
            attempts.take_back(&address_key);
            Ok(begin(db, account, role, place, now_us).await?)
        }
        Ok(Checked::Wrong(account)) => {
            if let Some(account) = account {
                note_failure(db, account, address, now_us);
            }
            Err(SignInError::Wrong)
        }
        Err(error) => {
            attempts.take_back(&login_key);
            attempts.take_back(&address_key);
            Err(error.into())
        }
    }
}

/// What login and password are.
enum Checked {
    Right(account::Account, Role),
    /// Wrong, for this account if there is one.
    Wrong(Option<account::Account>),
}

async fn check(
    db: &Db,
    attempts: &Attempts,
    login: &str,
    password: &str,
) -> Result<Checked, AppError> {
    let mut tx = db.all_tenants_read().await?;
    let found = account::by_login(&mut tx, login).await?;
    drop(tx);
    let stored = found.as_ref().map(|account| account.password_hash.clone());
    let is_right = attempts.verify(password, stored).await;
    let role = found.as_ref().and_then(|account| Role::parse(&account.role));
    Ok(match (found, role) {
        (Some(account), Some(role)) if is_right => Checked::Right(account, role),
        (found, _) => Checked::Wrong(found),
    })
}

/// A wrong password for an account that exists is an entry. Not waited for: the answer must not take
/// longer than for a login that does not exist.
fn note_failure(db: &Db, account: account::Account, address: &str, now_us: i64) {
    let (db, address) = (db.clone(), address.to_owned());
    tokio::spawn(async move {
        let entry = audit::Entry {
            at_us: now_us,
            account_id: account.account_id.clone(),
            role: account.role,
            address,
            is_look: false,
            action: "sign_in_failed".to_owned(),
            subject: account.account_id,
            about: About::default(),
        };
        let written = async {
            let mut tx = db.tenant(&account.tenant_id).await?;
            audit::append(&mut tx, &account.tenant_id, &[entry]).await?;
            tx.commit().await
        };
        if let Err(error) = written.await {
            tracing::error!(%error, "a wrong password is not in the audit");
        }
    });
}

/// Begins the sign-in of somebody who has shown who they are. `place` is the address and the browser.
pub(super) async fn begin(
    db: &Db,
    account: account::Account,
    role: Role,
    place: (&str, &str),
    now_us: i64,
) -> Result<SignedIn, AppError> {
    let (token, csrf_token) = (password::random_token(), password::random_token());
    let token_sha256 = token_hash(&token);
    let expires_at_us = now_us + ABSOLUTE_MAX_S * SECOND_US;
    let account::Account { tenant_id: tenant, account_id, display_name: name, .. } = account;
    let mut tx = db.tenant(&tenant).await?;
    let tokens = (token_sha256.as_str(), csrf_token.as_str());
    sign_in::insert(&mut tx, (&tenant, &account_id), tokens, (now_us, expires_at_us)).await?;
    sign_in::set_place(&mut tx, &tenant, &token_sha256, place).await?;
    let must_change_password = account::person(&mut tx, &tenant, &account_id).await?;
    let must_change_password = must_change_password.is_some_and(|it| it.must_change_password);
    let who = Principal {
        tenant,
        account: account_id,
        name,
        role,
        csrf_token,
        address: place.0.to_owned(),
        must_change_password,
        token_sha256,
    };
    let entry = about::entry(&who, ("sign_in", &who.account), About::default(), now_us);
    audit::append(&mut tx, &who.tenant, &[entry]).await?;
    tx.commit().await?;
    Ok(SignedIn { token, expires_at_us, principal: who })
}

/// Who a token belongs to, if its time is not over. `is_person` is false for what pages fetch by
/// themselves, which must not keep an unattended screen signed in.
pub async fn authenticate(
    db: &Db,
    token: &str,
    is_person: bool,
    now_us: i64,
) -> Result<Option<Principal>, AppError> {
    if token.len() != 64 {
        return Ok(None);
    }
    let token_sha256 = token_hash(token);
    let mut tx = db.all_tenants_read().await?;
    let found = sign_in::by_token(&mut tx, &token_sha256).await?;
    drop(tx);
    let Some(found) = found else { return Ok(None) };
    let Some(role) = valid_role(&found, now_us) else { return Ok(None) };
    if is_person && now_us - found.seen_at_us >= TOUCH_EVERY_S * SECOND_US {
        let mut tx = db.tenant(&found.tenant_id).await?;
        sign_in::touch(&mut tx, &found.tenant_id, &token_sha256, now_us).await?;
        tx.commit().await?;
    }
    Ok(Some(Principal {
        tenant: found.tenant_id,
        account: found.account_id,
        name: found.display_name,
        role,
        csrf_token: found.csrf_token,
        address: String::new(),
        must_change_password: found.must_change_password,
        token_sha256,
    }))
}

/// Whether a sign-in's time is not over, by its token's hash; for streams that stay open.
pub async fn is_valid(db: &Db, token_sha256: &str, now_us: i64) -> Result<bool, AppError> {
    let mut tx = db.all_tenants_read().await?;
    let found = sign_in::by_token(&mut tx, token_sha256).await?;
    Ok(found.as_ref().and_then(|found| valid_role(found, now_us)).is_some())
}

/// The role of a sign-in whose time is not over.
fn valid_role(found: &sign_in::SignIn, now_us: i64) -> Option<Role> {
    let role = Role::parse(&found.role)?;
    let is_idle = now_us - found.seen_at_us >= IDLE_MAX_S * SECOND_US;
    (now_us < found.expires_at_us && !(role.is_optical() && is_idle)).then_some(role)
}

/// Ends a sign-in.
pub async fn sign_out(db: &Db, who: &Principal, now_us: i64) -> Result<(), AppError> {
    let mut tx = db.tenant(&who.tenant).await?;
    sign_in::delete(&mut tx, &who.tenant, &who.token_sha256).await?;
    let entry = about::entry(who, ("sign_out", &who.account), About::default(), now_us);
    audit::append(&mut tx, &who.tenant, &[entry]).await?;
    tx.commit().await?;
    Ok(())
}

fn token_hash(token: &str) -> String {
    Sha256::of(token.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_limited_and_forgotten_after_their_window() {
        let attempts = Attempts::default();
        for _ in 0..ATTEMPTS_MAX {
            assert!(attempts.may_try("login ana", ATTEMPTS_MAX, 0));
        }
        assert!(!attempts.may_try("login ana", ATTEMPTS_MAX, 1));
        assert!(attempts.may_try("login ben", ATTEMPTS_MAX, 1));
        for _ in 0..ATTEMPTS_MAX * 2 {
            assert!(attempts.may_try("login cem", ATTEMPTS_MAX, 1), "what succeeds is not counted");
            attempts.take_back("login cem");
        }
        assert!(attempts.may_try("login ana", ATTEMPTS_MAX, ATTEMPTS_WINDOW_S * SECOND_US));
    }

    #[test]
    fn remembers_a_bounded_number() {
        let attempts = Attempts::default();
        for at in 0..REMEMBERED_MAX as i64 + 50 {
            attempts.may_try(&format!("login {at}"), 1, at);
        }
        assert!(attempts.seen.lock().unwrap().len() <= REMEMBERED_MAX);
    }
}
