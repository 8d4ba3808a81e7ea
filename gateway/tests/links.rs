//! Links: pseudo-terminals, TCP with noise, folders, and a process that is killed.

mod support;

use chiasm_gateway::{
    config::{self, Config},
    seal::{self, KEY_FILE, Purpose},
};
use chiasm_proto::{Body, fleet::SpoolState};
use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    fs,
    io::Write,
    os::fd::OwnedFd,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use support::{Gateway, frame, free_port, send, until};
use tokio::io::AsyncWriteExt;

/// What the spool holds, in order.
async fn bodies(data_dir: &Path) -> Vec<Body> {
    let options =
        SqliteConnectOptions::new().filename(data_dir.join("spool/spool.sqlite")).read_only(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let rows: Vec<(String, Vec<u8>)> =
        sqlx::query_as("select id, cast(body as blob) from document order by seq")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    // Beside the configuration, which a process of its own has beside its data folder.
    let key = data_dir.ancestors().find_map(|dir| seal::load(&dir.join(KEY_FILE)).unwrap());
    let key = key.unwrap();
    let open = |(id, sealed): &(String, Vec<u8>)| {
        let body = key.open(Purpose::Document, id.as_bytes(), sealed).unwrap();
        serde_json::from_slice(&body).unwrap()
    };
    rows.iter().map(open).collect()
}

fn codes(bodies: &[Body]) -> Vec<String> {
    bodies
        .iter()
        .map(|body| match body {
            Body::Reading(_) => "reading".into(),
            Body::Capture(capture) => capture.code.clone(),
            Body::Event(event) => event.code.clone(),
            Body::ProcedureStep(_) => "procedure_step".into(),
            Body::LaneAct(_) => "lane_act".into(),
        })
        .collect()
}

/// The instrument's side of a pseudo-terminal, and a stable name for the gateway's side.
struct Pty {
    master: fs::File,
}

impl Pty {
    fn new(name: &Path) -> Self {
        let master: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let slave = ptsname(&master, Vec::new()).unwrap();
        let _ = fs::remove_file(name);
        symlink(PathBuf::from(slave.to_str().unwrap()), name).unwrap();
        Self { master: fs::File::from(master) }
    }
    fn send(&mut self, bytes: &[u8]) {
        self.master.write_all(bytes).unwrap();
    }
}

fn open_terminal(name: &Path) -> OwnedFd {
    rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap()
}

fn serial_link(port: &Path) -> String {
    format!(
        "driver = \"nidek_ark\"\nlisten_only = true\n[link.serial]\nport = \"{}\"",
        port.display()
    )
}

#[tokio::test]
async fn a_cable_that_is_pulled_and_plugged_in_again() {
    let dir = tempfile::tempdir().unwrap();
    let (port, data) = (dir.path().join("port"), dir.path().join("data"));
    let mut pty = Pty::new(&port);
    let gateway = Gateway::start(&data, &serial_link(&port));
    let side = open_terminal(&port);
    until("the port to be open", async || is_raw(&side).then_some(())).await;
    drop(side);
    pty.send(&frame());
    gateway.until_spooled(1).await;
    // Half a frame, then nothing: never a number (T6).
    pty.send(&frame()[..200]);
    until("the half frame to be in the journal", async || {
        let journal = fs::metadata(data.join("journal/ark.0.sealed")).ok()?;
        (journal.len() >= frame().len() as u64 + 200).then_some(())
    })
    .await;
    drop(pty);
    gateway.until_spooled(2).await;
    let mut pty = Pty::new(&port);
    let begun = tokio::time::Instant::now();
    let side = open_terminal(&port);
    until("the link to listen again", async || is_raw(&side).then_some(())).await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    pty.send(&frame());
    gateway.until_spooled(3).await;
    assert_eq!(codes(&bodies(&data).await), ["reading", "incomplete", "reading"]);
    gateway.stop().await;
}

#[tokio::test]
async fn noise_a_giant_and_a_second_caller_stop_no_reading() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let gateway = Gateway::with_tcp_server(dir.path(), port);
    let mut stream = send(port, &[0xff; 5000]).await;
    stream.write_all(&frame()).await.unwrap();
    // A transmission that begins like one and does not end for 10 MB.
    stream.write_all(&frame()[..40]).await.unwrap();
    let megabyte = vec![b'7'; 1 << 20];
    for _ in 0..10 {
        stream.write_all(&megabyte).await.unwrap();
    }
    drop(stream);
    let mut stream = send(port, &frame()).await;
    until("both readings", async || {
        let bodies = bodies(dir.path()).await;
        (codes(&bodies).iter().filter(|code| *code == "reading").count() == 2).then_some(())
    })
    .await;
    let all = bodies(dir.path()).await;
    for body in &all {
        if let Body::Capture(capture) = body {
            assert!(capture.raw.bytes.len() <= 64 * 1024);
        }
    }
    assert!(codes(&all).contains(&"too_long".to_owned()), "{:?}", codes(&all));
    let journals: u64 = fs::read_dir(dir.path().join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(journals < 9 << 20, "the journal is {journals} bytes long");
    stream.write_all(&frame()).await.unwrap();
    until("one more", async || {
        let bodies = bodies(dir.path()).await;
        (codes(&bodies).last()? == "reading" && bodies.len() > all.len()).then_some(())
    })
    .await;
    gateway.stop().await;
}

fn folder_link(folder: &Path) -> String {
    format!("driver = \"joia_xml\"\n[link.folder]\npath = \"{}\"", folder.display())
}

fn whole_file() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../device-drivers/fixtures/joia_xml");
    let mut names: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "raw"))
        .collect();
    names.sort();
    fs::read(&names[0]).unwrap()
}

