//! `admin`: practices, locations, lanes, gateways and their certificates.

use super::{configuration::ConfigurationCommand, gateway::GatewayCommand, reconcile};
use crate::{
    clock,
    config::Config,
    domain::opening,
    store::{Db, Tx, fleet, fleet_watch, shared_lane, site},
};
use anyhow::bail;
use chiasm_proto::{LaneId, LocationId, TenantId};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum FleetCommand {
    /// Practices.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Clinics of a practice.
    #[command(subcommand)]
    Location(LocationCommand),
    /// Rooms of a location.
    #[command(subcommand)]
    Lane(LaneCommand),
    /// Gateways and their claim codes.
    #[command(subcommand)]
    Gateway(GatewayCommand),
    /// What a gateway reads: its lanes and instruments.
    #[command(subcommand)]
    Config(ConfigurationCommand),
    /// Print, for every gateway, what was filed, rejected and is missing; exits 1 if it does not
    /// add up.
    Reconcile {
        /// Only this practice.
        #[arg(long)]
        tenant: Option<TenantId>,
        /// Print one JSON object per line.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Add a practice, or rename it.
    Add {
        /// a-z, 0-9 and '-'.
        tenant: TenantId,
        #[arg(long)]
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum LocationCommand {
    /// Add a location, or change its name and time zone.
    Add {
        tenant: TenantId,
        location: LocationId,
        #[arg(long)]
        name: String,
        /// IANA name, such as Europe/Berlin.
        #[arg(long, default_value = "UTC")]
        time_zone: String,
    },
    /// Say when a location is open. Days that are not named stay as they are.
    #[command(after_help = "Example:\n  chiasm-cloud admin location hours acme main \\\n      \
                            mon-fri=08:00-18:00 sat=09:00-13:00 sun=closed")]
    Hours {
        tenant: TenantId,
        location: LocationId,
        /// Weekdays and their hours, in the location's time.
        #[arg(required = true, value_name = "DAYS=HOURS")]
        days: Vec<String>,
    },
    /// Say that a location is closed on a day.
    #[command(after_help = "Example:\n  chiasm-cloud admin location holiday acme main \\\n      \
                            2026-12-25 --name 'Christmas Day'")]
    Holiday {
        tenant: TenantId,
        location: LocationId,
        /// YYYY-MM-DD.
        day: jiff::civil::Date,
        #[arg(long, default_value = "")]
        name: String,
        /// It is open on that day after all.
        #[arg(long, conflicts_with = "name")]
        remove: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum LaneCommand {
    /// Add a lane, or rename it.
    Add {
        tenant: TenantId,
        lane: LaneId,
        #[arg(long)]
        location: LocationId,
        #[arg(long)]
        name: String,
    },
    /// Say that a lane stands for an instrument which other lanes share: after each print a person
    /// in one of them says whose it is. Without --by it is an ordinary lane again.
    #[command(after_help = "Example:\n  chiasm-cloud admin lane share acme lens-bar \\\n      \
                            --by lane-1 --by lane-2")]
    Share {
        tenant: TenantId,
        /// The lane of the instrument's link.
        lane: LaneId,
        /// A lane whose patients it measures; give each.
        #[arg(long)]
        by: Vec<LaneId>,
    },
}

impl FleetCommand {
    pub async fn run(self, db: &Db, config: &Config) -> anyhow::Result<()> {
        match self {
            FleetCommand::Tenant(TenantCommand::Add { tenant, name }) => {
                let mut tx = db.tenant(tenant.as_str()).await?;
                fleet::put_tenant(&mut tx, tenant.as_str(), &name, clock::now_us()).await?;
                tx.commit().await?;
            }
            FleetCommand::Location(LocationCommand::Add { tenant, location, name, time_zone }) => {
                if jiff::tz::TimeZone::get(&time_zone).is_err() {
                    bail!("`{time_zone}` is not a time zone: use an IANA name, as Europe/Berlin");
                }
                let mut tx = db.tenant(tenant.as_str()).await?;
                if !fleet::tenant_exists(&mut tx, tenant.as_str()).await? {
                    bail!("there is no practice {tenant}: add it with `admin tenant add`");
                }
                let (tenant, location) = (tenant.as_str(), location.as_str());
                fleet::put_location(&mut tx, tenant, location, &name, &time_zone).await?;
                tx.commit().await?;
            }
            FleetCommand::Location(LocationCommand::Hours { tenant, location, days }) => {
                let mut week = Vec::new();
                for text in &days {
                    week.extend(opening::parse_days(text)?);
                }
                let mut tx = db.tenant(tenant.as_str()).await?;
                let key = known(&mut tx, &tenant, &location).await?;
                for (weekday, hours) in week {
                    fleet_watch::put_hours(&mut tx, key, weekday, hours).await?;
                }
                tx.commit().await?;
            }
            FleetCommand::Location(LocationCommand::Holiday {
                tenant,
                location,
                day,
                name,
                remove,
            }) => {
                let day = day.to_string();
                let mut tx = db.tenant(tenant.as_str()).await?;
                let key = known(&mut tx, &tenant, &location).await?;
                if !remove {
                    fleet_watch::put_holiday(&mut tx, key, (&day, name.trim())).await?;
                } else if !fleet_watch::remove_holiday(&mut tx, key, &day).await? {
                    bail!("{location} has no holiday on {day}");
                }
                tx.commit().await?;
            }
            FleetCommand::Lane(LaneCommand::Add { tenant, lane, location, name }) => {
                let mut tx = db.tenant(tenant.as_str()).await?;
                let (tenant, location) = (tenant.as_str(), location.as_str());
                if !fleet::location_exists(&mut tx, tenant, location).await? {
                    bail!("{tenant} has no location {location}: add it with `admin location add`");
                }
                fleet::put_lane(&mut tx, tenant, lane.as_str(), location, &name).await?;
                tx.commit().await?;
            }
            FleetCommand::Lane(LaneCommand::Share { tenant, lane, by }) => {
                share(db, tenant.as_str(), lane.as_str(), &by).await?;
            }
            FleetCommand::Gateway(command) => command.run(db, config).await?,
            FleetCommand::Config(command) => command.run(db, config).await?,
            FleetCommand::Reconcile { tenant, json } => {
                reconcile::run(db, tenant.map(String::from), json).await?;
            }
        }
        Ok(())
    }
}

/// Practice and location, if there is one.
async fn known<'a>(
    tx: &mut Tx,
    tenant: &'a TenantId,
    location: &'a LocationId,
) -> anyhow::Result<(&'a str, &'a str)> {
    if !fleet::location_exists(tx, tenant.as_str(), location.as_str()).await? {
        bail!("{tenant} has no location {location}: add it with `admin location add`");
    }
    Ok((tenant.as_str(), location.as_str()))
}

async fn share(db: &Db, tenant: &str, shared: &str, by: &[LaneId]) -> anyhow::Result<()> {
    let mut tx = db.tenant(tenant).await?;
    let lane = site::lane(&mut tx, tenant, shared).await?;
    let Some(lane) = lane else {
        bail!("{tenant} has no lane {shared}: add it with `admin lane add`");
    };
    if !by.is_empty() && lane.lane_session_id.is_some() {
        bail!("a patient is in {shared} just now: end that session first");
    }
    if !shared_lane::shared_by(&mut tx, tenant, shared).await?.is_empty() {
        bail!("{shared} itself shares an instrument: patients sit there");
    }
    for id in by {
        let sharer = site::lane(&mut tx, tenant, id.as_str()).await?;
        if sharer.is_none_or(|it| it.location_id != lane.location_id || it.lane_id == shared) {
            bail!("{id} is no other lane of {}", lane.location_id);
        }
        if !shared_lane::sharers(&mut tx, tenant, id.as_str()).await?.is_empty() {
            bail!("{id} is shared itself: name lanes where patients sit");
        }
    }
    let mut by: Vec<String> = by.iter().map(|id| id.as_str().to_owned()).collect();
    by.sort();
    by.dedup();
    shared_lane::put(&mut tx, tenant, shared, &by).await?;
    tx.commit().await?;
    Ok(())
}
