//! How bytes come in. Each link is a loop: find the port, open it, pump until it fails, find it
//! again. Every error ends here, is shown with the link's name, and is tried again.

pub mod folder;
mod line_errors;
pub mod serial;
pub mod tcp;

use crate::{
    config::{Endpoint, Link},
    session::{Session, SessionError, Shared},
};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Shortest and longest pause before a link is tried again: with the longest, an adapter that is
/// plugged in again is read within 5 seconds (T6).
pub const RETRY_MIN: Duration = Duration::from_millis(200);
pub const RETRY_MAX: Duration = Duration::from_secs(2);

/// Why a link is not up. Says what to do, where something can be done.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("{0}")]
    Open(String),
    #[error("{0}")]
    Session(#[from] SessionError),
}

/// The pause before the next attempt: doubles while attempts fail at once.
struct Backoff {
    next: Duration,
}

impl Backoff {
    fn new() -> Self {
        Self { next: RETRY_MIN }
    }
    async fn pause(&mut self) {
        sleep(self.next).await;
        self.next = (self.next * 2).min(RETRY_MAX);
    }
    fn reset(&mut self) {
        self.next = RETRY_MIN;
    }
}

/// Reads one link. Returns only if it is to stop, or its journal or the spool cannot be used.
pub async fn run(link: Arc<Link>, shared: Shared, stop: CancellationToken) -> SessionError {
    let session = match Session::open(link.clone(), shared.clone()).await {
        Ok(session) => session.with_stop(stop),
        Err(error) => return error,
    };
    match &link.endpoint {
        Endpoint::Serial(serial) => serial::run(&link, serial, session, &shared.health).await,
        Endpoint::TcpClient { address } => {
            tcp::run_client(&link, address, session, &shared.health).await
        }
        Endpoint::TcpServer { listen } => {
            tcp::run_server(&link, listen, session, &shared.health).await
        }
        Endpoint::Folder { path, extension } => {
            folder::run(&link, path, extension, session, &shared).await
        }
    }
}
