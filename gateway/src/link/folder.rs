//! A folder that an instrument, or the computer beside it, writes files to.
//!
//! Looked at once a second. A file is taken when it has not changed for two looks, or at once when
//! its content is already a whole document. What was taken is known by its content's hash in the
//! spool, so that nothing is read in twice, whatever it is called. Names are never followed and
//! never logged: they carry patients' names. Nothing is deleted.

mod scan;

use crate::{
    clock,
    config::Link,
    session::{Session, SessionError, Shared, new_decoder},
};
use chiasm_drivers::Event;
use chiasm_proto::Sha256;
use scan::{Candidate, Content, Scanner};
use std::{collections::VecDeque, io, path::Path, time::Duration};
use tokio::time::{MissedTickBehavior, interval};

/// Files that were handed to the spool and may not be committed yet: copies of one file in the same
/// look must not be read in twice. More than the spool's queue holds.
const RECENT_MAX: usize = 2 * crate::spool::QUEUE_MAX;
/// Between two looks.
pub const SCAN_INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn run(
    link: &Link,
    path: &Path,
    extension: &str,
    mut session: Session,
    shared: &Shared,
) -> SessionError {
    let mut scanner = Scanner::new(extension);
    let mut recent = VecDeque::new();
    let mut ticks = interval(SCAN_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if let Err(error) = session.waiting(ticks.tick()).await {
            return error;
        }
        // Listing a share that hangs must not stop the other links.
        let folder = path.to_owned();
        let scanned = tokio::task::spawn_blocking(move || {
            let found = scanner.scan(&folder);
            (scanner, found)
        })
        .await;
        let found = match scanned {
            Ok((back, found)) => {
                scanner = back;
                found
            }
            Err(_) => return SessionError::Port(io::Error::other("the scan panicked")),
        };
        match found {
            Ok(candidates) => {
                shared.health.up(&link.id);
                for candidate in candidates {
                    if let Err(error) =
                        take(link, &mut session, shared, (&mut scanner, &mut recent), candidate)
                            .await
                    {
                        return error;
                    }
                }
            }
            Err(error) => {
                let detail = format!("cannot look into {}: {error}", path.display());
                shared.health.down(&link.id, &detail);
            }
        }
    }
}

async fn take(
    link: &Link,
    session: &mut Session,
    shared: &Shared,
    (scanner, recent): (&mut Scanner, &mut VecDeque<Sha256>),
    candidate: Candidate,
) -> Result<(), SessionError> {
    match &candidate.content {
        // One that still grows would be refused anew at every look.
        Content::Refused { .. } if !candidate.is_stable => return Ok(()),
        Content::Refused { code, why } => {
            let mark = candidate.refusal_mark();
            if !shared.spool.is_imported(&link.id, mark).await? {
                session.refuse_file(mark, code, why.clone()).await?;
            }
        }
        Content::Bytes(bytes) => {
            if !candidate.is_stable && !is_whole(link, bytes) {
                return Ok(());
            }
            let hash = Sha256::of(bytes);
            if !recent.contains(&hash) && !shared.spool.is_imported(&link.id, hash).await? {
                session.file(bytes, candidate.may_bind).await?;
                recent.truncate(RECENT_MAX - 1);
                recent.push_front(hash);
            }
        }
    }
    scanner.settle(&candidate);
    Ok(())
}

/// Whether the bytes are a document that has ended, with nothing but white space behind it.
fn is_whole(link: &Link, bytes: &[u8]) -> bool {
    let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut decoder = new_decoder(link);
        decoder.handle_input(clock::monotonic(), bytes);
        let (mut accounted, mut is_decoded) = (0, false);
        while let Some(event) = decoder.poll_event() {
            match event {
                Event::Decoded { .. } => is_decoded = true,
                Event::Control { .. } => {}
                Event::Rejected { .. } | Event::Overflow { .. } => return false,
            }
            accounted += event.raw().len();
        }
        let rest = bytes.get(accounted..).unwrap_or_default();
        is_decoded && rest.iter().all(u8::is_ascii_whitespace)
    }));
    attempt.unwrap_or(false)
}
