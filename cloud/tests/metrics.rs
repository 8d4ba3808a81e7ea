//! What monitoring sees, and that docs/metrics.md says so.

mod common;

use chiasm_proto::exposition;
use common::{
    Cloud, Kind, Store,
    gateway::{Gateway, enrol},
};
use std::collections::BTreeSet;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn ask(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The names in the table of one program.
fn documented(program: &str) -> BTreeSet<&'static str> {
    let text = include_str!("../../docs/metrics.md");
    let section = text.split("\n## ").find(|it| it.starts_with(program)).unwrap();
    section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
}

fn value(text: &str, sample: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(&format!("{sample} ")));
    let line = line.unwrap_or_else(|| panic!("no {sample} in {text}"));
    line[sample.len() + 1..].parse().unwrap()
}

async fn metrics_count(kind: Kind) {
    let more = "[metrics]\nlisten = \"127.0.0.1:0\"\n";
    let cloud = Cloud::start_on(Store::new(kind).await, "127.0.0.1:0", more).await;
    let address = cloud.running.metrics.unwrap();
    let before = ask(address, "/metrics").await;
    assert!(before.contains("text/plain; version=0.0.4"), "{before}");
    let printed: BTreeSet<&str> = exposition::names(&before).into_iter().collect();
    assert_eq!(printed, documented("Cloud"), "docs/metrics.md lists what is printed");
    assert_eq!(value(&before, "chiasm_ingest_connected"), 1.0);
    assert_eq!(value(&before, "chiasm_readings_waiting{place=\"tray\"}"), 0.0);
    let credentials = enrol(&cloud, "acme", "gw-1").await;
    let mut gateway = Gateway::connect(cloud.broker(), &credentials, "acme", "gw-1").await;
    // Number 3 stays away.
    for seq in [1, 2, 4] {
        let reading = gateway.reading(seq);
        gateway.send(&reading).await;
    }
    gateway.ack(|ack| ack.missing == [3]).await;
    let after = ask(address, "/metrics").await;
    assert_eq!(value(&after, "chiasm_documents_filed_total{kind=\"reading\"}"), 3.0);
    assert_eq!(value(&after, "chiasm_readings_filed_total{place=\"tray\"}"), 3.0);
    assert_eq!(value(&after, "chiasm_readings_waiting{place=\"tray\"}"), 3.0);
    assert_eq!(value(&after, "chiasm_documents_missing"), 1.0);
    assert_eq!(value(&after, "chiasm_broker_connections"), 1.0);
    assert_eq!(value(&after, "chiasm_ingest_batch_documents_sum"), 3.0);
    assert!(value(&after, "chiasm_ingest_commit_seconds_count") >= 1.0);
    assert!(value(&after, "chiasm_acks_total") >= 1.0);
    assert!(value(&after, "process_resident_memory_bytes") > 1e6);
    for name in ["acme", "gw-1", "lane-1"] {
        assert!(!after.contains(name), "{name} in {after}");
    }
    assert!(ask(address, "/").await.starts_with("HTTP/1.1 404"), "there is nothing else here");
    let pages = ask(cloud.running.pages, "/metrics").await;
    assert!(pages.starts_with("HTTP/1.1 404"), "and it is nowhere else: {pages}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    metrics_count(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    metrics_count(Kind::Postgres).await;
}
