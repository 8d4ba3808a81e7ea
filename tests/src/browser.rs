//! A real browser without a screen, driven through chromedriver.

use crate::{
    net,
    process::{Process, system_program},
    wait,
};
use anyhow::{Context, Result, bail};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process};
use std::{process::Command, time::Duration};
use tempfile::TempDir;

/// What keeps the browser small, silent on the network, and able to run as any user.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

/// A browser with an empty profile. Dropped, it is killed.
pub struct Browser {
    client: Client,
    _driver: Process,
    profile: TempDir,
}

impl Browser {
    pub async fn start() -> Result<Self> {
        let driver = system_program("chromedriver", "chromium-driver")?;
        let browser = system_program("chromium", "chromium")?;
        let profile = tempfile::Builder::new().prefix("chiasm-browser-").tempdir()?;
        let [port] = net::free_ports()?;
        let mut command = Command::new(driver);
        command.arg(format!("--port={port}")).env("TMPDIR", profile.path());
        let mut driver = Process::start("chromedriver", command)?;
        wait::until("chromedriver to listen", wait::USUAL_MAX, async || {
            driver.check_running()?;
            Ok(net::is_listening(port).then_some(()))
        })
        .await?;
        let mut args: Vec<String> = FLAGS.iter().map(ToString::to_string).collect();
        args.push(format!("--user-data-dir={}", profile.path().join("profile").display()));
        args.push("--window-size=1280,1000".into());
        let capabilities = serde_json::json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "args": args, "binary": browser },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let serde_json::Value::Object(capabilities) = capabilities else {
            bail!("capabilities are an object")
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .context("chromium does not start")?;
        Ok(Self { client, _driver: driver, profile })
    }

    /// The WebDriver client, for what the methods here do not cover.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub async fn open(&self, url: &str) -> Result<()> {
        Ok(self.client.goto(url).await?)
    }

    /// Types into the field that a CSS selector names.
    pub async fn fill(&self, selector: &str, text: &str) -> Result<()> {
        let field = self.find(selector).await?;
        field.clear().await?;
        Ok(field.send_keys(text).await?)
    }

    pub async fn click(&self, selector: &str) -> Result<()> {
        Ok(self.find(selector).await?.click().await?)
    }

    async fn find(&self, selector: &str) -> Result<fantoccini::elements::Element> {
        let found = self.client.find(Locator::Css(selector)).await;
        found.with_context(|| format!("the page has no `{selector}`"))
    }

    /// Waits until the element's visible text holds what is expected, without a reload.
    pub async fn shows(&self, selector: &str, text: &str, within: Duration) -> Result<()> {
        let what = format!("`{selector}` to show `{text}`");
        let shown = wait::until(&what, within, async || {
            let found = self.client.find_all(Locator::Css(selector)).await?;
            for element in found {
                // An element that the page replaced meanwhile is looked at again next time.
                if element.text().await.is_ok_and(|shown| shown.contains(text)) {
                    return Ok(Some(()));
                }
            }
            Ok(None)
        })
        .await;
        if let Err(error) = shown {
            let body = self.client.find(Locator::Css("body")).await?.text().await?;
            let url = self.client.current_url().await?;
            bail!("{error}; {url} shows:\n{body}");
        }
        Ok(())
    }

    /// Runs a script in the page and gives back what it returns.
    pub async fn script(&self, script: &str) -> Result<serde_json::Value> {
        Ok(self.client.execute(script, vec![]).await?)
    }
}

impl Drop for Browser {
    /// The driver is killed without a word and would leave the browser behind, which is known by
    /// its profile.
    fn drop(&mut self) {
        let profile = self.profile.path().as_os_str().as_encoded_bytes();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(pid) = pid.and_then(Pid::from_raw)
                && arguments.windows(profile.len()).any(|window| window == profile)
            {
                // It may have ended already, which is what we want.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}
