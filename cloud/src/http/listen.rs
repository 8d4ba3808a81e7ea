//! Where browsers and API clients connect: plain on loopback or behind a proxy, else over TLS.

use super::{router, tls};
use crate::{Core, broker};
use anyhow::Context;
use axum::serve::ListenerExt;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{net::SocketAddr, path::Path, sync::Arc};
use tokio::task::JoinSet;

/// Starts to serve pages and API; gives the address that is really listened on.
pub fn start(core: &Core, tasks: &mut JoinSet<()>) -> anyhow::Result<SocketAddr> {
    let http = &core.config.http;
    let listener = broker::listen_at(http.listen)?;
    let address = listener.local_addr()?;
    let router = router(core.clone());
    match (&http.certificate, &http.key) {
        (Some(certificate), Some(key)) => {
            let config = tls_config(certificate, key)?;
            tasks.spawn(tls::serve(listener, Arc::new(config), router));
        }
        _ => {
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            // Without it a live event waits until the page has acknowledged the one before.
            let listener = listener.tap_io(|stream| {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a page's connection keeps Nagle's algorithm");
                }
            });
            tasks.spawn(async move {
                if let Err(error) = axum::serve(listener, service).await {
                    tracing::error!(%error, "pages are no longer served");
                }
            });
        }
    }
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
