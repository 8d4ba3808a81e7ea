//! The one pump that drives every driver: journal, decoder, documents, spool.
//!
//! Bytes are in the journal before the decoder sees them. A document and the journal position that
//! it accounts for are stored in one transaction. After a fault the bytes behind that position are
//! fed to a fresh decoder, so a frame whose halves came before and after is still decoded.

mod capture_limit;
mod decoder_clock;
pub(crate) mod document;

use crate::{
    clock,
    config::Link,
    health::Health,
    journal::{Arrival, JOURNAL_LEN_MAX, Journal, JournalError, Position, Record},
    listening::Listening,
    seal::Key,
    spool::{Document, Entry, SharedLanes, Spool, SpoolError},
};
pub use capture_limit::{CAPTURE_INTERVAL, CAPTURES_BURST_MAX};
use capture_limit::{CaptureLimit, Verdict};
use chiasm_drivers::{Decoder, Event};
use chiasm_proto::{Body, GatewayEvent, Sha256};
use decoder_clock::DecoderClock;
use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

/// One read, in bytes.
pub const READ_LEN: usize = 4096;
/// Longest wait until an instrument takes an answer.
const TRANSMIT_WAIT_MAX: Duration = Duration::from_secs(2);
/// Accounted bytes without a document are noted at the latest after so many.
const QUIET_LEN_MAX: u64 = 256 * 1024;
/// A half transmission that is older than this when the gateway starts is not continued.
const REPLAY_AGE_MAX: Duration = Duration::from_secs(5);
/// Longest pause between two attempts to write the journal.
const JOURNAL_RETRY_MAX: Duration = Duration::from_secs(5);

/// What all links share.
#[derive(Clone)]
pub struct Shared {
    pub spool: Spool,
    pub health: Arc<Health>,
    pub lanes: SharedLanes,
    pub journal_dir: Arc<Path>,
    /// Seals the journals.
    pub key: Key,
    pub listening: Listening,
}

/// Why a session cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("{0}")]
    Port(#[source] io::Error),
    /// Somebody wants it to end; everything that was read is written down.
    #[error("stopped")]
    Stopped,
}

/// One link's decoder and how far its bytes have got.
pub struct Session {
    link: Arc<Link>,
    shared: Shared,
    journal: Journal,
    decoder: Box<dyn Decoder>,
    decoder_clock: DecoderClock,
    /// Data bytes of this generation that the decoder was given, and those that events account for.
    fed: u64,
    consumed: u64,
    /// What the spool knows of `consumed`.
    noted: u64,
    /// Where each chunk that is not accounted for ends, and when it arrived.
    arrivals: VecDeque<(u64, Arrival)>,
    answers: VecDeque<Vec<u8>>,
    /// The decoder panicked and was replaced; its bytes are not accounted for yet.
    has_panicked: bool,
    captures: CaptureLimit,
    /// Another configuration wants the link to end.
    stop: CancellationToken,
}

impl Session {
    /// Opens the link's journal and takes up what no document accounts for yet.
    pub async fn open(link: Arc<Link>, shared: Shared) -> Result<Self, SessionError> {
        let position = shared.spool.position(&link.id).await?;
        let (journal, records) =
            Journal::open(&shared.journal_dir, &link.id, position, &shared.key)?;
        let consumed = position.map_or(0, |position| position.consumed);
        let decoder = new_decoder(&link);
        let mut session = Self {
            link,
            shared,
            journal,
            decoder,
            decoder_clock: DecoderClock::default(),
            fed: consumed,
            consumed,
            noted: consumed,
            arrivals: VecDeque::new(),
            answers: VecDeque::new(),
            has_panicked: false,
            captures: CaptureLimit::new(clock::monotonic()),
            stop: CancellationToken::new(),
        };
        session.replay(records).await?;
        Ok(session)
    }

