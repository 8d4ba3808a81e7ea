//! The pump with a driver made for the purpose: lines of text, one of which makes it panic.

use chiasm_drivers::{
    DecodeError, Decoder, DriverOptions, DriverSpec, Ending, ErrorCode, Event, Evidence,
    LineSettings, Parity, Setup, Sniff, Transport,
};
use chiasm_gateway::{
    binding::Lanes,
    config::{Endpoint, Link},
    health::Health,
    journal::JOURNAL_LEN_MAX,
    seal::Key,
    session::{Session, Shared},
    spool::{Spool, WriterTask},
};
use chiasm_proto::{Body, Decoded, Instrument, Integrity, LaneId, LinkId, Measured};
use std::{
    collections::VecDeque,
    io,
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Default)]
struct Lines {
    pending: Vec<u8>,
    events: VecDeque<Event>,
}

impl Decoder for Lines {
    fn handle_input(&mut self, _: Instant, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let raw: Vec<u8> = self.pending.drain(..=end).collect();
            assert!(!raw.starts_with(b"PANIC"), "as asked");
            self.events.push_back(if raw.starts_with(b"#") {
                Event::Control { what: "comment", raw }
            } else {
                Event::decoded(decoded(&raw), raw)
            });
        }
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.handle_end(now);
    }
    fn handle_end(&mut self, _: Instant) {
        if !self.pending.is_empty() {
            let error = DecodeError::new(ErrorCode::Incomplete, 0, "no end of line");
            let raw = std::mem::take(&mut self.pending);
            self.events.push_back(Event::Rejected { error, raw });
        }
    }
    /// A line whose end is missing has always waited too long already.
    fn poll_timeout(&self) -> Option<Instant> {
        (!self.pending.is_empty()).then(Instant::now)
    }
    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

fn decoded(raw: &[u8]) -> Decoded {
    Decoded {
        instrument: Instrument::default(),
        instrument_time: None,
        running_number: Some(String::from_utf8_lossy(raw).trim_end().chars().take(40).collect()),
        claimed_patient: None,
        integrity: Integrity::None,
        measurements: Vec::new(),
        flags: Vec::new(),
        unknown_records: Vec::new(),
    }
}

static LINES: DriverSpec = DriverSpec {
    id: "lines",
    version: "1",
    vendor: "test",
    models: &[],
    yields: &[],
    transport: Transport::Serial(&[LineSettings {
        baud: 9600,
        data_bits: 8,
        parity: Parity::None,
        stop_bits: 1,
    }]),
    evidence: Evidence::Constructed,
    ending: Ending::Marked,
    setup: Setup { wiring: "", settings: "", dry_test: "" },
    limits: "",
    sniff: |_| Sniff::No,
    new: |_: &DriverOptions| Box::new(Lines::default()),
};

struct World {
    spool: Spool,
    writer: WriterTask,
    session: Session,
}

impl World {
    async fn open(dir: &Path) -> Self {
        Self::with_driver(dir, &LINES).await
    }

    async fn with_driver(dir: &Path, driver: &'static DriverSpec) -> Self {
        let (spool, writer) =
            Spool::open(&dir.join("spool"), None, &Key::from_bytes(&[7; 32])).await.unwrap();
        let link = Arc::new(Link {
            id: LinkId::new("line").unwrap(),
            lane: LaneId::new("lane-1").unwrap(),
            driver,
            model: None,
            listen_only: false,
            date_order: None,
            columns: Default::default(),
            endpoint: Endpoint::TcpServer { listen: "127.0.0.1:0".into() },
        });
        let shared = Shared {
            spool: spool.clone(),
            health: Arc::new(Health::new(&[(*link).clone()], dir)),
            lanes: Arc::new(Mutex::new(Lanes::default())),
            journal_dir: dir.join("journal").into(),
            key: Key::from_bytes(&[7; 32]),
            listening: Default::default(),
        };
        let session = Session::open(link, shared).await.unwrap();
        Self { spool, writer, session }
    }

    /// What a kill leaves: the commits so far, and the journal.
    async fn kill(self) {
        self.writer.abort();
        let _ = self.writer.await;
    }

    async fn close(self) {
        drop((self.spool, self.session));
        self.writer.await.unwrap().unwrap();
    }

    async fn said(&self) -> Vec<String> {
        let mut said = Vec::new();
        for seq in self.spool.pending_after(0, usize::MAX).await.unwrap() {
            let stored = self.spool.pending(seq).await.unwrap().unwrap();
            said.push(match serde_json::from_str(&stored.body).unwrap() {
                Body::Reading(reading) => reading.decoded.running_number.unwrap(),
                Body::Capture(capture) => {
                    let bytes = String::from_utf8(capture.raw.bytes).unwrap();
                    format!("{}: {}", capture.code, bytes.replace('\n', "|"))
                }
                Body::Event(event) => event.code,
                Body::ProcedureStep(_) => "procedure_step".into(),
                Body::LaneAct(_) => "lane_act".into(),
            });
        }
        said
    }
}

impl World {
    /// Refractions in each reading.
    async fn refractions(&self) -> Vec<usize> {
        let mut counts = Vec::new();
        for seq in self.spool.pending_after(0, usize::MAX).await.unwrap() {
            let stored = self.spool.pending(seq).await.unwrap().unwrap();
            let body = serde_json::from_str(&stored.body).unwrap();
            let Body::Reading(reading) = body else { panic!("{body:?}") };
            let measured = reading.decoded.measurements.iter().map(|it| &it.measured);
            counts.push(measured.filter(|it| matches!(it, Measured::Refraction(_))).count());
        }
        counts
    }
}

