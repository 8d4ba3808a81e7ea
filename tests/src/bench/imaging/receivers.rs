//! Our gateway and its peers, each as it is installed, storing on the same disk.

use crate::{
    net,
    process::{self, Process},
    wait,
};
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `storescp +B`: bytes as received, no hash, no sync, no index. The floor.
    Dcmtk,
    Chiasm,
    Pynetdicom,
    Orthanc,
}

impl Kind {
    /// The floor first.
    pub const ALL: [Self; 4] = [Self::Dcmtk, Self::Chiasm, Self::Pynetdicom, Self::Orthanc];

    pub fn title(self) -> &'static str {
        match self {
            Self::Dcmtk => "dcmtk storescp +B",
            Self::Chiasm => "our gateway",
            Self::Pynetdicom => "pynetdicom storescp",
            Self::Orthanc => "Orthanc",
        }
    }

    pub fn install(self) -> &'static str {
        match self {
            Self::Dcmtk => "apt-get install dcmtk",
            Self::Chiasm => "make build",
            Self::Pynetdicom => "tests/pynetdicom/install.sh",
            Self::Orthanc => "apt-get install orthanc",
        }
    }

    /// None if it is not there.
    fn command(self, folder: &Path, port: u16) -> Result<Option<Command>> {
        let store = folder.join("store");
        fs::create_dir_all(&store)?;
        let mut command = match self {
            Self::Dcmtk => {
                let mut command = Command::new("/usr/bin/storescp");
                command.args(["+B", "-od"]).arg(&store).arg(port.to_string());
                command
            }
            Self::Chiasm => return gateway(folder, port).map(Some),
            Self::Pynetdicom => {
                let here = concat!(env!("CARGO_MANIFEST_DIR"), "/../target");
                let target = std::env::var("CARGO_TARGET_DIR").unwrap_or(here.into());
                let python = PathBuf::from(target).join("pynetdicom/bin/python");
                let mut command = Command::new(python);
                command.args(["-m", "pynetdicom", "storescp", &port.to_string(), "-od"]);
                command.arg(&store);
                command
            }
            Self::Orthanc => {
                let [http] = net::free_ports()?;
                let config = serde_json::json!({
                    "DicomPort": port, "HttpPort": http, "StorageDirectory": store,
                    "IndexDirectory": folder.join("index"), "StorageCompression": false,
                    "DicomCheckCalledAet": false, "DicomAlwaysAllowStore": true,
                    "RemoteAccessAllowed": false,
                });
                fs::write(folder.join("orthanc.json"), config.to_string())?;
                let mut command = Command::new("/usr/sbin/Orthanc");
                command.arg(folder.join("orthanc.json"));
                command
            }
        };
        command.current_dir(folder);
        let is_there = Path::new(command.get_program()).exists();
        Ok(is_there.then_some(command))
    }
}

fn gateway(folder: &Path, port: u16) -> Result<Command> {
    let config = folder.join("gateway.toml");
    let text = format!(
        "data_dir = {:?}\n[dicom]\nlisten = \"127.0.0.1:{port}\"\n\
         [[imager]]\nid = \"oct-1\"\nlane = \"imaging\"\ncalling_ae = \"OCT\"\n",
        folder.join("data")
    );
    fs::write(&config, text)?;
    let mut command = Command::new(process::binary("chiasm-gateway")?);
    command.arg("--config").arg(config).arg("run");
    Ok(command)
}

/// A receiver that listens. Dropped, it is killed.
pub struct Receiver {
    kind: Kind,
    folder: PathBuf,
    pub port: u16,
    process: Process,
}

impl Receiver {
    pub async fn start(kind: Kind, folder: &Path) -> Result<Option<Self>> {
        let [port] = net::free_ports()?;
        let Some(command) = kind.command(folder, port)? else { return Ok(None) };
        let mut process =
            Process::start(&format!("bench-{}", kind.title().replace(' ', "-")), command)?;
        wait::until("the receiver to listen", wait::USUAL_MAX, async || {
            process.check_running()?;
            Ok(net::is_listening(port).then_some(()))
        })
        .await?;
        Ok(Some(Self { kind, folder: folder.into(), port, process }))
    }

    pub fn memory_bytes(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    pub fn memory_peak_bytes(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.process.pid());
        let text = fs::read_to_string(&path).with_context(|| path.clone())?;
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        let kib: Option<u64> = line.and_then(|it| it.split_whitespace().next()?.parse().ok());
        Ok(kib.with_context(|| format!("{path} has no {field}"))? * 1024)
    }

    /// Objects that it holds: a sender's exit code says nothing of what was kept.
    pub fn received(&self) -> Result<usize> {
        if self.kind == Kind::Chiasm {
            let config = self.folder.join("gateway.toml");
            let mut command = Command::new(process::binary("chiasm-gateway")?);
            command.arg("--config").arg(config).args(["instances", "--json"]);
            let counts: serde_json::Value = serde_json::from_str(&process::output(command)?)?;
            let waiting = counts["waiting"].as_u64().context("no count")?;
            return Ok(usize::try_from(waiting)?);
        }
        let is_object = |path: &Path| match self.kind {
            // Orthanc keeps a description beside each object.
            Kind::Orthanc => fs::read(path).is_ok_and(|it| it.get(128..132) == Some(b"DICM")),
            _ => true,
        };
        Ok(files(&self.folder.join("store"))?.iter().filter(|path| is_object(path)).count())
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}
