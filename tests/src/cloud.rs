//! A cloud core as a child process, set up with its own commands.

use crate::{
    net,
    process::{self, Process},
    story, wait,
};
use anyhow::{Context, Result};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

/// The practice that the simulated clinic belongs to.
pub const TENANT: &str = "acme";

/// What a cloud is set up with beyond its defaults.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Database; SQLite in the data folder if absent.
    pub store_url: Option<String>,
    /// Broker elsewhere; the embedded one if absent.
    pub broker_port: Option<u16>,
    /// An address of this machine beside loopback by which gateways reach it.
    pub host: Option<String>,
}

/// A cloud core. Dropped, it is killed.
pub struct Cloud {
    program: PathBuf,
    folder: PathBuf,
    config: PathBuf,
    log: PathBuf,
    store_url: String,
    http_port: u16,
    endpoint_port: u16,
    broker_port: u16,
    process: Option<Process>,
}

impl Cloud {
    /// Writes the configuration and makes the database; starts nothing.
    pub fn new(folder: &Path, setup: &Setup) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let [http_port, endpoint_port, own_broker_port] = net::free_ports()?;
        let data = folder.join("data");
        let default_url = || format!("sqlite:{}", data.join("chiasm.db").display());
        let store_url = setup.store_url.clone().unwrap_or_else(default_url);
        let broker_port = setup.broker_port.unwrap_or(own_broker_port);
        let at = if setup.host.is_some() { "0.0.0.0" } else { "127.0.0.1" };
        let host = setup.host.as_ref().map(|host| format!(", \"{host}\"")).unwrap_or_default();
        let broker = match setup.broker_port {
            Some(port) => format!("url = \"mqtts://localhost:{port}\""),
            None => format!("listen = \"{at}:{broker_port}\""),
        };
        let text = format!(
            "data_dir = \"{}\"\n\n\
             [http]\nlisten = \"127.0.0.1:{http_port}\"\n\n\
             [gateway_endpoint]\nlisten = \"{at}:{endpoint_port}\"\n\
             names = [\"localhost\", \"127.0.0.1\"{host}]\n\n\
             [store]\nurl = \"{store_url}\"\n\n\
             [broker]\n{broker}\n",
            data.display()
        );
        let config = folder.join("cloud.toml");
        fs::write(&config, text)?;
        let cloud = Self {
            program: process::binary("chiasm-cloud")?,
            folder: folder.into(),
            config,
            log: story::new_log("cloud")?,
            store_url,
            http_port,
            endpoint_port,
            broker_port,
            process: None,
        };
        cloud.run(&["migrate"])?;
        Ok(cloud)
    }

    pub fn http_port(&self) -> u16 {
        self.http_port
    }
    pub fn endpoint_port(&self) -> u16 {
        self.endpoint_port
    }
    pub fn broker_port(&self) -> u16 {
        self.broker_port
    }
    pub fn store_url(&self) -> &str {
        &self.store_url
    }
    pub fn config(&self) -> &Path {
        &self.config
    }
    pub fn folder(&self) -> &Path {
        &self.folder
    }
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&self.config).env("CHIASM_LOG", "info,rmqtt=warn,sqlx=warn");
        command
    }

    /// Runs one of the cloud's commands and gives back what it prints.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        let mut command = self.command();
        command.args(args);
        process::output(command)
    }

    /// Runs one of the cloud's commands that prints JSON.
    pub fn run_json(&self, args: &[&str]) -> Result<Value> {
        let text = self.run(args)?;
        serde_json::from_str(&text).with_context(|| format!("{args:?} prints no JSON: {text}"))
    }

    /// Starts `serve` without waiting for anything.
    pub fn launch(&mut self) -> Result<()> {
        let mut command = self.command();
        command.arg("serve");
        self.process = Some(Process::start_with_log("cloud", command, self.log.clone())?);
        Ok(())
    }

    /// Starts `serve` and waits until it says that it is ready.
    pub async fn start(&mut self) -> Result<()> {
        self.launch()?;
        self.ready().await
    }

    /// Waits until the cloud says it is ready and gateways can enrol.
    pub async fn ready(&mut self) -> Result<()> {
        let url = format!("http://127.0.0.1:{}/readyz", self.http_port);
        let client = reqwest::Client::new();
        let process = self.process.as_mut().context("the cloud is not running")?;
        wait::until("the cloud to be ready", wait::USUAL_MAX, async || {
            process.check_running()?;
            let answer = client.get(&url).send().await;
            let is_up = answer.is_ok_and(|answer| answer.status().is_success());
            Ok((is_up && net::is_listening(self.endpoint_port)).then_some(()))
        })
        .await
    }

    pub fn process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the cloud is not running")
    }
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        let mut process = self.process.take().context("the cloud is not running")?;
        process.stop().await
    }
}
