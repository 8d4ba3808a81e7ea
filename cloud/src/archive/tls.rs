//! TLS to an archive (PS3.15, annex B): its certificate has to be signed by the authority that was
//! named, and nobody else is believed. The files are read for each association, so that renewed
//! certificates count at once.

use crate::store::archive::Destination;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject};
use std::{error::Error, sync::Arc};

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {path}: {source}; give PEM files that this service may read")]
    File { path: String, source: pem::Error },
    #[error("{path} holds no certificate in PEM")]
    NoCertificate { path: String },
    #[error("the certificates in {path} cannot be used: {source}")]
    Unfit { path: String, source: rustls::Error },
}

/// What the archive's certificate has to be made out to.
pub fn name(destination: &Destination) -> &str {
    if destination.tls_name.is_empty() { &destination.host } else { &destination.tls_name }
}

/// None where the association is not encrypted.
pub fn config(destination: &Destination) -> Result<Option<Arc<ClientConfig>>, TlsError> {
    let Destination { tls_authority, tls_certificate, tls_key, .. } = destination;
    if tls_authority.is_empty() {
        return Ok(None);
    }
    let unfit = |path: &str, source| TlsError::Unfit { path: path.to_owned(), source };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(tls_authority)? {
        roots.add(certificate).map_err(|source| unfit(tls_authority, source))?;
    }
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| unfit(tls_authority, source))?
        .with_root_certificates(roots);
    if tls_certificate.is_empty() {
        return Ok(Some(Arc::new(builder.with_no_client_auth())));
    }
    let key = PrivateKeyDer::from_pem_file(tls_key)
        .map_err(|source| TlsError::File { path: tls_key.clone(), source })?;
    let shown = certificates(tls_certificate)?;
    let config = builder.with_client_auth_cert(shown, key);
    Ok(Some(Arc::new(config.map_err(|source| unfit(tls_certificate, source))?)))
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |source| TlsError::File { path: path.to_owned(), source };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(fault)?.collect();
    let found = found.map_err(fault)?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(found)
}

/// The innermost reason, and what to do where it is a certificate.
pub fn why(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let reason = innermost.to_string();
    // A stranger whose authority has the same name as ours signs badly.
    let hint = if reason.contains("UnknownIssuer") || reason.contains("BadSignature") {
        "; `--tls-ca` is not the authority of the archive's certificate"
    } else if reason.contains("not valid for name") {
        "; say by `--tls-name` to whom the archive's certificate is made out"
    } else {
        ""
    };
    // The kind of error that the library gives, where the reason alone says little.
    format!("{error}: {reason}{hint}")
}
