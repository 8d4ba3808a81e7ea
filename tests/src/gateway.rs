//! A gateway as a child process, with the links that its instruments are attached to.

use crate::{
    mqtt::Identity,
    process::{self, Process},
    story, wait,
};
use anyhow::{Context, Result};
use chiasm_gateway::journal;
use serde_json::Value;
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

/// A link as the configuration names it.
#[derive(Debug, Clone)]
pub struct Link {
    pub id: String,
    pub lane: String,
    pub driver: String,
    pub model: Option<String>,
    pub listen_only: bool,
    pub endpoint: Endpoint,
}

/// Where the gateway finds the instrument.
#[derive(Debug, Clone)]
pub enum Endpoint {
    Serial(PathBuf),
    TcpClient(u16),
    TcpServer(u16),
    Folder(PathBuf),
}

/// The imagers of a gateway, and where they find it.
#[derive(Debug, Clone)]
pub struct Imaging {
    pub port: u16,
    /// Link, lane and AE title of each.
    pub imagers: Vec<(String, String, String)>,
}

/// A gateway. Dropped, it is killed.
pub struct Gateway {
    pub id: String,
    program: PathBuf,
    folder: PathBuf,
    log: PathBuf,
    links: Vec<Link>,
    imaging: Option<Imaging>,
    /// Where it runs, if not in the network of this machine.
    namespace: Option<String>,
    /// Where its own page listens, if it has one.
    page_port: Option<u16>,
    process: Option<Process>,
}

