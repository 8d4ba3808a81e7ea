//! How a gateway gets its certificate: a claim code over HTTPS.
//!
//! The key is made here and never leaves. The cloud is known by the SHA-256 of its authority's
//! certificate, printed beside the code: no public certificate authority is trusted.
//!
//! | module | holds |
//! |---|---|
//! | `stored` | the enrolment on disk, and the one that is to replace it |
//! | `https` | requests to the cloud's endpoint for gateways |
//! | `pinned` | trust in an authority that is known by its hash |
//! | [`renewal`] | a new certificate before the old one ends |

mod https;
mod pinned;
pub mod renewal;
mod stored;

pub use stored::{Identity, IdentityError, Stored, load, store};

use crate::uplink::identity::{Credentials, CredentialsError};
use chiasm_proto::{
    Sha256,
    enrol::{CLAIM_ALPHABET, CLAIM_LEN, CLAIM_PATH, ClaimRequest, ClaimResponse},
    wipe::{SignedWipe, WIPED_PATH},
};
use rustls::{ClientConfig, crypto::CryptoProvider};
use std::{path::Path, sync::Arc};

/// The one crypto provider of the gateway.
pub fn crypto_provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Why a gateway could not be enrolled, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error("`{0}` is no claim code: {CLAIM_LEN} characters without 0, O, 1 and I; read it again")]
    Code(String),
    #[error("`{0}` is no address of a cloud; write it like https://cloud.example:8443")]
    Url(String),
    #[error("the gateway was enrolled before it knew the cloud's address")]
    NoCloudUrl,
    #[error("cannot make a key: {0}")]
    Key(#[from] rcgen::Error),
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    #[error("cannot reach {url}: {reason}")]
    Unreachable { url: String, reason: String },
    #[error("{message} ({code})")]
    Refused { code: String, message: String },
    #[error("{url} answered what no cloud of ours answers: {reason}; check the address")]
    Answer { url: String, reason: String },
    #[error(transparent)]
    Store(#[from] IdentityError),
}

/// Claims an identity and stores it. An identity from before is replaced only when the new one is
/// complete.
pub async fn enrol(
    data_dir: &Path,
    cloud: &str,
    authority: Sha256,
    code: &str,
) -> Result<Identity, EnrolError> {
    let claim_code = normalise_code(code)?;
    let cloud = cloud.trim_end_matches('/');
    if !cloud.starts_with("https://") || cloud.len() <= "https://".len() {
        return Err(EnrolError::Url(cloud.into()));
    }
    let (key, csr_pem) = key_and_request()?;
    let claim =
        ClaimRequest { claim_code, csr_pem, software_version: env!("CARGO_PKG_VERSION").into() };
    let tls = ClientConfig::builder_with_provider(crypto_provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| EnrolError::Tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned::PinnedAuthority::new(authority)))
        .with_no_client_auth();
    let answer: ClaimResponse = https::Endpoint::new(cloud, tls)?.post(CLAIM_PATH, &claim).await?;
    let identity = Identity {
        tenant: answer.tenant,
        gateway: answer.gateway,
        broker_url: answer.broker_url,
        cloud_url: Some(cloud.to_owned()),
    };
    let stored = Stored {
        identity: identity.clone(),
        key_pem: key.serialize_pem(),
        certificate_pem: answer.certificate_pem,
        authority_pem: answer.authority_pem,
    };
    // What cannot be used does not replace what can.
    Credentials::new(stored.clone())
        .map_err(|error| EnrolError::Answer { url: cloud.into(), reason: error.to_string() })?;
    store(data_dir, &stored)?;
    Ok(identity)
}

/// Hands over the record of a wipe, in the gateway's name.
pub(crate) async fn tell_wiped(stored: Stored, signed: &SignedWipe) -> Result<(), EnrolError> {
    let unusable = |error: CredentialsError| EnrolError::Tls(error.to_string());
    let url = stored.identity.cloud_url.clone();
    let url = url.ok_or(EnrolError::NoCloudUrl)?;
    let credentials = Credentials::new(stored).map_err(unusable)?;
    let endpoint = https::Endpoint::new(&url, (*credentials.tls).clone())?;
    endpoint.hand_over(WIPED_PATH, signed).await
}

/// A new key, and the request for its certificate as PEM.
fn key_and_request() -> Result<(rcgen::KeyPair, String), EnrolError> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut request = rcgen::CertificateParams::default();
    // The cloud takes only the public key; the name is its to give.
    request.distinguished_name = rcgen::DistinguishedName::new();
    request.distinguished_name.push(rcgen::DnType::CommonName, "gateway");
    let csr_pem = request.serialize_request(&key)?.pem()?;
    Ok((key, csr_pem))
}

fn normalise_code(code: &str) -> Result<String, EnrolError> {
    let code: String = code
        .chars()
        .filter(|character| !matches!(character, ' ' | '-'))
        .map(|character| character.to_ascii_uppercase())
        .collect();
    let is_right =
        code.len() == CLAIM_LEN && code.bytes().all(|byte| CLAIM_ALPHABET.contains(&byte));
    if is_right { Ok(code) } else { Err(EnrolError::Code(code.chars().take(32).collect())) }
}

/// The cause that says most: the last of the chain.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
