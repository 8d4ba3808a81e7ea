//! How fast a backlog is filed: readings acknowledged per second, of one gateway and of many at
//! once, beside the bare rate of inserting the very same rows.

use super::{
    Plan, bare, identity_of,
    load::{Backlog, drain},
    report::{Aim, Figure},
};
use crate::{
    clinic::{Clinic, Neighbours},
    cloud::TENANT,
    ledger::Ledger,
    mqtt::Client,
};
use anyhow::{Context, Result, bail};
use chiasm_proto::{LaneId, TenantId};
use std::path::Path;

const LANE: &str = "lane-1";
/// Rate of filing over the bare rate.
const RATIO_MIN: f64 = 0.5;

/// Measures and gives the lines of the table.
pub async fn measure(plan: &Plan, folder: &Path) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for is_postgres in [false, true] {
        for (gateways, readings) in plan.backlogs {
            figures.push(one(folder, is_postgres, gateways, readings).await?);
        }
    }
    Ok(figures)
}

/// One cloud with an empty database, so many gateways, so many readings of each.
async fn one(folder: &Path, is_postgres: bool, gateways: u32, readings: u32) -> Result<Figure> {
    let database = if is_postgres { "PostgreSQL" } else { "SQLite" };
    let what = format!("backlog, {gateways} gateway(s), {database}");
    eprintln!("{what}: setting up {gateways} × {readings} readings");
    let neighbours = Neighbours { postgres: is_postgres, mosquitto: false };
    let mut clinic = Clinic::open_below(folder, neighbours, &[LANE], 1).await?;
    let mut loads = Vec::new();
    for number in 0..gateways {
        let prints = number * readings..(number + 1) * readings;
        loads.push(prepare(&clinic, number, prints).await?);
    }
    eprintln!("{what}: sending");
    let total = u64::from(gateways) * u64::from(readings);
    let drains = loads.into_iter().map(|(client, backlog)| tokio::spawn(drain(client, backlog)));
    let mut drained = Vec::new();
    for drain in drains.collect::<Vec<_>>() {
        drained.push(drain.await??);
    }
    let began = drained.iter().map(|it| it.began).min().context("there is a gateway")?;
    let ended = drained.iter().map(|it| it.ended).max().context("there is a gateway")?;
    let per_second = total as f64 / (ended - began).as_secs_f64();
    let filed = Ledger::open(clinic.cloud.store_url()).await?.count("reading").await?;
    if filed != total {
        bail!("{total} readings were acknowledged and {filed} are filed");
    }
    clinic.cloud.stop().await?;
    eprintln!("{what}: inserting the same rows without us");
    let into = match &clinic.postgres {
        Some(postgres) => postgres.create_database("bare")?,
        None => format!("sqlite:{}", clinic.folder().join("bare.db").display()),
    };
    let bare = bare::insert_again(clinic.cloud.store_url(), &into).await?.per_second();
    Ok(Figure::plain(format!("{what}, {total} readings"), format!("{per_second:.0} /s"))
        .beside(format!("{bare:.0} /s"))
        .judged(per_second / bare, Aim::AtLeast(RATIO_MIN)))
}

/// A client with a certificate of its own that waits for the start, and what it will send.
async fn prepare(
    clinic: &Clinic,
    number: u32,
    prints: std::ops::Range<u32>,
) -> Result<(Client, Backlog)> {
    let gateway = clinic.enrolled_gateway(&format!("gw-{number}"), vec![])?;
    let identity = identity_of(&gateway)?;
    let backlog = Backlog::new(&TenantId::new(TENANT)?, &identity, &LaneId::new(LANE)?, prints)?;
    let client = Client::connect(clinic.cloud.broker_port(), &identity).await?;
    client.subscribe_acks().await?;
    Ok((client, backlog))
}
