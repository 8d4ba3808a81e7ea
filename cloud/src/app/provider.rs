//! Signing in somebody whom the practice's identity provider knows. Nobody gets an account by
//! themselves: clinic IT prepares it with the claim by which the provider names the person, and
//! the first sign-in links it to the provider's lasting subject.

use super::{
    AppError, about,
    principal::{Principal, Role},
    sign_in::{self, SignInError, SignedIn},
};
use crate::store::{
    Db, StoreError,
    audit::{self, About},
    provider::{self, Pending},
};
use chiasm_proto::Sha256;

/// How long somebody may take at the provider.
pub const PENDING_MAX_S: i64 = 10 * 60;

/// Whom the provider has shown to be in front of the browser.
#[derive(Debug, Clone)]
pub struct Identity {
    pub issuer: String,
    pub subject: String,
    /// The configured claim, if the provider gave it and vouches for it.
    pub claim: Option<String>,
}

/// Why somebody whom the provider knows was not signed in.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    #[error("nobody here is prepared under this name: ask clinic IT")]
    Unknown,
    #[error("this account may not sign in: ask clinic IT")]
    Disabled,
    #[error("this sign-in was not begun in this browser, or took too long: begin again")]
    NotBegun,
    #[error("the provider's answer is not right: begin again, and tell clinic IT if it repeats")]
    NotRight,
    #[error("the provider cannot be reached: try again, or sign in with a password")]
    Away,
    #[error(transparent)]
    SignIn(#[from] SignInError),
}

impl From<AppError> for ProviderError {
    fn from(error: AppError) -> Self {
        ProviderError::SignIn(error.into())
    }
}

impl From<StoreError> for ProviderError {
    fn from(error: StoreError) -> Self {
        AppError::from(error).into()
    }
}

/// Notes a sign-in that goes to the provider, bound to the browser that it began in.
pub async fn begin(
    db: &Db,
    tenant: &str,
    (state, browser): (&str, &str),
    (pending, now_us): (&Pending, i64),
) -> Result<(), ProviderError> {
    let expires_at_us = now_us + PENDING_MAX_S * 1_000_000;
    let hashes = (hash(state), hash(browser));
    let hashes = (hashes.0.as_str(), hashes.1.as_str());
    let mut tx = db.tenant(tenant).await?;
    provider::begin(&mut tx, tenant, hashes, pending, (now_us, expires_at_us)).await?;
    tx.commit().await?;
    Ok(())
}

/// The sign-in that comes back, once.
pub async fn take(
    db: &Db,
    tenant: &str,
    (state, browser): (&str, &str),
    now_us: i64,
) -> Result<Pending, ProviderError> {
    let hashes = (hash(state), hash(browser));
    let hashes = (hashes.0.as_str(), hashes.1.as_str());
    let mut tx = db.tenant(tenant).await?;
    let found = provider::take(&mut tx, tenant, hashes, now_us).await?;
    tx.commit().await?;
    found.ok_or(ProviderError::NotBegun)
}

/// Signs the person in whose account is linked, or prepared.
pub async fn sign_in(
    db: &Db,
    tenant: &str,
    identity: &Identity,
    place: (&str, &str),
    now_us: i64,
) -> Result<SignedIn, ProviderError> {
    let mut tx = db.tenant(tenant).await?;
    let ids = (identity.issuer.as_str(), identity.subject.as_str());
    let linked = provider::linked(&mut tx, tenant, ids).await?;
    let (id, is_new) = match (linked, &identity.claim) {
        (Some((_, true)), _) => return Err(ProviderError::Disabled),
        (Some((id, false)), _) => (id, false),
        (None, Some(claim)) => {
            let claim = claim.trim().to_lowercase();
            let id = provider::link(&mut tx, tenant, &claim, ids).await?;
            (id.ok_or(ProviderError::Unknown)?, true)
        }
        (None, None) => return Err(ProviderError::Unknown),
    };
    provider::drop_first_password(&mut tx, tenant, &id).await?;
    let account = provider::account(&mut tx, tenant, &id).await?;
    let account = account.ok_or(ProviderError::Disabled)?;
    let role = Role::parse(&account.role).ok_or(ProviderError::Disabled)?;
    if is_new {
        let who = Principal {
            tenant: tenant.to_owned(),
            account: id.clone(),
            name: account.display_name.clone(),
            role,
            csrf_token: String::new(),
            address: place.0.to_owned(),
            must_change_password: false,
            token_sha256: String::new(),
        };
        let about = About::default().values(("", ids.0));
        let entry = about::entry(&who, ("account_linked", &id), about, now_us);
        audit::append(&mut tx, tenant, &[entry]).await?;
    }
    tx.commit().await?;
    Ok(sign_in::begin(db, account, role, place, now_us).await?)
}

fn hash(text: &str) -> String {
    Sha256::of(text.as_bytes()).to_string()
}
