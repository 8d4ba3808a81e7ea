//! The support bundle (I11): one file that says how a gateway is, for whoever helps from afar. It
//! holds nothing of a patient unless a named person wants it and says why; then that is told to the
//! cloud like anything else that happened here.
//!
//! | module | holds |
//! |---|---|
//! | [`note`] | who took data out, until the running gateway tells the cloud |
//! | [`scrub`] | configuration without secrets, log lines without what may name somebody |
//! | `tar` | the archive |

pub mod note;
pub mod scrub;
mod tar;

use crate::{
    clock,
    config::Config,
    health, seal, spool,
    spool::{LinkCount, SpoolError, StoredDocument},
    uplink::identity,
};
use anyhow::Context;
use chiasm_proto::{Body, Capture, mask};
use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use std::{
    fs::{File, OpenOptions},
    io::Write,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::Command,
};

/// Captures that are in a bundle: the last ones.
const CAPTURES_MAX: usize = 50;
/// Readings that are in a bundle with data.
const READINGS_MAX: usize = 50;
/// Bytes of a capture that are shown.
const SHOWN_MAX: usize = 4096;
/// Lines of the log.
const LOG_LINES_MAX: u32 = 1000;

/// Who wants what a bundle does not hold by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithData {
    pub person: String,
    pub reason: String,
}