    /// Ends with [`SessionError::Stopped`] when it is cancelled, between two steps.
    #[must_use]
    pub fn with_stop(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    async fn replay(&mut self, records: Vec<Record>) -> Result<(), SessionError> {
        let mut skip = self.consumed;
        let mut last_at = None;
        for record in whole_streams(records, self.is_folder()) {
            match record {
                Record::Data { arrival, bytes } => {
                    let skipped = skip.min(bytes.len() as u64);
                    skip -= skipped;
                    let rest = &bytes[usize::try_from(skipped).unwrap_or(bytes.len())..];
                    if !rest.is_empty() {
                        last_at = Some(arrival.at);
                        self.feed(arrival, rest);
                        self.drain(None).await?;
                    }
                }
                Record::End { file } => self.finish(file).await?,
            }
        }
        // Answers were due when the bytes came; the instrument no longer waits for them.
        self.answers.clear();
        let age = last_at.map(|at| clock::wall().duration_since(at).unsigned_abs());
        if self.consumed < self.fed && age.is_some_and(|age| age > REPLAY_AGE_MAX) {
            self.finish(None).await?;
        }
        Ok(())
    }

    fn is_folder(&self) -> bool {
        matches!(self.link.endpoint, crate::config::Endpoint::Folder { .. })
    }

    /// Reads and answers until the stream ends or fails. The error says how; a plain end of the
    /// stream is an error as well, because a port has none.
    pub async fn run<S>(&mut self, stream: &mut S) -> SessionError
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self.run_until(stream, std::future::pending::<Infallible>()).await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    /// The same, until `stop` gives something. It is asked only between two steps: dropping a step
    /// half-way would lose what is on its way to the spool.
    pub async fn run_until<S, F>(
        &mut self,
        stream: &mut S,
        stop: F,
    ) -> Result<F::Output, SessionError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        F: Future,
    {
        let mut stop = pin!(stop);
        let mut buffer = vec![0; READ_LEN];
        loop {
            self.transmit(stream).await.map_err(SessionError::Port)?;
            let wake = self.wake();
            let read = tokio::select! {
                // Bytes that wait come before a deadline that has passed: they came in time, and
                // it was we who were late.
                biased;
                read = stream.read(&mut buffer) => Some(read),
                () = sleep_until(wake.unwrap_or_else(tokio::time::Instant::now)),
                    if wake.is_some() => None,
                stopped = &mut stop => return Ok(stopped),
                () = self.stop.cancelled() => return Err(self.stopped().await),
            };
            match read {
                None => self.time_out().await?,
                Some(Ok(0)) => {
                    let gone = io::Error::other("the other end is gone");
                    return Err(SessionError::Port(gone));
                }
                Some(Ok(len)) => self.input(&buffer[..len]).await?,
                Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Some(Err(error)) => return Err(SessionError::Port(error)),
            }
        }
    }

    /// Waits for something while no port is open. What a restart found in the journal may be a whole
    /// transmission that only silence ends, and that must not wait until somebody calls again.
    pub async fn waiting<F: Future>(&mut self, future: F) -> Result<F::Output, SessionError> {
        let mut future = pin!(future);
        loop {
            let wake = self.wake();
            tokio::select! {
                output = &mut future => return Ok(output),
                () = self.stop.cancelled() => return Err(self.stopped().await),
                () = sleep_until(wake.unwrap_or_else(tokio::time::Instant::now)),
                    if wake.is_some() => self.time_out().await?,
            }
        }
    }

    /// Takes bytes that have just arrived.
    pub async fn input(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        let arrival = document::now();
        self.write_journal(|journal| journal.append(arrival, bytes)).await;
        self.shared.listening.bytes(&self.link.id, bytes);
        self.feed(arrival, bytes);
        self.drain(None).await
    }

    /// Takes a whole file. `may_bind` is false if it lay there before anybody looked.
    pub async fn file(&mut self, bytes: &[u8], may_bind: bool) -> Result<(), SessionError> {
        let arrival = Arrival { may_bind, ..document::now() };
        let hash = Sha256::of(bytes);
        self.write_journal(|journal| {
            journal.append(arrival, bytes)?;
            journal.append_end(arrival, Some(hash))
        })
        .await;
        self.feed(arrival, bytes);
        self.drain(None).await?;
        self.finish(Some(hash)).await
    }

    /// A file that is refused unread: a capture says why, and the file is not looked at again.
    pub async fn refuse_file(
        &mut self,
        mark: Sha256,
        code: &str,
        detail: String,
    ) -> Result<(), SessionError> {
        let capture = document::refused_file(&self.link, code, detail);
        self.shared.health.failure(&self.link.id);
        let entry = Entry {
            link: self.link.id.clone(),
            documents: vec![Document::new(clock::wall(), capture)],
            position: self.position(),
            imported: Some(mark),
        };
        Ok(self.shared.spool.submit(entry).await?)
    }

    /// The stream has ended: a connection closed, a cable is out.
    pub async fn end(&mut self) -> Result<(), SessionError> {
        if self.consumed < self.fed {
            let now = document::now();
            self.write_journal(|journal| journal.append_end(now, None)).await;
        }
        self.finish(None).await
    }

    /// The instrument is another one from now on: what came half is not continued.
    async fn stopped(&mut self) -> SessionError {
        self.end().await.err().unwrap_or(SessionError::Stopped)
    }

    /// When the decoder wants to be told that nothing came.
    fn wake(&mut self) -> Option<tokio::time::Instant> {
        let deadline = self.guard(|decoder| decoder.poll_timeout()).flatten();
        deadline.map(|deadline| self.decoder_clock.moment(deadline).into())
    }

    async fn time_out(&mut self) -> Result<(), SessionError> {
        let now = self.decoder_clock.at(clock::monotonic());
        self.guard(|decoder| decoder.handle_timeout(now));
        self.drain(None).await
    }

    async fn finish(&mut self, file: Option<Sha256>) -> Result<(), SessionError> {
        let now = self.decoder_clock.at(clock::monotonic());
        self.guard(|decoder| decoder.handle_end(now));
        self.drain(file).await
    }

    fn feed(&mut self, arrival: Arrival, bytes: &[u8]) {
        self.fed += bytes.len() as u64;
        self.arrivals.push_back((self.fed, arrival));
        let deadline = self.guard(|decoder| decoder.poll_timeout()).flatten();
        let now = self.decoder_clock.bytes_came(clock::monotonic(), deadline);
        self.guard(|decoder| decoder.handle_input(now, bytes));
    }

    /// Runs the decoder. One that panics is replaced; `drain` then keeps its bytes as a capture.
    fn guard<T>(&mut self, call: impl FnOnce(&mut dyn Decoder) -> T) -> Option<T> {
        let decoder = &mut *self.decoder;
        match catch_unwind(AssertUnwindSafe(|| call(decoder))) {
            Ok(value) => Some(value),
            Err(_) => {
                tracing::error!(link = %self.link.id, driver = self.link.driver.id,
                    "the driver panicked; its bytes are kept as a capture");
                self.decoder = new_decoder(&self.link);
                self.has_panicked = true;
                None
            }
        }
    }

    /// Turns the decoder's events into documents and hands them to the spool.
    async fn drain(&mut self, imported: Option<Sha256>) -> Result<(), SessionError> {
        let mut documents = Vec::new();
        while let Some(Some(event)) = self.guard(|decoder| decoder.poll_event()) {
            documents.extend(self.account(event));
        }
        if self.has_panicked {
            documents.extend(self.account_for_panic()?);
        }
        while let Some(Some(answer)) = self.guard(|decoder| decoder.poll_transmit()) {
            self.answers.push_back(answer);
        }
        let is_due = self.consumed - self.noted > QUIET_LEN_MAX;
        if !documents.is_empty() || imported.is_some() || is_due {
            let position = self.position();
            let link = self.link.id.clone();
            self.shared.spool.submit(Entry { link, documents, position, imported }).await?;
            self.noted = self.consumed;
        }
        let pending = self.fed - self.consumed;
        if self.journal.is_long() && pending <= JOURNAL_LEN_MAX / 2 {
            self.rotate().await?;
        }
        Ok(())
    }

    /// A replaced decoder does not have its predecessor's bytes: they are read from the journal.
    fn account_for_panic(&mut self) -> Result<Option<Document>, SessionError> {
        self.has_panicked = false;
        let bytes = unaccounted(self.journal.read_back()?, self.consumed);
        let wanted = usize::try_from(self.fed - self.consumed).unwrap_or(usize::MAX);
        let raw: Vec<u8> = bytes.into_iter().flat_map(|(_, bytes)| bytes).take(wanted).collect();
        Ok(if raw.is_empty() { None } else { self.account(document::driver_fault(raw)) })
    }

    fn account(&mut self, event: Event) -> Option<Document> {
        self.consumed += event.raw().len() as u64;
        if self.consumed > self.fed {
            tracing::error!(link = %self.link.id, driver = self.link.driver.id,
                "the driver accounts for more bytes than it was given");
            self.consumed = self.fed;
        }
        while self.arrivals.front().is_some_and(|(end, _)| *end < self.consumed) {
            self.arrivals.pop_front();
        }
        let arrival = self.arrivals.front().map_or_else(document::now, |(_, arrival)| *arrival);
        self.shared.listening.event(&self.link, &event);
        if !matches!(event, Event::Rejected { .. }) {
            return document::from_event((&*self.link).into(), &self.shared, arrival, event);
        }
        match self.captures.take(clock::monotonic()) {
            Verdict::Keep => {
                document::from_event((&*self.link).into(), &self.shared, arrival, event)
            }
            Verdict::Say { dropped } => Some(self.say_dropped(dropped)),
            Verdict::Drop => None,
        }
    }

    /// The instrument sends so much that cannot be read that it is not kept any more.
    fn say_dropped(&self, dropped: u64) -> Document {
        tracing::error!(link = %self.link.id, dropped, "too many bytes gave no reading");
        let event = GatewayEvent {
            code: "captures_limited".into(),
            link: Some(self.link.id.clone()),
            detail: format!(
                "The instrument sends too much that cannot be read: {dropped} transmissions were \
                 refused and not kept. Readings are taken as before."
            ),
        };
        Document::new(clock::wall(), Body::Event(event))
    }

    async fn transmit<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) -> io::Result<()> {
        while let Some(answer) = self.answers.pop_front() {
            let write = async {
                stream.write_all(&answer).await?;
                stream.flush().await
            };
            timeout(TRANSMIT_WAIT_MAX, write)
                .await
                .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it takes no answer"))??;
        }
        Ok(())
    }

