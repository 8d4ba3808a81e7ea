//! Instruments and device servers on the network: we call them, or they call us.

use super::Backoff;
use crate::{
    config::Link,
    health::Health,
    session::{Session, SessionError},
};
use socket2::{SockRef, TcpKeepalive};
use std::{io, net::IpAddr, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// Longest wait for a connection to be made.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);
/// A peer that is silently gone is noticed after about half a minute.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;

pub(super) async fn run_client(
    link: &Link,
    address: &str,
    mut session: Session,
    health: &Health,
) -> SessionError {
    let mut backoff = Backoff::new();
    loop {
        let connected = match session.waiting(connect(address)).await {
            Ok(connected) => connected,
            Err(error) => return error,
        };
        match connected {
            Ok(mut stream) => {
                health.up(&link.id);
                backoff.reset();
                match session.run(&mut stream).await {
                    SessionError::Port(error) => {
                        health.down(&link.id, &format!("connection to {address} ended: {error}"));
                    }
                    other => return other,
                }
                drop(stream);
                if let Err(error) = session.end().await {
                    return error;
                }
            }
            Err(error) => health.down(&link.id, &format!("cannot reach {address}: {error}")),
        }
        if let Err(error) = session.waiting(backoff.pause()).await {
            return error;
        }
    }
}

async fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = timeout(CONNECT_WAIT_MAX, TcpStream::connect(address))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer"))??;
    prepare(&stream)?;
    Ok(stream)
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

pub(super) async fn run_server(
    link: &Link,
    listen: &str,
    mut session: Session,
    health: &Health,
) -> SessionError {
    let mut backoff = Backoff::new();
    loop {
        match TcpListener::bind(listen).await {
            Ok(listener) => {
                health.up(&link.id);
                backoff.reset();
                match serve(link, &listener, &mut session).await {
                    SessionError::Port(error) => {
                        health.down(&link.id, &format!("cannot accept on {listen}: {error}"));
                    }
                    other => return other,
                }
            }
            Err(error) => health.down(&link.id, &format!("cannot listen on {listen}: {error}")),
        }
        if let Err(error) = session.waiting(backoff.pause()).await {
            return error;
        }
    }
}

/// One peer at a time. The same computer calling again replaces its old connection, which may be
/// dead without our knowing; another computer is refused while the first is connected.
async fn serve(link: &Link, listener: &TcpListener, session: &mut Session) -> SessionError {
    let mut waiting = None;
    loop {
        let (mut stream, peer) = match waiting.take() {
            Some(accepted) => accepted,
            None => match session.waiting(accept(listener)).await {
                Ok(Ok(accepted)) => accepted,
                Ok(Err(error)) => return SessionError::Port(error),
                Err(error) => return error,
            },
        };
        tracing::info!(link = %link.id, %peer, "connected");
        match session.run_until(&mut stream, next_from(link, listener, peer)).await {
            Ok(Ok(again)) => waiting = Some(again),
            Ok(Err(error)) => return SessionError::Port(error),
            Err(SessionError::Port(error)) => {
                tracing::info!(link = %link.id, %peer, %error, "disconnected");
            }
            Err(other) => return other,
        }
        drop(stream);
        if let Err(error) = session.end().await {
            return error;
        }
    }
}

async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, IpAddr)> {
    let (stream, peer) = listener.accept().await?;
    prepare(&stream)?;
    Ok((stream, peer.ip()))
}

/// Waits until the same peer calls again; hangs up on others.
async fn next_from(
    link: &Link,
    listener: &TcpListener,
    peer: IpAddr,
) -> io::Result<(TcpStream, IpAddr)> {
    loop {
        let (stream, other) = accept(listener).await?;
        if other == peer {
            return Ok((stream, other));
        }
        tracing::warn!(link = %link.id, %other, %peer, "refused: another peer is connected");
    }
}
