//! How a gateway gets its certificate: a claim code over HTTPS.
//!
//! The key is made here and never leaves. The cloud is known by the SHA-256 of its authority's
//! certificate, printed beside the code: no public certificate authority is trusted.

mod pinned;

use chiasm_proto::{
    GatewayId, Sha256, TenantId,
    enrol::{CLAIM_ALPHABET, CLAIM_LEN, CLAIM_PATH, ClaimError, ClaimRequest, ClaimResponse},
};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustls::{ClientConfig, crypto::CryptoProvider};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Longest answer of the cloud, in bytes.
const ANSWER_LEN_MAX: usize = 64 * 1024;
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);

/// The one crypto provider of the gateway.
pub fn crypto_provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Who the gateway is and where its broker stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub tenant: TenantId,
    pub gateway: GatewayId,
    pub broker_url: String,
    /// Where it was enrolled, and where images go: `https://host:port`. Absent in enrolments from
    /// before there were images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_url: Option<String>,
}

/// An enrolment as stored.
pub struct Stored {
    pub identity: Identity,
    pub key_pem: String,
    pub certificate_pem: String,
    pub authority_pem: String,
}

/// Why a stored enrolment cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} is damaged: {source}; enrol the gateway again")]
    Damaged { path: PathBuf, source: serde_json::Error },
}

/// Why a gateway could not be enrolled, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    #[error("`{0}` is no claim code: {CLAIM_LEN} characters without 0, O, 1 and I; read it again")]
    Code(String),
    #[error("`{0}` is no address of a cloud; write it like https://cloud.example:8443")]
    Url(String),
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
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut request = rcgen::CertificateParams::default();
    // The cloud takes only the public key; the name is its to give.
    request.distinguished_name = rcgen::DistinguishedName::new();
    request.distinguished_name.push(rcgen::DnType::CommonName, "gateway");
    let csr_pem = request.serialize_request(&key)?.pem()?;
    let claim =
        ClaimRequest { claim_code, csr_pem, software_version: env!("CARGO_PKG_VERSION").into() };
    let answer = post(&format!("{cloud}{CLAIM_PATH}"), authority, &claim).await?;
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
    store(data_dir, &stored)?;
    Ok(identity)
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

async fn post(
    url: &str,
    authority: Sha256,
    claim: &ClaimRequest,
) -> Result<ClaimResponse, EnrolError> {
    let tls = ClientConfig::builder_with_provider(crypto_provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| EnrolError::Tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned::PinnedAuthority::new(authority)))
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(ANSWER_WAIT_MAX)
        .build()
        .map_err(|error| EnrolError::Tls(error.to_string()))?;
    let unreachable = |error: reqwest::Error| EnrolError::Unreachable {
        url: url.into(),
        reason: innermost(&error),
    };
    let mut response = client.post(url).json(claim).send().await.map_err(unreachable)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_LEN_MAX {
            let reason = format!("more than {ANSWER_LEN_MAX} bytes");
            return Err(EnrolError::Answer { url: url.into(), reason });
        }
    }
    if status.is_success() {
        return serde_json::from_slice(&body)
            .map_err(|error| EnrolError::Answer { url: url.into(), reason: error.to_string() });
    }
    match serde_json::from_slice::<ClaimError>(&body) {
        Ok(refusal) => Err(EnrolError::Refused { code: refusal.code, message: refusal.message }),
        Err(_) => Err(EnrolError::Answer { url: url.into(), reason: format!("HTTP {status}") }),
    }
}

/// The cause that says most: the last of the chain.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Reads the stored enrolment, if there is one.
pub fn load(data_dir: &Path) -> Result<Option<Stored>, IdentityError> {
    let dir = data_dir.join("identity");
    let read = |name: &str| {
        let path = dir.join(name);
        std::fs::read_to_string(&path).map_err(|source| IdentityError::Read { path, source })
    };
    // Written last, so that where it stands the others are whole.
    let json = match read("identity.json") {
        Err(IdentityError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        other => other?,
    };
    let identity = serde_json::from_str(&json)
        .map_err(|source| IdentityError::Damaged { path: dir.join("identity.json"), source })?;
    Ok(Some(Stored {
        identity,
        key_pem: read("key.pem")?,
        certificate_pem: read("certificate.pem")?,
        authority_pem: read("authority.pem")?,
    }))
}

/// Writes all four files beside the old ones, then swaps the directories: key and certificate never
/// stand there that do not belong together.
pub fn store(data_dir: &Path, stored: &Stored) -> Result<(), IdentityError> {
    let fresh = data_dir.join("identity.new");
    let dir = data_dir.join("identity");
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |source| IdentityError::Write { path, source }
    };
    std::fs::create_dir_all(data_dir).map_err(fail(data_dir))?;
    match std::fs::remove_dir_all(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(&fresh)(error)),
        _ => {}
    }
    std::fs::DirBuilder::new().mode(0o700).create(&fresh).map_err(fail(&fresh))?;
    let identity =
        serde_json::to_string_pretty(&stored.identity).expect("plain data always serialises");
    let files = [
        ("key.pem", &stored.key_pem),
        ("certificate.pem", &stored.certificate_pem),
        ("authority.pem", &stored.authority_pem),
        ("identity.json", &identity),
    ];
    for (name, content) in files {
        let path = fresh.join(name);
        write_private(&path, content).map_err(fail(&path))?;
    }
    sync_dir(&fresh).map_err(fail(&fresh))?;
    // One step: a crash leaves the old identity or the new one, never none.
    if dir.exists() {
        let swapped = renameat_with(CWD, &fresh, CWD, &dir, RenameFlags::EXCHANGE);
        swapped.map_err(|error| fail(&dir)(error.into()))?;
    } else {
        std::fs::rename(&fresh, &dir).map_err(fail(&dir))?;
    }
    sync_dir(data_dir).map_err(fail(data_dir))?;
    let _ = std::fs::remove_dir_all(&fresh);
    Ok(())
}

fn write_private(path: &Path, content: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
