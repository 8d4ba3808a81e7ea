//! `admin archive`: where a location's accepted readings are sent as DICOM objects.

use crate::{
    archive::tls,
    clock,
    store::{
        Db,
        archive::{self, Destination},
        fleet,
    },
};
use anyhow::{Context, bail};
use chiasm_proto::{LocationId, TenantId};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;

/// Longest title of an application entity (PS3.5 6.2).
const AE_LEN_MAX: usize = 16;
const HOST_LEN_MAX: usize = 253;

const SET_EXAMPLES: &str = "Examples:
  chiasm-cloud admin archive set acme main --host pacs.acme.example --called ACME_PACS
  chiasm-cloud admin archive set acme main --host pacs.acme.example --port 2762 \\
      --called ACME_PACS --tls-ca /etc/chiasm/hospital-ca.pem";

#[derive(Debug, Args)]
pub struct Tls {
    /// Speak TLS only, with an archive whose certificate this authority has signed (PEM file).
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// The name in the archive's certificate, if it is not the host.
    #[arg(long, value_name = "NAME", requires = "tls_ca")]
    tls_name: Option<String>,
    /// Our certificate, for an archive that asks for one (PEM file, with its key).
    #[arg(long, value_name = "FILE", requires = "tls_ca", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum ArchiveCommand {
    /// Send a location's readings to an archive from now on, as AR, KER, LEN and SRF objects.
    ///
    /// A reading is sent when it is accepted, and again as a new instance when it is corrected.
    #[command(after_help = SET_EXAMPLES)]
    Set {
        tenant: TenantId,
        location: LocationId,
        #[arg(long)]
        host: String,
        #[arg(long, default_value_t = 104, value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// The archive's application entity.
        #[arg(long, value_parser = parse_ae)]
        called: String,
        /// Our own, as the archive knows it.
        #[arg(long, default_value = "CHIASM", value_parser = parse_ae)]
        calling: String,
        #[command(flatten)]
        tls: Box<Tls>,
        /// Keep the archive, but send nothing. What waits goes on waiting.
        #[arg(long)]
        disabled: bool,
    },
    /// List the archives with what waits for them.
    List {
        tenant: TenantId,
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// Send nothing of this location any more, and forget what waits.
    Remove { tenant: TenantId, location: LocationId },
}

/// Printable ASCII without a backslash, and not only blanks.
fn parse_ae(text: &str) -> Result<String, String> {
    let is_allowed = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'\\';
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.len() > AE_LEN_MAX || !trimmed.bytes().all(is_allowed) {
        return Err(format!("an application entity has 1 to {AE_LEN_MAX} ASCII characters"));
    }
    Ok(trimmed.to_owned())
}

impl ArchiveCommand {
    pub async fn run(self, db: &Db) -> anyhow::Result<()> {
        match self {
            ArchiveCommand::Set {
                tenant,
                location,
                host,
                port,
                called,
                calling,
                tls,
                disabled,
            } => {
                let destination = Destination {
                    location_id: location.as_str().to_owned(),
                    host: host.trim().to_owned(),
                    port: port.into(),
                    called_ae: called,
                    calling_ae: calling,
                    is_enabled: !disabled,
                    tls_authority: absolute(tls.tls_ca)?,
                    tls_certificate: absolute(tls.tls_certificate)?,
                    tls_key: absolute(tls.tls_key)?,
                    tls_name: tls.tls_name.unwrap_or_default(),
                    waiting: 0,
                    detail: None,
                };
                set(db, tenant.as_str(), &destination).await
            }
            ArchiveCommand::List { tenant, json } => list(db, tenant.as_str(), json).await,
            ArchiveCommand::Remove { tenant, location } => {
                let mut tx = db.tenant(tenant.as_str()).await?;
                if !archive::remove(&mut tx, tenant.as_str(), location.as_str()).await? {
                    bail!("{tenant} has no archive for {location}");
                }
                Ok(tx.commit().await?)
            }
        }
    }
}

/// As the service finds it, which runs in another folder; empty where none is given.
fn absolute(path: Option<PathBuf>) -> anyhow::Result<String> {
    let Some(path) = path else { return Ok(String::new()) };
    let absolute = std::path::absolute(&path)?;
    let text = absolute.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok(text.to_owned())
}

async fn set(db: &Db, tenant: &str, destination: &Destination) -> anyhow::Result<()> {
    let Destination { location_id, host, .. } = destination;
    if host.is_empty() || host.len() > HOST_LEN_MAX || host.contains(char::is_whitespace) {
        bail!("`{host}` is not the name or address of a machine");
    }
    // Found out now, and not with the first reading.
    tls::config(destination)?;
    let mut tx = db.tenant(tenant).await?;
    if !fleet::location_exists(&mut tx, tenant, location_id).await? {
        bail!("{tenant} has no location {location_id}: add it with `admin location add`");
    }
    archive::put(&mut tx, tenant, destination, clock::now_us()).await?;
    Ok(tx.commit().await?)
}

async fn list(db: &Db, tenant: &str, as_json: bool) -> anyhow::Result<()> {
    let mut tx = db.tenant_read(tenant).await?;
    for it in archive::destinations(&mut tx, tenant).await? {
        let Destination { location_id, host, port, called_ae, calling_ae, waiting, .. } = &it;
        if as_json {
            let line = json!({
                "location": location_id, "host": host, "port": port, "called": called_ae,
                "calling": calling_ae, "enabled": it.is_enabled, "tls": !it.tls_authority.is_empty(),
                "waiting": waiting,
                "last_failure": it.detail,
            });
            println!("{line}");
        } else {
            let state = if it.is_enabled { "enabled" } else { "disabled" };
            let way = if it.tls_authority.is_empty() { "without TLS" } else { "TLS" };
            let failure = it.detail.as_deref().unwrap_or("-");
            println!(
                "{location_id:<24} {calling_ae} -> {called_ae}@{host}:{port} {way}, {state}, \
                 {waiting} waiting; last failure: {failure}"
            );
        }
    }
    Ok(())
}