    /// Writes until it succeeds: the bytes are nowhere else.
    async fn write_journal(
        &mut self,
        mut write: impl FnMut(&mut Journal) -> Result<(), JournalError>,
    ) {
        let mut pause = Duration::from_millis(100);
        let mut failed = false;
        while let Err(error) = write(&mut self.journal) {
            failed = true;
            self.shared.health.down(&self.link.id, &format!("{error}; reading waits"));
            sleep(pause).await;
            pause = (pause * 2).min(JOURNAL_RETRY_MAX);
        }
        if failed {
            self.shared.health.up(&self.link.id);
        }
    }

    fn position(&self) -> Position {
        Position { generation: self.journal.generation(), consumed: self.consumed }
    }

    /// Begins a new journal file with only what is not accounted for.
    async fn rotate(&mut self) -> Result<(), SessionError> {
        let rest = unaccounted(self.journal.read_back()?, self.consumed);
        let rest: Vec<Record> =
            rest.into_iter().map(|(arrival, bytes)| Record::Data { arrival, bytes }).collect();
        let next = self.journal.prepare_next(&rest)?;
        let entry = Entry {
            link: self.link.id.clone(),
            documents: Vec::new(),
            position: Position { generation: next.generation(), consumed: 0 },
            imported: None,
        };
        self.shared.spool.commit(entry).await?;
        self.journal.switch(next)?;
        for (end, _) in &mut self.arrivals {
            *end = end.saturating_sub(self.consumed);
        }
        self.fed -= self.consumed;
        (self.consumed, self.noted) = (0, 0);
        Ok(())
    }
}

/// The decoder of a link, as configured.
pub fn new_decoder(link: &Link) -> Box<dyn Decoder> {
    let options = link.driver_options();
    (link.driver.new)(&options)
}

/// The data behind a position.
fn unaccounted(records: Vec<Record>, mut skip: u64) -> Vec<(Arrival, Vec<u8>)> {
    let mut rest = Vec::new();
    for record in records {
        let Record::Data { arrival, mut bytes } = record else { continue };
        let skipped = skip.min(bytes.len() as u64);
        skip -= skipped;
        bytes.drain(..usize::try_from(skipped).unwrap_or(usize::MAX));
        if !bytes.is_empty() {
            rest.push((arrival, bytes));
        }
    }
    rest
}

/// Of a folder's journal, only files that were written to their end: another is still in the
/// folder and will be found there.
fn whole_streams(mut records: Vec<Record>, is_folder: bool) -> Vec<Record> {
    if is_folder {
        let whole = records.iter().rposition(|record| matches!(record, Record::End { .. }));
        records.truncate(whole.map_or(0, |last| last + 1));
    }
    records
}
