//! What monitoring sees of a gateway, and that docs/metrics.md says so.

mod support;

use chiasm_proto::exposition;
use std::collections::BTreeSet;
use support::{
    Gateway, cloud::Broker, cloud::Cloud, frame, free_port, pki::Authority, send, until,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn ask(port: u16, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

/// The names in the table of one program.
fn documented(program: &str) -> BTreeSet<&'static str> {
    let text = include_str!("../../docs/metrics.md");
    let section = text.split("\n## ").find(|it| it.starts_with(program)).unwrap();
    section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
}

#[tokio::test]
async fn metrics_follow_a_reading() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let broker = Broker::start(dir.path(), &authority).await;
    let cloud = Cloud::start(&broker, &authority).await;
    let data_dir = dir.path().join("data");
    authority.enrol(&data_dir, broker.port);
    let (port, metrics) = (free_port(), free_port());
    let link = format!(
        "driver = \"nidek_ark\"\n[link.tcp_server]\nlisten = \"127.0.0.1:{port}\"\n\
         [metrics]\nlisten = \"127.0.0.1:{metrics}\""
    );
    let gateway = Gateway::start(&data_dir, &link);
    let get = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    let text = until("metrics", async || ask(metrics, get).await).await;
    assert!(text.contains("text/plain; version=0.0.4"), "{text}");
    let printed: BTreeSet<&str> = exposition::names(&text).into_iter().collect();
    assert_eq!(printed, documented("Gateway"), "docs/metrics.md lists what is printed");
    let mut bytes = b"no print\r".to_vec();
    bytes.extend(frame());
    let _stream = send(port, &bytes).await;
    cloud.until_filed(2).await;
    let of_link = |name: &str, value: u8| {
        format!("chiasm_gateway_link_{name}{{link=\"ark\",driver=\"nidek_ark\"}} {value}\n")
    };
    let wanted = [
        "chiasm_gateway_connected 1\n".to_owned(),
        "chiasm_gateway_connections_total 1\n".to_owned(),
        "chiasm_gateway_spool_last_number 2\n".to_owned(),
        "chiasm_gateway_spool_documents 0\n".to_owned(),
        "chiasm_gateway_documents_sent_total 2\n".to_owned(),
        "chiasm_gateway_spool_oldest_age_seconds 0\n".to_owned(),
        of_link("up", 1),
        of_link("readings_total", 1),
        of_link("failures_total", 1),
    ];
    until("the numbers of a reading", async || {
        let text = ask(metrics, get).await?;
        wanted.iter().all(|line| text.contains(line)).then_some(text)
    })
    .await;
    let other = "GET / HTTP/1.1\r\n\r\n";
    assert!(ask(metrics, other).await.unwrap().starts_with("HTTP/1.1 404"));
    let endless = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(20_000));
    let refused = ask(metrics, &endless).await.unwrap_or_default();
    assert!(!refused.starts_with("HTTP/1.1 200"), "{refused}");
    gateway.stop().await;
}
