//! `admin config`: what a gateway reads, as a file.

use super::people::{command_line, read_file};
use crate::{
    Core,
    app::{
        config_csv,
        configure::{self, Draft},
        work::Work,
    },
    clock,
    config::Config,
    domain::configuration::{self, Difference},
    store::{Db, Tx, fleet_view, site},
};
use anyhow::{Context, bail};
use chiasm_proto::{GatewayId, TenantId};
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum ConfigurationCommand {
    /// Take lanes and instruments of a gateway from a CSV file and send them to it. Prints what is
    /// different; a file with a mistake is not taken at all.
    #[command(
        after_help = "Example:\n  chiasm-cloud admin config import acme gw-1 instruments.csv \
                            --dry-run\n\nThe first line names the columns; `admin config export` \
                            writes a file with all of them."
    )]
    Import {
        tenant: TenantId,
        gateway: GatewayId,
        /// The file.
        file: PathBuf,
        /// Only print what would be different.
        #[arg(long)]
        dry_run: bool,
        /// Kept with the version.
        #[arg(long, default_value = "Imported from a file")]
        why: String,
    },
    /// Write lanes and instruments of a gateway as CSV to standard output.
    Export { tenant: TenantId, gateway: GatewayId },
}

impl ConfigurationCommand {
    pub async fn run(self, db: &Db, config: &Config) -> anyhow::Result<()> {
        match self {
            Self::Import { tenant, gateway, file, dry_run, why } => {
                let text = read_file(&file)?;
                let core = Core::new(db.clone(), config.clone())?;
                let who = command_line(tenant.as_str());
                let mut work = Work::begin(&core, &who, clock::now_us()).await?;
                let key = (tenant.as_str(), gateway.as_str());
                let draft = draft(&mut work.tx, key, &text).await?;
                if dry_run {
                    return Ok(());
                }
                let version = configure::apply(&mut work, key.1, &draft, &why).await?;
                work.commit().await?;
                println!("version {version} is sent within seconds, if the gateway is connected");
            }
            Self::Export { tenant, gateway } => {
                let mut tx = db.tenant_read(tenant.as_str()).await?;
                let key = (tenant.as_str(), gateway.as_str());
                let (_, lanes) = place(&mut tx, key).await?;
                let standing = configure::standing(&mut tx, key).await?;
                print!("{}", config_csv::export(&standing.document, &lanes));
            }
        }
        Ok(())
    }
}

/// What a file makes of a gateway; prints the difference.
async fn draft(tx: &mut Tx, key: (&str, &str), text: &str) -> anyhow::Result<Draft> {
    let (location, lanes) = place(tx, key).await?;
    let standing = configure::standing(tx, key).await?;
    let imported = match config_csv::parse(text, &standing.document) {
        Ok(imported) => imported,
        Err(faults) => bail!("nothing is taken: {}", faults.join("; ")),
    };
    let is_new = |id: &str| !lanes.iter().any(|(lane, _)| lane == id);
    let new = imported.lanes.into_iter().filter(|(id, _)| is_new(id.as_str())).collect();
    let draft = Draft { base: standing.newest, document: imported.document, lanes: new };
    for (id, name) in &draft.lanes {
        println!("+ lane {id} ({name})");
    }
    for difference in configuration::difference(&standing.document, &draft.document) {
        print_difference(&difference);
    }
    let faults = configure::faults(tx, (key.0, &location), &draft).await?;
    if !faults.is_empty() {
        bail!("nothing is taken: {}", faults.join(" "));
    }
    Ok(draft)
}

fn print_difference(difference: &Difference) {
    println!("{} {}", difference.id, difference.change.in_words());
    for field in &difference.fields {
        let or_nothing =
            |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        println!(
            "  {:<18} {} -> {}",
            field.name,
            or_nothing(&field.before),
            or_nothing(&field.after)
        );
    }
}

/// A gateway's location and its lanes with their names.
async fn place(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
) -> anyhow::Result<(String, Vec<(String, String)>)> {
    let all = fleet_view::gateways(tx, tenant).await?;
    let found = all.into_iter().find(|it| it.gateway_id == gateway);
    let location = found.with_context(|| format!("{tenant} has no gateway {gateway}"))?.location_id;
    let lanes = site::lanes(tx, tenant).await?;
    let lanes = lanes.into_iter().filter(|it| it.location_id == location);
    Ok((location.clone(), lanes.map(|it| (it.lane_id, it.lane_name)).collect()))
}
