//! DICOM over TLS (PS3.15 B.9 and B.10, which follow BCP 195): versions 1.2 and 1.3, with forward
//! secrecy and authenticated encryption only.
//!
//! The files are read for each connection, so that a renewed certificate needs no restart.

use crate::{
    config::{ClientCertificate, DicomTls},
    enrol::crypto_provider,
};
use chiasm_proto::Sha256;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore,
    ServerConfig, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{verify_tls12_signature, verify_tls13_signature},
    server::{
        ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// Longest wait for a handshake.
pub const HANDSHAKE_WAIT_MAX: Duration = Duration::from_secs(10);
/// Most handshakes at once; one more is closed unheard.
pub const HANDSHAKES_MAX: usize = 16;
/// Longest file of certificates or of a key, in bytes.
const FILE_LEN_MAX: u64 = 1024 * 1024;
/// Most certificates that imagers are known by.
const AUTHORITIES_MAX: usize = 256;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("there is no [dicom.tls] table")]
    Off,
    #[error("cannot use {path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path}: {problem}; it must be PEM")]
    Unusable { path: PathBuf, problem: String },
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    #[error("the handshake took longer than {} s", HANDSHAKE_WAIT_MAX.as_secs())]
    Slow,
    #[error("the handshake failed: {0}")]
    Handshake(io::Error),
}

impl TlsError {
    /// Whether the other side is to blame.
    pub fn is_of_the_peer(&self) -> bool {
        matches!(self, TlsError::Slow | TlsError::Handshake(_))
    }
}

/// Where our certificate lies and whom we trust.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    table: Option<DicomTls>,
    own_dir: PathBuf,
}

impl Tls {
    pub fn new(table: Option<DicomTls>, data_dir: &Path) -> Self {
        Self { table, own_dir: data_dir.join("dicom-tls") }
    }

    pub(super) fn table(&self) -> Option<&DicomTls> {
        self.table.as_ref()
    }

    /// Reads the files to see whether they do, and makes our own certificate if none is given.
    pub fn check(&self) -> Result<(), TlsError> {
        self.server().map(|_| ())
    }

    /// The handshake with an imager that calls.
    pub(super) async fn accept(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, TlsError> {
        let handshake = TlsAcceptor::from(Arc::new(self.server()?)).accept(stream);
        let shaken = timeout(HANDSHAKE_WAIT_MAX, handshake).await.map_err(|_| TlsError::Slow)?;
        Ok(TlsStream::Server(shaken.map_err(TlsError::Handshake)?))
    }

    /// The handshake with an imager that we call. Its certificate has to be one of those in
    /// `authority_file` or signed by one; its name is not looked at, since imagers' certificates
    /// seldom have their addresses in them.
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        peer: std::net::IpAddr,
    ) -> Result<TlsStream<TcpStream>, TlsError> {
        let name = ServerName::IpAddress(peer.into());
        let handshake = TlsConnector::from(Arc::new(self.client()?)).connect(name, stream);
        let shaken = timeout(HANDSHAKE_WAIT_MAX, handshake).await.map_err(|_| TlsError::Slow)?;
        Ok(TlsStream::Client(shaken.map_err(TlsError::Handshake)?))
    }

    fn server(&self) -> Result<ServerConfig, TlsError> {
        let table = self.table.as_ref().ok_or(TlsError::Off)?;
        let (chain, key) = self.own(table)?;
        let builder = ServerConfig::builder_with_provider(crypto_provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Handshake(io::Error::other(error)))?;
        let is_mandatory = match table.client_certificate() {
            ClientCertificate::None => None,
            ClientCertificate::Optional => Some(false),
            ClientCertificate::Required => Some(true),
        };
        let builder = match is_mandatory {
            None => builder.with_no_client_auth(),
            Some(is_mandatory) => {
                let trust = Trust::read(table, is_mandatory)?;
                builder.with_client_cert_verifier(Arc::new(trust))
            }
        };
        builder.with_single_cert(chain, key).map_err(|error| self.unusable_own(table, error))
    }

    fn client(&self) -> Result<ClientConfig, TlsError> {
        let table = self.table.as_ref().ok_or(TlsError::Off)?;
        let (chain, key) = self.own(table)?;
        let trust = Trust::read(table, true)?;
        ClientConfig::builder_with_provider(crypto_provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Handshake(io::Error::other(error)))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(trust))
            .with_client_auth_cert(chain, key)
            .map_err(|error| self.unusable_own(table, error))
    }

    fn unusable_own(&self, table: &DicomTls, error: rustls::Error) -> TlsError {
        TlsError::Unusable { path: self.own_paths(table).0, problem: error.to_string() }
    }

    fn own_paths(&self, table: &DicomTls) -> (PathBuf, PathBuf) {
        match (&table.certificate_file, &table.key_file) {
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            _ => (self.own_dir.join("certificate.pem"), self.own_dir.join("key.pem")),
        }
    }

    /// Our certificate with its chain, and its key.
    fn own(
        &self,
        table: &DicomTls,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let (certificate, key) = self.own_paths(table);
        // Written last, so that where it stands the key is whole.
        if table.certificate_file.is_none() && !certificate.exists() {
            make_own(&certificate, &key)?;
        }
        let pem = read(&key)?;
        let unusable = |error: rustls_pki_types::pem::Error| TlsError::Unusable {
            path: key.clone(),
            problem: error.to_string(),
        };
        let private = PrivateKeyDer::from_pem_slice(&pem).map_err(unusable)?;
        Ok((certificates(&certificate)?, private))
    }
}

