//! Telling gateways which lane sessions are open: the whole truth of a gateway's location, whenever
//! it changes and at each birth.

use super::outbox::Outbox;
use crate::{
    Core,
    domain::placement::SESSION_IDLE_MAX_US,
    store::{StoreError, Tx, lane_act, lane_open},
};
use chiasm_proto::{
    GatewayId, LaneId, LaneSessionId, TenantId,
    fleet::{HeardAct, OpenSession, Sessions},
};
use jiff::Timestamp;
use std::time::Duration;

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Serves [`crate::core::Downlink::sessions_changed`], for ever.
pub async fn run(core: Core, outbox: Outbox) {
    loop {
        for (tenant, lane) in core.downlink.changed_lanes().await {
            if let Err(error) = tell_gateways_of_lane(&core, &outbox, &tenant, &lane).await {
                tracing::warn!(%tenant, %lane, %error, "cannot tell the gateways, will try again");
                core.downlink.sessions_changed(&tenant, &lane);
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

async fn tell_gateways_of_lane(
    core: &Core,
    outbox: &Outbox,
    tenant: &str,
    lane: &str,
) -> Result<(), StoreError> {
    let mut tx = core.db.tenant_read(tenant).await?;
    let gateways = lane_open::gateways_of_lane(&mut tx, tenant, lane).await?;
    let Ok(tenant) = TenantId::new(tenant) else { return Ok(()) };
    for gateway in gateways.into_iter().filter_map(|name| GatewayId::new(name).ok()) {
        let sessions = of_gateway(&mut tx, tenant.as_str(), gateway.as_str()).await?;
        outbox.sessions(&tenant, &gateway, &sessions);
    }
    Ok(())
}

/// The open sessions of the lanes in the gateway's location.
pub async fn of_gateway(tx: &mut Tx, tenant: &str, gateway: &str) -> Result<Sessions, StoreError> {
    let rows = lane_open::open_sessions(tx, tenant, gateway).await?;
    let session = |(lane, session, opened_at_us): (String, String, i64)| {
        Some(OpenSession {
            lane: LaneId::new(lane).ok()?,
            session: session.parse::<LaneSessionId>().ok()?,
            opened_at: Timestamp::from_microsecond(opened_at_us).ok()?,
            idle_timeout_s: u32::try_from(SESSION_IDLE_MAX_US / 1_000_000).unwrap_or(u32::MAX),
        })
    };
    let heard = lane_act::heard(tx, tenant, gateway).await?;
    let act = |(lane, act): (String, String)| {
        Some(HeardAct { lane: LaneId::new(lane).ok()?, act: act.parse().ok()? })
    };
    Ok(Sessions {
        sessions: rows.into_iter().filter_map(session).collect(),
        heard: heard.into_iter().filter_map(act).collect(),
    })
}
