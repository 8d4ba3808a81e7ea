//! Gateways and the conservation of their readings (C5).

use super::{Fault, Web, Who};
use crate::{
    fleet::reconcile::{self, Numbers},
    store::fleet_view,
};
use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A gateway and how it is.
#[derive(Serialize, ToSchema)]
#[schema(as = Gateway)]
pub struct GatewayJson {
    gateway_id: String,
    location_id: String,
    name: String,
    enrolled_at_us: Option<i64>,
    revoked_at_us: Option<i64>,
    certificate_expires_at_us: Option<i64>,
    status: String,
    status_detail: Option<String>,
    status_at_us: Option<i64>,
    /// What it last told of itself.
    #[schema(value_type = Option<Object>)]
    telemetry: Option<Box<RawValue>>,
    telemetry_at_us: Option<i64>,
    /// What the broker did not let it do.
    refusals: Vec<RefusalJson>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Refusal)]
pub struct RefusalJson {
    action: String,
    times: i64,
    last_at_us: i64,
}

/// The gateways of the practice.
#[utoipa::path(get, path = "/api/v1/fleet", responses((status = 200, body = Vec<GatewayJson>)))]
pub async fn list(State(web): State<Web>, who: Who) -> Result<Json<Vec<GatewayJson>>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let gateways = fleet_view::gateways(&mut tx, &who.tenant).await?;
    let refusals = fleet_view::refusals(&mut tx, &who.tenant).await?;
    drop(tx);
    let to_json = |it: fleet_view::GatewayRow| {
        let of_gateway = refusals.iter().filter(|row| row.gateway_id == it.gateway_id);
        let refusals = of_gateway
            .map(|row| RefusalJson {
                action: row.action.clone(),
                times: row.times,
                last_at_us: row.last_at_us,
            })
            .collect();
        let telemetry = it.telemetry.map(RawValue::from_string).transpose();
        Ok(GatewayJson {
            gateway_id: it.gateway_id,
            location_id: it.location_id,
            name: it.name,
            enrolled_at_us: it.enrolled_at_us,
            revoked_at_us: it.revoked_at_us,
            certificate_expires_at_us: it.certificate_expires_at_us,
            status: it.status,
            status_detail: it.status_detail,
            status_at_us: it.status_at_us,
            telemetry: telemetry.map_err(|error| Fault::ours(&error))?,
            telemetry_at_us: it.telemetry_at_us,
            refusals,
        })
    };
    Ok(Json(gateways.into_iter().map(to_json).collect::<Result<_, Fault>>()?))
}

/// Per gateway: where every numbered document is.
#[utoipa::path(get, path = "/api/v1/conservation",
    responses((status = 200, body = Vec<Numbers>)))]
pub async fn conservation(State(web): State<Web>, who: Who) -> Result<Json<Vec<Numbers>>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let numbers = reconcile::numbers(&mut tx, &who.tenant).await?;
    Ok(Json(numbers.into_values().collect()))
}
