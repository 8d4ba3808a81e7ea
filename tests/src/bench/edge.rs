//! A gateway as it is shipped, but for its log, which tells when things happened.

use crate::{gateway::Gateway, process::Process, wait};
use anyhow::{Context, Result};
use jiff::Timestamp;
use std::{fs, time::Duration};

/// Seconds between two telemetry documents, as by default.
const TELEMETRY_INTERVAL_S: u32 = 30;
/// What the gateway logs when a link is read, and when the broker has taken its birth.
const LINK_UP: &str = "link is up";
const ONLINE: &str = "online";

/// A running gateway. Dropped, it is killed.
pub struct Edge {
    pub process: Process,
    /// From before the exec until every link was read and the gateway online, by its own log.
    pub ready_after: Duration,
}

impl Edge {
    /// Starts an enrolled gateway and waits until it is ready.
    pub async fn start(gateway: &Gateway, log_filter: &str) -> Result<Self> {
        set_telemetry_interval(gateway)?;
        let mut command = gateway.command();
        command.arg("run").env("CHIASM_LOG", log_filter);
        let links = gateway.links().len();
        let before = Timestamp::now();
        let mut process = Process::start(&gateway.id, command)?;
        let ready = wait::until("the gateway to be ready", wait::USUAL_MAX, async || {
            process.check_running()?;
            let log = process.log();
            let (up, online) = (moments(&log, LINK_UP), moments(&log, ONLINE));
            let is_ready = up.len() >= links && !online.is_empty();
            Ok(if is_ready { up.into_iter().chain(online).max() } else { None })
        })
        .await?;
        Ok(Self { process, ready_after: ready.duration_since(before).try_into()? })
    }
}

/// The harness lets its gateways tell every second, for tests that watch them.
fn set_telemetry_interval(gateway: &Gateway) -> Result<()> {
    let path = gateway.config_path();
    let text = fs::read_to_string(&path)?;
    let line = text.lines().find(|line| line.starts_with("telemetry_interval_s"));
    let line = line.context("the configuration has no telemetry_interval_s")?;
    let shipped = format!("telemetry_interval_s = {TELEMETRY_INTERVAL_S}");
    Ok(fs::write(&path, text.replace(line, &shipped))?)
}

/// When each line that holds a text was written.
fn moments(log: &str, text: &str) -> Vec<Timestamp> {
    super::gateway_log::moments(log, text)
}
