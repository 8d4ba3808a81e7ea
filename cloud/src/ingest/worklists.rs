//! Telling gateways the schedule of their location, for imagers that ask for a worklist and for the
//! gateway's own page, and with it who may use that page: the whole truth, visits from yesterday to
//! tomorrow, at each birth and whenever something changes. Commands and other replicas change it too,
//! and days go by: what is different from what was sent last is found by looking.

use super::{outbox::Outbox, staff};
use crate::{
    Core,
    app::{accession::study_uid, local_time},
    clock,
    store::{
        StoreError, Tx,
        site::{self, Location},
        worklist::{self, Visit},
    },
};
use chiasm_proto::{
    GatewayId, Sha256, Staff, TenantId,
    worklist::{ScheduledVisit, VISITS_MAX, Worklist},
};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use std::{collections::HashMap, time::Duration};

const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How late a gateway hears of what a command has changed, and of midnight.
const LOOK_EVERY: Duration = Duration::from_secs(20);

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

/// Looks for schedules that are different from before, for ever.
pub async fn look(core: Core) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    let mut seen = HashMap::new();
    loop {
        tick.tick().await;
        if let Err(error) = look_once(&core, &mut seen).await {
            tracing::warn!(%error, "cannot look for changed schedules, will try again");
        }
    }
}

/// What each location's visits and staff were when they were looked at last.
type Seen = HashMap<(String, String), Sha256>;

async fn look_once(core: &Core, seen: &mut Seen) -> Result<(), StoreError> {
    let mut tx = core.db.all_tenants_read().await?;
    let connected = worklist::connected(&mut tx).await?;
    drop(tx);
    seen.retain(|key, _| connected.contains(key));
    for (tenant, location) in connected {
        let mut tx = core.db.tenant_read(&tenant).await?;
        let Some(found) = site::location(&mut tx, &tenant, &location).await? else { continue };
        let visits = of_location(&mut tx, &tenant, &found, clock::now_us()).await?.visits;
        let Staff { lanes, people, .. } = staff::of_location(&mut tx, &tenant, &found, 0).await?;
        let told = serde_json::to_vec(&(visits, lanes, people));
        let now = Sha256::of(&told.expect("plain data always serialises"));
        let before = seen.insert((tenant.clone(), location.clone()), now);
        // The first time it went with the gateway's birth.
        if before.is_some_and(|before| before != now) {
            core.downlink.schedule_changed(&tenant, &location);
        }
    }
    Ok(())
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
        if let Some(staff) = staff::of_gateway(&mut tx, key, clock::now_us()).await? {
            outbox.staff(&tenant, &gateway, &staff);
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
    let Some(location) = worklist::location_of(tx, tenant, gateway).await? else {
        return Ok(None);
    };
    of_location(tx, tenant, &location, now_us).await.map(Some)
}

async fn of_location(
    tx: &mut Tx,
    tenant: &str,
    location: &Location,
    now_us: i64,
) -> Result<Worklist, StoreError> {
    let zone = local_time::zone(&location.time_zone);
    let today = local_time::date(now_us, &zone);
    let first = today.saturating_sub(1.day()).to_string();
    let last = today.saturating_add(1.day()).to_string();
    let limit = i64::try_from(VISITS_MAX).unwrap_or(i64::MAX);
    let days = (first.as_str(), last.as_str());
    let visits = worklist::visits(tx, tenant, &location.location_id, days, limit).await?;
    Ok(Worklist {
        generated_at: Timestamp::from_microsecond(now_us).unwrap_or_default(),
        location: location.name.clone(),
        visits: visits.into_iter().filter_map(|visit| scheduled(visit, &zone)).collect(),
    })
}

/// `None` where an older version has named the visit in a way that makes no UID.
fn scheduled(visit: Visit, zone: &TimeZone) -> Option<ScheduledVisit> {
    Some(ScheduledVisit {
        accession: visit.accession,
        study_instance_uid: study_uid(&visit.encounter_id)?,
        scheduled_at: local_time::local(visit.scheduled_at_us, zone),
        reason: visit.reason,
        chart_number: visit.chart_number,
        family_name: visit.family_name,
        given_name: visit.given_name,
        birth_date: visit.birth_date.parse().ok()?,
    })
}
