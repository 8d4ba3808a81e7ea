//! A full disk stops nothing for good: the gateway waits, says so, and goes on.

mod support;

use chiasm_proto::fleet::SpoolState;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use support::{frame, free_port, send, until};
use tokio::io::AsyncWriteExt;

/// A gateway whose data directory is a file system of its own, of 3 MiB.
struct Process {
    child: Child,
    log: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(config: &Path, disk: &Path, log: &Path) -> Self {
        let script = "mount -t tmpfs -o size=3m tmpfs \"$1\" && exec \"$2\" --config \"$3\" run";
        let child = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
            .arg(disk)
            .arg(env!("CARGO_BIN_EXE_chiasm-gateway"))
            .arg(config)
            .stdout(Stdio::null())
            .stderr(fs::File::create(log).unwrap())
            .spawn()
            .expect("unshare is installed (apt-get install util-linux)");
        Self { child, log: log.into() }
    }

    /// The disk as the gateway sees it.
    fn inside(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        root.join(path.strip_prefix("/").unwrap())
    }

    fn has_logged(&self, words: &str) -> Option<()> {
        fs::read_to_string(&self.log).unwrap().contains(words).then_some(())
    }

    /// Asked inside: SQLite would resolve the path to our own file system.
    async fn last_seq(&self, config: &Path) -> Option<u64> {
        let output = tokio::process::Command::new("nsenter")
            .args(["--user", "--mount", "--preserve-credentials", "--target"])
            .arg(self.child.id().to_string())
            .arg(env!("CARGO_BIN_EXE_chiasm-gateway"))
            .arg("--config")
            .arg(config)
            .args(["spool", "status", "--json"])
            .output()
            .await
            .expect("nsenter is installed (apt-get install util-linux)");
        let state: SpoolState = serde_json::from_slice(&output.stdout).ok()?;
        Some(state.last_seq)
    }
}

fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
}

#[tokio::test]
async fn reading_goes_on_when_there_is_room_again() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let port = free_port();
    let config = dir.path().join("gateway.toml");
    let text = format!(
        "data_dir = \"{}\"\n[[link]]\nid = \"ark\"\nlane = \"lane-1\"\ndriver = \"nidek_ark\"\n\
         [link.tcp_server]\nlisten = \"127.0.0.1:{port}\"\n",
        disk.join("data").display()
    );
    fs::write(&config, text).unwrap();
    let mut process = Process::start(&config, &disk, &dir.path().join("log"));
    let mut stream = send(port, &frame()).await;
    until("the first reading", async || {
        process.last_seq(&config).await.filter(|last_seq| *last_seq == 1)
    })
    .await;
    let filler = process.inside(&disk.join("filler"));
    fill(&filler);
    for _ in 0..20 {
        stream.write_all(&frame()).await.unwrap();
    }
    until("the gateway to say so", async || {
        process
            .has_logged("the spool waits and tries again")
            .or_else(|| process.has_logged("reading waits"))
    })
    .await;
    assert!(process.child.try_wait().unwrap().is_none(), "the gateway has ended");
    fs::remove_file(&filler).unwrap();
    until("all readings", async || {
        process.last_seq(&config).await.filter(|last_seq| *last_seq == 21)
    })
    .await;
    drop(stream);
}