impl Gateway {
    /// Writes the configuration; starts nothing.
    pub fn new(folder: &Path, id: &str, links: Vec<Link>) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let gateway = Self {
            id: id.into(),
            program: process::binary("chiasm-gateway")?,
            folder: folder.into(),
            log: story::new_log(id)?,
            links,
            imaging: None,
            namespace: None,
            page_port: None,
            process: None,
        };
        fs::write(gateway.config_path(), gateway.config_text()?)?;
        Ok(gateway)
    }

    /// Lets imagers call it; before it is started.
    pub fn let_call(&mut self, imaging: Imaging) -> Result<()> {
        self.imaging = Some(imaging);
        Ok(fs::write(self.config_path(), self.config_text()?)?)
    }

    /// Gives it a page of its own, which takes work one second after the cloud is gone; before it is
    /// started.
    pub fn serve_page(&mut self, port: u16) -> Result<()> {
        self.page_port = Some(port);
        Ok(fs::write(self.config_path(), self.config_text()?)?)
    }

    /// Lets it reach its broker by another port, such as that of a connection that can be cut; after
    /// it is enrolled.
    pub fn reach_broker_by(&self, port: u16) -> Result<()> {
        let path = self.data_dir().join("identity").join("identity.json");
        let mut identity: Value = serde_json::from_slice(&fs::read(&path)?)?;
        identity["broker_url"] = format!("mqtts://localhost:{port}").into();
        Ok(fs::write(&path, serde_json::to_vec(&identity)?)?)
    }

    pub fn links(&self) -> &[Link] {
        &self.links
    }
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }
    pub fn config_path(&self) -> PathBuf {
        self.folder.join("gateway.toml")
    }

    fn config_text(&self) -> Result<String> {
        let mut text = format!(
            "data_dir = \"{}\"\n\n[uplink]\ntelemetry_interval_s = 1\n",
            self.data_dir().display()
        );
        for link in &self.links {
            write!(
                text,
                "\n[[link]]\nid = \"{}\"\nlane = \"{}\"\ndriver = \"{}\"\n",
                link.id, link.lane, link.driver
            )?;
            if let Some(model) = &link.model {
                writeln!(text, "model = \"{model}\"")?;
            }
            if link.listen_only {
                writeln!(text, "listen_only = true")?;
            }
            text.push_str(&endpoint_text(&link.endpoint));
        }
        if let Some(imaging) = &self.imaging {
            write!(text, "\n[dicom]\nlisten = \"127.0.0.1:{}\"\n", imaging.port)?;
            for (id, lane, ae) in &imaging.imagers {
                write!(
                    text,
                    "\n[[imager]]\nid = \"{id}\"\nlane = \"{lane}\"\ncalling_ae = \"{ae}\"\n"
                )?;
            }
        }
        if let Some(port) = self.page_port {
            write!(text, "\n[lane_page]\nlisten = \"127.0.0.1:{port}\"\noffline_after_s = 1\n")?;
        }
        Ok(text)
    }

    pub fn command(&self) -> Command {
        let mut command = match &self.namespace {
            None => Command::new(&self.program),
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(&self.program);
                command
            }
        };
        command.arg("--config").arg(self.config_path()).env("CHIASM_LOG", LOG);
        command
    }

    /// Runs one of the gateway's commands and gives back what it prints.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        let mut command = self.command();
        command.args(args);
        process::output(command)
    }

    /// Gets the gateway's certificate with a claim code.
    pub fn enrol(&self, endpoint_port: u16, claim: &Claim) -> Result<()> {
        self.enrol_at("localhost", endpoint_port, claim)
    }

    /// The same, with the cloud by another name.
    pub fn enrol_at(&self, host: &str, endpoint_port: u16, claim: &Claim) -> Result<()> {
        let cloud = format!("https://{host}:{endpoint_port}");
        let authority = claim.authority_sha256.as_str();
        let code = claim.code.as_str();
        self.run(&["enrol", "--cloud", &cloud, "--authority-sha256", authority, "--code", code])?;
        Ok(())
    }

    /// Puts every further command of it into a network of its own.
    pub fn move_into(&mut self, namespace: &str) {
        self.namespace = Some(namespace.into());
    }

    /// Makes the gateway reach the cloud by other ports or another name.
    pub fn reach_cloud_by(&self, host: &str, broker_port: u16, endpoint_port: u16) -> Result<()> {
        let file = self.data_dir().join("identity").join("identity.json");
        let mut identity: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
        identity["broker_url"] = format!("mqtts://{host}:{broker_port}").into();
        identity["cloud_url"] = format!("https://{host}:{endpoint_port}").into();
        Ok(fs::write(file, identity.to_string())?)
    }

    /// The certificate that enrolment left, for a bare client in the gateway's name.
    pub fn identity(&self) -> Result<Identity> {
        let file = |name: &str| self.data_dir().join("identity").join(name);
        Identity::read(&self.id, &file("authority.pem"), &file("certificate.pem"), &file("key.pem"))
    }

    /// What the spool says about itself.
    pub fn spool(&self) -> Result<Value> {
        let text = self.run(&["spool", "status", "--json"])?;
        serde_json::from_str(&text).with_context(|| format!("spool status prints no JSON: {text}"))
    }

    /// Waits until the link's journal holds at least so many bytes: they can no longer be lost.
    pub async fn has_journaled(&self, link: &str, len: usize) -> Result<()> {
        let folder = self.data_dir().join("journal");
        let begin = format!("{link}.");
        let least = u64::try_from(journal::HEADER_LEN + len)?;
        let what = format!("{len} bytes in the journal of {link}");
        wait::until(&what, wait::USUAL_MAX, async || {
            let mut held = 0;
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_name().to_string_lossy().starts_with(&begin) {
                    held += entry.metadata()?.len();
                }
            }
            Ok((held >= least).then_some(()))
        })
        .await
    }

    /// How many documents the cloud has not acknowledged.
    pub fn waiting(&self) -> Result<u64> {
        let spool = self.spool()?;
        spool["depth"].as_u64().with_context(|| format!("no depth in {spool}"))
    }

    pub fn launch(&mut self) -> Result<()> {
        let mut command = self.command();
        command.arg("run");
        self.process = Some(Process::start_with_log(&self.id, command, self.log.clone())?);
        Ok(())
    }

    /// Starts the gateway and waits until it reads its links.
    pub async fn start(&mut self) -> Result<()> {
        let seen = self.log().len();
        self.launch()?;
        let links = self.links.len() + self.imaging.as_ref().map_or(0, |it| it.imagers.len());
        let log = self.log.clone();
        let process = self.process.as_mut().context("the gateway was just started")?;
        wait::until("the gateway to be ready", wait::USUAL_MAX, async || {
            process.check_running()?;
            let text = fs::read(&log).unwrap_or_default();
            let text = String::from_utf8_lossy(text.get(seen..).unwrap_or_default()).into_owned();
            let up = text.lines().filter(|line| line.contains(LINK_UP)).count();
            Ok((up >= links).then_some(()))
        })
        .await
    }

    /// How often the cloud has told this gateway the open lane sessions.
    pub fn sessions_told(&self) -> usize {
        self.log().matches(SESSIONS_TOLD).count()
    }

    /// Everything that the gateway has logged, over all its starts.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }
    pub fn process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the gateway is not running")
    }
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        let mut process = self.process.take().context("the gateway is not running")?;
        process.stop().await
    }
}

/// Enough to see that lane sessions have arrived.
const LOG: &str = "info,chiasm_gateway=debug,rumqttc=error,sqlx=warn";
/// What the gateway logs when the cloud has told it who is in which lane.
const SESSIONS_TOLD: &str = "the cloud told the open lane sessions";
/// What the gateway logs once for each link that it begins to read.
const LINK_UP: &str = "link is up";

/// What `admin gateway add` gives out.
#[derive(Debug, Clone)]
pub struct Claim {
    pub code: String,
    pub authority_sha256: String,
}

fn endpoint_text(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Serial(path) => format!("[link.serial]\nport = \"{}\"\n", path.display()),
        Endpoint::TcpClient(port) => {
            format!("[link.tcp_client]\naddress = \"127.0.0.1:{port}\"\n")
        }
        Endpoint::TcpServer(port) => format!("[link.tcp_server]\nlisten = \"127.0.0.1:{port}\"\n"),
        Endpoint::Folder(path) => format!("[link.folder]\npath = \"{}\"\n", path.display()),
    }
}
