//! Where every document of a gateway is: captured = filed + waiting + rejected + in the spool.

use super::AppError;
use crate::store::{Tx, fleet_view};
use chiasm_proto::fleet::Telemetry;
use serde::Serialize;

/// One gateway's numbers. Counts of readings by place cover all its epochs, numbers of the stream
/// its newest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Numbers {
    pub gateway_id: String,
    pub epoch: Option<String>,
    /// Highest number that the gateway said it had given out, and when it said so.
    pub sent_upto: Option<i64>,
    pub sent_upto_at_us: Option<i64>,
    /// Every number up to here is filed or rejected.
    pub received_upto: i64,
    pub received_highest: i64,
    /// Numbers below the highest that have not arrived.
    pub gaps: i64,
    /// Documents of the newest epoch in the database.
    pub documents: i64,
    /// Documents that were refused and kept.
    pub rejected_documents: i64,
    /// Documents that the gateway said it still holds.
    pub in_spool: Option<i64>,
    pub in_exams: i64,
    pub in_trays: i64,
    pub in_inbox: i64,
    pub held: i64,
    pub duplicates: i64,
}

/// The numbers of every gateway of a tenant.
pub async fn numbers(tx: &mut Tx, tenant: &str) -> Result<Vec<Numbers>, AppError> {
    let gateways = fleet_view::gateways(tx, tenant).await?;
    let streams = fleet_view::streams(tx, tenant).await?;
    let places = fleet_view::places(tx, tenant).await?;
    let one = |gateway: &fleet_view::GatewayRow| {
        let id = &gateway.gateway_id;
        let mut numbers = Numbers { gateway_id: id.clone(), ..Numbers::default() };
        if let Some(stream) = streams.iter().find(|stream| stream.gateway_id == *id) {
            numbers.epoch = Some(stream.epoch.clone());
            numbers.received_upto = stream.upto;
            numbers.received_highest = stream.highest;
            numbers.documents = stream.documents;
            numbers.rejected_documents = stream.rejected;
            numbers.gaps = (stream.highest - stream.documents - stream.rejected).max(0);
        }
        if let Some(telemetry) = telemetry(gateway) {
            numbers.sent_upto = i64::try_from(telemetry.spool.last_seq).ok();
            numbers.sent_upto_at_us = Some(telemetry.time.as_microsecond());
            numbers.in_spool = i64::try_from(telemetry.spool.depth).ok();
        }
        for count in places.iter().filter(|count| count.gateway_id == *id) {
            match count.place.as_str() {
                "exam" => numbers.in_exams = count.count,
                "tray" => numbers.in_trays = count.count,
                "inbox" => numbers.in_inbox = count.count,
                "held" => numbers.held = count.count,
                "duplicate" => numbers.duplicates = count.count,
                _ => {}
            }
        }
        numbers
    };
    Ok(gateways.iter().map(one).collect())
}

/// What a gateway said of itself last, if it can be read.
pub fn telemetry(gateway: &fleet_view::GatewayRow) -> Option<Telemetry> {
    serde_json::from_str(gateway.telemetry.as_deref()?).ok()
}