/// Opens again, which shows what is committed and takes up the rest.
async fn reopened(dir: &Path) -> World {
    World::open(dir).await
}

#[tokio::test]
async fn a_driver_that_panics_costs_its_bytes_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path()).await;
    world.session.input(b"one\ntw").await.unwrap();
    world.session.input(b"o\nPANIC\nthree\n").await.unwrap();
    world.session.input(b"four\n").await.unwrap();
    world.close().await;
    let world = reopened(dir.path()).await;
    // What the same input held before and behind the fatal line went with the driver.
    assert_eq!(world.said().await, ["one", "driver_fault: two|PANIC|three|", "four"]);
    world.close().await;
}

/// What only silence ends is not kept waiting because nobody has connected since a restart.
#[tokio::test]
async fn what_a_restart_found_is_timed_out_without_a_port() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path()).await;
    world.session.input(b"one\nhalf").await.unwrap();
    world.kill().await;
    let mut world = reopened(dir.path()).await;
    // However late the session is woken on a busy machine.
    for _ in 0..200 {
        world.session.waiting(tokio::time::sleep(Duration::from_millis(50))).await.unwrap();
        if world.said().await.len() == 2 {
            break;
        }
    }
    assert_eq!(world.said().await, ["one", "incomplete: half"]);
    world.close().await;
}

/// A port whose bytes all wait to be read, one at a time.
struct Waiting(VecDeque<u8>);

impl AsyncRead for Waiting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(byte) = self.0.pop_front() {
            buffer.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Waiting {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_late_pump_cuts_no_transmission_in_two() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path()).await;
    let mut port = Waiting(b"a line of many bytes\n".iter().copied().collect());
    let _ = world.session.run(&mut port).await;
    world.close().await;
    let world = reopened(dir.path()).await;
    assert_eq!(world.said().await, ["a line of many bytes"]);
    world.close().await;
}

/// A slow disk parts no print of an instrument that only silence ends; a print that came after
/// everybody had time for the next patient is another's, however late it is read.
#[tokio::test]
async fn what_waited_to_be_read_was_no_silence() {
    let right = b"ES-R-R -02.50 -01.25 +015 61 E\r\n";
    let left = b"ES-R-L +00.75 +00.00 +000 61 E\r\n";
    let driver = chiasm_drivers::registry::find("huvitz_srr").unwrap();
    for (stall, eyes) in
        [(Duration::from_millis(1000), vec![2]), (Duration::from_millis(1700), vec![1, 1])]
    {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::with_driver(dir.path(), driver).await;
        world.session.input(right).await.unwrap();
        tokio::time::sleep(stall).await;
        world.session.input(left).await.unwrap();
        world.session.end().await.unwrap();
        world.close().await;
        let world = reopened(dir.path()).await;
        assert_eq!(world.refractions().await, eyes, "after {stall:?}");
        world.close().await;
    }
}

#[tokio::test]
async fn a_kill_between_two_halves_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path()).await;
    world.session.input(b"# nothing to keep\none\nha").await.unwrap();
    world.kill().await;
    let mut world = reopened(dir.path()).await;
    world.session.input(b"lf\n# more\n").await.unwrap();
    world.kill().await;
    let mut world = reopened(dir.path()).await;
    world.session.input(b"end").await.unwrap();
    world.session.end().await.unwrap();
    world.close().await;
    let world = reopened(dir.path()).await;
    assert_eq!(world.said().await, ["one", "half", "incomplete: end"]);
    world.close().await;
}

#[tokio::test]
async fn a_long_journal_is_begun_anew_and_still_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    let mut world = World::open(dir.path()).await;
    let comment = [b"#".as_slice(), &[b'.'; 60_000], b"\n"].concat();
    let mut written = 0;
    let mut number = 0;
    while written < 3 * JOURNAL_LEN_MAX {
        world.session.input(&comment).await.unwrap();
        written += comment.len() as u64;
        number += 1;
        if number % 10 == 0 {
            // Half a line across whatever happens to the journal in between.
            world.session.input(b"li").await.unwrap();
            if number % 50 == 0 {
                world.kill().await;
                world = reopened(dir.path()).await;
            }
            world.session.input(format!("ne {number}\n").as_bytes()).await.unwrap();
            expected.push(format!("line {number}"));
        }
    }
    world.close().await;
    let world = reopened(dir.path()).await;
    assert_eq!(world.said().await, expected);
    let journals: Vec<u64> = std::fs::read_dir(dir.path().join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .collect();
    assert_eq!(journals.len(), 1);
    assert!(journals[0] < JOURNAL_LEN_MAX + 100_000);
    world.close().await;
}

#[tokio::test]
async fn files_are_read_in_once_even_if_killed_in_between() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(dir.path()).await;
    world.session.file(b"one\ntwo\nrest", true).await.unwrap();
    world.kill().await;
    let world = reopened(dir.path()).await;
    let hash = chiasm_proto::Sha256::of(b"one\ntwo\nrest");
    world.close().await;
    let world = reopened(dir.path()).await;
    assert!(world.spool.is_imported(&LinkId::new("line").unwrap(), hash).await.unwrap());
    assert_eq!(world.said().await, ["one", "two", "incomplete: rest"]);
    world.close().await;
}
