//! What brokers refused, counted by gateway, action and topic.

use super::{StoreError, Tx, live};
use crate::args;

/// Different topics that are kept of one gateway and action; the rest counts without topic.
pub const TOPICS_MAX: i64 = 32;

/// Adds to the count of a refusal. Gives its live event, to be appended last.
pub async fn count(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    action: &str,
    topic: &str,
    at_us: i64,
    times: i64,
) -> Result<live::NewEvent, StoreError> {
    let (others,): (i64,) = tx
        .fetch_one(
            "SELECT COUNT(*) FROM refusal
             WHERE tenant_id = $1 AND gateway_id = $2 AND action = $3 AND topic <> $4",
            args![tenant, gateway, action, topic],
        )
        .await?;
    let topic = if others < TOPICS_MAX { topic } else { "" };
    tx.execute(
        "INSERT INTO refusal (tenant_id, gateway_id, action, topic, first_at_us, last_at_us, times)
         VALUES ($1, $2, $3, $4, $5, $5, $6)
         ON CONFLICT (tenant_id, gateway_id, action, topic)
         DO UPDATE SET last_at_us = excluded.last_at_us, times = refusal.times + excluded.times",
        args![tenant, gateway, action, topic, at_us, times],
    )
    .await?;
    Ok(live::NewEvent {
        gateway_id: Some(gateway.to_owned()),
        subject: Some(action.to_owned()),
        ..live::NewEvent::new(at_us, live::Kind::Refusal)
    })
}
