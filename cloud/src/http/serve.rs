//! Serving a router, over TLS of our own making or plainly. A connection may live as long as it
//! moves (a page follows live events all day); what ends it is a client that does not send its
//! request, or does not take what it asked for.

use super::dicomweb;
use crate::handshakes::{HANDSHAKE_MAX, HANDSHAKES_MAX, Handshake, Handshakes};
use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::Method,
    middleware::{self, Next},
    response::Response,
};
use futures_util::{StreamExt, stream};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustls_pki_types::CertificateDer;
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep, timeout_at},
};
use tokio_rustls::TlsAcceptor;

/// How long a client may take for what.
#[derive(Debug, Clone, Copy)]
struct Limits {
    handshake: Duration,
    /// A request's head; an idle connection is closed after it.
    head: Duration,
    /// A request's body, all in all.
    body: Duration,
    /// Taking nothing of what is sent to it.
    stall: Duration,
}

const LIMITS: Limits = Limits {
    handshake: HANDSHAKE_MAX,
    head: Duration::from_secs(30),
    body: BODY_TIME_MAX,
    stall: Duration::from_secs(30),
};
/// How long the body of a usual request may take.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// The address of the peer, as an extension of every request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// The certificate that a client has shown and TLS has verified, as an extension of its requests.
#[derive(Debug, Clone)]
pub struct PeerCertificate(pub Option<CertificateDer<'static>>);

/// Accepts for ever; further connections than `connections_max` wait like those in their handshake.
/// Dropping the future closes the listener and every connection.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: Router,
    connections_max: usize,
) {
    serve_within(LIMITS, listener, tls, router, connections_max).await;
}

/// The same for bodies that take longer than those of pages.
pub async fn serve_large(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    router: Router,
    (connections_max, body): (usize, Duration),
) {
    serve_within(Limits { body, ..LIMITS }, listener, Some(tls), router, connections_max).await;
}

async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: Router,
    connections_max: usize,
) {
    let acceptor = tls.map(TlsAcceptor::from);
    let router = router.layer(middleware::from_fn_with_state(limits.body, limit_body_time));
    let slots = Arc::new(Semaphore::new(connections_max));
    let handshakes = Handshakes::new(HANDSHAKES_MAX);
    let mut connections = tokio::task::JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: more haste would only fill the log.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (acceptor, slots) = (acceptor.clone(), slots.clone());
        let router = router.clone().layer(Extension(Peer(peer)));
        let handshake = handshakes.begin();
        connections.spawn(async move {
            let served = async {
                // Without it a live event waits until the page has acknowledged the one before.
                stream.set_nodelay(true)?;
                match acceptor {
                    Some(tls) => serve_tls(limits, (stream, handshake), &tls, &slots, router).await,
                    None => {
                        let slot = handshake.finish(limits.handshake, place(&slots)).await?;
                        serve_one(limits, stream, router, slot).await
                    }
                }
            };
            if let Err(error) = served.await {
                tracing::debug!(%peer, %error, "connection ended");
            }
        });
    }
}

/// A place among the served.
async fn place(slots: &Arc<Semaphore>) -> io::Result<OwnedSemaphorePermit> {
    slots.clone().acquire_owned().await.map_err(io::Error::other)
}

async fn serve_tls(
    limits: Limits,
    (stream, handshake): (TcpStream, Handshake),
    acceptor: &TlsAcceptor,
    slots: &Arc<Semaphore>,
    router: Router,
) -> anyhow::Result<()> {
    let shaken = async { Ok((acceptor.accept(stream).await?, place(slots).await?)) };
    let (stream, slot) = handshake.finish(limits.handshake, shaken).await?;
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let shown = PeerCertificate(shown.map(|it| it.clone().into_owned()));
    serve_one(limits, stream, router.layer(Extension(shown)), slot).await
}

async fn serve_one<S>(
    limits: Limits,
    stream: S,
    router: Router,
    _slot: OwnedSemaphorePermit,
) -> anyhow::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = TokioIo::new(Impatient { inner: stream, stall: limits.stall, patience: None });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .serve_connection(stream, TowerToHyperService::new(router))
        .await?;
    Ok(())
}

/// How long a body of objects may take, all in all, and how long it may stand still.
const OBJECTS_TIME_MAX: Duration = Duration::from_secs(3 * 3600);
const OBJECTS_STILL_MAX: Duration = BODY_TIME_MAX;

