//! `/metrics` for Prometheus, on an address of its own: no sign-in, and nothing about anybody.
//! docs/metrics.md lists what it says.

use super::{Fault, serve};
use crate::{
    Core, broker, clock,
    metrics::Counted,
    store::{StoreError, metrics as store},
};
use axum::{Router, extract::State, http::header, response::IntoResponse, routing::get};
use chiasm_proto::exposition::{CONTENT_TYPE, Exposition, Family};
use std::{net::SocketAddr, sync::atomic::Ordering};
use tokio::task::JoinSet;

/// Monitoring asks one after the other.
const CONNECTIONS_MAX: usize = 8;

const BUILD: Family = Family::gauge("chiasm_build_info", "Always 1; the label is the version.");
const STARTED: Family =
    Family::gauge("process_start_time_seconds", "When the process began, since 1970.");
const MEMORY: Family =
    Family::gauge("process_resident_memory_bytes", "Memory that the process holds.");
const DOCUMENTS: Family = Family::counter(
    "chiasm_documents_filed_total",
    "Documents of gateways that this process has filed, by kind.",
);
const READINGS: Family = Family::counter(
    "chiasm_readings_filed_total",
    "Readings that this process has filed, by their first place.",
);
const REJECTED: Family = Family::counter(
    "chiasm_documents_rejected_total",
    "Documents that this process could not file and has kept aside.",
);
const ACKS: Family =
    Family::counter("chiasm_acks_total", "Acknowledgements that this process has given.");
const BATCH: Family = Family::histogram(
    "chiasm_ingest_batch_documents",
    "New documents in one transaction of ingest.",
);
const COMMIT: Family = Family::histogram(
    "chiasm_ingest_commit_seconds",
    "How long one transaction of ingest took, from its beginning to its commit.",
);
const INGEST: Family =
    Family::gauge("chiasm_ingest_connected", "1 while ingest hears the broker, else 0.");
const WAITING: Family =
    Family::gauge("chiasm_readings_waiting", "Readings without a certain patient, by place.");
const OLDEST: Family = Family::gauge(
    "chiasm_readings_waiting_oldest_age_seconds",
    "Age of the oldest reading that waits, by place.",
);
const GATEWAYS: Family = Family::gauge("chiasm_gateways", "Gateways, by status.");
const MISSING: Family = Family::gauge(
    "chiasm_documents_missing",
    "Numbers that gateways gave out, below their highest, that have not come.",
);
const UPLOADS: Family =
    Family::gauge("chiasm_uploads_open", "Uploads of images that are not filed yet.");
const POOL: Family =
    Family::gauge("chiasm_database_connections", "Connections to the database, by state.");
const BROKER: Family = Family::gauge(
    "chiasm_broker_connections",
    "Connections of gateways to the embedded broker; 0 with another broker.",
);

/// Listens, if the configuration says where; gives the address that is really listened on.
pub fn start(core: &Core, tasks: &mut JoinSet<()>) -> anyhow::Result<Option<SocketAddr>> {
    let Some(listen) = core.config.metrics.listen else { return Ok(None) };
    let listener = broker::listen_at(listen)?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/metrics", get(show)).with_state(core.clone());
    tasks.spawn(serve::serve(listener, None, router, CONNECTIONS_MAX));
    tracing::info!(%address, "metrics listen");
    Ok(Some(address))
}

async fn show(State(core): State<Core>) -> Result<impl IntoResponse, Fault> {
    let text = text(&core).await?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text))
}

async fn text(core: &Core) -> Result<String, StoreError> {
    let mut text = Exposition::default();
    text.all(&BUILD, [([("version", env!("CARGO_PKG_VERSION"))], 1.0)]);
    text.one(&STARTED, core.started_at_us as f64 / 1e6);
    text.one(&MEMORY, resident_bytes().unwrap_or(f64::NAN));
    counted(&mut text, &core.metrics.counted());
    let is_connected = core.ingest_connected.load(Ordering::Relaxed);
    text.one(&INGEST, f64::from(u8::from(is_connected)));
    stored(&mut text, core).await?;
    let (used, idle) = store::connections(&core.db);
    text.all(&POOL, [([("state", "used")], used as f64), ([("state", "idle")], idle as f64)]);
    text.one(&BROKER, core.metrics.connections() as f64);
    Ok(text.into_text())
}

fn counted(text: &mut Exposition, counted: &Counted) {
    let filed = &counted.filed;
    let documents = filed.documents.iter().map(|(kind, n)| ([("kind", *kind)], *n as f64));
    text.all(&DOCUMENTS, documents);
    let readings = filed.readings.iter().map(|(place, n)| ([("place", *place)], *n as f64));
    text.all(&READINGS, readings);
    text.one(&REJECTED, filed.rejected as f64);
    text.one(&ACKS, counted.acks as f64);
    let batch = &counted.batch;
    text.histogram(&BATCH, &counted.batches_at_most(), batch.count, batch.sum);
    let commit = &counted.commit;
    text.histogram(&COMMIT, &counted.commits_at_most(), commit.count, commit.sum);
}

async fn stored(text: &mut Exposition, core: &Core) -> Result<(), StoreError> {
    let mut tx = core.db.all_tenants_read().await?;
    let waiting = store::waiting(&mut tx).await?;
    let of = |wanted: &str| waiting.iter().find(|(place, ..)| place == wanted);
    let places = ["tray", "inbox", "held"];
    let count = |place| ([("place", place)], of(place).map_or(0.0, |(_, n, _)| *n as f64));
    text.all(&WAITING, places.map(count));
    let now_us = clock::now_us();
    let age = |place| {
        let age = of(place).map_or(0.0, |(_, _, at_us)| (now_us - at_us) as f64 / 1e6);
        ([("place", place)], age)
    };
    text.all(&OLDEST, places.map(age));
    let gateways = store::gateways(&mut tx).await?;
    text.all(&GATEWAYS, gateways.iter().map(|(state, n)| ([("status", &**state)], *n as f64)));
    text.one(&MISSING, store::missing(&mut tx).await? as f64);
    text.one(&UPLOADS, store::uploads(&mut tx).await? as f64);
    Ok(())
}

/// Resident memory of this process, as Linux counts it.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib as f64 * 1024.0)
}
