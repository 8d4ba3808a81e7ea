//! A claim code for a new gateway, or for one whose machine is replaced (I1, I5), and its revocation.

use super::{AppError, claim_code, work::Work};
use crate::{
    fleet::telemetry,
    store::{StoreError, Tx, claim, fleet, unknown_gap, wipe},
};
use chiasm_proto::{GatewayId, wipe::Lost};

/// Longest name of a gateway, in characters.
const NAME_LEN_MAX: usize = 100;

/// What a person types on the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub code: String,
    pub expires_at_us: i64,
}

/// Adds the gateway if it is new, and gives a claim code, in a person's name.
pub async fn enrol(
    work: &mut Work,
    gateway: &str,
    location: &str,
    name: &str,
) -> Result<Claim, AppError> {
    let refused = |error: chiasm_proto::ids::SlugError| AppError::Refused(error.to_string());
    let gateway = GatewayId::new(gateway.trim()).map_err(refused)?;
    let tenant = work.who.tenant.clone();
    let claim = make_claim(&mut work.tx, &tenant, (&gateway, location, name), work.now_us).await?;
    work.tell_gateway(location, gateway.as_str());
    work.audit("gateway_claim_made", gateway.as_str()).await?;
    Ok(claim)
}

/// Adds the gateway if it is new, and gives a claim code. The code is kept as a hash only; older
/// unused codes of the gateway stop to work. A gateway stays in its location: its readings and
/// lanes hang on it.
pub async fn make_claim(
    tx: &mut Tx,
    tenant: &str,
    (gateway, location, name): (&GatewayId, &str, &str),
    now_us: i64,
) -> Result<Claim, AppError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_LEN_MAX {
        let message = format!("give the gateway a name of at most {NAME_LEN_MAX} characters");
        return Err(AppError::Refused(message));
    }
    if !fleet::location_exists(tx, tenant, location).await? {
        return Err(AppError::NotFound("location"));
    }
    let id = gateway.as_str();
    let stands_in = fleet::put_gateway(tx, tenant, id, location, name, now_us).await?;
    if stands_in != location {
        let message = format!("gateway {id} belongs to location {stands_in}: choose another name");
        return Err(AppError::Refused(message));
    }
    let code = claim_code::generate();
    let hash = claim_code::code_sha256(&code).expect("a new code has the length of a code");
    let expires_at_us = now_us + claim_code::VALID_S * 1_000_000;
    claim::add(tx, tenant, id, &hash, (now_us, expires_at_us)).await?;
    Ok(Claim { code, expires_at_us })
}

/// Shuts a gateway out, in a person's name; its connections are cut within seconds.
pub async fn revoke(work: &mut Work, gateway: &str) -> Result<(), AppError> {
    let tenant = work.who.tenant.clone();
    let locations = fleet::gateway_locations(&mut work.tx, &tenant, &[gateway]).await?;
    let location = locations.get(gateway).ok_or(AppError::NotFound("gateway"))?;
    if !fleet::revoke_gateway(&mut work.tx, &tenant, gateway, work.now_us).await? {
        return Err(AppError::NotFound("gateway"));
    }
    work.tell_gateway(location, gateway);
    work.audit("gateway_revoked", gateway).await
}

/// A machine claims the name of a gateway that had spoken before: from when on nobody knows what the
/// earlier machine measured. Its last word says how much waited in it then, and since when.
pub async fn note_unknown_gap(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    now_us: i64,
) -> Result<(), StoreError> {
    let all = fleet::gateways(tx, tenant).await?;
    let Some(before) = all.into_iter().find(|it| it.gateway_id == gateway) else { return Ok(()) };
    let (Some(told), Some(told_at_us)) =
        (telemetry(before.telemetry.as_deref()), before.telemetry_at_us)
    else {
        return Ok(());
    };
    if was_wiped_clean(tx, (tenant, gateway), told_at_us).await? {
        return Ok(());
    }
    let oldest_us = told.spool.oldest_at.map(|at| at.as_microsecond());
    let gap = unknown_gap::Gap {
        gateway_id: gateway.to_owned(),
        replaced_at_us: now_us,
        since_us: oldest_us.map_or(told_at_us, |oldest_us| oldest_us.min(told_at_us)),
        waiting: i64::try_from(told.spool.depth).unwrap_or(i64::MAX),
        epoch: told.spool.epoch.to_string(),
    };
    unknown_gap::add(tx, tenant, &gap).await
}

/// Whether the machine said after its last word that it was wiped with nothing lost.
async fn was_wiped_clean(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    told_at_us: i64,
) -> Result<bool, StoreError> {
    let wipes = wipe::newest(tx, tenant).await?;
    let wipe = wipes.iter().find(|it| it.gateway_id == gateway && it.received_at_us >= told_at_us);
    let lost = wipe.and_then(|it| it.lost.as_deref());
    let lost = lost.and_then(|json| serde_json::from_str::<Lost>(json).ok());
    Ok(lost.is_some_and(|lost| lost.is_nothing()))
}