/// Makes the bundle. The file must not exist: nothing is written over.
pub async fn make(
    (config, config_text): (&Config, &str),
    out: &Path,
    with_data: Option<&WithData>,
) -> anyhow::Result<()> {
    if let Some(with_data) = with_data {
        note::leave(&config.data_dir, with_data).context("cannot note who takes data out")?;
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(out);
    let file = file.with_context(|| format!("cannot make {}", out.display()))?;
    let mut bundle = Bundle::new(file);
    bundle.add_json("about.json", &about(with_data))?;
    bundle.add("config.toml", scrub::config(config_text).as_bytes())?;
    bundle.add_json("machine.json", &machine(config))?;
    bundle.add_json("certificate.json", &certificate(&config.data_dir))?;
    let dir = config.data_dir.join("spool");
    match spool::inspect(&dir).await {
        Ok(state) => bundle.add_json("spool.json", &state)?,
        Err(error) => bundle.add_json("spool.json", &json!({ "error": error.to_string() }))?,
    }
    let counts = spool::inspect_links(&dir).await.unwrap_or_default();
    bundle.add_json("links.json", &links(config, &counts))?;
    if let Some(text) = metrics(config.metrics.listen) {
        bundle.add("metrics.txt", text.as_bytes())?;
    }
    bundle.add("log.txt", log().as_bytes())?;
    let key = seal::load(&config.spool_key)?;
    let last = async |kind: &str, count: usize| match &key {
        Some(key) => spool::inspect_last(&dir, key, kind, count).await,
        // Nothing has been stored without it.
        None => Ok(vec![]),
    };
    let captures = last("capture", CAPTURES_MAX).await;
    bundle.add_json("failures.json", &failures(&captures))?;
    if with_data.is_some() {
        let readings = last("reading", READINGS_MAX).await;
        for document in captures.into_iter().flatten().chain(readings.into_iter().flatten()) {
            bundle.add(&format!("data/{}.json", document.seq), document.body.as_bytes())?;
        }
    }
    bundle.finish().with_context(|| format!("cannot write {}", out.display()))
}

struct Bundle(tar::Archive<GzEncoder<File>>);

impl Bundle {
    fn new(file: File) -> Self {
        Self(tar::Archive::new(GzEncoder::new(file, Compression::default()), clock::wall()))
    }
    fn add(&mut self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        self.0.add(&format!("support-bundle/{name}"), bytes)
    }
    fn add_json<T: Serialize>(&mut self, name: &str, value: &T) -> std::io::Result<()> {
        let mut json = serde_json::to_vec_pretty(value).expect("plain data always serialises");
        json.push(b'\n');
        self.add(name, &json)
    }
    fn finish(self) -> std::io::Result<()> {
        let mut file = self.0.finish()?.finish()?;
        file.flush()?;
        file.sync_all()
    }
}

fn about(with_data: Option<&WithData>) -> serde_json::Value {
    json!({
        "made_at": clock::wall(),
        "version": env!("CARGO_PKG_VERSION"),
        "holds_patient_data": with_data.is_some(),
        "taken_by": with_data.map(|it| &it.person),
        "reason": with_data.map(|it| &it.reason),
    })
}

fn machine(config: &Config) -> serde_json::Value {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    json!({
        "system": system.map(|name| name.trim_matches('"')),
        "kernel": kernel.trim(),
        "machine": std::env::consts::ARCH,
        "clock": clock::state(),
        "time": clock::wall(),
        "disk_free_bytes": health::disk_free(&config.data_dir),
    })
}

fn certificate(data_dir: &Path) -> serde_json::Value {
    match identity::load(data_dir) {
        Ok(Some(it)) => json!({
            "tenant": it.identity.tenant,
            "gateway": it.identity.gateway,
            "broker": it.identity.broker_url,
            "cloud": it.identity.cloud_url,
            "valid_from": it.valid_from,
            "expires_at": it.expires_at,
        }),
        Ok(None) => json!({ "error": "not enrolled" }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

/// What each link is fixed to, and what the spool still has of it.
fn links(config: &Config, counts: &[LinkCount]) -> Vec<serde_json::Value> {
    let of = |id: &str| -> Vec<serde_json::Value> {
        let count = |it: &LinkCount| json!({ "kind": it.kind, "kept": it.count, "last": it.last });
        counts.iter().filter(|it| it.link == id).map(count).collect()
    };
    let link = |it: &crate::config::Link| {
        json!({
            "link": it.id,
            "lane": it.lane,
            "driver": it.driver.id,
            "driver_version": it.driver.version,
            "endpoint": it.endpoint.describe(),
            "spool": of(it.id.as_str()),
        })
    };
    config.links.iter().map(link).collect()
}

#[derive(Serialize)]
struct Failure {
    seq: u64,
    time: Timestamp,
    link: String,
    driver: Option<chiasm_proto::DriverRef>,
    code: String,
    first_byte: Option<usize>,
    len: usize,
    /// Digits and letters replaced, control bytes by their escapes.
    masked: String,
}

/// The last bytes that gave no reading, without what they say. The words of the failure stay out:
/// they may hold a file's name, and so a patient's.
fn failures(captures: &Result<Vec<StoredDocument>, SpoolError>) -> serde_json::Value {
    let captures = match captures {
        Ok(captures) => captures,
        Err(error) => return json!({ "error": error.to_string() }),
    };
    let failure = |document: &StoredDocument| {
        let body: Body = serde_json::from_str(&document.body).ok()?;
        let Body::Capture(Capture { link, driver, code, offset, raw, .. }) = body else {
            return None;
        };
        let shown = &raw.bytes[..raw.bytes.len().min(SHOWN_MAX)];
        Some(Failure {
            seq: document.seq,
            time: document.time,
            link: link.to_string(),
            driver,
            code,
            first_byte: offset,
            len: raw.bytes.len(),
            masked: mask(shown).escape_ascii().to_string(),
        })
    };
    let failures: Vec<Failure> = captures.iter().filter_map(failure).collect();
    json!(failures)
}

/// What the running gateway says of itself, if it says it anywhere.
fn metrics(listen: Option<SocketAddr>) -> Option<String> {
    use std::{io::Read, net::TcpStream, time::Duration};
    const WAIT_MAX: Duration = Duration::from_secs(5);
    const ANSWER_LEN_MAX: u64 = 1024 * 1024;
    let mut stream = TcpStream::connect_timeout(&listen?, WAIT_MAX).ok()?;
    stream.set_read_timeout(Some(WAIT_MAX)).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.take(ANSWER_LEN_MAX).read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

/// The last lines of the system's journal, if this user may read it.
fn log() -> String {
    let lines = LOG_LINES_MAX.to_string();
    let mut journal = Command::new("journalctl");
    journal.args(["--unit", "chiasm-gateway", "--no-pager", "--output", "short-iso"]);
    match journal.args(["--lines", &lines]).output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            text.lines().map(|line| scrub::log_line(line) + "\n").collect()
        }
        Ok(_) => "the journal is not ours to read: run this as root\n".into(),
        Err(error) => format!("there is no journal here: {error}\n"),
    }
}