/// A body that is not there in time fails where it is read. Objects that a program stores are long:
/// they have their time for as long as they move.
pub async fn limit_body_time(
    State(body_max): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    let is_of_objects =
        request.method() == Method::POST && request.uri().path().starts_with(dicomweb::PREFIX);
    let (all_in_all, still) =
        if is_of_objects { (OBJECTS_TIME_MAX, OBJECTS_STILL_MAX) } else { (body_max, body_max) };
    let end = Instant::now() + all_in_all;
    let limited = |body: Body| {
        Body::from_stream(stream::unfold(body.into_data_stream(), move |mut data| async move {
            let deadline = end.min(Instant::now() + still);
            let chunk = match timeout_at(deadline, data.next()).await {
                Ok(chunk) => chunk?.map_err(io::Error::other),
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
            };
            Some((chunk, data)) as Option<(io::Result<Bytes>, _)>
        }))
    };
    let (parts, body) = request.into_parts();
    // Most requests have none; its end then stays known.
    let is_empty = hyper::body::Body::is_end_stream(&body);
    let body = if is_empty { body } else { limited(body) };
    next.run(Request::from_parts(parts, body)).await
}

/// A stream that fails when its peer takes nothing for as long as `stall`.
struct Impatient<S> {
    inner: S,
    stall: Duration,
    /// Runs while something waits to be taken.
    patience: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.patience = None;
            return polled;
        }
        let stall = self.stall;
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(stall)));
        ready!(patience.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.watch(cx, polled)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch(cx, polled)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch(cx, polled)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.watch(cx, polled)
    }
    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::{get, post};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };

    const SHORT: Duration = Duration::from_millis(200);
    const PATIENCE: Duration = Duration::from_secs(20);

    /// A server with one stream to give, which never ends by itself; and that stream's permit.
    async fn start() -> (SocketAddr, Arc<Semaphore>) {
        let slots = Arc::new(Semaphore::new(1));
        let held = slots.clone();
        let endless = move |chunk_len: usize, pause: Duration| {
            let slot = held.clone().try_acquire_owned().unwrap();
            let chunks = stream::unfold(slot, move |slot| async move {
                sleep(pause).await;
                Some((Ok::<_, io::Error>(Bytes::from(vec![b'x'; chunk_len])), slot))
            });
            async { Body::from_stream(chunks) }
        };
        let much = endless.clone();
        let router = Router::new()
            .route("/much", get(move || much(65_536, Duration::ZERO)))
            .route("/little", get(move || endless(1, SHORT / 4)))
            .route(
                "/dicomweb/studies",
                post(|body: Bytes| async move { format!("{}", body.len()) }),
            )
            .route("/echo", post(|body: Bytes| async move { format!("{} bytes", body.len()) }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits { handshake: SHORT, head: SHORT, body: SHORT, stall: SHORT };
        tokio::spawn(serve_within(limits, listener, None, router, 8));
        (address, slots)
    }

    async fn ask(address: SocketAddr, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// What the server says until it closes the connection.
    async fn all_of(mut stream: TcpStream) -> String {
        let mut said = Vec::new();
        // A reset is an end as well.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("it ends");
        String::from_utf8_lossy(&said).into_owned()
    }

    async fn is_freed(slots: &Semaphore) -> bool {
        timeout(PATIENCE, slots.acquire()).await.is_ok()
    }

    #[tokio::test]
    async fn who_does_not_finish_a_request_is_cut_off() {
        let (address, _slots) = start().await;
        all_of(ask(address, "POST /echo HTTP/1.1\r\nhost: a\r\n").await).await;
        let head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n1234";
        let said = all_of(ask(address, head).await).await;
        assert!(said.starts_with("HTTP/1.1 4"), "{said}");
        let whole = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n1234";
        let said = all_of(ask(address, whole).await).await;
        assert!(said.ends_with("4 bytes"), "{said}");
    }

    #[tokio::test]
    async fn objects_have_their_time_while_they_move() {
        let (address, _slots) = start().await;
        for (path, end) in [("/dicomweb/studies", "\r\n\r\n8"), ("/echo", "8 bytes")] {
            let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\n");
            let mut stream = ask(address, &head).await;
            for _ in 0..8 {
                sleep(SHORT / 4).await;
                // It is closed in the middle where it takes too long all in all.
                let _ = stream.write_all(b"x").await;
            }
            let said = all_of(stream).await;
            assert_eq!(said.ends_with(end), path != "/echo", "{path}: {said}");
        }
    }

    #[tokio::test]
    async fn a_stream_that_moves_outlives_every_limit() {
        let (address, slots) = start().await;
        let mut page = ask(address, "GET /little HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let mut heard = [0; 16];
        let until = Instant::now() + SHORT * 5;
        while Instant::now() < until {
            assert_ne!(page.read(&mut heard).await.unwrap(), 0, "cut off");
        }
        assert_eq!(slots.available_permits(), 0);
        drop(page);
        assert!(is_freed(&slots).await, "a page that is gone still holds its stream");
    }

    #[tokio::test]
    async fn who_takes_nothing_is_cut_off() {
        let (address, slots) = start().await;
        let _greedy = ask(address, "GET /much HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(is_freed(&slots).await, "it takes nothing and is still served");
    }
}
