//! What brokers refused, counted by gateway, action and topic.

use super::{StoreError, Tx, live};
use crate::args;

/// Adds to the count of a refusal, with its live event.
pub async fn count(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    action: &str,
    topic: &str,
    at_us: i64,
    times: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO refusal (tenant_id, gateway_id, action, topic, first_at_us, last_at_us, times)
         VALUES ($1, $2, $3, $4, $5, $5, $6)
         ON CONFLICT (tenant_id, gateway_id, action, topic)
         DO UPDATE SET last_at_us = excluded.last_at_us, times = refusal.times + excluded.times",
        args![tenant, gateway, action, topic, at_us, times],
    )
    .await?;
    let event = live::NewEvent {
        gateway_id: Some(gateway.to_owned()),
        subject: Some(action.to_owned()),
        ..live::NewEvent::new(at_us, live::Kind::Refusal)
    };
    live::append(tx, tenant, &[event]).await
}
