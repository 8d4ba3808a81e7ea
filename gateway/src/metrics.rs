//! `/metrics` for Prometheus, where the configuration wants it. docs/metrics.md lists what it says.
//! Of HTTP only this one question is understood.

use crate::{
    health::Health,
    spool::{Spool, SpoolError},
    uplink::identity,
};
use chiasm_proto::{
    ClockState,
    exposition::{CONTENT_TYPE, Exposition, Family},
    fleet::{LinkState, LinkStatus, Telemetry},
};
use jiff::Timestamp;
use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

/// Longest question, in bytes, and longest time that it and its answer may take.
const REQUEST_LEN_MAX: usize = 8 * 1024;
const REQUEST_TIME_MAX: Duration = Duration::from_secs(5);
/// Pause before the address is tried again.
const RETRY: Duration = Duration::from_secs(30);

const BUILD: Family =
    Family::gauge("chiasm_gateway_build_info", "Always 1; the label is the version.");
const STARTED: Family =
    Family::gauge("process_start_time_seconds", "When the process began, since 1970.");
const MEMORY: Family =
    Family::gauge("process_resident_memory_bytes", "Memory that the process holds.");
const CONNECTED: Family =
    Family::gauge("chiasm_gateway_connected", "1 while the gateway is online, else 0.");
const CONNECTIONS: Family = Family::counter(
    "chiasm_gateway_connections_total",
    "Connections to the broker since the process began; all but the first are reconnects.",
);
const SENT: Family = Family::counter(
    "chiasm_gateway_documents_sent_total",
    "Documents given to the broker, those that were sent again included.",
);
const ACKS: Family =
    Family::counter("chiasm_gateway_acks_total", "Acknowledgements that came from the cloud.");
const LAST: Family = Family::gauge(
    "chiasm_gateway_spool_last_number",
    "The highest number that this spool has given a document.",
);
const DEPTH: Family = Family::gauge(
    "chiasm_gateway_spool_documents",
    "Documents that the cloud has not acknowledged.",
);
const OLDEST: Family = Family::gauge(
    "chiasm_gateway_spool_oldest_age_seconds",
    "Age of the oldest of them; 0 if there is none.",
);
const QUARANTINED: Family = Family::gauge(
    "chiasm_gateway_quarantined_documents",
    "Documents that the cloud refused or that cannot be sent.",
);
const UP: Family = Family::gauge("chiasm_gateway_link_up", "1 while the link is read, else 0.");
const READINGS: Family =
    Family::counter("chiasm_gateway_link_readings_total", "Readings of the link.");
const FAILURES: Family = Family::counter(
    "chiasm_gateway_link_failures_total",
    "Stretches of bytes of the link that gave no reading.",
);
const LAST_READING: Family = Family::gauge(
    "chiasm_gateway_link_last_reading_timestamp_seconds",
    "When the link gave its last reading, since 1970; absent before the first.",
);
const CLOCK: Family = Family::gauge(
    "chiasm_gateway_clock_synced",
    "1 while something keeps the clock in time, else 0.",
);
const DISK: Family =
    Family::gauge("chiasm_gateway_disk_free_bytes", "Free on the disk of the data directory.");
const CERTIFICATE: Family = Family::gauge(
    "chiasm_gateway_certificate_expiry_timestamp_seconds",
    "When the certificate ends, since 1970; absent while the gateway is not enrolled.",
);

/// What the numbers are taken from.
pub struct Sources {
    pub data_dir: PathBuf,
    pub spool: Spool,
    pub health: Arc<Health>,
}

/// Answers for ever, one after the other. An address that is taken hinders nothing else.
pub async fn run(listen: SocketAddr, sources: Sources) {
    loop {
        match TcpListener::bind(listen).await {
            Ok(listener) => {
                tracing::info!(%listen, "metrics listen");
                answer_all(&listener, &sources).await;
            }
            Err(error) => tracing::error!(%listen, %error, "cannot listen for metrics"),
        }
        sleep(RETRY).await;
    }
}

async fn answer_all(listener: &TcpListener, sources: &Sources) {
    while let Ok((stream, peer)) = listener.accept().await {
        match timeout(REQUEST_TIME_MAX, answer(stream, sources)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no metrics given"),
            Err(_) => tracing::debug!(%peer, "asked for metrics too slowly"),
        }
    }
}

async fn answer(mut stream: TcpStream, sources: &Sources) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = REQUEST_LEN_MAX.saturating_sub(head.len()) as u64;
        if (&mut stream).take(left).read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let is_known = head.starts_with(b"GET /metrics ") || head.starts_with(b"GET /metrics?");
    let (status, body) = match is_known {
        false => ("404 Not Found", "only /metrics is here\n".to_owned()),
        true => match text(sources).await {
            Ok(text) => ("200 OK", text),
            Err(error) => ("503 Service Unavailable", format!("{error}\n")),
        },
    };
    let len = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

async fn text(sources: &Sources) -> Result<String, SpoolError> {
    let credentials = identity::load(&sources.data_dir).ok().flatten();
    let expires_at = credentials.map(|it| it.expires_at);
    let told = sources.health.telemetry(&sources.spool, expires_at).await?;
    let mut text = Exposition::default();
    text.all(&BUILD, [([("version", env!("CARGO_PKG_VERSION"))], 1.0)]);
    text.one(&STARTED, seconds(told.started_at));
    text.one(&MEMORY, resident_bytes().unwrap_or(f64::NAN));
    let counts = &sources.health.uplink;
    text.one(&CONNECTED, flag(counts.is_connected.load(Ordering::Relaxed)));
    text.one(&CONNECTIONS, counts.connections.load(Ordering::Relaxed) as f64);
    text.one(&SENT, counts.sent.load(Ordering::Relaxed) as f64);
    text.one(&ACKS, counts.acks.load(Ordering::Relaxed) as f64);
    write(&mut text, &told);
    Ok(text.into_text())
}

fn write(text: &mut Exposition, told: &Telemetry) {
    let spool = &told.spool;
    text.one(&LAST, spool.last_seq as f64);
    text.one(&DEPTH, spool.depth as f64);
    let oldest = spool.oldest_at.map_or(0.0, |at| (seconds(told.time) - seconds(at)).max(0.0));
    text.one(&OLDEST, oldest);
    text.one(&QUARANTINED, spool.quarantined as f64);
    let by_link = |value: fn(&LinkState) -> f64| {
        told.links.iter().map(move |link| {
            ([("link", link.link.as_str()), ("driver", &link.driver)], value(link))
        })
    };
    text.all(&UP, by_link(|link| flag(link.status == LinkStatus::Up)));
    text.all(&READINGS, by_link(|link| link.readings as f64));
    text.all(&FAILURES, by_link(|link| link.failures as f64));
    let last = told.links.iter().filter_map(|link| {
        let labels = [("link", link.link.as_str()), ("driver", link.driver.as_str())];
        Some((labels, seconds(link.last_reading_at?)))
    });
    text.all(&LAST_READING, last);
    text.one(&CLOCK, flag(told.clock == ClockState::Synced));
    text.all(&DISK, told.disk_free_bytes.map(|bytes| ([], bytes as f64)));
    text.all(&CERTIFICATE, told.certificate_expires_at.map(|at| ([], seconds(at))));
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn seconds(at: Timestamp) -> f64 {
    at.as_microsecond() as f64 / 1e6
}

/// Resident memory of this process, as Linux counts it.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib as f64 * 1024.0)
}
