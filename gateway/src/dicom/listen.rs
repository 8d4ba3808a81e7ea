//! The two ports of the node: plain, and TLS. What happens on one disturbs no other.

use super::{Node, association, tls::HANDSHAKES_MAX, tls::TlsError, wire::Stream};
use crate::config::ImagerTls;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::sleep,
};

/// Most connections at once to each port, with those that have not yet asked for an association.
pub const CONNECTIONS_MAX: usize = 64;
/// Between two attempts to listen.
const LISTEN_RETRY: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    Plain,
    Tls,
}

impl Node {
    pub(super) async fn listen(self: &Arc<Self>) {
        tokio::join!(self.listen_on(Port::Plain, &self.dicom.listen), async {
            if let Some(tls) = self.tls.table() {
                self.listen_on(Port::Tls, &tls.listen).await;
            }
        });
    }

    async fn listen_on(self: &Arc<Self>, port: Port, address: &str) {
        loop {
            match self.bind(port, address).await {
                Ok(listener) => {
                    self.show(port, None);
                    tracing::info!(
                        listen = address,
                        tls = port == Port::Tls,
                        ae_title = self.dicom.ae_title,
                        imagers = self.imagers.len(),
                        "the DICOM node listens"
                    );
                    self.accept(port, listener).await;
                }
                Err(fault) => self.show(port, Some(&fault)),
            }
            sleep(LISTEN_RETRY).await;
        }
    }

    async fn bind(&self, port: Port, address: &str) -> Result<TcpListener, String> {
        if port == Port::Tls {
            self.tls.check().map_err(|error| error.to_string())?;
        }
        let bound = TcpListener::bind(address).await;
        bound.map_err(|error| format!("cannot listen on {address}: {error}"))
    }

    /// One task for each connection.
    async fn accept(self: &Arc<Self>, port: Port, listener: TcpListener) {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((_, peer)) if connections.len() >= CONNECTIONS_MAX => {
                        tracing::warn!(%peer, "too many connections; one was closed unheard");
                    }
                    Ok((stream, peer)) => {
                        let (node, handshakes) = (self.clone(), handshakes.clone());
                        connections.spawn(async move {
                            match port {
                                Port::Plain => {
                                    association::serve(node, Stream::Plain(stream)).await;
                                }
                                Port::Tls => serve_tls(node, stream, peer, handshakes).await,
                            }
                        });
                    }
                    Err(error) => {
                        // Out of file descriptors, most likely: it passes.
                        tracing::warn!(%error, "a connection could not be accepted");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(ended) = connections.join_next() => {
                    if ended.is_err() {
                        tracing::error!("an association panicked; this is a defect");
                    }
                }
            }
        }
    }

    /// Imagers that must use TLS are up while that port listens, others while the plain one does.
    fn show(&self, port: Port, fault: Option<&str>) {
        let is_theirs = |imager: &&Arc<crate::config::Imager>| {
            (imager.tls == ImagerTls::Required) == (port == Port::Tls)
        };
        if let Some(fault) = fault {
            tracing::warn!(fault, tls = port == Port::Tls, "the DICOM node does not listen");
        }
        for imager in self.imagers.iter().filter(is_theirs) {
            match fault {
                Some(fault) => self.shared.health.down(&imager.id, fault),
                None => self.shared.health.up(&imager.id),
            }
        }
    }
}

async fn serve_tls(
    node: Arc<Node>,
    stream: TcpStream,
    peer: SocketAddr,
    handshakes: Arc<Semaphore>,
) {
    let Ok(permit) = handshakes.try_acquire_owned() else {
        tracing::warn!(%peer, "too many handshakes; a connection was closed unheard");
        return;
    };
    let shaken = node.tls.accept(stream).await;
    drop(permit);
    match shaken {
        Ok(stream) => association::serve(node, Stream::Tls(Box::new(stream))).await,
        Err(error) => node.note_failed_handshake(peer, &error).await,
    }
}

impl Node {
    async fn note_failed_handshake(&self, peer: SocketAddr, error: &TlsError) {
        if matches!(error, TlsError::Handshake(it) if it.kind() == io::ErrorKind::UnexpectedEof) {
            tracing::debug!(%peer, "a connection to the TLS port was closed without a word");
            return;
        }
        let who = if error.is_of_the_peer() { "" } else { " by a fault of the gateway's" };
        let detail = format!("a call by TLS from {} came to nothing{who}: {error}", peer.ip());
        self.tell_once(None, detail).await;
    }
}
