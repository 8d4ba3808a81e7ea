//! The gateway's certificate and key as enrolment left them, and the TLS configuration they make.

use crate::enrol::{self, Identity, IdentityError, Stored};
use jiff::Timestamp;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{path::Path, sync::Arc};

/// Who we are to the broker.
pub struct Credentials {
    pub identity: Identity,
    pub host: String,
    pub port: u16,
    pub tls: Arc<ClientConfig>,
    pub valid_from: Timestamp,
    pub expires_at: Timestamp,
}

/// Why there are no credentials, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("{what}: {detail}; enrol the gateway again")]
    Unusable { what: &'static str, detail: String },
}

fn unusable<E: ToString>(what: &'static str) -> impl FnOnce(E) -> CredentialsError {
    move |error| CredentialsError::Unusable { what, detail: error.to_string() }
}

/// Reads the credentials; none if the gateway is not enrolled.
pub fn load(data_dir: &Path) -> Result<Option<Credentials>, CredentialsError> {
    enrol::load(data_dir)?.map(Credentials::new).transpose()
}

impl Credentials {
    /// Reads what an enrolment holds.
    pub fn new(stored: Stored) -> Result<Self, CredentialsError> {
        let (host, port) = broker_address(&stored.identity.broker_url)?;
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(stored.certificate_pem.as_bytes())
                .collect::<Result<_, _>>()
                .map_err(unusable("certificate.pem cannot be read"))?;
        let leaf = chain.first().ok_or_else(|| CredentialsError::Unusable {
            what: "certificate.pem",
            detail: "holds no certificate".into(),
        })?;
        let (valid_from, expires_at) = validity(leaf)?;
        let key = PrivateKeyDer::from_pem_slice(stored.key_pem.as_bytes())
            .map_err(unusable("key.pem cannot be read"))?;
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(stored.authority_pem.as_bytes()) {
            let authority = authority.map_err(unusable("authority.pem cannot be read"))?;
            roots.add(authority).map_err(unusable("authority.pem is no authority"))?;
        }
        let tls = ClientConfig::builder_with_provider(enrol::crypto_provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable("TLS"))?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(unusable("key and certificate do not fit"))?;
        let tls = Arc::new(tls);
        Ok(Credentials { identity: stored.identity, host, port, tls, valid_from, expires_at })
    }
}

fn validity(leaf: &CertificateDer<'_>) -> Result<(Timestamp, Timestamp), CredentialsError> {
    let (_, certificate) = x509_parser::parse_x509_certificate(leaf)
        .map_err(unusable("certificate.pem cannot be read"))?;
    let validity = certificate.validity();
    let time = |second| Timestamp::from_second(second).map_err(unusable("certificate.pem"));
    Ok((time(validity.not_before.timestamp())?, time(validity.not_after.timestamp())?))
}

fn broker_address(url: &str) -> Result<(String, u16), CredentialsError> {
    let parsed = url.strip_prefix("mqtts://").and_then(|rest| {
        let (host, port) = rest.trim_end_matches('/').rsplit_once(':')?;
        Some((host.to_owned(), port.parse().ok()?))
    });
    parsed.ok_or_else(|| CredentialsError::Unusable {
        what: "the broker's address",
        detail: format!("`{url}` is not mqtts://host:port"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_brokers_address() {
        let address = broker_address("mqtts://broker.example:8883").unwrap();
        assert_eq!(address, ("broker.example".into(), 8883));
        assert!(broker_address("mqtt://broker.example:1883").is_err());
        assert!(broker_address("mqtts://broker.example").is_err());
    }
}
