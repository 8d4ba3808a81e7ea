//! What people do with their own account: another password, and where they are signed in.

use super::{
    AppError, people,
    principal::Principal,
    sign_in::{Attempts, SignInError},
    work::Work,
};
use crate::{
    Core,
    store::{Db, account, audit::About, sign_in},
};
use chiasm_proto::lane_page::{PIN_LEN_MAX, PIN_LEN_MIN, is_pin};

/// Puts a new password in the place of the old one. Other sign-ins of the account end.
pub async fn change_password(
    core: &Core,
    who: &Principal,
    attempts: &Attempts,
    (old, new): (&str, &str),
    now_us: i64,
) -> Result<(), SignInError> {
    let key = format!("account {}", who.account);
    attempts.begin(&key, now_us)?;
    let stored = password_hash(&core.db, who).await?;
    if !attempts.verify(old, stored).await {
        let message = "this is not your present password".to_owned();
        return Err(AppError::Field("old_password", message).into());
    }
    attempts.forget(&key);
    if old == new {
        let message = "choose another password than the present one".to_owned();
        return Err(AppError::Field("new_password", message).into());
    }
    // Hashed before the change begins, for which others wait.
    let hash = people::hash(new.to_owned()).await?;
    let mut work = Work::begin(core, who, now_us).await?;
    put(&mut work, &hash).await?;
    Ok(work.commit().await?)
}

async fn password_hash(db: &Db, who: &Principal) -> Result<Option<String>, AppError> {
    let mut tx = db.tenant_read(&who.tenant).await?;
    Ok(account::password_hash(&mut tx, &who.tenant, &who.account).await?)
}

async fn put(work: &mut Work, hash: &str) -> Result<(), AppError> {
    let who = work.who.clone();
    account::set_own_password(&mut work.tx, &who.tenant, &who.account, hash).await?;
    let keep = who.token_sha256.as_str();
    sign_in::delete_of_account(&mut work.tx, &who.tenant, &who.account, keep).await?;
    work.audit("password_changed", &who.account).await
}

/// Ends one sign-in of one's own.
pub async fn end_session(work: &mut Work, session: &str) -> Result<(), AppError> {
    let who = work.who.clone();
    if !sign_in::delete_one(&mut work.tx, &who.tenant, (&who.account, session)).await? {
        return Err(AppError::NotFound("sign-in"));
    }
    work.audit_about(("session_ended", &who.account), About::default()).await
}

/// Chooses the PIN for gateways' pages, or takes it away (T12). Only who works with patients has one.
pub async fn set_pin(core: &Core, who: &Principal, pin: &str, now_us: i64) -> Result<(), AppError> {
    if !who.role.is_clinical() {
        return Err(AppError::WrongRole("only who works with patients has a PIN"));
    }
    if who.must_change_password {
        return Err(AppError::NotYet("choose a password of your own first".into()));
    }
    if !pin.is_empty() && !is_pin(pin) {
        let message =
            format!("a PIN has {PIN_LEN_MIN} to {PIN_LEN_MAX} digits, not all of them the same");
        return Err(AppError::Field("pin", message));
    }
    // Hashed before the change begins, for which others wait.
    let hash = match pin {
        "" => None,
        pin => Some(people::hash_pin(pin.to_owned()).await?),
    };
    let mut work = Work::begin(core, who, now_us).await?;
    account::set_pin(&mut work.tx, &who.tenant, &who.account, hash.as_deref()).await?;
    let action = if hash.is_some() { "pin_set" } else { "pin_taken_away" };
    work.audit(action, &who.account).await?;
    work.commit().await
}
