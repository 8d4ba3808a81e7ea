//! `admin gateway`: claim codes, revocation, the list.

use crate::{
    app::{
        enrol_gateway::{self, Claim},
        wipe_gateway,
    },
    clock,
    config::Config,
    pki::Authority,
    store::{Db, fleet, live},
};
use anyhow::{Context, bail};
use chiasm_proto::{GatewayId, LocationId, TenantId};
use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Largest file with the record of a wipe.
const RECORD_BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug, Subcommand)]
pub enum GatewayCommand {
    /// Add a gateway, or a new claim code for one; prints the code.
    Add {
        tenant: TenantId,
        gateway: GatewayId,
        #[arg(long)]
        location: LocationId,
        #[arg(long)]
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shut a gateway out; a live connection is cut within seconds.
    Revoke { tenant: TenantId, gateway: GatewayId },
    /// Take the record of a wiped gateway that could not reach the cloud, and shut it out.
    ///
    /// Example: chiasm-cloud admin gateway wiped wiped.json
    Wiped { file: PathBuf },
    /// List a practice's gateways.
    List {
        tenant: TenantId,
        #[arg(long)]
        json: bool,
    },
}

impl GatewayCommand {
    pub async fn run(self, db: &Db, config: &Config) -> anyhow::Result<()> {
        match self {
            GatewayCommand::Add { tenant, gateway, location, name, json } => {
                add(db, config, &tenant, (&gateway, location.as_str(), &name), json).await
            }
            GatewayCommand::Revoke { tenant, gateway } => {
                revoke(db, tenant.as_str(), gateway.as_str()).await
            }
            GatewayCommand::Wiped { file } => wiped(db, config, &file).await,
            GatewayCommand::List { tenant, json } => list(db, tenant.as_str(), json).await,
        }
    }
}

async fn add(
    db: &Db,
    config: &Config,
    tenant: &TenantId,
    (gateway, location, name): (&GatewayId, &str, &str),
    as_json: bool,
) -> anyhow::Result<()> {
    let authority = Authority::load_or_make(&config.data_dir)?;
    let now_us = clock::now_us();
    let mut tx = db.tenant(tenant.as_str()).await?;
    if !fleet::location_exists(&mut tx, tenant.as_str(), location).await? {
        bail!("{tenant} has no location {location}: add it with `admin location add`");
    }
    let what = (gateway, location, name);
    let Claim { code, expires_at_us } =
        enrol_gateway::make_claim(&mut tx, tenant.as_str(), what, now_us).await?;
    append_change(&mut tx, tenant.as_str(), gateway.as_str(), now_us).await?;
    tx.commit().await?;
    let expires_at = Timestamp::from_microsecond(expires_at_us)?;
    let enrol_url = format!("https://{}", endpoint_name(config));
    if as_json {
        let answer = json!({
            "tenant": tenant,
            "gateway": gateway,
            "claim_code": code,
            "expires_at": expires_at,
            "authority_sha256": authority.sha256(),
            "enrol_url": enrol_url,
        });
        println!("{answer}");
    } else {
        println!("claim code        {code}");
        println!("valid until       {expires_at:.0}");
        println!("cloud             {enrol_url}");
        println!("authority SHA-256 {}", authority.sha256());
    }
    Ok(())
}

fn endpoint_name(config: &Config) -> String {
    let endpoint = &config.gateway_endpoint;
    let name = endpoint.names.first().map_or("localhost", String::as_str);
    format!("{name}:{}", endpoint.listen.port())
}

async fn revoke(db: &Db, tenant: &str, gateway: &str) -> anyhow::Result<()> {
    let now_us = clock::now_us();
    let mut tx = db.tenant(tenant).await?;
    if !fleet::revoke_gateway(&mut tx, tenant, gateway, now_us).await? {
        bail!("{tenant} has no gateway {gateway} that is not revoked");
    }
    append_change(&mut tx, tenant, gateway, now_us).await?;
    tx.commit().await?;
    Ok(())
}

async fn wiped(db: &Db, config: &Config, file: &Path) -> anyhow::Result<()> {
    let len = std::fs::metadata(file).with_context(|| format!("{}", file.display()))?.len();
    if len > RECORD_BYTES_MAX {
        bail!("{}: longer than any record of a wipe", file.display());
    }
    let signed = serde_json::from_slice(&std::fs::read(file)?)
        .with_context(|| format!("{} is no record of a wipe", file.display()))?;
    let authority = Authority::load_or_make(&config.data_dir)?;
    let proven = wipe_gateway::prove(&authority, signed)?;
    let record = &proven.record;
    let mut tx = db.tenant(record.tenant.as_str()).await?;
    wipe_gateway::put(&mut tx, &proven, clock::now_us()).await?;
    tx.commit().await?;
    println!(
        "{}/{} was wiped by {} at {}",
        record.tenant, record.gateway, record.by, record.wiped_at
    );
    Ok(())
}

async fn append_change(
    tx: &mut crate::store::Tx,
    tenant: &str,
    gateway: &str,
    now_us: i64,
) -> anyhow::Result<()> {
    let event = live::NewEvent {
        gateway_id: Some(gateway.to_owned()),
        ..live::NewEvent::new(now_us, live::Kind::GatewayChanged)
    };
    Ok(live::append(tx, tenant, &[event]).await?)
}

async fn list(db: &Db, tenant: &str, as_json: bool) -> anyhow::Result<()> {
    let mut tx = db.tenant_read(tenant).await?;
    for gateway in fleet::gateways(&mut tx, tenant).await? {
        if as_json {
            println!("{}", serde_json::to_string(&gateway)?);
        } else {
            let state = if gateway.revoked { "revoked" } else { gateway.status.as_str() };
            println!(
                "{:<24} {:<24} {state:<12} {}",
                gateway.gateway_id, gateway.location_id, gateway.name
            );
        }
    }
    Ok(())
}
