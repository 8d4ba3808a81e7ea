//! The harness itself: what the other tests stand on.

use chiasm_testbed::{
    browser::Browser, postgres::Postgres, process::Process, pty::Pty, story::story, wait,
};
use std::{process::Command, time::Duration};
use tokio::io::AsyncReadExt;

#[test]
fn a_line_carries_every_byte_both_ways() {
    story("pty", async {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("line");
        let pty = Pty::plug_in(&path)?;
        let bytes: Vec<u8> = (0..=255).collect();
        pty.write_all(&bytes).await?;
        let mut gateway_side = tokio::fs::OpenOptions::new().read(true).open(&path).await?;
        let mut got = vec![0; 256];
        gateway_side.read_exact(&mut got).await?;
        assert_eq!(got, bytes);
        pty.pull_out()?;
        assert!(!path.exists());
        Ok(())
    });
}

#[test]
fn a_cluster_of_postgresql_starts_and_answers() {
    story("postgres", async {
        let cluster = Postgres::start().await?;
        let url = cluster.create_database("one")?;
        assert!(url.ends_with("/one"), "{url}");
        assert_eq!(cluster.sql("one", "SHOW synchronous_commit")?.trim(), "on");
        assert_eq!(cluster.sql("one", "SHOW fsync")?.trim(), "on");
        Ok(())
    });
}

#[test]
fn a_browser_opens_a_page_and_runs_its_scripts() {
    story("browser", async {
        let browser = Browser::start().await?;
        browser
            .open("data:text/html,<p id=a>before</p><script>a.textContent='after'</script>")
            .await?;
        browser.shows("#a", "after", wait::USUAL_MAX).await
    });
}

#[test]
fn a_dropped_process_is_gone() {
    story("process", async {
        let mut command = Command::new("sleep");
        command.arg("1000");
        let mut process = Process::start("sleep", command)?;
        assert!(process.is_running());
        let pid = process.pid();
        drop(process);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
        let mut command = Command::new("sh");
        command.args(["-c", "echo ready; exit 3"]);
        let mut process = Process::start("sh", command)?;
        let status = process.exit(Duration::from_secs(10)).await?;
        assert_eq!(status.code(), Some(3));
        assert_eq!(process.log(), "ready\n");
        Ok(())
    });
}
