//! Serving a router over TLS of our own making.

use axum::{Extension, Router};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

/// Connections at the same time; further ones wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 1024;
/// How long a client may take for the handshake, and again for a request's head.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long one connection may live.
const CONNECTION_MAX: Duration = Duration::from_secs(300);

/// The address of the peer, as an extension of every request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Accepts for ever. Dropping the future closes the listener and every connection.
pub async fn serve(listener: TcpListener, tls: Arc<rustls::ServerConfig>, router: Router) {
    let acceptor = TlsAcceptor::from(tls);
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let slot = slots.clone().acquire_owned().await;
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: more haste would only fill the log.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (acceptor, router) = (acceptor.clone(), router.clone());
        connections.spawn(async move {
            let _slot = slot;
            let served = timeout(CONNECTION_MAX, serve_one(stream, peer, acceptor, router)).await;
            if let Ok(Err(error)) = served {
                tracing::debug!(%peer, %error, "connection ended");
            }
        });
    }
}

async fn serve_one(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: TlsAcceptor,
    router: Router,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let stream = timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await??;
    let service = TowerToHyperService::new(router.layer(Extension(Peer(peer))));
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await?;
    Ok(())
}
