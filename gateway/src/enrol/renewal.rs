//! A new certificate before the old one ends.
//!
//! The new key and certificate are kept beside those in use, tried against the broker while the
//! connection in use goes on, put in use when they work, and only then the cloud is told to refuse
//! the old ones. A crash at any point leaves a certificate that is let in.

use super::{
    EnrolError, IdentityError, Stored,
    https::Endpoint,
    key_and_request,
    stored::{
        forget_next, forget_replaced, has_replaced, load, load_next, next_since, store_next,
        take_next,
    },
};
use crate::{
    clock,
    uplink::identity::{Credentials, CredentialsError},
    uplink::try_out,
};
use chiasm_proto::enrol::{CONFIRM_PATH, RENEW_PATH, RenewRequest, RenewResponse};
use jiff::Timestamp;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{sync::watch, time::sleep};

/// Between two looks whether a certificate has to be renewed, or somebody asked for it.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// Pause after a failure: the old certificate is good for months.
pub const RETRY: Duration = Duration::from_secs(300);
/// A renewed certificate that could not be used for so long is given up and asked for anew.
pub const NEXT_KEPT_MAX: Duration = Duration::from_secs(24 * 3600);

/// Why there is no new certificate yet.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    #[error("the gateway is not enrolled; run `chiasm-gateway enrol`")]
    NotEnrolled,
    #[error("the gateway was enrolled before it could renew; enrol it again")]
    NoCloudUrl,
    #[error("the new certificate does not work yet: {0}")]
    Trial(String),
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

/// Whether a third of the certificate's time is over. A gateway that was just renewed may then stand
/// switched off for two thirds of it, eight months of a year, and still come back by itself.
pub fn is_due(valid_from: Timestamp, expires_at: Timestamp, now: Timestamp) -> bool {
    let (from, to) = (valid_from.as_second(), expires_at.as_second());
    now.as_second() >= from + (to - from) / 3
}

/// The task that renews. `renewed` counts the certificates that were put in use.
pub struct Renewal {
    pub data_dir: PathBuf,
    pub renewed: watch::Sender<u32>,
}

impl Renewal {
    /// Looks and renews for ever.
    pub async fn run(self) {
        let mut last_fault = String::new();
        loop {
            let pause = match self.step().await {
                Ok(()) => {
                    last_fault.clear();
                    LOOK_INTERVAL
                }
                Err(error) => {
                    let fault = error.to_string();
                    if fault != last_fault {
                        tracing::warn!(fault, "the certificate is not renewed; trying again");
                        last_fault = fault;
                    }
                    RETRY
                }
            };
            sleep(pause).await;
        }
    }

    /// Does what is next, until nothing is.
    async fn step(&self) -> Result<(), RenewError> {
        let data_dir = &self.data_dir;
        let Some(in_use) = load(data_dir)? else { return Ok(()) };
        if in_use.identity.cloud_url.is_none() {
            return Ok(());
        }
        let credentials = Credentials::new(in_use)?;
        if !has_replaced(data_dir)
            && load_next(data_dir)?.is_none()
            && is_due(credentials.valid_from, credentials.expires_at, clock::wall())
        {
            ask(data_dir).await?;
        }
        if let Some(next) = load_next(data_dir)? {
            self.take(next).await?;
        }
        if has_replaced(data_dir) {
            confirm(data_dir).await?;
        }
        Ok(())
    }

    async fn take(&self, next: Stored) -> Result<(), RenewError> {
        let tried = try_out(&Credentials::new(next)?).await;
        if let Err(reason) = tried {
            let since = next_since(&self.data_dir);
            if since.is_some_and(|since| clock::wall() - NEXT_KEPT_MAX > since) {
                forget_next(&self.data_dir)?;
            }
            return Err(RenewError::Trial(reason));
        }
        take_next(&self.data_dir)?;
        tracing::info!("a renewed certificate is in use");
        self.renewed.send_modify(|count| *count += 1);
        Ok(())
    }
}

/// Makes a key, asks the cloud for its certificate and keeps both for a trial.
pub async fn ask(data_dir: &Path) -> Result<(), RenewError> {
    let in_use = load(data_dir)?.ok_or(RenewError::NotEnrolled)?;
    let identity = in_use.identity.clone();
    let endpoint = endpoint(in_use)?;
    let (key, csr_pem) = key_and_request()?;
    let request = RenewRequest { csr_pem, software_version: env!("CARGO_PKG_VERSION").into() };
    let answer: RenewResponse = endpoint.post(RENEW_PATH, &request).await?;
    let mut next = Stored {
        identity,
        key_pem: key.serialize_pem(),
        certificate_pem: answer.certificate_pem,
        authority_pem: answer.authority_pem,
    };
    next.identity.broker_url = answer.broker_url;
    // What cannot be read is not kept.
    Credentials::new(next.clone())?;
    Ok(store_next(data_dir, &next)?)
}

/// Tells the cloud, under the new certificate, that the old one is not used any more.
async fn confirm(data_dir: &Path) -> Result<(), RenewError> {
    let in_use = load(data_dir)?.ok_or(RenewError::NotEnrolled)?;
    endpoint(in_use)?.tell(CONFIRM_PATH).await?;
    Ok(forget_replaced(data_dir)?)
}

fn endpoint(stored: Stored) -> Result<Endpoint, RenewError> {
    let url = stored.identity.cloud_url.clone().ok_or(RenewError::NoCloudUrl)?;
    let credentials = Credentials::new(stored)?;
    Ok(Endpoint::new(&url, (*credentials.tls).clone())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_after_a_third_of_its_time() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (from, to) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
        assert!(!is_due(from, to, at("2026-04-30T00:00:00Z")));
        assert!(is_due(from, to, at("2026-05-03T00:00:00Z")));
        // Switched on after months, or after it has ended: it is tried.
        assert!(is_due(from, to, at("2026-12-30T00:00:00Z")));
        assert!(is_due(from, to, at("2027-03-01T00:00:00Z")));
    }
}
