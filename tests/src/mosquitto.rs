//! Mosquitto in the place of a broker that runs beside the cloud: mutual TLS, one listener.

use crate::{
    net,
    process::{Process, system_program},
    story, wait,
};
use anyhow::Result;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What is deployed: only port and paths are others here.
const CONFIG: &str = include_str!("../../deploy/broker/mosquitto/mosquitto.conf");
const ACL: &str = include_str!("../../deploy/broker/mosquitto/acl");

/// A broker. Dropped, it is killed.
pub struct Mosquitto {
    process: Option<Process>,
    port: u16,
    config: PathBuf,
    log: PathBuf,
}

/// PEM files that the broker is given.
pub struct Certificates<'a> {
    pub authority: &'a Path,
    pub certificate: &'a Path,
    pub key: &'a Path,
    /// Common name of the cloud's own certificate, which may read and write everything of ours.
    pub cloud_name: &'a str,
}

/// Started as root, Mosquitto would become another user, who cannot read our folders.
fn stay_root() -> &'static str {
    if rustix::process::geteuid().is_root() { "user root\n" } else { "" }
}

impl Mosquitto {
    pub fn port(&self) -> u16 {
        self.port
    }

    pub async fn start(folder: &Path, port: u16, it: &Certificates<'_>) -> Result<Self> {
        let config = folder.join("mosquitto.conf");
        let acl = folder.join("mosquitto.acl");
        fs::write(&acl, ACL.replace("user chiasm-cloud\n", &format!("user {}\n", it.cloud_name)))?;
        let mut text = CONFIG.replace("listener 8883\n", &format!("listener {port} 127.0.0.1\n"));
        for (deployed, ours) in [
            ("authority.pem", it.authority),
            ("broker.pem", it.certificate),
            ("broker.key", it.key),
            ("acl", &acl),
        ] {
            let deployed = format!("/etc/mosquitto/chiasm/{deployed}\n");
            anyhow::ensure!(text.contains(&deployed), "mosquitto.conf names no {deployed}");
            text = text.replace(&deployed, &format!("{}\n", ours.display()));
        }
        fs::write(&config, text + stay_root())?;
        let log = story::new_log("mosquitto")?;
        let mut broker = Self { process: None, port, config, log };
        broker.start_again().await?;
        Ok(broker)
    }

    /// `kill -9`: everything the broker had in memory is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }

    pub async fn start_again(&mut self) -> Result<()> {
        let mut command = Command::new(system_program("mosquitto", "mosquitto")?);
        command.arg("-v").arg("-c").arg(&self.config);
        let mut process = Process::start_with_log("mosquitto", command, self.log.clone())?;
        wait::until("mosquitto to listen", wait::USUAL_MAX, async || {
            process.check_running()?;
            Ok(net::is_listening(self.port).then_some(()))
        })
        .await?;
        self.process = Some(process);
        Ok(())
    }
}
