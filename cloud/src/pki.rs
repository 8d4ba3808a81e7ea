//! The authority that signs gateways' and servers' certificates, and the TLS settings made of them.
//!
//! Every certificate follows a profile of ours. Of a gateway's request only the public key is
//! taken: what else it asks for, such as being an authority itself, is not looked at.

use chiasm_proto::{GatewayId, Sha256, TenantId, enrol};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SerialNumber,
};
use rustls::{
    CertificateError, RootCertStore, ServerConfig, SignatureScheme,
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use time::{Duration, OffsetDateTime};

/// Common name of the cloud's own certificate at an external broker.
pub const CLOUD_NAME: &str = "chiasm-cloud";

const AUTHORITY_VALID: Duration = Duration::days(20 * 365);
const CERTIFICATE_VALID: Duration = Duration::days(365);
/// Servers get a new certificate when the old one has less than this left.
const RENEW_BEFORE: Duration = Duration::days(60);
/// Certificates are valid from the day before: a gateway's clock may be behind.
const BACKDATED: Duration = Duration::days(1);
const CERTIFICATE_FILE: &str = "authority.pem";
const KEY_FILE: &str = "authority.key";

#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    #[error("cannot read or write {path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("the authority in {path} cannot be used: {source}")]
    Authority { path: PathBuf, source: rcgen::Error },
    #[error("the certificate request is not valid: {0}")]
    Request(rcgen::Error),
    #[error("cannot sign a certificate: {0}")]
    Sign(#[from] rcgen::Error),
    #[error("cannot use a certificate: {0}")]
    Tls(#[from] rustls::Error),
    #[error("cannot verify gateways' certificates: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// Our certification authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
}

/// Who may connect to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Only those who show a certificate of ours.
    Verified,
    /// Those who show none as well: a gateway that enrols has none yet.
    VerifiedOrAnonymous,
}

/// A certificate and what is to be remembered of it.
#[derive(Debug, Clone)]
pub struct Issued {
    pub certificate_pem: String,
    /// Lower-case hexadecimal.
    pub serial: String,
    pub expires_at_us: i64,
}

/// A certificate with the key that was made for it.
pub struct IssuedWithKey {
    pub issued: Issued,
    pub certificate: CertificateDer<'static>,
    pub key: KeyPair,
}

impl Authority {
    /// Loads the authority of a data directory, or makes it. The directory is put in place in one
    /// step, so that two processes that start at once end up with the same one.
    pub fn load_or_make(data_dir: &Path) -> Result<Self, PkiError> {
        let dir = data_dir.join("authority");
        if !dir.join(CERTIFICATE_FILE).exists() {
            let scratch = data_dir.join(format!("authority.new.{}", std::process::id()));
            let file = |source| PkiError::File { path: scratch.clone(), source };
            let _ = fs::remove_dir_all(&scratch);
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&scratch).map_err(file)?;
            let key = KeyPair::generate()?;
            let certificate = authority_params(OffsetDateTime::now_utc()).self_signed(&key)?;
            write_private(&scratch.join(KEY_FILE), &key.serialize_pem())?;
            write_private(&scratch.join(CERTIFICATE_FILE), &certificate.pem())?;
            if fs::rename(&scratch, &dir).is_err() {
                let _ = fs::remove_dir_all(&scratch);
            }
            fs::File::open(data_dir).and_then(|dir| dir.sync_all()).map_err(file)?;
        }
        Self::load(&dir)
    }

    fn load(dir: &Path) -> Result<Self, PkiError> {
        let read = |name| {
            let path = dir.join(name);
            fs::read_to_string(&path).map_err(|source| PkiError::File { path, source })
        };
        let unusable = |source| PkiError::Authority { path: dir.to_owned(), source };
        let key = KeyPair::from_pem(&read(KEY_FILE)?).map_err(unusable)?;
        let certificate_pem = read(CERTIFICATE_FILE)?;
        let certificate = pem_der(&certificate_pem)
            .ok_or_else(|| unusable(rcgen::Error::CouldNotParseCertificate))?;
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key).map_err(unusable)?;
        Ok(Self { issuer, certificate, certificate_pem })
    }

    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// By which a gateway knows the enrolment endpoint: SHA-256 of the certificate.
    pub fn sha256(&self) -> Sha256 {
        Sha256::of(&self.certificate)
    }

    /// Signs a gateway's public key under its name, as a client.
    pub fn issue_gateway(
        &self,
        tenant: &TenantId,
        gateway: &GatewayId,
        csr_pem: &str,
    ) -> Result<Issued, PkiError> {
        let request =
            CertificateSigningRequestParams::from_pem(csr_pem).map_err(PkiError::Request)?;
        let mut params = leaf_params(&enrol::common_name(tenant, gateway));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(self.sign(params, &request.public_key)?.0)
    }

    /// Makes a key and a certificate for a server with these names and addresses. It is good for a
    /// client as well, so that a broker can bridge with it.
    pub fn issue_server(&self, names: &[String]) -> Result<IssuedWithKey, PkiError> {
        let mut params = leaf_params(names.first().map_or(CLOUD_NAME, String::as_str));
        params.subject_alt_names = CertificateParams::new(names.to_vec())?.subject_alt_names;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.sign_new_key(params)
    }

    /// Makes a key and a client certificate under a name that no gateway can have.
    pub fn issue_client(&self, name: &str) -> Result<IssuedWithKey, PkiError> {
        let mut params = leaf_params(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign_new_key(params)
    }

    fn sign_new_key(&self, params: CertificateParams) -> Result<IssuedWithKey, PkiError> {
        let key = KeyPair::generate()?;
        let (issued, certificate) = self.sign(params, &key)?;
        Ok(IssuedWithKey { issued, certificate, key })
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<(Issued, CertificateDer<'static>), PkiError> {
        let mut serial: [u8; 16] = rand::random();
        // Positive and never short: the hexadecimal form is compared as text.
        serial[0] = serial[0] & 0x7f | 0x40;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let certificate = params.signed_by(key, &self.issuer)?;
        let issued = Issued {
            certificate_pem: certificate.pem(),
            serial: serial.iter().map(|byte| format!("{byte:02x}")).collect(),
            expires_at_us: params.not_after.unix_timestamp() * 1_000_000,
        };
        Ok((issued, certificate.der().clone()))
    }

    /// TLS settings of a server for clients with our own certificates.
    pub fn server_config(
        self: &Arc<Self>,
        names: &[String],
        clients: Clients,
    ) -> Result<ServerConfig, PkiError> {
        let certificate = ServerCertificate::new(self.clone(), names.to_vec())?;
        let verifier = WebPkiClientVerifier::builder(Arc::new(self.roots()?));
        let verifier = match clients {
            Clients::Verified => verifier.build()?,
            Clients::VerifiedOrAnonymous => verifier.allow_unauthenticated().build()?,
        };
        let builder = ServerConfig::builder().with_client_cert_verifier(verifier);
        Ok(builder.with_cert_resolver(Arc::new(certificate)))
    }

    /// TLS settings of a client of ours that shows this certificate.
    pub fn client_config(&self, shown: IssuedWithKey) -> Result<rustls::ClientConfig, PkiError> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(shown.key.serialize_der()));
        let chain = vec![shown.certificate, self.certificate.clone()];
        Ok(rustls::ClientConfig::builder()
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(chain, key)?)
    }

    /// Who has signed a text, with the key of a certificate of ours. Whether that is still let in, or
    /// has expired since, says nothing about the text.
    pub fn verify_signed(
        &self,
        certificate_pem: &str,
        text: &[u8],
        signature: &[u8],
    ) -> Result<PeerName, PkiError> {
        let unusable = || PkiError::Tls(CertificateError::BadEncoding.into());
        let certificate = pem_der(certificate_pem).ok_or_else(unusable)?;
        let (_, parsed) =
            x509_parser::parse_x509_certificate(&certificate).map_err(|_| unusable())?;
        let seconds = parsed.validity().not_after.timestamp().try_into().map_err(|_| unusable())?;
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let verifier = WebPkiClientVerifier::builder(Arc::new(self.roots()?)).build()?;
        verifier.verify_client_cert(&certificate, &[], at)?;
        let provider = rustls::crypto::ring::default_provider();
        let algorithms = provider.signature_verification_algorithms.mapping;
        let p256 = SignatureScheme::ECDSA_NISTP256_SHA256;
        let mut fitting = algorithms.iter().filter(|(scheme, _)| *scheme == p256);
        let key = &parsed.public_key().subject_public_key.data;
        let is_right = fitting.any(|(_, algorithms)| {
            algorithms.iter().any(|it| it.verify_signature(key, text, signature).is_ok())
        });
        if !is_right {
            return Err(PkiError::Tls(CertificateError::BadSignature.into()));
        }
        peer_name(&certificate).ok_or_else(unusable)
    }

    fn roots(&self) -> Result<RootCertStore, PkiError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        Ok(roots)
    }
}

