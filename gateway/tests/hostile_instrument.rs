//! An instrument that never stops: ten minutes of bytes at the fastest line's speed, given a
//! hundred times as fast. Its neighbour's readings are not held up, and the disk does not fill.

mod support;

use chiasm_gateway::{journal::JOURNAL_LEN_MAX, session::CAPTURES_BURST_MAX};
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use support::{Gateway, call, frame, free_port, until};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, sleep},
};

/// Ten minutes of 115200 baud.
const FLOOD_LEN: usize = 600 * LINE_SPEED;
/// Bytes in a second at 115200 baud.
const LINE_SPEED: usize = 11_520;
/// So much faster the flood is given.
const HASTE: usize = 100;
const TICK: Duration = Duration::from_millis(10);
const DELAY_MAX: Duration = Duration::from_millis(100);
/// What the flood brings in that time. Counted in bytes, because a machine that is busy slows down
/// the flood as well.
const TAKEN_MEANWHILE_MAX: usize = LINE_SPEED * HASTE / 10;

struct World {
    dir: tempfile::TempDir,
    gateway: Gateway,
    noisy: u16,
    neighbour: TcpStream,
    sqlite: SqliteConnection,
    sent: usize,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (port, noisy) = (free_port(), free_port());
        let link = format!(
            "driver = \"nidek_ark\"\n[link.tcp_server]\nlisten = \"127.0.0.1:{port}\"\n\
             [[link]]\nid = \"noisy\"\nlane = \"lane-2\"\ndriver = \"nidek_ark\"\n\
             [link.tcp_server]\nlisten = \"127.0.0.1:{noisy}\""
        );
        let gateway = Gateway::start(dir.path(), &link);
        let neighbour = call(port).await;
        until("a spool", async || gateway.spool().await).await;
        let options = SqliteConnectOptions::new();
        let options = options.filename(dir.path().join("spool/spool.sqlite")).read_only(true);
        let sqlite = options.connect().await.unwrap();
        Self { dir, gateway, noisy, neighbour, sqlite, sent: 0 }
    }

    async fn count(&mut self, link: &str, kind: &str) -> usize {
        let sql = "select count(*) from document where link = $1 and kind = $2";
        let query = sqlx::query_as(sql).bind(link).bind(kind);
        let (count,): (i64,) = query.fetch_one(&mut self.sqlite).await.unwrap();
        usize::try_from(count).unwrap()
    }

    /// Prints on the neighbour; gives how long it took until the reading was in the spool.
    async fn print(&mut self) -> Duration {
        let begun = Instant::now();
        self.neighbour.write_all(&frame()).await.unwrap();
        self.sent += 1;
        while self.count("ark", "reading").await < self.sent {
            assert!(begun.elapsed() < support::WAIT_MAX, "the neighbour is not read");
            sleep(Duration::from_millis(1)).await;
        }
        begun.elapsed()
    }

    async fn median(&mut self, prints: usize) -> Duration {
        let mut times = Vec::new();
        for _ in 0..prints {
            times.push(self.print().await);
        }
        times.sort();
        times[prints / 2]
    }
}

fn journals(dir: &Path) -> u64 {
    let files = fs::read_dir(dir.join("journal")).unwrap();
    files.map(|entry| entry.unwrap().metadata().map_or(0, |meta| meta.len())).sum()
}

/// Rubbish, a transmission that does not end, and transmissions that are wrong one after the other.
fn floods() -> [(&'static str, Vec<u8>); 3] {
    let mut wrong = frame();
    let middle = wrong.len() / 2;
    wrong[middle] ^= 0x55;
    let noise: Vec<u8> =
        (0..8192_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let endless = [&frame()[..40], &[b'7'; 8000]].concat();
    [("noise", noise), ("a transmission without end", endless), ("wrong transmissions", wrong)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_holds_up_no_neighbour_and_fills_no_disk() {
    for (what, piece) in floods() {
        let mut world = World::new().await;
        let mut stream = call(world.noisy).await;
        let (taken, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, over) = (taken.clone(), is_over.clone());
        let flood = tokio::spawn(async move {
            let mut tick = tokio::time::interval(TICK);
            let mut endless = piece.iter().copied().cycle();
            while count.load(Ordering::Relaxed) < FLOOD_LEN {
                tick.tick().await;
                let part: Vec<u8> = endless.by_ref().take(LINE_SPEED * HASTE / 100).collect();
                stream.write_all(&part).await.unwrap();
                count.fetch_add(part.len(), Ordering::Relaxed);
            }
            over.store(true, Ordering::Relaxed);
            stream
        });
        let mut meanwhile = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let before = taken.load(Ordering::Relaxed);
            world.print().await;
            meanwhile.push(taken.load(Ordering::Relaxed) - before);
            assert!(journals(world.dir.path()) < 3 * JOURNAL_LEN_MAX, "{what}");
        }
        meanwhile.sort_unstable();
        let (prints, median) = (meanwhile.len(), meanwhile[meanwhile.len() / 2]);
        println!(
            "{what}: {prints} prints, beside {median} bytes of the flood, at most {:?}",
            meanwhile.last()
        );
        assert!(prints >= 20, "{what}: only {prints} prints came through");
        assert!(median <= TAKEN_MEANWHILE_MAX, "{what}: {median} bytes went before a print");
        let mut stream = flood.await.unwrap();
        let captures = world.count("noisy", "capture").await;
        assert!(captures <= CAPTURES_BURST_MAX as usize + 5, "{what}: {captures} captures");
        if what == "wrong transmissions" {
            assert_eq!(world.count("noisy", "event").await, 1, "nobody is told");
        }
        // It is read on: when it comes to its senses, its readings count.
        stream.shutdown().await.unwrap();
        drop(stream);
        let mut stream = call(world.noisy).await;
        stream.write_all(&frame()).await.unwrap();
        until("a reading of the noisy one", async || {
            (world.count("noisy", "reading").await >= 1).then_some(())
        })
        .await;
        world.gateway.stop().await;
    }
}

/// At the speed that a line has, by the clock: what the flood adds to a print, not what the disk of
/// this machine takes for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_at_line_speed_adds_less_than_a_tenth_of_a_second() {
    let mut world = World::new().await;
    let quiet = world.median(15).await;
    let mut stream = call(world.noisy).await;
    let (_, piece) = floods().into_iter().next_back().unwrap();
    let flood = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        for at in (0..).step_by(LINE_SPEED / 100) {
            tick.tick().await;
            let from = at % piece.len();
            let to = (from + LINE_SPEED / 100).min(piece.len());
            stream.write_all(&piece[from..to]).await.unwrap();
        }
    });
    let flooded = world.median(15).await;
    println!("a print takes {quiet:?}, beside a flood {flooded:?}");
    assert!(flooded < quiet + DELAY_MAX, "{quiet:?} became {flooded:?}");
    flood.abort();
    world.gateway.stop().await;
}
