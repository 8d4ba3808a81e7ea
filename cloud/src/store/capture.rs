//! Bytes that gave no reading, as gateways sent them.

use super::{StoreError, Tx};
use crate::args;

crate::row! {
    pub struct CaptureRow {
        pub gateway_id: String,
        pub captured_at_us: i64,
        pub time_zone: String,
        /// JSON of `chiasm_proto::Envelope`.
        pub body: String,
    }
}

/// The latest captures, the newest first.
pub async fn latest(tx: &mut Tx, tenant: &str, count: i64) -> Result<Vec<CaptureRow>, StoreError> {
    let sql = "SELECT d.gateway_id, d.captured_at_us, COALESCE(l.time_zone, 'UTC') AS time_zone,
            d.body
        FROM document d
        LEFT JOIN gateway g ON g.tenant_id = d.tenant_id AND g.gateway_id = d.gateway_id
        LEFT JOIN location l ON l.tenant_id = g.tenant_id AND l.location_id = g.location_id
        WHERE d.tenant_id = $1 AND d.kind = 'capture'
        ORDER BY d.captured_at_us DESC LIMIT $2";
    tx.fetch_all(sql, args![tenant, count]).await
}

/// The captures since a moment, the newest first.
pub async fn since(
    tx: &mut Tx,
    tenant: &str,
    since_us: i64,
    count: i64,
) -> Result<Vec<CaptureRow>, StoreError> {
    let sql = "SELECT d.gateway_id, d.captured_at_us, 'UTC' AS time_zone, d.body
        FROM document d
        WHERE d.tenant_id = $1 AND d.kind = 'capture' AND d.captured_at_us >= $2
        ORDER BY d.captured_at_us DESC LIMIT $3";
    tx.fetch_all(sql, args![tenant, since_us, count]).await
}

/// When each of a lane's links last gave a reading, if that was since the moment.
pub async fn last_readings(
    tx: &mut Tx,
    tenant: &str,
    lane: &str,
    since_us: i64,
) -> Result<Vec<(String, i64)>, StoreError> {
    // A reading's id begins with the time at which its gateway made it, after the capture: the
    // primary key leads to the few that can be meant.
    let sql = "SELECT link_id, MAX(captured_at_us) FROM reading
        WHERE tenant_id = $1 AND reading_id >= $2 AND lane_id = $3 AND captured_at_us >= $4
        GROUP BY link_id";
    tx.fetch_all(sql, args![tenant, first_id(since_us), lane, since_us]).await
}

/// The smallest identifier that can have been made at a moment or after it.
fn first_id(at_us: i64) -> String {
    let at_ms = u64::try_from(at_us / 1000).unwrap_or(0);
    let all = format!("{at_ms:012x}");
    format!("{}-{}-7000-8000-000000000000", &all[..8], &all[8..12])
}

#[cfg(test)]
mod tests {
    use super::first_id;
    use uuid::{NoContext, Timestamp, Uuid};

    #[test]
    fn an_identifier_of_the_same_moment_is_not_before_the_first() {
        let at = |ms: u64| {
            let nanos = u32::try_from(ms % 1000).unwrap() * 1_000_000;
            Uuid::new_v7(Timestamp::from_unix(NoContext, ms / 1000, nanos)).to_string()
        };
        let now_ms = 1_795_000_000_123;
        assert!(first_id(now_ms * 1000) <= at(1_795_000_000_123));
        assert!(first_id(now_ms * 1000) > at(1_795_000_000_122));
        assert_eq!(first_id(-1).len(), at(0).len());
    }
}