#[tokio::test]
async fn a_folders_files_are_taken_once_whatever_they_are_called() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, data) = (dir.path().join("in"), dir.path().join("data"));
    fs::create_dir(&folder).unwrap();
    let gateway = Gateway::start(&data, &folder_link(&folder));
    until("the folder to be looked at", async || gateway.spool().await.map(|_| ())).await;
    let whole = whole_file();
    // Half of it, then the rest: one reading, and none of the half.
    let mut file = fs::File::create(folder.join("Half Way.XML")).unwrap();
    file.write_all(&whole[..whole.len() / 2]).unwrap();
    tokio::time::sleep(Duration::from_millis(1300)).await;
    file.write_all(&whole[whole.len() / 2..]).unwrap();
    drop(file);
    gateway.until_spooled(1).await;
    // The same content under other names, a link out of the folder, a name with dots, another kind.
    fs::write(folder.join("copy.xml"), &whole).unwrap();
    fs::write(folder.join("..xml"), &whole).unwrap();
    fs::write(folder.join("..\\..\\etc.xml"), &whole).unwrap();
    fs::write(folder.join("other.txt"), b"<x/>").unwrap();
    fs::write(dir.path().join("secret"), b"<secret/>").unwrap();
    symlink(dir.path().join("secret"), folder.join("link.xml")).unwrap();
    fs::create_dir(folder.join("dir.xml")).unwrap();
    // Too long to be read.
    let long = fs::File::create(folder.join("long.xml")).unwrap();
    long.set_len(9 * 1024 * 1024).unwrap();
    gateway.until_spooled(2).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(codes(&bodies(&data).await), ["reading", "too_long"]);
    gateway.stop().await;
    // Nothing is read in again after a restart, and nothing was deleted.
    let gateway = Gateway::start(&data, &folder_link(&folder));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(codes(&bodies(&data).await), ["reading", "too_long"]);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 8);
    gateway.stop().await;
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_process(config: &Path) -> Process {
    let child = Command::new(env!("CARGO_BIN_EXE_chiasm-gateway"))
        .arg("--config")
        .arg(config)
        .arg("run")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Process(child)
}

async fn spool_state(data: &Path) -> Option<SpoolState> {
    chiasm_gateway::spool::inspect(&data.join("spool")).await.ok()
}

const ROUNDS: usize = 12;

/// Of these, in which the kill may hit the moment between `read()` and the write to the journal. What
/// was read then is gone; the rest of the frame is refused, and a person prints again.
const AGAIN_MAX: usize = 2;

/// Kills the gateway at every stage of a transmission, again and again: what the instrument sent is
/// there once, whole.
#[tokio::test]
async fn kill_9_at_any_moment_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (port, data) = (dir.path().join("port"), dir.path().join("data"));
    let config = dir.path().join("gateway.toml");
    let text = format!(
        "data_dir = \"{}\"\n[[link]]\nid = \"ark\"\nlane = \"lane-1\"\n{}\n",
        data.display(),
        serial_link(&port)
    );
    fs::write(&config, text).unwrap();
    let mut pty = Pty::new(&port);
    // Keeps the terminal and what is buffered in it while no gateway has it open.
    let held = open_terminal(&port);
    let frame = frame();
    let mut process = start_process(&config);
    let mut again = 0;
    for round in 0..ROUNDS {
        let before = spool_state(&data).await.map_or(0, |state| state.last_seq);
        until("the port to be open", async || {
            spool_state(&data).await?;
            is_raw(&held).then_some(())
        })
        .await;
        let cut = frame.len() * (round + 1) / (ROUNDS + 1);
        pty.send(&frame[..cut]);
        if round % 2 == 0 {
            tokio::time::sleep(Duration::from_millis(10 * round as u64)).await;
        }
        process.0.kill().unwrap();
        process.0.wait().unwrap();
        make_cooked(&held);
        process = start_process(&config);
        until("the port to be open", async || is_raw(&held).then_some(())).await;
        pty.send(&frame[cut..]);
        until("the frame to be spooled", async || {
            let state = spool_state(&data).await?;
            (state.last_seq > before).then_some(())
        })
        .await;
        if readings(&data).await.len() == round {
            again += 1;
            pty.send(&frame);
            until("the second print to be spooled", async || {
                (readings(&data).await.len() > round).then_some(())
            })
            .await;
        }
    }
    assert!(again <= AGAIN_MAX, "{again} of {ROUNDS} frames had to be sent again");
    let refused = bodies(&data).await.len() - ROUNDS;
    assert_eq!(refused > 0, again > 0, "{refused} captures, {again} second prints");
    assert_eq!(readings(&data).await, vec![frame; ROUNDS]);
}

