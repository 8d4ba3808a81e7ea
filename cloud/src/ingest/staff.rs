//! Telling gateways that have a page of their own who may use it: people who work with patients and
//! have chosen a PIN.

use crate::{
    app::principal::Role,
    store::{StoreError, Tx, account, fleet_view, site, site::Location, worklist},
};
use chiasm_proto::{
    LaneId, Staff,
    fleet::Telemetry,
    lane_page::{NamedLane, PEOPLE_MAX, StaffMember},
};
use jiff::Timestamp;

/// The staff for a gateway's page; `None` for a gateway that has none, or is revoked.
pub async fn of_gateway(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    now_us: i64,
) -> Result<Option<Staff>, StoreError> {
    if !has_page(tx, tenant, gateway).await? {
        return Ok(None);
    }
    let Some(location) = worklist::location_of(tx, tenant, gateway).await? else {
        return Ok(None);
    };
    of_location(tx, tenant, &location, now_us).await.map(Some)
}

async fn has_page(tx: &mut Tx, tenant: &str, gateway: &str) -> Result<bool, StoreError> {
    let told = fleet_view::telemetry(tx, tenant, gateway).await?;
    let told = told.and_then(|json| serde_json::from_str::<Telemetry>(&json).ok());
    Ok(told.is_some_and(|told| told.has_lane_page))
}

/// The same for every gateway of a location.
pub async fn of_location(
    tx: &mut Tx,
    tenant: &str,
    location: &Location,
    now_us: i64,
) -> Result<Staff, StoreError> {
    let lanes = site::lanes_of(tx, tenant, &location.location_id).await?;
    let lane =
        |(lane, name): (String, String)| Some(NamedLane { lane: LaneId::new(lane).ok()?, name });
    let limit = i64::try_from(PEOPLE_MAX).unwrap_or(i64::MAX);
    let people = account::with_pin(tx, tenant, limit).await?;
    let is_clinical = |it: &account::WithPin| Role::parse(&it.role).is_some_and(Role::is_clinical);
    let member = |it: account::WithPin| StaffMember {
        account: it.account_id,
        login: it.login,
        name: it.display_name,
        pin_hash: it.pin_hash,
    };
    Ok(Staff {
        generated_at: Timestamp::from_microsecond(now_us).unwrap_or_default(),
        location: location.name.clone(),
        time_zone: location.time_zone.clone(),
        lanes: lanes.into_iter().filter_map(lane).collect(),
        people: people.into_iter().filter(is_clinical).map(member).collect(),
    })
}