fn authority_params(now: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Chiasm gateway authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = now - BACKDATED;
    params.not_after = now + AUTHORITY_VALID;
    params
}

fn leaf_params(common_name: &str) -> CertificateParams {
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.not_before = now - BACKDATED;
    params.not_after = now + CERTIFICATE_VALID;
    params
}

/// A server's certificate that renews itself when a client comes and it is about to expire.
struct ServerCertificate {
    authority: Arc<Authority>,
    names: Vec<String>,
    current: Mutex<(Arc<CertifiedKey>, OffsetDateTime)>,
}

impl ServerCertificate {
    fn new(authority: Arc<Authority>, names: Vec<String>) -> Result<Self, PkiError> {
        let current = Mutex::new(Self::issue(&authority, &names)?);
        Ok(Self { authority, names, current })
    }

    fn issue(
        authority: &Authority,
        names: &[String],
    ) -> Result<(Arc<CertifiedKey>, OffsetDateTime), PkiError> {
        let new = authority.issue_server(names)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(new.key.serialize_der()));
        let key = rustls::crypto::ring::sign::any_supported_type(&key)?;
        // The authority goes along: a gateway that enrols knows it by its hash only.
        let chain = vec![new.certificate, authority.certificate.clone()];
        let renew_at = OffsetDateTime::now_utc() + CERTIFICATE_VALID - RENEW_BEFORE;
        Ok((Arc::new(CertifiedKey::new(chain, key)), renew_at))
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if OffsetDateTime::now_utc() >= current.1 {
            match Self::issue(&self.authority, &self.names) {
                Ok(renewed) => *current = renewed,
                Err(error) => tracing::error!(%error, "cannot renew the server's certificate"),
            }
        }
        Some(current.0.clone())
    }
}

