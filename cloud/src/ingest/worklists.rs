//! Telling gateways the schedule of their location, for imagers that ask for a worklist: the whole
//! truth from yesterday to tomorrow, at each birth, whenever the schedule changes, and by the hour,
//! because days go by.

use super::outbox::Outbox;
use crate::{
    Core,
    app::local_time,
    clock,
    store::{
        StoreError, Tx,
        worklist::{self, Visit},
    },
};
use chiasm_proto::{
    GatewayId, TenantId,
    worklist::{ScheduledVisit, VISITS_MAX, Worklist},
};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use std::time::Duration;
use uuid::Uuid;

const RETRY_AFTER: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_secs(3600);

/// Serves [`crate::core::Downlink::schedule_changed`], for ever.
pub async fn run(core: Core, outbox: Outbox) {
    loop {
        for (tenant, location) in core.downlink.changed_schedules().await {
            if let Err(error) = tell_gateways(&core, &outbox, (&tenant, &location)).await {
                tracing::warn!(%tenant, %location, %error, "cannot send a worklist, will try again");
                core.downlink.schedule_changed(&tenant, &location);
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// Another day has begun somewhere, or a command has changed a schedule.
pub async fn every_hour(core: Core) {
    let mut tick = tokio::time::interval(EVERY);
    tick.tick().await;
    loop {
        tick.tick().await;
        let connected = async {
            let mut tx = core.db.all_tenants_read().await?;
            worklist::connected(&mut tx).await
        };
        match connected.await {
            Ok(all) => {
                all.iter().for_each(|(tenant, at)| core.downlink.schedule_changed(tenant, at));
            }
            Err(error) => tracing::warn!(%error, "cannot send worklists, will try again"),
        }
    }
}

async fn tell_gateways(
    core: &Core,
    outbox: &Outbox,
    (tenant, location): (&str, &str),
) -> Result<(), StoreError> {
    let mut tx = core.db.tenant_read(tenant).await?;
    let gateways = worklist::gateways_of(&mut tx, tenant, location).await?;
    let Ok(tenant) = TenantId::new(tenant) else { return Ok(()) };
    for gateway in gateways.into_iter().filter_map(|name| GatewayId::new(name).ok()) {
        let key = (tenant.as_str(), gateway.as_str());
        if let Some(worklist) = of_gateway(&mut tx, key, clock::now_us()).await? {
            outbox.worklist(&tenant, &gateway, &worklist);
        }
    }
    Ok(())
}

/// The visits of a gateway's location around today; `None` for a gateway that is revoked.
pub async fn of_gateway(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    now_us: i64,
) -> Result<Option<Worklist>, StoreError> {
    let found = worklist::location_of(tx, tenant, gateway).await?;
    let Some((location_id, location, zone)) = found else { return Ok(None) };
    let zone = local_time::zone(&zone);
    let today = local_time::date(now_us, &zone);
    let first = today.saturating_sub(1.day()).to_string();
    let last = today.saturating_add(1.day()).to_string();
    let limit = i64::try_from(VISITS_MAX).unwrap_or(i64::MAX);
    let visits = worklist::visits(tx, tenant, &location_id, (&first, &last), limit).await?;
    Ok(Some(Worklist {
        generated_at: Timestamp::from_microsecond(now_us).unwrap_or_default(),
        location,
        visits: visits.into_iter().filter_map(|visit| scheduled(visit, &zone)).collect(),
    }))
}

/// `None` where an older version has named the visit in a way that makes no UID.
fn scheduled(visit: Visit, zone: &TimeZone) -> Option<ScheduledVisit> {
    let encounter: Uuid = visit.encounter_id.parse().ok()?;
    Some(ScheduledVisit {
        accession: visit.accession,
        study_instance_uid: format!("2.25.{}", encounter.as_u128()),
        scheduled_at: local_time::local(visit.scheduled_at_us, zone),
        reason: visit.reason,
        chart_number: visit.chart_number,
        family_name: visit.family_name,
        given_name: visit.given_name,
        birth_date: visit.birth_date.parse().ok()?,
    })
}
