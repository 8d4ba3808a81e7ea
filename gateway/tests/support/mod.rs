//! A gateway inside the test's process, a real broker beside it, and a cloud that acknowledges.

#![allow(dead_code, reason = "each test program uses its part")]

pub mod cloud;
pub mod dicom;
pub mod pki;

use chiasm_gateway::{config, seal::Key, spool, supervisor};
use chiasm_proto::fleet::SpoolState;
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

/// Longest wait for anything that must come.
pub const WAIT_MAX: Duration = Duration::from_secs(40);

/// A whole transmission of a NIDEK autorefractor, decoded without an answer.
pub fn frame() -> Vec<u8> {
    fixture("nidek_ark/01_full.raw")
}

pub fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../device-drivers/fixtures").join(name);
    std::fs::read(path).unwrap()
}

/// A key for tests that open a store by themselves.
pub fn key() -> Key {
    Key::from_bytes(&[7; 32])
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks again until there is an answer.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A running gateway with one link.
pub struct Gateway {
    pub data_dir: PathBuf,
    stop: CancellationToken,
    task: JoinHandle<Result<(), supervisor::RunError>>,
}

impl Gateway {
    pub fn start(data_dir: &Path, link: &str) -> Self {
        let text = format!(
            "data_dir = \"{}\"\n[uplink]\ntelemetry_interval_s = 1\n[[link]]\nid = \"ark\"\n\
             lane = \"lane-1\"\n{link}\n",
            data_dir.display()
        );
        let config = config::parse(&data_dir.join("test.toml"), &text).unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(supervisor::run(config, stop.clone()));
        Self { data_dir: data_dir.into(), stop, task }
    }

    /// A link that waits for calls.
    pub fn with_tcp_server(data_dir: &Path, port: u16) -> Self {
        let link =
            format!("driver = \"nidek_ark\"\n[link.tcp_server]\nlisten = \"127.0.0.1:{port}\"");
        Self::start(data_dir, &link)
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Stops in the middle of everything, as a kill would.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub async fn spool(&self) -> Option<SpoolState> {
        spool::inspect(&self.data_dir.join("spool")).await.ok()
    }

    pub async fn until_spooled(&self, last_seq: u64) -> SpoolState {
        until("the spool to have it", async || {
            self.spool().await.filter(|state| state.last_seq >= last_seq)
        })
        .await
    }
}

pub async fn call(port: u16) -> TcpStream {
    until("the link to take a call", async || TcpStream::connect(("127.0.0.1", port)).await.ok())
        .await
}

pub async fn send(port: u16, bytes: &[u8]) -> TcpStream {
    let mut stream = call(port).await;
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
    stream
}