/// A certificate that signs itself: imagers are given it as whom to trust. It does not expire in
/// the life of an imager: nobody would see it coming.
fn make_own(certificate: &Path, key: &Path) -> Result<(), TlsError> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim().to_owned();
    let names = vec![host.clone(), "localhost".to_owned()];
    let mut params = rcgen::CertificateParams::new(names)
        .or_else(|_| rcgen::CertificateParams::new(vec!["localhost".to_owned()]))?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, format!("Chiasm gateway {host}"));
    params.not_after = rcgen::date_time_ymd(2099, 12, 31);
    let pem = params.self_signed(&pair)?.pem();
    write(key, pair.serialize_pem().as_bytes(), 0o600)?;
    write(certificate, pem.as_bytes(), 0o644)?;
    tracing::info!(certificate = %certificate.display(),
        "a certificate for DICOM was made; give it to the imagers as the one to trust");
    Ok(())
}

/// Whole or not at all.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), TlsError> {
    let fail = |source| TlsError::File { path: path.into(), source };
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(fail)?;
    let part = path.with_extension("part");
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(mode);
    let written = options.open(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        fs::File::open(folder)?.sync_all()
    });
    written.map_err(fail)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let fail = |source| TlsError::File { path: path.into(), source };
    if fs::metadata(path).map_err(fail)?.len() > FILE_LEN_MAX {
        return Err(fail(io::ErrorKind::FileTooLarge.into()));
    }
    fs::read(path).map_err(fail)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable = |problem: String| TlsError::Unusable { path: path.into(), problem };
    let pem = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| unusable(error.to_string()))?;
    if found.is_empty() || found.len() > AUTHORITIES_MAX {
        return Err(unusable(format!("{} certificates", found.len())));
    }
    Ok(found)
}

/// The certificate that the other side showed.
pub(super) fn shown(stream: &TlsStream<TcpStream>) -> Option<Sha256> {
    let certificates = stream.get_ref().1.peer_certificates()?;
    certificates.first().map(|certificate| Sha256::of(certificate))
}

/// Trusts the certificates of a file, whoever signed them, and what they signed.
#[derive(Debug)]
struct Trust {
    listed: Vec<CertificateDer<'static>>,
    roots: Arc<RootCertStore>,
    callers: Arc<dyn ClientCertVerifier>,
}

impl Trust {
    fn read(table: &DicomTls, is_mandatory: bool) -> Result<Self, TlsError> {
        let path = table.authority_file.clone().unwrap_or_default();
        let listed = certificates(&path)?;
        let unusable = |problem: String| TlsError::Unusable { path: path.clone(), problem };
        let mut roots = RootCertStore::empty();
        for certificate in &listed {
            roots.add(certificate.clone()).map_err(|error| unusable(error.to_string()))?;
        }
        let roots = Arc::new(roots);
        let builder = WebPkiClientVerifier::builder_with_provider(roots.clone(), crypto_provider());
        let builder = if is_mandatory { builder } else { builder.allow_unauthenticated() };
        let callers = builder.build().map_err(|error| unusable(error.to_string()))?;
        Ok(Self { listed, roots, callers })
    }

    /// A certificate that a person put into the file is right as long as it is valid.
    fn is_listed(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
        let is_valid = || {
            let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else {
                return false;
            };
            let at = i64::try_from(now.as_secs()).ok();
            let at = at.and_then(|at| x509_parser::time::ASN1Time::from_timestamp(at).ok());
            at.is_some_and(|at| parsed.validity().is_valid_at(at))
        };
        self.listed.contains(certificate) && is_valid()
    }
}

impl ClientCertVerifier for Trust {
    fn client_auth_mandatory(&self) -> bool {
        self.callers.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.callers.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if self.is_listed(end_entity, now) {
            return Ok(ClientCertVerified::assertion());
        }
        self.callers.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.callers.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.callers.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.callers.supported_verify_schemes()
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.is_listed(end_entity, now) {
            return Ok(ServerCertVerified::assertion());
        }
        let parsed = ParsedCertificate::try_from(end_entity)
            .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let algorithms = crypto_provider().signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let provider = crypto_provider();
        let algorithms = &provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let provider = crypto_provider();
        let algorithms = &provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.callers.supported_verify_schemes()
    }
}