/// Raw bytes of the readings in the spool.
async fn readings(data: &Path) -> Vec<Vec<u8>> {
    let raw = |body| match body {
        Body::Reading(reading) => Some(reading.raw.bytes),
        _ => None,
    };
    bodies(data).await.into_iter().filter_map(raw).collect()
}

fn is_raw(terminal: &OwnedFd) -> bool {
    let settings = rustix::termios::tcgetattr(terminal).unwrap();
    !settings.local_modes.contains(rustix::termios::LocalModes::ICANON)
}

/// So that the next gateway's opening can be seen. Bytes that wait in the line are kept.
fn make_cooked(terminal: &OwnedFd) {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let mut settings = tcgetattr(terminal).unwrap();
    settings.local_modes |= LocalModes::ICANON;
    tcsetattr(terminal, OptionalActions::Now, &settings).unwrap();
}

#[test]
fn configuration_errors_name_file_key_and_remedy() {
    let parse = |text: &str| -> Result<Config, config::ConfigError> {
        config::parse(Path::new("/etc/g.toml"), text)
    };
    let link = "data_dir = \"/d\"\n[[link]]\nid = \"ark\"\nlane = \"lane-1\"\n";
    for (rest, words) in [
        ("driver = \"nidek_ark\"\nbuad = 1", vec!["/etc/g.toml", "buad", "unknown field"]),
        ("driver = \"nope\"", vec!["link \"ark\".driver", "nope", "choose one of", "nidek_ark"]),
        ("driver = \"nidek_ark\"", vec!["link \"ark\"", "exactly one of"]),
        ("driver = \"nidek_ark\"\n[link.folder]\npath = \"/x\"", vec!["folder", "line, not files"]),
        ("driver = \"nidek_ark\"\n[link.serial]\nport = \"COM1\"", vec!["serial.port", "COM1"]),
        (
            "driver = \"nidek_ark\"\n[link.serial]\nport = \"/dev/x\"\ndata_bits = 9",
            vec!["serial.data_bits", "choose 7 or 8"],
        ),
        (
            "driver = \"nidek_ark\"\n[link.tcp_client]\naddress = \"x\"",
            vec!["address", "host:port"],
        ),
        (
            "driver = \"zeiss_iolmaster500\"\ncolumns = { axial_length = \"AL\" }",
            vec![
                "link \"ark\".columns.axial_length",
                "no such column",
                "drivers zeiss_iolmaster500",
            ],
        ),
        (
            "driver = \"zeiss_iolmaster500\"\ncolumns = { r1_left = \" \" }",
            vec!["columns.r1_left", "heading", "first line"],
        ),
        (
            "driver = \"nidek_ark\"\ncolumns = { r1_left = \"R1\" }",
            vec!["columns.r1_left", "no such column"],
        ),
    ] {
        let error = parse(&format!("{link}{rest}")).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{error:?} does not say {word:?}");
        }
    }
    let both = "[link.tcp_client]\naddress = \"a:1\"\n[link.tcp_server]\nlisten = \"a:1\"\n";
    assert!(parse(&format!("{link}driver = \"nidek_ark\"\n{both}")).is_err());
    let error = parse("data_dir = \"here\"").unwrap_err().to_string();
    assert!(error.contains("data_dir") && error.contains("absolute"), "{error}");
    let twice = "[[link]]\nid = \"ark\"\nlane = \"l\"\ndriver = \"nidek_ark\"\n";
    let text = format!(
        "{link}driver = \"nidek_ark\"\n[link.tcp_server]\nlisten = \"a:1\"\n{twice}\
         [link.tcp_server]\nlisten = \"a:2\"\n"
    );
    assert!(parse(&text).unwrap_err().to_string().contains("stands twice"));
    assert!(matches!(config::load(Path::new("/no/such")), Err(config::ConfigError::Read { .. })));
    let defaults = format!("{link}driver = \"nidek_ark\"\n[link.serial]\nport = \"/dev/x\"\n");
    let config = parse(&defaults).unwrap();
    assert_eq!(config.links.len(), 1);
}
