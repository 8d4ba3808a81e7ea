//! A real browser without a screen, driven through chromedriver.

use crate::{
    net,
    process::{Process, system_program},
    wait,
};
use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions},
    elements::Element,
};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
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

/// How long an element may take to be there and free to be used: a page that is followed live
/// replaces its parts at any moment.
const USABLE_MAX: Duration = Duration::from_secs(10);

/// Highest picture of a page, in CSS pixels.
const PICTURE_HEIGHT_MAX: u64 = 12_000;

/// A browser with an empty profile. Dropped, it is killed.
pub struct Browser {
    client: Client,
    driver_port: u16,
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
        Ok(Self { client, driver_port: port, _driver: driver, profile })
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
        self.with(selector, "be typed into", async |field| {
            field.clear().await?;
            Ok(field.send_keys(text).await?)
        })
        .await
    }

    /// Clicks what a CSS selector names, as soon as it can be clicked.
    pub async fn click(&self, selector: &str) -> Result<()> {
        self.with(selector, "be clicked", async |element| {
            // As people do: what stays on top of a page may lie over its upper edge.
            let it = vec![serde_json::to_value(&element)?];
            self.client.execute("arguments[0].scrollIntoView({ block: 'center' })", it).await?;
            Ok(element.click().await?)
        })
        .await
    }

    /// Chooses an option of a list by its value.
    pub async fn choose(&self, selector: &str, value: &str) -> Result<()> {
        self.with(selector, "be chosen from", async |element| {
            Ok(element.select_by_value(value).await?)
        })
        .await
    }

    /// Opens what is folded away, if it is.
    pub async fn unfold(&self, selector: &str) -> Result<()> {
        if !self.has(&format!("{selector}[open]")).await? {
            self.click(&format!("{selector} > summary")).await?;
        }
        Ok(())
    }

    /// Types into whatever has the focus, as fast as a barcode scanner does.
    pub async fn type_blindly(&self, text: &str) -> Result<()> {
        let mut keys = KeyActions::new("keyboard".into());
        for value in text.chars() {
            keys = keys.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        }
        Ok(self.client.perform_actions(keys).await?)
    }

    pub async fn has(&self, selector: &str) -> Result<bool> {
        Ok(!self.client.find_all(Locator::Css(selector)).await?.is_empty())
    }

    /// The visible text of the first element that a selector names.
    pub async fn text(&self, selector: &str) -> Result<String> {
        self.with(selector, "be read", async |element| Ok(element.text().await?)).await
    }

    /// Tries until the element is there and lets it be done. What failed was not done.
    async fn with<T>(
        &self,
        selector: &str,
        what: &str,
        act: impl AsyncFn(Element) -> Result<T>,
    ) -> Result<T> {
        let mut last = None;
        let what = format!("`{selector}` to {what}");
        let done = wait::until(&what, USABLE_MAX, async || {
            let attempt = async { act(self.find(selector).await?).await };
            match attempt.await {
                Ok(done) => Ok(Some(done)),
                Err(error) => {
                    last = Some(error);
                    Ok(None)
                }
            }
        })
        .await;
        match (done, last) {
            (Err(error), Some(last)) => Err(last.context(error.to_string())),
            (done, _) => done,
        }
    }

    async fn find(&self, selector: &str) -> Result<Element> {
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

    /// Waits until no such element shows the text any more.
    pub async fn lacks(&self, selector: &str, text: &str, within: Duration) -> Result<()> {
        wait::until(&format!("`{selector}` to lose `{text}`"), within, async || {
            for element in self.client.find_all(Locator::Css(selector)).await? {
                if element.text().await.map_or(true, |shown| shown.contains(text)) {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await
    }

    /// One command of the browser's own protocol, for what WebDriver has no words for.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Result<Value> {
        let body = json!({ "cmd": command, "params": parameters });
        self.ask_driver("goog/cdp/execute", body).await.with_context(|| command.to_owned())
    }

    /// What the browser has complained about since it was last asked: scripts that failed, files
    /// that are missing, what the page's own policy forbids.
    pub async fn complaints(&self) -> Result<Vec<String>> {
        let log = self.ask_driver("se/log", json!({ "type": "browser" })).await?;
        let is_severe = |entry: &&Value| entry["level"] == "SEVERE";
        let entries = log.as_array().context("the log is a list")?.iter().filter(is_severe);
        Ok(entries.map(|entry| entry["message"].to_string()).collect())
    }

    async fn ask_driver(&self, what: &str, body: Value) -> Result<Value> {
        let session = self.client.session_id().await?.context("the browser has a session")?;
        let origin = format!("http://127.0.0.1:{}", self.driver_port);
        let url = format!("{origin}/session/{session}/{what}");
        let answer = reqwest::Client::new().post(url).json(&body).send().await?;
        let mut answer: Value = answer.json().await?;
        match answer["value"].take() {
            value if value.get("error").is_some() => bail!("{value}"),
            value => Ok(value),
        }
    }

    /// A script that runs on every page from now on, before the page's own.
    pub async fn before_each_page(&self, source: &str) -> Result<()> {
        let source = json!({ "source": source });
        self.devtools("Page.addScriptToEvaluateOnNewDocument", source).await.map(drop)
    }

    /// What the system of whoever looks prefers: `light` or `dark`.
    pub async fn prefer_colours(&self, scheme: &str) -> Result<()> {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let media = json!({ "features": features });
        self.devtools("Emulation.setEmulatedMedia", media).await.map(drop)
    }

    /// Makes the window another one, in CSS pixels.
    pub async fn resize(&self, width: u32, height: u32) -> Result<()> {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await.map(drop)
    }

    /// The whole page as a PNG, at a width of the window.
    pub async fn picture(&self, width: u32, height_min: u32) -> Result<Vec<u8>> {
        self.resize(width, height_min).await?;
        let height = self.script("return document.documentElement.scrollHeight").await?;
        let height = height.as_u64().context("a page has a height")?.min(PICTURE_HEIGHT_MAX);
        self.resize(width, height_min.max(u32::try_from(height)?)).await?;
        let picture = self.devtools("Page.captureScreenshot", json!({ "format": "png" })).await?;
        let text = picture["data"].as_str().context("the answer is a picture")?;
        Ok(STANDARD.decode(text)?)
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
