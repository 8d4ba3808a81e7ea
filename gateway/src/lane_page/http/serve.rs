//! Accepting browsers over TLS. What ends a connection is a client that does not send its request.

use super::{LanePage, router};
use axum::Extension;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

/// Browsers at the same time; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 64;
const HANDSHAKE_WAIT_MAX: Duration = Duration::from_secs(10);
/// A request's head; an idle connection is closed after it.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(30);
/// A whole connection: a body that never comes must not hold a place.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(600);

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct From(pub(super) IpAddr);

/// Serves for ever.
pub async fn serve(listener: TcpListener, tls: Arc<ServerConfig>, page: Arc<LanePage>) {
    let acceptor = TlsAcceptor::from(tls);
    let router = router(page);
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "the lane page cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (acceptor, router) = (acceptor.clone(), router.clone());
        connections.spawn(async move {
            let _slot = slot;
            let served = accept_one(stream, peer, acceptor, router);
            if let Ok(Err(error)) = timeout(CONNECTION_TIME_MAX, served).await {
                tracing::debug!(%peer, %error, "a connection ended");
            }
        });
    }
}

async fn accept_one(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: TlsAcceptor,
    router: axum::Router,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let stream = timeout(HANDSHAKE_WAIT_MAX, acceptor.accept(stream)).await??;
    let router = router.layer(Extension(From(peer.ip())));
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await?;
    Ok(())
}
