//! The TLS front: verifies the client's certificate, looks it up, and joins the connection to
//! rmqtt's loopback listener under a local address that stands for the identity.

use super::{
    identity::{Identities, Identity},
    refusals::Refusals,
};
use crate::{
    Core,
    handshakes::{HANDSHAKE_MAX, HANDSHAKES_MAX, HandshakeError, Handshakes},
    metrics::Metrics,
    pki,
    store::{Db, StoreError, certificate},
};
use std::{collections::HashSet, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::copy_bidirectional_with_sizes,
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Gateways connected to one replica at the same time; further ones are turned away and come again.
pub const CONNECTIONS_MAX: usize = 20_000;
/// A revoked gateway is cut off within this time.
const REVOKED_WITHIN: Duration = Duration::from_secs(2);
const COPY_BYTES_MAX: usize = 16 * 1024;

#[derive(Clone)]
pub struct Front {
    db: Db,
    metrics: Metrics,
    identities: Identities,
    refusals: Refusals,
    inside: SocketAddr,
}

/// Why a connection was not let in, or how it ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the certificate names no gateway")]
    Nameless,
    #[error("the certificate of {tenant}/{gateway} is revoked, replaced or unknown")]
    NotLetIn { tenant: String, gateway: String },
    #[error("cannot look the certificate up: {0}")]
    Store(#[from] StoreError),
}

/// TLS, and then a place among the connected.
async fn shake(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    slots: Arc<Semaphore>,
) -> io::Result<(TlsStream<TcpStream>, OwnedSemaphorePermit)> {
    stream.set_nodelay(true)?;
    let outer = acceptor.accept(stream).await?;
    let slot = slots.acquire_owned().await.map_err(io::Error::other)?;
    Ok((outer, slot))
}

impl Front {
    pub fn new(
        core: &Core,
        identities: Identities,
        refusals: Refusals,
        inside: SocketAddr,
    ) -> Self {
        let (db, metrics) = (core.db.clone(), core.metrics.clone());
        Self { db, metrics, identities, refusals, inside }
    }

    /// Accepts for ever. Dropping the future closes the listener and every connection.
    pub async fn accept(self, listener: TcpListener, tls: Arc<rustls::ServerConfig>) {
        let acceptor = TlsAcceptor::from(tls);
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let handshakes = Handshakes::new(HANDSHAKES_MAX);
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a gateway's connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (front, acceptor, slots) = (self.clone(), acceptor.clone(), slots.clone());
            let handshake = handshakes.begin();
            connections.spawn(async move {
                let shaken = handshake.finish(HANDSHAKE_MAX, shake(stream, acceptor, slots)).await;
                let ended = match shaken {
                    Ok((outer, _slot)) => front.serve(outer).await,
                    // There may be thousands of them.
                    Err(HandshakeError::Displaced) => return,
                    Err(reason) => Err(reason.into()),
                };
                if let Err(reason) = ended {
                    tracing::info!(%peer, %reason, "gateway connection ended");
                }
            });
        }
    }

    async fn serve(&self, mut outer: TlsStream<TcpStream>) -> Result<(), Ended> {
        let identity = self.identify(&outer).await?;
        let socket = TcpSocket::new_v4()?;
        socket.set_nodelay(true)?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        // Known before rmqtt can ask: the address is ours from the bind on.
        let _counted = self.metrics.connection();
        let registration = self.identities.register(socket.local_addr()?, identity);
        let mut inner = socket.connect(self.inside).await?;
        let copy =
            copy_bidirectional_with_sizes(&mut outer, &mut inner, COPY_BYTES_MAX, COPY_BYTES_MAX);
        tokio::select! {
            ended = copy => ended.map(|_| ()).map_err(Ended::Io),
            () = registration.cut.cancelled() => Ok(()),
        }
    }

    /// The gateway that the verified certificate names, if it is one that is let in now.
    async fn identify(&self, stream: &TlsStream<TcpStream>) -> Result<Identity, Ended> {
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let name = certificate.and_then(pki::peer_name).ok_or(Ended::Nameless)?;
        let identity = Identity::parse(&name.common_name, &name.serial).ok_or(Ended::Nameless)?;
        let (tenant, gateway) = (identity.tenant.as_str(), identity.gateway.as_str());
        let mut tx = self.db.tenant_read(tenant).await?;
        let known = certificate::known(&mut tx, (tenant, gateway)).await?;
        if !known.is_some_and(|known| known.lets_in(&identity.serial)) {
            self.refusals.note(&identity, "connect", "");
            let (tenant, gateway) = (tenant.to_owned(), gateway.to_owned());
            return Err(Ended::NotLetIn { tenant, gateway });
        }
        Ok(identity)
    }

    /// Cuts connections whose certificate was revoked or replaced since they came.
    pub async fn cut_the_revoked(self) {
        let mut tick = tokio::time::interval(REVOKED_WITHIN);
        loop {
            tick.tick().await;
            if self.identities.is_empty() {
                continue;
            }
            match self.valid_serials().await {
                Ok(valid) => {
                    for gone in self.identities.cut_unless(|who| valid.contains(&who.serial)) {
                        self.refusals.note(&gone, "connect", "");
                    }
                }
                Err(error) => tracing::warn!(%error, "cannot look for revoked gateways"),
            }
        }
    }

    async fn valid_serials(&self) -> Result<HashSet<String>, StoreError> {
        let mut tx = self.db.all_tenants_read().await?;
        let serials = certificate::serials_let_in(&mut tx).await?;
        Ok(serials.into_iter().map(|(serial,)| serial).collect())
    }
}
