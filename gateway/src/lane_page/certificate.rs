//! The certificate that browsers see. It is made here, because a gateway has no name that a public
//! authority would vouch for: people compare its fingerprint once, or the clinic trusts it by policy.

use crate::clock;
use chiasm_proto::Sha256;
use jiff::{ToSpan, civil::Date, tz::TimeZone};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// How long a certificate is good. Browsers refuse more than 825 days.
const VALIDITY_DAYS: i32 = 800;
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("cannot use {path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("cannot make the page's certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error(
        "{path} is no certificate with its key: {why}; remove its folder, and a new one is made"
    )]
    Unusable { path: PathBuf, why: String },
}

/// Where it lies.
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("lane-page")
}

/// The certificate as PEM, made if there is none.
pub fn load_or_make(data_dir: &Path, names: &[String]) -> Result<String, CertificateError> {
    let folder = folder(data_dir);
    let path = folder.join(CERTIFICATE);
    match std::fs::read_to_string(&path) {
        Ok(pem) if is_over(&pem) => make(&folder, names),
        Ok(pem) => Ok(pem),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(&folder, names),
        Err(source) => Err(CertificateError::File { path, source }),
    }
}

/// Whether its time is over; what cannot be read is told where it is used.
fn is_over(pem: &str) -> bool {
    let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else { return false };
    let parsed = x509_parser::parse_x509_certificate(&der);
    let now = clock::wall().as_second();
    parsed.is_ok_and(|(_, it)| it.validity().not_after.timestamp() <= now)
}

/// What people compare with what their browser shows.
pub fn fingerprint(pem: &str) -> Option<Sha256> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok().map(|der| Sha256::of(&der))
}

/// For the server.
pub fn server_config(
    data_dir: &Path,
    names: &[String],
) -> Result<Arc<ServerConfig>, CertificateError> {
    let pem = load_or_make(data_dir, names)?;
    let path = folder(data_dir).join(KEY);
    let unusable = |why: String| CertificateError::Unusable { path: path.clone(), why };
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| unusable(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&path).map_err(|error| unusable(error.to_string()))?;
    ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map(Arc::new)
        .map_err(|error| unusable(error.to_string()))
}

fn make(folder: &Path, names: &[String]) -> Result<String, CertificateError> {
    let key = KeyPair::generate()?;
    let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    all.extend(host_name());
    all.extend(names.iter().cloned());
    all.sort();
    all.dedup();
    let mut params = CertificateParams::new(all)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "Chiasm gateway");
    params.distinguished_name = name;
    let today = clock::wall().to_zoned(TimeZone::UTC).date();
    let (first, last) = (today.saturating_sub(1.day()), today.saturating_add(VALIDITY_DAYS.days()));
    let midnight = |date: Date| {
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        rcgen::date_time_ymd(date.year().into(), month, day)
    };
    params.not_before = midnight(first);
    params.not_after = midnight(last);
    let pem = params.self_signed(&key)?.pem();
    let file = |path: PathBuf, source| CertificateError::File { path, source };
    std::fs::create_dir_all(folder).map_err(|source| file(folder.into(), source))?;
    // The key first: where the certificate stands, both are whole.
    for (name, text) in [(KEY, key.serialize_pem()), (CERTIFICATE, pem.clone())] {
        let path = folder.join(name);
        write(&path, &text).map_err(|source| file(path, source))?;
    }
    Ok(pem)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_owned();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}