impl std::fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerCertificate").field("names", &self.names).finish_non_exhaustive()
    }
}

fn pem_der(pem: &str) -> Option<CertificateDer<'static>> {
    use rustls_pki_types::pem::PemObject;
    CertificateDer::from_pem_slice(pem.as_bytes()).ok()
}

/// Writes a file that only its owner reads, durably.
pub fn write_private(path: &Path, text: &str) -> Result<(), PkiError> {
    let write = || -> io::Result<()> {
        use io::Write;
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| PkiError::File { path: path.to_owned(), source })
}

/// Who a verified client certificate belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerName {
    pub common_name: String,
    /// Lower-case hexadecimal.
    pub serial: String,
}

/// Reads name and serial of a certificate that TLS has verified.
pub fn peer_name(certificate: &CertificateDer<'_>) -> Option<PeerName> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let common_name = parsed.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
    let serial = parsed.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect();
    Some(PeerName { common_name, serial })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> (tempfile::TempDir, Authority) {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_make(dir.path()).unwrap();
        (dir, authority)
    }

    #[test]
    fn stays_the_same_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, authority) = authority();
        let again = Authority::load_or_make(dir.path()).unwrap();
        assert_eq!(again.sha256(), authority.sha256());
        let key = fs::metadata(dir.path().join("authority/authority.key")).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn takes_only_the_key_of_a_request() {
        let (_dir, authority) = authority();
        let key = KeyPair::generate().unwrap();
        let mut asked = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
        asked.distinguished_name.push(DnType::CommonName, "other/gateway");
        asked.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let csr = asked.serialize_request(&key).unwrap().pem().unwrap();
        let (tenant, gateway) = (TenantId::new("acme").unwrap(), GatewayId::new("gw-1").unwrap());
        let issued = authority.issue_gateway(&tenant, &gateway, &csr).unwrap();
        let der = pem_der(&issued.certificate_pem).unwrap();
        let name = peer_name(&der).unwrap();
        assert_eq!(name, PeerName { common_name: "acme/gw-1".into(), serial: issued.serial });
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
        assert!(!parsed.is_ca());
        assert!(parsed.subject_alternative_name().unwrap().is_none());
        assert!(authority.issue_gateway(&tenant, &gateway, "nonsense").is_err());
    }
}
