//! Connections that have not shown yet who they are. Whoever opens thousands and says nothing must
//! not keep gateways and people out: when too many wait, the one that has waited longest makes room
//! for the newest. An honest client needs a round trip or two, and is through by then.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longest handshake, and wait for a place among the served.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Connections of one listener that may be in their handshake.
pub const HANDSHAKES_MAX: usize = 2_000;
/// An attack is logged at most so often.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Why a connection did not become one that is served.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    #[error("the handshake took too long")]
    Slow,
    #[error("too many connections are in their handshake; this one was the oldest")]
    Displaced,
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The handshakes of one listener. Cheap to clone.
#[derive(Clone)]
pub struct Handshakes {
    pending: Arc<Mutex<Pending>>,
    max: usize,
}

#[derive(Default)]
struct Pending {
    next: u64,
    /// By the order in which they came.
    waiting: BTreeMap<u64, CancellationToken>,
    displaced: u64,
    warned_at: Option<Instant>,
}

/// One of them; it is over when this is dropped.
pub struct Handshake {
    of: Handshakes,
    number: u64,
    displaced: CancellationToken,
}

impl Handshakes {
    pub fn new(max: usize) -> Self {
        Self { pending: Arc::default(), max }
    }

    /// Takes a new connection in, and puts the oldest out if there is no room.
    pub fn begin(&self) -> Handshake {
        let mut pending = self.lock();
        while pending.waiting.len() >= self.max {
            pending.displace_oldest();
        }
        let number = pending.next;
        pending.next += 1;
        let displaced = CancellationToken::new();
        pending.waiting.insert(number, displaced.clone());
        drop(pending);
        Handshake { of: self.clone(), number, displaced }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn displace_oldest(&mut self) {
        let Some((_, oldest)) = self.waiting.pop_first() else { return };
        oldest.cancel();
        self.displaced += 1;
        if self.warned_at.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            self.warned_at = Some(Instant::now());
            let displaced = self.displaced;
            tracing::warn!(
                displaced,
                "more connections than can be in their handshake; the oldest go"
            );
        }
    }
}

impl Handshake {
    /// What the work gives, unless it takes too long or has to make room.
    pub async fn finish<T>(
        self,
        within: Duration,
        work: impl Future<Output = io::Result<T>>,
    ) -> Result<T, HandshakeError> {
        tokio::select! {
            biased;
            () = self.displaced.cancelled() => Err(HandshakeError::Displaced),
            done = timeout(within, work) => Ok(done.map_err(|_| HandshakeError::Slow)??),
        }
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.of.lock().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn the_oldest_makes_room_and_the_newest_gets_through() {
        let handshakes = Handshakes::new(2);
        let [first, second, third] = std::array::from_fn(|_| handshakes.begin());
        let silent = first.finish(LONG, pending::<io::Result<()>>()).await;
        assert!(matches!(silent, Err(HandshakeError::Displaced)), "{silent:?}");
        assert_eq!(third.finish(LONG, ready(Ok(3))).await.unwrap(), 3);
        // There is room again, so that nobody has to go.
        let fourth = handshakes.begin();
        assert_eq!(second.finish(LONG, ready(Ok(2))).await.unwrap(), 2);
        assert_eq!(fourth.finish(LONG, ready(Ok(4))).await.unwrap(), 4);
        assert_eq!(handshakes.lock().waiting.len(), 0);
    }

    #[tokio::test]
    async fn who_says_nothing_is_dropped_in_time() {
        let silent = Handshakes::new(1).begin();
        let ended = silent.finish(Duration::from_millis(1), pending::<io::Result<()>>()).await;
        assert!(matches!(ended, Err(HandshakeError::Slow)), "{ended:?}");
    }
}
