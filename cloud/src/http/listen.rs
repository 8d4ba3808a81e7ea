//! Where browsers and API clients connect: plain on loopback or behind a proxy, else over TLS.

use super::{router, serve};
use crate::{Core, broker};
use anyhow::Context;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{net::SocketAddr, path::Path, sync::Arc};
use tokio::task::JoinSet;

/// Connections at the same time: twice the live streams, so that these leave room for requests.
pub const CONNECTIONS_MAX: usize = 2 * super::sse::STREAMS_MAX;

/// Starts to serve pages and API; gives the address that is really listened on.
pub fn start(core: &Core, tasks: &mut JoinSet<()>) -> anyhow::Result<SocketAddr> {
    let http = &core.config.http;
    let listener = broker::listen_at(http.listen)?;
    let address = listener.local_addr()?;
    let router = router(core.clone());
    let tls = match (&http.certificate, &http.key) {
        (Some(certificate), Some(key)) => Some(Arc::new(tls_config(certificate, key)?)),
        _ => None,
    };
    tasks.spawn(serve::serve(listener, tls, router, CONNECTIONS_MAX));
    tracing::info!(%address, "pages listen");
    Ok(address)
}

fn tls_config(certificate: &Path, key: &Path) -> anyhow::Result<rustls::ServerConfig> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .with_context(|| format!("cannot read http.certificate {}", certificate.display()))?;
    let key_der = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read http.key {}", key.display()))?;
    rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates, key_der)
        .context("http.certificate and http.key do not fit together")
}
